"""A jar of ours in the place of one of `http.cookiejar`: in urllib, and in what was written for requests.

The law of the room: requests and responses are asked the way urllib asks them and are somebody else's; the rules are
those of `client.cookie_store`.
"""

from __future__ import annotations

from importlib import import_module
from time import time
from typing import TYPE_CHECKING, Any

from client.cookie_store import CookieStore
from client.http_dates import parse_date
from client.set_cookie import Cookie, has_subdomains
from client.url import parse_url

if TYPE_CHECKING:
    from client.request import PreparedRequest
    from client.url import URL

__all__ = [
    "MockRequest",
    "MockResponse",
    "UrllibPolicy",
    "add_cookie_header",
    "extract_cookies",
    "extract_cookies_to_jar",
    "get_cookie_header",
    "make_cookies",
    "morsel_to_cookie",
]


def extract_cookies(jar: CookieStore, response: Any, request: Any) -> None:
    """Store the cookies of *response* in *jar*.

    Args:
        jar: Where to.
        response: Its ``info()`` has ``get_all(name, default)``, as that of `urllib.request.urlopen`.
        request: Its ``get_full_url()`` says whose cookies they are, as that of `urllib.request.Request`.

    Raises:
        InvalidRequest: The URL is none.
    """
    values = response.info().get_all("Set-Cookie", ()) or ()
    jar.store(parse_url(request.get_full_url()), [_octets(value) for value in values], time())


def make_cookies(jar: CookieStore, response: Any, request: Any) -> list[Cookie]:
    """Return the cookies that *jar*, were it empty, would store of *response*; arguments as `extract_cookies`."""
    found = CookieStore()
    found.limits, found.policy = jar.limits, jar.policy
    extract_cookies(found, response, request)
    return list(found)


def add_cookie_header(jar: CookieStore, request: Any) -> None:
    """Give *request* the Cookie field that *jar* has for it, unless it has one.

    Args:
        jar: Where from.
        request: Has ``get_full_url``, ``has_header`` and ``add_unredirected_header``, as `urllib.request.Request`.

    Raises:
        InvalidRequest: The URL is none.
    """
    value = jar.header_for(parse_url(request.get_full_url()), time())
    if value is not None and not request.has_header("Cookie"):
        request.add_unredirected_header("Cookie", value.decode("latin-1"))


class UrllibPolicy:
    """A `http.cookiejar.CookiePolicy`, asked about cookies of ours in its own terms.

    Args:
        policy: The policy.
    """

    __slots__ = ("policy",)

    def __init__(self, policy: Any) -> None:
        """Hold *policy*."""
        self.policy: Any = policy

    def may_set(self, cookie: Cookie, url: URL, now: float) -> bool:
        """Say whether *cookie*, which came from *url*, may be kept; *now* in seconds since 1970."""
        self.policy._now = int(now)  # noqa: SLF001  # how http.cookiejar tells it the time
        return bool(self.policy.set_ok(_of_urllib(cookie), _request_of_urllib(url)))

    def may_return(self, cookie: Cookie, url: URL, now: float) -> bool:
        """Say whether *cookie* may be sent to *url*; *now* in seconds since 1970."""
        self.policy._now = int(now)  # noqa: SLF001  # as above
        theirs, request = _of_urllib(cookie), _request_of_urllib(url)
        return bool(
            self.policy.domain_return_ok(theirs.domain, request)
            and self.policy.path_return_ok(theirs.path, request)
            and self.policy.return_ok(theirs, request)
        )


class MockRequest:
    """A `PreparedRequest` as urllib's, for the functions above (requests' class).

    Args:
        request: The request.
    """

    def __init__(self, request: PreparedRequest) -> None:
        """Wrap *request* and leave it as it is."""
        self._request = request
        self._added: dict[str, str] = {}

    def get_full_url(self) -> str:
        """Return the URL."""
        return str(self._request.url)

    def has_header(self, name: str) -> bool:
        """Tell whether the request has a field *name*."""
        return name in self._request.headers or name in self._added

    def add_unredirected_header(self, name: str, value: str) -> None:
        """Note a field, for `get_new_headers`."""
        self._added[name] = value

    def get_new_headers(self) -> dict[str, str]:
        """Return the fields that were noted."""
        return self._added


class MockResponse:
    """Header fields as the response that `extract_cookies` asks (requests' class).

    Args:
        headers: Has ``get_all(name, default)``, as `email.message.Message` and urllib3's ``HTTPHeaderDict``.
    """

    def __init__(self, headers: Any) -> None:
        """Hold *headers*."""
        self._headers = headers

    def info(self) -> Any:
        """Return the fields."""
        return self._headers


def extract_cookies_to_jar(jar: CookieStore | None, request: PreparedRequest, response: Any) -> None:
    """Store the cookies of *response* in *jar*: what authentication written for requests does before it answers.

    Args:
        jar: Where to; None, as the ``_cookies`` of a request that has none, does nothing.
        request: What *response* answers.
        response: `Response.raw`, or urllib3's response, or one like it.
    """
    if jar is None:
        return
    read = getattr(response.headers, "getlist", None)
    if callable(read):
        values = read("Set-Cookie")
    else:  # no response of urllib3's, but made to be read as requests reads one
        message = response._original_response.msg  # noqa: SLF001  # its name there
        values = message.get_all("Set-Cookie", ())
    jar.store(parse_url(request.url), [_octets(value) for value in values], time())


def get_cookie_header(jar: CookieStore, request: PreparedRequest) -> str | None:
    """Return the Cookie field that *jar* has for *request*, None if there is none."""
    value = jar.header_for(parse_url(request.url), time())
    return None if value is None else value.decode("latin-1")


def morsel_to_cookie(morsel: Any) -> Cookie:
    """Return the cookie that *morsel*, one of `http.cookies`, describes.

    Raises:
        ValueError: Its ``max-age`` is no number.
        InvalidHeader: See `Cookie`.
    """
    domain, lifetime = morsel["domain"], morsel["max-age"]
    return Cookie(
        morsel.key,
        morsel.value,
        domain=domain,
        path=morsel["path"] or "/",
        secure=bool(morsel["secure"]),
        expires=parse_date(str(morsel["expires"])) if lifetime == "" else int(time()) + int(lifetime),
        host_only=not has_subdomains(domain),
        http_only=bool(morsel["httponly"]),
        same_site=morsel["samesite"] or None,
    )


def _of_urllib(cookie: Cookie) -> Any:
    """Return *cookie* as one of `http.cookiejar`, which whoever has a policy has loaded."""
    return import_module("http.cookiejar").Cookie(
        version=0,
        name=cookie.name,
        value=cookie.value,
        port=None,
        port_specified=False,
        domain=cookie.domain if cookie.host_only or not cookie.domain else f".{cookie.domain}",
        domain_specified=not cookie.host_only,
        domain_initial_dot=not cookie.host_only,
        path=cookie.path,
        path_specified=True,
        secure=cookie.secure,
        expires=cookie.expires,
        discard=cookie.discard,
        comment=None,
        comment_url=None,
        rest=cookie._rest,  # noqa: SLF001  # ours, under their name
    )


def _request_of_urllib(url: URL) -> Any:
    return import_module("urllib.request").Request(str(url))


def _octets(text: str) -> bytes:
    return text.encode("latin-1", "replace")
