"""Receiving: a body is complete when its framing says so, in whatever pieces it is read."""

from __future__ import annotations

import gc
import os
import resource
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from client.exceptions import (
    ChunkedEncodingError,
    ForkError,
    IncompleteBody,
    ProtocolError,
    ReadTimeout,
    StreamConsumedError,
    TotalTimeout,
)
from client.timeouts import Timeouts
from client.transport.cancel import CancelToken
from client.transport.pool import ConnectionPool
from client.transport.stream import ResponseStream
from client.transport.tls import TLSSettings
from tests.scripted_server import (
    Expect,
    ExpectClosed,
    HalfClose,
    Hold,
    Pause,
    Reset,
    ScriptedServer,
    Send,
    Signal,
    Step,
    Wait,
)
from tests.transport.exchanging import OK, a_call, a_request

HEAD = b"HTTP/1.1 200 OK\r\n"
BODY = bytes(range(256)) * 1024  # 256 KiB: more than one read, and runs long enough to pass the engine by


def chunked(body: bytes, size: int) -> bytes:
    """Return *body* in chunks of *size*, with a trailer."""
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nX-Sum: 7\r\n\r\n"


FRAMINGS = {
    "content-length": HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "small chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(BODY, 1000),
    "large chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(BODY, 100_000),
    "close": HEAD + b"\r\n" + BODY,
}


def read_all(response: ResponseStream) -> bytes:
    return response.read()


def read_in_pieces(size: int) -> Any:
    def read(response: ResponseStream) -> bytes:
        pieces = []
        while piece := response.read(size):
            assert 0 < len(piece) <= size
            pieces.append(piece)
        return b"".join(pieces)

    return read


def read_into_a_buffer(response: ResponseStream) -> bytes:
    buffer, whole = bytearray(50_000), b""
    while count := response.readinto(buffer):
        whole += buffer[:count]
    return whole


def read_in_every_way(response: ResponseStream) -> bytes:
    buffer = bytearray(3)
    count = response.readinto(buffer)
    return bytes(buffer[:count]) + response.read(1) + response.read(70_000) + response.read()


READERS = {
    "all": read_all,
    "bytes": read_in_pieces(1777),
    "large": read_in_pieces(1 << 20),
    "buffer": read_into_a_buffer,
    "mixed": read_in_every_way,
}


@pytest.fixture
def pool() -> Iterator[ConnectionPool]:
    """A pool that must have given back all its slots in the end."""
    pool = ConnectionPool()
    yield pool
    pool.close()
    assert (0, 0) == (pool._slots, len(pool._open))


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_body_is_the_same_however_it_is_framed_and_read(
    scripted_server: ScriptedServer, pool: ConnectionPool, framing: str, reader: Any
) -> None:
    steps: list[Step] = [Expect(), Send(FRAMINGS[framing], piece=33_333)]
    if framing != "close":
        steps += [Expect(), Send(OK), Hold()]
    scripted_server.script(*steps)

    response = pool.round_trip(a_request(scripted_server.url), a_call())

    assert BODY == reader(response)
    assert (b"", b"", 0) == (response.read(), response.read(5), response.readinto(bytearray(5)))
    assert ([(b"X-Sum", b"7")] if "chunks" in framing else []) == response.trailers
    if framing != "close":
        assert pool.round_trip(a_request(scripted_server.url), a_call()).reused


@pytest.mark.parametrize("announced", [200_000, 64 << 20, 10 << 30, 1 << 60])
def test_what_is_announced_takes_no_memory_before_it_arrives(
    scripted_server: ScriptedServer, pool: ConnectionPool, announced: int
) -> None:
    """The largest would not fit any machine; what arrived of each is kept."""
    scripted_server.script(Expect(), Send(HEAD + b"Content-Length: %d\r\n\r\n" % announced + BODY[:150_000]))
    response = pool.round_trip(a_request(scripted_server.url), a_call())
    before = memory_in_use()

    with pytest.raises(IncompleteBody) as caught:
        response.read()

    assert memory_in_use() - before < 16 << 20
    assert BODY[:150_000] == caught.value.partial
    assert (150_000, announced) == (caught.value.received, caught.value.expected)


