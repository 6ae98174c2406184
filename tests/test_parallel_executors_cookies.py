"""Cookies that answers set in another process: they are in the session's jar as if it had made the call itself."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

import client
from client import errands
from client.testing import LoopbackServer
from tests.test_parallel_executors import ClusterLike


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def session() -> Iterator[client.Session]:
    with client.Session(trust_env=False, timeout=10) as session:
        yield session
        errands._idle.clear()  # of `ClusterLike`, whose other process is this one


def test_a_real_process(session: client.Session, server: LoopbackServer) -> None:
    """Set by a redirect; then the next call sends it, from whatever process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        (response,) = session.map([f"{server.url}/cookies/set?a=b"], executor=pool)
        assert {"a": "b"} == session.cookies.get_dict()
        (again,) = session.as_completed([f"{server.url}/cookies"], executor=pool)

    assert [302] == [answer.status_code for answer in response.history]
    assert {"cookies": {"a": "b"}} == again.json()


def test_a_cookie_that_is_taken_back_goes_here_as_well(
    session: client.Session, server: LoopbackServer
) -> None:
    session.get(f"{server.url}/cookies/set?a=b&c=d")
    list(session.map([f"{server.url}/cookies/set?a=;Max-Age=0"], executor=ClusterLike()))

    assert {"c": "d"} == session.cookies.get_dict()


def test_those_of_an_error_count(session: client.Session, server: LoopbackServer) -> None:
    """It has its response, as it would have here."""
    session.max_redirects = 0
    with pytest.raises(client.TooManyRedirects):
        list(session.map([f"{server.url}/cookies/set?a=b"], executor=ClusterLike()))

    assert {"a": "b"} == session.cookies.get_dict()


def test_a_cookie_for_another_host_is_refused_here_as_there(
    session: client.Session, server: LoopbackServer
) -> None:
    (response,) = session.map([f"{server.url}/cookies/set?a=b;Domain=other.test&c=d"], executor=ClusterLike())

    assert "a=b;Domain=other.test" in response.history[0].headers["Set-Cookie"]
    assert {"c": "d"} == session.cookies.get_dict()


def test_a_session_of_equal_settings_is_another_user(session: client.Session, server: LoopbackServer) -> None:
    """Its calls may come to the same process, and are on the same connections there."""
    cluster = ClusterLike()
    list(session.map([f"{server.url}/cookies/set?user=a"], executor=cluster))
    with client.Session(trust_env=False, timeout=10) as other:
        (answer,) = other.map([f"{server.url}/cookies"], executor=cluster)

    assert {"cookies": {}} == answer.json()
    assert 1 == len({errand.settings for errand in cluster.errands})


def test_a_jar_that_was_emptied_is_empty_there(session: client.Session, server: LoopbackServer) -> None:
    list(session.map([f"{server.url}/cookies/set?user=a"], executor=ClusterLike()))
    session.cookies.clear()
    (answer,) = session.map([f"{server.url}/cookies"], executor=ClusterLike())

    assert {"cookies": {}} == answer.json()


def test_a_call_has_the_cookies_of_the_moment(session: client.Session, server: LoopbackServer) -> None:
    """Of answers that were taken before it was handed over, in the same `map` too."""

    def jobs() -> Iterator[str]:
        yield f"{server.url}/cookies/set?a=b"
        while not session.cookies:
            yield f"{server.url}/status/200"
        yield f"{server.url}/cookies"

    *_, last = session.map(jobs(), executor=ClusterLike())

    assert {"cookies": {"a": "b"}} == last.json()


def test_and_keeps_them_from_calls_beside_it(session: client.Session, server: LoopbackServer) -> None:
    """An answer that sets one has come, and the call is not over, when another call begins in that process."""
    seen.clear()
    hooks = {"response": call_beside}
    list(session.map([f"{server.url}/cookies/set?user=a"], hooks=hooks, executor=ClusterLike()))

    assert [{"cookies": {}}] * 2 == seen  # beside the redirect, and beside what it led to


def test_a_response_that_a_hook_made_is_given_all_the_same(
    session: client.Session, server: LoopbackServer
) -> None:
    """It came from nowhere, so nobody can say whose cookies it has."""
    hooks = {"response": another}
    (answer,) = session.map([f"{server.url}/bytes/1"], hooks=hooks, executor=ClusterLike())

    assert answer.url is None


def another(response: client.Response, **_: Any) -> client.Response:
    return client.Response()


seen: list[Any] = []


def call_beside(response: client.Response, **_: Any) -> None:
    url = f"{response.url.partition('/cookies')[0]}/cookies"
    with client.Session(trust_env=False, timeout=10) as other:
        seen.extend(answer.json() for answer in other.map([url], executor=ClusterLike()))
