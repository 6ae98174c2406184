"""Where a redirect leads and what goes along, without a server: `client.redirects`.

The ids in brackets are those of the CVEs whose cause a test keeps out.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.exceptions import RedirectError
from client.headers import CaseInsensitiveDict
from client.redirects import MAX_LOCATION, REDIRECT_STATUSES, Redirect, follow, same_origin, surviving_fields
from client.url import URL, parse_url

HERE = parse_url("http://a.test/dir/page?q=1")


def hop(location: bytes, url: URL | str = HERE, *, status: int = 302, method: str = "GET") -> Redirect:
    redirect = follow(status, method, parse_url(url), [location])
    assert redirect is not None
    return redirect


# -- method and body --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "method", "next_method", "keep_body"),
    [
        (301, "GET", "GET", True),
        (301, "HEAD", "HEAD", True),
        (301, "POST", "GET", False),
        (301, "PUT", "PUT", True),
        (302, "POST", "GET", False),
        (302, "DELETE", "DELETE", True),
        (302, "HEAD", "HEAD", True),
        (303, "GET", "GET", False),
        (303, "HEAD", "HEAD", False),
        (303, "POST", "GET", False),
        (303, "PUT", "GET", False),
        (303, "DELETE", "GET", False),
        (303, "PROPFIND", "GET", False),
        (307, "POST", "POST", True),
        (307, "GET", "GET", True),
        (308, "POST", "POST", True),
        (308, "PATCH", "PATCH", True),
        (302, "post", "post", True),  # a method is case-sensitive: this is not POST
    ],
)
def test_method_and_body_follow_rfc_9110_section_15_4(
    status: int, method: str, next_method: str, keep_body: bool
) -> None:
    redirect = hop(b"/next", status=status, method=method)

    assert (next_method, keep_body) == (redirect.method, redirect.keep_body)


@pytest.mark.parametrize("status", sorted(set(range(200, 600)) - REDIRECT_STATUSES))
def test_no_other_status_is_a_redirect(status: int) -> None:
    assert follow(status, "GET", HERE, [b"/next"]) is None


@pytest.mark.parametrize("locations", [[], [b""], [b"  "]])
def test_without_a_location_the_response_is_the_callers(locations: list[bytes]) -> None:
    assert follow(302, "GET", HERE, locations) is None


# -- the target -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"next", "http://a.test/dir/next"),
        (b"/next", "http://a.test/next"),
        (b"?q=2", "http://a.test/dir/page?q=2"),
        (b"../../../up", "http://a.test/up"),
        (b";p", "http://a.test/dir/;p"),
        (b"//b.test/x", "http://b.test/x"),
        (b"HTTPS://B.test:443", "https://b.test:443/"),
        (b"http://a.test/a%2Fb%20c", "http://a.test/a%2Fb%20c"),
        (b"/a b", "http://a.test/a%20b"),
        ("/ü?ö=ß".encode(), "http://a.test/%C3%BC?%C3%B6=%C3%9F"),
        ("/ü".encode("latin-1"), "http://a.test/%FC"),
        (b" /blanks\t", "http://a.test/blanks"),
    ],
)
def test_location_is_resolved_by_rfc_3986(location: bytes, target: str) -> None:
    assert target == str(hop(location).url)


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("http://a.test/#mine", b"/x", "http://a.test/x#mine"),
        ("http://a.test/#mine", b"/x#theirs", "http://a.test/x#theirs"),
        ("http://a.test/#mine", b"/x#", "http://a.test/x#"),
        ("http://a.test/#mine", b"https://b.test/x?y", "https://b.test/x?y#mine"),
        ("http://a.test/", b"/x", "http://a.test/x"),
    ],
)
def test_a_fragment_is_inherited_unless_location_has_one(url: str, location: bytes, target: str) -> None:
    """RFC 9110 section 10.2.2."""
    assert target == str(hop(location, url).url)


def test_equal_locations_are_one_and_different_ones_are_refused() -> None:
    agreed = follow(302, "GET", HERE, [b"/x", b"/x"])
    assert agreed is not None
    assert "http://a.test/x" == str(agreed.url)

    with pytest.raises(RedirectError, match="2 different Location"):
        follow(302, "GET", HERE, [b"/x", b"/y"])


@pytest.mark.parametrize("octet", [*range(0x09), *range(0x0A, 0x20), 0x7F])
def test_a_control_character_in_location_is_refused(octet: int) -> None:
    with pytest.raises(RedirectError, match="control character"):
        hop(b"/a" + bytes([octet]) + b"b")


@pytest.mark.parametrize(
    "location", [b"\\\\b.test/x", b"/\\b.test", b"http:\\\\b.test", b"//b.test\\@a.test/"]
)
def test_a_backslash_is_refused_since_others_read_it_as_a_slash(location: bytes) -> None:
    with pytest.raises(RedirectError, match="backslash"):
        hop(location)


def test_a_backslash_in_the_query_is_only_escaped() -> None:
    assert "http://a.test/x?p=C:%5Cdir" == str(hop(b"/x?p=C:\\dir").url)


@pytest.mark.parametrize(
    "location",
    [
        b"file:///etc/passwd",
        b"FILE:///etc/passwd",
        b"ftp://a.test/x",
        b"gopher://a.test:25/x",
        b"data:text/plain,hello",
        b"JavaScript:alert(1)",
        b"unix:/var/run/x",
        b"http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
        b"hTTp+uNIX://%2Fvar%2Frun%2Fdocker.sock/info",
        b"mailto:a@b.test",
    ],
)
def test_only_http_and_https_are_followed(location: bytes) -> None:
    with pytest.raises(RedirectError):
        hop(location)


@pytest.mark.parametrize(
    "location",
    [
        *(b"//", b"http://", b"http:///x", b"http:", b"https:x", b"http://[::1", b"http://a b/", b"//@/"),
        *(b"http://a.test:99999/", b"http://u:p@ss@b.test/", b"http://a.test../", b"http://%61.test/"),
        b"http://[::1%25.a.test]/",
    ],
)
def test_what_is_no_url_is_a_redirect_error(location: bytes) -> None:
    """No other class of error comes out of a peer's header [CVE-2022-33124]."""
    with pytest.raises(RedirectError):
        hop(location)


