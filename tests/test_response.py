"""`Response`: content, text and JSON, as requests documents them; over bytes that the test wrote."""

from __future__ import annotations

import copy
import gc
import gzip
import io
import json
import pickle
import subprocess
import sys
import weakref
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from client.exceptions import (
    ChunkedEncodingError,
    ContentDecodingError,
    HTTPError,
    IncompleteBody,
    JSONDecodeError,
    ReadTimeout,
    RequestException,
    StreamConsumedError,
)
from client.headers import CaseInsensitiveDict
from client.response import Response
from tests.wire_bytes import WireBytes, request_to, response_of

GZIP = [(b"Content-Encoding", b"gzip")]


# -- content --------------------------------------------------------------------------------------------------


def test_content_of_a_plain_body_is_one_read() -> None:
    wire = WireBytes([b"some ", b"", b"bytes"])
    response = response_of(wire=wire)

    assert b"some bytes" == response.content
    assert response.content is response.content
    assert [None] == wire.reads


@pytest.mark.parametrize(
    "headers", [GZIP, [(b"content-encoding", b"identity"), (b"CONTENT-ENCODING", b"x-gzip")]]
)
def test_content_is_decoded(headers: list[tuple[bytes, bytes]]) -> None:
    coded = gzip.compress(b"some bytes")

    assert b"some bytes" == response_of(coded, headers).content
    assert b"some bytes" == response_of([coded[:1], coded[1:9], coded[9:]], headers).content


def test_an_unknown_coding_is_delivered_as_it_came() -> None:
    response = response_of(b"\x01\x02", [(b"Content-Encoding", b"gzip, foo")])

    assert b"\x01\x02" == response.content
    assert "gzip, foo" == response.headers["Content-Encoding"]


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd", b"deflate", b"gzip, " * 60])
@pytest.mark.parametrize("status", [200, 204, 304])
def test_no_body_is_empty_whatever_its_coding(coding: bytes, status: int) -> None:
    """HEAD, 204 and 304 describe a body that they don't have."""
    assert b"" == response_of(b"", [(b"Content-Encoding", coding)], status=status).content


def test_sixty_codings_are_refused_before_decoding() -> None:
    response = response_of(gzip.compress(b"x"), GZIP * 60)

    with pytest.raises(ContentDecodingError, match="60 content codings"):
        _ = response.content


def test_a_truncated_member_is_an_error_that_carries_what_came() -> None:
    """requests, httpx and niquests return a partial body here, since the framing is complete."""
    wire = WireBytes(gzip.compress(b"some bytes")[:-8], GZIP)
    response = response_of(wire=wire)

    with pytest.raises(ContentDecodingError, match="ended before the coded data did") as caught:
        _ = response.content
    assert b"some bytes" == caught.value.partial
    assert caught.value.response is response
    assert caught.value.request is response.request
    assert wire.closed


@pytest.mark.parametrize(
    "fail",
    [
        lambda: IncompleteBody("cut", received=4, expected=9),
        lambda: ChunkedEncodingError("bad chunk"),
        lambda: ReadTimeout("slow", seconds=1),
    ],
)
@pytest.mark.parametrize("coded", [False, True])
def test_an_error_of_the_wire_carries_what_came_decoded(
    fail: Callable[[], RequestException], coded: bool
) -> None:
    body = gzip.compress(b"some bytes")[:-3] if coded else b"some bytes"
    response = response_of(
        [body[:15], body[15:]] if coded else [body], GZIP if coded else [], error=(error := fail())
    )

    with pytest.raises(type(error)) as caught:
        _ = response.content
    assert caught.value is error
    assert b"some bytes" == caught.value.partial  # type: ignore[attr-defined]  # these classes have it
    assert caught.value.response is response


def test_a_broken_body_stays_broken() -> None:
    response = response_of([gzip.compress(b"x" * 1000)[:-4], b"\xff" * 4], GZIP)

    for _ in range(3):
        with pytest.raises(ContentDecodingError, match="gzip") as caught:
            _ = response.content
        assert b"x" * 1000 == caught.value.partial
    with pytest.raises(ContentDecodingError, match="gzip"):
        list(response.iter_content())


def test_an_interrupted_read_does_not_look_like_the_end() -> None:
    """Ctrl-C in the middle of a body, caught by someone who then reads on."""
    response = response_of(
        [b"some ", b"bytes"], progress=lambda done, total: (_ for _ in ()).throw(KeyboardInterrupt)
    )

    with pytest.raises(KeyboardInterrupt):
        _ = response.content
    with pytest.raises(StreamConsumedError, match="interrupted"):
        _ = response.content


@pytest.mark.parametrize("coded", [False, True])
def test_progress_counts_bytes_on_the_wire(coded: bool) -> None:
    body = gzip.compress(bytes(100_000)) if coded else bytes(300)
    seen: list[tuple[int, int | None]] = []
    headers = [(b"Content-Length", str(len(body)).encode()), *(GZIP if coded else [])]
    response = response_of(
        [body[:100], body[100:]], headers, progress=lambda done, total: seen.append((done, total))
    )

    assert response.content
    assert [(100, len(body)), (len(body), len(body))] == seen


