"""References: RFC 3986 section 5, and a host that no path can change."""

from __future__ import annotations

import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.exceptions import InvalidURL
from client.url import parse_url

# RFC 3986 section 5.4, with the path of an empty authority written out
RFC_EXAMPLES = [
    ("g", "http://a/b/c/g"),
    ("./g", "http://a/b/c/g"),
    ("g/", "http://a/b/c/g/"),
    ("/g", "http://a/g"),
    ("//g", "http://g/"),
    ("?y", "http://a/b/c/d;p?y"),
    ("g?y", "http://a/b/c/g?y"),
    ("#s", "http://a/b/c/d;p?q#s"),
    ("g#s", "http://a/b/c/g#s"),
    ("g?y#s", "http://a/b/c/g?y#s"),
    (";x", "http://a/b/c/;x"),
    ("g;x", "http://a/b/c/g;x"),
    ("g;x?y#s", "http://a/b/c/g;x?y#s"),
    ("", "http://a/b/c/d;p?q"),
    (".", "http://a/b/c/"),
    ("./", "http://a/b/c/"),
    ("..", "http://a/b/"),
    ("../", "http://a/b/"),
    ("../g", "http://a/b/g"),
    ("../..", "http://a/"),
    ("../../", "http://a/"),
    ("../../g", "http://a/g"),
    # 5.4.2: abnormal
    ("../../../g", "http://a/g"),
    ("../../../../g", "http://a/g"),
    ("/./g", "http://a/g"),
    ("/../g", "http://a/g"),
    ("g.", "http://a/b/c/g."),
    (".g", "http://a/b/c/.g"),
    ("g..", "http://a/b/c/g.."),
    ("..g", "http://a/b/c/..g"),
    ("./../g", "http://a/b/g"),
    ("./g/.", "http://a/b/c/g/"),
    ("g/./h", "http://a/b/c/g/h"),
    ("g/../h", "http://a/b/c/h"),
    ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
    ("g;x=1/../y", "http://a/b/c/y"),
    ("g?y/./x", "http://a/b/c/g?y/./x"),
    ("g?y/../x", "http://a/b/c/g?y/../x"),
    ("g#s/./x", "http://a/b/c/g#s/./x"),
    ("g#s/../x", "http://a/b/c/g#s/../x"),
    # ours
    ("https://b.test/x", "https://b.test/x"),
    ("g?", "http://a/b/c/g?"),
    ("g h", "http://a/b/c/g%20h"),
    ("g:h/i", "g:h/i"),
]


@pytest.mark.parametrize(("reference", "expected"), RFC_EXAMPLES)
def test_references_resolve_as_in_rfc_3986(reference: str, expected: str) -> None:
    assert expected == str(parse_url("http://a/b/c/d;p?q").join(reference))


@pytest.mark.parametrize(
    "reference", ["\\\\b.test\\x", "/\\b.test", "/.//b.test", "./..//b.test", "/%2F/b.test", "b.test"]
)
def test_a_path_never_changes_the_host(reference: str) -> None:
    """CVE-2021-41945: a path that begins with // must not become an authority."""
    joined = parse_url("http://a.test/x").join(reference)

    assert "a.test" == joined.host == parse_url(str(joined)).host


@pytest.mark.parametrize(
    "reference", ["//", "http:///x", "http://", "///x", "//u:p@x@b/", "\nx", "x\r\nX: y", "\ud800"]
)
def test_references_that_lead_nowhere_are_refused(reference: str) -> None:
    with pytest.raises(InvalidURL):
        parse_url("http://a.test/x").join(reference)


def test_user_information_goes_along_only_without_a_new_authority() -> None:
    base = parse_url("http://u:p@a.test/x")

    assert "u" == base.join("y").username
    assert base.join("//a.test/y").username is None
    assert base.join("http://a.test/y").username is None
    assert "v" == base.join("//v@a.test/y").username


def test_references_to_foreign_urls() -> None:
    assert "mock://h/x" == str(parse_url("mock://h").join("x"))
    with pytest.raises(InvalidURL, match="without a host"):
        parse_url("mailto:a").join("/x")


@given(st.from_regex(r"\A(/?(a|\.|\.\.|\.\.\.)(/(b|\.|\.\.|\.b))*/?)?(\?c)?(#d)?\Z"))
def test_references_resolve_as_in_the_standard_library(reference: str) -> None:
    """Only where that follows RFC 3986: it drops empty segments, queries and fragments."""
    base = "http://h/a/b/c;d?e"

    assert urllib.parse.urljoin(base, reference) == str(parse_url(base).join(reference))