def test_a_redirect_between_paths_of_one_unix_socket_is_followed() -> None:
    redirect = hop(b"/v2/info", "http+unix://%2Frun%2Fx.sock/v1/info")

    assert "http+unix://%2Frun%2Fx.sock/v2/info" == str(redirect.url)
    assert redirect.same_origin


def test_from_a_unix_socket_to_another_is_refused() -> None:
    with pytest.raises(RedirectError):
        hop(b"http+unix://%2Frun%2Fy.sock/", "http+unix://%2Frun%2Fx.sock/")


@pytest.mark.parametrize(
    "location", [b"http://eve:pw@a.test/x", b"//eve:pw@a.test/x", b"https://eve@b.test/"]
)
def test_userinfo_in_location_is_dropped(location: bytes) -> None:
    url = hop(location, "http://alice:secret@a.test/").url

    assert (None, None) == (url.username, url.password)


def test_a_relative_location_keeps_the_callers_own_userinfo() -> None:
    """What the URL says on the first hop it says on the second: they are the same server's."""
    url = hop(b"/x", "http://alice:secret@a.test/").url

    assert ("alice", "secret") == (url.username, url.password)


def test_a_location_has_a_length_limit() -> None:
    assert "http://a.test/" + "x" * (MAX_LOCATION - 1) == str(hop(b"/" + b"x" * (MAX_LOCATION - 1)).url)

    with pytest.raises(RedirectError, match="16385 bytes"):
        hop(b"/" + b"x" * MAX_LOCATION)


@pytest.mark.parametrize("piece", [b"@", b"%", b"../", b"./", b".", b"\\", b"//", b":", b"[", b"#", b"?"])
def test_a_long_location_costs_little(piece: bytes) -> None:
    """[CVE-2021-33503] and its like were quadratic; the bound is a thousand times what it takes."""
    started = process_time()
    for prefix in (b"", b"/", b"http://b.test/"):
        for size in (MAX_LOCATION, 1_048_576):
            with suppress(RedirectError):
                hop((prefix + piece * size)[:size])

    assert process_time() - started < 1


