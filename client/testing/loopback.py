"""A small threaded HTTP/1.1 server for demos, examples and tests; `client.testing.routes` has its answers.

The law of the room: every byte goes through the engine's SERVER role, one thread serves one connection, and
every wait ends when the server is closed.  Waits in `recv` and `send` end because closing shuts each socket
down, all others because they wait for the event that closing sets.
"""

from __future__ import annotations

import contextlib
import hashlib
import selectors
import socket
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from client import protocol
from client.testing import routes
from client.testing.routes import Answer, BodyFacts, ReceivedRequest

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["LoopbackServer", "ServerStats"]

READ_SIZE: Final = 128 * 1024  # bytes a recv; twice as much costs small requests more than it gives uploads
ONE_WRITE: Final = 64 * 1024  # bytes; up to this size a copy costs less than another system call
HEAD_ONLY: Final = frozenset({204, 304})  # statuses without body and length (RFC 9110 sections 6.4.1 and 8.6)
PATIENCE: Final = 10.0  # seconds for a TLS handshake
LINGER_SECONDS: Final = 1.0  # how long is still read after an answer that ends the connection early
LINGER_BYTES: Final = 1024 * 1024  # ... and how much


class ServerStats(NamedTuple):
    """What a `LoopbackServer` has served so far.

    Attributes:
        connections: TCP connections accepted.
        requests: Request heads received whole, whatever was answered.
    """

    connections: int
    requests: int


