"""Rows 24 and 118-126: what a few bytes decode to is bounded, and what is cut short is never passed off as whole."""

from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import brotli  # type: ignore[import-untyped]  # it has no stubs
import pytest

import client
from client.exceptions import BodyTooLarge, ContentDecodingError, IncompleteBody
from tests.scripted_server import Close, Expect, Flood, Hold, ScriptedServer, Send
from tests.security.origins import OK, response

zstd = pytest.importorskip("backports.zstd", reason="the extra zstd is not installed")

pytestmark = pytest.mark.timeout(10)

MEBIBYTE = 1 << 20
EXPANDED = 32 * MEBIBYTE


@cache
def gzip_bomb() -> bytes:
    return gzip.compress(bytes(EXPANDED))


#: What expands to 32 MiB of zeros.
BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": gzip_bomb,
    "deflate": cache(lambda: zlib.compress(bytes(EXPANDED), 9)),
    "br": cache(lambda: brotli.compress(bytes(EXPANDED), quality=5)),
    "zstd": cache(lambda: zstd.compress(bytes(EXPANDED))),
}


def coded(coding: str, body: bytes) -> bytes:
    return response(b"Content-Encoding: " + coding.encode(), body=body)


def session(**settings: Any) -> client.Session:
    return client.Session(trust_env=False, **settings)


@pytest.mark.parametrize("raw", [False, True], ids=["zlib", "raw"])
def test_row_024_bytes_after_the_end_of_deflate_end_no_reader_in_a_spin(
    scripted_server: ScriptedServer, raw: bool
) -> None:
    packer = zlib.compressobj(9, wbits=-15 if raw else 15)
    packed = packer.compress(b"hello" * 1000) + packer.flush() + b"0123456789"
    chunks = b"".join(b"1\r\n%b\r\n" % packed[i : i + 1] for i in range(len(packed)))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nTransfer-Encoding: chunked\r\n\r\n"
    scripted_server.script(Expect(), Send(head + chunks + b"0\r\n\r\n"), Hold())

    with session() as s, s.get(scripted_server.url, stream=True) as answer:
        assert b"hello" * 1000 == b"".join(answer.iter_content(16))


@pytest.mark.parametrize("coding", BOMBS)
@pytest.mark.parametrize("way", ["read(10)", "iter_content(1)", "open().read(10)"])
def test_row_118_a_small_read_makes_small_output(
    scripted_server: ScriptedServer, coding: str, way: str
) -> None:
    bomb = BOMBS[coding]()
    scripted_server.script(Expect(), Send(coded(coding, bomb), may_fail=True), Close())

    with session() as s, s.get(scripted_server.url, stream=True) as answer:
        tracemalloc.start()
        if way == "read(10)":
            next(answer.iter_content(10))
        elif way == "iter_content(1)":
            next(answer.iter_content(1))
        else:
            with answer.open() as file:
                file.read(10)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert peak < 8 * MEBIBYTE


@pytest.mark.parametrize("coding", BOMBS)
@pytest.mark.parametrize(
    "limit", [{"max_body": 2 * MEBIBYTE}, {"max_ratio": 20.0}], ids=["max_body", "max_ratio"]
)
@pytest.mark.parametrize("on_session", [False, True], ids=["call", "session"])
def test_row_118_a_limit_ends_it(
    scripted_server: ScriptedServer, coding: str, limit: dict[str, Any], on_session: bool
) -> None:
    scripted_server.script(Expect(), Send(coded(coding, BOMBS[coding]()), may_fail=True), Close())

    with session(**(limit if on_session else {})) as s, pytest.raises(BodyTooLarge) as caught:
        s.get(scripted_server.url, **({} if on_session else limit))

    assert caught.value.limit == next(iter(limit.values()))
    assert len(caught.value.partial) < 8 * MEBIBYTE


