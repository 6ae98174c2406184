"""What must hold for any Set-Cookie field, from any URL, and for any cookie of the caller's.

1. Reading raises nothing; a cookie of the caller's is taken or is an `InvalidHeader`.
2. A Cookie field is one line, within its limit, and goes to no host, path or scheme that RFC 6265bis keeps it from:
   told by a second, slower reading of the rules.
3. A ``cookies.txt`` and a pickle bring back what was put in.

An input is a byte that picks the URL, and Set-Cookie fields with lines ``~`` in between.
"""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path
from typing import Final
from unittest import mock

from client import cookie_file
from client.cookie_store import CookieStore
from client.exceptions import InvalidHeader
from client.response_limits import DEFAULT_RESPONSE_LIMITS as LIMITS
from client.set_cookie import Cookie, parse_set_cookie
from client.url import URL, parse_url
from tests.fuzz.inputs import SEPARATOR, check_time_is_linear, sampled

__all__ = ["check_cookies"]

NOW: Final = 1_800_000_000.0
LONGEST_LIFE: Final = 400 * 86_400

URLS: Final = tuple(
    map(
        parse_url,
        (
            "https://www.shop.test/a/b",
            "http://www.shop.test/a/b/c",
            "https://shop.test/",
            "http://shop.test./a",
            "https://evil.test/a/b",
            "http://hop.test/",
            "http://127.0.0.1/a",
            "http://1.127.0.0.1.test/",
            "http://[::1]/a/b",
            "http://localhost/a/",
            "https://a.co.uk/",
            "https://b.co.uk/",
        ),
    )
)
PUBLIC: Final = {"", "test", "com", "uk", "co.uk", "localhost"}


def check_cookies(data: bytes) -> None:
    """Check every invariant for *data*."""
    source = URLS[data[0] % len(URLS)] if data else URLS[0]
    fields = data[1:].split(SEPARATOR)
    store = CookieStore()
    store.store(source, fields, NOW)
    kept = list(store)
    assert len(kept) <= min(len(fields), LIMITS.cookies_per_domain * len({cookie.domain for cookie in kept}))
    for cookie in kept:
        _check_kept(cookie, source)
    for url in URLS:
        _check_sent(store, kept, url)
    if sampled(data, 8):
        _check_saved(kept)
    assert pickle.loads(pickle.dumps(kept)) == kept
    for field in fields[:4]:
        _check_own(field)
        check_time_is_linear(lambda long: parse_set_cookie(long, URLS[0], NOW), field)
        check_time_is_linear(lambda long: parse_set_cookie(b"a=b; expires=" + long, URLS[0], NOW), field)


def _check_kept(cookie: Cookie, source: URL) -> None:
    host = source.host.rstrip(".")
    assert cookie.domain == host or (
        not cookie.host_only and host.endswith(f".{cookie.domain}") and cookie.domain not in PUBLIC
    ), f"{source.host} sets a cookie for {cookie.domain!r}"
    assert cookie.host_only or cookie.domain not in PUBLIC
    assert not cookie.host_only or cookie.domain == host
    assert len(cookie.name) + len(cookie.value) <= 4096
    assert cookie.path.startswith("/")
    assert cookie.expires is None or NOW < cookie.expires <= NOW + LONGEST_LIFE
    assert source.scheme == "https" or not cookie.secure, "a plain site sets a Secure cookie"
    name = cookie.name.lower()
    assert not name.startswith("__secure-") or cookie.secure
    assert not name.startswith("__host-") or (cookie.secure and cookie.host_only and cookie.path == "/")


def _check_sent(store: CookieStore, kept: list[Cookie], url: URL) -> None:
    field = store.header_for(url, NOW)
    expected = [cookie for cookie in kept if _belongs(cookie, url)]
    assert sorted(map(_pair, store.matching(url, NOW))) == sorted(map(_pair, expected))
    if field is None:
        assert not expected or all(len(_pair(cookie)) > LIMITS.cookie_header for cookie in expected)
        return
    assert len(field) <= LIMITS.cookie_header
    assert not any(octet < 0x20 or octet == 0x7F for octet in field), f"a control character in {field!r}"
    assert set(field.split(b"; ")) <= {_pair(cookie) for cookie in expected}


def _belongs(cookie: Cookie, url: URL) -> bool:
    """Say whether RFC 6265bis section 5.8.3 sends *cookie* to *url*."""
    host = url.host.rstrip(".")
    labels, wanted = host.split("."), cookie.domain.split(".")
    is_name = ":" not in host and not labels[-1].isdigit()
    below = is_name and not cookie.host_only and labels[-len(wanted) :] == wanted
    return (
        (host == cookie.domain or below)
        and (url.path + "/").startswith(cookie.path.rstrip("/") + "/")
        and not (cookie.path.endswith("/") and not url.path.startswith(cookie.path))
        and (url.scheme == "https" or not cookie.secure)
    )


def _pair(cookie: Cookie) -> bytes:
    return (f"{cookie.name}={cookie.value}" if cookie.name else cookie.value).encode("latin-1")


def _check_saved(kept: list[Cookie]) -> None:
    with (
        tempfile.TemporaryDirectory(dir=_memory()) as folder,
        mock.patch("client.cookie_file.time", _now),
    ):
        path = Path(folder, "cookies.txt")
        with mock.patch("os.fsync", id):
            cookie_file.save(path, kept)
        loaded = cookie_file.load(path)
    assert list(map(_saved_parts, loaded)) == list(map(_saved_parts, kept)), "the file changes a cookie"


def _now() -> float:
    return NOW


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # where a file costs no disk


def _saved_parts(cookie: Cookie) -> tuple[object, ...]:
    """Return what the format can hold: all but SameSite."""
    return (
        cookie.name,
        cookie.value,
        cookie.domain,
        cookie.path,
        cookie.secure,
        cookie.expires,
        cookie.host_only,
        cookie.http_only,
    )


def _check_own(field: bytes) -> None:
    """Take *field* for a name and a value of the caller's."""
    name, _, value = field.decode("utf-8", "surrogateescape").partition("=")
    try:
        cookie = Cookie(name, value)
    except InvalidHeader:
        return
    store = CookieStore()
    store.put(cookie)
    sent = store.header_for(URLS[0], NOW)
    assert sent == _pair(cookie)
    assert not any(octet in b"\r\n\0;" for octet in sent)
