"""The jar as callers see it, requests' interface: `client.cookies`.

The ids in brackets are those of the CVEs whose cause a test keeps out.
"""

from __future__ import annotations

import copy
import http.cookiejar
import pickle
import time
from collections.abc import MutableMapping
from http.cookies import SimpleCookie
from typing import Any

import pytest

from client.cookies import (
    Cookie,
    CookieConflictError,
    RequestsCookieJar,
    add_dict_to_cookiejar,
    cookiejar_from_dict,
    create_cookie,
    dict_from_cookiejar,
    merge_cookies,
    remove_cookie_by_name,
)
from client.exceptions import InvalidHeader
from client.url import parse_url

NOW = 1_000_000


def jar_with(url: str, *values: bytes, now: int = NOW) -> RequestsCookieJar:
    jar = RequestsCookieJar()
    jar.store(parse_url(url), values, now)
    return jar


def sent(jar: RequestsCookieJar, url: str, now: int = NOW, **how: Any) -> bytes | None:
    return jar.header_for(parse_url(url), now, **how)


# -- nothing gets in that cannot be sent --------------------------------------------------------------------


@pytest.mark.parametrize(
    "smuggle",
    [
        lambda jar, text: jar.set("a", text),
        lambda jar, text: jar.set(text, "b"),
        lambda jar, text: jar.set("a", "b", path=f"/{text}"),
        lambda jar, text: jar.set("a", "b", domain=text),
        lambda jar, text: jar.__setitem__("a", text),
        lambda jar, text: jar.update({"a": text}),
        lambda jar, text: jar.update([("a", text)]),
        lambda jar, text: jar.update(a=text),
        lambda jar, text: jar.setdefault("a", text),
        lambda jar, text: jar.set_cookie(LooksLikeACookie("a", text)),
        lambda jar, text: jar.update([LooksLikeACookie("a", text)]),
        lambda jar, text: cookiejar_from_dict({"a": text}),
        lambda jar, text: merge_cookies(jar, {"a": text}),
        lambda jar, text: jar.__setstate__({"cookies": [LooksLikeACookie("a", text)]}),
    ],
)
@pytest.mark.parametrize("text", ["b\r\nX: y", "b\nc", "b\0c", "b\tc", "b\x7fc", "b; c=d"])
def test_nothing_that_is_two_things_on_the_wire_gets_in(smuggle: Any, text: str) -> None:
    """[CVE-2026-3644]: `update` and unpickling went round the check of `set`."""
    jar = RequestsCookieJar()

    with pytest.raises(InvalidHeader):
        smuggle(jar, text)
    assert 0 == len(jar)


class LooksLikeACookie:
    def __init__(self, name: str, value: str | None, **attributes: Any) -> None:
        self.name = name
        self.value = value
        self.__dict__.update(attributes)


# -- requests' interface ----------------------------------------------------------------------------------


@pytest.fixture
def jar() -> RequestsCookieJar:
    jar = RequestsCookieJar()
    jar.set("tasty", "yum", domain="httpbin.org", path="/cookies")
    jar.set("gross", "blech", domain="httpbin.org", path="/elsewhere")
    jar.set("plain", "1")
    return jar


def test_it_reads_like_a_dict(jar: RequestsCookieJar) -> None:
    assert "yum" == jar["tasty"] == jar.get("tasty")
    assert ["tasty", "gross", "plain"] == jar.keys() == list(jar.iterkeys())
    assert ["yum", "blech", "1"] == jar.values() == list(jar.itervalues())
    assert [("tasty", "yum"), ("gross", "blech"), ("plain", "1")] == jar.items() == list(jar.iteritems())
    assert {"tasty": "yum", "gross": "blech", "plain": "1"} == dict(jar) == jar.get_dict()
    assert isinstance(jar, MutableMapping)
    assert "tasty" in jar
    assert "absent" not in jar
    assert 3 == len(jar)


def test_what_is_absent_is_a_key_error_or_the_default(jar: RequestsCookieJar) -> None:
    with pytest.raises(KeyError, match="absent"):
        jar["absent"]
    assert jar.get("absent") is None
    assert "x" == jar.get("absent", "x")
    assert "x" == jar.get("absent", default="x", domain="httpbin.org", path="/")


