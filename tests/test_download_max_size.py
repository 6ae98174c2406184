"""`max_size` holds for the whole file, whenever its length comes to light, and to the byte."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import client
from tests.download_server import Asked, RangeServer, Reply, file_of
from tests.leaks import no_leaks

MEBIBYTE = 1 << 20
CONTENT = file_of(3 * MEBIBYTE)
COME = 100_000

Fault = Callable[[Asked, Reply], Reply]


@pytest.fixture
def session() -> Iterator[client.Session]:
    with no_leaks(), client.Session(workers=4, trust_env=False, timeout=10) as session:
        yield session


def first_without_a_length(asked: Asked, reply: Reply) -> Reply:
    """Send the first answer in chunks, and break off; all others say how long the file is."""
    if asked.number:
        return reply
    headers = {**reply.headers, "Content-Range": "", "Content-Length": "", "Transfer-Encoding": "chunked"}
    body = b"%x\r\n%b\r\n" % (COME, CONTENT[:COME])
    return Reply("200 OK", headers, body, cut=len(body))


def as_is(asked: Asked, reply: Reply) -> Reply:
    return reply


def in_chunks(asked: Asked, reply: Reply) -> Reply:
    headers = {**reply.headers, "Content-Range": "", "Content-Length": "", "Transfer-Encoding": "chunked"}
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(CONTENT), CONTENT)
    return Reply("200 OK", headers, body)


def until_close(asked: Asked, reply: Reply) -> Reply:
    headers = {**reply.headers, "Content-Range": "", "Content-Length": "", "Connection": "close"}
    return Reply("200 OK", headers, CONTENT, cut=len(CONTENT))


def coded(asked: Asked, reply: Reply) -> Reply:
    headers = {**reply.headers, "Content-Range": "", "Content-Encoding": "gzip"}
    return Reply("200 OK", headers, gzip.compress(CONTENT, 1))


@pytest.mark.parametrize("retries", [0, 3])
def test_a_length_that_is_told_only_by_a_later_answer_counts(
    session: client.Session, tmp_path: Path, retries: int
) -> None:
    """A server could else have any amount of bytes written: the first answer without a length, the second with it."""
    with RangeServer(CONTENT, first_without_a_length) as origin:
        if not retries:
            with pytest.raises(client.IncompleteBody):
                session.download(origin.url, tmp_path / "out", parts=1)
        with pytest.raises(client.BodyTooLarge) as caught:
            session.download(origin.url, tmp_path / "out", parts=1, max_size=2 * COME, retries=retries)

    assert 2 == len(origin.asked)
    assert 2 * COME == caught.value.limit
    assert caught.value.request is not None
    assert [] == list(tmp_path.iterdir())


def test_what_is_there_already_counts_also_if_nobody_knows_the_length(
    session: client.Session, tmp_path: Path
) -> None:
    with RangeServer(CONTENT, first_without_a_length) as origin:
        with pytest.raises(client.IncompleteBody):
            session.download(origin.url, tmp_path / "out", parts=1)
        with pytest.raises(client.BodyTooLarge):
            session.download(origin.url, tmp_path / "out", max_size=COME - 1)

    assert 1 == len(origin.asked)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("fault", [as_is, in_chunks, until_close, coded])
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("room", [0, -1])
def test_it_holds_to_the_byte(
    session: client.Session, tmp_path: Path, fault: Fault, parts: int, room: int
) -> None:
    max_size = len(CONTENT) + room
    with RangeServer(CONTENT, fault) as origin:
        if room < 0:
            with pytest.raises(client.BodyTooLarge):
                session.download(origin.url, tmp_path / "out", parts=parts, max_size=max_size, retries=2)
        else:
            session.download(origin.url, tmp_path / "out", parts=parts, max_size=max_size)

    expected = {"out": CONTENT} if room == 0 else {}
    assert expected == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert room == 0 or 1 == len(origin.asked)


@pytest.mark.parametrize("fault", [as_is, in_chunks, until_close, coded])
def test_it_counts_in_the_place_of_the_session_s_limit(
    session: client.Session, tmp_path: Path, fault: Fault
) -> None:
    session.max_body = 1000
    with RangeServer(CONTENT, fault) as origin:
        session.download(origin.url, tmp_path / "out", max_size=len(CONTENT))
        with pytest.raises(client.BodyTooLarge):
            session.download(origin.url, tmp_path / "other")

    assert CONTENT == (tmp_path / "out").read_bytes()
