"""Advanced: HTTP verbs, custom verbs, link headers, header ordering, encodings, transport adapters."""

from __future__ import annotations

import io
import ssl
from collections import OrderedDict
from typing import Any

import pytest

import client as requests
from client.adapters import BaseAdapter, HTTPAdapter
from client.testing import LoopbackServer
from tests.scripted_server import Expect, ScriptedServer, Send
from tests.tls_authority import TLSAuthority

LINK = b'<https://api.test/x?page=2&per=10>; rel="next", <https://api.test/x?page=9>; rel="last"'


def test_custom_verbs(server: LoopbackServer) -> None:
    assert "MKCOL" == requests.request("MKCOL", server.url).json()["method"]


def test_link_headers(scripted_server: ScriptedServer) -> None:
    scripted_server.script(
        Expect(b"HEAD"), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nLink: " + LINK + b"\r\n\r\n")
    )
    response = requests.head(scripted_server.url)

    assert {"url": "https://api.test/x?page=2&per=10", "rel": "next"} == response.links["next"]
    assert "https://api.test/x?page=9" == response.links["last"]["url"]


def test_headers_leave_in_the_order_they_were_given(scripted_server: ScriptedServer) -> None:
    script = scripted_server.script(Expect(), Send(b"HTTP/1.1 204 No Content\r\n\r\n"))
    session = requests.Session()
    session.headers = OrderedDict([("X-Z", "1"), ("X-A", "2"), ("X-M", "3")])  # type: ignore[assignment]  # any mapping
    session.get(scripted_server.url)
    session.close()

    lines = script.requests[0].split(b"\r\n")
    assert [b"X-Z: 1", b"X-A: 2", b"X-M: 3"] == [line for line in lines if line.startswith(b"X-")]


class Canned(BaseAdapter):
    """Answers without a network, as adapters for files, tests and caches do."""

    def __init__(self, *answers: tuple[int, dict[str, str], bytes]) -> None:
        super().__init__()
        self.answers = list(answers)
        self.sent: list[requests.PreparedRequest] = []
        self.closed = False

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.sent.append(request)
        status, headers, body = self.answers.pop(0)
        response = requests.Response()
        response.status_code, response.url, response.request = status, request.url or "", request
        response.headers = requests.structures.CaseInsensitiveDict(headers)
        response.raw = io.BytesIO(body)
        return response

    def close(self) -> None:
        self.closed = True


def test_the_longest_prefix_has_the_adapter(server: LoopbackServer) -> None:
    session = requests.Session()
    near, far = Canned((200, {}, b"near")), Canned((200, {}, b"far"))
    session.mount("http://host.test", far)
    session.mount("http://host.test/deep/", near)

    assert near is session.get_adapter("http://HOST.test/deep/down")
    assert far is session.get_adapter("http://host.test/")
    assert ["http://host.test/deep/", "http://host.test", "https://", "http://"] == list(session.adapters)
    assert "near" == session.get("http://host.test/deep/x").text
    assert isinstance(session.get_adapter(server.url), HTTPAdapter)
    assert session.adapters["http://"] is session.get_adapter(server.url)
    assert 200 == session.get(server.url).status_code
    del session.adapters["http://"]
    with pytest.raises(requests.exceptions.InvalidSchema):
        session.get(server.url)
    session.close()
    assert near.closed
    assert far.closed


def test_an_adapter_serves_a_scheme_of_its_own() -> None:
    session = requests.Session()
    with pytest.raises(requests.exceptions.InvalidSchema):
        session.get("file:///etc/hosts")
    session.mount(
        "file://", Canned((200, {"Content-Type": "text/plain; charset=utf-8"}, b"127.0.0.1 localhost"))
    )

    assert "127.0.0.1 localhost" == session.get("file:///etc/hosts").text


def test_what_a_foreign_adapter_answers_is_followed_and_its_cookies_kept() -> None:
    adapter = Canned(
        (302, {"Location": "/second", "Set-Cookie": "a=1; Path=/"}, b""),
        (200, {}, b"end"),
        (200, {}, b"again"),
    )
    called = []
    session = requests.Session()
    session.mount("http://", adapter)
    response = session.get(
        "http://host.test/first", hooks={"response": lambda r, **kwargs: called.append(r.status_code)}
    )

    assert ("end", [302], [302, 200]) == (
        response.text,
        [hop.status_code for hop in response.history],
        called,
    )
    assert {"a": "1"} == session.cookies.get_dict()
    assert "a=1" == adapter.sent[1].headers["Cookie"]
    assert "http://host.test/second" == adapter.sent[1].url
    with session.get("http://host.test/", stream=True) as streamed:
        assert b"again" == b"".join(streamed.iter_content(2))


def test_a_subclass_overrides_send(server: LoopbackServer) -> None:
    class TimeoutAdapter(HTTPAdapter):
        def __init__(self, *args: Any, timeout: float, **kwargs: Any) -> None:
            self.timeout = timeout
            super().__init__(*args, **kwargs)

        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            if kwargs.get("timeout") is None:
                kwargs["timeout"] = self.timeout
            request.headers["X-By"] = "adapter"
            return super().send(request, *args, **kwargs)

    with requests.Session() as session:
        session.mount("http://", TimeoutAdapter(timeout=0.05))
        with pytest.raises(requests.ReadTimeout):
            session.get(f"{server.url}/delay/5")
        seen = session.get(f"{server.url}/redirect/1", timeout=5).json()
        assert "adapter" == seen["headers"]["x-by"]


def test_an_adapter_retries(scripted_server: ScriptedServer) -> None:
    scripted_server.script(
        Expect(), Send(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    )
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    retries = requests.Retry(3, backoff_factor=0, status_forcelist={502, 503}, allowed_methods={"POST"})
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=retries))
        assert "ok" == session.post(scripted_server.url, data=b"x").text


def test_an_adapter_has_a_tls_context_of_its_own(tls_authority: TLSAuthority) -> None:
    class ModernAdapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            context = ssl.create_default_context(cafile=str(tls_authority.bundle))
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            super().init_poolmanager(*args, ssl_context=context, **kwargs)

    with LoopbackServer(tls=tls_authority.server_context()) as server, requests.Session() as session:
        session.mount("https://", ModernAdapter())
        assert 200 == session.get(server.url).status_code


def test_case_insensitive_dict() -> None:
    headers = requests.structures.CaseInsensitiveDict({"Accept": "application/json"})

    assert "application/json" == headers["aCCEPT"]
    assert ["Accept"] == list(headers)
    headers["ACCEPT"] = "text/html"
    assert [("accept", "text/html")] == list(headers.lower_items())
    assert headers == {"accept": "text/html"} == headers.copy()