class LoopbackServer:
    """An HTTP server on this machine; `client.testing.routes` lists its paths.

    Args:
        tls: Speak TLS with this server-side context. None: plain HTTP.
        host: The address or name to bind; stands in `url` as given.
        port: 0 lets the system choose a free one.

    Use it in a ``with`` block, or call `start` and `close`::

        with LoopbackServer() as server:
            client.get(server.url + "/bytes/1000")
    """

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        """Hold the settings; nothing is bound before `start`."""
        self._tls = tls
        self._host = host
        self._port = port
        self._opened: contextlib.ExitStack | None = None
        self._conversations: list[_Conversation] = []
        self._stopping = threading.Event()
        self._counting = threading.Lock()
        self._connections = 0
        self._requests = 0

    @property
    def url(self) -> str:
        """``http://host:port`` (``https`` with TLS), without a slash at its end; valid once started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'http' if self._tls is None else 'https'}://{host}:{self._port}"

    @property
    def host(self) -> str:
        """The address or name that was bound."""
        return self._host

    @property
    def port(self) -> int:
        """The TCP port; valid once started."""
        return self._port

    @property
    def stats(self) -> ServerStats:
        """How many connections and requests came so far."""
        with self._counting:
            return ServerStats(self._connections, self._requests)

    def start(self) -> None:
        """Bind and serve in the background; once closed, start again on the same port.

        Raises:
            OSError: The address cannot be bound.
            RuntimeError: The server is running.
        """
        if self._opened is not None:
            raise RuntimeError("the server is running")
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with contextlib.ExitStack() as opened:
            listener = socket.create_server((self._host, self._port), family=family, backlog=1024)
            opened.enter_context(listener)
            listener.setblocking(False)
            wake_read, self._wake_write = map(opened.enter_context, socket.socketpair())
            selector = opened.enter_context(selectors.DefaultSelector())
            selector.register(listener, selectors.EVENT_READ)
            selector.register(wake_read, selectors.EVENT_READ)
            self._stopping.clear()
            self._conversations = []
            self._acceptor = threading.Thread(
                target=self._accept, args=(listener, selector), name="loopback-server", daemon=True
            )
            self._acceptor.start()
            self._port = listener.getsockname()[1]
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Stop at once, cutting what is under way; return when no thread or socket is left. Idempotent."""
        if self._opened is None:
            return
        self._stopping.set()
        self._wake_write.send(b"\0")
        self._acceptor.join()
        for conversation in self._conversations:
            conversation.abort()
        for conversation in self._conversations:
            conversation.thread.join()
        self._opened.close()
        self._opened = None

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the server."""
        self.close()

    def _accept(self, listener: socket.socket, selector: selectors.BaseSelector) -> None:
        while True:
            selector.select()
            if self._stopping.is_set():
                return
            try:
                accepted, _ = listener.accept()
            except BlockingIOError:  # the client left between select and accept
                continue
            except OSError:  # out of descriptors: those in use must be given a chance to end
                self._stopping.wait(0.05)
                continue
            self._serve(accepted)

    def _serve(self, accepted: socket.socket) -> None:
        with self._counting:
            self._connections += 1
        conversation = _Conversation(accepted, self._tls, self._stopping, self._count_request)
        try:
            conversation.thread.start()
        except RuntimeError:  # out of threads: this client goes, the others stay
            accepted.close()
            return
        self._conversations = [other for other in self._conversations if other.thread.is_alive()]
        self._conversations.append(conversation)

    def _count_request(self) -> None:
        with self._counting:
            self._requests += 1


class _Stopping(Exception):
    """The server is being closed."""


class _Conversation:
    """One connection and the thread that serves it."""

    def __init__(
        self,
        accepted: socket.socket,
        tls: ssl.SSLContext | None,
        stopping: threading.Event,
        count_request: Callable[[], None],
    ) -> None:
        self.thread = threading.Thread(target=self._run, name="loopback-connection", daemon=True)
        self._socket = accepted
        self._tls = tls
        self._stopping = stopping
        self._count_request = count_request
        self._closing = threading.Lock()  # a descriptor that `_run` closed may be somebody else's by now
        self._closed = False
        self._engine = protocol.Connection(protocol.SERVER, coalesce_chunks=True)

    def abort(self) -> None:
        """Wake the thread from whatever it waits for on the socket; called from another thread."""
        with self._closing, contextlib.suppress(OSError):
            if not self._closed:
                # Not SSLSocket.shutdown: a read after it would return raw TLS records.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _run(self) -> None:
        try:
            self._socket.setblocking(True)  # some systems let it inherit the listener's mode
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                self._start_tls(self._tls)
            while self._exchange():
                self._engine.start_next_cycle()
            self._end()
        except (OSError, _Stopping):  # the client has gone, or we are going
            pass
        finally:
            with self._closing:
                self._closed = True
                self._socket.close()

    def _start_tls(self, context: ssl.SSLContext) -> None:
        self._socket.settimeout(PATIENCE)
        # Up to Python 3.12 wrap_socket loses the descriptor if the client has reset the connection by then.
        self._socket.recv(1, socket.MSG_PEEK)
        with self._closing:  # wrapping takes the descriptor away from the socket that `abort` knows
            self._socket = wrapped = context.wrap_socket(
                self._socket, server_side=True, do_handshake_on_connect=False
            )
        if self._stopping.is_set():
            raise _Stopping
        wrapped.do_handshake()
        wrapped.settimeout(None)

    def _exchange(self) -> bool:
        """Serve one request; return whether the connection can take another."""
        engine = self._engine
        method = ""
        try:
            event = self._next_event()
            if not isinstance(event, protocol.Request):
                return False
            self._count_request()
            request = self._received(event)
            method = request.method
            answer = routes.answer(request)
            # RFC 9110 section 10.1.1: a final status instead of 100 spares the client its body. What it sends
            # all the same can't be told from the next request, so the connection ends.
            refused = engine.they_are_waiting_for_100_continue and answer.status >= 400
            if not refused:
                request.body  # noqa: B018  # receives it
            self._answer(answer, method, close=refused)
        except protocol.RemoteProtocolError as error:
            if engine.our_state in (protocol.IDLE, protocol.SEND_RESPONSE):
                refusal = routes.json_answer({"error": str(error)}, error.error_status_hint)
                self._answer(refusal, method, close=True)
            return False
        return engine.our_state is protocol.DONE and engine.their_state is protocol.DONE

    def _received(self, head: protocol.Request) -> ReceivedRequest:
        headers: dict[str, str] = {}
        for raw_name, raw_value in head.headers:
            name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return ReceivedRequest(
            head.method.decode("ascii"),
            head.target.decode("latin-1"),
            head.http_version.decode("ascii"),
            headers,
            receive_body=self._receive_body,
            pause=self._pause,
        )

    def _receive_body(self) -> BodyFacts:
        """Read the body to its end, in constant memory."""
        engine = self._engine
        if engine.they_are_waiting_for_100_continue:
            self._write(engine.send(protocol.InformationalResponse(status_code=100, headers=[])))
        digest = hashlib.sha256()
        length = 0
        while not isinstance(event := self._next_event(), protocol.EndOfMessage):
            if isinstance(event, protocol.Data):
                digest.update(event.data)
                length += len(event.data)
        trailers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
        return BodyFacts(length, digest.hexdigest(), trailers)

    def _answer(self, answer: Answer, method: str, *, close: bool) -> None:
        """Send *answer*: in a single write if its pieces are there, else each as it is made."""
        engine = self._engine
        headers = [("Date", http_date(time.time())), ("Server", "threadwire-loopback"), *answer.headers]
        if close:
            headers.append(("Connection", "close"))
        if answer.length is None:
            headers.append(("Transfer-Encoding", "chunked"))
        elif answer.status not in HEAD_ONLY:
            headers.append(("Content-Length", str(answer.length)))
        reason = reason_of(answer.status)
        head = protocol.Response(status_code=answer.status, headers=headers, reason=reason)
        unsent: list[bytes | bytearray | memoryview] = [engine.send(head)]
        if method != "HEAD" and answer.status not in HEAD_ONLY:
            for piece in answer.pieces:
                unsent += engine.frame_data(piece)
                if not isinstance(answer.pieces, list):
                    self._write(*unsent)
                    unsent = []
        self._write(*unsent, engine.send(protocol.EndOfMessage()))

    def _next_event(self) -> object:
        """Return an event, or `PAUSED`; the caller asks for the class that it can use."""
        while (event := self._engine.next_event()) is protocol.NEED_DATA:
            self._engine.receive_data(self._socket.recv(READ_SIZE))
        return event

    def _write(self, *pieces: bytes | bytearray | memoryview) -> None:
        """Write all; what is small in one segment."""
        if sum(map(len, pieces)) <= ONE_WRITE:
            pieces = (b"".join(pieces),)
        for piece in pieces:
            if piece:
                self._socket.sendall(piece)

    def _pause(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise _Stopping

    def _end(self) -> None:
        """Say goodbye, and let what was answered arrive before the socket closes.

        Unread bytes would turn our FIN into a reset, which takes the answer with it (RFC 9112 section 9.6).
        """
        if self._tls is not None:
            self._socket.setblocking(False)  # send close_notify, don't wait for the client's
            with contextlib.suppress(OSError, ValueError):
                self._socket.unwrap()  # type: ignore[attr-defined]  # an SSLSocket: see `_start_tls`
        if self._engine.their_state is protocol.CLOSED:
            return
        # Below TLS: what is read here is thrown away, and need not be decrypted.
        socket.socket.shutdown(self._socket, socket.SHUT_WR)
        until = time.monotonic() + LINGER_SECONDS
        left = LINGER_BYTES
        while left > 0 and (seconds := until - time.monotonic()) > 0:
            self._socket.settimeout(seconds)
            if not (received := socket.socket.recv(self._socket, READ_SIZE)):
                return
            left -= len(received)


def http_date(seconds: float) -> str:
    """Write seconds since the epoch as an IMF-fixdate, whatever the locale (RFC 9110 section 5.6.7)."""
    year, month, day, hour, minute, second, weekday, *_ = time.gmtime(seconds)
    day_name = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[weekday]
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{day_name}, {day:02} {months[month - 1]} {year} {hour:02}:{minute:02}:{second:02} GMT"


def reason_of(status: int) -> str:
    """Return the reason phrase registered for *status*, empty if there is none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
