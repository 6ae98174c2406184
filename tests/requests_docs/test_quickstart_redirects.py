"""Quickstart: redirection and history, timeouts, errors and exceptions."""

from __future__ import annotations

import pytest

import client as requests
from client.testing import LoopbackServer


def test_redirects_are_followed_and_remembered(server: LoopbackServer) -> None:
    response = requests.get(f"{server.url}/redirect/2")

    assert (200, f"{server.url}/echo") == (response.status_code, response.url)
    assert [302, 302] == [hop.status_code for hop in response.history]
    assert "<Response [302]>" == repr(response.history[0])


@pytest.mark.parametrize("method", ["get", "options", "post", "put", "patch", "delete"])
def test_following_can_be_turned_off(server: LoopbackServer, method: str) -> None:
    response = getattr(requests, method)(f"{server.url}/redirect/1", allow_redirects=False)

    assert (302, []) == (response.status_code, response.history)
    assert response.is_redirect
    assert not response.is_permanent_redirect
    assert f"{server.url}/echo" == response.next.url


def test_head_follows_only_when_asked(server: LoopbackServer) -> None:
    assert 302 == requests.head(f"{server.url}/redirect/1").status_code
    response = requests.head(f"{server.url}/redirect/1", allow_redirects=True)

    assert (200, [302]) == (response.status_code, [hop.status_code for hop in response.history])


def test_permanent_redirects_say_so(server: LoopbackServer) -> None:
    assert requests.get(f"{server.url}/redirect/1?status=308", allow_redirects=False).is_permanent_redirect


@pytest.mark.parametrize(
    ("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
)
def test_what_becomes_of_a_post(server: LoopbackServer, status: int, method: str) -> None:
    seen = requests.post(f"{server.url}/redirect/1?status={status}", data=b"body").json()

    assert (method, 4 if method == "POST" else 0) == (seen["method"], seen["length"])


def test_a_timeout_is_an_exception(server: LoopbackServer) -> None:
    for timeout in (0.05, (3.05, 0.05)):
        with pytest.raises(requests.exceptions.Timeout) as caught:
            requests.get(f"{server.url}/delay/5", timeout=timeout)
        assert isinstance(caught.value, requests.exceptions.ReadTimeout)
        assert not isinstance(caught.value, requests.exceptions.ConnectionError)
    assert 200 == requests.get(server.url, timeout=None).status_code


def test_the_tree_of_exceptions() -> None:
    tree = requests.exceptions

    assert issubclass(tree.RequestException, OSError)
    for name in ("ConnectionError", "HTTPError", "Timeout", "TooManyRedirects", "URLRequired", "InvalidURL"):
        assert issubclass(getattr(tree, name), tree.RequestException)
    assert issubclass(tree.ConnectTimeout, tree.ConnectionError)
    assert issubclass(tree.ConnectTimeout, tree.Timeout)
    assert issubclass(tree.ProxyError, tree.ConnectionError)
    assert issubclass(tree.SSLError, tree.ConnectionError)
    assert requests.ConnectionError is tree.ConnectionError


def test_a_refused_connection_and_an_unknown_name(server: LoopbackServer) -> None:
    with requests.Session(resolver=lambda host, port: []) as session, pytest.raises(requests.ConnectionError):
        session.get("http://unknown.test/")
    url = server.url
    server.close()
    with pytest.raises(requests.ConnectionError):
        requests.get(url)


def test_too_many_redirects(server: LoopbackServer) -> None:
    with pytest.raises(requests.TooManyRedirects) as caught:
        requests.get(f"{server.url}/redirect/31")

    assert caught.value.response is not None
    assert 30 == len(caught.value.response.history)
