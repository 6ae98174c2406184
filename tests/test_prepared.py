"""Prepared requests: framed by the body as it is when they are sent, editable until then, copied and pickled."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

import client
from client.auth import HTTPDigestAuth
from client.defaults import quick_request
from client.exceptions import InvalidBody, InvalidHeader, InvalidRequest, InvalidURL, UnrewindableBodyError
from client.headers import encode_fields
from client.prepared import PreparedRequest
from client.testing import MockResponse, MockTransport
from client.url import parse_url
from tests.prepared_requests import on_the_wire, prepare


def framing(prepared: PreparedRequest) -> list[tuple[str, str]]:
    """Return the framing fields, which are the same on the wire and in `headers`, whatever is asked first."""
    names = {"content-length", "transfer-encoding"}
    first = [
        (name.decode(), value.decode())
        for name, value in prepared.wire_fields()
        if name.decode().lower() in names
    ]
    shown = [item for item in prepared.headers.items() if item[0].lower() in names]
    assert first == shown
    assert set(prepared.wire_fields()) >= {(name.encode(), value.encode()) for name, value in shown}
    return shown


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "PROPFIND"])
def test_no_body_no_length(method: str) -> None:
    assert [] == framing(prepare(method))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_methods_with_content_say_that_there_is_none(method: str) -> None:
    """RFC 9110 section 8.6."""
    assert [("Content-Length", "0")] == framing(prepare(method))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"abc", ("Content-Length", "3")),
        ("aü", ("Content-Length", "3")),
        (io.BytesIO(b"abc"), ("Content-Length", "3")),
        (lambda: b"abc", ("Content-Length", "3")),
        (iter([b"abc"]), ("Transfer-Encoding", "chunked")),
        ((piece for piece in [b"abc"]), ("Transfer-Encoding", "chunked")),
        (lambda: iter([b"abc"]), ("Transfer-Encoding", "chunked")),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bodies_say_how_long_they_are(data: Any, expected: tuple[str, str], method: str) -> None:
    assert [expected] == framing(prepare(method, data=data))


def test_a_length_that_the_caller_knows_is_announced_and_kept() -> None:
    prepared = prepare("PUT", data=iter([b"ab", b"c"]), headers={"Content-Length": "4"})

    assert [("Content-Length", "4")] == framing(prepared)
    with pytest.raises(InvalidBody, match="1 bytes short of the 4"):
        on_the_wire(prepared)


@pytest.mark.parametrize("length", ["-1", "+3", "3.0", "0x3", "", "3, 3", "9" * 19])
def test_a_length_that_is_no_number_is_refused(length: str) -> None:
    with pytest.raises(InvalidHeader, match="Content-Length"):
        prepare("PUT", data=iter([b"abc"]), headers={"Content-Length": length})


@pytest.mark.parametrize("headers", [{"Content-Length": "99"}, {"content-length": b"99"}])
def test_a_wrong_length_is_corrected(headers: dict[str, Any]) -> None:
    """As in requests; whatever was meant, a body of three bytes has three bytes."""
    assert [("Content-Length", "3")] == [
        ("Content-Length", value.decode())
        for name, value in prepare("PUT", data=b"abc", headers=headers).wire_fields()
        if name.lower() == b"content-length"
    ]
    assert (b"Content-Length", b"0") in prepare(headers={"Content-Length": "5"}).wire_fields()


def test_a_body_of_known_length_goes_out_chunked_if_the_caller_says_so() -> None:
    prepared = prepare("PUT", data=b"abc", headers={"transfer-encoding": "Chunked", "Content-Length": "3"})

    assert [("transfer-encoding", "Chunked")] == framing(prepared)
    assert [] == framing(prepare(headers={"Transfer-Encoding": "chunked"}))


@pytest.mark.parametrize("coding", ["gzip", "gzip, chunked", "identity", "", b"chunked, chunked"])
def test_other_transfer_codings_are_refused(coding: Any) -> None:
    with pytest.raises(InvalidHeader, match="Transfer-Encoding"):
        prepare("PUT", data=b"abc", headers={"Transfer-Encoding": coding})


# -- trailers --------------------------------------------------------------------------------------------------


def test_trailers_make_a_body_chunked_and_are_announced() -> None:
    prepared = prepare("POST", data=b"abc", trailers={"Digest": "x"})
    trailers = prepared.wire_trailers()

    assert [("Transfer-Encoding", "chunked")] == framing(prepared)
    assert "Digest" == prepared.headers["Trailer"]
    assert trailers is not None
    assert [(b"Digest", b"x")] == trailers()


def test_no_trailers_are_no_trailers() -> None:
    assert [("Content-Length", "3")] == framing(prepare("POST", data=b"abc", trailers={}))


def test_trailers_may_be_known_only_after_the_body() -> None:
    digest: list[str] = []

    def body() -> Iterator[bytes]:
        yield b"abc"
        digest.append("x")

    prepared = prepare("POST", data=body(), trailers=lambda: {"Digest": digest[0]})
    on_the_wire(prepared)
    trailers = prepared.wire_trailers()

    assert trailers is not None
    assert [(b"Digest", b"x")] == trailers()


@pytest.mark.parametrize("trailers", [{"Host": "x"}, {"A": "b\n"}])
def test_trailers_are_checked(trailers: Any) -> None:
    with pytest.raises(InvalidHeader):
        prepare("POST", data=b"abc", trailers=trailers)
    late = prepare("POST", data=b"abc", trailers=lambda: trailers).wire_trailers()
    assert late is not None
    with pytest.raises(InvalidHeader):
        late()


# -- editing --------------------------------------------------------------------------------------------------


def test_a_prepared_request_is_edited_until_it_is_sent() -> None:
    """requests' documentation does just this."""
    prepared = prepare("POST", data={"a": "b"}, headers={"A": "1"})

    prepared.body = "No, I want exactly this as the body."
    del prepared.headers["Content-Type"]
    prepared.headers["a"] = "2"
    prepared.url = "http://other.test/é"
    prepared.method = "PUT"

    expected = [(b"Host", b"other.test"), (b"a", b"2"), (b"Content-Length", b"36")]
    assert (expected, b"No, I want exactly this as the body.") == on_the_wire(prepared)
    assert "http://other.test/%C3%A9" == prepared.url


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (b"abc", iter([b"x"]), ("Transfer-Encoding", "chunked")),
        (iter([b"x"]), b"abc", ("Transfer-Encoding", "chunked")),
        (b"abc", io.BytesIO(b"xy"), ("Content-Length", "2")),
        (b"abc", None, ("Content-Length", "0")),
        (None, b"abc", ("Content-Length", "3")),
    ],
)
def test_framing_follows_the_body(before: Any, after: Any, expected: tuple[str, str]) -> None:
    prepared = prepare("POST", data=before)

    prepared.body = after

    assert [expected] == framing(prepared)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("X", "a\r\nb", InvalidHeader),
        ("X", 5, InvalidHeader),
        (b"content-length", "99", InvalidHeader),
        ("Host", "a b", InvalidHeader),
        ("Transfer-Encoding", 5, InvalidHeader),
        (b"Transfer-Encoding", "chunked", InvalidHeader),
        ("Transfer-Encoding", "gzip", InvalidHeader),
    ],
)
def test_what_is_edited_is_checked_again(name: Any, value: Any, error: type[Exception]) -> None:
    prepared = prepare("POST", data=b"abc")
    prepared.headers[name] = value
    with pytest.raises(error):
        prepared.wire_fields()


