"""Adapters: what mounting changes, and what it must not change."""

from __future__ import annotations

import io
import pickle
import ssl
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

import client
from client.adapters import BaseAdapter, HTTPAdapter
from client.testing import LoopbackServer, MockResponse, MockTransport
from tests.scripted_server import Expect, ScriptedServer, Send
from tests.tls_authority import TLSAuthority


class Seen(HTTPAdapter):
    """Notes what it is asked to send."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.asked: list[tuple[str | None, dict[str, Any]]] = []
        super().__init__(*args, **kwargs)

    def send(self, request: client.PreparedRequest, *args: Any, **kwargs: Any) -> client.Response:
        self.asked.append((request.url, kwargs))
        return super().send(request, *args, **kwargs)


def test_the_interface_alone_can_do_nothing() -> None:
    adapter = BaseAdapter()
    with pytest.raises(NotImplementedError):
        adapter.send(client.Request("GET", "http://h.test").prepare())
    with pytest.raises(NotImplementedError):
        adapter.close()


def test_an_adapter_sends_by_itself(no_leaks: None) -> None:
    adapter = HTTPAdapter()
    with LoopbackServer() as server:
        response = adapter.send(client.Request("GET", f"{server.url}/redirect/1").prepare())
        assert (302, adapter) == (response.status_code, response.connection)
        response.close()
        adapter.close()
    with pytest.raises(client.InvalidSchema):
        adapter.send(client.Request("GET", "file:///etc/hosts").prepare())


def test_an_overriding_adapter_sees_each_hop_with_the_body_unread(no_leaks: None) -> None:
    adapter = Seen()
    with LoopbackServer() as server, client.Session() as session:
        session.mount(server.url, adapter)
        assert 100 == len(session.get(f"{server.url}/redirect/1?to=/bytes/100").content)

        assert [f"{server.url}/redirect/1?to=/bytes/100", f"{server.url}/bytes/100"] == [
            url for url, _ in adapter.asked
        ]
        assert {"stream", "timeout", "verify", "cert", "proxies"} == set(adapter.asked[0][1])


def test_the_sessions_own_adapter_uses_its_connections(no_leaks: None) -> None:
    with LoopbackServer() as server, client.Session() as session:
        session.get(server.url)
        adapter = session.get_adapter(server.url)
        adapter.send(client.Request("GET", server.url).prepare()).close()
        assert isinstance(adapter, HTTPAdapter)
        adapter.max_retries = client.Retry(1)
        session.get(server.url)
        assert 1 == server.stats.connections


def test_retries_of_the_sessions_own_adapter_can_be_set(scripted_server: ScriptedServer) -> None:
    scripted_server.script(
        Expect(), Send(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    )
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    with client.Session() as session:
        session.adapters["http://"].max_retries = client.Retry(1, backoff_factor=0)  # type: ignore[attr-defined]
        assert "ok" == session.get(scripted_server.url).text


def test_mounting_is_no_way_round_an_address_filter(no_leaks: None) -> None:
    adapter = Seen()
    with LoopbackServer() as server, client.Session(address_filter=lambda address: False) as session:
        session.mount("http://", adapter)
        with pytest.raises(client.AddressNotAllowed):
            session.get(server.url)
        with client.Session(address_filter=lambda address: True) as other:  # cannot open it again
            other.mount("http://", adapter)
            with pytest.raises(client.AddressNotAllowed):
                other.get(server.url)
        assert 0 == server.stats.connections


def test_resizing_an_adapters_pool_is_no_way_round_it_either(no_leaks: None) -> None:
    """As requests-futures does with more than ten workers."""
    with LoopbackServer() as server, client.Session(address_filter=lambda address: False) as session:
        adapter = session.get_adapter("http://")
        assert isinstance(adapter, HTTPAdapter)
        adapter.init_poolmanager(20, 20, block=True)
        with pytest.raises(client.AddressNotAllowed):
            session.get(server.url)
        assert (0, []) == (server.stats.connections, list(adapter.proxy_manager))


def test_a_mounted_adapter_asks_the_sessions_resolver(no_leaks: None) -> None:
    with LoopbackServer() as server, client.Session(resolver=lambda host, port: ["127.0.0.1"]) as session:
        session.mount("http://", HTTPAdapter())
        assert 200 == session.get(f"http://any.test:{server.port}/").status_code


def test_a_mounted_adapter_is_closed_and_aborted_with_the_session(no_leaks: None) -> None:
    with LoopbackServer() as server:
        session = client.Session()
        session.mount("http://", HTTPAdapter())
        session.get(server.url)
        streamed = session.get(f"{server.url}/drip?bytes=100", stream=True)
        session.abort()
        with pytest.raises(client.SessionClosed):
            streamed.content  # noqa: B018  # the read that raises


def test_a_session_over_a_transport_has_adapters_around_it() -> None:
    session = client.Session(transport=MockTransport(lambda request: MockResponse(body=request.path)))

    assert "/a" == session.get("http://h.test/a").text
    assert (
        "/b"
        == session.get_adapter("http://h.test").send(client.Request("GET", "http://h.test/b").prepare()).text
    )
    session.adapters["http://"] = Seen.around(session._transport)
    assert "/c" == session.get("http://h.test/c").text


def test_an_adapter_is_found_by_the_beginning_of_a_url() -> None:
    session = client.Session()
    adapter = HTTPAdapter()
    session.mount("https://API.test/", adapter)

    assert session.adapters["http://"] is session.get_adapter("http://")
    assert session.adapters["https://"] is session.get_adapter("HTTPS://")
    assert adapter is session.get_adapter("https://api.TEST/v1")
    with pytest.raises(client.InvalidSchema):
        session.get_adapter("other://h.test/")


def test_get_adapter_can_be_overridden() -> None:
    class Routed(client.Session):
        def get_adapter(self, url: str) -> BaseAdapter:
            return Canned() if url.startswith("http://canned.test") else super().get_adapter(url)

    with LoopbackServer() as server, Routed() as session:
        assert "canned" == session.get("http://canned.test/").text
        assert 200 == session.get(server.url).status_code


class Canned(BaseAdapter):
    """Answers what urllib3 would give it."""

    def __init__(self, headers: Any = None, raw: Any = None) -> None:
        self.headers = headers
        self.raw = raw

    def send(self, request: client.PreparedRequest, *args: Any, **kwargs: Any) -> client.Response:
        response = client.Response()
        response.status_code = 200
        response.headers = client.structures.CaseInsensitiveDict(self.headers or {})
        response.raw = self.raw or io.BytesIO(b"canned")
        response.url, response.request = request.url or "", request
        return response

    def close(self) -> None:
        pass


class Urllib3Like(io.BytesIO):
    """The parts of urllib3's response that are looked at."""

    status, reason, version = 201, "Created", 11

    def __init__(self, *pairs: tuple[str, str]) -> None:
        super().__init__(b"body")
        self.headers = Urllib3Headers(pairs)

    def stream(self, amt: int, decode_content: bool | None = None) -> Any:
        assert decode_content
        while piece := self.read(amt):
            yield piece


