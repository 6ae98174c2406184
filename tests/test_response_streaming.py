"""Reading a body bit by bit: `iter_content`, `iter_lines`, events, `raw`, `open`; cut anywhere."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import tarfile
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.exceptions import (
    ContentDecodingError,
    IncompleteBody,
    JSONDecodeError,
    StreamConsumedError,
)
from client.lines import ServerSentEvent
from client.response import Response
from tests.wire_bytes import WireBytes, cut, response_of

GZIP = [(b"Content-Encoding", b"gzip")]
TEXT = b"".join(b"line %d of a longer text\r\n" % number for number in range(400))


# -- iter_content ---------------------------------------------------------------------------------------------


def test_pieces_are_what_arrived() -> None:
    assert [b"one", b"two"] == list(response_of([b"one", b"two"]).iter_content())
    assert [b"one", b"two"] == list(response_of([b"one", b"two"]).iter_content(chunk_size=None))


def test_pieces_of_an_announced_length_are_full() -> None:
    response = response_of([b"a", b"bcd", b"efgh"], [(b"Content-Length", b"8")])

    assert [b"abc", b"def", b"gh"] == list(response.iter_content(3))


def test_pieces_of_an_unannounced_length_are_not_waited_for() -> None:
    """A live feed comes chunked; waiting for a full piece would hold back what is there (requests' issue 5540)."""
    arrived = []

    def pieces() -> Any:
        for piece in (b"ab", b"cdefg"):
            arrived.append(piece)
            yield piece

    feed = response_of(pieces()).iter_content(3)

    assert b"ab" == next(feed)
    assert [b"ab"] == arrived
    assert [b"cde", b"fg"] == list(feed)


@given(data=st.data(), coding=st.sampled_from(["identity", "gzip", "deflate"]), announced=st.booleans())
def test_the_bytes_do_not_depend_on_the_cut(data: st.DataObject, coding: str, announced: bool) -> None:
    body = {"identity": TEXT, "gzip": gzip.compress(TEXT), "deflate": zlib.compress(TEXT)}[coding]
    sizes = data.draw(st.lists(st.integers(1, 4000), max_size=5))
    chunk_size = data.draw(st.none() | st.integers(1, 5000))
    headers = [(b"Content-Encoding", coding.encode())]
    if announced:
        headers.append((b"Content-Length", str(len(body)).encode()))

    pieces = list(response_of(cut(body, *sizes), headers).iter_content(chunk_size))

    assert TEXT == b"".join(pieces)
    if chunk_size and announced:
        assert {chunk_size} >= {len(piece) for piece in pieces[:-1]}
    if chunk_size:
        assert max(len(piece) for piece in pieces) <= chunk_size


def test_one_byte_at_a_time_is_linear() -> None:
    """2 MiB in steps of one byte: copying the rest of each 256 KiB step would be 200 GB."""
    response = response_of(gzip.compress(bytes(2 << 20)), GZIP)
    start = time.process_time()

    assert 2 << 20 == sum(1 for _ in response.iter_content(1))
    assert time.process_time() - start < 6


@pytest.mark.parametrize(
    "stream",
    [lambda r: r.iter_content(), lambda r: r.iter_lines(), lambda r: r.raw.stream(4, decode_content=True)],
)
def test_a_truncated_body_raises_behind_its_last_piece(stream: Callable[[Response], Any]) -> None:
    response = response_of(gzip.compress(b"some bytes\n" * 3)[:-8], GZIP)
    got = []

    with pytest.raises(ContentDecodingError) as caught:
        for piece in stream(response):
            got.append(piece)  # noqa: PERF402  # what came before the error counts
    assert b"some bytes" in b"".join(got)
    assert caught.value.response is response


def test_errors_of_the_wire_are_told_what_they_are_about() -> None:
    response = response_of([b"some"], error=IncompleteBody("cut", received=4, expected=9))
    pieces = response.iter_content()

    assert b"some" == next(pieces)
    with pytest.raises(IncompleteBody) as caught:
        next(pieces)
    assert caught.value.response is response
    assert caught.value.request is response.request
    with pytest.raises(IncompleteBody):
        next(response.iter_content())


def test_content_that_was_read_can_be_iterated_over_and_over() -> None:
    response = response_of(b"some bytes")
    assert b"some bytes" == response.content

    assert [b"some bytes"] == list(response.iter_content())
    assert [b"some byt", b"es"] == list(response.iter_content(8))
    assert [b"some bytes"] == list(response)
    assert [b"some bytes"] == list(response.iter_lines())
    assert b"some bytes" == response.open().read()
    assert b"" == response.raw.read()


def test_a_streamed_body_is_gone() -> None:
    response = response_of(b"some bytes")
    assert b"some bytes" == b"".join(response.iter_content())

    attempts: list[Callable[[], object]] = [
        response.iter_content,
        response.iter_lines,
        response.iter_sse,
        response.iter_json_lines,
        response.open,
        response.json,
        lambda: response.content,
    ]
    for again in attempts:
        with pytest.raises(StreamConsumedError) as caught:
            again()
        assert caught.value.response is response


@pytest.mark.parametrize(
    "part",
    [
        lambda r: next(r.iter_content(4)),
        lambda r: r.raw.read(4),
        lambda r: r.open().read(4),
        lambda r: next(r.iter_lines()),
    ],
)
def test_content_after_a_part_was_streamed_is_an_error(part: Callable[[Response], bytes]) -> None:
    """requests returns the rest as if it were the whole."""
    response = response_of([b"some\n", b"bytes\n"])
    assert b"some" == part(response)

    with pytest.raises(StreamConsumedError, match="a part of this body was streamed"):
        _ = response.content


@pytest.mark.parametrize(
    "part",
    [lambda r: r.open().read(4), lambda r: next(r.iter_lines()), lambda r: next(r.iter_sse())],
    ids=["open", "lines", "events"],
)
@pytest.mark.parametrize(
    "rest",
    [
        lambda r: list(r.iter_content()),
        lambda r: list(r.iter_lines()),
        lambda r: list(r.iter_sse()),
        lambda r: r.open().read(),
        lambda r: r.raw.read(),
        lambda r: list(r.raw.stream()),
    ],
    ids=["pieces", "lines", "events", "open", "raw", "stream"],
)
def test_nobody_goes_on_after_one_who_reads_ahead(
    part: Callable[[Response], Any], rest: Callable[[Response], Any]
) -> None:
    """What that had read and not delivered would be missing in the middle; requests documents that it is."""
    response = response_of([b"data\n\nmore", b" of it\n", b"end"])
    part(response)

    with pytest.raises(StreamConsumedError, match="read ahead") as caught:
        rest(response)
    assert response is caught.value.response


def test_one_who_reads_ahead_to_the_end_leaves_nothing() -> None:
    for read in (lambda r: r.open().read(), lambda r: list(r.iter_lines())):
        response = response_of([b"a\nb"])
        read(response)
        assert b"" == response.raw.read()


def test_no_coded_bytes_come_after_decoded_ones() -> None:
    """What was taken to be decoded is gone: an empty read would look like the end."""
    response = response_of(gzip.compress(TEXT), GZIP)
    assert TEXT[:3] == next(response.iter_content(3))

    for read in (response.raw.read, lambda: response.raw.readinto(bytearray(3))):
        with pytest.raises(StreamConsumedError, match="its coded bytes are gone") as caught:
            read()
        assert response is caught.value.response
    assert TEXT[3:] == response.raw.read(decode_content=True)
    assert b"" == response.raw.read()


def test_a_loop_that_was_left_can_be_gone_on_with() -> None:
    response = response_of(b"some bytes")

    assert b"some" == next(response.iter_content(4))
    assert b" bytes" == b"".join(response.iter_content(4))


def test_an_empty_body_is_no_piece() -> None:
    response = response_of(b"")

    assert [] == list(response.iter_content())
    assert b"" == response.content


@pytest.mark.parametrize(
    ("chunk_size", "error"), [(0, ValueError), (-1, ValueError), ("8", TypeError), (1.5, TypeError)]
)
def test_a_bad_chunk_size_is_refused_at_once(chunk_size: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="chunk_size must be"):
        response_of(b"x").iter_content(chunk_size)
    with pytest.raises(error, match="chunk_size must be"):
        response_of(b"x").iter_lines(chunk_size)


def test_unicode_pieces() -> None:
    response = response_of(["naïve".encode()[:3], "naïve".encode()[3:]])
    assert ["na", "ïve"] == list(response.iter_content(decode_unicode=True))

    response = response_of([b"\xc4", b"\xc1"], [(b"Content-Type", b"text/plain; charset=koi8-r")])
    assert list("да") == list(response.iter_content(1, decode_unicode=True))

    response = response_of("naïve".encode())
    assert response.content
    assert "naïve" == "".join(response.iter_content(1, decode_unicode=True))


# -- lines, events, JSON lines --------------------------------------------------------------------------------


def test_lines() -> None:
    assert TEXT.split(b"\r\n")[:-1] == list(response_of(TEXT).iter_lines())
    assert TEXT.split(b"\r\n")[:-1] == list(response_of(gzip.compress(TEXT), GZIP).iter_lines(chunk_size=7))
    assert TEXT.decode().split("\r\n")[:-1] == list(response_of(TEXT).iter_lines(decode_unicode=True))
    assert [b"a", b"b", b"", b"c"] == list(response_of([b"a|", b"b||c|"]).iter_lines(delimiter=b"|"))
    assert ["a", "b"] == list(response_of(b"a--b").iter_lines(1, True, "--"))


def test_a_line_is_delivered_before_the_next_piece_comes() -> None:
    arrived = iter([b"one\ntw", b"o\n"])
    lines = response_of(arrived, [(b"Content-Length", b"8")]).iter_lines(chunk_size=512)

    assert b"one" == next(lines)
    assert b"o\n" == next(arrived)


def test_server_sent_events() -> None:
    stream = "event: add\r\nid: 1\r\ndata: ä\r\n\r\ndata: two\r\n\r\n".encode()
    expected = [ServerSentEvent("add", "ä", "1"), ServerSentEvent("message", "two", "1")]

    for index in range(len(stream)):
        response = response_of(cut(stream, index), [(b"Content-Type", b"text/event-stream; charset=latin-1")])
        assert expected == list(response.iter_sse())
    response = response_of(b"\xef\xbb\xbfdata: x\n\n")
    assert [ServerSentEvent(data="x")] == list(response.iter_sse())


def test_json_lines() -> None:
    response = response_of([b'{"a": "\xe2\x80', b'\xa8"}\r\n\n  \n', b"[1, 2]\nnull"])

    assert [{"a": "\u2028"}, [1, 2], None] == list(response.iter_json_lines())
    assert ["1.5"] == list(response_of(b"1.5\n").iter_json_lines(parse_float=str))


def test_a_broken_json_line_is_named() -> None:
    items = response_of(b"1\n<oops>\n2\n").iter_json_lines()

    assert 1 == next(items)
    with pytest.raises(
        JSONDecodeError, match=r"status 200, url http://example.test/path, body '<oops>'"
    ) as caught:
        next(items)
    assert "<oops>" == caught.value.doc


# -- raw ------------------------------------------------------------------------------------------------------


def test_raw_leaves_the_content_coding_on() -> None:
    coded = gzip.compress(TEXT)

    assert coded == response_of(cut(coded, 5, 100), GZIP).raw.read()
    assert coded == b"".join(response_of(cut(coded, 5, 100), GZIP).raw.stream(64))
    assert TEXT == response_of(cut(coded, 5, 100), GZIP).raw.read(decode_content=True)
    assert TEXT == gzip.GzipFile(fileobj=response_of(cut(coded, 5, 100), GZIP).raw).read()
    target = io.BytesIO()
    shutil.copyfileobj(response_of(cut(coded, 5, 100), GZIP).raw, target)
    assert coded == target.getvalue()


@pytest.mark.parametrize("headers", [[], GZIP])
def test_raw_reads_as_a_file_does(headers: list[tuple[bytes, bytes]]) -> None:
    response = response_of([b"0", b"123", b"456789"], headers)
    raw = response.raw

    assert raw is response.raw
    assert raw.readable()
    assert not raw.closed
    assert b"01" == raw.read(2)
    assert b"" == raw.read(0)
    buffer = bytearray(3)
    assert 2 == raw.readinto(buffer)
    assert b"23\0" == buffer
    assert b"456" == raw.read(3)
    assert raw.tell() in range(7, 11)
    assert b"789" == raw.read(-1)
    assert b"" == raw.read(5)
    assert b"" == raw.read()
    assert 0 == raw.readinto(buffer)
    assert 10 == raw.tell()
    raw.close()
    assert raw.closed
    for call in (raw.read, lambda: raw.readinto(buffer)):
        with pytest.raises(ValueError, match="closed file"):
            call()


def test_raw_has_the_head_as_urllib3_shows_it() -> None:
    raw = response_of(headers=[(b"X-A", b"1")], status=404, reason=b"Not Found").raw

    assert (404, "Not Found", 11) == (raw.status, raw.reason, raw.version)
    assert "1" == raw.headers["x-a"]
    assert ["1"] == raw.headers.getlist("X-A")


def test_raw_and_pieces_share_one_position() -> None:
    response = response_of(b"0123456789")

    assert b"01" == response.raw.read(2)
    assert b"23" == next(response.iter_content(2))
    assert b"45" == response.raw.read(2, decode_content=True)
    assert b"6789" == response.open().read()


def test_decoding_after_a_raw_read_is_an_error_and_never_a_shorter_body() -> None:
    response = response_of(gzip.compress(TEXT), GZIP)
    assert b"\x1f\x8b" == response.raw.read(2)

    with pytest.raises(StreamConsumedError):
        _ = response.content
    with pytest.raises(ContentDecodingError):
        b"".join(response.iter_content())


def test_text_wraps_raw() -> None:
    assert ["line one\n", "two"] == list(
        io.TextIOWrapper(io.BufferedReader(response_of(b"line one\ntwo").raw), encoding="utf-8")
    )


# -- open -----------------------------------------------------------------------------------------------------


def opened(body: bytes) -> io.BufferedReader:
    return response_of(cut(gzip.compress(body), 3, 11, 40), GZIP).open()


def test_open_is_a_decoded_file() -> None:
    with opened(TEXT) as file:
        assert TEXT[:10] == file.read(10)
        assert TEXT[10:12] == file.peek(2)[:2]
        assert TEXT[10:25] == file.readline()
        assert TEXT[25:] == file.read()
        assert b"" == file.read()


def test_open_feeds_the_standard_library() -> None:
    assert {"a": [1, 2]} == json.load(opened(b'{"a": [1, 2]}'))
    assert [["a", "b"], ["1", "2\n3"]] == list(
        csv.reader(io.TextIOWrapper(opened(b'a,b\r\n1,"2\n3"\r\n'), newline=""))
    )
    assert TEXT.decode().replace("\r\n", "\n") == io.TextIOWrapper(opened(TEXT)).read()


@pytest.mark.parametrize("mode", ["r|", "r|gz"])
def test_tarfile_streams_from_open_and_raw(mode: Any) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode=mode.replace("r", "w")) as tar:
        for name in ("one", "two"):
            member = tarfile.TarInfo(name)
            member.size = len(TEXT)
            tar.addfile(member, io.BytesIO(TEXT))
    body = archive.getvalue()

    for file in (response_of(cut(body, 100, 513)).open(), response_of(cut(body, 100, 513)).raw):
        with tarfile.open(fileobj=file, mode=mode) as tar:
            assert {"one": TEXT, "two": TEXT} == {member.name: _extract(tar, member) for member in tar}


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def test_open_raises_at_a_truncated_end() -> None:
    response = response_of(gzip.compress(TEXT)[:-1], GZIP)

    with response.open() as file, pytest.raises(ContentDecodingError) as caught:
        file.read()
    assert caught.value.response is response


def test_closing_the_file_closes_the_response() -> None:
    wire = WireBytes(b"body")
    with response_of(wire=wire).open() as file:
        assert b"b" == file.read(1)
        assert not wire.closed
    assert wire.closed


@pytest.mark.parametrize(
    "read",
    [
        lambda r: list(r.iter_content()),
        lambda r: r.open().read(),
        lambda r: r.content,
    ],
)
def test_a_closed_response_reads_no_further(read: Callable[[Response], bytes]) -> None:
    """Never an empty body: it was closed before it was read."""
    response = response_of([b"one"])
    response.close()

    with pytest.raises(StreamConsumedError, match="closed"):
        read(response)


def test_closing_a_response_closes_its_raw_as_well() -> None:
    response = response_of([b"one"])
    assert not response.raw.closed
    response.close()

    assert response.raw.closed
    with pytest.raises(ValueError, match="closed file"):
        response.raw.read()
