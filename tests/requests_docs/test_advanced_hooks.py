"""Advanced: event hooks, custom authentication; authentication."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import client as requests
from client.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth, HTTPProxyAuth
from client.testing import LoopbackServer

Called = list[str]


def record(called: Called, name: str) -> Any:
    """Return a hook that notes *name* and the keywords it was called with."""

    def hook(response: requests.Response, *args: Any, **kwargs: Any) -> None:
        assert {"stream", "timeout", "verify", "cert", "proxies"} <= set(kwargs)
        called.append(f"{name} {response.status_code}")

    return hook


def test_a_hook_sees_the_response(server: LoopbackServer) -> None:
    called: Called = []
    requests.get(server.url, hooks={"response": record(called, "one")})

    assert ["one 200"] == called


def test_several_hooks_run_in_order_on_every_hop(server: LoopbackServer) -> None:
    called: Called = []
    hooks = {"response": [record(called, "one"), record(called, "two")]}
    requests.get(f"{server.url}/redirect/1", hooks=hooks)

    assert ["one 302", "two 302", "one 200", "two 200"] == called


def test_what_a_hook_returns_takes_the_responses_place(server: LoopbackServer) -> None:
    def replace(response: requests.Response, *args: Any, **kwargs: Any) -> requests.Response:
        other = requests.Response()
        other.status_code, other._content = 299, b"replaced"
        return other

    response = requests.get(server.url, hooks={"response": replace})

    assert (299, b"replaced") == (response.status_code, response.content)


def test_hooks_of_a_session(server: LoopbackServer) -> None:
    called: Called = []
    session = requests.Session()
    session.hooks["response"].append(record(called, "session"))
    session.get(server.url)
    session.hooks = {"response": record(called, "single")}
    session.get(server.url)
    session.hooks = {}
    session.get(server.url)

    assert ["session 200", "single 200"] == called


def test_a_hook_may_raise(server: LoopbackServer) -> None:
    def check(response: requests.Response, *args: Any, **kwargs: Any) -> None:
        response.raise_for_status()

    session = requests.Session()
    session.hooks["response"] = [check]
    with pytest.raises(requests.HTTPError):
        session.get(f"{server.url}/status/404")


def test_hooks_are_registered_and_removed() -> None:
    request = requests.Request("GET", "http://h.test")
    hook = record([], "one")
    request.register_hook("response", hook)

    assert request.deregister_hook("response", hook)
    assert not request.deregister_hook("response", hook)
    with pytest.raises(ValueError, match="event"):
        request.register_hook("pre_request", hook)


@pytest.mark.parametrize("auth", [("user", "pass"), HTTPBasicAuth("user", "pass")])
def test_basic_authentication(server: LoopbackServer, auth: Any) -> None:
    assert 401 == requests.get(f"{server.url}/basic-auth/user/pass").status_code
    assert 200 == requests.get(f"{server.url}/basic-auth/user/pass", auth=auth).status_code
    url = server.url.replace("http://", "http://user:pass@")
    assert 200 == requests.get(f"{url}/basic-auth/user/pass").status_code


def test_netrc_is_used_where_there_is_no_auth(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text(f"machine {server.host} login user password pass")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    url = f"{server.url}/basic-auth/user/pass"

    assert 200 == requests.get(url).status_code
    assert 401 == requests.get(url, auth=("other", "one")).status_code
    session = requests.Session()
    session.trust_env = False
    assert 401 == session.get(url).status_code


def test_any_callable_authenticates(echo: str) -> None:
    class PizzaAuth(AuthBase):
        def __init__(self, username: str) -> None:
            self.username = username

        def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
            r.headers["X-Pizza"] = self.username
            return r

    assert "kenneth" == requests.get(echo, auth=PizzaAuth("kenneth")).json()["headers"]["X-Pizza"]


def test_an_auth_object_may_register_a_hook_that_answers_a_challenge(server: LoopbackServer) -> None:
    """How auth plugins for requests do it: read the answer, send the request once more on its connection."""

    class Answering(AuthBase):
        def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
            r.register_hook("response", self.answer)
            return r

        def answer(self, r: requests.Response, **kwargs: Any) -> requests.Response:
            if r.status_code != 401:
                return r
            r.content  # noqa: B018  # reads it, so that the connection is free
            r.close()
            again = r.request.copy()
            HTTPBasicAuth("user", "pass")(again)
            answered: requests.Response = r.connection.send(again, **kwargs)
            answered.history.append(r)
            answered.request = again
            return answered

    with requests.Session() as session:
        response = session.get(f"{server.url}/basic-auth/user/pass", auth=Answering())

    assert (200, [401]) == (response.status_code, [hop.status_code for hop in response.history])
    assert 1 == server.stats.connections


def test_auth_objects_compare_by_what_they_hold() -> None:
    for kind in (HTTPBasicAuth, HTTPDigestAuth, HTTPProxyAuth):
        assert kind("user", "pass") == kind("user", "pass")
        assert kind("user", "pass") != kind("user", "other")
