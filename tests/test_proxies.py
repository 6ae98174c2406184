"""Which proxy a URL goes through, and that no spelling of a host gets round ``NO_PROXY``."""

from __future__ import annotations

import base64
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.exceptions import InvalidProxyURL, InvalidURL
from client.proxies import ProxyMap, parse_proxy
from client.transport.tls import TLSSettings
from client.transport.wire import Proxy
from client.url import parse_url


def chosen(proxies: ProxyMap, url: str) -> str | None:
    """Return host of the proxy for *url*, None for a direct connection."""
    proxy = proxies.choose(parse_url(url))
    return None if proxy is None else proxy.host


def environment(**variables: str) -> ProxyMap:
    return ProxyMap.from_environment(variables)


def bypasses(no_proxy: str, url: str) -> bool:
    return chosen(environment(all_proxy="http://proxy.test:3128", no_proxy=no_proxy), url) is None


# -- the mapping ------------------------------------------------------------------------------------------------

ALL_KEYS = {
    "https://a.test": "http://exact.test",
    "https": "http://scheme.test",
    "all://a.test": "http://host.test",
    "all": "http://all.test",
}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.test/", "exact.test"),
        ("https://A.TEST:8443/", "exact.test"),
        ("https://b.test/", "scheme.test"),
        ("http://a.test/", "host.test"),
        ("http://b.test/", "all.test"),
        ("ftp://b.test/", "all.test"),
        ("http+unix://%2Frun%2Fserver/", None),
    ],
)
def test_the_most_specific_key_wins(url: str, expected: str | None) -> None:
    assert expected == chosen(ProxyMap(ALL_KEYS), url)


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_value_of_nothing_connects_directly(nothing: str | None) -> None:
    assert chosen(ProxyMap({"http": nothing, "all": "http://all.test"}), "http://a.test/") is None


def test_without_an_entry_the_fallback_is_asked() -> None:
    proxies = ProxyMap({"http": "http://call.test", "https": None})
    fallback = ProxyMap({"http": "http://session.test"}).or_else(
        environment(all_proxy="http://environment.test")
    )

    merged = proxies.or_else(fallback)

    assert "call.test" == chosen(merged, "http://a.test/")
    assert chosen(merged, "https://a.test/") is None
    assert "environment.test" == chosen(merged, "ftp://a.test/")
    assert "session.test" == chosen(ProxyMap().or_else(fallback), "http://a.test/")
    assert chosen(proxies, "ftp://a.test/") is None, "or_else changes neither side"


def test_no_proxy_of_the_environment_is_for_its_own_proxies() -> None:
    """What the caller names, the caller wants."""
    merged = ProxyMap({"http": "http://call.test"}).or_else(
        environment(all_proxy="http://environment.test", no_proxy="*")
    )

    assert "call.test" == chosen(merged, "http://a.test/")
    assert chosen(merged, "https://a.test/") is None


def test_no_proxy_of_the_mapping_is_for_everything() -> None:
    merged = ProxyMap({"no_proxy": "a.test"}).or_else(environment(all_proxy="http://environment.test"))

    assert chosen(merged, "http://a.test/") is None
    assert "environment.test" == chosen(merged, "http://b.test/")


def test_a_proxy_object_is_used_as_it_is() -> None:
    proxy = Proxy("https", "proxy.test", 443, tls=TLSSettings(verify="ca.pem"))

    assert proxy is ProxyMap({"all": proxy}).choose(parse_url("https://a.test/"))


def test_only_a_map_that_may_choose_is_true() -> None:
    assert not ProxyMap()
    assert not ProxyMap({"http": None, "no_proxy": "a.test"})
    assert not ProxyMap().or_else(environment())
    assert ProxyMap({"http": "http://proxy.test"})
    assert ProxyMap().or_else(environment(http_proxy="http://proxy.test"))