#: What is not at its end and holds nothing, or has ended; then what may follow it for ever.
ENDLESS = {
    "deflate": [(b"\x78\x9c", b"\x00\x00\x00\xff\xff")],  # stored blocks of no bytes
    "gzip": [
        (b"\x1f\x8b\x08\x08" + bytes(6), b"n"),  # a file name
        (gzip.compress(b"x", mtime=0), b"junk"),
        (gzip.compress(b"x", mtime=0), b"\0"),
    ],
}


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    ("coding", "begin", "repeat"), [(coding, *parts) for coding, rows in ENDLESS.items() for parts in rows]
)
def test_row_119_what_another_coding_blows_up_must_hold_something(
    scripted_server: ScriptedServer, coding: str, begin: bytes, repeat: bytes, times: int
) -> None:
    """Three times packed, a few hundred bytes would be decoded for hours, without one that a limit could count."""
    body = begin + repeat * (8 * MEBIBYTE // len(repeat))
    for _ in range(times):
        body = gzip.compress(body, mtime=0)
    scripted_server.script(Expect(), Send(coded(coding + ", gzip" * times, body)), Hold())

    with client.Session(trust_env=False, max_body=MEBIBYTE) as session:
        with pytest.raises(ContentDecodingError, match="inside another coding"):
            session.get(scripted_server.url)


#: What holds next to nothing, and may be repeated at will.
MEMBERS = {
    "gzip": [gzip.compress(b"", mtime=0), gzip.compress(b"x", mtime=0)],
    "zstd": [
        zstd.compress(b""),
        zstd.compress(b"x"),
        bytes.fromhex("502a4d1800000000"),
    ],  # the last is to be skipped
}


@pytest.mark.parametrize("packed", [False, True], ids=["as it is", "packed once more"])
@pytest.mark.parametrize(
    ("coding", "member"),
    [(coding, member) for coding, members in MEMBERS.items() for member in members],
    ids=lambda value: value if isinstance(value, str) else value.hex(),
)
def test_row_118_a_row_of_members_that_hold_nothing_is_no_body(
    scripted_server: ScriptedServer, coding: str, member: bytes, packed: bool
) -> None:
    """They hardly count against a limit of the decoded size, each costs a new decoder, and packed they cost no wire."""
    row = member * (MEBIBYTE // 2 // len(member))
    body = coded(f"{coding}, gzip", gzip.compress(row)) if packed else coded(coding, row)
    scripted_server.script(Expect(), Send(body, may_fail=True), Hold())

    with client.Session(trust_env=False, max_body=MEBIBYTE) as session:
        with pytest.raises(ContentDecodingError, match="members"):
            session.get(scripted_server.url)


@pytest.mark.parametrize("lines", [60, 1], ids=["a line each", "one line"])
@pytest.mark.parametrize("count", [6, 60])
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "identity", "br, gzip"])
def test_row_119_at_most_five_codings_are_undone(
    scripted_server: ScriptedServer, coding: str, count: int, lines: int
) -> None:
    value = coding.encode()
    fields = [b"Content-Encoding: " + value] * count
    if lines == 1:
        fields = [b"Content-Encoding: " + b", ".join([value] * count)]
    scripted_server.script(Expect(), Send(response(*fields), may_fail=True), Close())

    with session() as s, pytest.raises(ContentDecodingError, match="at most 5"):
        s.get(scripted_server.url)


def test_row_119_five_are(scripted_server: ScriptedServer) -> None:
    body = b"hello"
    for _ in range(5):
        body = gzip.compress(body)
    scripted_server.answer(coded("gzip, gzip, gzip, gzip, gzip", body))

    with session() as s:
        assert b"hello" == s.get(scripted_server.url).content


def test_row_120_one_error_reaches_the_caller_and_the_session_lives(scripted_server: ScriptedServer) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip,gzip,gzip,gzip,gzip,gzip\r\nContent-Length: 99\r\n\r\n"
    scripted_server.script(Expect(), Send(head), Close())
    scripted_server.answer(OK)

    with session() as s:
        with pytest.raises((ContentDecodingError, IncompleteBody)):
            s.get(scripted_server.url)
        assert b"ok" == s.get(scripted_server.url).content


@pytest.mark.parametrize("stream", [False, True])
def test_row_121_the_body_of_a_redirect_is_never_decoded(
    scripted_server: ScriptedServer, stream: bool
) -> None:
    """Broken data would raise, a bomb would go off."""
    broken = b"Location: /there\r\nContent-Encoding: gzip"
    scripted_server.script(
        Expect(),
        Send(response(broken, status=b"302 Go", body=b"no gzip")),
        Expect(b"GET /there "),
        Send(OK),
        Hold(),
    )

    with session() as s, s.get(scripted_server.url, stream=stream) as answer:
        assert b"ok" == answer.content


