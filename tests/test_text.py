"""Charsets: which one a body is in, and its decoding in one go and in pieces."""

from __future__ import annotations

import codecs
import encodings
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.text import _CODECS, charset_of, decode, decode_pieces, detect, text_codec


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("text/html; charset=utf-8", "utf-8"),
        ("text/html;charset=UTF-8", "UTF-8"),
        ('text/html; Charset="iso-8859-1"', "iso-8859-1"),
        ("text/html ; charset = koi8-r ", "koi8-r"),
        ("text/html; boundary=x; charset=big5; foo", "big5"),
        ("text/html; charset=latin1; charset=utf-8", "latin1"),
        ('text/html; title="; charset=big5"; charset=utf-8', "utf-8"),
        (r'text/html; title="\"; charset=big5"; charset=utf-8', "utf-8"),
        ("text/html; charset=", None),
        ('text/html; charset=""', None),
        ("text/html; charset='shift_jis'", "shift_jis"),
        ("text/html; charset=''", None),
        ("text/html; charset", None),
        ("text/html; notcharset=utf-8", None),
        ("text/html", None),
        ("charset=utf-8", None),
        ("", None),
        (";charset=utf-8", "utf-8"),
    ],
)
def test_the_charset_parameter_is_read(content_type: str, charset: str | None) -> None:
    assert charset == charset_of(content_type)


@pytest.mark.parametrize(
    "hostile",
    [
        'text/html;"' + '\\"' * 32_000,
        "a/b" + ";" * 65_536,
        "a/b" + "; x=" * 16_000,
        'a/b; x="' + "charset=" * 8_000,
    ],
)
def test_a_hostile_content_type_takes_linear_time(hostile: str) -> None:
    start = time.process_time()
    assert charset_of(hostile + "; charset=utf-8") in {None, "utf-8"}
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("utf-8", "utf-8"),
        ("UTF8", "utf-8"),
        ("ISO-8859-1", "iso8859-1"),
        ("iso_8859-1:1987", "iso8859-1"),
        ("latin1", "iso8859-1"),
        ("windows-1251", "cp1251"),
        ("Shift_JIS", "shift_jis"),
        ("gb2312", "gb2312"),
        ("euc-kr", "euc_kr"),
        ("cp874", "cp874"),
        ("utf-16le", "utf-16-le"),
        ("us-ascii", "ascii"),
    ],
)
def test_names_of_text_codecs(charset: str, codec: str) -> None:
    assert codec == text_codec(charset)


@pytest.mark.parametrize(
    "charset",
    ["rot13", "rot-13", "zlib", "bz2", "base64", "hex", "uu", "quopri", "../../x", "os", "idna", "punycode", "unicode_escape",
     "raw_unicode_escape", "undefined", "utf-7", "utf7", "mbcs", "none", "x" * 65_536, "utf-8" + "-" * 65_536, "ütf-8\x00", "", None],
)  # fmt: skip
def test_what_is_no_text_codec_falls_back(charset: str | None) -> None:
    """`bytes.decode("rot13")` raises LookupError, `zlib` unfolds bombs, idna is quadratic (CVE-2022-45061)."""
    assert text_codec(charset) is None
    assert "naïve" == decode("naïve".encode(), charset)
    assert "naïve" == "".join(decode_pieces([b"na\xc3", b"\xafve"], charset))


def test_unknown_charsets_are_not_remembered() -> None:
    """Python keeps every codec name that it was ever asked for, so a server could fill our memory with names."""
    before = len(encodings._cache)
    for number in range(100):
        decode(b"text", f"x-unheard-of-{number}")

    assert before == len(encodings._cache)


