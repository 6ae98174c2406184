"""requests-cache: its session, its patch of requests, conditional requests, streams."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
import requests_cache

from client.testing import LoopbackServer


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


@pytest.fixture
def session() -> Iterator[requests_cache.CachedSession]:
    with requests_cache.CachedSession(backend="memory", allowable_methods=("GET", "POST")) as running:
        yield running


def test_the_second_answer_comes_from_the_cache(
    session: requests_cache.CachedSession, server: LoopbackServer
) -> None:
    for path in ("/echo?a=b", "/gzip", "/bytes/100000", "/cookies/set?a=b", "/redirect/2"):
        first, second = (session.get(server.url + path) for _ in range(2))
        assert (False, True) == (first.from_cache, second.from_cache)
        assert (first.content, first.url) == (second.content, second.url)
        assert len(first.history) == len(second.history)
    assert "b" == session.cookies["a"]


def test_bodies_and_streams_are_told_apart(
    session: requests_cache.CachedSession, server: LoopbackServer
) -> None:
    for body in ("a", "b"):
        assert not session.post(f"{server.url}/echo", json={"x": body}).from_cache
    assert session.post(f"{server.url}/echo", json={"x": "a"}).from_cache

    for _ in range(2):
        with session.get(f"{server.url}/bytes/5000", stream=True) as response:
            assert 5000 == sum(map(len, response.iter_content(1000)))
    assert response.from_cache


@pytest.mark.parametrize("backend", ["sqlite", "filesystem"])
def test_on_disk(backend: str, server: LoopbackServer, tmp_path: object) -> None:
    for _ in range(2):
        with requests_cache.CachedSession(f"{tmp_path}/cache", backend=backend) as session:
            response = session.get(f"{server.url}/echo")
    assert (True, "GET") == (response.from_cache, response.json()["method"])
    assert 1 == server.stats.requests


def test_requests_itself_can_be_patched(server: LoopbackServer) -> None:
    with requests_cache.enabled(backend="memory"):
        answers = [requests.get(f"{server.url}/echo") for _ in range(2)]
    assert [False, True] == [getattr(answer, "from_cache", None) for answer in answers]
    requests.get(f"{server.url}/echo")
    assert 2 == server.stats.requests
