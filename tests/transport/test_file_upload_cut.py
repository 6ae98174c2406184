"""Uploads by ``sendfile`` that end before the file does: answered, cut off, out of time, cancelled."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import BinaryIO

import pytest

import client
from client.transport.file_span import CAN_SENDFILE
from client.transport.pool import ConnectionPool
from tests.leaks import no_leaks
from tests.scripted_server import Expect, ExpectClosed, Hold, Reset, ScriptedServer, Send, Wait
from tests.transport.exchanging import a_body, a_call, a_request

pytestmark = pytest.mark.skipif(not CAN_SENDFILE, reason="this system has no sendfile")

REFUSED = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"
SIZE = 1 << 40


@pytest.fixture
def file(tmp_path: Path) -> Iterator[BinaryIO]:
    """A file with nothing in it, of which nobody sees the end."""
    path = tmp_path / "nothing"
    path.touch()
    os.truncate(path, SIZE)
    with path.open("rb") as file:
        yield file


@pytest.fixture
def pool() -> Iterator[ConnectionPool]:
    with no_leaks():
        pool = ConnectionPool()
        yield pool
        pool.close()
        assert (0, 0) == (pool._slots, len(pool._open))


@pytest.fixture
def offers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What each sendfile was offered, and took."""
    offers: list[tuple[int, int]] = []
    original = os.sendfile

    def sendfile(out: int, descriptor: int, offset: int, count: int) -> int:
        offers.append((count, 0))
        taken = original(out, descriptor, offset, count)
        offers[-1] = (count, taken)
        return taken

    monkeypatch.setattr(os, "sendfile", sendfile)
    return offers


@pytest.fixture
def deaf_server() -> Iterator[ScriptedServer]:
    """A server that reads nothing."""
    with ScriptedServer() as deaf:
        go_home = threading.Event()
        deaf.script(Wait(go_home))
        yield deaf
        go_home.set()


def test_an_answer_during_the_upload_stops_it(
    scripted_server: ScriptedServer, pool: ConnectionPool, file: BinaryIO
) -> None:
    """Row C8, for a file: the rest stays here, and the connection is not used again."""
    scripted_server.script(Expect(), Send(REFUSED), Hold())
    told = [0]
    request = a_request(scripted_server.url, "POST", a_body(file))

    response = pool.round_trip(request, a_call(on_sent=told.append))

    assert (413, b"big") == (response.status, response.read())
    assert told[-1] <= file.tell() < SIZE


def test_the_rest_of_an_early_answer_is_waited_for(
    scripted_server: ScriptedServer, pool: ConnectionPool, file: BinaryIO
) -> None:
    """The descriptor blocks again where an upload is broken off, or the wait would pass for a timeout."""
    go_on = threading.Event()
    scripted_server.script(Expect(), Send(REFUSED[:-3]), Wait(go_on), Send(REFUSED[-3:]), Hold())
    response = pool.round_trip(a_request(scripted_server.url, "POST", a_body(file)), a_call())
    waker = threading.Timer(0.1, go_on.set)
    waker.start()

    assert (413, b"big") == (response.status, response.read())
    waker.join()


def test_a_refusal_before_the_body_leaves_the_file_alone(
    scripted_server: ScriptedServer, pool: ConnectionPool, file: BinaryIO, offers: list[tuple[int, int]]
) -> None:
    scripted_server.script(Expect(), Send(REFUSED), ExpectClosed())
    request = a_request(scripted_server.url, "PUT", a_body(file))
    request.headers.append((b"Expect", b"100-continue"))

    assert 413 == pool.round_trip(request, a_call(expect=True)).status

    assert 0 == file.tell()
    assert [] == offers


def test_a_reset_during_the_upload_says_how_far_it_came(
    scripted_server: ScriptedServer, pool: ConnectionPool, file: BinaryIO, offers: list[tuple[int, int]]
) -> None:
    scripted_server.script(Expect(body=300_000), Reset())
    request = a_request(scripted_server.url, "PUT", a_body(file))
    with pytest.raises(client.ConnectionError) as caught:
        pool.round_trip(request, a_call())

    head = len(b"PUT / HTTP/1.1\r\n\r\n") + sum(len(b"".join(field)) + 4 for field in request.headers)
    sent = sum(taken for _, taken in offers)
    assert head + sent == caught.value.bytes_sent
    assert sent >= 300_000


def test_a_peer_that_reads_nothing_runs_into_the_write_timeout(
    pool: ConnectionPool, deaf_server: ScriptedServer, file: BinaryIO, offers: list[tuple[int, int]]
) -> None:
    request = a_request(deaf_server.url, "PUT", a_body(file))
    with pytest.raises(client.WriteTimeout) as caught:
        pool.round_trip(request, a_call(timeouts=client.Timeouts(write=0.2)))

    assert ("write", 0.2) == (caught.value.phase, caught.value.seconds)
    assert caught.value.bytes_sent > sum(taken for _, taken in offers) > 0


def test_a_full_kernel_is_offered_more_only_when_it_has_room(
    pool: ConnectionPool, deaf_server: ScriptedServer, file: BinaryIO, offers: list[tuple[int, int]]
) -> None:
    """It looks up the pages of each offer, also those that it does not take."""
    request = a_request(deaf_server.url, "PUT", a_body(file))
    with pytest.raises(client.WriteTimeout):
        pool.round_trip(request, a_call(timeouts=client.Timeouts(write=0.2)))

    assert len(offers) == next(number for number, (offered, taken) in enumerate(offers, 1) if taken < offered)


def test_the_total_deadline_ends_an_upload_that_never_waits(
    scripted_server: ScriptedServer, pool: ConnectionPool, file: BinaryIO
) -> None:
    scripted_server.script(ExpectClosed(silently=False))
    request = a_request(scripted_server.url, "PUT", a_body(file))
    with pytest.raises(client.TotalTimeout):
        pool.round_trip(request, a_call(timeouts=client.Timeouts(total=0.3)))


def test_cancelling_ends_an_upload(scripted_server: ScriptedServer, file: BinaryIO) -> None:
    scripted_server.script(ExpectClosed(silently=False))
    begun = threading.Event()
    with client.Session(trust_env=False) as session:
        future = session.submit("PUT", scripted_server.url, data=file, progress=lambda *_: begun.set())
        assert begun.wait(5)
        assert future.cancel()
        with pytest.raises(CancelledError):
            future.result(5)