def test_domain_and_path_narrow_a_question(jar: RequestsCookieJar) -> None:
    assert "yum" == jar.get("tasty", domain="httpbin.org", path="/cookies")
    assert "yum" == jar.get("tasty", domain=".HTTPbin.org")
    assert jar.get("tasty", path="/elsewhere") is None
    assert {"gross": "blech"} == jar.get_dict(domain="httpbin.org", path="/elsewhere")
    assert {"plain": "1"} == jar.get_dict(domain="")
    assert ["httpbin.org", ""] == jar.list_domains()
    assert ["/cookies", "/elsewhere", "/"] == jar.list_paths()


def test_iterating_yields_cookies(jar: RequestsCookieJar) -> None:
    assert [Cookie, Cookie, Cookie] == [type(cookie) for cookie in jar]


def test_two_cookies_of_one_name_conflict(jar: RequestsCookieJar) -> None:
    jar.set("tasty", "umami", domain="elsewhere.org")

    for ask in (lambda: jar["tasty"], lambda: jar.get("tasty"), lambda: jar.pop("tasty")):
        with pytest.raises(CookieConflictError, match="2 cookies are named 'tasty'"):
            ask()
    assert "tasty" in jar
    assert "umami" == jar.get("tasty", domain="elsewhere.org")


def test_several_domains_are_noticed(jar: RequestsCookieJar) -> None:
    assert not jar.multiple_domains()

    jar.set("other", "1", domain="elsewhere.org")
    assert jar.multiple_domains()


def test_it_is_written_like_a_dict(jar: RequestsCookieJar) -> None:
    jar["plain"] = "2"
    assert "2" == jar["plain"]
    assert "2" == jar.setdefault("plain", "3")
    assert "4" == jar.setdefault("new", "4")
    assert "4" == jar.pop("new")
    assert "gone" == jar.pop("new", "gone")
    with pytest.raises(KeyError):
        jar.pop("new")
    del jar["plain"]
    del jar["plain"]  # requests: no error
    assert ["tasty", "gross"] == jar.keys()


def test_none_removes(jar: RequestsCookieJar) -> None:
    assert jar.set("tasty", None, domain="elsewhere.org") is None
    assert "tasty" in jar

    jar["tasty"] = None
    assert "tasty" not in jar


def test_clear_has_four_scopes(jar: RequestsCookieJar) -> None:
    with pytest.raises(ValueError, match="give a domain too"):
        jar.clear(path="/cookies")
    with pytest.raises(ValueError, match="give both"):
        jar.clear("httpbin.org", name="tasty")
    with pytest.raises(KeyError):
        jar.clear("httpbin.org", "/cookies", "absent")

    jar.clear("httpbin.org", "/cookies", "tasty")
    assert ["gross", "plain"] == jar.keys()
    jar.clear(".httpbin.org")
    assert ["plain"] == jar.keys()
    jar.clear()
    assert not jar


def test_session_and_expired_cookies_can_be_cleared() -> None:
    jar = jar_with("http://a.test/", b"session=1", b"short=1; Max-Age=5", b"long=1; Max-Age=500")
    sent(jar, "http://a.test/", NOW + 10)

    jar.clear_expired_cookies()
    assert ["session", "long"] == jar.keys()
    jar.clear_session_cookies()
    assert ["long"] == jar.keys()


def test_a_copy_stands_alone(jar: RequestsCookieJar) -> None:
    for twin in (jar.copy(), copy.copy(jar), copy.deepcopy(jar), pickle.loads(pickle.dumps(jar))):
        assert jar == twin
        assert list(jar) == list(twin)
        twin["more"] = "1"
        assert "more" not in jar
        assert jar != twin
        assert RequestsCookieJar is type(twin)


def test_a_subclass_can_refuse_what_servers_set() -> None:
    class OnlyMine(RequestsCookieJar):
        def store(self, url: Any, values: Any, now: float) -> None:
            pass

    jar = OnlyMine()
    jar["mine"] = "1"
    jar.store(parse_url("http://a.test/"), [b"theirs=1"], NOW)

    assert b"mine=1" == sent(jar, "http://a.test/")
    assert OnlyMine is type(jar.copy()) is type(copy.copy(jar))


