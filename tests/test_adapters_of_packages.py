"""Adapters as packages for requests write them: what they leave out, set later, or ask urllib3 for."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

import client
from client.adapters import BaseAdapter, HTTPAdapter
from client.retries import RETRY_STATUSES
from client.testing import LoopbackServer
from client.urllib_cookies import extract_cookies_to_jar
from tests.scripted_server import Expect, ScriptedServer, Send


def test_a_subclass_that_answers_by_itself_may_leave_out_our_init(no_leaks: None) -> None:
    """As Django REST framework's test client: an application answers, so there is nothing to connect with."""

    class Application(HTTPAdapter):
        def __init__(self) -> None:
            pass

        def send(self, request: client.PreparedRequest, *_: Any, **__: Any) -> client.Response:
            body = io.BytesIO(b"from the application")
            return self.build_response(
                request, SimpleNamespace(status=200, reason="OK", headers={}, read=body.read)
            )

        def close(self) -> None:
            pass

    with client.Session() as session:
        session.mount("http://", Application())

        assert "from the application" == session.get("http://app.test/").text


def test_attempts_of_an_adapter_may_be_assigned_one_by_one(scripted_server: ScriptedServer) -> None:
    """As python-keycloak has POST repeated."""
    scripted_server.script(
        Expect(b"POST / "), Send(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"),
        Expect(b"POST / "), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    )  # fmt: skip
    adapter = HTTPAdapter(max_retries=1)
    adapter.max_retries.allowed_methods = frozenset({*(adapter.max_retries.allowed_methods or ()), "POST"})
    adapter.max_retries.backoff_factor = 0
    with client.Session() as session:
        session.mount("http://", adapter)

        assert 200 == session.post(scripted_server.url).status_code

    assert (1, RETRY_STATUSES) == (adapter.max_retries.total, adapter.max_retries.status_forcelist)
    with pytest.raises(ValueError, match="total"):
        adapter.max_retries.total = -1
    with pytest.raises(AttributeError, match="immutable"):
        client.Retry(1).total = 2


@pytest.mark.parametrize("how", ["super", "PoolManager"])
def test_a_timeout_of_the_pool_holds_where_nobody_says_another(how: str) -> None:
    """As python-arango asks for one."""

    class Patient(HTTPAdapter):
        def init_poolmanager(self, connections: int, maxsize: int, *_: Any, **__: Any) -> None:
            if how == "super":
                super().init_poolmanager(connections, maxsize, timeout=0.05)
            else:
                self.poolmanager = SimpleNamespace(connection_pool_kw={"timeout": 0.05, "maxsize": maxsize})

    with LoopbackServer() as server, client.Session() as session:
        session.mount("http://", Patient())
        with pytest.raises(client.ReadTimeout):
            session.get(f"{server.url}/delay/5")
        with pytest.raises(client.ReadTimeout, match=r"0\.06"):
            session.get(f"{server.url}/delay/5", timeout=0.06)


def test_cookies_are_read_where_requests_reads_them() -> None:
    """requests-wsgi-adapter's raw response has headers in its message alone, and Django REST framework's asks for a default."""

    class Message:
        def __init__(self, *cookies: str) -> None:
            self.cookies = cookies

        def get_all(self, name: str, default: Any) -> Any:
            return self.cookies if name == "Set-Cookie" and self.cookies else default

    class Application(BaseAdapter):
        def send(self, request: client.PreparedRequest, *_: Any, **__: Any) -> client.Response:
            response = client.Response()
            response.status_code, response.request, response.headers = 200, request, {}
            response.raw = io.BytesIO(b"")
            response.raw._original_response = SimpleNamespace(msg=Message("a=b", "c=d"))
            return response

    request = client.Request("GET", "http://app.test/").prepare()
    jar = client.cookies.RequestsCookieJar()
    for message in (Message("a=b", "c=d"), Message()):
        raw = SimpleNamespace(_original_response=SimpleNamespace(msg=message), headers=object())
        extract_cookies_to_jar(jar, request, raw)
    with client.Session() as session:
        session.mount("http://", Application())
        session.get("http://app.test/")
        session.adapters.clear()

    assert {"a": "b", "c": "d"} == jar.get_dict() == session.cookies.get_dict()
