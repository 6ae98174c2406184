"""Content codings: what comes out, where it ends, and what is refused."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]  # the package ships no stubs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import decoders
from client.decoders import ACCEPT_ENCODING, STEP, Decoder, decoder_for
from client.exceptions import ContentDecodingError
from client.response_limits import DEFAULT_RESPONSE_LIMITS

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b"".join(b"%d bottles of beer on the wall\n" % number for number in range(3000))


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate with its zlib header": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "stored raw deflate": (
        "deflate",
        lambda data: (
            b"\x01" + len(data).to_bytes(2, "little") + (len(data) ^ 0xFFFF).to_bytes(2, "little") + data
        ),
    ),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstd.compress),
}
every_coding = pytest.mark.parametrize(("coding", "encode"), ENCODERS.values(), ids=ENCODERS)
every_coding_of_any_length = pytest.mark.parametrize(
    ("coding", "encode"), [ENCODERS[name] for name in ENCODERS if not name.startswith("stored")]
)


def decoder(*content_encoding: str) -> Decoder:
    found = decoder_for(content_encoding)
    assert found is not None
    return found


def decode(coded: bytes, *content_encoding: str, piece: int = 1 << 30) -> bytes:
    """Decode *coded* in pieces of that size and check its end."""
    undo = decoder(*content_encoding)
    decoded = b"".join(
        step for start in range(0, len(coded), piece) for step in undo.decode(coded[start : start + piece])
    )
    undo.finish()
    return decoded


@every_coding
@pytest.mark.parametrize("piece", [1, 2, 7, 1 << 30])
def test_the_result_does_not_depend_on_the_pieces(
    coding: str, encode: Callable[[bytes], bytes], piece: int
) -> None:
    assert TEXT[:40_000] == decode(encode(TEXT[:40_000]), coding, piece=piece)


@given(data=st.data(), text=st.binary(max_size=2000))
@every_coding
def test_any_bytes_survive_any_cut(
    coding: str, encode: Callable[[bytes], bytes], data: st.DataObject, text: bytes
) -> None:
    coded = encode(text)
    first = data.draw(st.integers(0, len(coded)))
    second = data.draw(st.integers(first, len(coded)))
    undo = decoder(coding)

    decoded = [
        step for part in (coded[:first], coded[first:second], coded[second:]) for step in undo.decode(part)
    ]

    assert text == b"".join(decoded)
    assert undo.eof


@every_coding
def test_a_body_that_ends_early_is_never_complete(coding: str, encode: Callable[[bytes], bytes]) -> None:
    """requests, httpx and niquests hand out what they have when the framing is right and the gzip member is not."""
    coded = encode(TEXT[:500])
    for length in range(1, len(coded)):
        undo = decoder(coding)
        for _ in undo.decode(coded[:length]):
            pass
        assert not undo.eof
        with pytest.raises(ContentDecodingError, match="ended before the coded data did"):
            undo.finish()


@every_coding
def test_no_bytes_are_an_empty_body(coding: str, encode: Callable[[bytes], bytes]) -> None:
    """HEAD, 204, 304 and servers that name a coding for an empty body."""
    assert b"" == decode(b"", coding)


@every_coding
def test_an_encoded_empty_body_is_empty(coding: str, encode: Callable[[bytes], bytes]) -> None:
    assert b"" == decode(encode(b""), coding, piece=1)


@every_coding_of_any_length
def test_one_step_makes_at_most_256_kib(coding: str, encode: Callable[[bytes], bytes]) -> None:
    bomb = encode(bytes(8 << 20))
    steps = [len(step) for step in decoder(coding).decode(bomb)]

    assert 8 << 20 == sum(steps)
    assert max(steps) <= STEP


@every_coding
def test_garbage_is_an_error_and_stays_one(coding: str, encode: Callable[[bytes], bytes]) -> None:
    """CVE-2026-6100, CVE-2026-9669: a decompressor that is used again after an error reads freed memory."""
    coded = bytearray(encode(TEXT[:20_000]))
    coded[len(coded) // 2 :] = b"\xff\x00\xa5" * 500
    undo = decoder(coding)
    if coding == "deflate" and coded[0] == 1:
        coded[3] ^= 1  # a stored block is broken only in its length

    with pytest.raises(ContentDecodingError, match=rf"^{coding.removeprefix('x-')}: "):
        list(undo.decode(bytes(coded)))
        undo.finish()

    with pytest.raises(ContentDecodingError, match="failed before"):
        list(undo.decode(encode(TEXT[:20])))
    with pytest.raises(ContentDecodingError):
        undo.finish()


def test_a_wrong_checksum_is_an_error() -> None:
    coded = bytearray(gzip.compress(TEXT))
    coded[-8] ^= 1

    with pytest.raises(ContentDecodingError, match=r"gzip: .*incorrect data check"):
        decode(bytes(coded), "gzip")


@pytest.mark.parametrize("piece", [1, 3, 1 << 30])
@pytest.mark.parametrize("padding", [b"", b"\0", b"\0" * 513])
def test_gzip_members_are_joined(piece: int, padding: bytes) -> None:
    coded = gzip.compress(b"one,") + padding + gzip.compress(b"") + gzip.compress(b"two") + padding

    assert b"one,two" == decode(coded, "gzip", piece=piece)


@pytest.mark.parametrize("piece", [1, 3, 1 << 30])
def test_zstd_frames_are_joined_and_skippable_ones_skipped(piece: int) -> None:
    skippable = b"\x53\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"

    assert b"one,two" == decode(
        zstd.compress(b"one,") + skippable + zstd.compress(b"two"), "zstd", piece=piece
    )


@pytest.mark.parametrize("piece", [1, 3, 16, 1 << 30])
@pytest.mark.parametrize(
    "junk", [b"junkjunk!!", b"\x1f", b"\x1fnot gzip", b"\0\0junk", b"\x28\xb5", b"\x28\xb5/not zstd"]
)
@pytest.mark.parametrize("name", ["gzip", "deflate with its zlib header", "raw deflate", "zstd"])
def test_junk_after_the_end_is_ignored_and_never_spins(name: str, junk: bytes, piece: int) -> None:
    """CVE-2026-97688: urllib3 loops for ever on deflate with ten bytes behind its end."""
    coding, encode = ENCODERS[name]

    assert TEXT[:300] == decode(encode(TEXT[:300]) + junk, coding, piece=piece)


@pytest.mark.parametrize("piece", [1, 16, 1 << 30])
def test_junk_after_brotli_is_an_error_whatever_the_cut(piece: int) -> None:
    with pytest.raises(ContentDecodingError, match=r"^br: "):
        decode(brotli.compress(TEXT) + b"junk", "br", piece=piece)


def test_a_failed_decoder_never_finishes() -> None:
    """Not even where the coded data had reached its end before the error."""
    undo = decoder("br")
    assert [b"text"] == list(undo.decode(brotli.compress(b"text")))
    assert undo.eof

    with pytest.raises(ContentDecodingError, match="after the end"):
        list(undo.decode(b"junk"))
    with pytest.raises(ContentDecodingError):
        undo.finish()


def test_a_truncated_second_member_is_an_error() -> None:
    with pytest.raises(ContentDecodingError, match="gzip: the body ended"):
        decode(gzip.compress(b"one") + gzip.compress(b"two")[:-1], "gzip")


def test_an_endless_gzip_header_takes_no_memory() -> None:
    """CVE-2025-0725: a file name in the header that never ends."""
    undo = decoder("gzip")
    assert [] == list(undo.decode(b"\x1f\x8b\x08\x08" + bytes(6)))
    for _ in range(200):
        assert [] == list(undo.decode(b"n" * 65536))
    assert not undo.eof


@pytest.mark.parametrize("window_log", [24, 27])
def test_zstd_refuses_a_window_above_8_mib(window_log: int) -> None:
    """RFC 9659: whoever accepts more lets the peer choose how much is allocated, up to 4 GiB."""
    options: dict[int, int] = {zstd.CompressionParameter.window_log: window_log}
    coded = zstd.ZstdCompressor(options=options).compress(bytes(1000), zstd.ZstdCompressor.FLUSH_FRAME)
    streamed = zstd.ZstdCompressor(options=options).compress(bytes(1000), zstd.ZstdCompressor.FLUSH_BLOCK)

    assert bytes(1000) == decode(coded, "zstd"), "a frame that tells its size needs no window"
    with pytest.raises(ContentDecodingError, match="too much memory"):
        list(decoder("zstd").decode(streamed))


def test_raw_deflate_may_begin_like_a_zlib_header() -> None:
    """Only method and check bits together make it one; here a stored block sets a padding bit."""
    block = b"\x08\x05\x00\xfa\xffhello"

    assert b"hello" == decode(block + raw_deflate(b""), "deflate")


@pytest.mark.parametrize(
    "content_encoding",
    [["gzip, br"], ["gzip", "br"], ["GZIP ,\tBr"], ["identity", "gzip,, br,"], [" x-gzip , identity , br "]],
)
def test_codings_are_undone_last_first_over_all_lines(content_encoding: list[str]) -> None:
    assert TEXT == decode(brotli.compress(gzip.compress(TEXT)), *content_encoding, piece=1000)


@pytest.mark.parametrize("content_encoding", [[], [""], ["identity"], ["identity, IDENTITY"], [" , "]])
def test_identity_needs_no_decoder(content_encoding: list[str]) -> None:
    assert decoder_for(content_encoding) is None


@pytest.mark.parametrize(
    "content_encoding",
    [["foo"], ["gzip, foo"], ["foo", "gzip"], ["compress"], ["gzip;q=1"], ["gzip" * 20_000]],
)
def test_an_unknown_coding_leaves_all_codings_on(content_encoding: list[str]) -> None:
    """urllib3 drops the unknown name of "foo, gzip" and hands out something nobody encoded."""
    assert decoder_for(content_encoding) is None


@pytest.mark.parametrize(
    "content_encoding",
    [
        ["gzip, " * 6],
        ["gzip"] * 6,
        [", ".join(["gzip"] * 60)],
        ["identity, " * 5, "gzip"],
        ["br"] * 60,
        ["foo"] * 6,
    ],
)
def test_more_than_five_codings_are_refused(content_encoding: list[str]) -> None:
    """CVE-2025-66418, CVE-2022-32206: each coding multiplies what a bomb unfolds to."""
    with pytest.raises(ContentDecodingError, match="at most 5"):
        decoder_for(content_encoding)


def test_five_codings_are_undone() -> None:
    coded = TEXT
    for _ in range(DEFAULT_RESPONSE_LIMITS.codings):
        coded = gzip.compress(coded)

    assert TEXT == decode(coded, *["gzip"] * DEFAULT_RESPONSE_LIMITS.codings, piece=100)


def test_stacked_bombs_keep_one_step_a_coding() -> None:
    """100 MiB behind 500 bytes: only as much is unfolded as is asked for."""
    bomb = gzip.compress(gzip.compress(bytes(100 << 20), 9), 9)
    steps = decoder("gzip, gzip").decode(bomb)

    assert bytes(STEP) == next(steps)


def test_accept_encoding_names_what_is_installed() -> None:
    assert "gzip, deflate, br, zstd" == ACCEPT_ENCODING


def test_accept_encoding_without_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [])

    assert "gzip, deflate" == decoders._installed()


@pytest.mark.parametrize(
    ("entry", "offered"),
    [
        ("brotli-1.2.0.dist-info", True),
        ("Brotli-1.10.dist-info", True),
        ("Brotli-1.1.0.dist-info", False),
        ("brotli-1.0.9.egg-info", False),
        ("other-2.dist-info", False),
    ],
)
def test_brotli_is_offered_only_with_an_output_limit(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, entry: str, offered: bool
) -> None:
    """CVE-2025-6176: before 1.2 a single call unfolds everything."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "brotli.py").write_text("")
    (folder / entry).mkdir()
    monkeypatch.setattr(sys, "path", [str(folder)])

    assert offered == ("br" in decoders._installed().split(", "))


def test_a_brotli_without_an_output_limit_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Decompressor:
        def process(self, data: bytes) -> bytes:
            return data

    class OldBrotli:
        pass

    OldBrotli.Decompressor = Decompressor  # type: ignore[attr-defined]  # a stand-in for version 1.1
    monkeypatch.setitem(sys.modules, "brotli", OldBrotli)
    monkeypatch.setattr(decoders._Brotli, "library", None)

    assert decoder_for(["br"]) is None


def test_importing_the_room_imports_no_library() -> None:
    code = "import sys, client.decoders; print(sorted({'zlib', 'brotli', '_brotli', 'backports.zstd', 'importlib.metadata', 'email'} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "[]\n" == run.stdout
