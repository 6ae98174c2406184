"""`Response.close` on another thread than the one that reads: who waits is woken, and closes what it waited on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import client
from client.exceptions import StreamConsumedError
from client.transport import stream as stream_room
from client.transport.connection import HTTPConnection
from client.transport.pool import ConnectionPool
from client.transport.stream import ResponseStream
from tests.scripted_server import Close, Expect, ExpectClosed, Hold, ScriptedServer, Send, Step
from tests.tls_authority import TLSAuthority
from tests.transport.exchanging import a_call, a_request

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


def half_read(server: ScriptedServer, pool: ConnectionPool, **facts: Any) -> ResponseStream:
    """Return a response of ten bytes of which five came with its head, and the others are here too."""
    server.script(Expect(), Send(HEAD + b"Content-Length: 10\r\n\r\n01234"), Expect(), Send(b"56789"), Hold())
    stream = pool.round_trip(a_request(server.url), a_call(**facts))
    stream.connection.sock.send(b"\r\n\r\n")
    assert stream.connection.wait(for_write=False, seconds=10)[0]
    return stream


def test_closing_takes_no_bytes_away_from_another_thread_that_reads(scripted_server: ScriptedServer) -> None:
    """It found an end where there was none, or one piece twice."""
    pool = ConnectionPool()
    stream = half_read(scripted_server, pool)
    reader = threading.Thread(target=stream.read, args=(2,))
    reader.start()
    reader.join()

    stream.close()

    with pytest.raises(StreamConsumedError):
        stream.read()
    assert (0, set()) == (pool._slots, pool._open)


@pytest.mark.parametrize("size", [3, None])
def test_a_read_that_begins_while_another_thread_closes_is_no_end_of_the_body(
    scripted_server: ScriptedServer, size: int | None
) -> None:
    """The end of the body was known by then, and what came before it was in the hands of the one who closes."""
    outcomes: list[object] = []

    def read() -> None:
        try:
            outcomes.append(stream.read(size))
        except StreamConsumedError as error:
            outcomes.append(type(error))
        stream.close()

    def trace(event: str, facts: dict[str, Any]) -> None:
        if event == "receive.end":
            reader = threading.Thread(target=read)
            reader.start()
            reader.join()

    pool = ConnectionPool()
    stream = half_read(scripted_server, pool, trace=trace)

    stream.close()

    assert [StreamConsumedError] == outcomes
    with pytest.raises(StreamConsumedError):
        stream.read()
    assert (1, 1) == (pool._slots, len(pool._idle))
    pool.close()


def test_a_read_that_begins_after_the_body_was_taken_in_does_not_touch_the_connection(
    scripted_server: ScriptedServer,
) -> None:
    """It is back in the pool, so its next bytes are another call's."""
    pool = ConnectionPool()
    stream = half_read(scripted_server, pool)
    stream.close()

    with pytest.raises(StreamConsumedError):
        stream.receive_into(memoryview(bytearray(5)), 5)

    assert (1, 1) == (pool._slots, len(pool._idle))
    pool.close()


def test_closing_leaves_a_connection_alone_that_another_thread_gave_back_meanwhile(
    scripted_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the next call's, which then dialled in a slot that had been freed."""
    pool = ConnectionPool()
    stream = half_read(scripted_server, pool)
    bodies: list[bytes] = []

    def in_a_thread(size: int | None) -> None:
        reader = threading.Thread(target=lambda: bodies.append(stream.read(size)))
        reader.start()
        reader.join()

    def failure(text: str) -> StreamConsumedError:
        """Let the reader come to the end in the moment in which the error is made."""
        if "before its body was read" in text:
            in_a_thread(None)
        return StreamConsumedError(text)

    in_a_thread(2)
    assert not stream._finished
    monkeypatch.setattr(stream_room, "StreamConsumedError", failure)
    stream.close()

    assert [b"01", b"23456789"] == bodies
    assert (1, 1) == (pool._slots, len(pool._idle))
    pool.close()


def test_a_read_after_a_close_at_the_very_end_leaves_the_connection_alone(
    scripted_server: ScriptedServer,
) -> None:
    """Who reads has it given back before he learns of the close; what he reads next must not close it."""
    pool = ConnectionPool()
    stream = half_read(scripted_server, pool)
    finish = stream._finish

    def finish_late() -> None:
        closer = threading.Thread(target=stream.close)
        closer.start()
        closer.join()
        finish()

    stream._finish = finish_late  # type: ignore[method-assign]  # the moment between the end and its being noted
    with pytest.raises(StreamConsumedError):
        stream.read()

    assert (1, 1) == (pool._slots, len(pool._idle))
    pool.close()


def test_a_read_that_the_closing_thread_did_not_see_does_not_wait(scripted_server: ScriptedServer) -> None:
    """The descriptor is closed by then, or somebody else's: it waited for the whole read timeout."""
    scripted_server.script(Expect(), Send(BEGINNINGS["length"]), ExpectClosed())
    pool = ConnectionPool()
    stream = pool.round_trip(a_request(scripted_server.url), a_call())
    stream.close()
    received: list[object] = []

    with pytest.raises(StreamConsumedError):
        stream._guarded(received.append, None)  # type: ignore[type-var]  # what it returns does not matter here

    assert [] == received


@pytest.mark.parametrize("fault", [False, True], ids=["close", "fault"])
def test_an_interruption_at_the_door_of_discard_loses_no_slot(
    scripted_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, fault: bool
) -> None:
    """Ctrl-C is looked for as `discard` is entered, before it can tell anybody about the connection."""
    steps: list[Step] = [Close()] if fault else [ExpectClosed()]
    scripted_server.script(Expect(), Send(BEGINNINGS["length"]), *steps)
    pool = ConnectionPool()
    stream = pool.round_trip(a_request(scripted_server.url), a_call())

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pool, "discard", interrupted)
        with pytest.raises(KeyboardInterrupt):
            stream.read() if fault else stream.close()

    pool.close()
    assert (0, set(), {}) == (pool._slots, pool._open, pool._places)
