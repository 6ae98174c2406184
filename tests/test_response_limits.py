"""Bodies made to hurt: bombs, endless bodies, lying lengths. What is asserted is memory, time and the error."""

from __future__ import annotations

import gzip
import itertools
import subprocess
import sys
import textwrap
import time
import zlib
from collections.abc import Callable, Iterator

import brotli  # type: ignore[import-untyped]  # the package ships no stubs
import pytest

from client.exceptions import BodyTooLarge, ContentDecodingError, IncompleteBody
from client.response import Response
from tests.wire_bytes import WireBytes, response_of

GZIP = [(b"Content-Encoding", b"gzip")]
MIB = 1 << 20

READERS: dict[str, Callable[[Response], object]] = {
    "content": lambda response: response.content,
    "iter_content": lambda response: list(response.iter_content()),
    "iter_content in bytes": lambda response: list(response.iter_content(1)),
    "iter_lines": lambda response: list(response.iter_lines()),
    "iter_sse": lambda response: list(response.iter_sse()),
    "json": lambda response: response.json(),
    "text": lambda response: response.text,
    "open": lambda response: response.open().read(),
    "raw, decoding": lambda response: response.raw.read(decode_content=True),
}
every_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS)


@every_reader
@pytest.mark.parametrize("coded", [False, True])
def test_max_body_counts_decoded_bytes_on_every_path(read: Callable[[Response], object], coded: bool) -> None:
    body = b"1" * 2000
    wire = WireBytes(gzip.compress(body) if coded else body, GZIP if coded else [])
    response = response_of(wire=wire, max_body=1999)

    with pytest.raises(BodyTooLarge, match="max_body=1999") as caught:
        read(response)
    assert 1999 == caught.value.limit
    assert 2000 == caught.value.received
    assert response is caught.value.response
    assert isinstance(caught.value, ValueError)
    assert wire.closed


@pytest.mark.parametrize("name", ["content", "iter_content", "open", "raw, decoding"])
@pytest.mark.parametrize("body", [b"", b"1" * 2000])
@pytest.mark.parametrize("coded", [False, True])
def test_a_body_of_just_max_body_passes(name: str, body: bytes, coded: bool) -> None:
    response = response_of(
        gzip.compress(body) if coded else body, GZIP if coded else [], max_body=len(body), max_ratio=1000
    )

    assert READERS[name](response) in (body, [body] if body else [])


@every_reader
def test_max_ratio_holds_on_every_path(read: Callable[[Response], object]) -> None:
    wire = WireBytes(gzip.compress(b"1" * MIB), GZIP)
    response = response_of(wire=wire, max_ratio=100)

    with pytest.raises(BodyTooLarge, match="max_ratio=100") as caught:
        read(response)
    assert 100 == caught.value.limit
    assert caught.value.received <= 256 * 1024
    assert wire.closed


def test_a_short_body_is_no_bomb() -> None:
    assert b"1" * 5000 == response_of(gzip.compress(b"1" * 5000), GZIP, max_ratio=2).content


@pytest.mark.parametrize("coded", [False, True])
def test_raw_bytes_count_too(coded: bool) -> None:
    body = (zlib.compress(b"1" * 4000, 0) if coded else b"1" * 4000) * 100

    with pytest.raises(BodyTooLarge, match="max_body"):
        response_of(body, [(b"Content-Encoding", b"deflate")] if coded else [], max_body=1000).raw.read()


def endless(piece: bytes) -> Iterator[bytes]:
    return itertools.repeat(piece)


