"""`Response.close` on another thread than the one that reads: who waits is woken, and closes what it waited on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import client
from client.exceptions import StreamConsumedError
from client.transport.connection import HTTPConnection
from tests.scripted_server import Expect, ExpectClosed, ScriptedServer, Send
from tests.tls_authority import TLSAuthority

HEAD = b"HTTP/1.1 200 OK\r\n"
BEGINNINGS = {
    "length": HEAD + b"Content-Length: 100000\r\n\r\nhel",
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
    "close": HEAD + b"\r\nhel",
}
READERS: dict[str, Callable[[client.Response], object]] = {
    "content": lambda response: response.content,
    "pieces": lambda response: list(response.iter_content(10)),
    "file": lambda response: response.open().read(),
}


@pytest.fixture(params=["plain", "TLS"])
def server(
    request: pytest.FixtureRequest, scripted_server: ScriptedServer, scripted_tls_server: ScriptedServer
) -> ScriptedServer:
    """The same script over either."""
    return scripted_server if request.param == "plain" else scripted_tls_server


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_closing_a_response_wakes_the_thread_that_reads_it(
    server: ScriptedServer,
    tls_authority: TLSAuthority,
    beginning: bytes,
    read: Callable[[client.Response], object],
) -> None:
    """Not the peer's silence or its end ends the read, and a body that ends by closing is not taken for whole."""
    server.script(Expect(), Send(beginning), ExpectClosed())
    with (
        client.Session(trust_env=False, verify=str(tls_authority.bundle), timeout=8) as session,
        ThreadPoolExecutor() as readers,
    ):
        response = session.get(server.url, stream=True)
        reading = readers.submit(read, response)
        wait_until_it_reads(response)

        response.close()

        assert isinstance(reading.exception(5), StreamConsumedError)
        pool: Any = session._transport
        assert (0, set()) == (pool._slots, pool._open)


def test_only_the_thread_that_waits_on_a_descriptor_closes_it(
    scripted_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number may be another connection's by the time the other thread asks the kernel again."""
    scripted_server.script(Expect(), Send(BEGINNINGS["length"]), ExpectClosed())
    closers: set[threading.Thread] = set()
    close = HTTPConnection.close

    def noted(connection: HTTPConnection) -> None:
        closers.add(threading.current_thread())
        close(connection)

    monkeypatch.setattr(HTTPConnection, "close", noted)
    with client.Session(trust_env=False) as session, ThreadPoolExecutor() as readers:
        response = session.get(scripted_server.url, stream=True)
        reading = readers.submit(READERS["content"], response)
        wait_until_it_reads(response)

        response.close()

        assert isinstance(reading.exception(5), StreamConsumedError)
    assert closers
    assert threading.current_thread() not in closers


def wait_until_it_reads(response: client.Response) -> None:
    """Return once another thread is about to wait for more of the body."""
    wire: Any = response._wire
    while not wire._is_receiving or wire._buffer:
        threading.Event().wait(0.001)
