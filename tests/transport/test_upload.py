"""Sending: one write where it fits, pieces where it does not, and an ear for the peer that answers early."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest

from client.exceptions import (
    InvalidBody,
    InvalidRequest,
    ProtocolError,
    ReadTimeout,
    RemoteDisconnected,
    TotalTimeout,
    WriteTimeout,
)
from client.timeouts import Timeouts
from client.transport import upload
from client.transport.pool import ConnectionPool
from client.transport.tls import TLSSettings
from tests.scripted_server import (
    Close,
    Expect,
    ExpectClosed,
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

MEBIBYTE = 1 << 20
REFUSED = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"


class Pieces:
    """A body of pieces."""

    replayable = False

    def __init__(self, *pieces: bytes, length: int | None = None) -> None:
        self.pieces = pieces
        self.length = length
        self.taken = 0

    def chunks(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.taken += 1
            yield piece


class Endless(Pieces):
    """A body that never ends."""

    def chunks(self) -> Iterator[bytes]:
        while True:
            self.taken += 1
            yield b"x" * 65536


@pytest.fixture
def pool() -> Iterator[ConnectionPool]:
    """A pool that must have given back all its slots in the end."""
    pool = ConnectionPool()
    yield pool
    pool.close()
    assert (0, 0) == (pool._slots, len(pool._open))


def test_head_and_small_body_leave_in_one_write(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    """Two writes could become two packets, and the server would wait for the second."""
    conversation = scripted_server.answer(OK)

    pool.round_trip(a_request(f"{scripted_server.url}/p?q", "POST", b"hello"), a_call()).read()

    head = b"POST /p?q HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 5\r\n\r\n" % scripted_server.port
    assert head + b"hello" == bytes(conversation.received)


def test_an_iterator_is_sent_chunk_by_chunk_without_its_empty_pieces(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    """An empty chunk would end the body (RFC 9112 section 7.1)."""
    conversation = scripted_server.script(Expect(until=b"0\r\n\r\n"), Send(OK), Hold())

    pool.round_trip(a_request(scripted_server.url, "POST", Pieces(b"ab", b"", b"cde")), a_call()).read()

    assert conversation.requests[0].endswith(b"\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")


def test_a_piece_is_empty_by_its_length_alone(scripted_server: ScriptedServer, pool: ConnectionPool) -> None:
    """A body of the caller's own may yield arrays that say of a zero that it is false; left out, nobody would notice."""

    class Zero(bytes):
        def __bool__(self) -> bool:
            return False

    conversation = scripted_server.script(Expect(until=b"0\r\n\r\n"), Send(OK), Hold())

    pool.round_trip(a_request(scripted_server.url, "POST", Pieces(b"ab", Zero(b"\0"), b"c")), a_call()).read()

    assert conversation.requests[0].endswith(b"\r\n\r\n2\r\nab\r\n1\r\n\0\r\n1\r\nc\r\n0\r\n\r\n")


def test_what_has_no_length_is_no_empty_piece(scripted_server: ScriptedServer, pool: ConnectionPool) -> None:
    """Where a body of the caller's own yields None, something went wrong; what came before it is not the whole."""
    scripted_server.script(ExpectClosed(silently=False))

    with pytest.raises(TypeError):
        pool.round_trip(a_request(scripted_server.url, "POST", Pieces(b"ab", None)), a_call())  # type: ignore[arg-type]  # wrong

    assert 0 == pool._slots


