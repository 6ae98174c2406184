"""Calls that get stuck, one for each phase in which a call can wait: what deadlines and stops are tried on.

The peers are raw sockets that accept and then misbehave; the addresses are on the loopback.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import client
from client.timeouts import Timeouts
from tests.tls_authority import TLSAuthority
from tests.transport.dialing import black_hole

__all__ = ["PHASES", "Stuck", "stuck_calls"]

HELD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
MOVED = b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 2\r\n\r\n"  # its body is waited for a moment
BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"
BODY = bytes(16 << 20)  # more than the kernel buffers on loopback
ONE = client.PoolLimits(total=1, per_origin=1)

#: Every phase that `client.Timeout.phase` can name, and those beside: bodies, TLS, the pause before a retry.
PHASES = (
    "pool", "dns", "connect", "proxy", "tls", "write", "continue", "read", "total", "body", "read in TLS", "write in TLS",
    "redirect", "retry",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stuck:
    """A call that gets stuck in one phase.

    Attributes:
        limit: What is to fire there; None where nothing but a stop ends the wait.
        url: Where to.
        arguments: Of `Session.request`; ``method`` is GET if it is not among them.
        event: The last that the session's trace is told before the call is stuck.
        occupied: Sessions have one connection; the URL of a response that holds it, or None.
        resolver: Answers nothing until the calls are let go.
        verify: For the session.
    """

    limit: Timeouts | None
    url: str
    arguments: dict[str, Any]
    event: str
    occupied: str | None
    resolver: Callable[[str, int], list[str]]
    verify: str

    @contextlib.contextmanager
    def session(self, *, offload: bool = False) -> Iterator[client.Session]:
        """Make a session in which the call gets stuck."""
        with client.Session(
            trust_env=False,
            limits=ONE,
            workers=1,
            resolver=self.resolver,
            verify=self.verify,
            offload=offload,
        ) as session:
            if self.occupied is None:
                yield session
            else:
                with session.get(self.occupied, stream=True, timeout=10):
                    yield session

    def request(self) -> dict[str, Any]:
        """Return the arguments of the call."""
        return {"method": "GET", "url": self.url} | self.arguments


@contextlib.contextmanager
def stuck_calls(seconds: float, authority: TLSAuthority) -> Iterator[dict[str, Stuck]]:
    """Give the call for each of `PHASES`, with a limit of *seconds* for it."""
    with contextlib.ExitStack() as stack:
        silent = f"127.0.0.1:{listening(stack)}"
        headed = f"127.0.0.1:{listening(stack, HELD)}"
        moved = f"127.0.0.1:{listening(stack, MOVED)}"
        busy = f"127.0.0.1:{listening(stack, BUSY)}"
        secured = f"127.0.0.1:{listening(stack, tls=authority.server_context())}"
        host, port = stack.enter_context(black_hole())
        released = threading.Event()
        stack.callback(released.set)

        def resolver(name: str, port: int) -> list[str]:
            released.wait(30)
            return []

        def stuck(
            event: str, limit: Timeouts | None, url: str, occupied: str | None = None, **arguments: Any
        ) -> Stuck:
            return Stuck(limit, url, arguments, event, occupied, resolver, str(authority.bundle))

        connect, read, write, total = (
            Timeouts(**{name: seconds}) for name in ("connect", "read", "write", "total")
        )
        upload: dict[str, Any] = {"method": "POST", "data": BODY}
        yield {
            "pool": stuck("queue.start", Timeouts(pool=seconds), f"http://{headed}/", f"http://{headed}/"),
            "dns": stuck("dns.start", connect, "http://slow.test/"),
            "connect": stuck("connect.start", connect, f"http://{host}:{port}/"),
            "proxy": stuck("proxy.start", connect, "https://a.test/", proxies={"all": f"http://{silent}"}),
            "tls": stuck("tls.start", connect, f"https://{silent}/"),
            "write": stuck("send.start", write, f"http://{silent}/", **upload),
            "continue": stuck("continue.start", total, f"http://{silent}/", **upload, expect=True),
            "read": stuck("wait.start", read, f"http://{silent}/"),
            "total": stuck("receive.start", total, f"http://{headed}/"),
            "body": stuck("receive.start", read, f"http://{headed}/"),
            "read in TLS": stuck("wait.start", read, f"https://{secured}/"),
            "write in TLS": stuck("send.start", write, f"https://{secured}/", **upload),
            "redirect": stuck("receive.start", total, f"http://{moved}/"),
            "retry": stuck("retry", None, f"http://{busy}/", retries=1),
        }


def listening(stack: contextlib.ExitStack, greeting: bytes = b"", tls: ssl.SSLContext | None = None) -> int:
    """Accept connections, answer the first bytes of each with *greeting*, and read no more; return the port."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    held = stack.enter_context(contextlib.ExitStack())

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # the listener is closed
                return
            held.enter_context(connection)
            with contextlib.suppress(OSError):  # the client has gone
                connection.settimeout(5)
                if tls is not None:
                    held.enter_context(tls.wrap_socket(connection, server_side=True))
                if greeting and connection.recv(65536):
                    connection.sendall(greeting)

    thread = threading.Thread(target=accept, name="stuck-server", daemon=True)
    thread.start()

    def stop() -> None:
        with contextlib.suppress(OSError):  # wakes accept() on Linux, where closing would not
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)

    stack.callback(stop)
    return int(listener.getsockname()[1])
