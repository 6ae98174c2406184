"""`Connection`: one HTTP/1.1 connection seen from one of its ends, without a socket.

Events go in by `send` and come out as bytes; bytes go in by `receive_data` and come out as events by
`next_event`. This room ties the others together, and has the receiving half; the sending one is in `sending`,
what is legal in `state`, where bodies end in `framing`, the bytes in `readers`, `body_readers` and `writers`.
No I/O, no clock, no thread; one caller at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from .body_readers import NOTHING_LEFT, LengthReader, body_reader
from .buffer import ReceiveBuffer
from .errors import LocalProtocolError, RemoteProtocolError
from .events import ConnectionClosed, Data, EndOfMessage, Event, InformationalResponse, Request, Response
from .framing import NO_CONTENT_STATUS_CODES, UNTIL_CLOSE, framing_fault, response_body
from .limits import Limits
from .readers import (
    NOTHING_TO_READ,
    REFUSE_TO_READ,
    HeadReader,
    NothingToRead,
    RequestReader,
    ResponseReader,
    first_line,
)
from .sending import SendingHalf
from .state import (
    CLIENT,
    CLOSED,
    DONE,
    ERROR,
    IDLE,
    NEED_DATA,
    PAUSED,
    SERVER,
    SWITCH_STATES,
    SWITCHED_PROTOCOL,
    CloseReason,
    ConnectionState,
    Sentinel,
)
from .writers import NO_BODY, BodyWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .headers import BytesLike

__all__ = ["Connection"]

Pause: TypeAlias = "type[NEED_DATA | PAUSED]"


class Connection(SendingHalf):
    """The state of one HTTP/1.1 connection, and the only way to its bytes.

    Args:
        our_role: `CLIENT` or `SERVER`.
        max_incomplete_event_size: h11's one limit, in bytes: if given, it replaces ``head``, ``chunk_line``
            and ``trailers`` of *limits*.
        limits: What the peer may send; the defaults of `Limits` if not given.
        coalesce_chunks: Deliver all that is buffered of a chunked body as one `Data`, instead of one a chunk.

    Raises:
        ValueError: *our_role* is neither `CLIENT` nor `SERVER`.

    Attributes:
        our_role: As given.
        their_role: The other one.
        their_http_version: What the peer last said it speaks, like ``b"1.1"``; None before its first head.
            Kept by `start_next_cycle`.
        client_is_waiting_for_100_continue: The client sent ``Expect: 100-continue``, no response came yet,
            and it did not start its body either. RFC 9110 section 10.1.1.
    """

    __slots__ = (
        "_coalesce_chunks",
        "_eof",
        "_head_reader",
        "_informational_count",
        "_length_reader",
        "_limits",
    )

    def __init__(
        self,
        our_role: type[Sentinel],
        max_incomplete_event_size: int | None = None,
        *,
        limits: Limits | None = None,
        coalesce_chunks: bool = False,
    ) -> None:
        if our_role is not CLIENT and our_role is not SERVER:
            raise ValueError(f"expected CLIENT or SERVER, not {our_role!r}")
        self.our_role: type[Sentinel] = our_role
        self.their_role: type[Sentinel] = SERVER if our_role is CLIENT else CLIENT
        self.their_http_version: bytes | None = None
        self.client_is_waiting_for_100_continue: bool = False
        self._limits = limits or Limits()
        if max_incomplete_event_size is not None:
            self._limits = self._limits.with_sizes(max_incomplete_event_size)
        self._coalesce_chunks = coalesce_chunks
        self._state = ConnectionState()
        self._buffer = ReceiveBuffer()
        self._eof = False
        self._head_reader: HeadReader = (
            ResponseReader(self._buffer, self._limits, may_skip_line=False)
            if our_role is CLIENT
            else RequestReader(self._buffer, self._limits, may_skip_line=True)
        )
        self._reader: NothingToRead = self._head_reader
        self._length_reader = LengthReader(self._buffer)
        self._body_writer: BodyWriter = NO_BODY
        self._request_method: bytes | None = None
        self._informational_count = 0

    # ---- where we stand

    @property
    def states(self) -> dict[type[Sentinel], type[Sentinel]]:
        """Both states, as ``{CLIENT: state, SERVER: state}``; a copy."""
        return dict(self._state.states)

    @property
    def our_state(self) -> type[Sentinel]:
        """The state of the role that we play."""
        return self._state.states[self.our_role]

    @property
    def their_state(self) -> type[Sentinel]:
        """The state of the role that the peer plays."""
        return self._state.states[self.their_role]

    @property
    def they_are_waiting_for_100_continue(self) -> bool:
        """The peer is a client that awaits 100 (Continue) before it sends its body: answer before you read on."""
        return self.their_role is CLIENT and self.client_is_waiting_for_100_continue

    @property
    def trailing_data(self) -> tuple[bytes, bool]:
        """What was received and not parsed, and whether the peer closed its half behind it.

        After a switch of protocols it belongs to the next one.
        """
        return (bytes(self._buffer), self._eof)

    @property
    def close_reason(self) -> CloseReason | None:
        """Why this connection must not carry another cycle; None if it may, once this one is complete."""
        states = self._state.states.values()
        if ERROR in states:
            return CloseReason.ERROR
        if SWITCHED_PROTOCOL in states:
            return CloseReason.PROTOCOL_SWITCHED
        if self._state.close_reason is not None:
            return self._state.close_reason
        # Behind a response, or before the next request was sent, bytes answer nothing; that request would get
        # them for its response (RFC 9112 section 9.2). A server finds the client's next request there.
        if self._buffer:
            unexpected = self.our_role is CLIENT and self.their_state in (DONE, IDLE)
            return CloseReason.UNEXPECTED_DATA if unexpected else None
        return CloseReason.CLOSED if self._eof or CLOSED in states else None

    def start_next_cycle(self) -> None:
        """Make ready for the next request and response on this connection.

        Raises:
            LocalProtocolError: `close_reason` says why not, or one of the messages is not complete. Nothing
                changes.
        """
        buffer = self._buffer
        if (self._eof or buffer.start < len(buffer.data)) and (reason := self.close_reason) is not None:
            raise LocalProtocolError(f"not in a reusable state: {reason.value}")
        self._state.start_next_cycle()
        self._request_method = None
        self._informational_count = 0
        self._head_reader.may_skip_line = True
        self._reader = self._head_reader

    # ---- receiving

    def receive_data(self, data: BytesLike) -> Iterator[Event]:
        """Store *data*, and return an iterator over the events that it completes.

        The bytes are stored at once; they are parsed as the iterator advances, or by `next_event`: both take
        from the same queue, so the iterator may be dropped, as h11's callers do. It ends before `NEED_DATA`
        or `PAUSED`, and after `ConnectionClosed`. It raises what `next_event` raises.

        A bytes object that arrives while nothing is buffered is not copied.

        Args:
            data: Any number of bytes, bytes-like. ``b""`` says that the peer closed its half.

        Raises:
            RuntimeError: Data after ``b""``.
            TypeError: *data* is not bytes-like.
        """
        if type(data) is not bytes:
            data = memoryview(data).tobytes()
        if not data:
            self._eof = True
        elif self._eof:
            raise RuntimeError("received close, then received more data?")
        elif (buffer := self._buffer).start == len(buffer.data):  # as `append`, a call less
            buffer.data, buffer.start = data, 0
        else:
            buffer.append(data)
        return self._events()

    def next_event(self) -> Event | Pause:
        """Parse the next event out of what was received, and follow it in the state machine.

        Returns:
            An event; or `NEED_DATA`, if `receive_data` must be called first; or `PAUSED`, if nothing is parsed
            before `start_next_cycle`, or never again, since the connection closes or switched protocols.
            After the first `ConnectionClosed`, every call returns one.

        Raises:
            RemoteProtocolError: The peer broke the protocol, or closed in the middle of a message.
                `their_state` is then `ERROR`, and every further call raises.
        """
        try:
            event = self._reader.read()
            if event is None:
                return self._no_event()
            if type(event) is Data:  # the most frequent one
                self.client_is_waiting_for_100_continue = False
            else:
                RECEIVERS[type(event)](self, event)
            return event
        except BaseException as error:
            self._state.process_error(self.their_role)
            self._reader = REFUSE_TO_READ
            if type(error) is LocalProtocolError:
                raise RemoteProtocolError(str(error), error.error_status_hint) from None
            raise

    def take_rest(self) -> bytes | None:
        """Take the rest of a message at once, where its length is known and all of it was received.

        Returns:
            The body that `next_event` would deliver as `Data`, maybe none; the `EndOfMessage` behind it is taken
            too. None where that cannot be said yet, or there is a fault to raise: nothing changes, and `next_event`
            goes on.
        """
        reader, buffer = self._reader, self._buffer
        if type(reader) is not LengthReader:
            return None
        start = buffer.start
        end = start + reader.left
        if end > len(buffer.data):
            return None
        buffer.start = end
        self._state.process_event(self.their_role, EndOfMessage)
        self.client_is_waiting_for_100_continue = False
        self._reader = NOTHING_TO_READ
        taken = buffer.data[start:end]
        return taken if type(taken) is bytes else bytes(taken)

    def passthrough_available(self) -> int:
        """Return how many next bytes on the wire are nothing but body, and may bypass `receive_data`.

        0 while anything is buffered, so call `next_event` until `NEED_DATA` first; ``sys.maxsize`` if only
        the close of the connection ends the body. Of a chunked body, what is left of the current chunk.
        """
        if self._buffer or self._eof:
            return 0
        return self._reader.left

    def passthrough_received(self, count: int) -> None:
        """Say that the next *count* bytes on the wire were body, and were read past this object.

        Raises:
            LocalProtocolError: Fewer than 0, or more than `passthrough_available`. Nothing changes.
        """
        if not 0 <= count <= self.passthrough_available():
            raise LocalProtocolError(
                f"{count} bytes of passthrough: only {self.passthrough_available()} are body"
            )
        if count:
            self._reader.skip(count)
            self.client_is_waiting_for_100_continue = False

    def _events(self) -> Iterator[Event]:
        while True:
            event = self.next_event()
            if not isinstance(event, Event):
                return
            yield event
            if type(event) is ConnectionClosed:
                return

    def _no_event(self) -> Event | Pause:
        """The reader has too few bytes: say what the caller should do, or if there will be no more, what it means."""
        buffered = bool(self._buffer)
        if self._reader is NOTHING_TO_READ and (buffered or self.their_state in SWITCH_STATES):
            return PAUSED
        if not self._eof:
            return NEED_DATA
        end = self._reader.read_eof()
        if end is not None:
            self._receive_end(end)
            return end
        if buffered:
            raise RemoteProtocolError(
                f"peer unexpectedly closed connection in the middle of a head: {first_line(bytes(self._buffer))}"
            )
        self._state.process_event(self.their_role, ConnectionClosed)
        self._reader = NOTHING_TO_READ
        return ConnectionClosed()

    def _receive_end(self, _event: EndOfMessage) -> None:
        self.client_is_waiting_for_100_continue = False
        self._state.process_event(self.their_role, EndOfMessage)
        self._reader = NOTHING_TO_READ

    def _receive_request(self, request: Request) -> None:
        length = self._process_request(self.their_role, request)
        self.their_http_version = request._http_version
        self._reader = NOTHING_LEFT if length == 0 else self._body_reader(length)

    def _receive_informational(self, response: InformationalResponse) -> None:
        self._informational_count += 1
        if self._informational_count > self._limits.informational:
            raise RemoteProtocolError(f"more than {self._limits.informational} informational responses")
        self._state.process_informational(self.their_role, response._status_code)
        self.client_is_waiting_for_100_continue = False
        self.their_http_version = response._http_version
        self._follow_their_state()

    def _receive_response(self, response: Response) -> None:
        control, status_code = response._headers.control, response._status_code
        length = response_body(control, status_code, self._request_method)
        self.their_http_version = response._http_version
        self.client_is_waiting_for_100_continue = False
        if self._state.process_response(self.their_role, response) is SWITCHED_PROTOCOL:
            self._reader = NOTHING_TO_READ
            return
        if self._head_reader.close_reason is not None:
            self._state.disable_keep_alive(self._head_reader.close_reason)
        if length == UNTIL_CLOSE:
            self._state.disable_keep_alive(CloseReason.READ_UNTIL_CLOSE)
        elif (b"transfer-encoding" in control or status_code in NO_CONTENT_STATUS_CODES) and framing_fault(
            control, status_code, response._http_version
        ):
            self._state.disable_keep_alive(CloseReason.FRAMING_FAULT)
        self._reader = self._body_reader(length)

    def _body_reader(self, length: int) -> NothingToRead:
        if length >= 0:
            return self._length_reader.begin(length)
        return body_reader(length, self._buffer, self._limits, self.our_role, self._coalesce_chunks)


#: What `Connection.next_event` does with each kind of event that a reader returns, but `Data`.
RECEIVERS: Final[dict[type, Callable[[Connection, Any], None]]] = {
    Request: Connection._receive_request,
    InformationalResponse: Connection._receive_informational,
    Response: Connection._receive_response,
    EndOfMessage: Connection._receive_end,
}