def test_trailers_follow_the_body_and_are_asked_for_when_it_is_sent(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    body = Pieces(b"ab")
    conversation = scripted_server.script(Expect(until=b"0\r\n"), Expect(), Send(OK), Hold())
    request = a_request(
        scripted_server.url, "PUT", body, trailers=lambda: [(b"X-Pieces", b"%d" % body.taken)]
    )

    pool.round_trip(request, a_call()).read()

    assert b"X-Pieces: 1\r\n\r\n" == conversation.requests[1]


def test_a_large_body_arrives_whole(scripted_server: ScriptedServer, pool: ConnectionPool) -> None:
    body = bytes(range(256)) * (8 * MEBIBYTE // 256)
    conversation = scripted_server.script(Expect(body=len(body)), Send(OK), Hold())

    pool.round_trip(a_request(scripted_server.url, "PUT", body), a_call()).read()

    assert conversation.requests[0].endswith(body)


def test_a_large_body_arrives_whole_over_tls(scripted_tls_server: ScriptedServer, tls_authority: Any) -> None:
    """TLS writes what was offered to it the first time, so a retry must offer the same bytes again."""
    pool = ConnectionPool()
    tls = TLSSettings(str(tls_authority.bundle))
    body = bytes(range(256)) * (8 * MEBIBYTE // 256)
    conversation = scripted_tls_server.script(Expect(body=len(body)), Send(OK), Expect(), Send(OK), Hold())

    pool.round_trip(a_request(scripted_tls_server.url, "PUT", body), a_call(tls=tls)).read()
    response = pool.round_trip(a_request(scripted_tls_server.url), a_call(tls=tls))

    assert conversation.requests[0].endswith(body)
    assert (b"ok", True) == (response.read(), response.reused)
    pool.close()


def test_an_answer_during_the_upload_stops_it_and_is_returned(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    """Row C8: the rest of the body is not sent, and the connection is not used again."""
    body = Endless()
    scripted_server.script(Expect(), Send(REFUSED), Hold())

    response = pool.round_trip(a_request(scripted_server.url, "POST", body), a_call())

    assert (413, b"big") == (response.status, response.read())
    assert (0, 0) == (pool._slots, len(pool._open))


class Slow(Pieces):
    """A body whose pieces are so few that the kernel always takes them; it waits for *event* behind the first."""

    def __init__(self, event: threading.Event) -> None:
        super().__init__(*[b"x"] * 100)
        self.event = event

    def chunks(self) -> Iterator[bytes]:
        for piece in super().chunks():
            yield piece
            assert self.event.wait(5)


@pytest.mark.parametrize(
    "answer", [REFUSED, b"HTTP/1.1 103 Early Hints\r\n\r\n" + REFUSED], ids=["413", "103"]
)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_an_answer_stops_a_slow_upload_too(
    scripted_server: ScriptedServer,
    scripted_tls_server: ScriptedServer,
    tls_authority: Any,
    pool: ConnectionPool,
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes,
    tls: bool,
) -> None:
    """It never waits for room, which is where answers were looked for: a stream of hours went on in vain."""
    monkeypatch.setattr(upload, "_LISTEN_SECONDS", 0.0)
    server = scripted_tls_server if tls else scripted_server
    is_answered = threading.Event()
    server.script(Expect(), Send(answer), Signal(is_answered), ExpectClosed(silently=False))
    body = Slow(is_answered)
    trust = TLSSettings(str(tls_authority.bundle))

    response = pool.round_trip(a_request(server.url, "POST", body), a_call(tls=trust))

    assert (413, b"big") == (response.status, response.read())
    assert body.taken < 10
    assert 0 == pool._slots


def test_an_answer_is_read_even_though_the_connection_broke_while_sending(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    """Row C7: a server that refuses and closes makes the write fail; the refusal is what matters."""
    done = threading.Event()
    scripted_server.script(
        Expect(until=b"\r\n\r\n", body=MEBIBYTE // 2), Send(REFUSED), Close(), Signal(done)
    )

    class UntilClosed(Pieces):
        def chunks(self) -> Iterator[bytes]:
            yield b"x" * (MEBIBYTE // 2)
            assert done.wait(5)
            while True:
                yield b"y" * 65536

    body = UntilClosed(length=MEBIBYTE * 1000)
    response = pool.round_trip(a_request(scripted_server.url, "POST", body), a_call())

    assert (413, b"big") == (response.status, response.read())


def test_a_reset_during_the_upload_says_how_far_it_came(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    scripted_server.script(Expect(body=1000), Reset())

    with pytest.raises(RemoteDisconnected) as caught:
        pool.round_trip(a_request(scripted_server.url, "POST", Endless()), a_call())

    error = caught.value
    assert (False, False) == (error.reused, error.response_started)
    assert error.bytes_sent >= 1000


def test_a_peer_that_reads_nothing_runs_into_the_write_timeout(pool: ConnectionPool) -> None:
    """Row T3: a zero window."""
    with ScriptedServer() as deaf:
        go_home = threading.Event()
        deaf.script(Wait(go_home))
        with pytest.raises(WriteTimeout) as caught:
            pool.round_trip(a_request(deaf.url, "POST", Endless()), a_call(timeouts=Timeouts(write=0.2)))
        go_home.set()

    assert ("write", 0.2) == (caught.value.phase, caught.value.seconds)
    assert caught.value.bytes_sent > 0


def test_the_total_deadline_ends_an_endless_upload(pool: ConnectionPool) -> None:
    """A peer that takes every byte is never late for a single write."""
    with ScriptedServer() as hungry:
        hungry.script(ExpectClosed(silently=False))
        with pytest.raises(TotalTimeout):
            pool.round_trip(a_request(hungry.url, "POST", Endless()), a_call(timeouts=Timeouts(total=0.3)))


@pytest.mark.parametrize(
    ("pieces", "length"), [([b"abc"], 2), ([b"abc"], 4), ([b"ab", b"cd"], 3), ([], 1)], ids=str
)
def test_a_body_that_is_not_as_long_as_announced_is_an_error(
    scripted_server: ScriptedServer, pool: ConnectionPool, pieces: list[bytes], length: int
) -> None:
    scripted_server.script(ExpectClosed(silently=False))

    with pytest.raises(InvalidBody):
        pool.round_trip(a_request(scripted_server.url, "POST", Pieces(*pieces, length=length)), a_call())

    assert 0 == pool._slots


def test_what_the_bodys_iterator_raises_comes_out_as_it_is(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    class Broken(Pieces):
        def chunks(self) -> Iterator[bytes]:
            yield b"half"
            raise ZeroDivisionError("of the caller's own")

    scripted_server.script(ExpectClosed(silently=False))

    with pytest.raises(ZeroDivisionError):
        pool.round_trip(a_request(scripted_server.url, "POST", Broken()), a_call())

    assert 0 == pool._slots


def test_a_request_that_cannot_be_framed_sends_nothing(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    """Two lengths are how requests are smuggled; the refusal comes before the first byte."""
    scripted_server.script(ExpectClosed())
    request = a_request(scripted_server.url, "POST", b"hello")
    request.headers.append((b"content-length", b"6"))

    with pytest.raises(InvalidRequest):
        pool.round_trip(request, a_call())


def test_progress_is_told_after_each_piece(scripted_server: ScriptedServer, pool: ConnectionPool) -> None:
    scripted_server.script(Expect(until=b"0\r\n\r\n"), Send(OK), Hold())
    told: list[int] = []

    request = a_request(scripted_server.url, "POST", Pieces(b"ab", b"", b"cde"))
    pool.round_trip(request, a_call(on_sent=told.append)).read()

    assert [2, 5] == told


def test_progress_of_a_body_in_memory_is_told_on_the_way(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    body = bytes(1024) * 1024
    scripted_server.script(Expect(body=len(body)), Send(OK), Hold())
    told: list[int] = []

    request = a_request(scripted_server.url, "POST", body)
    pool.round_trip(request, a_call(on_sent=told.append)).read()

    assert [part * 256 * 1024 for part in (1, 2, 3, 4)] == told


class TestExpectContinue:
    """RFC 9110 section 10.1.1."""

    def request(self, server: ScriptedServer) -> Any:
        """Return a PUT that asks for the go-ahead."""
        request = a_request(server.url, "PUT", b"hello")
        request.headers.append((b"Expect", b"100-continue"))
        return request

    def test_the_body_waits_for_the_go_ahead(
        self, scripted_server: ScriptedServer, pool: ConnectionPool
    ) -> None:
        conversation = scripted_server.script(
            Expect(), Send(b"HTTP/1.1 100 Continue\r\n\r\n"), Expect(until=b"hello"), Send(OK), Hold()
        )

        assert b"ok" == pool.round_trip(self.request(scripted_server), a_call(expect=True)).read()

        assert b"hello" == conversation.requests[1]

    def test_a_final_answer_instead_means_that_the_body_stays_here(
        self, scripted_server: ScriptedServer, pool: ConnectionPool
    ) -> None:
        """Row 84: and the connection, in the middle of a request, is not used again."""
        scripted_server.script(Expect(), Send(REFUSED), ExpectClosed())

        response = pool.round_trip(self.request(scripted_server), a_call(expect=True))

        assert (413, b"big") == (response.status, response.read())
        assert 0 == pool._slots

    @pytest.mark.timing
    def test_a_silent_peer_gets_the_body_after_a_second(
        self, scripted_server: ScriptedServer, pool: ConnectionPool
    ) -> None:
        """Row T8: many servers never answer."""
        scripted_server.script(Expect(), Expect(until=b"hello"), Send(OK), Hold())

        response = pool.round_trip(self.request(scripted_server), a_call(expect=True))

        assert b"ok" == response.read()
        assert 0.9 < response.timings["send"] < 2.0

    @pytest.mark.timing
    def test_other_interim_answers_do_not_prolong_the_wait(
        self, scripted_server: ScriptedServer, pool: ConnectionPool
    ) -> None:
        """A peer that says 102 for ever would else keep the call past its total deadline, or keep the body here."""
        processing: list[Step] = [Send(b"HTTP/1.1 102 Processing\r\n\r\n"), Pause(0.25)] * 3
        scripted_server.script(Expect(), *processing, ExpectClosed())
        limits = Timeouts(total=0.7)
        started = monotonic()

        with pytest.raises(TotalTimeout):
            pool.round_trip(self.request(scripted_server), a_call(expect=True, timeouts=limits))

        assert 0.7 <= monotonic() - started < 1.7


def test_interim_answers_are_told_and_passed_over(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    told: list[Any] = []
    scripted_server.script(
        Expect(), Send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK), Expect(), Send(OK), Hold()
    )

    response = pool.round_trip(
        a_request(scripted_server.url), a_call(on_informational=lambda *fact: told.append(fact))
    )

    assert b"ok" == response.read()
    assert [(103, [(b"Link", b"</a>")])] == told
    assert pool.round_trip(a_request(scripted_server.url), a_call()).reused


@pytest.mark.parametrize(
    ("sent", "kind", "started"),
    [
        (b"", RemoteDisconnected, False),
        (b"HTTP/1.1 200 OK\r\nContent-", RemoteDisconnected, True),
        (b"HTTP/1.1 100 Continue\r\n\r\n", RemoteDisconnected, True),
        (b"<html>not HTTP</html>", ProtocolError, True),
        (b"SSH-2.0-OpenSSH_9.6\r\n", ProtocolError, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", ProtocolError, True),
    ],
    ids=["nothing", "half a head", "only 100", "HTML", "SSH", "two lengths"],
)
def test_what_is_no_response_is_a_typed_error(
    scripted_server: ScriptedServer, pool: ConnectionPool, sent: bytes, kind: type[Exception], started: bool
) -> None:
    scripted_server.script(Expect(), Send(sent))

    with pytest.raises(kind) as caught:
        pool.round_trip(a_request(scripted_server.url), a_call())

    error: Any = caught.value
    assert (False, started) == (error.reused, error.response_started)
    assert error.bytes_sent > 0
    assert 0 == pool._slots


def test_silence_instead_of_an_answer_is_a_read_timeout(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    scripted_server.script(Expect(), ExpectClosed())

    with pytest.raises(ReadTimeout) as caught:
        pool.round_trip(a_request(scripted_server.url), a_call(timeouts=Timeouts(read=0.1)))

    assert ("read", 0.1) == (caught.value.phase, caught.value.seconds)


def test_a_head_that_drips_in_runs_into_the_total_deadline(
    scripted_server: ScriptedServer, pool: ConnectionPool
) -> None:
    """Row T2: each byte restarts the read timeout, so only the total one holds."""
    drip = [step for _ in range(200) for step in (Send(b"H", may_fail=True), Pause(0.02))]
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 O"), *drip)

    with pytest.raises(TotalTimeout):
        pool.round_trip(a_request(scripted_server.url), a_call(timeouts=Timeouts(total=2, read=1)))