def test_the_dict_for_adapters_is_what_was_given() -> None:
    merged = ProxyMap({"http": "http://u:p@call.test", "ftp": None}).or_else(
        environment(all_proxy="http://environment.test", http_proxy="http://other.test")
    )

    assert {"http": "http://u:p@call.test", "all": "http://environment.test"} == merged.as_dict()
    assert {"all": "https://proxy.test:443"} == ProxyMap({"all": Proxy("https", "proxy.test", 443)}).as_dict()
    assert {"all": "http://[::1]:3128"} == ProxyMap({"all": Proxy("http", "::1", 3128)}).as_dict()


def test_a_map_can_be_pickled_and_shows_no_credentials() -> None:
    proxies = ProxyMap({"http": "http://user:hunter2@proxy.test"})

    assert proxies.choose(parse_url("http://a.test/")) == pickle.loads(pickle.dumps(proxies)).choose(
        parse_url("http://a.test/")
    )
    assert "hunter2" not in repr(proxies) + repr(proxies.choose(parse_url("http://a.test/")))


# -- the environment --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "url", "expected"),
    [
        ({"http_proxy": "http://p.test"}, "http://a.test/", "p.test"),
        ({"http_proxy": "http://p.test"}, "https://a.test/", None),
        ({"https_proxy": "http://p.test"}, "https://a.test/", "p.test"),
        ({"HTTPS_PROXY": "http://p.test"}, "https://a.test/", "p.test"),
        ({"ALL_PROXY": "socks5h://p.test"}, "https://a.test/", "p.test"),
        ({"all_proxy": "http://all.test", "http_proxy": "http://p.test"}, "http://a.test/", "p.test"),
        ({"http_proxy": "http://low.test", "HTTP_PROXY": "http://up.test"}, "http://a.test/", "low.test"),
        ({"http_proxy": "", "HTTP_PROXY": "http://up.test"}, "http://a.test/", None),
        ({"http_proxy": " \t"}, "http://a.test/", None),
        ({"http_proxy": "p.test:3128"}, "http://a.test/", "p.test"),
        ({"HTTP_PROXY": "http://p.test", "NO_PROXY": "a.test"}, "http://a.test/", None),
        ({"HTTP_PROXY": "http://p.test", "NO_PROXY": "a.test", "no_proxy": ""}, "http://a.test/", "p.test"),
    ],
)
def test_the_variables(variables: dict[str, str], url: str, expected: str | None) -> None:
    assert expected == chosen(ProxyMap.from_environment(variables), url)


@pytest.mark.parametrize("method", ["GET", ""])
def test_in_a_cgi_program_the_upper_case_variable_is_the_clients(method: str) -> None:
    """CVE-2016-5385 (httpoxy): the server sets it from the request's field ``Proxy``."""
    evil = {"REQUEST_METHOD": method, "HTTP_PROXY": "http://evil.test"}

    assert chosen(ProxyMap.from_environment(evil), "http://a.test/") is None
    assert "p.test" == chosen(
        ProxyMap.from_environment({**evil, "http_proxy": "http://p.test"}), "http://a.test/"
    )
    assert "p.test" == chosen(
        ProxyMap.from_environment({**evil, "HTTPS_PROXY": "http://p.test"}), "https://a.test/"
    )


def test_a_broken_variable_is_no_error_until_it_is_used() -> None:
    proxies = environment(http_proxy="http://good.test", https_proxy="nonsense://")

    assert "good.test" == chosen(proxies, "http://a.test/")
    with pytest.raises(InvalidProxyURL):
        chosen(proxies, "https://a.test/")


