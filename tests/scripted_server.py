"""A TCP server that plays exact bytes, for peers that no HTTP library would let us be.

The law of this file: raw sockets only, never our own engine; a bug shared by client and server would be invisible.
One script is one connection, played in the order of acceptance; a script is a row of steps::

    with ScriptedServer() as server:
        first = server.script(Expect(b"GET / "), Send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhel"), Reset())
        ...
    assert first.requests == [b"GET / HTTP/1.1\\r\\nHost: ...\\r\\n\\r\\n"]

Leaving the block joins every thread and fails, naming the step, if a script was not played to its end, an
expectation did not hold, or a connection came for which there was no script.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

__all__ = [
    "AnswerSlowly",
    "Close",
    "Conversation",
    "Expect",
    "ExpectClosed",
    "FailedHandshake",
    "Flood",
    "HalfClose",
    "Hold",
    "Pause",
    "Reset",
    "ScriptedServer",
    "Send",
    "Signal",
    "StartTLS",
    "Step",
    "Wait",
]

PATIENCE = 10.0  # seconds; how long a step may take before the script counts as not played
READ_SIZE = 65536


class Step(Protocol):
    """One thing that the server does; raises `AssertionError` or `OSError` where it can't."""

    def play(self, conversation: Conversation) -> None: ...


@dataclass(frozen=True, slots=True)
class Expect:
    """Read up to and including *until*, then *body* more bytes; record them; they must start with *prefix*."""

    prefix: bytes = b""
    until: bytes = b"\r\n\r\n"
    body: int = 0

    def play(self, conversation: Conversation) -> None:
        request = conversation.read_until(self.until) + conversation.read_exactly(self.body)
        conversation.requests.append(request)
        assert self.prefix == request[: len(self.prefix)], f"expected {self.prefix!r}, got {request[:200]!r}"


@dataclass(frozen=True, slots=True)
class ExpectClosed:
    """Wait until the client closes the connection; *silently* also forbids any byte before that."""

    silently: bool = True

    def play(self, conversation: Conversation) -> None:
        rest = conversation.read_rest()
        if self.silently:
            assert rest == b"", f"expected the client to close, got {rest[:200]!r}"


@dataclass(frozen=True, slots=True)
class Send:
    """Send *data*, in writes of *piece* bytes if given; *may_fail* where the client may have gone by then."""

    data: bytes
    piece: int | None = None
    may_fail: bool = False

    def play(self, conversation: Conversation) -> None:
        piece = self.piece or max(1, len(self.data))
        try:
            for start in range(0, len(self.data), piece):
                conversation.socket.sendall(self.data[start : start + piece])
        except OSError:
            if not self.may_fail:
                raise


@dataclass(frozen=True, slots=True)
class Flood:
    """Send *piece* again and again until the client goes away, or *limit* bytes are out."""

    piece: bytes
    limit: int

    def play(self, conversation: Conversation) -> None:
        sent = 0
        with contextlib.suppress(OSError):
            while sent < self.limit:
                conversation.socket.sendall(self.piece)
                sent += len(self.piece)


@dataclass(frozen=True, slots=True)
class AnswerSlowly:
    """Answer each request with *response*, *seconds* after it came, until the client goes away or the server is closed."""

    response: bytes
    seconds: float

    def play(self, conversation: Conversation) -> None:
        while not conversation.stopping.is_set():
            try:
                conversation.read_until(b"\r\n\r\n")
                conversation.stopping.wait(self.seconds)
                conversation.socket.sendall(self.response)
            except (AssertionError, OSError):  # it has gone
                return


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for *event*, which the test sets: the way to order the two sides without sleeping."""

    event: threading.Event

    def play(self, conversation: Conversation) -> None:
        assert self.event.wait(conversation.patience), "the test did not set the event"


@dataclass(frozen=True, slots=True)
class Signal:
    """Set *event*, for which the test waits: this far the script has been played."""

    event: threading.Event

    def play(self, conversation: Conversation) -> None:
        self.event.set()


@dataclass(frozen=True, slots=True)
class Pause:
    """Be silent for *seconds*, or until the server is closed: for slow peers, never to wait for the client."""

    seconds: float

    def play(self, conversation: Conversation) -> None:
        conversation.stopping.wait(self.seconds)


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep the connection open, whatever arrives, until the client closes it or the server is closed."""

    def play(self, conversation: Conversation) -> None:
        conversation.holding = True
        with contextlib.suppress(OSError):  # closing the server shuts the socket down under this read
            while not conversation.stopping.is_set() and conversation.socket.recv(READ_SIZE):
                pass


@dataclass(frozen=True, slots=True)
class Close:
    """Close with a FIN. Bytes that no `Expect` has read turn it into a reset, as in any TCP stack."""

    def play(self, conversation: Conversation) -> None:
        conversation.socket.close()


@dataclass(frozen=True, slots=True)
class Reset:
    """Close with an RST: SO_LINGER of zero seconds."""

    def play(self, conversation: Conversation) -> None:
        conversation.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conversation.socket.close()


@dataclass(frozen=True, slots=True)
class HalfClose:
    """Send a FIN (below TLS: no close_notify) and go on reading."""

    def play(self, conversation: Conversation) -> None:
        socket.socket.shutdown(conversation.socket, socket.SHUT_WR)


@dataclass(frozen=True, slots=True)
class StartTLS:
    """Become a TLS server from here on, as behind a CONNECT."""

    context: ssl.SSLContext

    def play(self, conversation: Conversation) -> None:
        conversation.start_tls(self.context)