class Urllib3Headers(dict[str, str]):
    def __init__(self, pairs: tuple[tuple[str, str], ...]) -> None:
        super().__init__()
        self.pairs = pairs
        for name, value in pairs:
            self[name] = f"{self[name]}, {value}" if name in self else value

    def getlist(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]


def test_several_cookies_of_a_foreign_answer_are_told_apart() -> None:
    """A mapping joins them by commas, which stand in dates too; urllib3's raw response has them one by one."""
    raw = Urllib3Like(("Set-Cookie", "a=1; Expires=Wed, 01 Jan 2070 00:00:00 GMT"), ("Set-Cookie", "b=2"))

    class Building(Canned):
        def send(self, request: client.PreparedRequest, *args: Any, **kwargs: Any) -> client.Response:
            return HTTPAdapter().build_response(request, raw)

    session = client.Session()
    session.mount("http://", Building())
    response = session.get("http://h.test/")

    assert {"a": "1", "b": "2"} == session.cookies.get_dict() == response.cookies.get_dict()
    assert (201, "Created", "body", "http://h.test/") == (
        response.status_code, response.reason, response.text, response.url,
    )  # fmt: skip
    session.close()


def test_the_message_inside_a_raw_response_has_cookies_as_well() -> None:
    class Message:
        def get_all(self, name: str, default: object) -> list[str]:
            return ["a=1", "b=2"]

    raw: Any = io.BytesIO(b"")
    holder = type("Raw", (io.BytesIO,), {"_original_response": type("R", (), {"msg": Message()})()})
    raw = holder(b"x")
    session = client.Session()
    session.mount("http://", Canned({"Set-Cookie": "a=1, b=2"}, raw))
    session.get("http://h.test/")

    assert {"a": "1", "b": "2"} == session.cookies.get_dict()