@pytest.mark.parametrize("hooks", [5, {"response": "x"}, {"response": [print, "x"]}])
def test_hooks_that_are_assigned_must_be_a_mapping_to_callables(hooks: Any) -> None:
    prepared = prepare("GET")
    with pytest.raises(InvalidRequest, match="hooks="):
        prepared.hooks = hooks
    assert {"response": []} == prepared.hooks


@pytest.mark.parametrize(("hook", "listed"), [(print, [print]), ((print,), [print]), (None, [])])
def test_a_hook_may_be_assigned_without_a_list(hook: Any, listed: list[Any]) -> None:
    """As requests takes it; a redirect copies the request, and an error is pickled with it."""
    prepared = prepare("GET")
    for hooks in ({"response": hook}, prepared.hooks):
        hooks["response"] = hook
        prepared.hooks = hooks

        assert hooks is prepared.hooks
        assert {"response": listed} == prepared.copy().hooks
        assert {"response": listed} == pickle.loads(pickle.dumps(prepared)).hooks


def test_prepare_content_length_takes_the_body_as_it_is_now() -> None:
    """Signing recipes for requests call it."""
    prepared = prepare("POST", data=b"abc")

    prepared.prepare_content_length(b"abcdef")

    assert ("6", b"abcdef") == (prepared.headers["Content-Length"], prepared.wire_body())


def test_a_body_that_is_edited_is_checked_again() -> None:
    prepared = prepare("POST")
    prepared.body = 5
    with pytest.raises(InvalidBody, match="body= must be"):
        prepared.wire_fields()
    with pytest.raises(InvalidURL):
        prepared.url = "http://u:p@ss@h/"
    with pytest.raises(InvalidRequest, match="no URL"):
        PreparedRequest().wire_fields()


