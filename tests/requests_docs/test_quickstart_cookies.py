"""Quickstart: cookies."""

from __future__ import annotations

import pytest

import client as requests
from client.testing import LoopbackServer


def test_a_cookie_of_the_response(server: LoopbackServer) -> None:
    response = requests.get(f"{server.url}/cookies/set?example=value", allow_redirects=False)

    assert "value" == response.cookies["example"]


def test_cookies_are_sent(server: LoopbackServer) -> None:
    response = requests.get(f"{server.url}/cookies", cookies={"cookies_are": "working"})

    assert {"cookies_are": "working"} == response.json()["cookies"]


def test_a_jar_holds_cookies_of_several_paths(server: LoopbackServer) -> None:
    jar = requests.cookies.RequestsCookieJar()
    jar.set("tasty_cookie", "yum", domain=server.host, path="/cookies")
    jar.set("gross_cookie", "blech", domain=server.host, path="/elsewhere")

    assert {"tasty_cookie": "yum"} == requests.get(f"{server.url}/cookies", cookies=jar).json()["cookies"]


def test_a_jar_is_a_dict_and_more() -> None:
    jar = requests.cookies.cookiejar_from_dict({"a": "1"})
    requests.utils.add_dict_to_cookiejar(jar, {"b": "2"})
    jar["c"] = "3"

    assert {"a": "1", "b": "2", "c": "3"} == requests.utils.dict_from_cookiejar(jar) == dict(jar.items())
    jar.set("a", "x", domain="one.test", path="/p")
    jar.set("a", "y", domain="two.test")
    assert "y" == jar.get("a", domain="two.test")
    assert ["one.test", "two.test"] == sorted(filter(None, jar.list_domains()))
    assert {"a": "x"} == jar.get_dict(domain="one.test", path="/p")
    assert jar.multiple_domains()


def test_one_name_on_two_domains_is_ambiguous() -> None:
    jar = requests.cookies.RequestsCookieJar()
    jar.set("a", "x", domain="one.test")
    jar.set("a", "y", domain="two.test")
    with pytest.raises(requests.cookies.CookieConflictError):
        jar["a"]
