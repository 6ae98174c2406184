"""URLs: sent as given where they are valid, refused where two programs could read two hosts."""

from __future__ import annotations

import copy
import pickle
import urllib.parse
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.exceptions import InvalidURL, MissingSchema
from client.url import parse_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://h", "http://h/"),
        ("http://h?q", "http://h/?q"),
        ("http://h/?", "http://h/?"),
        ("http://h/#", "http://h/#"),
        ("HTTP://ExAmPle.COM/Path?Query#Fragment", "http://example.com/Path?Query#Fragment"),
        ("http://h/%7Euser/%7euser/~user", "http://h/%7Euser/%7euser/~user"),
        ("http://h/%41%2F%2e%2e/x", "http://h/%41%2F%2e%2e/x"),
        ("http://h/a;b=c,d/!$&'()*+,;=:@", "http://h/a;b=c,d/!$&'()*+,;=:@"),
        ("http://h/?a=b/c?d&e=%20+%zz", "http://h/?a=b/c?d&e=%20+%25zz"),
        ("http://h//a///b", "http://h//a///b"),
        ('http://h/a b\\c^d`e{f|g}h<i>"j', "http://h/a%20b%5Cc%5Ed%60e%7Bf%7Cg%7Dh%3Ci%3E%22j"),
        ("http://h/?a[]=1", "http://h/?a%5B%5D=1"),
        ("http://h/ü?ü#ü", "http://h/%C3%BC?%C3%BC#%C3%BC"),
        ("http://h/100%", "http://h/100%25"),
        ("http://h/%%41", "http://h/%25%41"),
        ("http://h/a/./b/../c", "http://h/a/c"),
        ("http://h/../../a", "http://h/a"),
        ("http://h/a/..", "http://h/"),
        ("http://h/a/.", "http://h/a/"),
        ("http://h/.a/..b/c.", "http://h/.a/..b/c."),
        ("http://h:80/", "http://h:80/"),
        ("http://h:/", "http://h/"),
        ("http://h:0/", "http://h:0/"),
        ("http://h:65535/", "http://h:65535/"),
        ("http://under_score.test./", "http://under_score.test./"),
        ("http://127.0.0.1/", "http://127.0.0.1/"),
        ("http://1.2.3.4.test/", "http://1.2.3.4.test/"),
        ("http://[2001:DB8:0::1]:8080/", "http://[2001:db8::1]:8080/"),
    ],
)
def test_what_is_valid_stays_and_the_rest_is_percent_encoded(text: str, expected: str) -> None:
    """Signatures cover the URL as it was written: `%7E` must not become `~` (requests changes it)."""
    assert expected == str(parse_url(text))


def test_parts() -> None:
    url = parse_url("https://h.test:8443/p/q?a=b#f")

    assert ("https", "h.test", 8443, 8443) == (url.scheme, url.host, url.port, url.explicit_port)
    assert ("/p/q", "a=b", "f") == (url.path, url.query, url.fragment)
    assert ("https", "h.test", 8443) == url.origin
    assert b"/p/q?a=b" == url.target
    assert b"h.test:8443" == url.host_header
    assert "https://h.test:8443/p/q" == url.redacted


@pytest.mark.parametrize(
    ("text", "port", "host_header"),
    [
        ("http://h/", 80, b"h"),
        ("https://h/", 443, b"h"),
        ("http://h:80/", 80, b"h"),
        ("http://h:443/", 443, b"h:443"),
        ("https://h:00443/", 443, b"h"),
        ("http://[::1]/", 80, b"[::1]"),
        ("http://[::1]:8080/", 8080, b"[::1]:8080"),
    ],
)
def test_the_host_field_leaves_the_default_port_out(text: str, port: int, host_header: bytes) -> None:
    url = parse_url(text)

    assert (port, host_header) == (url.port, url.host_header)


# -- user information -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "username", "password"),
    [
        ("http://u:p@h/x", "u", "p"),
        ("http://u@h/x", "u", None),
        ("http://:p@h/x", "", "p"),
        ("http://u:@h/x", "u", ""),
        ("http://@h/x", None, None),
        ("http://u%40d:p%3A%2F%C3%BC@h/x", "u@d", "p:/ü"),
        ("http://u:a:b@h/x", "u", "a:b"),
        ("http://ü:ß@h/x", "ü", "ß"),
        ("http://u:100%@h/x", "u", "100%"),
    ],
)
def test_user_information_is_split_off(text: str, username: str | None, password: str | None) -> None:
    url = parse_url(text)

    assert (username, password) == (url.username, url.password)
    for shown in (
        str(url),
        repr(url),
        url.redacted,
        url.host_header.decode(),
        url.target.decode(),
        str(url.origin),
    ):
        assert "@" not in shown
    assert "http://h/x" == str(url)
    assert parse_url("http://h/x") == url.without_userinfo()


