"""What a session is told, what a call is told, and who wins."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import client
from client.testing import LoopbackServer, MockRequest, MockResponse, MockTransport


def mocked(
    kind: type[client.Session] = client.Session, **settings: Any
) -> tuple[client.Session, MockTransport]:
    transport = MockTransport(lambda request: MockResponse(json=dict(request.headers)))
    return kind(transport=transport, **settings), transport


def last(transport: MockTransport) -> MockRequest:
    return transport.requests[-1]


@pytest.mark.parametrize("headers", [{"X-A": "1"}, MappingProxyType({"X-A": "1"}), None])
def test_headers_may_be_any_mapping(headers: Any) -> None:
    session, transport = mocked()
    session.headers = headers
    session.get("http://h.test/")

    assert ("1" if headers else None) == last(transport).headers.get("X-A")
    assert "User-Agent" not in last(transport).headers


def test_a_mapping_of_headers_that_changes_is_read_anew() -> None:
    session, transport = mocked()
    headers = {"X-A": "1"}
    session.headers = headers  # type: ignore[assignment]  # requests takes any mapping
    session.get("http://h.test/")
    headers["X-A"] = "2"
    session.get("http://h.test/")

    assert ["1", "2"] == [request.headers["X-A"] for request in transport.requests]


def test_settings_change_for_the_calls_that_begin_later() -> None:
    session, transport = mocked()
    session.get("http://h.test/")
    session.headers["X-A"] = "1"
    session.params = [("q", "1")]
    session.auth = ("u", "p")
    session.get("http://h.test/")

    assert ("q=1", "1", "Basic dTpw") == (
        last(transport).query, last(transport).headers["X-A"], last(transport).headers["Authorization"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("params", "query"),
    [({"a": 9, "c": 3}, "a=9&b=2&c=3"), ({"a": None}, "b=2"), ([("a", 7), ("a", 8)], "b=2&a=7&a=8")],
)
def test_a_parameter_of_the_call_beats_that_of_the_session(params: Any, query: str) -> None:
    session, transport = mocked(params={"a": 1, "b": 2})
    session.get("http://h.test/", params=params)
    assert query == last(transport).query


def test_a_header_of_the_call_beats_that_of_the_session_be_they_str_or_bytes() -> None:
    session, transport = mocked()
    session.headers[b"X-A"] = b"1"  # type: ignore[index]  # requests takes names in bytes
    session.get("http://h.test/", headers={"x-a": "2"})
    session.get("http://h.test/")
    assert ["2", "1"] == [request.headers["X-A"] for request in transport.requests]


def test_params_of_a_str_replace_those_of_the_session() -> None:
    session, transport = mocked(params={"a": "1"})
    session.get("http://h.test/", params="b=2")
    assert "b=2" == last(transport).query


def test_hooks_of_the_call_replace_those_of_the_session() -> None:
    called: list[str] = []
    session, _ = mocked()
    session.hooks["response"].append(lambda response, **_: called.append("session"))
    session.get("http://h.test/", hooks={"response": lambda response, **_: called.append("call")})
    session.get("http://h.test/", hooks={"response": []})

    assert ["call", "session"] == called


@pytest.mark.parametrize("proxies", [None, {}])
def test_no_proxies_is_no_proxies(proxies: Any) -> None:
    session, _ = mocked()
    session.proxies = proxies
    assert 200 == session.get("http://h.test/").status_code


def test_a_call_that_says_verify_beats_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    session = client.Session()

    assert str(tmp_path) == session.merge_environment_settings("https://h.test/")["verify"]
    assert session.merge_environment_settings("https://h.test/", verify=True)["verify"] is True
    session.verify = False
    assert session.merge_environment_settings("https://h.test/")["verify"] is False


def test_a_pinned_certificate_is_among_the_merged_settings() -> None:
    """requests' documentation shows how they go to `send`, which must not do with less."""
    pinned, other = client.TLSSettings(fingerprint=b"p" * 32), client.TLSSettings(fingerprint=b"o" * 32)
    session = client.Session(verify=pinned)

    assert pinned is session.merge_environment_settings("https://h.test/", {}, None, None, None)["verify"]
    assert other is session.merge_environment_settings("https://h.test/", verify=other)["verify"]