def memory_in_use() -> int:
    """Return the most bytes of memory that this process has had so far, as far as it was touched."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_a_body_is_read_the_same_through_tls(scripted_tls_server: ScriptedServer, tls_authority: Any) -> None:
    pool = ConnectionPool()
    tls = TLSSettings(str(tls_authority.bundle))
    scripted_tls_server.script(
        *[
            step
            for framing in ("content-length", "small chunks")
            for step in (Expect(), Send(FRAMINGS[framing]))
        ],
        Hold(),
    )

    for reader in (read_all, read_into_a_buffer):
        assert BODY == reader(pool.round_trip(a_request(scripted_tls_server.url), a_call(tls=tls)))
    assert 1 == len(pool._open)
    pool.close()


@pytest.mark.parametrize("end", [HalfClose(), Reset()], ids=["FIN", "RST"])
@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"Content-Length: 10\r\n\r\nhel",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n",
    ],
    ids=["length", "in a chunk", "between chunks", "before the last CRLF"],
)
def test_a_body_that_ends_early_is_never_passed_off_as_whole(
    scripted_server: ScriptedServer, pool: ConnectionPool, sent: bytes, end: Any
) -> None:
    """Rows C1, C2, K31, R69: what had come is on the error, which comes again on each further read."""
    go_on = threading.Event()
    scripted_server.script(Expect(), Send(sent), Wait(go_on), end)
    response = pool.round_trip(a_request(scripted_server.url), a_call())
    go_on.set()

    with pytest.raises(IncompleteBody) as caught:
        response.read()

    expected = 10 if b"Content-Length" in sent else None
    assert (b"hel", 3, expected) == (caught.value.partial, caught.value.received, caught.value.expected)
    with pytest.raises(IncompleteBody):
        response.read(1)
    assert 0 == pool._slots


def test_close_notify_is_the_only_end_of_a_tls_body_that_ends_by_closing(
    scripted_tls_server: ScriptedServer, tls_authority: Any
) -> None:
    """Row C3, RFC 9112 section 9.8: anybody on the path can cut a TCP connection."""
    pool = ConnectionPool()
    scripted_tls_server.script(Expect(), Send(HEAD + b"\r\nhello"), HalfClose(), ExpectClosed())
    response = pool.round_trip(
        a_request(scripted_tls_server.url), a_call(tls=TLSSettings(str(tls_authority.bundle)))
    )

    with pytest.raises(IncompleteBody) as caught:
        response.read()

    assert b"hello" == caught.value.partial


def test_a_body_that_ends_by_its_length_needs_no_close_notify(
    scripted_tls_server: ScriptedServer, tls_authority: Any
) -> None:
    pool = ConnectionPool()
    scripted_tls_server.script(Expect(), Send(OK), HalfClose(), ExpectClosed())

    response = pool.round_trip(
        a_request(scripted_tls_server.url), a_call(tls=TLSSettings(str(tls_authority.bundle)))
    )

    assert b"ok" == response.read()
    pool.close()


@pytest.mark.parametrize("broken", [b"zz\r\n", b"3\r\nhelXX", b"-1\r\n", b"3\nhel\r\n"], ids=repr)
def test_broken_framing_is_an_error_after_what_came_before_it(
    scripted_server: ScriptedServer, pool: ConnectionPool, broken: bytes
) -> None:
    scripted_server.script(
        Expect(), Send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n" + broken), ExpectClosed()
    )
    response = pool.round_trip(a_request(scripted_server.url), a_call())

    with pytest.raises(ChunkedEncodingError) as caught:
        response.read()

    assert caught.value.partial.startswith(b"good")
    assert not isinstance(caught.value, IncompleteBody)
    assert 0 == pool._slots


def test_a_body_that_falls_silent_is_a_read_timeout_with_what_had_come(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    scripted_server.script(Expect(), Send(HEAD + b"Content-Length: 10\r\n\r\nhel"), ExpectClosed())
    response = pool.round_trip(a_request(scripted_server.url), a_call(timeouts=Timeouts(read=1)))

    with pytest.raises(ReadTimeout) as caught:
        response.read()

    assert (b"hel", "read") == (caught.value.partial, caught.value.phase)


def test_a_body_that_drips_runs_into_the_total_deadline(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    """Row T1: the read timeout alone never fires."""
    drip = [step for _ in range(100) for step in (Send(b"x", may_fail=True), Pause(0.02))]
    scripted_server.script(Expect(), Send(HEAD + b"Content-Length: 1000\r\n\r\n"), *drip)
    response = pool.round_trip(a_request(scripted_server.url), a_call(timeouts=Timeouts(read=5, total=1)))

    with pytest.raises(TotalTimeout):
        response.read()


def test_closing_early_closes_the_connection(scripted_server: ScriptedServer, pool: ConnectionPool) -> None:
    scripted_server.script(Expect(), Send(HEAD + b"Content-Length: 100\r\n\r\nhel"), ExpectClosed())
    response = pool.round_trip(a_request(scripted_server.url), a_call())

    response.close()
    response.close()

    assert 0 == pool._slots
    with pytest.raises(StreamConsumedError):
        response.read()


def test_closing_keeps_the_connection_if_the_rest_has_arrived(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    """A short unread body is not worth a connection; what has arrived can still be read."""
    whole = threading.Event()
    scripted_server.script(
        Expect(),
        Send(HEAD + b"Content-Length: 2\r\n\r\n"),
        Send(b"ok"),
        Signal(whole),
        Expect(),
        Send(OK),
        Hold(),
    )
    response = pool.round_trip(a_request(scripted_server.url), a_call())
    assert whole.wait(5)

    response.close()

    assert b"ok" == response.read()
    assert pool.round_trip(a_request(scripted_server.url), a_call()).reused


def test_closing_does_not_wait_for_an_endless_body(pool: ConnectionPool) -> None:
    """Row S7: at most 64 KiB of what has arrived is taken in."""
    from tests.scripted_server import Flood

    with ScriptedServer() as endless:
        endless.script(
            Expect(), Send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n"), Flood(b"4\r\nspam\r\n", 1 << 30)
        )
        response = pool.round_trip(a_request(endless.url), a_call())
        response.close()

        assert 0 == pool._slots


def test_a_dropped_response_is_closed_by_the_next_one_who_comes(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    scripted_server.script(Expect(), Send(HEAD + b"Content-Length: 100\r\n\r\nhel"), ExpectClosed())

    pool.round_trip(a_request(scripted_server.url), a_call())
    gc.collect()
    assert 1 == pool._slots
    pool.close()

    assert 0 == pool._slots


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_an_answer_without_a_body_is_complete_with_its_head(
    scripted_server: ScriptedServer, pool: ConnectionPool, method: str, head: bytes
) -> None:
    scripted_server.answer(head, OK)

    response = pool.round_trip(a_request(scripted_server.url, method), a_call())

    assert b"" == response.read()
    assert pool.round_trip(a_request(scripted_server.url), a_call()).reused


def test_a_switch_of_protocols_hands_over_the_socket_and_what_followed(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nfirst"
    scripted_server.script(Expect(), Send(answer), Expect(until=b"ping"), Send(b"pong"), Hold())
    request = a_request(scripted_server.url)
    request.headers += [(b"Connection", b"upgrade"), (b"Upgrade", b"echo")]

    response = pool.round_trip(request, a_call(timeouts=Timeouts(read=5)))
    assert (101, b"") == (response.status, response.read())
    sock, rest = response.detach()

    with sock:
        assert b"first" == rest
        sock.sendall(b"ping")
        assert b"pong" == sock.recv(4)
        assert sock.gettimeout() is None
    assert 0 == pool._slots


def test_there_is_nothing_to_hand_over_without_a_switch(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    scripted_server.answer(OK)

    with pytest.raises(ProtocolError):
        pool.round_trip(a_request(scripted_server.url), a_call()).detach()


def test_cancelling_wakes_a_blocked_read(scripted_server: ScriptedServer, pool: ConnectionPool) -> None:
    """The flag goes before the shutdown: the read that wakes must not take it for the peer's close."""
    token, reason, reading = CancelToken(), RuntimeError("enough"), threading.Event()
    scripted_server.script(Expect(), Send(HEAD + b"\r\nhel"), Signal(reading), ExpectClosed())
    response = pool.round_trip(a_request(scripted_server.url), a_call(cancel=token))
    stopper = threading.Thread(target=lambda: (reading.wait(5), token.cancel(reason)))
    stopper.start()

    with pytest.raises(RuntimeError) as caught:
        response.read()

    stopper.join()
    assert reason is caught.value
    assert 0 == pool._slots


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_cannot_read_its_parents_response(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    """Two processes taking turns at one stream would each get half of it."""
    go_on = threading.Event()
    scripted_server.script(
        Expect(), Send(HEAD + b"Content-Length: 5\r\n\r\n"), Wait(go_on), Send(b"hello"), Hold()
    )
    response = pool.round_trip(a_request(scripted_server.url), a_call())

    child = os.fork()
    if child == 0:
        status = 1
        try:
            response.read()
        except ForkError:
            status = 0
        finally:
            os._exit(status)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    go_on.set()

    assert b"hello" == response.read()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("let_go", [ResponseStream.close, ResponseStream.drain])
def test_a_forked_child_that_lets_go_takes_nothing_from_its_parent(
    scripted_server: ScriptedServer, pool: ConnectionPool, let_go: Callable[[ResponseStream], None]
) -> None:
    """Closing takes in the rest of a short body, which is the parent's: it waited for these bytes for ever."""
    is_under_way, is_half_sent, child_is_gone = (threading.Event() for _ in range(3))
    scripted_server.script(
        Expect(),
        Send(HEAD + b"Content-Length: 6\r\n\r\n"),
        Wait(is_under_way),
        Send(b"hal"),
        Signal(is_half_sent),
        Wait(child_is_gone),
        Send(b"ves"),
        Hold(),
    )
    response = pool.round_trip(a_request(scripted_server.url), a_call(timeouts=Timeouts(read=5)))
    is_under_way.set()
    assert is_half_sent.wait(5)

    child = os.fork()
    if child == 0:
        let_go(response)
        os._exit(0)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    child_is_gone.set()

    assert b"halves" == response.read()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_is_not_handed_its_parents_socket(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
    scripted_server.script(Expect(), Send(answer), Hold())
    request = a_request(scripted_server.url)
    request.headers += [(b"Connection", b"upgrade"), (b"Upgrade", b"echo")]
    response = pool.round_trip(request, a_call())

    child = os.fork()
    if child == 0:
        status = 1
        try:
            response.detach()
        except ForkError:
            status = 0
        finally:
            os._exit(status)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    response.detach()[0].close()


def test_timings_name_every_phase(scripted_server: ScriptedServer, pool: ConnectionPool) -> None:
    scripted_server.answer(OK, OK)

    first = pool.round_trip(a_request(scripted_server.url), a_call()).timings
    second = pool.round_trip(a_request(scripted_server.url), a_call()).timings

    assert ["queue", "dns", "connect", "tls", "send", "wait", "receive"] == list(first)
    assert first["connect"] > 0
    assert first["wait"] > 0
    assert 0 == second["connect"]