def test_user_information_tells_urls_apart() -> None:
    assert parse_url("http://u:p@h/") != parse_url("http://u:q@h/")
    assert parse_url("http://u:p@h/") == parse_url("http://u:p@h")


@pytest.mark.parametrize(
    "text",
    [
        "http://user:se@cret@h/",
        "http://user:secret#x@h/",
        "http://user:secret?x@h/",
        "http://user:secret/x@h/",
        "http://user:secret\\@h/",
        "http://user:sec ret@h/",
        "http://user:secret@h:99999/",
        "http://user:secret@h\u2100x/",
        "http://user:%ffsecret@h/",
        "http://user:secret\ud800@h/",
        "http://[secret]@h/",
        "://user:secret@h",
        "http://user:secret@h/\n",
        "http://" + "secret" * 4000 + "@h/",
    ],
)
def test_an_error_shows_nothing_of_a_password(text: str) -> None:
    """Where the user information of a broken URL ends is just what is not known (CVE-2020-8169)."""
    with pytest.raises((InvalidURL, MissingSchema)) as caught:
        parse_url(text)

    error: BaseException | None = caught.value
    while error is not None:
        assert "secret" not in f"{error} {error!r} {error.args}"
        error = error.__cause__


def test_a_password_before_a_forgotten_scheme_is_not_shown() -> None:
    """It reads as a URL of the scheme "user", which no adapter will know."""
    assert "user:..." == parse_url("user:secret@h").redacted


def test_an_error_shows_no_query() -> None:
    with pytest.raises(InvalidURL) as caught:
        parse_url("http://h:x/path?token=secret")

    assert "secret" not in str(caught.value)
    assert "http://h:.../path" in str(caught.value)


@pytest.mark.parametrize("url", ["http://user:secret/", "http://user:secret", "http://user:8secret/path?x"])
def test_an_error_shows_no_password_in_the_place_of_a_port(url: str) -> None:
    with pytest.raises(InvalidURL) as caught:
        parse_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("params", ["token=secret\x00", b"token=secret\n"])
def test_an_error_about_params_does_not_show_them(params: str | bytes) -> None:
    with pytest.raises(InvalidURL, match="params= holds the control character") as caught:
        parse_url("http://h/").with_params(params)
    assert "secret" not in str(caught.value)


# -- parameters -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"a": "b"}, "a=b"),
        ({"a": ["b", "c"], "d": ("e",), "f": []}, "a=b&a=c&d=e"),
        ({"a": None, "b": ["c", None]}, "b=c"),
        ([("a", "b"), ("a", "c"), ("a", None)], "a=b&a=c"),
        ((("a", "b"),), "a=b"),
        ({("a", "b")}, "a=b"),
        ({"a": 1, "b": 2.5, "c": True, 3: "d"}, "a=1&b=2.5&c=True&3=d"),
        ({"a": b"\xff+", b"b": bytearray(b"c")}, "a=%FF%2B&b=c"),
        ({"a b": "c&d=e+f%20~-._ü"}, "a+b=c%26d%3De%2Bf%2520~-._%C3%BC"),
        ({"a": "\r\nX: y\x00"}, "a=%0D%0AX%3A+y%00"),
        ({"a": "//evil"}, "a=%2F%2Fevil"),
        ("a=b&c", "a=b&c"),
        ("a=%20+b c#d", "a=%20+b%20c%23d"),
        (b"a=\xc3\xbc", "a=%C3%BC"),
        ("//evil@x", "//evil@x"),
    ],
)
def test_parameters(params: Any, query: str) -> None:
    assert f"http://h/p?{query}" == str(parse_url("http://h/p").with_params(params))
    assert f"http://h/p?x=y&{query}#f" == str(parse_url("http://h/p?x=y#f").with_params(params))


@pytest.mark.parametrize("params", [None, {}, [], (), "", b"", {"a": None}, {"a": []}])
def test_no_parameters_leave_the_url_alone(params: Any) -> None:
    url = parse_url("http://h/p?#f")

    assert url is url.with_params(params)


@pytest.mark.parametrize(
    "params",
    [
        5,
        True,
        object(),
        [1],
        ["ab"],
        [("a",)],
        [("a", "b", "c")],
        [{"a": 1, "b": 2}],
        {"a": {"b": "c"}},
        {"a": [{"b": "c"}]},
        {"a": [["b", {"c": "d"}]]},
        {"a": [[["b"]]]},
        "a\r\n",
        "\ud800",
        {"a": "\ud800"},
        b"\xff",
    ],
)
def test_parameters_of_another_shape_are_refused(params: Any) -> None:
    with pytest.raises(InvalidURL):
        parse_url("http://h/").with_params(params)


text_without_surrogates = st.text(st.characters(exclude_categories=["Cs"]))
values = text_without_surrogates | st.binary() | st.integers() | st.booleans() | st.floats(allow_nan=False)


