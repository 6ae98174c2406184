"""The sending half of a `Connection`: from events to bytes, and what both halves do with a request.

What is legal is in `state`, how long a body is in `framing`, and how it is written in `writers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, overload

from .errors import LocalProtocolError
from .events import (
    PLAIN_END,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Event,
    InformationalResponse,
    Request,
    Response,
)
from .framing import comma_list, request_body, response_body
from .readers import NOTHING_TO_READ, REFUSE_TO_READ, NothingToRead
from .state import CLIENT, ERROR, READING_STATES, SEND_BODY, SERVER, CloseReason, ConnectionState, Sentinel
from .writers import (
    NO_BODY,
    BodyWriter,
    body_writer,
    check_length_in_bytes,
    frame_informational,
    frame_response,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from .buffer import ReceiveBuffer
    from .headers import BytesLike

__all__ = ["SendingHalf"]


class SendingHalf:
    """What `Connection` has for sending."""

    __slots__ = (
        "_body_writer",
        "_buffer",
        "_reader",
        "_request_method",
        "_state",
        "client_is_waiting_for_100_continue",
        "our_role",
        "their_http_version",
        "their_role",
    )

    _body_writer: BodyWriter
    _buffer: ReceiveBuffer
    _reader: NothingToRead
    _request_method: bytes | None
    _state: ConnectionState
    client_is_waiting_for_100_continue: bool
    our_role: type[Sentinel]
    their_http_version: bytes | None
    their_role: type[Sentinel]

    @overload
    def send(self, event: ConnectionClosed) -> None: ...
    @overload
    def send(self, event: Request | InformationalResponse | Response | Data | EndOfMessage) -> bytes: ...
    @overload
    def send(self, event: Event) -> bytes | None: ...
    def send(self, event: Event) -> bytes | None:
        """Turn *event* into the bytes to send, and follow it in the state machine.

        Returns:
            The bytes, maybe none; None for `ConnectionClosed`: close the socket, or its sending half.

        Raises:
            LocalProtocolError: The event is not legal now. `our_state` is then `ERROR`; nothing can be sent
                any more.
            TypeError: *event* is no event, or its ``data`` is not bytes-like.
        """
        pieces = self.send_with_data_passthrough(event)
        return None if pieces is None else b"".join(pieces)

    def send_with_data_passthrough(self, event: Event) -> list[BytesLike] | None:
        """Do what `send` does, but return the bytes in pieces, of which one is the very ``data`` of a `Data`.

        That object needs nothing but a ``len``: it may stand for a file that the caller then sends in its
        place.

        Raises:
            LocalProtocolError: As `send`.
            TypeError: *event* is no event.
        """
        states = self._state.states
        if states[self.our_role] is ERROR:
            raise LocalProtocolError("Can't send data when our state is ERROR")
        try:
            if states[SERVER] is ERROR and type(event) is not ConnectionClosed:
                raise LocalProtocolError("Can't send to a server that broke the protocol")
            sender = SENDERS.get(type(event))
            if sender is None:
                raise TypeError(f"expected an event, not {type(event).__name__}")
            return sender(self, event)
        except BaseException:
            self.send_failed()
            raise

    def frame_data(self, data: BytesLike) -> list[BytesLike]:
        """Return what `send_with_data_passthrough` does for ``Data(data)``: a streamed body may have many such pieces.

        Raises:
            LocalProtocolError: As `send`.
        """
        states = self._state.states
        if type(data) is not bytes or states[self.our_role] is not SEND_BODY or states[SERVER] is ERROR:
            return self.send_with_data_passthrough(Data(data)) or []
        self.client_is_waiting_for_100_continue = False
        try:
            return self._body_writer.write(data)
        except LocalProtocolError:
            self.send_failed()
            raise

    def send_message(self, head: Request | Response, data: bytes = b"") -> bytes:
        """Send a whole message in one call: *head*, then *data* if there is any, then the end.

        Returns:
            What `send` returns for the three events, joined.

        Raises:
            LocalProtocolError: As `send`; also if *data* is shorter or longer than *head* announces.
            TypeError: *head* begins no message, or *data* is not bytes-like.
        """
        pieces = self.send_with_data_passthrough(head)  # nothing can come between it and the rest
        try:
            if data:
                pieces += self._send_data(Data(data))  # type: ignore[operator]  # no head makes None
            pieces += self._send_end(PLAIN_END)  # type: ignore[operator]  # as above
            return b"".join(pieces)
        except BaseException:
            self.send_failed()
            raise

    def send_failed(self) -> None:
        """Say that bytes which `send` returned could not be sent: `our_state` becomes `ERROR`."""
        self._state.process_error(self.our_role)
        self._follow_their_state()

    def shutdown(self) -> None:
        """Say that nothing more will be sent: `send` of `ConnectionClosed`. Calling it again changes nothing.

        Raises:
            LocalProtocolError: A message is half sent, or owed.
        """
        self.send(ConnectionClosed())

    def _send_request(self, request: Request) -> list[BytesLike]:
        if self._buffer.start < len(self._buffer.data):
            # The peer cannot have answered what it has not seen (RFC 9112 section 9.2).
            raise LocalProtocolError(f"can't send a Request: {CloseReason.UNEXPECTED_DATA.value}")
        head = request.encode()
        length = self._process_request(self.our_role, request)
        self._body_writer = body_writer(length) if length else NO_BODY
        return [head]

    def _send_informational(self, response: InformationalResponse) -> list[BytesLike]:
        if self.their_http_version is not None and self.their_http_version < b"1.1":
            raise LocalProtocolError("an HTTP/1.0 client knows no 1xx response (RFC 9110 section 15.2)")
        self._state.process_informational(self.our_role, response.status_code)
        self.client_is_waiting_for_100_continue = False
        return [frame_informational(response).encode()]

    def _send_response(self, response: Response) -> list[BytesLike]:
        must_close = self._state.close_reason is not None or self._state.states[CLIENT] is ERROR
        response = frame_response(response, self._request_method, self.their_http_version, must_close)
        head = response.encode()
        length = response_body(response._headers.control, response._status_code, self._request_method)
        self._state.process_response(self.our_role, response)
        self.client_is_waiting_for_100_continue = False
        self._body_writer = body_writer(length)
        return [head]

    def _send_data(self, event: Data) -> list[BytesLike]:
        if self._state.states[self.our_role] is not SEND_BODY:  # there, a Data changes nothing
            self._state.process_event(self.our_role, Data)
        self.client_is_waiting_for_100_continue = False
        data = event.data
        if type(data) is not bytes:
            check_length_in_bytes(data)
        return self._body_writer.write(data)

    def _send_end(self, event: EndOfMessage) -> list[BytesLike]:
        self._state.process_event(self.our_role, EndOfMessage)
        self.client_is_waiting_for_100_continue = False
        return self._body_writer.write_end(event._headers)

    def _send_close(self, _event: ConnectionClosed) -> None:
        self._state.process_event(self.our_role, ConnectionClosed)
        self._follow_their_state()

    def _process_request(self, role: type[Sentinel], request: Request) -> int:
        """Follow *request* in the state machine, and return the length of its body."""
        control = request._headers.control
        length = request_body(control, request._http_version)
        self._state.process_request(role, request)
        self._request_method = request._method
        if b"expect" in control:
            # From HTTP/1.0 100-continue means nothing (RFC 9110 section 10.1.1).
            modern = request._http_version >= b"1.1"
            self.client_is_waiting_for_100_continue = modern and b"100-continue" in comma_list(
                control, b"expect"
            )
        return length

    def _follow_their_state(self) -> None:
        """Stop reading where the peer's state, which our own events may have changed, allows nothing more."""
        if self._state.states[self.their_role] not in READING_STATES and self._reader is not REFUSE_TO_READ:
            self._reader = NOTHING_TO_READ


#: What `send` does with each kind of event.
SENDERS: Final[dict[type, Callable[[SendingHalf, Any], list[BytesLike] | None]]] = {
    Request: SendingHalf._send_request,
    InformationalResponse: SendingHalf._send_informational,
    Response: SendingHalf._send_response,
    Data: SendingHalf._send_data,
    EndOfMessage: SendingHalf._send_end,
    ConnectionClosed: SendingHalf._send_close,
}
