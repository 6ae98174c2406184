"""What a server may set, one Set-Cookie field at a time: `client.set_cookie`.

The ids in brackets are those of the CVEs whose cause a test keeps out.
"""

from __future__ import annotations

import copy
import pickle
import sys
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import set_cookie
from client.exceptions import InvalidHeader
from client.set_cookie import MAX_AGE, Cookie, parse_set_cookie, path_matches
from client.url import parse_url

NOW = 1_000_000


def parse(value: bytes, url: str = "https://www.example.com/a/b") -> Cookie | None:
    return parse_set_cookie(value, parse_url(url), NOW)


def parsed(value: bytes, url: str = "https://www.example.com/a/b") -> Cookie:
    cookie = parse(value, url)
    assert cookie is not None
    return cookie


# -- name and value ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "name", "content"),
    [
        (b"a=b", "a", "b"),
        (b" a =\tb ; Secure", "a", "b"),
        (b"a=", "a", ""),
        (b"a=b=c==", "a", "b=c=="),
        (b'a="b; c"', "a", '"b'),  # a quote protects nothing: RFC 6265bis section 5.6
        (b'a="b\\"c"', "a", '"b\\"c"'),
        (b"a=%0d%0aX", "a", "%0d%0aX"),  # opaque [CVE-2026-9679]
        (b"a=b, c=d", "a", "b, c=d"),
        (b"a=\xc3\xbc\xff", "a", "\xc3\xbc\xff"),  # octets come back as they came
        (b"b", "", "b"),
        (b"=b", "", "b"),
    ],
)
def test_name_and_value_are_what_stands_around_the_first_equals_sign(
    value: bytes, name: str, content: str
) -> None:
    cookie = parsed(value)

    assert (name, content) == (cookie.name, cookie.value)


@pytest.mark.parametrize("value", [b"", b"=", b" = ", b";", b"; Secure", b" ;a=b"])
def test_an_empty_cookie_is_ignored(value: bytes) -> None:
    assert parse(value) is None


@pytest.mark.parametrize("octet", [*range(0x20), 0x7F])
@pytest.mark.parametrize("where", [b"a%b=c", b"a=b%c", b"a=b; Path=/%x", b"a=b; x=%y"])
def test_a_control_character_spoils_the_whole_cookie(where: bytes, octet: int) -> None:
    """[CVE-2022-35252]. A tab does so only where it would be kept: a saved jar separates by tabs."""
    cookie = parse(where.replace(b"%", bytes([octet])))

    if octet == 0x09 and b"x=" in where:
        assert cookie is not None
    else:
        assert cookie is None


def test_name_and_value_have_4096_bytes_and_an_attribute_1024() -> None:
    assert 4096 == len(parsed(b"n=" + b"v" * 4095).value) + 1
    assert parse(b"n=" + b"v" * 4096) is None
    assert parse(b"n" * 4097) is None
    assert "/" + "p" * 1023 == parsed(b"a=b; Path=/" + b"p" * 1023).path
    assert "/a" == parsed(b"a=b; Path=/" + b"p" * 1024).path


# -- attributes -------------------------------------------------------------------------------------------


def test_without_attributes_it_is_for_this_host_this_directory_and_this_session() -> None:
    cookie = parsed(b"a=b")

    assert ("www.example.com", True, "/a", False, None) == (
        cookie.domain,
        cookie.host_only,
        cookie.path,
        cookie.secure,
        cookie.expires,
    )
    assert (False, None) == (cookie.http_only, cookie.same_site)


