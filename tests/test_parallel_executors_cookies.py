"""Cookies that answers set in another process: they are in the session's jar as if it had made the call itself."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

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
        errands._sessions.clear()  # of `ClusterLike`, whose other process is this one


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
