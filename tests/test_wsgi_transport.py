"""`WSGITransport` behind the seam, against PEP 3333's own checker, werkzeug, and applications that misbehave."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest
from werkzeug.wrappers import Request, Response

from client.exceptions import IncompleteBody, ProtocolError
from client.testing import WSGITransport
from client.timeouts import DEFAULT_TIMEOUTS, Deadline
from client.transport.tls import TLSSettings
from client.transport.wire import Call, WireRequest, WireResponse
from client.url import parse_url

StartResponse = Callable[..., Any]


class Blocks:
    """A request body without a length."""

    length = None
    replayable = True

    def __init__(self, *blocks: bytes) -> None:
        self.blocks = blocks

    def chunks(self) -> Iterator[bytes]:
        yield from self.blocks


class Result:
    """What an application returns: its pieces, and whether `close` was called."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = iter(pieces)
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces

    def close(self) -> None:
        self.closed += 1


def call() -> Call:
    return Call(Deadline(DEFAULT_TIMEOUTS), TLSSettings())


def ask(
    app: Any,
    url: str = "http://app.test/",
    method: str = "GET",
    fields: list[tuple[bytes, bytes]] | None = None,
    body: Any = None,
) -> WireResponse:
    fields = [(b"Host", b"app.test"), *(fields or [])]
    return WSGITransport(app).round_trip(WireRequest(method, parse_url(url), fields, body), call())


def app_returning(result: Iterable[bytes], status: str = "200 OK", *headers: tuple[str, str]) -> Any:
    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, list(headers))
        return result

    return app