@given(st.lists(st.binary(max_size=60), max_size=3), st.sampled_from(sorted(REDIRECT_STATUSES)))
def test_whatever_a_peer_sends_there_is_a_web_url_or_a_redirect_error(
    locations: list[bytes], status: int
) -> None:
    try:
        redirect = follow(status, "POST", HERE, locations)
    except RedirectError:
        return
    if redirect is not None:
        assert redirect.url.scheme in {"http", "https"}
        assert redirect.url.password is None
        assert parse_url(str(redirect.url)).origin == redirect.url.origin


@given(st.text(alphabet="ab./:@?#\\[]%20 htps", max_size=40))
def test_whatever_a_url_looks_like_there_is_a_web_url_or_a_redirect_error(location: str) -> None:
    try:
        redirect = follow(302, "GET", HERE, [location.encode()])
    except RedirectError:
        return
    assert redirect is None or redirect.url.scheme in {"http", "https"}


@pytest.mark.parametrize(
    "location", [b"http://b.test:secret/", b"/x\x00secret", b"secret://x", b"//u:secret@b@c/"]
)
def test_errors_and_reprs_show_no_part_of_location(location: bytes) -> None:
    with pytest.raises(RedirectError) as caught:
        hop(location, "http://alice:secret@a.test/path?token=secret#secret")

    if b"secret:" not in location:  # a scheme is shown, so that one sees what was refused
        assert "secret" not in str(caught.value)
    assert "http://a.test/path" in str(caught.value)


def test_a_repr_shows_no_query() -> None:
    assert "<Redirect GET http://b.test/x>" == repr(hop(b"http://b.test/x?token=secret#secret"))


# -- whose credentials ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target", "same"),
    [
        ("http://a.test/", "http://a.test/x", True),
        ("http://a.test/", "http://A.test:80/x", True),
        ("http://a.test/", "https://a.test/", True),
        ("http://a.test:80/", "https://a.test:443/", True),
        ("https://a.test/", "http://a.test/", False),
        ("http://a.test/", "https://a.test:8443/", False),
        ("http://a.test:8080/", "https://a.test/", False),
        ("https://a.test:8443/", "http://a.test:8443/", False),
        ("http://a.test/", "http://a.test:8080/", False),
        ("http://a.test/", "http://sub.a.test/", False),
        ("http://sub.a.test/", "http://a.test/", False),
        ("http://a.test/", "http://b.test/", False),
        ("http://a.test/", "https://b.test/", False),
        ("http://a.test/", "http://[::1]/", False),
        ("http://[::1]/", "https://[::1]/", True),
    ],
)
def test_the_origin_decides_whose_credentials_go(source: str, target: str, same: bool) -> None:
    assert same == same_origin(parse_url(source), parse_url(target))
    assert same == hop(target.encode(), source).same_origin


SECRETS = {
    "Authorization": "Bearer s",
    "aUTHORIZATION": "Basic s",
    "Proxy-Authorization": "Basic s",
    "COOKIE": "s=1",
    "X-Api-Key": "s",
    "X-Vault-Token": "s",
    "If-None-Match": '"s"',
    "If-Modified-Since": "yesterday",
    "Referer": "http://a.test/s",
    "Origin": "http://a.test",
    "Host": "vhost.test",
    "Idempotency-Key": "s",
    "TE": "trailers",
    "Content-MD5": "s",
}
HARMLESS = {
    "Accept": "*/*",
    "accept-encoding": "gzip",
    "Accept-Language": "de",
    "User-Agent": "me",
    "Range": "bytes=0-1",
    "If-Range": '"x"',
}
OF_THE_BODY = {
    "Content-Type": "text/plain",
    "Content-Encoding": "gzip",
    "Content-Language": "de",
    "Content-Length": "3",
    "Transfer-Encoding": "chunked",
}
ALL = {**SECRETS, **HARMLESS, **OF_THE_BODY}
ELSEWHERE = [
    ("http://a.test/", b"http://b.test/"),
    ("http://a.test/", b"http://a.test:8080/"),
    ("https://a.test/", b"http://a.test/"),
    ("https://a.test:8443/", b"http://a.test:8443/"),
    ("http://a.test:8080/", b"https://a.test/"),
    ("http://a.test/", b"http://sub.a.test/"),
    ("http://sub.a.test/", b"http://a.test/"),
    ("http://a.test/", b"http://[fe80::1%25eth0]/"),
    ("http://a.test/", b"http://a.test.b.test/"),
]


