"""`MockTransport` behind the seam: what a handler sees, and that its answers are held to their framing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from client.exceptions import (
    IncompleteBody,
    InvalidHeader,
    ProtocolError,
    ReadTimeout,
    StreamConsumedError,
    TotalTimeout,
)
from client.testing import MockRequest, MockResponse, MockTransport
from client.timeouts import DEFAULT_TIMEOUTS, Deadline, Timeouts
from client.transport.cancel import CancelToken
from client.transport.tls import TLSSettings
from client.transport.wire import Call, WireRequest, WireResponse
from client.url import parse_url

URL = "http://api.test/a%20b?q=1"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Pieces:
    """A request body of two pieces."""

    length = None
    replayable = True

    def chunks(self) -> Iterator[bytes]:
        yield b"first "
        yield b"second"


def call(**arguments: Any) -> Call:
    return Call(Deadline(DEFAULT_TIMEOUTS), TLSSettings(), **arguments)


def request(method: str = "GET", body: Any = None, **arguments: Any) -> WireRequest:
    fields = [(b"Host", b"api.test"), (b"X-A", b"1"), (b"x-a", b"2")]
    return WireRequest(method, parse_url(URL), fields, body, **arguments)


def answer(response: MockResponse, method: str = "GET") -> WireResponse:
    return MockTransport(lambda _: response).round_trip(request(method), call())


def test_a_handler_that_is_no_function_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="must be a function, not MockResponse"):
        MockTransport(MockResponse())  # type: ignore[arg-type]  # that is the point


def test_the_handler_sees_what_would_go_over_the_wire() -> None:
    transport = MockTransport(lambda _: MockResponse())
    progress: list[int] = []

    transport.round_trip(
        request("POST", Pieces(), trailers=lambda: [(b"X-Sum", b"7")]), call(on_sent=progress.append)
    )

    (seen,) = transport.requests
    assert ("POST", URL, "/a%20b", "q=1") == (seen.method, seen.url, seen.path, seen.query)
    assert "1, 2" == seen.headers["X-A"]
    assert b"first second" == seen.body
    assert [(b"X-Sum", b"7")] == seen.trailers
    assert [6, 12] == progress


def test_the_repr_of_a_request_shows_no_query() -> None:
    transport = MockTransport(lambda _: MockResponse())
    transport.round_trip(request(), call())

    assert "<MockRequest GET /a%20b>" == repr(transport.requests[0])


def test_a_request_body_can_be_read_as_json() -> None:
    transport = MockTransport(lambda seen: MockResponse(json=seen.json()))

    response = transport.round_trip(request("POST", b'{"a": [1, 2]}'), call())

    assert b'{"a": [1, 2]}' == response.read()
    assert (b"Content-Type", b"application/json") in response.headers


@pytest.mark.parametrize(
    ("body", "expected"), [(b"bytes", b"bytes"), ("täxt", "täxt".encode()), ([b"a", b"", b"bc"], b"abc"), (b"", b""), (bytearray(b"x"), b"x")]
)  # fmt: skip
def test_bodies_of_each_form(body: Any, expected: bytes) -> None:
    response = answer(MockResponse(201, body=body, reason="Made"))

    assert (201, b"Made") == (response.status, response.reason)
    assert expected == response.read()
    assert b"" == response.read()
    assert b"" == response.read(5)


def test_a_known_length_is_announced_and_an_unknown_one_is_not() -> None:
    assert (b"Content-Length", b"3") in answer(MockResponse(body=b"abc")).headers
    assert [] == answer(MockResponse(body=iter([b"abc"]))).headers
    assert [] == answer(MockResponse(204)).headers


def test_one_answer_serves_many_requests() -> None:
    constant = MockResponse(body=b"abc")
    transport = MockTransport(lambda _: constant)

    assert [b"abc"] * 3 == [transport.round_trip(request(), call()).read() for _ in range(3)]


@pytest.mark.parametrize("size", [1, 2, 4, 100])
def test_reading_in_portions_gives_every_byte_once(size: int) -> None:
    response = answer(MockResponse(body=[b"abcde", b"", b"f", b"ghi"]))

    portions = list(iter(lambda: response.read(size), b""))

    assert b"abcdefghi" == b"".join(portions)
    assert max(map(len, portions)) <= size


def test_readinto_fills_from_the_start() -> None:
    response = answer(MockResponse(body=[b"abcde"]))
    buffer = bytearray(b"xxx")

    assert (3, b"abc") == (response.readinto(buffer), bytes(buffer))
    assert (2, b"dec") == (response.readinto(buffer), bytes(buffer))
    assert 0 == response.readinto(buffer)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_an_answer_without_a_body_is_complete_at_once(method: str, status: int) -> None:
    """The Content-Length of such an answer tells of another one: RFC 9110 section 8.6."""
    response = answer(MockResponse(status, body=b"abc", headers={"Content-Length": "3"}), method)

    assert b"" == response.read()


def test_a_body_shorter_than_announced_is_an_error_that_stays() -> None:
    response = answer(MockResponse(body=b"abc", headers={"content-length": "10"}))

    with pytest.raises(IncompleteBody) as caught:
        response.read()
    assert (3, 10, b"abc") == (caught.value.received, caught.value.expected, caught.value.partial)
    with pytest.raises(IncompleteBody):
        response.read(1)


def test_a_body_longer_than_announced_is_an_error() -> None:
    with pytest.raises(ProtocolError, match="longer than its Content-Length of 1"):
        answer(MockResponse(body=b"abc", headers={"Content-Length": "1"})).read()


@pytest.mark.parametrize("values", [["x"], ["1", "2"], ["-1"], [""]])
def test_a_length_that_is_no_number_is_an_error(values: list[str]) -> None:
    with pytest.raises(ProtocolError, match="Content-Length"):
        answer(MockResponse(headers=[("Content-Length", value) for value in values]))


def test_what_the_handler_and_its_body_raise_reaches_the_caller() -> None:
    def broken() -> Iterator[bytes]:
        yield b"abc"
        raise ReadTimeout("too slow", phase="read", seconds=1.0)

    def handler(seen: MockRequest) -> MockResponse:
        raise ReadTimeout("no answer", phase="read", seconds=1.0)

    with pytest.raises(ReadTimeout, match="no answer"):
        MockTransport(handler).round_trip(request(), call())
    with pytest.raises(ReadTimeout, match="too slow") as caught:
        answer(MockResponse(body=broken())).read()
    assert b"abc" == caught.value.partial


def test_the_total_deadline_holds_between_two_pieces() -> None:
    clock = Clock()

    def slow() -> Iterator[bytes]:
        for _ in range(5):
            clock.now += 1
            yield b"abc"

    limits = Timeouts(connect=None, read=None, write=None, pool=None, total=2.5)
    late = Call(Deadline(limits, clock), TLSSettings())
    response = MockTransport(lambda _: MockResponse(body=slow())).round_trip(request(), late)

    with pytest.raises(TotalTimeout) as caught:
        response.read()
    assert b"abc" * 3 == caught.value.partial


def test_a_cancelled_call_stops() -> None:
    token = CancelToken()
    response = MockTransport(lambda _: MockResponse(body=b"abc")).round_trip(request(), call(cancel=token))
    token.cancel(KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        response.read()


def test_trailers_come_with_the_end_of_the_body() -> None:
    response = answer(MockResponse(body=[b"a"], trailers=[("X-Sum", "1")]))

    assert [] == response.trailers
    response.read()
    assert [(b"X-Sum", b"1")] == response.trailers


def test_a_closed_response_cannot_be_read() -> None:
    response = answer(MockResponse(body=[b"a", b"b"]))
    response.read(1)
    response.close()
    response.close()

    with pytest.raises(StreamConsumedError):
        response.read()
    assert [] == response.trailers


def test_closing_a_complete_response_changes_nothing() -> None:
    response = answer(MockResponse(body=b"a"))
    response.read()
    response.close()

    assert b"" == response.read()


def test_there_is_no_socket_to_hand_over() -> None:
    with pytest.raises(ProtocolError, match="no socket"):
        answer(MockResponse()).detach()


def test_mistakes_in_an_answer_are_named_where_they_are_made() -> None:
    with pytest.raises(ValueError, match=re.escape("status 100: expected 200 to 999")):
        MockResponse(100)
    with pytest.raises(ValueError, match=re.escape("status '200': expected 200 to 999")):
        MockResponse("200")  # type: ignore[arg-type]  # what is refused
    for body in (5, None, {"a": "b"}):
        with pytest.raises(TypeError, match="body: expected bytes, str or an iterable of bytes, not "):
            MockResponse(body=body)  # type: ignore[arg-type]  # what is refused
    with pytest.raises(ValueError, match="body and json"):
        MockResponse(body=b"a", json={})
    with pytest.raises(InvalidHeader):
        MockResponse(headers={"X": "a\r\nb"})
    with pytest.raises(TypeError, match="returned dict, expected MockResponse"):
        MockTransport(lambda _: {"a": 1}).round_trip(request(), call())  # type: ignore[arg-type,return-value]  # the mistake