@pytest.mark.parametrize(
    ("attributes", "expires"),
    [
        (b"Max-Age=60", NOW + 60),
        (b"max-AGE = 60", NOW + 60),
        (b"Max-Age=0", 0),
        (b"Max-Age=-1", 0),
        (b"Max-Age=-" + b"9" * 900, 0),
        (b"Max-Age=" + b"9" * 900, NOW + MAX_AGE),
        (b"Max-Age=+60", None),
        (b"Max-Age=1.5", None),
        (b"Max-Age=", None),
        (b"Max-Age=nan", None),
        (b"Expires=Fri, 16 Jan 1970 00:00:00 GMT", 15 * 86_400),
        (b"Expires=Fri, 31 Dec 9999 23:59:59 GMT", NOW + MAX_AGE),
        (b"Expires=Mon, 01 Jan 1601 00:00:00 GMT", 0),
        (b"Expires=never", None),
        (b"Expires=Fri, 16 Jan 1970 00:00:00 GMT; Max-Age=60", NOW + 60),
        (b"Max-Age=60; Expires=Fri, 16 Jan 1970 00:00:00 GMT", NOW + 60),
        (b"Max-Age=60; Max-Age=61", NOW + 61),
        (b"Max-Age=x; Expires=Fri, 16 Jan 1970 00:00:00 GMT", 15 * 86_400),
    ],
)
def test_how_long_it_lives(attributes: bytes, expires: int | None) -> None:
    assert expires == parsed(b"a=b; " + attributes).expires


@pytest.mark.parametrize(
    ("url", "attribute", "path"),
    [
        ("https://x.test/", b"", "/"),
        ("https://x.test/a", b"", "/"),
        ("https://x.test/a/", b"", "/a"),
        ("https://x.test/a/b/c?d=/e/", b"", "/a/b"),
        ("https://x.test/a/b", b"Path=/", "/"),
        ("https://x.test/a/b", b"Path=/other", "/other"),
        ("https://x.test/a/b", b"Path=other", "/a"),
        ("https://x.test/a/b", b"Path=", "/a"),
        ("https://x.test/a/b", b"Path", "/a"),
        ("https://x.test/a/b", b"Path=/x; Path=/y", "/y"),
    ],
)
def test_where_in_the_tree_it_goes(url: str, attribute: bytes, path: str) -> None:
    assert path == parsed(b"a=b; " + attribute, url).path


@pytest.mark.parametrize(
    ("attribute", "flags"),
    [
        (b"Secure", (True, False, None)),
        (b"sEcUrE=false", (True, False, None)),  # its presence counts
        (b"HttpOnly", (False, True, None)),
        (b"SameSite=strict", (False, False, "Strict")),
        (b"SameSite=LAX", (False, False, "Lax")),
        (b"SameSite=None", (False, False, "None")),
        (b"SameSite=NoneOfYour", (False, False, None)),  # [CVE-2026-11525]
        (b"SameSite", (False, False, None)),
        (b"Unknown=x", (False, False, None)),
    ],
)
def test_flags(attribute: bytes, flags: tuple[bool, bool, str | None]) -> None:
    cookie = parsed(b"a=b;" + attribute)

    assert flags == (cookie.secure, cookie.http_only, cookie.same_site)


# -- whose cookie -----------------------------------------------------------------------------------------

REFUSED = "refused"


@pytest.mark.parametrize(
    ("host", "domain", "stored"),
    [
        ("www.example.com", "", ("www.example.com", True)),
        ("www.example.com", ".", ("www.example.com", True)),
        ("www.example.com", "example.com", ("example.com", False)),
        ("www.example.com", ".example.com", ("example.com", False)),
        ("www.example.com", "EXAMPLE.Com", ("example.com", False)),
        ("www.example.com", "example.com.", ("example.com", False)),
        ("www.example.com.", "example.com", ("example.com", False)),
        ("WWW.Example.Com.", "", ("www.example.com", True)),
        ("www.example.com", "www.example.com", ("www.example.com", False)),
        ("www.example.com", "a.www.example.com", REFUSED),
        ("www.example.com", "other.example.com", REFUSED),
        ("www.example.com", "ample.com", REFUSED),  # [CVE-2013-1944]
        ("www.example.com", "..example.com", REFUSED),
        ("www.example.com", "example.com..", REFUSED),
        ("www.example.com", "example..com", REFUSED),
        ("www.example.com", "*.example.com", REFUSED),
        ("www.example.com", "com", REFUSED),  # [CVE-2014-3620]
        ("www.example.com", ".com.", REFUSED),  # [CVE-2022-27779]
        ("www.example.com", "COM", REFUSED),
        ("a.co.uk", "co.uk", REFUSED),
        ("a.co.uk", "cO.Uk", REFUSED),  # [CVE-2023-46218]
        ("a.co.uk.", "co.uk.", REFUSED),
        ("b.a.co.uk", "a.co.uk", ("a.co.uk", False)),
        ("me.github.io", "github.io", REFUSED),
        ("github.io", "github.io", ("github.io", True)),
        ("localhost", "", ("localhost", True)),
        ("localhost", "localhost", ("localhost", True)),
        ("localhost", ".localhost", ("localhost", True)),
        ("127.0.0.1", "", ("127.0.0.1", True)),
        ("127.0.0.1", "127.0.0.1", ("127.0.0.1", True)),
        ("127.0.0.1", ".0.1", REFUSED),  # [CVE-2014-3613]
        ("127.0.0.1", "0.0.1", REFUSED),
        ("127.0.0.1", "1", REFUSED),
        ("[::1]", "", ("::1", True)),
        ("[::1]", "1", REFUSED),
        ("[fe80::1%25eth0]", "", ("fe80::1%eth0", True)),
    ],
)
def test_who_may_set_it_for_whom(host: str, domain: str, stored: tuple[str, bool] | str) -> None:
    cookie = parse(f"a=b; Domain={domain}".encode(), f"http://{host}/")

    assert stored == (REFUSED if cookie is None else (cookie.domain, cookie.host_only))