@pytest.mark.parametrize(("source", "location"), ELSEWHERE)
def test_another_origin_gets_nothing_but_harmless_fields(source: str, location: bytes) -> None:
    """[CVE-2014-1829, CVE-2018-18074, CVE-2018-20060, CVE-2023-43804, CVE-2024-45336, CVE-2026-40895]"""
    url = parse_url(source)

    assert list(HARMLESS.items()) == surviving_fields(ALL, url, hop(location, url, method="POST"))
    kept = surviving_fields(ALL, url, hop(location, url, status=307, method="POST"))
    assert {**HARMLESS, **OF_THE_BODY} == dict(kept)


@pytest.mark.parametrize("name", sorted(SECRETS))
@pytest.mark.parametrize(
    "form",
    [
        lambda name: {name: "s"},
        lambda name: [(name, "s")],
        lambda name: CaseInsensitiveDict({name: "s"}),
        lambda name: {name.encode(): b"s"},
        lambda name: [(name.upper().encode(), b"s")],
        lambda name: iter([(name.lower(), "s")]),
        lambda name: [(f" {name}\t", "s")],
    ],
    ids=["dict", "pairs", "CaseInsensitiveDict", "bytes dict", "bytes pairs", "iterator", "blanks"],
)
def test_stripping_does_not_depend_on_how_headers_are_held(name: str, form: Callable[[str], Any]) -> None:
    """[CVE-2026-120415]: the strip looked at dicts and missed lists of pairs."""
    assert [] == surviving_fields(form(name), HERE, hop(b"http://b.test/"))


def test_a_name_that_lies_about_itself_is_stripped() -> None:
    """What is sent is the content of a str subclass, so that is what is judged."""

    class Liar(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "accept"

        def lower(self) -> str:
            return "accept"

        def strip(self, chars: str | None = None) -> str:
            return "accept"

    assert [] == surviving_fields([(Liar("Authorization"), "s")], HERE, hop(b"//b.test/"))


def test_the_same_origin_gets_everything_but_what_described_a_dropped_body() -> None:
    assert list(ALL.items()) == surviving_fields(ALL, HERE, hop(b"/x", status=307, method="POST"))

    left = surviving_fields(ALL, HERE, hop(b"/x", status=303, method="POST"))
    assert {name: value for name, value in {**SECRETS, **HARMLESS}.items() if name != "Content-MD5"} == dict(
        left
    )


def test_the_upgrade_to_https_keeps_credentials_but_not_host_nor_those_of_the_proxy() -> None:
    """Inside the tunnel Proxy-Authorization would reach the origin [CVE-2023-32681]."""
    kept = dict(surviving_fields(ALL, HERE, hop(b"https://a.test/x")))

    assert "Bearer s" == kept["Authorization"]
    assert not {"Host", "Proxy-Authorization"} & kept.keys()


def test_names_that_the_session_allows_go_along_whatever_their_case() -> None:
    fields = {"x-trace": "1", "X-Other": "2", "Host": "vhost.test"}

    assert [("x-trace", "1")] == surviving_fields(fields, HERE, hop(b"//b.test/"), ["X-Trace", "Host"])


def test_what_was_stripped_is_not_restored_on_the_way_back() -> None:
    """[CVE-2024-45336]: A to B to B/2 brought the headers back."""
    fields = surviving_fields(ALL, HERE, hop(b"http://b.test/", method="POST"))
    fields = surviving_fields(fields, parse_url("http://b.test/"), hop(b"/2", "http://b.test/"))
    fields = surviving_fields(fields, parse_url("http://b.test/2"), hop(b"http://a.test/", "http://b.test/2"))

    assert list(HARMLESS.items()) == fields


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=5)), max_size=8))
def test_only_allowed_names_ever_cross(fields: list[tuple[str, str]]) -> None:
    allowed = {name.lower() for name in (*HARMLESS, *OF_THE_BODY)}

    kept = surviving_fields(fields, HERE, hop(b"//b.test/", status=308))

    assert {name.strip().lower() for name, _ in kept} <= allowed
