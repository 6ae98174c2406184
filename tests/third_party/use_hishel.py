"""hishel, an HTTP cache: its adapter for requests."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from hishel import SqliteStorage
from hishel.requests import CacheAdapter

from client.testing import LoopbackServer


@pytest.mark.parametrize("rfc", [False, True])
def test_the_second_answer_comes_from_the_cache(rfc: bool, tmp_path: Path) -> None:
    storage = SqliteStorage(database_path=str(tmp_path / "cache.db"))
    with LoopbackServer() as server, requests.Session() as session:
        session.mount("http://", CacheAdapter(storage=storage, rfc=rfc))

        responses = [session.get(f"{server.url}/bytes/1000") for _ in range(3)]

        assert ["false", "true", "true"] == [each.headers["X-Hishel-From-Cache"] for each in responses]
        assert [1000] * 3 == [len(each.content) for each in responses]
        assert 1 == server.stats.requests


def test_coded_bodies_and_cookies_pass_through_the_cache(tmp_path: Path) -> None:
    storage = SqliteStorage(database_path=str(tmp_path / "cache.db"))
    with LoopbackServer() as server, requests.Session() as session:
        session.mount("http://", CacheAdapter(storage=storage))
        for _ in range(2):
            assert "GET" == session.get(f"{server.url}/gzip").json()["method"]

        session.get(f"{server.url}/cookies/set?a=b")
        assert "b" == session.cookies["a"]
