"""Advanced: session objects, request and response objects, prepared requests."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

import client as requests
from client.testing import LoopbackServer


def test_cookies_persist_across_requests(server: LoopbackServer) -> None:
    with requests.Session() as session:
        session.get(f"{server.url}/cookies/set?sessioncookie=123456789")
        assert {"sessioncookie": "123456789"} == session.get(f"{server.url}/cookies").json()["cookies"]
        assert "123456789" == session.cookies["sessioncookie"]


def test_a_session_gives_default_data(echo: str) -> None:
    session = requests.Session()
    session.auth = ("user", "pass")
    session.headers.update({"x-test": "true"})
    session.params = {"key": "session"}
    seen = session.get(echo, headers={"x-test2": "true"}, params={"other": "call"}).json()

    assert ("true", "true", "Basic dXNlcjpwYXNz") == tuple(
        seen["headers"][name] for name in ("X-Test", "X-Test2", "Authorization")
    )
    assert {"key": ["session"], "other": ["call"]} == seen["args"]


def test_the_call_overrides_and_none_removes(echo: str) -> None:
    session = requests.Session()
    session.headers.update({"x-test": "session", "x-gone": "session"})
    session.params = {"a": "session", "gone": "session"}
    seen = session.get(
        echo, headers={"X-TEST": "call", "x-gone": None}, params={"a": "call", "gone": None}
    ).json()

    assert "call" == seen["headers"]["X-Test"]
    assert "X-Gone" not in seen["headers"]
    assert {"a": ["call"]} == seen["args"]


def test_what_a_call_brings_does_not_persist(echo: str) -> None:
    session = requests.Session()

    assert {"from-my": "browser"} == session.get(echo, cookies={"from-my": "browser"}).json()["cookies"]
    assert {} == session.get(echo).json()["cookies"]


def test_cookies_can_be_put_into_the_session(echo: str) -> None:
    session = requests.Session()
    session.cookies.set("by", "hand")
    requests.utils.add_dict_to_cookiejar(session.cookies, {"and": "more"})

    assert {"by": "hand", "and": "more"} == session.get(echo).json()["cookies"]
    session.cookies.clear()
    assert {} == session.get(echo).json()["cookies"]


def test_a_session_is_a_context_manager(no_leaks: None, server: LoopbackServer) -> None:
    with requests.Session() as session:
        session.get(server.url)
        session.get(server.url)
    assert 1 == server.stats.connections
    assert 200 == session.get(server.url).status_code  # as in requests, it may be used again
    session.close()


def test_session_is_also_a_function(server: LoopbackServer) -> None:
    with requests.session() as session:
        assert 200 == session.get(server.url).status_code


def test_the_response_shows_what_was_asked(echo: str) -> None:
    response = requests.get(echo, headers={"X-Mine": "1"})
    sent = response.request

    assert isinstance(sent, requests.PreparedRequest)
    assert ("GET", echo, "1", None) == (sent.method, sent.url, sent.headers["x-mine"], sent.body)
    assert {"User-Agent", "Accept-Encoding", "Accept"} <= set(sent.headers)
    assert response.elapsed.total_seconds() > 0


def test_a_prepared_request_is_edited_and_sent(echo: str) -> None:
    session = requests.Session()
    prepared = requests.Request("POST", echo, data={"a": "1"}, headers={"X-A": "1", "X-B": "2"}).prepare()
    prepared.body = "No, I want exactly this as the body."
    prepared.headers["Content-Type"] = "text/plain"
    del prepared.headers["X-A"]
    response = session.send(prepared, stream=False, verify=True, proxies={}, cert=None, timeout=5)
    seen = response.json()

    assert "No, I want exactly this as the body." == seen["data"]
    assert "2" == seen["headers"]["X-B"]
    assert "X-A" not in seen["headers"]


def test_method_and_url_of_a_prepared_request_can_be_edited(echo: str) -> None:
    prepared = requests.Request("GET", echo).prepare()
    prepared.method = "PUT"
    prepared.url = f"{echo}?edited=1"
    seen = requests.Session().send(prepared).json()

    assert ("PUT", {"edited": ["1"]}) == (seen["method"], seen["args"])
    assert "/echo?edited=1" == prepared.path_url


def test_a_request_can_take_the_state_of_a_session(echo: str) -> None:
    session = requests.Session()
    session.headers["X-Session"] = "1"
    session.cookies["state"] = "kept"
    session.auth = ("user", "pass")
    request = requests.Request("GET", echo, params={"a": "1"}, cookies={"own": "2"})
    alone = request.prepare()
    prepared = session.prepare_request(request)

    assert "X-Session" not in alone.headers
    assert {"X-Session", "Cookie", "Authorization"} <= set(prepared.headers)
    seen = session.send(prepared).json()
    assert {"state": "kept", "own": "2"} == seen["cookies"]


def test_environment_settings_are_merged_by_hand(
    echo: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "localhost")
    session = requests.Session()
    settings = session.merge_environment_settings("http://elsewhere.test", {}, None, None, None)

    assert {"proxies", "stream", "verify", "cert"} == set(settings)
    assert str(tmp_path) == settings["verify"]
    session = requests.Session()
    settings = session.merge_environment_settings(echo, None, None, None, None)
    prepared = session.prepare_request(requests.Request("GET", echo))
    assert 200 == session.send(prepared, **settings).status_code


def test_only_prepared_requests_are_sent() -> None:
    with pytest.raises(ValueError, match="PreparedRequest"):
        requests.Session().send(requests.Request("GET", "http://h.test"))  # type: ignore[arg-type]  # the mistake


def test_redirects_are_followed_step_by_step(server: LoopbackServer) -> None:
    session = requests.Session()
    first = session.get(f"{server.url}/redirect/3", allow_redirects=False)
    steps = list(session.resolve_redirects(first, first.request))

    assert [302, 302, 200] == [step.status_code for step in steps]
    assert [first, *steps[:2]] == steps[-1].history
    assert f"{server.url}/redirect/2" == session.get_redirect_target(first)
    assert [f"{server.url}/redirect/2"] == [
        step.url for step in session.resolve_redirects(first, first.request, yield_requests=True)
    ]


def test_the_next_request_of_a_redirect_can_be_sent(server: LoopbackServer) -> None:
    session = requests.Session()
    response = session.get(f"{server.url}/redirect/2", allow_redirects=False)
    while response.next is not None:
        response = session.send(response.next, allow_redirects=False)

    assert (200, f"{server.url}/echo") == (response.status_code, response.url)


def test_max_redirects_can_be_set(server: LoopbackServer) -> None:
    session = requests.Session()
    session.max_redirects = 1
    with pytest.raises(requests.TooManyRedirects):
        session.get(f"{server.url}/redirect/2")
    first = session.get(f"{server.url}/redirect/2", allow_redirects=False)
    with pytest.raises(requests.TooManyRedirects):
        list(session.resolve_redirects(first, first.request))


def test_stream_can_be_the_default(server: LoopbackServer) -> None:
    session = requests.Session()
    session.stream = True
    with session.get(f"{server.url}/bytes/1000") as response:
        assert response.raw is not None
        assert 1000 == len(b"".join(response.iter_content(100)))


def test_a_session_is_pickled_with_its_settings(server: LoopbackServer) -> None:
    session = requests.Session()
    session.headers["X-Kept"] = "1"
    session.cookies.set("kept", "2", domain=server.host)
    session.auth = ("user", "pass")
    session.verify = False
    session.max_redirects = 3
    session.mount("http://other.test", requests.adapters.HTTPAdapter(max_retries=2))
    session.get(server.url)
    twin = pickle.loads(pickle.dumps(session))
    seen = twin.get(server.url).json()["headers"]

    assert ("1", "kept=2") == (seen["x-kept"], seen["cookie"])
    assert (("user", "pass"), False, 3) == (twin.auth, twin.verify, twin.max_redirects)
    assert 2 == twin.get_adapter("http://other.test/").max_retries.total
    assert 2 == server.stats.connections


def test_a_response_is_pickled_with_its_body(server: LoopbackServer) -> None:
    response = requests.get(f"{server.url}/redirect/1", stream=True)
    twin = pickle.loads(pickle.dumps(response))

    assert (200, "GET", [302]) == (
        twin.status_code,
        json.loads(twin.text)["method"],
        [hop.status_code for hop in twin.history],
    )
    assert response.headers == twin.headers
    assert response.request.url == twin.request.url
