"""One version of a file is never mixed with another, whatever of a download's answers tells that it is another."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import client
from tests.download_server import Asked, RangeServer, Reply, file_of
from tests.leaks import no_leaks

MEBIBYTE = 1 << 20
OLD, NEW = file_of(3 * MEBIBYTE), file_of(3 * MEBIBYTE, seed=2)
DATE = "Wed, 01 Jul 2026 12:00:00 GMT"
MAY, JUNE = "Fri, 01 May 2026 12:00:00 GMT", "Mon, 01 Jun 2026 12:00:00 GMT"


@pytest.fixture
def session() -> Iterator[client.Session]:
    with no_leaks(), client.Session(workers=4, trust_env=False, timeout=10) as session:
        yield session


def serves(content: bytes, asked: Asked, fields: dict[str, str]) -> Reply:
    """Answer as a server that honours ranges and has never heard of If-Range."""
    if asked.first is None:
        return Reply("200 OK", fields, content)
    stop = len(content) if asked.last is None else min(len(content), asked.last + 1)
    fields = {**fields, "Content-Range": f"bytes {asked.first}-{stop - 1}/{len(content)}"}
    return Reply("206 Partial Content", fields, content[asked.first : stop])


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"ETag": '"a"'}, {"ETag": '"b"'}),
        ({"ETag": '"a"'}, {"ETag": 'W/"a"'}),
        ({"ETag": '"a"', "Last-Modified": MAY}, {"Last-Modified": JUNE}),
        ({"ETag": '"a"', "Last-Modified": MAY}, {"ETag": 'W/"b"', "Last-Modified": MAY}),
        ({"ETag": 'W/"a"', "Last-Modified": MAY}, {"ETag": 'W/"b"', "Last-Modified": MAY}),
        ({"Last-Modified": MAY}, {"Last-Modified": JUNE}),
        ({"Last-Modified": MAY}, {"Last-Modified": JUNE, "ETag": '"b"'}),
        (
            {"Last-Modified": MAY},
            {"Last-Modified": DATE},
        ),  # of this very second: no validator, and yet another date
        ({"Last-Modified": MAY}, {"Last-Modified": JUNE, "Date": ""}),
    ],
)
@pytest.mark.parametrize("parts", [1, 3])
def test_a_server_without_if_range_that_tells_of_a_change_is_heard(
    session: client.Session, tmp_path: Path, first: dict[str, str], then: dict[str, str], parts: int
) -> None:
    def change(asked: Asked, _: Reply) -> Reply:
        if asked.number:
            return serves(NEW, asked, {"Date": DATE, **then})
        reply = serves(OLD, asked, {"Date": DATE, **first})
        return reply._replace(cut=len(reply.body) // 2)

    with RangeServer(OLD, change) as origin:
        session.download(origin.url, tmp_path / "out", parts=parts, retries=client.Retry(5, backoff_factor=0))

    assert NEW == (tmp_path / "out").read_bytes()


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (
            {"ETag": '"a"', "Last-Modified": MAY},
            {"ETag": '"a"', "Last-Modified": JUNE},
        ),  # from machine to machine
        ({"ETag": '"a"', "Last-Modified": MAY}, {}),
        ({"Last-Modified": MAY}, {"Last-Modified": MAY, "ETag": '"a"'}),
        ({"ETag": '"a"'}, {"ETag": '"a"', "Content-Encoding": "identity"}),
    ],
)
def test_what_tells_of_no_change_starts_nothing_anew(
    session: client.Session, tmp_path: Path, first: dict[str, str], then: dict[str, str]
) -> None:
    with RangeServer(OLD) as origin:
        origin.fault = lambda asked, _: serves(
            OLD, asked, {"Date": DATE, **(then if asked.number else first)}
        )
        session.download(origin.url, tmp_path / "out", parts=3)

    assert OLD == (tmp_path / "out").read_bytes()
    assert 3 == len(origin.asked)


def test_a_file_that_is_exactly_as_long_is_another_one_by_its_etag(
    session: client.Session, tmp_path: Path
) -> None:
    """All had come, the end was not heard of, and 416 says by its size that nothing is missing."""

    def change(asked: Asked, _: Reply) -> Reply:
        if not asked.number:  # without a length: only the end of the chunks tells the size
            head = {"ETag": '"a"', "Date": DATE, "Transfer-Encoding": "chunked", "Content-Length": ""}
            return Reply("200 OK", head, b"%x\r\n%b\r\n" % (len(OLD), OLD))._replace(cut=len(OLD) + 10)
        fields = {"ETag": '"b"', "Date": DATE}
        if asked.first == len(NEW):
            return Reply("416 Range Not Satisfiable", {**fields, "Content-Range": f"bytes */{len(NEW)}"}, b"")
        return serves(NEW, asked, fields)

    with RangeServer(OLD, change) as origin:
        session.download(origin.url, tmp_path / "out", parts=1, retries=client.Retry(5, backoff_factor=0))

    assert len(NEW) == origin.asked[1].first
    assert NEW == (tmp_path / "out").read_bytes()


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"ETag": 'W/"a"', "Last-Modified": MAY}, {"ETag": 'W/"b"', "Last-Modified": MAY}),
        ({"ETag": '"a"', "Last-Modified": MAY}, {"Last-Modified": JUNE}),
        ({"ETag": '"a"'}, {"ETag": 'W/"a"'}),
    ],
)
@pytest.mark.parametrize("to_folder", [False, True])
def test_a_later_call_hears_of_a_change_as_well(
    session: client.Session, tmp_path: Path, first: dict[str, str], then: dict[str, str], to_folder: bool
) -> None:
    target = tmp_path if to_folder else tmp_path / "file"
    with RangeServer(OLD) as origin:
        origin.fault = lambda asked, _: serves(OLD, asked, {"Date": DATE, **first})._replace(cut=1 << 19)
        with pytest.raises(client.IncompleteBody):
            session.download(origin.url, target)
        origin.fault = lambda asked, _: serves(NEW, asked, {"Date": DATE, **then})
        done = session.download(origin.url, target)

    assert 0 == done.resumed_from
    assert NEW == (tmp_path / "file").read_bytes()


@pytest.mark.parametrize(
    ("first", "second", "third"),
    [
        ({"ETag": '"a"'}, {"Last-Modified": MAY}, {"Last-Modified": JUNE}),
        ({"Last-Modified": MAY}, {"ETag": 'W/"a"'}, {"ETag": 'W/"b"'}),
        ({"Last-Modified": MAY}, {"ETag": '"a"'}, {"ETag": '"b"'}),
    ],
)
def test_what_a_later_answer_tells_first_binds_the_others(
    session: client.Session,
    tmp_path: Path,
    first: dict[str, str],
    second: dict[str, str],
    third: dict[str, str],
) -> None:
    """It may be that only some machines of a site give one of the fields."""

    def change(asked: Asked, _: Reply) -> Reply:
        if asked.number < 2:
            return serves(OLD, asked, {"Date": DATE, **(second if asked.number else first)})
        return serves(NEW, asked, {"Date": DATE, **third})

    with RangeServer(OLD, change) as origin:
        session.download(origin.url, tmp_path / "out", parts=3)

    assert NEW == (tmp_path / "out").read_bytes()


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("parts", [1, 3])
def test_a_whole_file_without_its_name_gets_it_when_it_is_still_that_file(
    session: client.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: bool, parts: int
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with RangeServer(OLD) as origin:
        with monkeypatch.context() as full:
            full.setattr(os, "link", refuse)
            with pytest.raises(OSError, match="No space"):
                session.download(origin.url, tmp_path / "out", parts=parts)
        origin.asked.clear()
        if changed:
            origin.content, origin.etag = NEW, '"two"'
        done = session.download(origin.url, tmp_path / "out", parts=parts)

    assert (0 if changed else len(OLD) - 1) == done.resumed_from
    assert (NEW if changed else OLD) == (tmp_path / "out").read_bytes()
    assert changed or [(len(OLD) - 1, len(OLD) - 1)] == origin.ranges


def test_416_to_a_request_without_a_range_is_an_error_like_any_other(
    session: client.Session, tmp_path: Path
) -> None:
    with RangeServer(OLD, lambda *_: Reply("416 Range Not Satisfiable", {}, b"")) as origin:
        with pytest.raises(client.HTTPError, match="416"):
            session.download(origin.url, tmp_path / "out", parts=1)

    assert 1 == len(origin.asked)


def test_several_ranges_in_one_body_are_no_part_of_the_file(session: client.Session, tmp_path: Path) -> None:
    """A Content-Range in the head of multipart/byteranges is forbidden (RFC 9110 section 15.3.7.2), and means nothing."""

    def wrap(asked: Asked, _: Reply) -> Reply:
        reply = serves(OLD, asked, {"ETag": '"a"', "Date": DATE})
        if asked.first is None:
            return reply
        return reply._replace(
            headers={**reply.headers, "Content-Type": " Multipart/ByteRanges; boundary=x"},
            body=(b"--x\r\nContent-Type: text/plain\r\n\r\n" + reply.body)[: len(reply.body)],
        )

    with RangeServer(OLD, wrap) as origin:
        session.download(origin.url, tmp_path / "out", parts=3)

    assert OLD == (tmp_path / "out").read_bytes()


def test_ranges_that_the_session_asks_for_are_not_the_download_s(
    session: client.Session, tmp_path: Path
) -> None:
    session.headers.update({"Range": "bytes=0-1", "If-Range": '"other"'})
    with RangeServer(OLD) as origin:
        for parts in (1, 3):
            session.download(origin.url, tmp_path / f"out{parts}", parts=parts)
            assert OLD == (tmp_path / f"out{parts}").read_bytes()

    assert "range" not in origin.asked[0].headers
    assert '"other"' not in {asked.headers.get("if-range") for asked in origin.asked}


READS: dict[str, Callable[[client.Response], object]] = {
    "iter_content": lambda response: next(response.iter_content(10)),
    "all of iter_content": lambda response: list(response.iter_content(1 << 16)),
    "iter_lines": lambda response: next(response.iter_lines()),
    "raw": lambda response: response.raw.read(10),
    "all of raw": lambda response: response.raw.read(),
    "open": lambda response: response.open().read(10),
}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_what_a_hook_has_read_is_not_missing_in_silence(
    session: client.Session, tmp_path: Path, read: Callable[[client.Response], object], chunked: bool
) -> None:
    def peek(response: client.Response, **_: Any) -> None:
        read(response)

    with RangeServer(OLD, in_chunks if chunked else None) as origin:
        with pytest.raises(client.StreamConsumedError, match="hook"):
            session.download(origin.url, tmp_path / "out", hooks={"response": peek})

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("chunked", [False, True])
def test_a_hook_may_look_at_the_content(session: client.Session, tmp_path: Path, chunked: bool) -> None:
    seen = []

    def look(response: client.Response, **_: Any) -> None:
        seen.append(len(response.content))

    with RangeServer(OLD, in_chunks if chunked else None) as origin:
        session.download(origin.url, tmp_path / "out", hooks={"response": look})

    assert [len(OLD)] == seen
    assert OLD == (tmp_path / "out").read_bytes()


def in_chunks(_: Asked, reply: Reply) -> Reply:
    fields = {"ETag": '"one"', "Date": DATE, "Transfer-Encoding": "chunked", "Content-Length": ""}
    return Reply("200 OK", fields, b"%x\r\n%b\r\n0\r\n\r\n" % (len(OLD), OLD))
