"""What a jar keeps of what servers set, and what it sends: `client.cookie_store`.

The ids in brackets are those of the CVEs whose cause a test keeps out.
"""

from __future__ import annotations

import os
import threading
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import client
from client import cookie_store
from client.cookies import RequestsCookieJar, cookiejar_from_dict
from client.url import parse_url

NOW = 1_000_000


def jar_with(url: str, *values: bytes, now: int = NOW) -> RequestsCookieJar:
    jar = RequestsCookieJar()
    jar.store(parse_url(url), values, now)
    return jar


def sent(jar: RequestsCookieJar, url: str, now: int = NOW, **how: Any) -> bytes | None:
    return jar.header_for(parse_url(url), now, **how)


# -- from a response to the next request ----------------------------------------------------------------------


def test_an_empty_jar_sends_nothing() -> None:
    assert sent(RequestsCookieJar(), "http://a.test/") is None
    assert not RequestsCookieJar()


@pytest.mark.parametrize(
    ("set_by", "value", "asked", "header"),
    [
        ("http://a.test/", b"c=1", "http://a.test/x", b"c=1"),
        ("http://a.test/", b"c=1", "http://A.TEST:8080/x", b"c=1"),  # cookies know no ports
        ("http://a.test/", b"c=1", "https://a.test/x", b"c=1"),
        ("http://a.test/", b"c=1", "http://b.test/", None),  # [CVE-2015-2296]
        ("http://a.test/", b"c=1", "http://sub.a.test/", None),
        ("http://sub.a.test/", b"c=1; Domain=a.test", "http://a.test/", b"c=1"),
        ("http://sub.a.test/", b"c=1; Domain=a.test", "http://x.y.a.test/", b"c=1"),
        ("http://sub.a.test/", b"c=1; Domain=a.test", "http://xa.test/", None),
        ("http://ample.test/", b"c=1; Domain=ample.test", "http://example.test/", None),  # [CVE-2013-1944]
        ("http://a.test./", b"c=1", "http://a.test/", b"c=1"),
        ("http://127.0.0.1/", b"c=1", "http://127.0.0.1/", b"c=1"),
        ("http://127.0.0.1/", b"c=1; Domain=.0.1", "http://127.9.0.1/", None),  # [CVE-2014-3613]
        ("http://[::1]/", b"c=1", "http://[::1]/", b"c=1"),
        ("http://a.test/", b"c=1", "http://[fe80::1%25eth0]/", None),
        ("https://a.test/", b"c=1; Secure", "http://a.test/", None),
        ("https://a.test/", b"c=1; Secure", "https://a.test/", b"c=1"),
        ("http://a.test/any", b"c=1; Path=/any", "http://a.test/anybody", None),  # [PSF-2019-17]
        ("http://a.test/any", b"c=1; Path=/any", "http://a.test/any?q", b"c=1"),
        ("http://a.test/", b"c=1; Max-Age=0", "http://a.test/", None),
        ("http://a.test/", b"token", "http://a.test/", b"token"),
        ("http://a.test/", b"c=\xff\xfe", "http://a.test/", b"c=\xff\xfe"),
    ],
)
def test_a_cookie_goes_back_to_whom_it_belongs(
    set_by: str, value: bytes, asked: str, header: bytes | None
) -> None:
    assert header == sent(jar_with(set_by, value), asked)


def test_it_ends_when_it_expires() -> None:
    jar = jar_with("http://a.test/", b"c=1; Max-Age=60")

    assert b"c=1" == sent(jar, "http://a.test/", NOW + 59)
    assert sent(jar, "http://a.test/", NOW + 60) is None


def test_longer_paths_go_first_then_older_cookies() -> None:
    jar = jar_with(
        "http://www.a.test/x/y", b"old=1; Path=/", b"deep=1; Path=/x", b"wide=1; Path=/; Domain=a.test"
    )
    jar.store(parse_url("http://www.a.test/"), [b"new=1; Path=/", b"old=2; Path=/"], NOW)

    assert b"deep=1; old=2; wide=1; new=1" == sent(jar, "http://www.a.test/x")


