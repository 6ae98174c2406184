"""A `Session` over `MockTransport` and `WSGITransport`: all that is above the transport works as on a wire."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

import client
from client.testing import MockRequest, MockResponse, MockTransport, WSGITransport

BASE = "http://api.test"


def session_of(handler: Any, **settings: Any) -> tuple[client.Session, MockTransport]:
    transport = MockTransport(handler)
    return client.Session(base_url=BASE, transport=transport, **settings), transport


def test_what_a_handler_answers_is_what_the_session_returns(no_leaks: None) -> None:
    session, transport = session_of(lambda _: MockResponse(201, json={"id": 1}, headers={"X": "a"}))
    with session:
        response = session.post("/things", json={"name": "a"}, params={"q": "1"}, auth=("ada", "secret"))

    assert (201, {"id": 1}, "a") == (response.status_code, response.json(), response.headers["x"])
    (seen,) = transport.requests
    assert ("POST", "/things", "q=1", {"name": "a"}) == (seen.method, seen.path, seen.query, seen.json())
    assert "Basic YWRhOnNlY3JldA==" == seen.headers["authorization"]
    assert "api.test" == seen.headers["host"]


def test_redirects_are_followed_and_credentials_stay_at_home() -> None:
    def handler(request: MockRequest) -> MockResponse:
        if request.path == "/start":
            return MockResponse(307, headers={"Location": "/next"})
        if request.path == "/next":
            return MockResponse(307, headers={"Location": "http://other.test/end"}, body=b"moved")
        return MockResponse(json=dict(request.headers))

    session, transport = session_of(handler)
    response = session.put("/start", data=b"body", headers={"Authorization": "Bearer token"})

    assert [307, 307] == [hop.status_code for hop in response.history]
    assert [b"body"] * 3 == [request.body for request in transport.requests]
    given = [request.headers.get("Authorization") for request in transport.requests]
    assert ["Bearer token", "Bearer token", None] == given


def test_cookies_are_kept_between_two_calls() -> None:
    session, transport = session_of(lambda _: MockResponse(headers=[("Set-Cookie", "a=1; Path=/")]))
    session.get("/")
    session.get("/")

    assert [None, "a=1"] == [request.headers.get("Cookie") for request in transport.requests]


@pytest.mark.parametrize(("answer", "expected"), [("k=new", "other=x; k=new"), ("k=; Max-Age=0", "other=x")])
def test_a_redirect_that_renews_a_cookie_of_the_call_is_believed(answer: str, expected: str) -> None:
    """A server that rotates the session on its way to the page would else be shown the old one."""

    def handle(request: MockRequest) -> MockResponse:
        if request.path == "/":
            return MockResponse(status=302, headers={"Location": "/next", "Set-Cookie": answer})
        return MockResponse()

    session, transport = session_of(handle)
    own = client.cookies.cookiejar_from_dict({"k": "old", "other": "x"})
    session.get("http://h.test/", cookies=own)

    assert ["k=old; other=x", expected] == [request.headers["Cookie"] for request in transport.requests]
    assert {"k": "old", "other": "x"} == own.get_dict()


def test_a_service_that_recovers_is_tried_again() -> None:
    answers = iter([MockResponse(503), MockResponse(503), MockResponse(json={"ok": True})])
    session, transport = session_of(lambda _: next(answers), retries=client.Retry(total=3, backoff_factor=0))

    assert {"ok": True} == session.get("/").json()
    assert 3 == len(transport.requests)


def test_content_codings_are_decoded_and_a_cut_one_is_an_error() -> None:
    coded = gzip.compress(b"hello" * 1000)
    whole, _ = session_of(lambda _: MockResponse(headers={"Content-Encoding": "gzip"}, body=coded))
    cut, _ = session_of(lambda _: MockResponse(headers={"Content-Encoding": "gzip"}, body=coded[:-9]))

    assert b"hello" * 1000 == whole.get("/").content
    with pytest.raises(client.ContentDecodingError):
        cut.get("/")


def test_a_stream_is_read_as_it_is_made() -> None:
    made = []

    def pieces() -> Iterator[bytes]:
        for number in range(3):
            made.append(number)
            yield b"%d\n" % number

    session, _ = session_of(lambda _: MockResponse(body=pieces()))
    with session.get("/", stream=True) as response:
        assert [] == made
        lines = response.iter_lines()
        assert b"0" == next(lines)
        assert len(made) < 3
        assert [b"1", b"2"] == list(lines)


def test_a_body_that_breaks_off_is_an_error_for_each_way_to_read_it() -> None:
    session, _ = session_of(lambda _: MockResponse(headers={"Content-Length": "9"}, body=b"short"))

    with pytest.raises(client.IncompleteBody):
        session.get("/")
    with pytest.raises(client.IncompleteBody):
        list(session.get("/", stream=True).iter_content(2))


def test_a_generator_is_collected_and_its_progress_reported() -> None:
    progress: list[tuple[int, int | None]] = []
    session, transport = session_of(lambda _: MockResponse())
    session.post(
        "/", data=iter([b"abc", b"defg"]), progress=lambda done, total: progress.append((done, total))
    )

    assert b"abcdefg" == transport.requests[0].body
    assert "chunked" == transport.requests[0].headers["Transfer-Encoding"]
    assert (7, None) in progress


def test_what_a_handler_raises_reaches_the_caller_with_its_request() -> None:
    def handler(request: MockRequest) -> MockResponse:
        raise client.ReadTimeout("no answer", phase="read", seconds=1.0)

    session, _ = session_of(handler)
    with pytest.raises(client.ReadTimeout) as caught:
        session.get("/")
    assert caught.value.request is not None
    assert f"{BASE}/" == caught.value.request.url


def test_workers_call_the_handler_side_by_side(no_leaks: None) -> None:
    session, transport = session_of(lambda request: MockResponse(body=request.path), workers=4)
    with session:
        paths = [f"/{number}" for number in range(50)]
        assert paths == [response.text for response in session.map(paths)]
    assert sorted(paths) == sorted(request.path for request in transport.requests)


def test_a_wsgi_application_is_called_through_a_session() -> None:
    @Request.application
    def app(request: Request) -> Response:
        if request.path == "/login":
            response = Response(status=303, headers={"Location": "/home"})
            response.set_cookie("user", request.form["user"])
            return response
        if request.method == "PUT":
            return Response(hashlib.sha256(request.get_data()).hexdigest())
        return Response(f"hello {request.cookies['user']}")

    session = client.Session(base_url="http://app.test", transport=WSGITransport(app))

    assert "hello ada" == session.post("/login", data={"user": "ada"}).text
    blocks = [b"%d" % number * 1000 for number in range(100)]
    assert hashlib.sha256(b"".join(blocks)).hexdigest() == session.put("/", data=iter(blocks)).text


def test_an_auth_object_is_called_with_the_cookies_that_will_be_sent() -> None:
    """A signature may cover them; requests documents that it sees the whole request."""

    class Signature(client.auth.AuthBase):
        def __call__(self, r: client.PreparedRequest) -> client.PreparedRequest:
            r.headers["X-Signed"] = f"{r.headers.get('Cookie')} {r.body!r}"
            return r

    class Flow(client.auth.AuthBase):
        def auth_flow(
            self, request: client.PreparedRequest
        ) -> Generator[client.PreparedRequest, client.Response, None]:
            request.headers["X-Signed"] = f"{request.headers.get('Cookie')} {request.body!r}"
            yield request

    session, transport = session_of(lambda _: MockResponse(), cookies={"kept": "1"})
    session.post("/", data="body", cookies={"own": "2"}, auth=Signature())
    session.post("/", data="body", cookies={"own": "2"}, auth=Flow())

    for request in transport.requests:
        assert f"{request.headers['Cookie']} 'body'" == request.headers["X-Signed"]
        assert {"kept=1", "own=2"} == set(request.headers["Cookie"].split("; "))


def test_an_auth_object_takes_the_place_of_the_user_information() -> None:
    seen = []

    class Nothing(client.auth.AuthBase):
        def __call__(self, r: client.PreparedRequest) -> client.PreparedRequest:
            seen.append(r.headers.get("Authorization"))
            return r

    session, transport = session_of(lambda _: MockResponse())
    session.get("http://ada:secret@api.test/", auth=Nothing())

    assert [None] == seen
    assert "Authorization" not in transport.requests[0].headers


# -- an answer to another request than the one that was asked for --------------------------------------------------


def elsewhere(request: MockRequest) -> MockResponse:
    """Redirect to a relative URL from everywhere but the start and the end."""
    if request.path in {"/start", "/a/end"}:
        return MockResponse(json=dict(request.headers))
    return MockResponse(307, headers={"Location": "end"})


def test_a_redirect_is_relative_to_the_url_that_a_hook_went_to() -> None:
    def hook(response: client.Response, **settings: Any) -> client.Response | None:
        if not response.url.endswith("/start"):
            return None
        request = response.request.copy()
        request.url = f"{BASE}/a/b"
        answer: client.Response = response.connection.send(request, **settings)
        return answer

    session, _ = session_of(elsewhere)
    response = session.get("/start", hooks={"response": hook}, auth=("ada", "secret"))

    assert f"{BASE}/a/end" == response.url
    assert "Basic YWRhOnNlY3JldA==" == response.json()["Authorization"]


def test_what_stays_at_the_origin_stays_when_a_flow_leaves_it() -> None:
    """The flow says what is sent to the other origin; a redirect there adds nothing of the call to that."""

    class Flow(client.auth.AuthBase):
        def auth_flow(self, request: client.PreparedRequest) -> Any:
            other = request.copy()
            other.url = "http://other.test/a/b"
            del other.headers["X-Key"], other.headers["Cookie"]
            yield other

    session, transport = session_of(elsewhere, auth=Flow())
    session.cookies.set("kept", "1")
    response = session.get("/start", headers={"X-Key": "secret"}, cookies={"own": "2"})

    assert "http://other.test/a/end" == response.url
    assert ["other.test"] * 2 == [request.headers["Host"] for request in transport.requests]
    last = response.json()
    assert {"X-Key", "Cookie"}.isdisjoint(last)


@pytest.mark.parametrize("yielded", [[], [None], ["http://api.test/"], [client.Request("GET", BASE)]])
def test_a_flow_must_yield_prepared_requests(yielded: list[Any]) -> None:
    """Without any, a StopIteration would end the caller's own loop as if all had been done."""

    class Flow(client.auth.AuthBase):
        def auth_flow(self, request: client.PreparedRequest) -> Any:
            yield from yielded

    session, transport = session_of(elsewhere, auth=Flow())
    with pytest.raises(client.exceptions.InvalidRequest, match="auth_flow must yield prepared requests"):
        session.get("/start")
    assert [] == transport.requests


def test_a_flow_must_be_a_generator() -> None:
    class Flow(client.auth.AuthBase):
        def auth_flow(self, request: client.PreparedRequest) -> Any:
            return [request]

    with pytest.raises(client.exceptions.InvalidRequest, match="auth_flow must be a generator"):
        session_of(elsewhere, auth=Flow())[0].get("/start")
