"""What must hold for any text that is taken for a URL, a reference, query parameters or a Location.

1. Nothing but an `InvalidRequest` (for a Location: a `RedirectError`) is raised.
2. What is accepted is printable ASCII everywhere, is read the same once more, and has the host that the standard
   library reads there: no second program connects elsewhere.
3. A reference without an authority stays at its origin; a path on a base URL stays below it; no Location brings
   credentials.

An input is a URL, a reference, and parameters, with lines ``~`` in between.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import urllib.parse
from typing import Final

from client.base_url import resolve_on_base
from client.exceptions import InvalidRequest, RedirectError
from client.redirects import follow
from client.url import URL, parse_url, remove_dot_segments
from tests.fuzz.inputs import check_readable, check_time_is_linear, parts, text

__all__ = ["check_url"]

HOME: Final = parse_url("http://user:Pw-7c1e55@home.test:8080/a/b/c?q=1#f")
BASE: Final = parse_url("http://home.test:8080/api/v1")

VISIBLE: Final = re.compile(r"[!-~]+")
TARGET: Final = re.compile(rb"/[!\"$-~]*")
HOST_FIELD: Final = re.compile(rb"(?:\[[0-9a-f:.]+\]|[a-z0-9_.\-]+)(?::[0-9]{1,5})?")
HAS_AUTHORITY: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.\-]*:|//)")
HAS_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
#: References on which `urllib.parse.urljoin` does what RFC 3986 says, unless a segment is empty.
PLAIN_REFERENCE: Final = re.compile(r"/?(?:[a-z]+|\.{1,2})(?:/(?:[a-z]+|\.{1,2}))*/?")


def check_url(data: bytes) -> None:
    """Check every invariant for *data*."""
    first, second, third = parts(data, 3)
    url = _parsed(text(first))
    if url is not None and url.scheme in ("http", "https"):
        _check_accepted(url, text(first))
        _check_params(url, text(third))
    for base in filter(None, (HOME, url)):
        if base.scheme in ("http", "https"):
            _check_joined(base, text(second))
    _check_on_base(text(second))
    _check_location(second)
    check_time_is_linear(lambda long: _parsed("http://h.test/" + text(long)), first)
    check_time_is_linear(lambda long: _parsed(text(long)), first)
    check_time_is_linear(lambda long: _joined(HOME, text(long)), second)


def _parsed(given: str) -> URL | None:
    try:
        return parse_url(given)
    except InvalidRequest as error:
        check_readable(error)
        return None


def _joined(base: URL, reference: str) -> URL | None:
    try:
        return base.join(reference)
    except InvalidRequest as error:
        check_readable(error)
        return None


def _check_accepted(url: URL, given: str) -> None:
    assert VISIBLE.fullmatch(str(url)), f"{url!s} is not visible ASCII"
    assert VISIBLE.fullmatch(url.redacted)
    assert TARGET.fullmatch(url.target), f"target {url.target!r}"
    assert HOST_FIELD.fullmatch(url.host_header), f"Host {url.host_header!r}"
    assert parse_url(str(url)) == url.without_userinfo(), "it is read otherwise the second time"
    assert 0 <= url.port <= 65535
    _check_no_number_in_disguise(url.host)
    independent = urllib.parse.urlsplit(str(url))
    assert independent.scheme == url.scheme
    assert independent.hostname == url.host.replace("%", "%25"), f"urllib reads {independent.hostname!r}"
    assert independent.port == url.explicit_port
    assert independent.username is None
    if given.isascii():
        _check_same_host(given, url)


def _check_same_host(given: str, url: URL) -> None:
    """Compare with what the standard library makes of the text itself."""
    independent = urllib.parse.urlsplit(given)
    host = independent.hostname or ""
    if ":" in url.host:
        address, _, zone = host.partition("%")
        host = ipaddress.IPv6Address(address).compressed
        host += f"%{zone.removeprefix('25').lower()}" if zone else ""
        assert host == url.host.lower(), f"urllib reads {host!r} and we {url.host!r}"
    else:
        assert host == url.host, f"urllib reads {host!r} and we {url.host!r}"
    assert independent.port == url.explicit_port


def _check_no_number_in_disguise(host: str) -> None:
    """``127.1`` and ``0x7f000001`` are addresses to the resolver, and names to whoever filters."""
    try:
        octets = socket.inet_aton(host)
    except (OSError, ValueError):
        return
    assert ".".join(map(str, octets)) == host, f"{host!r} is an address in another form"


def _check_params(url: URL, params: str) -> None:
    try:
        longer = url.with_params(params)
        pair = url.with_params([(params, params)])
    except InvalidRequest:
        return
    for changed in (longer, pair):
        assert changed.origin == url.origin
        assert changed.target.startswith(url.target)
        assert changed.fragment == url.fragment
        assert TARGET.fullmatch(changed.target)
        assert VISIBLE.fullmatch(str(changed))
    read_back = urllib.parse.parse_qsl(
        (pair.query or "")[-6 * len(params.encode()) - 1 :], max_num_fields=None
    )
    if params and not url.query:
        assert read_back == [(params, params)], f"{params!r} arrives as {read_back!r}"


def _check_joined(base: URL, reference: str) -> None:
    joined = _joined(base, reference)
    if joined is None:
        return
    if HAS_AUTHORITY.match(reference):
        assert joined.password is None or "@" in reference, "a password of another origin goes along"
        return
    assert joined.origin == base.origin, f"{reference!r} leads to {joined.origin}"
    assert (joined.username, joined.password) == (base.username, base.password)
    assert TARGET.fullmatch(joined.target)
    assert parse_url(str(joined)) == joined.without_userinfo()
    if PLAIN_REFERENCE.fullmatch(reference) and "//" not in base.path:
        expected = urllib.parse.urljoin(str(base), reference)
        assert parse_url(expected).path == joined.path, f"urllib resolves {reference!r} to {expected}"


def _check_on_base(reference: str) -> None:
    try:
        resolved = resolve_on_base(BASE, reference)
    except InvalidRequest:
        return
    if not HAS_SCHEME.match(reference):
        assert resolved.origin == BASE.origin, f"{reference!r} leaves the base for {resolved.origin}"
        path = remove_dot_segments(re.sub("%2e", ".", resolved.path, flags=re.IGNORECASE))
        assert (path + "/").startswith("/api/v1/"), f"{reference!r} leaves the base's path"


def _check_location(location: bytes) -> None:
    try:
        redirect = follow(302, "GET", HOME, [location])
    except RedirectError as error:
        check_readable(error)
        return
    if redirect is None:
        return
    url = redirect.url
    assert url.scheme in ("http", "https")
    assert TARGET.fullmatch(url.target)
    assert VISIBLE.fullmatch(str(url))
    if url.password is not None or url.username is not None:
        assert url.origin == HOME.origin, "credentials lead elsewhere"
        assert (url.username, url.password) == (HOME.username, HOME.password), "credentials of the peer's"
    assert redirect.same_origin == (url.origin == HOME.origin)