def test_setting_it_again_replaces_it_and_a_past_date_deletes_it() -> None:
    jar = jar_with("http://a.test/", b"c=1", b"c=2", b"c=3; Path=/x")
    assert b"c=3; c=2" == sent(jar, "http://a.test/x")

    jar.store(parse_url("http://a.test/"), [b"c=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], NOW)
    assert b"c=3" == sent(jar, "http://a.test/x")


def test_a_plain_connection_cannot_touch_a_secure_cookie() -> None:
    """[CVE-2025-9086], and RFC 6265bis section 5.7: leave Secure cookies alone."""
    jar = jar_with("https://www.a.test/login/x", b"s=good; Secure; Path=/login; Domain=a.test")
    for host in ("a.test", "www.a.test", "evil.www.a.test"):
        for attributes in (
            b"",
            b"; Path=/login",
            b"; Path=/login/en",
            b"; Path=/login; Max-Age=0",
            b"; Domain=a.test",
        ):
            jar.store(parse_url(f"http://{host}/login/x"), [b"s=evil" + attributes], NOW)

    assert b"s=good" == sent(jar, "https://www.a.test/login/en")


def test_a_plain_connection_may_set_what_does_not_hide_a_secure_cookie() -> None:
    jar = jar_with("https://a.test/", b"s=1; Secure; Path=/login")
    jar.store(parse_url("http://a.test/"), [b"s=2; Path=/", b"t=3; Path=/login"], NOW)

    assert b"t=3; s=2" == sent(jar, "http://a.test/login")


def test_a_sub_domain_cannot_replace_its_parents_own_cookie() -> None:
    """The host-only flag is part of what tells cookies apart; the server sees its own first."""
    jar = jar_with("http://a.test/", b"s=good")
    jar.store(parse_url("http://evil.a.test/"), [b"s=evil; Domain=a.test; Path=/"], NOW)
    assert b"s=good; s=evil" == sent(jar, "http://a.test/")

    jar.store(parse_url("http://evil.a.test/"), [b"s=; Domain=a.test; Path=/; Max-Age=0"], NOW)
    assert b"s=good" == sent(jar, "http://a.test/")


def test_a_host_replaces_and_deletes_its_own_cookie_in_either_form() -> None:
    """A token that the caller set for the domain would otherwise be sent beside the one that the server renewed."""
    jar = RequestsCookieJar()
    jar.set("s", "from the caller", domain="a.test")
    jar.store(parse_url("http://a.test/"), [b"s=renewed"], NOW)
    assert b"s=renewed" == sent(jar, "http://a.test/")

    jar.store(parse_url("http://a.test/"), [b"s=; Domain=a.test; Max-Age=0"], NOW)
    assert sent(jar, "http://a.test/") is None


# -- limits -----------------------------------------------------------------------------------------------


def test_a_domain_keeps_fifty_cookies_and_drops_the_oldest() -> None:
    jar = jar_with("http://a.test/", *(b"c%d=1" % number for number in range(60)))

    assert [f"c{number}" for number in range(10, 60)] == jar.keys()


def test_room_is_made_by_expired_cookies_first_then_by_plain_ones() -> None:
    jar = jar_with("https://a.test/", b"secure=1; Secure", b"plain=1", b"short=1; Max-Age=5")
    jar.store(parse_url("https://a.test/"), [b"c%d=1" % number for number in range(47)], NOW)
    assert 50 == len(jar)

    jar.store(parse_url("https://a.test/"), [b"x=1"], NOW + 10)
    assert {"secure", "plain"} <= set(jar.keys())
    jar.store(parse_url("https://a.test/"), [b"y=1"], NOW + 10)
    assert "secure" in jar
    assert "plain" not in jar


def test_the_jar_keeps_three_thousand_cookies_of_servers() -> None:
    jar = RequestsCookieJar()
    assert 3000 == jar.limits.cookies
    jar.limits = client.ResponseLimits(cookies=120)
    for host in range(10):
        jar.store(parse_url(f"http://h{host}.test/"), [b"c%d=1" % number for number in range(20)], NOW)

    assert 120 == len(jar)
    assert [f"h{host}.test" for host in range(4, 10)] == jar.list_domains()


def test_a_flood_of_large_cookies_leaves_a_header_that_servers_accept() -> None:
    """[CVE-2022-32205]: all later requests, those to sibling hosts too, were answered 400."""
    flood = [b"c%d=%s; Domain=a.test" % (number, b"v" * 4000) for number in range(5000)]
    jar = jar_with("http://evil.a.test/", *flood)
    jar.store(parse_url("http://evil.a.test/"), [b"small=1; Domain=a.test; Path=/"], NOW)

    header = sent(jar, "http://a.test/")

    assert header is not None
    assert 8190 >= len(header)
    assert b"small=1" in header


def test_what_the_caller_sets_is_not_limited() -> None:
    jar = cookiejar_from_dict({f"c{number}": "v" * 5000 for number in range(60)})

    assert 60 == len(jar)
    header = sent(RequestsCookieJar(), "http://a.test/", extra=jar)
    assert header is not None
    assert 60 == header.count(b"=")


def test_a_hundred_thousand_cookies_are_no_burden() -> None:
    """[CVE-2025-58186, CVE-2025-69230]"""
    started = process_time()
    jar = jar_with("http://a.test/", b"a=;" * 100_000, *[b"a=;"] * 2000)

    assert 1 == len(jar)
    assert process_time() - started < 1


# -- cookies that the caller set --------------------------------------------------------------------------


def test_a_cookie_without_a_domain_goes_where_the_caller_goes_and_no_redirect_takes_it_further() -> None:
    """[CVE-2026-47265]: per-request cookies went along to another origin."""
    jar = cookiejar_from_dict({"a": "1"})

    assert b"a=1" == sent(jar, "http://a.test/")
    assert b"a=1" == sent(jar, "http://b.test/")
    assert sent(jar, "http://b.test/", unbound=False) is None


def test_the_calls_own_cookies_go_before_stored_ones_of_the_same_name() -> None:
    jar = jar_with("http://a.test/", b"a=stored", b"b=stored")
    extra = cookiejar_from_dict({"a": "own", "c": "own"})

    assert b"a=own; c=own; b=stored" == sent(jar, "http://a.test/", extra=extra)
    assert b"a=own; c=own; b=stored" == sent(jar, "http://a.test/", extra=extra, unbound=False)
    assert b"a=own; c=own" == sent(RequestsCookieJar(), "http://a.test/", extra=extra)


def test_a_domain_given_by_the_caller_covers_its_sub_domains_but_an_address_does_not() -> None:
    jar = RequestsCookieJar()
    jar.set("a", "1", domain="a.test", path="/x")
    jar.set("b", "2", domain=".A.Test.", secure=True)
    jar.set("c", "3", domain="a.test", host_only=True)
    jar.set("d", "4", domain="127.0.0.1")

    assert b"a=1; b=2" == sent(jar, "https://sub.a.test/x")
    assert b"c=3" == sent(jar, "http://a.test/")
    assert b"d=4" == sent(jar, "http://127.0.0.1/")
    assert sent(jar, "http://1.127.0.0.1.test/") is None


# -- threads, forks, any input ----------------------------------------------------------------------------


def test_threads_share_a_jar() -> None:
    jar = RequestsCookieJar()
    errors: list[BaseException] = []
    start = threading.Barrier(8)

    def work(number: int) -> None:
        url = parse_url(f"http://h{number % 4}.a.test/")
        try:
            start.wait(10)
            for turn in range(200):
                jar.store(url, [b"c%d=%d; Domain=a.test" % (number, turn), b"own%d=1" % number], NOW)
                assert jar.header_for(url, NOW)
                jar.set(f"mine{number}", str(turn))
                assert len(list(jar)) >= 1
                del jar[f"mine{number}"]
        except BaseException as error:  # noqa: BLE001  # shown by the main thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert [] == errors
    assert {f"c{number}" for number in range(8)} | {f"own{number}" for number in range(8)} == set(jar.keys())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that there are threads is the point
def test_a_child_does_not_wait_for_a_lock_that_a_thread_of_its_parent_held() -> None:
    with cookie_store._lock:
        pid = os.fork()
        if pid == 0:
            jar = RequestsCookieJar()
            jar["a"] = "1"
            os._exit(7 if jar["a"] == "1" else 1)
        _, status = os.waitpid(pid, 0)

    assert 7 == os.waitstatus_to_exitcode(status)


HOSTS = st.sampled_from(["a.test", "www.a.test", "evil.a.test", "b.test", "127.0.0.1", "[::1]", "localhost"])
FIELDS = st.builds(
    lambda name, value, domain, path, flags: (
        f"{name}={value}; Domain={domain}; Path={path}; {flags}".encode()
    ),
    st.sampled_from(["a", "b", "__Host-a"]),
    st.text('xyz="\\ ', max_size=4),
    st.sampled_from(["", "a.test", ".a.test", "evil.a.test", "test", "b.test", "0.0.1", "1"]),
    st.sampled_from(["", "/", "/x", "/x/y"]),
    st.sampled_from(["", "Secure", "Max-Age=0", "HttpOnly"]),
)
REQUESTS = st.tuples(st.sampled_from(["http", "https"]), HOSTS, st.sampled_from(["/", "/x", "/x/y"]))


@given(st.lists(st.tuples(REQUESTS, FIELDS), max_size=12), REQUESTS)
def test_no_sequence_of_responses_sends_a_cookie_to_a_stranger(
    responses: list[tuple[tuple[str, str, str], bytes]], request: tuple[str, str, str]
) -> None:
    """Each value names its setter, so that a stranger's cookie is seen in the header whatever led to it."""
    jar = RequestsCookieJar()
    for (scheme, host, path), field in responses:
        marked = field.replace(b"=", b"=<" + host.encode() + b">", 1)
        jar.store(parse_url(f"{scheme}://{host}{path}"), [marked], NOW)
    scheme, host, path = request

    header = sent(jar, f"{scheme}://{host}{path}") or b""

    related = {"a.test", "www.a.test", "evil.a.test"}
    setters = {part.partition(b">")[0].decode() for part in header.split(b"=<")[1:]}
    assert setters <= (related if host in related else {host})
