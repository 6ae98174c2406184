"""`Session.get_redirect_target` and `resolve_redirects`, overridden: who forbids redirects there is not passed over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import client
from client.testing import LoopbackServer
from tests.scripted_server import Expect, ScriptedServer, Send


class Forbidden(Exception):
    """What a subclass raises."""


class SameScheme(client.Session):
    """As streamlink's: no way back to http; what that raises is its own matter."""

    error: type[Exception] = Forbidden

    def get_redirect_target(self, resp: client.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is not None and target.endswith("/redirect/1"):
            raise self.error(target)
        return target


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


@pytest.mark.parametrize("error", [Forbidden, client.InvalidURL])
def test_what_it_raises_ends_the_call(server: LoopbackServer, error: type[Exception], no_leaks: None) -> None:
    with SameScheme() as session:
        session.error = error
        for _ in range(3):
            with pytest.raises(error):
                session.get(f"{server.url}/redirect/2")
        with pytest.raises(error):
            session.get(f"{server.url}/redirect/2", stream=True)
        assert 200 == session.get(f"{server.url}/redirect/1?to=/echo").status_code
    assert 6 == server.stats.requests


def test_none_makes_the_redirect_the_answer(server: LoopbackServer) -> None:
    class Staying(client.Session):
        def get_redirect_target(self, resp: client.Response) -> str | None:
            return None

    with Staying() as session:
        response = session.get(f"{server.url}/redirect/1")
        assert (302, []) == (response.status_code, response.history)
        assert None is session.get(f"{server.url}/redirect/1", allow_redirects=False).next
        assert [] == list(session.resolve_redirects(response, response.request))
    assert 2 == server.stats.requests


def test_another_target_is_gone_to_without_the_credentials(scripted_server: ScriptedServer) -> None:
    """What goes along is decided in one place, whoever says where to."""
    scripted_server.script(
        Expect(b"GET / "), Send(b"HTTP/1.1 302 Found\r\nLocation: /here\r\nContent-Length: 0\r\n\r\n")
    )
    with LoopbackServer() as other, client.Session() as session:
        session.get_redirect_target = lambda resp: f"{other.url}/echo"  # type: ignore[method-assign]
        response = session.get(scripted_server.url, headers={"Authorization": "secret", "X-Key": "secret"})

    assert f"{other.url}/echo" == response.url
    assert "secret" not in response.text


@pytest.mark.parametrize("target", [5, b"/bytes", False])
def test_what_is_no_target_is_said_so(server: LoopbackServer, target: Any) -> None:
    with client.Session() as session:
        setattr(session, "get_redirect_target", lambda _: target)  # noqa: B010  # whatever type
        with pytest.raises(client.InvalidRequest, match="get_redirect_target"):
            session.get(f"{server.url}/redirect/1")


@pytest.mark.parametrize(
    "location", [b"myapp://callback?code=1", b"urn:ietf:wg:oauth:2.0:oob", b"http://[", b"/a\r\nLocation: /b"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_does_not_follow_gets_the_response_wherever_it_leads(
    scripted_server: ScriptedServer, location: bytes, method: str
) -> None:
    """An OAuth login of an app ends with such a Location, and its code is read from there."""
    body = b"" if method == "HEAD" else b"body"
    answer = b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 4\r\n\r\n" + body
    for _ in range(3):
        scripted_server.script(Expect(method.encode()), Send(answer))
    with client.Session() as session:
        response = session.request(method, scripted_server.url, allow_redirects=False)
        assert (302, body, None, []) == (
            response.status_code,
            response.content,
            response.next,
            response.history,
        )
        assert response.is_redirect
        assert location.partition(b"\r")[0].decode() in response.headers["Location"]
        with session.request(method, scripted_server.url, allow_redirects=False, stream=True) as streamed:
            assert body == streamed.content
        with pytest.raises(client.exceptions.RedirectError):
            list(session.resolve_redirects(response, response.request))
        with pytest.raises(client.exceptions.RedirectError):
            session.get_redirect_target(response)
        with pytest.raises(client.exceptions.RedirectError):
            session.request(method, scripted_server.url, allow_redirects=True)


def test_who_does_not_follow_is_not_disturbed_by_an_override(server: LoopbackServer) -> None:
    with SameScheme() as session:
        session.error = client.InvalidURL
        response = session.get(f"{server.url}/redirect/2", allow_redirects=False)

    assert (302, None) == (response.status_code, response.next)


# -- resolve_redirects ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("follow", [True, False])
def test_a_session_that_resolves_no_redirects_follows_none(server: LoopbackServer, follow: bool) -> None:
    """How programs keep a call inside the network that they have checked its URL for."""
    with client.Session() as session:
        session.resolve_redirects = lambda *_, **__: iter(())  # type: ignore[method-assign]
        response = session.get(f"{server.url}/redirect/2", allow_redirects=follow)

        assert (302, None, []) == (response.status_code, response.next, response.history)
        session.resolve_redirects = lambda *_, **__: 1 / 0  # type: ignore[assignment, method-assign]
        with pytest.raises(ZeroDivisionError):
            session.get(f"{server.url}/redirect/2", allow_redirects=follow)
    assert 2 == server.stats.requests


def test_a_redirect_may_be_judged_before_it_is_resolved(server: LoopbackServer, no_leaks: None) -> None:
    """As msrest's policy does; what goes along, and the limits of the call, are this library's all the same."""
    judged = []

    class Judging(client.Session):
        def resolve_redirects(
            self, resp: client.Response, req: client.PreparedRequest, *_: Any, **given: Any
        ) -> Any:
            judged.append(resp.url)
            return super().resolve_redirects(resp, req, **given) if "/redirect/1" not in resp.url else []

    with Judging() as session:
        response = session.post(f"{server.url}/redirect/3?status=307", data=b"body")
        assert (307, 2, b"body") == (response.status_code, len(response.history), response.request.body)
        assert 3 == len(judged)
        with pytest.raises(client.TooManyRedirects):
            session.max_redirects = 0
            session.get(f"{server.url}/redirect/3")


def test_what_yields_responses_in_the_place_of_requests_is_refused(server: LoopbackServer) -> None:
    class Sending(client.Session):
        def resolve_redirects(self, resp: client.Response, *_: Any, **__: Any) -> Any:
            yield resp

    with Sending() as session, pytest.raises(client.InvalidRequest, match="yield_requests"):
        session.get(f"{server.url}/redirect/1")