def test_a_jar_equals_a_dict_of_its_values_and_has_no_hash(jar: RequestsCookieJar) -> None:
    assert jar == jar.copy()
    assert jar != 5
    with pytest.raises(TypeError):
        hash(jar)


def test_reprs_show_no_value(jar: RequestsCookieJar) -> None:
    assert "yum" not in repr(jar)
    assert "tasty for httpbin.org/cookies" in repr(jar)


@pytest.mark.parametrize(
    "other",
    [
        {"a": "1", "b": "2"},
        [("a", "1"), ("b", "2")],
        iter([("a", "1"), ("b", "2")]),
        [create_cookie("a", "1"), LooksLikeACookie("b", "2")],
        cookiejar_from_dict({"a": "1", "b": "2"}),
        {"a": "1", "b": "2", "c": None},
    ],
)
def test_update_takes_whatever_holds_cookies(other: Any) -> None:
    jar = RequestsCookieJar()
    jar.update(other)

    assert {"a": "1", "b": "2"} == jar.get_dict()


@pytest.mark.parametrize("other", [5, "a=b", [5], [("a",)], {"a": 5}, [b"a"], {5: "a"}])
def test_update_refuses_what_holds_none(other: Any) -> None:
    with pytest.raises(TypeError):
        RequestsCookieJar().update(other)


def test_the_standard_librarys_jar_is_taken_over_with_all_it_knows() -> None:
    theirs = http.cookiejar.CookieJar()
    theirs.set_cookie(
        stdlib_cookie("host", "1", "a.test", secure=True, expires=NOW + 9, rest={"HttpOnly": None})
    )
    theirs.set_cookie(stdlib_cookie("domain", "2", ".a.test", path="/x"))
    theirs.set_cookie(stdlib_cookie("valueless", None, "a.test"))
    jar = RequestsCookieJar()
    jar.update(theirs)

    assert b"host=1" == sent(jar, "https://a.test/").replace(b"; valueless", b"")  # type: ignore[union-attr]  # not None
    assert b"domain=2" == sent(jar, "https://sub.a.test/x")
    host = next(cookie for cookie in jar if cookie.name == "host")
    assert (True, True, NOW + 9, True) == (host.host_only, host.secure, host.expires, host.http_only)


def test_our_cookies_work_in_the_standard_librarys_jar() -> None:
    """What code written for `http.cookiejar` reads of a cookie is there."""
    import urllib.request

    theirs = cookiejar_from_dict({"a": "1"}, http.cookiejar.CookieJar())
    theirs.set_cookie(create_cookie("b", "2", domain="a.test"))
    request = urllib.request.Request("http://a.test/")
    theirs.add_cookie_header(request)

    assert {"a=1", "b=2"} == set(request.unredirected_hdrs["Cookie"].split("; "))
    assert {"a": "1", "b": "2"} == dict_from_cookiejar(theirs)


def stdlib_cookie(name: str, value: str | None, domain: str, **how: Any) -> http.cookiejar.Cookie:
    is_wide = domain.startswith(".")
    return http.cookiejar.Cookie(
        0,
        name,
        value,
        None,
        False,
        domain,
        is_wide,
        is_wide,
        how.get("path", "/"),
        True,
        how.get("secure", False),
        how.get("expires"),
        "expires" not in how,
        None,
        None,
        how.get("rest", {}),
    )


# -- requests' functions ----------------------------------------------------------------------------------


def test_a_jar_from_a_dict() -> None:
    jar = RequestsCookieJar()
    jar["a"] = "old"

    assert {"a": "1"} == cookiejar_from_dict({"a": "1"}).get_dict()
    assert jar is cookiejar_from_dict({"a": "new", "b": "new"}, jar, overwrite=False)
    assert {"a": "old", "b": "new"} == jar.get_dict()
    assert jar is cookiejar_from_dict({"a": "new"}, cookiejar=jar)
    assert {"a": "new", "b": "new"} == jar.get_dict()
    assert {} == cookiejar_from_dict(None).get_dict()


