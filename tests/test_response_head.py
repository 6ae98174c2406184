"""The head of a response: what its properties show before a byte of the body is read."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from client.exceptions import HTTPError
from tests.wire_bytes import response_of


def test_the_head() -> None:
    response = response_of(
        headers=[(b"Content-Type", b"text/plain"), (b"X-A", b"1"), (b"x-a", b"2")],
        status=404,
        reason=b"Not Found",
    )

    assert 404 == response.status_code
    assert "Not Found" == response.reason
    assert "1.1" == response.http_version
    assert "http://example.test/path?token=1#part" == response.url
    assert "text/plain" == response.headers["content-TYPE"]
    assert "1, 2" == response.headers["X-A"]
    assert ["1", "2"] == response.headers.get_list("x-a")
    assert [(b"Content-Type", b"text/plain"), (b"X-A", b"1"), (b"x-a", b"2")] == response.headers.raw_items()
    assert "GET" == response.request.method
    assert [] == response.history
    assert response.history is response.history
    assert isinstance(response.elapsed, timedelta)
    assert response.elapsed > timedelta(0)
    assert 0.25 == response.timings["wait"]
    assert () == response.attempts
    assert response.next is None
    assert "<Response [404]>" == repr(response)


@pytest.mark.parametrize(
    ("raw", "reason"), [(b"", ""), ("Kein Café".encode(), "Kein Café"), (b"Caf\xe9", "Café")]
)
def test_a_reason_is_text_of_any_charset(raw: bytes, reason: str) -> None:
    assert reason == response_of(reason=raw).reason


@pytest.mark.parametrize(
    ("status", "ok"),
    [
        (200, True),
        (204, True),
        (302, True),
        (399, True),
        (400, False),
        (404, False),
        (500, False),
        (599, False),
        (600, True),
    ],
)
def test_ok_is_below_400(status: int, ok: bool) -> None:
    response = response_of(status=status)

    assert ok == response.ok == bool(response)
    if ok:
        response.raise_for_status()


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        (404, b"Not Found", "404 Client Error: Not Found for url: http://example.test/path"),
        (503, b"Unavailable", "503 Server Error: Unavailable for url: http://example.test/path"),
    ],
)
def test_raise_for_status_says_what_and_where_and_no_secret(status: int, reason: bytes, message: str) -> None:
    response = response_of(status=status, reason=reason)

    with pytest.raises(HTTPError, match=f"^{re.escape(message)}$") as caught:
        response.raise_for_status()
    assert caught.value.response is response
    assert caught.value.request is response.request


@pytest.mark.parametrize(
    ("status", "headers", "is_redirect", "is_permanent"),
    [
        (301, [(b"location", b"/x")], True, True),
        (302, [(b"Location", b"/x")], True, False),
        (303, [(b"Location", b"/x")], True, False),
        (307, [(b"Location", b"/x")], True, False),
        (308, [(b"Location", b"/x")], True, True),
        (301, [], False, False),
        (300, [(b"Location", b"/x")], False, False),
        (201, [(b"Location", b"/x")], False, False),
    ],
)
def test_redirects(
    status: int, headers: list[tuple[bytes, bytes]], is_redirect: bool, is_permanent: bool
) -> None:
    response = response_of(status=status, headers=headers)

    assert (is_redirect, is_permanent) == (response.is_redirect, response.is_permanent_redirect)


def test_links_by_relation() -> None:
    response = response_of(headers=[(b"Link", b'</2>; rel="next last"; title=two'), (b"Link", b"</s.css>")])

    second = {"url": "/2", "rel": "next last", "title": "two"}
    assert {"next": second, "last": second, "/s.css": {"url": "/s.css"}} == response.links
    assert {} == response_of().links


def test_cookies_that_the_answer_sets() -> None:
    response = response_of(
        headers=[
            (b"Set-Cookie", b"a=1; Path=/"),
            (b"set-cookie", b"b=2"),
            (b"Set-Cookie", b"c=3; Domain=other.test"),
        ]
    )

    assert {"a": "1", "b": "2"} == dict(response.cookies)
    assert {} == dict(response_of().cookies)


def test_trailers_are_there_once_the_body_is_complete() -> None:
    response = response_of(b"body", trailers=[(b"Digest", b"abc")])
    assert {} == dict(response.trailers)

    assert b"body" == response.content
    assert "abc" == response.trailers["digest"]