@given(st.dictionaries(text_without_surrogates, values | st.lists(values)))
def test_parameters_are_encoded_as_urlencode_does(params: dict[str, Any]) -> None:
    expected = urllib.parse.urlencode(params, doseq=True)

    url = parse_url("http://h/").with_params(params)

    assert (expected or None) == url.query


def test_a_list_among_values_stands_for_several_more() -> None:
    """As requests sends it; what Python shows of a list is no value for any server."""
    url = parse_url("http://h/").with_params({"a": [["b", None, "c"], ("d",), None], "e": ((1, 2),)})

    assert "a=b&a=c&a=d&e=1&e=2" == url.query


@given(st.lists(st.tuples(text_without_surrogates, text_without_surrogates), min_size=1))
def test_parameters_come_back_from_a_parser_that_we_did_not_write(pairs: list[tuple[str, str]]) -> None:
    target = parse_url("http://h/?a=b").with_params(pairs).target.decode()

    query = urllib.parse.urlsplit(target, allow_fragments=False).query
    assert [("a", "b"), *pairs] == urllib.parse.parse_qsl(query, keep_blank_values=True)


# -- properties -----------------------------------------------------------------------------------------------


URL_PIECES = [
    "http:",
    "//",
    "/",
    "?",
    "#",
    "@",
    ":",
    "[",
    "]",
    "::1",
    "fe80::1%25a",
    "h",
    ".",
    "..",
    "80",
    "%41",
    "%",
    "\\",
    " ",
    "\u00fc",
    "\uff0e",
    "xn--",
    "_",
    "-",
]


@given(path=text_without_surrogates, query=text_without_surrogates, fragment=text_without_surrogates)
def test_writing_and_reading_is_stable(path: str, query: str, fragment: str) -> None:
    """What was encoded once is not encoded again, decodes to what was given, and can be put on a request line."""
    path = "/" + path.replace("?", "").replace("#", "")
    try:
        url = parse_url(f"http://h{path}?{query.replace('#', '')}#{fragment}")
    except InvalidURL:
        assert any(ord(c) < 32 or c == "\x7f" for c in path + query + fragment) or fragment.endswith(" ")
        return

    again = parse_url(str(url))

    assert url == again
    assert url.target.isascii()
    assert not set(url.target) & set(range(33))
    if "/." not in path:
        assert urllib.parse.unquote(path) == urllib.parse.unquote(url.path)
    assert urllib.parse.unquote(fragment) == urllib.parse.unquote(url.fragment or "")


@given(st.text() | st.lists(st.sampled_from(URL_PIECES)).map("".join))
def test_any_text_is_a_url_that_reads_as_itself_or_an_error_of_ours(text: str) -> None:
    for candidate in (text, f"http://{text}", f"http://h{text}", f"HTTPS://u:p@h:1/{text}"):
        try:
            url = parse_url(candidate)
        except (InvalidURL, MissingSchema):
            continue
        assert b"\n" not in url.target + url.host_header
        assert b" " not in url.host_header
        if url.scheme in {"http", "https"}:
            assert url.without_userinfo() == parse_url(str(url))
            assert "@" not in url.origin[1]
            assert url.host == urllib.parse.urlsplit(str(url)).hostname or "%" in url.host


def test_urls_cannot_be_changed() -> None:
    """They are shared by a cache: a change here would be a change of everybody's URL."""
    url = parse_url("http://h/")

    with pytest.raises(AttributeError):
        url.host = "evil.test"
    with pytest.raises(AttributeError):
        del url.host


def test_urls_travel() -> None:
    url = parse_url("http://u:p@[fe80::1%25eth0]:8080/x?y#z")

    for twin in (pickle.loads(pickle.dumps(url)), copy.copy(url), copy.deepcopy(url)):
        assert url == twin
        assert hash(url) == hash(twin)
        assert (url.target, url.host_header, str(url)) == (twin.target, twin.host_header, str(twin))


def test_objects_stand_for_their_text() -> None:
    class Model:
        def __str__(self) -> str:
            return "http://h/x"

    url = parse_url(Model())

    assert url is parse_url(url)
    assert parse_url("http://h/x") == url == parse_url(b"http://h/x") == parse_url(bytearray(b"http://h/x"))


class Lying(str):
    """A str that says something else than what it is."""

    __slots__ = ()

    def __str__(self) -> str:
        return "http://evil.test/"

    def __format__(self, spec: str) -> str:
        return "http://evil.test/\r\nX: y"

    def lower(self) -> str:
        return "evil"

    def encode(self, *args: Any, **kwargs: Any) -> bytes:
        return b"http://evil.test/\r\nX: y"


def test_a_str_is_what_it_contains() -> None:
    """CVE-2022-31150 and its kin: an object that is checked as one text and sent as another."""
    assert "http://h/x" == str(parse_url(Lying("http://h/x")))
    assert "http://h/y?z" == str(parse_url("http://h/x").join(Lying("y")).with_params(Lying("z")))
    assert "http://h/?a=b" == str(parse_url("http://h/").with_params({Lying("a"): Lying("b")}))