# -- text -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "body", "encoding", "text"),
    [
        (b"text/plain; charset=koi8-r", "да".encode("koi8-r"), "koi8-r", "да"),
        (b"text/html", "naïve".encode(), None, "naïve"),
        (b"text/html", "naïve".encode("latin-1"), None, "naïve"),
        (b"application/json", "naïve".encode(), None, "naïve"),
        (b"text/html; charset=rot13", b"uryyb", None, "uryyb"),
        (b"text/html; charset=../../x", b"x", None, "x"),
        (b"", b"\xff\xfex\0", None, "x"),
        (b"text/plain", b"", None, ""),
    ],
)
def test_text(content_type: bytes, body: bytes, encoding: str | None, text: str) -> None:
    response = response_of(body, [(b"Content-Type", content_type)])

    assert encoding == response.encoding
    assert text == response.text
    assert response.text is response.text
    assert encoding == response.encoding


@pytest.mark.parametrize("encoding", [5, b"utf-8", ["utf-8"]])
def test_an_assigned_encoding_must_be_a_name(encoding: Any) -> None:
    with pytest.raises(TypeError, match="must be str or None"):
        Response().encoding = encoding


def test_an_assigned_encoding_decides() -> None:
    response = response_of("да".encode("koi8-r"), [(b"Content-Type", b"text/plain; charset=utf-8")])
    assert "\ufffd\ufffd" == response.text

    response.encoding = "koi8-r"
    assert "да" == response.text
    response.encoding = "no such thing"
    assert "\xc4\xc1" == response.text
    response.encoding = response.apparent_encoding
    assert "\xc4\xc1" == response.text
    assert "iso-8859-1" == response.apparent_encoding


# -- JSON -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
@pytest.mark.parametrize("content_type", [b"application/json", b"application/json; charset=utf-8", b""])
def test_json_in_any_unicode_encoding(codec: str, content_type: bytes) -> None:
    response = response_of('{"a": "ä€"}'.encode(codec), [(b"Content-Type", content_type)])

    assert {"a": "ä€"} == response.json()


def test_json_in_a_declared_or_assigned_charset() -> None:
    assert ["ä"] == response_of(
        '["ä"]'.encode("latin-1"), [(b"Content-Type", b"text/json; charset=latin-1")]
    ).json()
    assert ["ä"] == response_of('["ä"]'.encode("latin-1")).json()
    response = response_of('["да"]'.encode("koi8-r"))
    response.encoding = "koi8-r"
    assert ["да"] == response.json()


def test_json_takes_the_arguments_of_json_loads() -> None:
    assert Decimal("1.10") == response_of(b"1.10").json(parse_float=Decimal)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"a": ',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 1_000_000,
        b"[1" + b"0" * 5000 + b"]",
    ],
)
@pytest.mark.parametrize("charset", [b"", b"; charset=latin-1"])
def test_what_is_no_json_is_one_documented_error(body: bytes, charset: bytes) -> None:
    """Nesting would be a RecursionError and the long number a bare ValueError of json."""
    response = response_of(body, [(b"Content-Type", b"application/json" + charset)], status=502)

    with pytest.raises(JSONDecodeError) as caught:
        response.json()
    error = caught.value
    assert isinstance(error, json.JSONDecodeError)
    assert isinstance(error, ValueError)
    assert isinstance(error, RequestException)
    assert "status 502" in str(error)
    assert "http://example.test/path" in str(error)
    assert body[:200].decode() in str(error)
    assert len(str(error)) < 500
    assert "token" not in str(error)
    assert "secret" not in str(error)
    assert body.decode() == error.doc
    assert error.response is response
    assert error.request is response.request


def test_nan_is_read_as_json_loads_does() -> None:
    assert "[nan, inf]" == repr(response_of(b"[NaN, Infinity]").json())


def test_a_json_error_survives_pickling() -> None:
    with pytest.raises(JSONDecodeError) as caught:
        response_of(b"<html>", status=500).json()

    twin = pickle.loads(pickle.dumps(caught.value))
    assert str(caught.value) == str(twin)
    assert 500 == twin.response.status_code
    assert (0, "<html>") == (twin.pos, twin.doc)


# -- made by hand, as test doubles and adapters for requests do -----------------------------------------------


def test_an_empty_response() -> None:
    response = Response()

    assert response.status_code is None
    assert response.content is None
    assert "" == response.text
    assert response.url is None
    assert response.reason is None
    assert response.raw is None
    assert response.encoding is None
    assert {} == dict(response.headers)
    assert {} == dict(response.cookies)
    assert {} == response.timings
    assert [] == list(response.iter_content())
    assert timedelta(0) == response.elapsed
    response.close()