def test_headers_can_be_replaced() -> None:
    prepared = prepare("POST", data=b"abc")

    prepared.headers = {"A": "b"}

    assert [(b"Host", b"h.test"), (b"A", b"b"), (b"Content-Length", b"3")] == prepared.wire_fields()


# -- the hot path ---------------------------------------------------------------------------------------------

DEFAULTS = encode_fields({"User-Agent": "x", "Accept": "*/*"})


@pytest.mark.parametrize(
    ("method", "json_document"), [("GET", None), ("POST", None), ("POST", {"a": 1}), ("DELETE", [])]
)
def test_the_quick_way_leads_to_the_same_place(method: str, json_document: Any) -> None:
    slow = prepare(method, headers={"User-Agent": "x", "Accept": "*/*"}, json=json_document)
    quick = quick_request(method, parse_url("http://h.test/p"), DEFAULTS)
    quick.prepare_body(None, None, json_document)

    assert on_the_wire(slow) == on_the_wire(quick)
    assert slow.headers == quick.headers
    assert on_the_wire(slow) == on_the_wire(quick)
    assert 2 == len(DEFAULTS)


def test_headers_of_a_quick_request_can_be_edited() -> None:
    quick = quick_request("GET", parse_url("http://h.test/p"), DEFAULTS)

    quick.headers["X"] = "y"
    del quick.headers["user-agent"]

    assert [(b"Host", b"h.test"), (b"Accept", b"*/*"), (b"X", b"y")] == quick.wire_fields()
    assert 2 == len(DEFAULTS)


def test_quick_requests_take_auth_and_cookies() -> None:
    quick = quick_request("GET", parse_url("http://h.test/p"), DEFAULTS)

    def untouched(request: PreparedRequest) -> PreparedRequest:
        return request

    quick.prepare_auth(untouched)
    quick.prepare_cookies({"a": "b"})
    twin = quick.copy()
    quick.prepare_auth(("u", "p"))

    assert [(b"Host", b"h.test"), *DEFAULTS, (b"Cookie", b"a=b")] == twin.wire_fields()
    assert (b"Authorization", b"Basic dTpw") == quick.wire_fields()[-1]


# -- copies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [PreparedRequest.copy, copy.copy])
def test_a_copy_is_independent_but_for_the_body(make: Any) -> None:
    body = iter([b"abc"])
    prepared = prepare("POST", data=body, headers={"A": "b"})
    twin = make(prepared)

    twin.headers["A"] = "c"
    twin.url = "http://other.test/"
    twin.register_hook("response", print)

    assert ("b", "http://h.test/p", {"response": []}) == (prepared.headers["A"], prepared.url, prepared.hooks)
    assert body is twin.body
    assert b"abc" == on_the_wire(prepared)[1]
    with pytest.raises(UnrewindableBodyError):
        on_the_wire(twin)


def test_late_trailers_do_not_travel() -> None:
    twin = pickle.loads(pickle.dumps(prepare("POST", data=b"abc", trailers=lambda: {"A": "b"})))

    trailers = twin.wire_trailers()
    assert trailers is not None
    with pytest.raises(UnrewindableBodyError, match="trailers="):
        trailers()


def test_requests_travel() -> None:
    prepared = prepare(
        "POST", "http://u:p@h.test/p", data={"a": "b"}, cookies={"c": "d"}, auth=HTTPDigestAuth("u", "p")
    )

    assert on_the_wire(prepared) == on_the_wire(pickle.loads(pickle.dumps(prepared)))


@pytest.mark.parametrize("headers", [None, {"X-A": "1"}])
def test_what_was_sent_of_a_stream_is_told_after_a_journey(headers: dict[str, str] | None) -> None:
    """Its length is not in the pickle, but in the headers that went before it."""
    with client.Session(transport=MockTransport(lambda request: MockResponse())) as session:
        sent = session.post("http://h.test/", data=io.BytesIO(b"abc"), headers=headers)
    twin = pickle.loads(pickle.dumps(sent)).request

    assert "3" == twin.headers["Content-Length"]
    assert "Transfer-Encoding" not in twin.headers


@pytest.mark.parametrize(
    "arguments",
    [{"data": io.BytesIO(b"a")}, {"files": {"f": io.BytesIO(b"a")}}, {"data": (x for x in [b"a"])}],
)
def test_a_stream_does_not_travel_and_says_so(arguments: dict[str, Any]) -> None:
    """An empty body in its place would be sent without a word."""
    twin = pickle.loads(pickle.dumps(prepare("POST", **arguments)))

    with pytest.raises(UnrewindableBodyError):
        on_the_wire(twin)