# -- NO_PROXY ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("*", "http://a.test/"),
        ("b.test, *", "http://a.test/"),
        ("a.test", "http://a.test/"),
        ("a.test", "http://A.Test/"),
        ("A.TEST", "http://a.test/"),
        ("a.test", "http://a.test./"),
        ("a.test.", "http://a.test/"),
        ("a.test", "http://deep.www.a.test/"),
        (".a.test", "http://www.a.test/"),
        (".a.test", "http://a.test/"),
        ("*.a.test", "http://www.a.test/"),
        ("test", "http://a.test/"),
        ("b.test a.test", "http://a.test/"),
        ("b.test,a.test", "http://a.test/"),
        (" b.test ,\ta.test\n", "http://a.test/"),
        ("a.test:8080", "http://a.test:8080/"),
        ("a.test:80", "http://a.test/"),
        ("a.test:443", "https://www.a.test/"),
        ("bücher.test", "http://bücher.test/"),
        ("192.0.2.1", "http://192.0.2.1/"),
        ("192.0.2.1:8080", "http://192.0.2.1:8080/"),
        ("192.0.2.1", "http://[::ffff:192.0.2.1]/"),
        ("::ffff:192.0.2.1", "http://192.0.2.1/"),
        ("::ffff:c000:0/112", "http://192.0.2.1/"),
        ("10.0.0.0/8", "http://10.1.2.3/"),
        ("10/8", "http://10.1.2.3/"),
        ("10.1/16", "http://10.1.2.3/"),
        ("10.1.2.3/8", "http://10.9.9.9/"),
        ("10.0.0.0/255.0.0.0", "http://10.1.2.3/"),
        ("10.0.0.0/8", "http://[::ffff:10.1.2.3]/"),
        ("0.0.0.0/0", "http://192.0.2.1/"),
        ("2001:db8::1", "http://[2001:db8::1]/"),
        ("[2001:db8::1]", "http://[2001:DB8:0::1]/"),
        ("[2001:db8::1]:8080", "http://[2001:db8::1]:8080/"),
        ("2001:db8::/32", "http://[2001:db8:1::1]/"),
        ("fe80::1", "http://[fe80::1%25eth0]/"),
        ("fe80::/10", "http://[fe80::1%25eth0]/"),
        ("localhost", "http://127.0.0.1/"),
        ("localhost", "http://127.9.9.9/"),
        ("localhost", "http://[::1]/"),
        ("localhost", "http://[::ffff:127.0.0.1]/"),
        ("localhost", "http://sub.localhost/"),
        ("127.0.0.1", "http://localhost/"),
        ("127.0.0.1", "http://localhost./"),
        ("::1", "http://localhost/"),
        ("[::1]", "http://127.0.0.1/"),
        ("127/8", "http://[::1]/"),
        ("localhost:8080", "http://127.0.0.1:8080/"),
    ],
)
def test_what_no_proxy_lists_is_reached_directly(no_proxy: str, url: str) -> None:
    assert bypasses(no_proxy, url)


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("", "http://a.test/"),
        (" ,, ", "http://a.test/"),
        ("a.test", "http://nota.test/"),
        ("a.test", "http://a.test.evil.test/"),
        (".a.test", "http://nota.test/"),
        ("www.a.test", "http://a.test/"),
        ("a.test:8080", "http://a.test/"),
        ("a.test:443", "http://a.test/"),
        ("192.0.2.1:8080", "http://192.0.2.1/"),
        ("192.0.2.1", "http://192.0.2.10/"),
        ("2.1", "http://192.0.2.1/"),
        ("10.0.0.0/8", "http://11.0.0.1/"),
        ("10.0.0.0/8", "http://10.a.test/"),
        ("10.0.0.0/33", "http://10.0.0.1/"),
        ("10.0.0.0/8", "http://[2001:db8::1]/"),
        ("::/0", "http://192.0.2.1/"),
        ("2001:db8::/32", "http://[2001:db9::1]/"),
        ("[2001:db8::1]:8080", "http://[2001:db8::1]/"),
        ("localhost:8080", "http://127.0.0.1/"),
        ("localhost", "http://localhost.evil.test/"),
        ("localhost", "http://128.0.0.1/"),
        ("a*.test", "http://ab.test/"),
        ("http://a.test", "http://a.test/"),
        ("[a.test", "http://a.test/"),
        ("a.test:port", "http://a.test/"),
    ],
)
def test_nothing_else_is(no_proxy: str, url: str) -> None:
    assert not bypasses(no_proxy, url)