def test_without_the_suffix_list_top_level_domains_are_still_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_cookie, "_suffix_list", lambda: None)

    assert parse(b"a=b; Domain=com") is None
    assert "co.uk" == parsed(b"a=b; Domain=co.uk", "http://a.co.uk/").domain


def test_the_suffix_list_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "publicsuffixlist", None)  # makes the import fail

    assert set_cookie._suffix_list.__wrapped__() is None


def test_a_unix_socket_has_its_own_cookies() -> None:
    cookie = parsed(b"a=b", "http+unix://%2Frun%2Fx.sock/")

    assert ("%2frun%2fx.sock", True) == (cookie.domain, cookie.host_only)
    assert parse(b"a=b; Domain=sock", "http+unix://%2Frun%2Fx.sock/") is None


@pytest.mark.parametrize(
    ("value", "scheme", "accepted"),
    [
        (b"a=b; Secure", "http", False),
        (b"a=b; Secure", "https", True),
        (b"__Secure-a=b; Secure", "https", True),
        (b"__Secure-a=b", "https", False),
        (b"__secure-a=b", "https", False),  # servers may compare without regard to case
        (b"__Secure-a=b; Secure", "http", False),
        (b"__Host-a=b; Secure; Path=/", "https", True),
        (b"__HOST-a=b; Secure; Path=/", "https", True),
        (b"__Host-a=b; Secure; Path=/", "http", False),
        (b"__Host-a=b; Path=/", "https", False),
        (b"__Host-a=b; Secure", "https", False),
        (b"__Host-a=b; Secure; Path=/x", "https", False),
        (b"__Host-a=b; Secure; Path=/; Domain=www.example.com", "https", False),
        (b"=__Host-a=b; Secure", "https", False),  # would be sent as __Host-a=b
        (b"__Secure-a", "https", False),
    ],
)
def test_secure_and_the_prefixes_are_promises(value: bytes, scheme: str, accepted: bool) -> None:
    assert accepted is (parse(value, f"{scheme}://www.example.com/x/y") is not None)


# -- where it goes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "cookie_path", "matches"),
    [
        ("/", "/", True),
        ("/any", "/", True),
        ("/any", "/any", True),
        ("/any/", "/any", True),
        ("/any/x", "/any", True),
        ("/anybody", "/any", False),  # [PSF-2019-17]
        ("/any", "/any/", False),
        ("/any/x", "/any/", True),
        ("/", "/any", False),
        ("/ANY", "/any", False),
    ],
)
def test_path_match(path: str, cookie_path: str, matches: bool) -> None:
    assert matches is path_matches(path, cookie_path)


# -- the object -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts",
    [
        *({"value": f"a{chr(code)}b"} for code in (*range(0x20), 0x7F)),
        {"value": "a; b=c"},
        {"value": "€"},
        {"name": "a=b"},
        {"name": "a\r\nX"},
        {"name": "", "value": ""},
        {"path": "/\n"},
        {"path": "x"},
        {"domain": "a\tb"},
    ],
    ids=repr,
)
def test_what_cannot_be_sent_makes_no_cookie(parts: dict[str, str]) -> None:
    """[CVE-2026-0672]: one constructor, so that no road round the check exists."""
    with pytest.raises(InvalidHeader):
        Cookie(**{"name": "n", "value": "v", **parts})  # type: ignore[arg-type]  # every part is a str