def test_merged_proxies_are_those_for_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("no_proxy", "inside.test")
    session = client.Session()

    assert {"http": "http://proxy.test:3128"} == session.merge_environment_settings("http://h.test/", {})[
        "proxies"
    ]
    assert {} == session.merge_environment_settings("http://inside.test/", {})["proxies"]


class Logged(client.Session):
    """Overrides `send`, as programs written for requests do."""

    def send(self, request: client.PreparedRequest, **kwargs: Any) -> client.Response:
        self.__dict__.setdefault("log", []).append((request.method, sorted(kwargs)))
        return super().send(request, **kwargs)


def test_an_overridden_send_gets_every_call() -> None:
    session, _ = mocked(Logged)
    session.get("http://h.test/")
    session.post("http://h.test/", data=b"x", timeout=3)
    with session:
        session.submit("PUT", "http://h.test/").result()

    usual = ["allow_redirects", "cert", "proxies", "stream", "verify"]
    assert [("GET", usual), ("POST", sorted([*usual, "timeout"])), ("PUT", sorted([*usual, "_cancel"]))] == (
        session.__dict__["log"]
    )


def test_an_overridden_send_sees_the_merged_settings() -> None:
    seen: dict[str, Any] = {}

    class Sees(client.Session):
        def send(self, request: client.PreparedRequest, **arguments: Any) -> client.Response:
            seen.update(arguments)
            return super().send(request, **arguments)

    session = Sees(transport=MockTransport(lambda request: MockResponse(200)))
    session.cert = "cert.pem"
    session.get("http://h.test/")
    merged = {"allow_redirects": True, "stream": False, "verify": True, "cert": "cert.pem", "proxies": None}
    assert merged == seen


def test_an_overridden_send_keeps_the_settings_of_the_call() -> None:
    session = Logged(transport=MockTransport(lambda request: MockResponse(body=b"x" * 100)), offload=True)
    with session:
        with pytest.raises(client.BodyTooLarge):
            session.get("http://h.test/", max_body=10)
        with pytest.raises(client.BodyTooLarge):
            session.submit("GET", "http://h.test/", max_body=10).result()


def test_a_subclass_may_have_a_base_url_of_its_own() -> None:
    """requests has none, so programs made one: before or after the constructor, or as a class attribute."""

    class Before(client.Session):
        def __init__(self, **settings: Any) -> None:
            self.base_url = "http://h.test/api/"
            super().__init__(**settings)

    class After(client.Session):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.base_url = "http://h.test/api/"

    class Attribute(client.Session):
        base_url = "http://h.test/api/"

    for kind in (Before, After, Attribute):
        session, transport = mocked(kind)
        session.get("users")
        session.get("http://h.test/api/users")
        assert ["/api/users"] * 2 == [request.path for request in transport.requests]
        assert "http://h.test/api/" == session.base_url


def test_a_session_pickles_its_settings(tmp_path: Path) -> None:
    session = client.Session(
        base_url="http://h.test/api",
        headers={"X-A": "1"},
        params={"q": "1"},
        auth=client.auth.HTTPBearerAuth("t"),
        timeout=(1, 2),
        retries=client.Retry(2),
        verify=str(tmp_path),
        proxies={"http": "http://p.test"},
        max_redirects=3,
        redirect_headers=["X-A"],
        limits=client.PoolLimits(total=99),
        workers=2,
        max_body=5,
        uds="/tmp/socket",
    )
    twin = pickle.loads(pickle.dumps(session))

    for name in (
        "base_url headers params auth timeout retries verify proxies max_redirects redirect_headers max_body hooks "
        "stream trust_env cert offload"
    ).split():
        assert getattr(session, name) == getattr(twin, name), name
    assert (99, "/tmp/socket") == (twin._transport.limits.total, twin._transport.uds)