@given(st.text(max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    environment(all_proxy="http://proxy.test", no_proxy=text).choose(parse_url("http://a.test/"))
    environment(all_proxy="http://proxy.test", no_proxy=text).choose(parse_url("http://192.0.2.1/"))


# -- the URL of a proxy -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://proxy.test:3128", Proxy("http", "proxy.test", 3128)),
        ("http://proxy.test:3128/", Proxy("http", "proxy.test", 3128)),
        ("HTTP://Proxy.Test", Proxy("http", "proxy.test", 80)),
        ("https://proxy.test", Proxy("https", "proxy.test", 443)),
        ("socks5://proxy.test", Proxy("socks5", "proxy.test", 1080)),
        ("socks5h://proxy.test:1081", Proxy("socks5h", "proxy.test", 1081)),
        ("proxy.test:3128", Proxy("http", "proxy.test", 3128)),
        ("localhost:3128", Proxy("http", "localhost", 3128)),
        (" http://proxy.test ", Proxy("http", "proxy.test", 80)),
        ("http://[::1]:3128", Proxy("http", "::1", 3128)),
        ("http://192.0.2.1", Proxy("http", "192.0.2.1", 80)),
        ("socks5://user:pa%3Ass@proxy.test", Proxy("socks5", "proxy.test", 1080, b"user:pa:ss")),
    ],
)
def test_the_forms_of_a_proxy_url(text: str, expected: Proxy) -> None:
    assert expected == parse_proxy(text)


@pytest.mark.parametrize(
    ("userinfo", "expected"),
    [
        ("user:hunter2", b"user:hunter2"),
        ("us%40er:p%2Fw%3A%25", b"us@er:p/w:%"),
        ("user:", b"user:"),
        ("user", b"user:"),
        ("user:%E9%94%AE", "user:键".encode()),
    ],
)
def test_credentials_are_decoded_and_sent_as_basic(userinfo: str, expected: bytes) -> None:
    authorization = parse_proxy(f"http://{userinfo}@proxy.test").authorization

    assert authorization is not None
    scheme, _, encoded = authorization.partition(b" ")
    assert (b"Basic", expected) == (scheme, base64.b64decode(encoded))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        "//proxy.test",
        "socks4://proxy.test",
        "socks://proxy.test",
        "ftp://proxy.test",
        "://proxy.test",
        "http://proxy.test:99999",
        "http://proxy.test:0",
        "http://proxy.test:port",
        "http://proxy.test/path",
        "http://proxy.test?query",
        "http://proxy.test#fragment",
        "http://proxy.test\r\nX: y",
        "http://proxy.test\0",
        "http://pro xy.test",
        "http://127.1",
        "http://[::1",
        "http://user:hunter2@",
        "http://user:hunter2@evil.test@proxy.test",
        "http://user:hunter2%0d%0aX: y@proxy.test",
        "http://user:hunter2%0d%0aX%3A@proxy.test",
        "http://us%3Aer:hunter2@proxy.test",
        "socks5://us%00er:hunter2@proxy.test",
        "http://user:hunter2%ff@proxy.test",
        "user:hunter2@x://proxy.test",
    ],
)
def test_a_broken_proxy_url_is_refused_without_showing_its_password(text: str) -> None:
    with pytest.raises(InvalidProxyURL) as caught:
        parse_proxy(text)

    assert isinstance(caught.value, InvalidURL)
    assert isinstance(caught.value, ValueError)
    assert "hunter2" not in str(caught.value) + repr(caught.value) + repr(caught.value.__cause__)


@pytest.mark.parametrize("url", [None, 5, b"http://p.test"])
def test_a_proxy_url_that_is_no_str_is_refused(url: Any) -> None:
    with pytest.raises(InvalidProxyURL, match="must be str"):
        parse_proxy(url)