def test_the_environment_passes_the_checker_of_pep_3333() -> None:
    """`wsgiref.validate` asserts every rule that the PEP has for a server, and that the result is closed."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        seen.update(environ)
        body = environ["wsgi.input"].read(100)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"got ", body]

    seen: dict[str, Any] = {}
    fields = [
        (b"Content-Length", b"2"),
        (b"Content-Type", b"text/x"),
        (b"X-Name", b"1"),
        (b"X-Name", b"\xe9"),
        (b"Cookie", b"a=1"),
        (b"Cookie", b"b=2"),
    ]
    response = ask(validator(app), "https://app.test:8443/caf%C3%A9%2F?a=%20", "POST", fields, b"hi")

    assert b"got hi" == response.read()
    assert (200, b"OK") == (response.status, response.reason)
    expected = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/cafÃ©/",
        "QUERY_STRING": "a=%20",
        "SERVER_NAME": "app.test",
        "SERVER_PORT": "8443",
        "CONTENT_LENGTH": "2",
        "CONTENT_TYPE": "text/x",
        "HTTP_X_NAME": "1, é",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_HOST": "app.test",
        "wsgi.url_scheme": "https",
    }
    assert expected == {name: seen[name] for name in expected}


def test_a_framework_reads_bodies_of_known_and_unknown_length() -> None:
    @Request.application
    def app(request: Request) -> Response:
        return Response(f"{request.method} {request.path} {request.args['q']} {len(request.get_data())}")

    url = "http://app.test/caf%C3%A9?q=1"
    fixed = ask(app, url, "PUT", [(b"Content-Length", b"3")], b"abc")
    chunked = ask(app, url, "PUT", [(b"Transfer-Encoding", b"chunked")], Blocks(b"abc", b"", b"defg"))

    assert "PUT /café 1 3".encode() == fixed.read()
    assert "PUT /café 1 7".encode() == chunked.read()


def test_bodies_pass_piece_by_piece_both_ways() -> None:
    """Neither side may be collected: the application answers a block before the next one is asked for."""
    order: list[str] = []

    class Endless(Blocks):
        def chunks(self) -> Iterator[bytes]:
            for number in range(1000):
                order.append(f"sent {number}")
                yield b"x" * io_size

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        while block := environ["wsgi.input"].read(io_size):
            yield hashlib.sha256(block).digest()

    io_size = 65536
    response = ask(app, method="POST", body=Endless())
    first = response.read(32)

    assert hashlib.sha256(b"x" * io_size).digest() == first
    assert len(order) <= 2
    response.close()


def test_the_input_has_the_methods_of_a_file() -> None:
    def app(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        stream = environ["wsgi.input"]
        return [repr([stream.readline(), stream.read(2), *stream]).encode()]

    assert (
        repr([b"one\n", b"tw", b"o\n", b"three"]).encode()
        == ask(app, method="POST", body=Blocks(b"on", b"e\ntwo\nth", b"ree")).read()
    )


def test_the_result_is_closed_once_when_it_is_read() -> None:
    result = Result(b"a", b"", b"b")
    response = ask(app_returning(result))

    assert 0 == result.closed
    assert b"ab" == response.read()
    response.close()
    assert 1 == result.closed


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_result_is_closed_when_nobody_reads_it(method: str) -> None:
    result = Result(b"a", b"b")
    response = ask(app_returning(result), method=method)
    response.close()

    assert 1 == result.closed


def test_start_response_may_come_with_the_first_piece_and_write_before_it() -> None:
    def late(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        yield b""
        start_response("201 Created", [("X", "1")])
        yield b"late"

    def writing(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        write = start_response("200 OK", [])
        write(b"written, ")
        return [b"returned"]

    def doing_both(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        write = start_response("200 OK", [])
        for number in range(3):
            write(b"w%d " % number)
            yield b"r%d " % number
        write(b"end")

    assert b"w0 r0 w1 r1 w2 r2 end" == ask(doing_both).read()
    response = ask(late)
    assert (201, [(b"X", b"1")], b"late") == (response.status, list(response.headers), response.read())
    assert b"written, returned" == ask(writing).read()


def test_an_error_page_may_replace_an_answer_that_has_not_begun() -> None:
    def app(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        try:
            raise ValueError("broken")
        except ValueError:
            start_response("500 Oh", [], sys.exc_info())
        return [b"sorry"]

    response = ask(app)

    assert (500, b"sorry") == (response.status, response.read())


def test_an_error_after_the_first_piece_reaches_the_reader() -> None:
    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"a"
        try:
            raise ValueError("broken")
        except ValueError:
            start_response("500 Oh", [], sys.exc_info())

    with pytest.raises(ValueError, match="broken"):
        ask(app).read()


def test_what_the_application_raises_is_what_the_caller_gets() -> None:
    def app(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        raise LookupError("no such page")

    with pytest.raises(LookupError, match="no such page"):
        ask(app)


@pytest.mark.parametrize(
    "status",
    [
        "OK",
        "99 Low",
        "100 Continue",
        "2000 Many",
        "٢٠٠ OK",
        "",
        200,
        b"200 OK",
        "200 O\r\nX: y",
        "200 \u20ac",
    ],
)
def test_a_status_that_is_none_is_refused(status: Any) -> None:
    result = Result(b"a")

    with pytest.raises(ProtocolError, match="status"):
        ask(app_returning(result, status))
    assert 1 == result.closed


@pytest.mark.parametrize("field", [("X", "a\r\nY: b"), ("X Y", "a"), ("X", "\u0142")])
def test_header_fields_that_are_none_are_refused(field: tuple[str, str]) -> None:
    with pytest.raises(ProtocolError, match="header fields"):
        ask(app_returning([b"a"], "200 OK", field))


def test_an_application_that_never_starts_or_starts_twice_is_refused() -> None:
    def twice(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        start_response("200 OK", [])
        return []

    with pytest.raises(ProtocolError, match="without calling start_response"):
        ask(lambda environ, start_response: [b"a"])
    with pytest.raises(ProtocolError, match="twice"):
        ask(twice)


def test_the_body_is_held_to_its_content_length() -> None:
    with pytest.raises(IncompleteBody):
        ask(app_returning([b"abc"], "200 OK", ("Content-Length", "4"))).read()
    with pytest.raises(ProtocolError, match="longer"):
        ask(app_returning([b"abc"], "200 OK", ("Content-Length", "2"))).read()
    assert b"" == ask(app_returning([b"abc"], "204 No", ("Content-Length", "4"))).read()


def test_pieces_that_are_no_bytes_are_named() -> None:
    """The mistake that is made most: text in the place of bytes, or bytes in the place of a list of them."""
    for body, kind in ((["text"], "str"), ("text", "str"), (b"bytes", "int")):
        with pytest.raises(TypeError, match=f"the answer's body yields {kind}, expected bytes"):
            ask(app_returning(body)).read()  # type: ignore[arg-type]  # as said


def test_an_application_must_be_callable() -> None:
    with pytest.raises(TypeError, match="must be callable, not NoneType"):
        WSGITransport(None)  # type: ignore[arg-type]  # as said
