"""Adapters that bring connections of urllib3's, as docker's does."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

import client
from client.adapters import HTTPAdapter
from client.testing import LoopbackServer
from tests.scripted_server import Expect, Hold, ScriptedServer, Send


class Brings(HTTPAdapter):
    """Sends everything by one pool."""

    def __init__(self, pool: Any) -> None:
        super().__init__()
        self.pool = pool

    def get_connection_with_tls_context(
        self, request: client.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        return self.pool


class BringsAsOfOld(HTTPAdapter):
    """As before requests 2.32, with a path of its own in the request line."""

    pool: Any

    def get_connection(self, url: str, proxies: Any = None) -> Any:
        return self.pool

    def request_url(self, request: client.PreparedRequest, proxies: Any) -> str:
        return "/bytes/7"


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


def over(pool: Any) -> client.Session:
    session = client.Session(timeout=5)
    session.mount("odd://", Brings(pool))
    return session


def pieces() -> Iterator[bytes]:
    yield from (b"ab", b"cde")


@pytest.mark.parametrize("body", [b"abcde", "abcde", io.BytesIO(b"abcde"), pieces()])
def test_bodies_of_any_kind_go_by_the_adapters_pool(body: Any, server: LoopbackServer) -> None:
    with urllib3.HTTPConnectionPool(server.host, server.port) as pool, over(pool) as session:
        response = session.post("odd://h.test/echo?a=b", data=body, headers={"X-A": "b"})

    told = response.json()
    assert (5, "b", "/echo?a=b") == (told["length"], told["headers"]["x-a"], told["target"])
    assert response.elapsed.total_seconds() > 0


def test_cookies_redirects_codings_and_limits_are_ours(server: LoopbackServer) -> None:
    with urllib3.HTTPConnectionPool(server.host, server.port) as pool, over(pool) as session:
        session.get("odd://h.test/cookies/set?a=b", allow_redirects=False)
        assert "b" == session.cookies["a"]
        assert "GET" == session.get("odd://h.test/gzip").json()["method"]
        with pytest.raises(client.BodyTooLarge):
            session.get("odd://h.test/bytes/1000", max_body=10)


def test_the_older_method_may_ask_for_the_adapters_own_pool(server: LoopbackServer) -> None:
    """Azure's SDK sets the size of a buffer on it; requests does not even call this method any more."""

    class Bigger(HTTPAdapter):
        def get_connection(self, url: str, proxies: Any = None) -> Any:
            connection = super().get_connection(url, proxies)
            connection.conn_kw["blocksize"] = 32768
            return connection

    with client.Session() as session:
        session.mount("http://", Bigger())
        assert "GET" == session.get(f"{server.url}/gzip").json()["method"]
        with pytest.raises(client.InvalidSchema):
            Bigger().send(client.Request("GET", "odd://h.test/").prepare())


def test_the_older_method_and_the_request_line(server: LoopbackServer) -> None:
    adapter = BringsAsOfOld()
    with urllib3.HTTPConnectionPool(server.host, server.port) as adapter.pool, client.Session() as session:
        session.mount("odd://", adapter)
        assert 7 == len(session.get("odd://h.test/").content)


def test_its_timeouts_are_those_of_the_call(scripted_server: ScriptedServer) -> None:
    scripted_server.script(Expect(), Hold())
    host, port = scripted_server.host, scripted_server.port
    with urllib3.HTTPConnectionPool(host, port) as pool, over(pool) as session:
        with pytest.raises(client.ReadTimeout) as caught:
            session.get("odd://h.test/?secret", timeout=(5, 0.05))
    assert (True, False) == (caught.value.request is not None, "secret" in str(caught.value))


def test_its_errors_are_ours(scripted_server: ScriptedServer) -> None:
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"))
    host, port = scripted_server.host, scripted_server.port
    with urllib3.HTTPConnectionPool(host, port) as pool, over(pool) as session:
        with pytest.raises(client.ChunkedEncodingError):
            session.get("odd://h.test/")
    with urllib3.HTTPConnectionPool("127.0.0.1", 1) as pool, over(pool) as session:
        with pytest.raises(client.ConnectionError, match="NewConnectionError"):
            session.get("odd://h.test/")


def test_what_is_not_urllib3s_is_left_alone() -> None:
    class Pool:
        scheme = "http"

        def urlopen(self, *_: Any, **__: Any) -> Any:
            raise LookupError("mine")

    with over(Pool()) as session, pytest.raises(LookupError, match="mine"):
        session.get("odd://h.test/")


def test_a_pool_for_https_is_refused() -> None:
    """What ``verify`` and ``cert`` say would not hold there."""
    with urllib3.HTTPSConnectionPool("127.0.0.1", 1) as pool, over(pool) as session:
        with pytest.raises(client.InvalidRequest, match="https"):
            session.get("odd://h.test/")