@pytest.mark.parametrize(
    ("base", "kind"),
    [
        ("ReadTimeoutError", client.ReadTimeout),
        ("SSLError", client.SSLError),
        ("DecodeError", client.ContentDecodingError),
        ("ProtocolError", client.ChunkedEncodingError),
    ],
)
def test_what_urllib3_raises_comes_as_ours(base: str, kind: type[Exception]) -> None:
    """By the names of its classes, since urllib3 need not be installed."""
    root = type("HTTPError", (Exception,), {"__module__": "urllib3.exceptions"})
    raised = type(base, (root,), {"__module__": "urllib3.exceptions"})

    class Broken(io.BytesIO):
        def stream(self, amt: int, decode_content: bool | None = None) -> Any:
            yield b"some"
            raise raised("secret")

    session = client.Session()
    session.mount("http://", Canned(raw=Broken()))
    with pytest.raises(kind) as caught:
        session.get("http://h.test/")
    assert "secret" not in str(caught.value)


def test_what_another_librarys_raw_raises_is_left_alone() -> None:
    class Broken(io.BytesIO):
        def stream(self, amt: int, decode_content: bool | None = None) -> Any:
            raise LookupError("mine")
            yield b""

    session = client.Session()
    session.mount("http://", Canned(raw=Broken()))
    with pytest.raises(LookupError, match="mine"):
        session.get("http://h.test/")


def test_roots_are_read_once_for_all_connections(tls_authority: TLSAuthority, tmp_path: Path) -> None:
    """Each call of an adapter brings settings of its own; parsing a bundle takes longer than a handshake."""
    bundle = tmp_path / "roots.pem"
    bundle.write_bytes(tls_authority.bundle.read_bytes())
    adapter = HTTPAdapter()
    with LoopbackServer(tls=tls_authority.server_context()) as server:
        for _ in range(2):
            request = client.Request("GET", server.url, headers={"Connection": "close"}).prepare()
            adapter.send(request, verify=str(bundle)).close()
            bundle.unlink(missing_ok=True)
        adapter.close()
        assert 2 == server.stats.connections


@pytest.mark.parametrize("how", ["super", "PoolManager", "ca_certs"])
def test_a_subclass_has_a_tls_context_of_its_own(tls_authority: TLSAuthority, how: str) -> None:
    class Own(HTTPAdapter):
        def init_poolmanager(
            self, connections: int, maxsize: int, block: bool = False, **kwargs: Any
        ) -> None:
            context = ssl.create_default_context(cafile=str(tls_authority.bundle))
            if how == "super":
                super().init_poolmanager(connections, maxsize, block, ssl_context=context)
                return
            asked = {"maxsize": maxsize, "block": block, "ssl_context": context}
            if how == "ca_certs":  # as dropbox's SDK asks
                asked |= {"ssl_context": None, "cert_reqs": ssl.CERT_REQUIRED}
                asked["ca_certs"] = str(tls_authority.bundle)
            self.poolmanager = type("PoolManager", (), {"connection_pool_kw": asked})()

    with LoopbackServer(tls=tls_authority.server_context()) as server, client.Session() as session:
        session.mount("https://", Own(pool_block=True))
        assert 200 == session.get(server.url).status_code
        assert 200 == session.get(server.url, verify=False).status_code