def test_the_domain_is_kept_in_the_form_that_is_compared() -> None:
    assert "example.com" == Cookie("a", "b", domain=".EXAMPLE.com.").domain
    assert not Cookie("a", "b", domain=".", host_only=True).host_only  # bound to no host at all


def test_an_error_shows_no_value() -> None:
    with pytest.raises(InvalidHeader) as caught:
        Cookie("session", "secret\n")

    assert "secret" not in str(caught.value)
    assert "secret" not in repr(Cookie("session", "secret"))


def test_a_subclass_of_str_cannot_change_after_the_check() -> None:
    class Liar(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "a\r\nX: y"

        def __format__(self, spec: str) -> str:
            return "a\r\nX: y"

    cookie = Cookie("n", Liar("v"))

    assert (str, "v") == (type(cookie.value), cookie.value)


@pytest.mark.parametrize("value", [None, 1, b"v"])
def test_a_value_is_text(value: Any) -> None:
    with pytest.raises(TypeError, match="cookie value: expected str"):
        Cookie("n", value)


def test_a_cookie_never_changes() -> None:
    with pytest.raises(AttributeError):
        Cookie("a", "b").value = "c\r\nX: y"


def test_it_survives_pickle_and_copy_and_is_checked_again() -> None:
    cookie = parsed(b"a=b; Domain=example.com; Path=/x; Secure; HttpOnly; Max-Age=9; SameSite=Lax")

    for twin in (pickle.loads(pickle.dumps(cookie)), copy.deepcopy(cookie), copy.copy(cookie)):
        assert cookie == twin
        assert hash(cookie) == hash(twin)
    with pytest.raises(InvalidHeader):
        pickle.loads(pickle.dumps(Cookie("a", "b-b")).replace(b"b-b", b"b\nb"))


def test_it_answers_to_the_names_of_the_standard_library() -> None:
    cookie = parsed(b"a=b; Domain=example.com; HttpOnly; SameSite=Lax")

    assert (True, True, False, True) == (
        cookie.domain_specified,
        cookie.discard,
        cookie.domain_initial_dot,
        cookie.path_specified,
    )
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("HttpOnly", "absent") is None
    assert "Lax" == cookie.get_nonstandard_attr("samesite")
    assert "absent" == cookie.get_nonstandard_attr("Priority", "absent")
    assert not parsed(b"a=b").has_nonstandard_attr("HttpOnly")


# -- any octets, any length -------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_no_field_raises_and_what_is_kept_can_be_sent(value: bytes) -> None:
    cookie = parse(value)

    if cookie is not None:
        sent = f"{cookie.name}={cookie.value}".encode("latin-1")
        assert not any(octet < 0x20 or octet in b";\x7f" for octet in sent)
        assert cookie.domain in {"www.example.com", "example.com"}


WORDS = st.sampled_from(
    [
        b"a",
        b"=",
        b";",
        b" ",
        b"Domain",
        b"example.com",
        b"com",
        b"Path",
        b"/",
        b"Secure",
        b"Max-Age",
        b"1",
        b"__Host-",
    ]
)


@given(st.lists(WORDS, max_size=20).map(b"".join))
def test_no_arrangement_of_words_reaches_beyond_the_host(value: bytes) -> None:
    cookie = parse(value)

    if cookie is not None:
        assert cookie.domain in {"www.example.com", "example.com"}
        assert not cookie.name.lower().startswith("__host-") or cookie.host_only


@pytest.mark.parametrize(
    "piece", [b";", b"=", b" ", b"\\", b'"', b"a=;", b"; Path=/", b"; Expires=1", b"; Domain=."]
)
def test_a_long_field_takes_linear_time(piece: bytes) -> None:
    """Python's parsers needed quadratic time on backslashes and digits [CVE-2024-7592, bpo-38804]."""
    started = process_time()
    parse(b"a=b" + piece * (1_048_576 // len(piece)))
    parse(b"a=" + piece * (65_536 // len(piece)))
    parse(b"a=b; Expires=" + piece * (1000 // len(piece)))

    assert process_time() - started < 2
