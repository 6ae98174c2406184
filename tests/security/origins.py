"""Two origins, and a session that finds every name at 127.0.0.1: what most of the attacks need.

The law of this file: what an origin saw is what came over the socket, byte for byte; nothing of the client is asked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import client
from tests.scripted_server import Conversation, ScriptedServer

__all__ = ["OK", "Origins", "fields", "redirect", "response", "two_origins"]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def response(*lines: bytes, status: bytes = b"200 OK", body: bytes = b"ok") -> bytes:
    """Return a response with these field lines and its length."""
    head = [b"HTTP/1.1 " + status, *lines, b"Content-Length: %d" % len(body)]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def redirect(location: str, status: int = 302, *lines: bytes) -> bytes:
    """Return an empty redirect to *location*."""
    return response(b"Location: " + location.encode(), *lines, status=b"%d Go" % status, body=b"")


def fields(request: bytes) -> dict[bytes, bytes]:
    """Return the header fields of a raw request, names in lower case; a repeated name is the test's failure."""
    head = request.partition(b"\r\n\r\n")[0]
    pairs = [line.partition(b": ") for line in head.split(b"\r\n")[1:]]
    found = {name.lower(): value for name, _, value in pairs}
    assert len(pairs) == len(found), f"a repeated field in {head!r}"
    return found


def to_loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


class Origins:
    """Two listeners; ``a.test``, ``b.test`` and any other name lead to 127.0.0.1, so the port chooses.

    Attributes:
        a, b: The listeners.
    """

    def __init__(self, a: ScriptedServer, b: ScriptedServer) -> None:
        self.a, self.b = a, b

    @property
    def url_a(self) -> str:
        return f"http://a.test:{self.a.port}"

    @property
    def url_b(self) -> str:
        return f"http://b.test:{self.b.port}"

    @contextlib.contextmanager
    def session(self, **settings: Any) -> Iterator[client.Session]:
        with client.Session(**{"trust_env": False, "resolver": to_loopback, **settings}) as session:
            yield session

    def hop(self, status: int = 302) -> tuple[Conversation, Conversation]:
        """Script a redirect from A to B, where a 200 waits."""
        return self.a.answer(redirect(f"{self.url_b}/there", status)), self.b.answer(OK)


@contextlib.contextmanager
def two_origins() -> Iterator[Origins]:
    """Open both; leaving fails if a script was not played to its end or a connection came without one."""
    with ScriptedServer() as a, ScriptedServer() as b:
        yield Origins(a, b)