@pytest.mark.parametrize(
    ("content", "charset", "text"),
    [
        ("naïve €".encode(), None, "naïve €"),
        ("naïve".encode("latin-1"), None, "naïve"),
        (codecs.BOM_UTF8 + b"text", None, "text"),
        ("naïve €".encode("utf-16"), None, "naïve €"),
        ("naïve €".encode("utf-32"), None, "naïve €"),
        (codecs.BOM_UTF16_BE + "naïve €".encode("utf-16-be"), None, "naïve €"),
        (codecs.BOM_UTF32_BE + "naïve €".encode("utf-32-be"), None, "naïve €"),
        (codecs.BOM_UTF8 + b"text", "utf-8", "text"),
        (codecs.BOM_UTF16_LE + "text".encode("utf-16-le"), "utf-16-le", "text"),
        ("привет".encode("koi8-r"), "koi8-r", "привет"),
        (b"\xc3\xa4", "latin-1", "\u00c3\u00a4"),
        (b"caf\xe9", "utf-8", "caf\ufffd"),
        (b"caf\xe9", "us-ascii", "caf\ufffd"),
        (codecs.BOM_UTF16_LE + b"t\0\xff", None, "t\ufffd"),
        (codecs.BOM_UTF8 + b"caf\xe9", None, "caf\ufffd"),
        ("text".encode("utf-16-le"), "utf-16", "text"),
        ("text".encode("utf-16"), "utf-16", "text"),
        (codecs.BOM_UTF16_BE + "text".encode("utf-16-be"), "utf-16", "text"),
        (b"", None, ""),
        (b"\0\0\0", None, "\0\0\0"),
    ],
)
def test_declared_then_marked_then_utf_8_then_latin_1(content: bytes, charset: str | None, text: str) -> None:
    assert text == decode(content, charset)


@pytest.mark.parametrize(
    ("content", "codec"),
    [
        (b"abc", "utf-8"),
        (b"\xc3\xa4", "utf-8"),
        (b"\xe4", "iso-8859-1"),
        (b"\xff\xfea\0", "utf-16"),
        (b"\xff\xfe\0\0", "utf-32"),
        (codecs.BOM_UTF8, "utf-8"),
    ],
)
def test_detection(content: bytes, codec: str) -> None:
    assert codec == detect(content)


@given(
    content=st.binary(max_size=300),
    charset=st.sampled_from([None, "utf-8", "latin-1", "utf-16", "shift_jis", "gb18030", "utf-32", "hz"]),
    cuts=st.lists(st.integers(0, 300), max_size=5),
)
def test_no_bytes_fail_to_decode(content: bytes, charset: str | None, cuts: list[int]) -> None:
    assert isinstance(decode(content, charset), str)

    edges = [0, *sorted(cuts), len(content)]
    pieces = [content[start:end] for start, end in pairwise(edges)]
    assert all(decode_pieces(pieces, charset)), "an empty piece ends the loops of those who wait for b''"


@given(text=st.text(), charset=st.sampled_from(["utf-8", "utf-16", "utf-32-be", "gb18030"]), data=st.data())
def test_the_text_does_not_depend_on_the_cut(text: str, charset: str, data: st.DataObject) -> None:
    content = text.encode(charset)
    cut = data.draw(st.integers(0, len(content)))

    assert decode(content, charset) == "".join(decode_pieces([content[:cut], content[cut:]], charset))


def test_a_mark_is_dropped_once() -> None:
    mark = codecs.BOM_UTF8

    assert (
        "\ufefftext"
        == "".join(decode_pieces([mark[:1], mark[1:], mark, b"text"], None))
        == decode(mark + mark + b"text", None)
    )


def test_a_character_cut_off_by_the_end_shows() -> None:
    assert "caf\ufffd" == "".join(decode_pieces([b"caf\xc3"], None))


@pytest.mark.parametrize("charset", ["iso-2022-jp", "iso-2022-jp-ext", "iso-2022-kr"])
@pytest.mark.parametrize("size", [1, 3, 9, 100])
def test_an_escape_sequence_without_an_end_is_invalid_as_all_else(charset: str, size: int) -> None:
    """CPython's decoder keeps eight bytes of one, and raises at the next."""
    content = "日本語".encode(charset) if "jp" in charset else b"\x1b$)C"
    content += b" and \x1b$<" + bytes(9) + b" more"
    pieces = [content[at : at + size] for at in range(0, len(content), size)]

    text = "".join(decode_pieces(pieces, charset))

    assert "jp" not in charset or text.startswith("日本語 and ")
    assert text.endswith("more")
    assert "\ufffd" in text


def test_every_codec_of_the_list_decodes_anything() -> None:
    octets = bytes(range(256)) * 3
    for codec in set(_CODECS.values()):
        assert isinstance(decode(octets, codec), str), codec
        assert isinstance("".join(decode_pieces([octets[:5], octets[5:6], octets[6:]], codec)), str), codec