def test_merging_a_dict_keeps_what_is_there_and_merging_a_jar_does_not() -> None:
    jar = cookiejar_from_dict({"a": "old"})

    assert jar is merge_cookies(jar, {"a": "new", "b": "new"})
    assert {"a": "old", "b": "new"} == jar.get_dict()
    assert {"a": "new", "b": "new"} == merge_cookies(jar, cookiejar_from_dict({"a": "new"})).get_dict()
    with pytest.raises(ValueError, match="merge into CookieJar"):
        merge_cookies({}, {"a": "1"})


def test_dicts_go_in_and_out() -> None:
    jar = add_dict_to_cookiejar(RequestsCookieJar(), {"a": "1"})

    assert {"a": "1"} == dict_from_cookiejar(jar)


def test_removing_by_name_counts() -> None:
    jar = RequestsCookieJar()
    for domain in ("a.test", "b.test"):
        jar.set("c", "1", domain=domain)

    assert 1 == remove_cookie_by_name(jar, "c", domain=".a.test")
    assert 0 == remove_cookie_by_name(jar, "c", path="/x")
    assert 1 == remove_cookie_by_name(jar, "c")


def test_create_cookie_knows_its_attributes() -> None:
    cookie = create_cookie(
        "a", "b", version=0, discard=False, rest={"HttpOnly": None, "SameSite": "Lax"}, expires=5, secure=True
    )

    assert (True, "Lax", 5, True) == (cookie.http_only, cookie.same_site, cookie.expires, cookie.secure)
    with pytest.raises(TypeError, match=r"unexpected attributes: \['flavour'\]"):
        create_cookie("a", "b", flavour="sweet")
    with pytest.raises(TypeError, match="port"):
        create_cookie("a", "b", port="80")


@pytest.mark.parametrize(
    ("attribute", "value", "expected"),
    [
        ("domain", 5, "cookie domain: expected str, got int"),
        ("domain", b"a.test", "cookie domain: expected str, got bytes"),
        ("path", 5, "cookie path: expected str, got int"),
        ("expires", "soon", "cookie expires: expected seconds since 1970, got 'soon'"),
        ("expires", float("nan"), "cookie expires: expected seconds since 1970, got nan"),
        ("rest", "HttpOnly", "cookie rest: expected a mapping, got str"),
    ],
)
def test_an_attribute_of_another_type_is_a_type_error(attribute: str, value: Any, expected: str) -> None:
    with pytest.raises(TypeError, match=expected):
        create_cookie("a", "b", **{attribute: value})


def test_what_is_looked_for_may_be_anywhere_and_its_domain_is_a_str() -> None:
    jar = RequestsCookieJar()
    jar.set("a", "b", domain="a.test")

    ask: Any
    assert jar.get("a", path=[]) is None  # type: ignore[arg-type]  # equal to no path
    for ask in (jar.get_dict, jar.clear):
        with pytest.raises(TypeError, match="cookie domain: expected str, got int"):
            ask(5)


def test_names_without_values_are_no_cookies() -> None:
    with pytest.raises(TypeError, match=r"expected a cookie or a \(name, value\) pair, got str"):
        RequestsCookieJar().update(["a"])


def test_a_morsel_brings_its_name_and_attributes() -> None:
    """requests' `set` takes one from the standard library's `http.cookies`."""
    made = SimpleCookie("id=7; Path=/shop; Domain=shop.test; Secure; HttpOnly; SameSite=Lax")
    made.load("old=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT")
    jar = RequestsCookieJar()
    jar.set("ignored", made["id"])

    (cookie,) = jar
    assert ("id", "7", "shop.test", "/shop") == (cookie.name, cookie.value, cookie.domain, cookie.path)
    assert (True, True, "Lax", None) == (cookie.secure, cookie.http_only, cookie.same_site, cookie.expires)
    jar["old"] = made["old"]
    assert 1445412480 in {cookie.expires for cookie in jar}
    made["id"]["max-age"] = "60"
    jar["id"] = made["id"]
    assert b"id=7" == sent(jar, "https://shop.test/shop", now=int(time.time()))
    assert None is sent(jar, "https://shop.test/shop", now=int(time.time()) + 61)