def test_row_121_nor_is_a_long_one_read(scripted_server: ScriptedServer) -> None:
    bomb = gzip_bomb() * 100  # members of 32 MiB
    scripted_server.script(
        Expect(),
        Send(
            response(b"Location: /there", b"Content-Encoding: gzip", status=b"302 Go", body=bomb),
            may_fail=True,
        ),
        Close(),
    )
    scripted_server.answer(OK)

    with session() as s:
        tracemalloc.start()
        assert b"ok" == s.get(scripted_server.url).content
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert peak < 2 * MEBIBYTE


@pytest.mark.parametrize("coding", BOMBS)
def test_row_122_closing_after_a_part_decodes_nothing_more(
    scripted_server: ScriptedServer, coding: str
) -> None:
    scripted_server.script(Expect(), Send(coded(coding, BOMBS[coding]()), may_fail=True), Close())
    scripted_server.answer(OK)

    with session() as s:
        tracemalloc.start()
        with s.get(scripted_server.url, stream=True) as answer:
            next(answer.iter_content(10))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert b"ok" == s.get(scripted_server.url).content

    assert peak < 8 * MEBIBYTE


def test_row_123_brotli_is_offered_only_with_a_bound_on_its_output() -> None:
    """Before 1.2 the library had none; what it does without is in `tests.test_decoders`."""
    offered = "br" in client.Session().headers["Accept-Encoding"].split(", ")
    version = tuple(int(part) for part in brotli.__version__.split(".")[:2])

    assert (version >= (1, 2)) is offered


@pytest.mark.parametrize("flag", [4, 8, 16], ids=["FEXTRA", "FNAME", "FCOMMENT"])
def test_row_124_a_gzip_header_without_an_end_costs_no_memory(
    scripted_server: ScriptedServer, flag: int
) -> None:
    start = b"\x1f\x8b\x08" + bytes([flag]) + bytes(6) + (b"\xff\xff" if flag == 4 else b"")
    body = start + b"x" * (8 * MEBIBYTE)
    scripted_server.script(Expect(), Send(coded("gzip", body), may_fail=True), Close())

    with session() as s:
        tracemalloc.start()
        with pytest.raises(ContentDecodingError), s.get(scripted_server.url, stream=True) as answer:
            for _ in answer.iter_content(65536):
                pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert peak < 2 * MEBIBYTE


def test_row_125_a_decoder_that_failed_stays_failed(scripted_server: ScriptedServer) -> None:
    packed = bytearray(gzip.compress(bytes(100_000)) * 2)
    packed[40:44] = b"\xff\xff\xff\xff"
    scripted_server.script(Expect(), Send(coded("gzip", bytes(packed)), may_fail=True), Hold())

    with session() as s, s.get(scripted_server.url, stream=True) as answer:
        with pytest.raises(ContentDecodingError):
            b"".join(answer.iter_content(1000))
        with pytest.raises(client.exceptions.RequestException):
            b"".join(answer.iter_content(1000))


@pytest.mark.parametrize("stream", [False, True])
def test_row_126_nothing_is_allocated_on_the_word_of_a_peer(
    scripted_server: ScriptedServer, stream: bool
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nhello" % (8 << 40)
    scripted_server.script(Expect(), Send(head), Close())

    with session() as s:
        tracemalloc.start()
        with pytest.raises(IncompleteBody) as caught, s.get(scripted_server.url, stream=stream) as answer:
            answer.content  # noqa: B018  # reads the body
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert b"hello" == caught.value.partial
    assert 8 << 40 == caught.value.expected
    assert peak < 2 * MEBIBYTE


def test_a_bomb_in_an_error_body_is_bounded_too(scripted_server: ScriptedServer) -> None:
    """`raise_for_status` reads no body for its message."""
    scripted_server.script(
        Expect(),
        Send(b"HTTP/1.1 500 No\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Flood(b"400\r\n" + bytes(0x400) + b"\r\n", limit=1 << 24),
    )
    started = time.process_time()

    with session() as s, s.get(scripted_server.url, stream=True) as answer, pytest.raises(client.HTTPError):
        answer.raise_for_status()

    assert time.process_time() - started < 2