@pytest.mark.parametrize(
    ("first", "then", "headers"),
    [
        (b"", b"x" * 65536, []),
        (gzip.compress(b"x"), b"junk" * 10_000, GZIP),
        (gzip.compress(b"x"), b"\0" * 65536, GZIP),
        (b"\x1f\x8b\x08\x08" + bytes(6), b"n" * 65536, GZIP),
        (zlib.compress(b"x"), b"junk" * 10_000, [(b"Content-Encoding", b"deflate")]),
    ],
    ids=["plain", "junk", "padding", "header", "deflate junk"],
)
@pytest.mark.parametrize("name", ["content", "iter_content", "open"])
def test_an_endless_body_ends_at_max_body(
    name: str, first: bytes, then: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    """Some of them decode to nothing for ever, so decoded bytes alone would never reach the limit."""
    wire = WireBytes(itertools.chain([first], endless(then)) if first else endless(then), headers)

    with pytest.raises(BodyTooLarge):
        READERS[name](response_of(wire=wire, max_body=100_000))
    assert len(wire.reads) < 10


@pytest.mark.parametrize("headers", [[], GZIP])
def test_an_announced_length_above_max_body_is_refused_at_once(headers: list[tuple[bytes, bytes]]) -> None:
    wire = WireBytes([gzip.compress(b"x"), b"more"], [(b"Content-Length", b"100000000"), *headers])

    with pytest.raises(BodyTooLarge, match="of 100000000 announced"):
        _ = response_of(wire=wire, max_body=1000).content
    assert 1 == len(wire.reads)


def test_the_length_that_head_announces_is_no_body() -> None:
    assert b"" == response_of(b"", [(b"Content-Length", b"100000000")], max_body=1000).content


def test_too_large_carries_what_fits() -> None:
    with pytest.raises(BodyTooLarge) as caught:
        _ = response_of([b"12", b"34", b"56"], max_body=5).content
    assert b"1234" == caught.value.partial


def test_more_than_five_codings_then_an_early_close_is_one_error() -> None:
    """CVE-2026-109869."""
    response = response_of([b"x"], [(b"Content-Encoding", b"gzip")] * 6, error=IncompleteBody("cut"))

    with pytest.raises(ContentDecodingError, match="6 content codings"):
        _ = response.content


def test_many_small_members_take_linear_time() -> None:
    """Each costs a new decompressor, and no copy of what follows it."""
    member = gzip.compress(b"a line of a log\n")
    start = time.process_time()

    assert b"a line of a log\n" * 50_000 == response_of(member * 50_000, GZIP).content
    assert time.process_time() - start < 10


# -- memory, measured in a process of its own -----------------------------------------------------------------

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak memory of a process")

# Not ru_maxrss: a new process starts with that of its parent, under which a whole bomb stays hidden.
MEASURE = r"""
    import re, sys
    sys.path[:0] = {path!r}
    from tests.wire_bytes import response_of
    from client.exceptions import *
    import client.decoders, zlib, brotli
    body = open({file!r}, "rb").read()
    warm = response_of(b"x" * 1000000).content
    list(response_of(brotli.compress(b"x" * 1000000), [(b"Content-Encoding", b"br")]).iter_content())
    del warm
    def peak():
        return int(re.search(r"VmHWM:\s*(\d+) kB", open("/proc/self/status").read())[1])
    before = peak()
    response = response_of(body, {headers!r}, max_body={max_body!r}, max_ratio={max_ratio!r})
    try:
        {action}
    except BodyTooLarge:
        pass
    print(peak() - before)
"""


def kib_for(tmp_path_factory: pytest.TempPathFactory, body: bytes, headers: list[tuple[bytes, bytes]], action: str, max_body: int | None = None, max_ratio: float | None = None) -> int:  # fmt: skip
    """Return by how many KiB the peak memory of a process grows through *action* on a response."""
    file = tmp_path_factory.mktemp("bomb") / "body"
    file.write_bytes(body)
    code = textwrap.dedent(MEASURE).format(
        path=sys.path, file=str(file), headers=headers, action=action, max_body=max_body, max_ratio=max_ratio
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(run.stdout)


BOMBS = {
    "gzip": (gzip.compress(bytes(64 * MIB), 9), GZIP),
    "br": (brotli.compress(bytes(64 * MIB)), [(b"Content-Encoding", b"br")]),
    "gzip twice": (
        gzip.compress(gzip.compress(bytes(64 * MIB), 9), 9),
        [(b"Content-Encoding", b"gzip, gzip")],
    ),
}
BOMB_ACTIONS = {
    "one byte": "next(response.iter_content(1))",
    "ten raw bytes": "response.raw.read(10, decode_content=True)",
    "one byte of the file": "file = response.open(); file.read(1)",
}


@linux_only
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_the_measure_sees_a_bomb_unfold(
    tmp_path_factory: pytest.TempPathFactory, bomb: tuple[bytes, list[tuple[bytes, bytes]]]
) -> None:
    """Without limits, all of it is what the caller asked for."""
    assert kib_for(tmp_path_factory, *bomb, "response.content") > 60 * 1024


@linux_only
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("action", BOMB_ACTIONS.values(), ids=BOMB_ACTIONS)
def test_a_small_read_of_a_bomb_takes_little_memory(
    tmp_path_factory: pytest.TempPathFactory, bomb: tuple[bytes, list[tuple[bytes, bytes]]], action: str
) -> None:
    """CVE-2025-66471: 64 MiB behind 64 KiB, for whoever wants one byte."""
    assert kib_for(tmp_path_factory, *bomb, action) < 8 * 1024


@linux_only
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize(("max_body", "max_ratio"), [(MIB, None), (None, 20)])
def test_a_limit_stops_a_bomb_before_it_unfolds(
    tmp_path_factory: pytest.TempPathFactory,
    bomb: tuple[bytes, list[tuple[bytes, bytes]]],
    max_body: int | None,
    max_ratio: float | None,
) -> None:
    assert kib_for(tmp_path_factory, *bomb, "response.content", max_body, max_ratio) < 8 * 1024


@linux_only
def test_a_lying_content_length_allocates_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    """CVE-2025-13836: 8 TiB announced, five bytes sent."""
    headers = [(b"Content-Length", str(8 << 40).encode())]

    assert kib_for(tmp_path_factory, b"12345", headers, "response.content") < 1024
    assert kib_for(tmp_path_factory, b"12345", headers, "list(response.iter_content(1 << 20))") < 2048
