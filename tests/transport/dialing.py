"""What the tests of the roads share: budgets, dials that clean up, and addresses that never answer."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

from client.timeouts import Budget, Deadline, Timeouts
from client.transport.cancel import CancelToken
from client.transport.dialer import Dialed, NetworkOptions, Route, Trace, dial
from tests.scripted_server import Conversation, ExpectClosed, ScriptedServer

__all__ = ["CloseNotify", "black_hole", "budget_of", "cancel_when", "dialed", "found", "welcomed"]

PATIENCE = 10.0


def budget_of(seconds: float | None = PATIENCE) -> Budget:
    """Return a connect budget."""
    return Deadline(Timeouts(connect=seconds, read=None, write=None, pool=None, total=None)).budget("connect")


@contextlib.contextmanager
def dialed(
    route: Route,
    *,
    seconds: float | None = PATIENCE,
    cancel: CancelToken | None = None,
    trace: Trace | None = None,
    **options: Any,
) -> Iterator[Dialed]:
    """Dial with *options* of `NetworkOptions`, and close the socket in the end."""
    connection = dial(route, NetworkOptions(**options), budget_of(seconds), cancel, trace)
    try:
        connection.sock.settimeout(PATIENCE)
        yield connection
    finally:
        connection.sock.close()


def found(*addresses: str) -> Any:
    """Return a resolver that answers *addresses*."""
    return lambda host, port: list(addresses)


@contextlib.contextmanager
def welcomed(server: ScriptedServer, route: Route, **options: Any) -> Iterator[Dialed]:
    """As `dialed`, and the server has accepted the connection when the block begins."""
    conversation = server.script(ExpectClosed())
    with dialed(route, **options) as connection:
        assert conversation.accepted.wait(10)
        yield connection


@contextlib.contextmanager
def black_hole(host: str = "127.0.0.1", port: int = 0) -> Iterator[tuple[str, int]]:
    """Give (host, port) of a listener whose queue is full: Linux drops the SYN of every further connection."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((host, port), backlog=0))
        address = listener.getsockname()[:2]
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        yield address


@contextlib.contextmanager
def cancel_when(event: threading.Event, token: CancelToken, error: BaseException) -> Iterator[None]:
    """Cancel *token* with *error* from another thread once *event* is set."""

    def cancel() -> None:
        if event.wait(PATIENCE):
            token.cancel(error)

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        yield
    finally:
        event.set()
        thread.join()


class CloseNotify:
    """A step of a script: send a close_notify and don't wait for the client's own."""

    def play(self, conversation: Conversation) -> None:
        conversation.socket.settimeout(0.01)
        with contextlib.suppress(TimeoutError, ssl.SSLError):
            conversation.socket.unwrap()  # type: ignore[attr-defined]  # it is TLS
