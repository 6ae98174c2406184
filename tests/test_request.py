"""`Request` and `PreparedRequest`: everything is checked before it is sent, and may be edited until then."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from client.auth import AuthBase, HTTPDigestAuth
from client.cookies import RequestsCookieJar
from client.exceptions import (
    InvalidBody,
    InvalidHeader,
    InvalidJSONError,
    InvalidMethod,
    InvalidRequest,
    InvalidURL,
    MissingSchema,
    URLRequired,
)
from client.prepared import PreparedRequest
from client.request import Request
from tests.prepared_requests import on_the_wire, prepare

# -- what comes out -------------------------------------------------------------------------------------------


def test_a_request_with_everything() -> None:
    prepared = prepare(
        "post",
        "http://user:pa%20ss@h.test:8080/p?a=b#f",
        headers={"X-A": "1", "x-b": b"\xff"},
        params={"c": "d e"},
        data={"k": "v"},
        cookies={"session": "1"},
    )

    assert ("POST", "http://h.test:8080/p?a=b&c=d+e#f", "/p?a=b&c=d+e") == (
        prepared.method,
        prepared.url,
        prepared.path_url,
    )
    assert "k=v" == prepared.body
    assert (
        [
            (b"Host", b"h.test:8080"),
            (b"X-A", b"1"),
            (b"x-b", b"\xff"),
            (b"Cookie", b"session=1"),
            (b"Content-Type", b"application/x-www-form-urlencoded"),
            (b"Content-Length", b"3"),
            (b"Authorization", b"Basic dXNlcjpwYSBzcw=="),
        ],
        b"k=v",
    ) == on_the_wire(prepared)


def test_reprs_show_the_method_only() -> None:
    request = Request("GET", "http://u:secret@h/?secret")

    assert "<Request [GET]>" == repr(request)
    assert "<PreparedRequest [GET]>" == repr(request.prepare())


def test_the_attributes_of_a_request_are_the_documented_ones() -> None:
    request = Request()

    assert (None, None, {}, [], [], {}, None, None, None) == (
        request.method,
        request.url,
        request.headers,
        request.files,
        request.data,
        request.params,
        request.auth,
        request.cookies,
        request.json,
    )
    assert {"response": []} == request.hooks


@pytest.mark.parametrize("method", ["get", "GET", b"get", "Get"])
def test_methods_are_upper_case(method: Any) -> None:
    assert "GET" == prepare(method).method


def test_methods_of_the_callers_own() -> None:
    assert "M-SEARCH" == prepare("m-search").method


@pytest.mark.parametrize(
    "method", [None, 5, "", "G ET", "GET / HTTP/1.1\r\nX: y", "GET\x00", "GÉT", "\u017f", b"G\xff"]
)
def test_a_method_is_a_token(method: Any) -> None:
    """CVE-2020-26116 and its kin. U+017F is upper-case "S"."""
    with pytest.raises(InvalidMethod, match="method="):
        prepare(method)


# -- headers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "a\r\nY: b"},
        {"X\r\nY": "b"},
        {"X": 5},
        {"X": None},
        {"X": "a", "x": "b"},
        {"X": "a", b"X": "b"},
        {"": "a"},
        "X: y",
        5,
        [("X", "y")],
    ],
)
def test_headers_that_are_refused(headers: Any) -> None:
    with pytest.raises(InvalidHeader):
        prepare(headers=headers)


def test_a_host_of_the_callers_own_goes_first() -> None:
    prepared = prepare(headers={"A": "b", "host": "other.test"})

    assert [(b"host", b"other.test"), (b"A", b"b")] == prepared.wire_fields()


@pytest.mark.parametrize("host", ["a b", "a/b", "u@h", "a\\b", "a#b"])
def test_a_host_of_the_callers_own_is_a_host(host: str) -> None:
    with pytest.raises(InvalidHeader, match="Host"):
        prepare(headers={"Host": host}).wire_fields()


def test_a_content_type_of_the_callers_own_stays() -> None:
    for arguments in ({"json": 1}, {"data": {"a": "b"}}):
        headers = prepare("POST", headers={"content-type": "x/y"}, **arguments).headers

        assert "x/y" == headers["Content-Type"]
        assert "content-type" in list(headers)


# -- bodies ---------------------------------------------------------------------------------------------------


def test_json() -> None:
    prepared = prepare("POST", json={"a": "ü"})

    assert {"a": "ü"} == json.loads(prepared.body)
    assert "application/json" == prepared.headers["Content-Type"]
    with pytest.raises(InvalidJSONError):
        prepare("POST", json=float("nan"))


def test_files_and_data() -> None:
    prepared = prepare("POST", files={"f": io.BytesIO(b"content")}, data={"a": "b"})
    fields, body = on_the_wire(prepared)

    assert body is not None
    assert (b"Content-Length", b"%d" % len(body)) in fields
    assert prepared.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert b"content" in body


def test_files_with_a_content_type_that_has_no_boundary_are_refused() -> None:
    with pytest.raises(InvalidHeader, match="boundary"):
        prepare("POST", files={"f": "x"}, headers={"Content-Type": "multipart/form-data"})


def test_a_stream_is_shown_as_the_caller_gave_it() -> None:
    """As in requests: what signs or logs a request looks at `body`."""
    file, generator, factory = io.BytesIO(b"a"), iter([b"a"]), lambda: b"a"

    for data in (file, generator, factory):
        assert data is prepare("POST", data=data).body


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("data", 5, InvalidBody),
        ("data", Path(), InvalidBody),
        ("data", {"a": {"b": "c"}}, InvalidBody),
        ("json", object(), InvalidJSONError),
        ("files", 5, InvalidBody),
        ("files", {"f": 5}, InvalidBody),
        ("params", 5, InvalidURL),
        ("headers", 5, InvalidHeader),
        ("auth", 5, InvalidRequest),
        ("auth", ("a",), InvalidRequest),
        ("auth", ("a", 5), InvalidRequest),
        ("auth", lambda request: None, InvalidRequest),
        ("cookies", 5, InvalidRequest),
        ("hooks", 5, InvalidRequest),
        ("hooks", {"response": 5}, InvalidRequest),
        ("hooks", {"other": print}, InvalidRequest),
        ("trailers", "X: y", InvalidRequest),
        ("method", 5, InvalidMethod),
    ],
)
def test_arguments_of_another_type_are_refused_by_name(
    argument: str, value: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match=f"{argument}="):
        prepare(**{argument: value})


@pytest.mark.parametrize(
    ("url", "error"),
    [(None, URLRequired), ("", MissingSchema), ("h/p", MissingSchema), ("http://", InvalidURL)],
)
def test_urls_are_checked(url: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        prepare(url=url)


# -- authentication, cookies, hooks ---------------------------------------------------------------------------


def basic(prepared: PreparedRequest) -> str | None:
    value: str | None = prepared.headers.get("Authorization")
    return value


def test_basic_from_a_pair_goes_before_that_of_the_url() -> None:
    url = "http://u:p@h/"

    assert "Basic dTpw" == basic(prepare(url=url))
    assert "Basic YTpi" == basic(prepare(url=url, auth=("a", "b")))
    assert "Basic dTo=" == basic(prepare(url="http://u@h/"))
    assert "Basic OnA=" == basic(prepare(url="http://:p@h/"))
    assert basic(prepare(url="http://@h/")) is None


def test_auth_sees_the_whole_request_and_may_change_it() -> None:
    class Signing(AuthBase):
        def __call__(self, r: PreparedRequest) -> PreparedRequest:
            assert "a=b" == r.body
            r.body = "a=b&signed"
            r.url = f"{r.url}?signed"
            r.headers["X-Signed"] = "1"
            return r

    prepared = prepare("POST", data={"a": "b"}, auth=Signing())
    fields, body = on_the_wire(prepared)

    assert (b"a=b&signed", "/p?signed") == (body, prepared.path_url)
    assert {(b"Content-Length", b"10"), (b"X-Signed", b"1")} <= set(fields)
    assert "10" == prepared.headers["Content-Length"]


def test_auth_may_return_another_request() -> None:
    other = prepare("PUT", "http://other.test/", data=b"abc")

    prepared = prepare(auth=lambda request: other)

    assert ("PUT", "http://other.test/", b"abc") == (prepared.method, prepared.url, prepared.body)


def test_a_dialogue_is_left_to_whoever_sends_the_request() -> None:
    auth = HTTPDigestAuth("u", "p")

    prepared = prepare(auth=auth)

    assert auth is prepared._auth
    assert basic(prepared) is None


def test_cookies_of_a_call() -> None:
    jar = RequestsCookieJar()
    jar.set("a", "1", domain="h.test")
    jar.set("b", "2", domain="other.test")

    assert "a=1" == prepare(cookies=jar).headers["Cookie"]
    assert "a=1; b=2" == prepare(cookies={"a": "1", "b": "2"}).headers["Cookie"]
    assert "Cookie" not in prepare(cookies={}).headers
    assert "mine=1" == prepare(cookies={"a": "1"}, headers={"Cookie": "mine=1"}).headers["Cookie"]


def test_hooks() -> None:
    def hook(response: Any) -> None: ...

    for request in (Request(hooks={"response": hook}), prepare(hooks={"response": [hook]})):
        assert {"response": [hook]} == request.hooks
        request.register_hook("response", hook)
        assert request.deregister_hook("response", hook)
        assert request.deregister_hook("response", hook)
        assert not request.deregister_hook("response", hook)
    assert {"response": []} == prepare(hooks={"response": None}).hooks


# -- injection ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["\r\nX-Injected: y", "\n", "\r", "\0"])
@pytest.mark.parametrize(
    "arguments",
    [
        lambda bad: {"method": f"GET{bad}"},
        lambda bad: {"url": f"http://h{bad}/"},
        lambda bad: {"url": f"http://h/{bad}"},
        lambda bad: {"url": f"http://h/?{bad}"},
        lambda bad: {"url": f"http://u:{bad}@h/"},
        lambda bad: {"url": f"http://u:{quote(bad)}@h/"},
        lambda bad: {"params": bad},
        lambda bad: {"params": {f"a{bad}": f"b{bad}"}},
        lambda bad: {"headers": {f"A{bad}": "b"}},
        lambda bad: {"headers": {"A": f"b{bad}"}},
        lambda bad: {"headers": {"Host": f"h{bad}"}},
        lambda bad: {"headers": {"A": f"b{bad}".encode()}},
        lambda bad: {"cookies": {f"a{bad}": "b"}},
        lambda bad: {"cookies": {"a": f"b{bad}"}},
        lambda bad: {"auth": (f"u{bad}", f"p{bad}")},
        lambda bad: {"data": {f"a{bad}": f"b{bad}"}},
        lambda bad: {"files": {f"a{bad}": (f"b{bad}", b"content")}},
        lambda bad: {"files": {"a": ("b", b"content", f"t/p{bad}")}},
        lambda bad: {"files": {"a": ("b", b"content", "t/p", {f"A{bad}": f"b{bad}"})}},
        lambda bad: {"trailers": {"A": f"b{bad}"}},
        lambda bad: {"trailers": {f"A{bad}": "b"}},
    ],
)
def test_nothing_that_is_passed_in_ends_a_line_on_the_wire(arguments: Any, bad: str) -> None:
    """CVE-2016-5699, CVE-2019-9740, CVE-2026-34514 and their kin: refused or escaped, whichever way it comes."""
    try:
        prepared = prepare(**arguments(bad))
        fields, body = on_the_wire(prepared)
    except InvalidRequest:
        return
    head = b"".join((prepared.method or "").encode() + b"%b%b" % field for field in fields)
    parts = (body or b"").split(b"\r\n\r\n")[0].replace(b"\r\n", b"")
    for text in (head, (prepared.url or "").encode(), prepared.path_url.encode(), parts):
        assert not set(text) & {0, 10, 13}
        assert b"X-Injected:" not in text.replace(b"%0D%0AX-Injected:", b"")