def test_every_attribute_can_be_set() -> None:
    request = request_to()
    response = Response()
    response.status_code = 418
    response._content = b'{"a": 1}'
    response.headers = CaseInsensitiveDict({"Content-Type": "application/json; charset=utf-8"})
    response.url = "http://u:p@h.test/tea?pot=1"
    response.reason = "Teapot"
    response.request = request
    response.history = [Response()]
    response.elapsed = timedelta(seconds=2)
    response.connection = object()

    assert {"a": 1} == response.json()
    assert "utf-8" == response.encoding
    assert [b'{"a"', b": 1}"] == list(response.iter_content(4))
    assert 2 == response.elapsed.total_seconds()
    with pytest.raises(HTTPError, match=r"^418 Client Error: Teapot for url: http://h\.test/tea$"):
        response.raise_for_status()


@pytest.mark.parametrize("url", ["http://[::1", "nonsense", None])
def test_the_url_of_a_double_need_not_be_one(url: Any) -> None:
    response = Response()
    response.status_code = 500
    response.url = url

    with pytest.raises(HTTPError, match="500 Server Error"):
        response.raise_for_status()


def test_raw_may_be_any_file() -> None:
    response = Response()
    response.raw = io.BytesIO(b"some bytes")

    assert [b"some", b" byt", b"es"] == list(response.iter_content(4))
    response.close()
    assert response.raw.closed


def test_raw_may_be_like_urllib3s() -> None:
    """Its `stream` takes the coding off itself."""

    class Raw:
        closed = False

        def stream(self, amt: int, decode_content: bool) -> Any:
            assert decode_content
            yield from (b"some ", b"", b"bytes")

        def close(self) -> None:
            self.closed = True

    response = Response()
    response.headers = CaseInsensitiveDict({"Content-Encoding": "gzip"})
    response.raw = Raw()

    assert b"some bytes" == response.content


# -- the end of its life --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [pickle.dumps, copy.copy, copy.deepcopy])
def test_copies_read_the_body_first(how: Any) -> None:
    response = response_of(
        gzip.compress(b"body"), [*GZIP, (b"X-A", b"1"), (b"Set-Cookie", b"c=1")], trailers=[(b"T", b"1")]
    )
    response.history = [response_of(b"hop", status=302)]

    twin = how(response)
    twin = pickle.loads(twin) if isinstance(twin, bytes) else twin

    assert b"body" == twin.content
    assert 200 == twin.status_code
    assert "OK" == twin.reason
    assert "1" == twin.headers["x-a"]
    assert {"c": "1"} == dict(twin.cookies)
    assert "1" == twin.trailers["t"]
    assert response.url == twin.url
    assert "GET" == twin.request.method
    assert response.elapsed == twin.elapsed
    assert response.timings == twin.timings
    assert [302] == [hop.status_code for hop in twin.history]
    assert b"hop" == twin.history[0].content
    assert twin.raw is None
    twin.close()


def test_a_streamed_response_is_pickled_without_its_body() -> None:
    response = response_of([b"one", b"two"])
    assert b"one" == next(response.iter_content())

    twin = pickle.loads(pickle.dumps(response))

    assert 200 == twin.status_code
    with pytest.raises(StreamConsumedError):
        _ = twin.content
    with pytest.raises(StreamConsumedError):
        twin.iter_content()


def test_an_error_of_reading_can_be_pickled_with_its_response() -> None:
    response = response_of([b"some"], error=IncompleteBody("cut", received=4, expected=9))
    with pytest.raises(IncompleteBody) as caught:
        _ = response.content

    twin = pickle.loads(pickle.dumps(caught.value))
    assert (b"some", 4, 9) == (twin.partial, twin.received, twin.expected)
    assert 200 == twin.response.status_code


def test_the_context_closes() -> None:
    wire = WireBytes(b"body")
    with response_of(wire=wire) as response:
        assert 200 == response.status_code
        assert not wire.closed
    assert wire.closed


@pytest.mark.parametrize(
    "touch",
    [
        lambda response: None,
        lambda response: response.raw,
        lambda response: response.raw.read(1),
        lambda response: next(response.iter_content(1)),
        lambda response: next(response.iter_lines()),
        lambda response: response.open().read(1),
        lambda response: io.BufferedReader(response.raw).read(1),
        lambda response: io.TextIOWrapper(response.open()).read(1),
    ],
)
def test_an_abandoned_response_goes_at_once_and_without_close(touch: Callable[[Response], object]) -> None:
    """A cycle would keep the connection until the collector runs; `close` may lock, a finaliser must not."""
    closes = []

    class Wire(WireBytes):
        def close(self) -> None:
            closes.append("close")

    gc.disable()
    try:
        wire = Wire([b"one\n", b"two\n"])
        alive = weakref.ref(wire)
        response = response_of(wire=wire)
        touch(response)
        del wire, response
        assert alive() is None
        assert [] == closes
    finally:
        gc.enable()


def test_a_plain_answer_imports_no_codec() -> None:
    code = "import client.response as r; print(sorted({'zlib', 'brotli', 'ssl', 'logging', 'email', 'http', 'dataclasses', 'inspect', 'concurrent.futures'} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "[]\n" == run.stdout