def test_a_pickled_session_works_at_once() -> None:
    with LoopbackServer() as server, client.Session(base_url=server.url) as session:
        session.submit("GET", "/").result()
        with pickle.loads(pickle.dumps(session)) as twin:
            assert 200 == twin.get("/").status_code
            assert 200 == twin.submit("GET", "/").result().status_code


def test_requests_list_of_pickled_attributes_can_be_extended() -> None:
    assert {"headers", "cookies", "adapters"} <= set(client.Session.__attrs__)
    assert set(client.Session.__attrs__) <= set(dir(client.Session()))
    assert set(client.adapters.HTTPAdapter.__attrs__) <= set(dir(client.adapters.HTTPAdapter()))


def test_a_setting_that_changes_while_a_call_begins_holds_for_the_next() -> None:
    """Options are kept until a setting changes; those that another thread was working out must not stay."""
    session, _ = mocked()

    class Meddling(int):
        """Asked after the timeouts were read."""

        def __bool__(self) -> bool:
            session.timeout = 1
            return False

    session.retries = Meddling()
    session.get("http://h.test/")

    assert 1 == session._options_for().timeouts.read


def test_an_overridden_prepare_request_gets_every_call() -> None:
    """requests' way to a base URL, or to fields of one's own."""

    class Signed(client.Session):
        def prepare_request(self, request: client.Request) -> client.PreparedRequest:
            prepared = super().prepare_request(request)
            prepared.headers["X-Signed"] = f"{prepared.method} {prepared.body!r}"
            return prepared

    session, transport = mocked(Signed)
    again = copy.deepcopy(Signed())
    again._transport = transport
    for each in (session, again):
        each.get("http://h.test/")
        assert "GET None" == last(transport).headers["X-Signed"]
        each.post("http://h.test/", data={"a": "b"}, headers={"X-A": "1"})
        assert ("POST 'a=b'", "1") == tuple(last(transport).headers[name] for name in ("X-Signed", "X-A"))


def test_an_overridden_prepare_request_must_return_one() -> None:
    class Forgets(client.Session):
        def prepare_request(self, request: client.Request) -> Any:
            super().prepare_request(request)

    with pytest.raises(client.InvalidRequest, match="prepare_request must not return a NoneType"):
        Forgets().get("http://h.test/")


def test_an_overridden_merging_of_settings_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """How verification is switched off for somebody else's code, in many an answer on the web; also for one session."""
    ours = client.Session.merge_environment_settings
    seen: list[Any] = []

    class Adapter(client.adapters.HTTPAdapter):
        def send(self, request: client.PreparedRequest, **settings: Any) -> client.Response:  # type: ignore[override]
            seen.append(settings["verify"])
            return super().send(request, **settings)

    def unverified(self: client.Session, *arguments: Any) -> dict[str, Any]:
        return ours(self, *arguments) | {"verify": False}

    monkeypatch.setattr(client.Session, "merge_environment_settings", unverified)
    patched = client.Session()
    monkeypatch.undo()
    single = client.Session()
    single.merge_environment_settings = lambda *arguments: unverified(single, *arguments)  # type: ignore[method-assign]
    with LoopbackServer() as server, patched, single:
        monkeypatch.setattr(client.Session, "merge_environment_settings", unverified)
        for session in (patched, single):
            session.mount("http://", Adapter())
            session.get(server.url)
            session.get(server.url, params={"a": "b"})
    assert [False] * 4 == seen


def test_a_value_of_the_class_hides_no_setting() -> None:
    """requests' constructor sets them all, so a subclass may have values of these names."""

    mixed = type("Mixed", (), {"cookies": None})
    plain: Any = type("Own", (mixed, client.Session), {"verify": False, "adapters": None})
    with_property: Any = type(
        "OwnProperty", (client.Session,), {"cookies": property(lambda _: 5, lambda *_: None)}
    )

    session = plain()
    assert session.verify is True
    session.verify = "/roots.pem"
    session.cookies = {"name": "value"}
    assert "/roots.pem" == session.verify == session.merge_environment_settings("https://h.test/")["verify"]
    assert "value" == session.cookies["name"]
    assert ["https://", "http://"] == list(session.adapters)
    assert 5 == with_property().cookies