@pytest.mark.parametrize(
    "asked", [{"ssl_version": 3}, {"cert_reqs": "CERT_NONE"}, {"assert_hostname": False}]
)
def test_what_no_pool_of_ours_can_do_is_refused(asked: dict[str, Any]) -> None:
    class Old(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            self.poolmanager = type("PoolManager", (), {"connection_pool_kw": asked})()

    with pytest.raises(client.InvalidRequest, match=next(iter(asked))):
        Old()
    with pytest.raises(client.InvalidRequest, match="ca_certs"):
        HTTPAdapter().init_poolmanager(1, 1, ssl_context=object(), ca_certs="roots.pem")
    with pytest.raises(client.InvalidRequest, match="port"):
        HTTPAdapter().init_poolmanager(1, 1, source_address=("127.0.0.1", 80))


def test_an_adapter_connects_from_an_address(no_leaks: None) -> None:
    adapter = HTTPAdapter()
    adapter.init_poolmanager(1, 1, source_address=("127.0.0.1", 0), socket_options=[])
    with LoopbackServer() as server, client.Session() as session:
        session.mount("http://", adapter)
        assert 200 == session.get(server.url).status_code


def test_no_proxy_holds_for_a_mounted_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with LoopbackServer() as server, client.Session() as session:
        session.mount("http://", HTTPAdapter())
        assert 200 == session.get(server.url).status_code


def test_a_mounted_adapter_keeps_to_what_only_the_call_knows(no_leaks: None) -> None:
    """The limits, the deadline and the stop switch of a call are not among requests' five arguments."""
    with LoopbackServer() as server, client.Session() as session:
        for adapter in (HTTPAdapter(), Seen()):
            session.mount("http://", adapter)
            with pytest.raises(client.BodyTooLarge):
                session.get(f"{server.url}/bytes/1000", max_body=10)
            with pytest.raises(client.TotalTimeout):
                session.get(f"{server.url}/delay/30", timeout=client.Timeouts(total=0.05))
            future = session.submit("GET", f"{server.url}/delay/30")
            assert future.cancel()
            with pytest.raises(CancelledError):
                future.result()


def test_limits_hold_for_what_a_foreign_adapter_answers() -> None:
    session = client.Session(max_body=3)
    session.mount("http://", Canned())
    with pytest.raises(client.BodyTooLarge):
        session.get("http://h.test/")
    assert session.get("http://h.test/", max_body=None).elapsed.total_seconds() > 0


def test_redirects_of_a_response_that_no_session_has_seen() -> None:
    session = client.Session()
    session.mount("http://h.test/", Canned())
    response = Canned({"Location": "/next"}).send(client.Request("GET", "http://h.test/first").prepare())
    response.status_code = 302

    assert ["http://h.test/next"] == [
        step.url for step in session.resolve_redirects(response, response.request)
    ]
    assert "http://h.test/next" == session.get_redirect_target(response)


@pytest.mark.parametrize("answer", [None, b"text", {"status": 200}])
def test_an_adapter_that_answers_no_response_is_told_so(answer: Any) -> None:
    class Forgetful(BaseAdapter):
        def send(self, *_args: Any, **_kwargs: Any) -> Any:
            return answer

    session = client.Session()
    session.mount("http://", Forgetful())
    with pytest.raises(TypeError, match=r"Forgetful\.send returned (None|a builtins\.)"):
        session.get("http://h.test/")


def test_an_adapter_may_answer_with_something_around_a_response() -> None:
    class Wrapped:
        def __init__(self, inner: client.Response) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    class Wrapping(Canned):
        def send(self, *args: Any, **kwargs: Any) -> Any:
            return Wrapped(super().send(*args, **kwargs))

    session = client.Session()
    session.mount("http://", Wrapping())
    assert isinstance(session.get("http://h.test/"), Wrapped)


@pytest.mark.parametrize("headers", [None, {}, client.structures.CaseInsensitiveDict()])
def test_a_location_written_by_hand_is_followed(headers: Any) -> None:
    """Into the headers that came, or into others in their place: what counts is what `is_redirect` looks at."""
    asked = []

    def answer(request: Any) -> MockResponse:
        asked.append(request.path)
        return MockResponse(302 if request.path == "/first" else 200, headers={"Location": "/theirs"})

    def edit(response: client.Response, **_: Any) -> None:
        if headers is not None:
            response.headers = headers
        if response.status_code == 302:
            response.headers["location"] = "/\u2603"

    session = client.Session(transport=MockTransport(answer))
    session.get("http://h.test/first", hooks={"response": edit})
    first = session.get("http://h.test/first", allow_redirects=False)
    edit(first)
    list(session.resolve_redirects(first, first.request))

    assert ["/first", "/%E2%98%83"] * 2 == asked


def test_a_location_that_a_hook_removes_is_not_followed() -> None:
    def stay(response: client.Response, **_: Any) -> None:
        del response.headers["Location"]

    session = client.Session(transport=MockTransport(lambda _: MockResponse(302, headers={"Location": "/"})))
    assert 302 == session.get("http://h.test/", hooks={"response": stay}).status_code


def test_cookies_of_what_a_hook_puts_in_place_are_kept() -> None:
    session = client.Session(
        transport=MockTransport(lambda request: MockResponse(headers=[("Set-Cookie", "a=1")]))
    )
    other = Canned({"Set-Cookie": "b=2"}).send(client.Request("GET", "http://h.test/").prepare())
    session.get("http://h.test/", hooks={"response": lambda response, **_: other})

    assert {"a": "1", "b": "2"} == session.cookies.get_dict()


def test_hooks_of_a_prepared_request_may_be_edited() -> None:
    called: list[int] = []
    session = client.Session(transport=MockTransport(lambda request: MockResponse(204)))
    prepared = session.prepare_request(client.Request("GET", "http://h.test/"))
    prepared.hooks = {}
    session.send(prepared)
    prepared.hooks = {"response": lambda response, **_: called.append(response.status_code)}  # type: ignore[dict-item]
    session.send(prepared)

    assert [204] == called


def test_a_proxy_of_the_call_holds_for_a_mounted_adapter(scripted_server: ScriptedServer) -> None:
    scripted_server.script(
        Expect(b"GET http://elsewhere.test/"), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    )
    with client.Session() as session:
        session.mount("http://", HTTPAdapter())
        assert "ok" == session.get("http://elsewhere.test/", proxies={"http": scripted_server.url}).text


def test_an_adapter_is_pickled_without_its_connections(no_leaks: None) -> None:
    adapter = Seen(pool_maxsize=3, max_retries=2, pool_block=True)
    with LoopbackServer() as server, client.Session() as session:
        session.mount("http://", adapter)
        session.get(server.url)
        adapter.asked.clear()
        twin = pickle.loads(pickle.dumps(adapter))
        assert (2, 3, True) == (twin.max_retries.total, twin._pool_maxsize, twin._pool_block)
        session.mount("http://", twin)
        session.get(server.url)
        assert 2 == server.stats.connections
        adapter.close()


def test_a_pickled_session_has_its_own_adapters_around_its_own_connections(no_leaks: None) -> None:
    with LoopbackServer() as server, client.Session() as session:
        assert ["https://", "http://"] == list(session.adapters)
        with pickle.loads(pickle.dumps(session)) as twin:
            twin.get(server.url)
            twin.adapters["http://"].max_retries = client.Retry(1)
            twin.get(server.url)
        assert 1 == server.stats.connections
