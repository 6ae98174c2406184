"""Rows S1-S13, 135, 136 and 138: what a peer sends costs bounded memory and linear time, whatever it claims."""

from __future__ import annotations

import gzip
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import client
from client.auth import HTTPDigestAuth
from client.exceptions import (
    BodyTooLarge,
    ChunkedEncodingError,
    ContentDecodingError,
    JSONDecodeError,
    ProtocolError,
    ReadTimeout,
)
from tests.scripted_server import Close, Expect, ExpectClosed, Flood, Hold, ScriptedServer, Send
from tests.security.origins import OK, response

pytestmark = pytest.mark.timeout(10)

KIBIBYTE = 1024
MEBIBYTE = 1 << 20
QUICK = 1.0  # seconds of processor time; a multiple of what linear work takes on a loaded machine
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def session(**settings: Any) -> client.Session:
    return client.Session(trust_env=False, **settings)


@contextmanager
def memory_below(limit: int) -> Iterator[None]:
    """Fail if the block allocates more than *limit* bytes at once."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit, f"{peak} bytes"


@contextmanager
def quick(limit: float = QUICK) -> Iterator[None]:
    started = time.thread_time()
    yield
    assert time.thread_time() - started < limit


def body_of(server: ScriptedServer, answer: bytes, **arguments: Any) -> client.Response:
    server.script(Expect(), Send(answer, may_fail=True), Hold())
    with session() as s:
        return s.get(server.url, **arguments)


# -- size ----------------------------------------------------------------------------------------------------------

ENDLESS = {
    "header line": (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 997),
    "fields": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "status line": (b"HTTP/1.1 200 ", b"y" * 997),
    "trailers": (CHUNKED + b"0\r\n", b"X: y\r\n"),
    "chunk extension": (CHUNKED + b"1;", b"y" * 997),
    "chunk size": (CHUNKED, b"0" * 997),
    "informational": (b"", b"HTTP/1.1 103 E\r\n\r\n"),
    "empty lines": (b"", b"\r\n"),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_row_s1_nothing_before_or_around_the_body_is_endless(
    scripted_server: ScriptedServer, what: str
) -> None:
    head, piece = ENDLESS[what]
    scripted_server.script(Expect(), Send(head), Flood(piece * (65536 // len(piece)), limit=1 << 26))

    with session() as s, memory_below(2 * MEBIBYTE), quick():
        with pytest.raises((ProtocolError, ChunkedEncodingError)):
            s.get(scripted_server.url)


@pytest.mark.parametrize("count", [256, 257])
def test_row_s1_256_fields_are_enough(scripted_server: ScriptedServer, count: int) -> None:
    scripted_server.script(
        Expect(), Send(response(*(b"X%d: y" % number for number in range(count - 1)))), ExpectClosed()
    )

    with session() as s:
        if count == 256:
            assert 256 == len(s.get(scripted_server.url).headers)
        else:
            with pytest.raises(ProtocolError):
                s.get(scripted_server.url)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536),
        (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 40), b"x" * 65536),
    ],
    ids=["chunked", "until close", "length"],
)
def test_row_s2_an_endless_body_ends_at_max_body(
    scripted_server: ScriptedServer, head: bytes, piece: bytes, stream: bool
) -> None:
    scripted_server.script(Expect(), Send(head), Flood(piece, limit=1 << 28))

    with session(max_body=MEBIBYTE) as s, pytest.raises(BodyTooLarge) as caught:
        with s.get(scripted_server.url, stream=stream) as answer:
            for _ in answer.iter_content(65536):
                pass

    assert MEBIBYTE == caught.value.limit
    assert caught.value.received < 3 * MEBIBYTE  # less where the announced length says it all


def test_row_s3_a_claimed_length_allocates_nothing(scripted_server: ScriptedServer) -> None:
    scripted_server.script(
        Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nhello" % (1 << 40)), Hold()
    )

    with session() as s, memory_below(2 * MEBIBYTE), pytest.raises(ReadTimeout):
        s.get(scripted_server.url, timeout=0.2)


def test_row_s4_a_reader_holds_a_buffer_and_no_more(scripted_server: ScriptedServer) -> None:
    """1000 to 1; the other codings are in `tests.security.test_decompression`."""
    packed = gzip.compress(bytes(32 * MEBIBYTE))
    scripted_server.script(Expect(), Send(response(b"Content-Encoding: gzip", body=packed)), Hold())

    with session() as s, s.get(scripted_server.url, stream=True) as answer, memory_below(4 * MEBIBYTE):
        assert 32 * MEBIBYTE == sum(map(len, answer.iter_content(65536)))


@pytest.mark.parametrize(
    "lines",
    [[b"Content-Encoding: " + b"gzip, " * 5 + b"gzip"], [b"Content-Encoding: gzip"] * 6,
     [b"Content-Encoding: x-gzip, gzip, identity", b"Content-Encoding: identity, identity, identity"]],
)  # fmt: skip
def test_row_s5_six_codings_are_refused_before_anything_is_decoded(
    scripted_server: ScriptedServer, lines: list[bytes]
) -> None:
    with pytest.raises(ContentDecodingError, match="6 content codings"):
        body_of(scripted_server, response(*lines))


def test_row_s6_a_bomb_in_the_body_of_a_challenge_is_not_decoded(scripted_server: ScriptedServer) -> None:
    packed = gzip.compress(bytes(64 * MEBIBYTE))[:60_000]  # cut: decoding it to the end would raise
    challenge = response(
        b'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"',
        b"Content-Encoding: gzip",
        status=b"401 No",
        body=packed,
    )
    scripted_server.script(Expect(), Send(challenge), Expect(), Send(OK), Hold())

    with session() as s, memory_below(2 * MEBIBYTE):
        assert 200 == s.get(scripted_server.url, auth=HTTPDigestAuth("u", "p"), stream=True).status_code


def test_row_s6_no_error_text_shows_a_body(scripted_server: ScriptedServer) -> None:
    answer = body_of(scripted_server, response(status=b"500 No", body=b"s3cr3t"))

    with pytest.raises(client.HTTPError) as caught:
        answer.raise_for_status()

    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "framing", [b"Transfer-Encoding: chunked", b"Content-Length: 99999999999", b"X: until close"]
)
def test_row_s7_the_endless_body_of_a_redirect_is_not_read(
    scripted_server: ScriptedServer, framing: bytes
) -> None:
    head = b"HTTP/1.1 302 Go\r\nLocation: /there\r\n" + framing + b"\r\n\r\n"
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    scripted_server.script(Expect(), Send(head), Flood(piece, limit=1 << 28))
    scripted_server.answer(OK)

    with session() as s, memory_below(2 * MEBIBYTE):
        assert b"ok" == s.get(scripted_server.url).content


def test_row_s7_nor_waited_for_where_it_drips(scripted_server: ScriptedServer) -> None:
    scripted_server.script(
        Expect(), Send(b"HTTP/1.1 302 Go\r\nLocation: /there\r\nContent-Length: 10\r\n\r\nx"), Hold()
    )
    scripted_server.answer(OK)

    with session() as s:
        assert b"ok" == s.get(scripted_server.url, timeout=8).content


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("cut", [1, 4, 8, 12])
def test_row_s8_a_coding_that_is_cut_short_is_an_error_although_the_length_fits(
    scripted_server: ScriptedServer, coding: str, cut: int
) -> None:
    import zlib

    whole = gzip.compress(b"hello" * 100) if coding == "gzip" else zlib.compress(b"hello" * 100)

    with pytest.raises(ContentDecodingError):
        body_of(scripted_server, response(b"Content-Encoding: " + coding.encode(), body=whole[:-cut]))


@pytest.mark.parametrize("junk", [b"\0" * 512, b"junk", b"\r\n", b"\x1f"], ids=repr)
def test_row_s8_junk_after_gzip_is_ignored(scripted_server: ScriptedServer, junk: bytes) -> None:
    body = gzip.compress(b"hel") + gzip.compress(b"lo") + junk

    assert b"hello" == body_of(scripted_server, response(b"Content-Encoding: gzip", body=body)).content


@pytest.mark.parametrize("coding", [b"foo", b"gzip, foo", b"aes128gcm", b"compress"])
def test_row_s9_an_unknown_coding_is_delivered_as_it_came(
    scripted_server: ScriptedServer, coding: bytes
) -> None:
    answer = body_of(scripted_server, response(b"Content-Encoding: " + coding))

    assert b"ok" == answer.content
    assert coding.decode() == answer.headers["Content-Encoding"]


@pytest.mark.parametrize("status", [b"200 OK", b"204 No", b"304 Same"])
def test_row_s9_nothing_decodes_to_nothing(scripted_server: ScriptedServer, status: bytes) -> None:
    length = b"" if status == b"204 No" else b"Content-Length: 0\r\n"
    answer = b"HTTP/1.1 " + status + b"\r\nContent-Encoding: gzip\r\n" + length + b"\r\n"

    assert b"" == body_of(scripted_server, answer).content


def test_row_s10_cookies_are_bounded_in_number_and_size(scripted_server: ScriptedServer) -> None:
    """The head's limit of 256 fields comes first; over many responses it is the jar's of 50 a domain."""
    lines = [b"Set-Cookie: a%d=%b" % (number, b"x" * 200) for number in range(200)]
    large = [b"Set-Cookie: %b=%b" % (b"n" * 2100, b"x" * 2100), b"Set-Cookie: big=" + b"x" * 5000]
    seen = scripted_server.answer(response(*lines), response(*large), OK)

    with session() as s:
        for _ in range(3):
            assert 200 == s.get(scripted_server.url).status_code
        assert 50 == len(s.cookies)
    assert len(seen.requests[2]) < 16 * KIBIBYTE


FILLINGS = [
    ",",
    ";",
    '"',
    "\\",
    "=",
    " ",
    "a=,",
    '"\\',
    "<",
    "<>",
    "<,",
    ";a=",
    ',"',
    "\xa0",
    "Basic ,",
    'a="',
    "*''",
    "a b",
]


def use_links(answer: client.Response) -> object:
    return answer.links


def use_encoding(answer: client.Response) -> object:
    return answer.encoding, answer.text


PARSERS: dict[str, tuple[str, bytes, Callable[[client.Response], object]]] = {
    "Link": ("Link", b"200 OK", use_links),
    "Content-Type": ("Content-Type", b"200 OK", use_encoding),
    "Content-Encoding": ("Content-Encoding", b"200 OK", lambda answer: answer.headers),
    "Retry-After": ("Retry-After", b"503 No", lambda answer: answer.status_code),
    "Keep-Alive": ("Keep-Alive", b"200 OK", lambda answer: answer.status_code),
    "Set-Cookie": ("Set-Cookie", b"200 OK", lambda answer: answer.cookies),
    "Location": ("Location", b"302 Go", lambda answer: answer.next),
    "Content-Disposition": ("Content-Disposition", b"200 OK", lambda answer: answer.headers),
}


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize("start", ["", "text/html; charset=", "<http://a.test/>; rel="])
def test_row_s11_every_field_is_read_in_linear_time(
    scripted_server: ScriptedServer, name: str, start: str
) -> None:
    field, status, use = PARSERS[name]
    for filling in FILLINGS:
        value = (start + filling * (60_000 // len(filling)) + "!").encode("latin-1").strip()
        scripted_server.script(
            Expect(),
            Send(response(b"%b: %b" % (field.encode(), value), b"Connection: close", status=status)),
            Close(),
        )
    with session() as s, quick(0.25 * len(FILLINGS)):
        for _ in FILLINGS:
            try:
                use(s.get(scripted_server.url, allow_redirects=False))
            except client.RequestException:
                s.cookies.clear()


@pytest.mark.parametrize("filling", FILLINGS)
@pytest.mark.parametrize("start", ["Basic ", "Digest ", 'Digest realm="'])
def test_row_135_a_challenge_is_read_in_linear_time(
    scripted_server: ScriptedServer, start: str, filling: str
) -> None:
    value = (start + filling * (60_000 // len(filling)) + "!").encode("latin-1").strip()
    scripted_server.answer(response(b"WWW-Authenticate: " + value, status=b"401 No"))

    with session() as s, quick():
        assert 401 == s.get(scripted_server.url, auth=HTTPDigestAuth("u", "p")).status_code


CHARSETS = ["rot13", "rot_13", "zlib", "zlib_codec", "base64", "hex", "bz2", "quopri", "uu", "utf-7", "idna", "punycode", "unicode_escape",
            "raw_unicode_escape", "undefined", "mbcs", "oem", "../../x", "\x00", "no-such", "x" * 50_000, "os", "encodings", ".", "utf-8;x"]  # fmt: skip


@pytest.mark.parametrize("charset", CHARSETS, ids=lambda charset: charset[:20])
def test_row_s12_only_text_codecs_are_ever_used(scripted_server: ScriptedServer, charset: str) -> None:
    body = "caf\u00e9 +ADw-script+AD4-".encode()
    kind = b"Content-Type: text/plain; charset=" + charset.encode().replace(b"\0", b"")

    with quick():
        text = body_of(scripted_server, response(kind, body=body)).text

    assert "<script>" not in text
    assert "+ADw-script+AD4-" in text


@pytest.mark.parametrize(
    "mark", [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\0\0\xfe\xff"]
)
def test_row_s12_a_mark_that_does_not_fit_never_raises(scripted_server: ScriptedServer, mark: bytes) -> None:
    answer = response(b"Content-Type: text/plain; charset=ascii", body=mark + b"\xff\xd8ab\x80")

    assert isinstance(body_of(scripted_server, answer).text, str)


@pytest.mark.parametrize(
    "document",
    [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000, b"1" * 1_000_000, b"", b"{", b"\xff", b"\xef\xbb\xbf"],
    ids=["arrays", "objects", "balanced", "digits", "empty", "cut", "no text", "mark only"],
)  # fmt: skip
def test_row_s13_json_that_is_none_is_one_kind_of_error(
    scripted_server: ScriptedServer, document: bytes
) -> None:
    answer = body_of(scripted_server, response(body=document))

    with pytest.raises(JSONDecodeError) as caught:
        answer.json()

    assert len(str(caught.value)) < 1000


def test_row_s13_nan_is_what_python_reads(scripted_server: ScriptedServer) -> None:
    """As in requests; `parse_constant=` is the standard library's switch."""
    answer = body_of(scripted_server, response(body=b"NaN"))

    assert answer.json() != answer.json()