@dataclass(frozen=True, slots=True)
class FailedHandshake:
    """The client must refuse the TLS handshake; the only step of its script."""

    def play(self, conversation: Conversation) -> None:
        raise AssertionError("the client accepted the TLS handshake")


class Conversation:
    """One connection: its script, and what the client sent on it.

    Attributes:
        requests: What each `Expect` read, raw.
        received: Every byte that was read, raw (below TLS: decrypted).
        accepted: Set once the connection exists.
        finished: Set once the script has been played or has failed.
        failure: Why the script was not played to its end, else None.
    """

    def __init__(self, steps: tuple[Step, ...], patience: float, stopping: threading.Event) -> None:
        self.steps = steps
        self.patience = patience
        self.stopping = stopping
        self.requests: list[bytes] = []
        self.received = bytearray()
        self.accepted = threading.Event()
        self.finished = threading.Event()
        self.failure: str | None = None
        self.holding = False
        self.socket: socket.socket
        self._unread = bytearray()

    def play(self, accepted: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Play all steps on *accepted* and close it."""
        self.socket = accepted
        self.accepted.set()
        step: Step | str = "TLS handshake"
        try:
            accepted.settimeout(self.patience)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                try:
                    self.start_tls(tls)
                except OSError:
                    if isinstance(self.steps[0], FailedHandshake):
                        return
                    raise
            for step in self.steps:
                step.play(self)
        except (AssertionError, OSError) as error:
            self.failure = f"{step!r}: {error!r}"
        finally:
            self.socket.close()
            self.finished.set()

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Wrap the socket; what was read before stays in `received`."""
        assert not self._unread, f"the client sent {bytes(self._unread)!r} before the handshake"
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def read_until(self, delimiter: bytes) -> bytes:
        """Read up to and including *delimiter*."""
        while delimiter not in self._unread:
            assert self._read(), (
                f"expected {delimiter!r}, the client closed after {bytes(self._unread)[-200:]!r}"
            )
        return self._take(self._unread.index(delimiter) + len(delimiter))

    def read_exactly(self, count: int) -> bytes:
        """Read *count* bytes."""
        while len(self._unread) < count:
            assert self._read(), f"expected {count} bytes, the client closed after {len(self._unread)}"
        return self._take(count)

    def read_rest(self) -> bytes:
        """Read until the client closes; a reset counts as closing."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while self._read():
                pass
        return self._take(len(self._unread))

    def _read(self) -> bool:
        data = self.socket.recv(READ_SIZE)
        self.received += data
        self._unread += data
        return bool(data)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        return taken


class ScriptedServer:
    """Listens on 127.0.0.1 and plays one script a connection; see the module's docstring.

    Args:
        tls: Speak TLS with this context from the first byte on.
        patience: Seconds that a step may take.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, patience: float = PATIENCE) -> None:
        self.conversations: list[Conversation] = []
        self._tls = tls
        self._patience = patience
        self._stopping = threading.Event()
        self._pending: deque[Conversation] = deque()
        self._unexpected = 0
        self._last_guest: object = None
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.host, self.port = self._listener.getsockname()[:2]
        self._acceptor = threading.Thread(target=self._accept, name="scripted-server", daemon=True)

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port``; below TLS ``https://localhost:port``."""
        return f"http://{self.host}:{self.port}" if self._tls is None else f"https://localhost:{self.port}"

    def script(self, *steps: Step) -> Conversation:
        """Queue the script of one more connection; may be called while the server runs."""
        conversation = Conversation(steps, self._patience, self._stopping)
        self.conversations.append(conversation)
        self._pending.append(conversation)
        return conversation

    def answer(self, *responses: bytes) -> Conversation:
        """Queue a keep-alive connection: one bodyless request, one of *responses*, and so on; then hold it open."""
        steps: list[Step] = []
        for response in responses:
            steps += [Expect(), Send(response)]
        return self.script(*steps, Hold())

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        problems = self._close()
        if problems and error is None:
            raise AssertionError("scripted server: " + "; ".join(problems))
        if problems and error is not None:
            error.add_note("scripted server: " + "; ".join(problems))

    def _accept(self) -> None:
        while True:
            try:
                accepted, peer = self._listener.accept()
            except OSError:  # the listener is closed
                return
            if peer == self._last_guest:
                accepted.close()
                return
            if not self._pending:
                self._unexpected += 1
                accepted.close()
                continue
            conversation = self._pending.popleft()
            thread = threading.Thread(
                target=conversation.play, args=(accepted, self._tls), name="scripted-connection", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _close(self) -> list[str]:
        """Stop, join, and say what did not go by the script."""
        self._stopping.set()
        # Closing a listener does not wake accept() in another thread on Linux; a connection does. It stands in the
        # line behind those that a client has made already, so that they are still played.
        with contextlib.suppress(OSError), socket.socket() as guest:
            guest.bind((self.host, 0))
            self._last_guest = guest.getsockname()
            guest.connect((self.host, self.port))
            self._acceptor.join(self._patience)
        self._listener.close()
        deadline = time.monotonic() + self._patience
        for conversation, thread in zip(self.conversations, self._threads, strict=False):
            while thread.is_alive() and time.monotonic() < deadline:
                if conversation.holding:
                    with contextlib.suppress(OSError):
                        socket.socket.shutdown(conversation.socket, socket.SHUT_RDWR)
                thread.join(0.02)
        problems = [
            f"connection {number} was not played to its end: {conversation.failure or 'never came'}"
            for number, conversation in enumerate(self.conversations, 1)
            if conversation.failure or not conversation.finished.is_set()
        ]
        if self._unexpected:
            problems.append(f"{self._unexpected} connection(s) came for which there was no script")
        return problems
