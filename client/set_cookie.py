"""One cookie: what it is, how a Set-Cookie field becomes one, and which requests it goes to.

The rules are those of RFC 6265bis (draft-ietf-httpbis-rfc6265bis), which says what browsers do.  All text is
Latin-1, so that octets come back to the server as it sent them; a value is opaque and is never unquoted or
percent-decoded.  Every parser here looks at each octet a constant number of times.
"""

from __future__ import annotations

import re
from functools import cache
from time import time
from typing import TYPE_CHECKING, Any, Final

from client.exceptions import InvalidHeader
from client.http_dates import parse_date
from client.response_limits import DEFAULT_RESPONSE_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from client.url import URL

__all__ = ["Cookie", "canonical_domain", "has_subdomains", "parse_set_cookie", "path_matches"]

#: Bytes of one attribute's value; RFC 6265bis section 5.6.
MAX_ATTRIBUTE: Final = 1024

#: Seconds a cookie lives at most, whatever the server asks; RFC 6265bis section 5.5 (400 days).
MAX_AGE: Final = 400 * 86_400

#: A tab is refused as well, though RFC 6265bis allows it within a value: `cookies.txt` separates by tabs, and
#: one cookie must not be able to damage a saved jar (curl refuses it for the same reason).
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f;]")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_AGE: Final = re.compile(r"-?[0-9]+")


class Cookie:
    """One cookie; immutable, so that it can be shared by jars and threads.

    Args:
        name: May be empty, for a cookie that was sent without ``=``.
        value: Opaque.
        domain: A leading dot means nothing; ``""`` for a cookie that the caller bound to no host.
        path: Begins with ``/``.
        secure: Only for https.
        expires: Seconds since 1970; None until the session ends.
        host_only: Not for sub-domains of *domain*.
        http_only: The server's wish to keep it from scripts; kept for saving.
        same_site: ``"Strict"``, ``"Lax"``, ``"None"`` or None; kept for the caller, there are no sites here.

    Raises:
        InvalidHeader: A control character or ``;`` anywhere, or ``=`` in the name, or what Latin-1 cannot hold: it
            would be read as another cookie or another header field. Or a path without its ``/``.
        TypeError: A text is not str, or *expires* no number.

    The attributes of `http.cookiejar.Cookie` that mean something are here under its names as well.
    """

    __slots__ = (
        "domain",
        "expires",
        "host_only",
        "http_only",
        "name",
        "path",
        "same_site",
        "secure",
        "value",
    )

    name: str
    value: str
    domain: str
    path: str
    secure: bool
    expires: int | None
    host_only: bool
    http_only: bool
    same_site: str | None

    # What RFC 2965 had and nobody sends; code written for http.cookiejar reads it.
    version: Final = 0
    port: Final = None
    port_specified: Final = False
    comment: Final = None
    comment_url: Final = None
    rfc2109: Final = False

    def __init__(
        self,
        name: str,
        value: str,
        *,
        domain: str = "",
        path: str = "/",
        secure: bool = False,
        expires: int | None = None,
        host_only: bool = False,
        http_only: bool = False,
        same_site: str | None = None,
    ) -> None:
        """Check and store the parts."""
        put = object.__setattr__
        for attribute, text in (("name", name), ("value", value), ("domain", domain), ("path", path)):
            put(self, attribute, _checked(attribute, text))
        put(self, "domain", canonical_domain(self.domain))
        if "=" in self.name or not (self.name or self.value):
            raise InvalidHeader("cookie name holds '=', or name and value are both empty")
        if not self.path.startswith("/"):
            raise InvalidHeader("cookie path does not begin with '/', so no request would match it")
        put(self, "secure", bool(secure))
        put(self, "expires", None if expires is None else _seconds(expires))
        put(self, "host_only", bool(host_only and self.domain))
        put(self, "http_only", bool(http_only))
        put(self, "same_site", same_site)

    @property
    def domain_specified(self) -> bool:
        """True if it goes to sub-domains too."""
        return bool(self.domain) and not self.host_only

    @property
    def domain_initial_dot(self) -> bool:
        """Always False: RFC 6265 takes the dot off."""
        return False

    @property
    def path_specified(self) -> bool:
        """Always True: there is one, given or default."""
        return True

    @property
    def discard(self) -> bool:
        """True if it ends with the session."""
        return self.expires is None

    def is_expired(self, now: float | None = None) -> bool:
        """Tell whether it is over at *now*, in seconds since 1970; None for the present."""
        return self.expires is not None and self.expires <= (time() if now is None else now)

    def has_nonstandard_attr(self, name: str) -> bool:
        """Tell whether it has the attribute *name*: ``HttpOnly`` or ``SameSite``."""
        return self.get_nonstandard_attr(name, self) is not self

    def get_nonstandard_attr(self, name: str, default: Any = None) -> Any:
        """Return the value of ``SameSite`` or ``HttpOnly`` (None where it is set), else *default*."""
        lowered = name.lower()
        if lowered == "samesite" and self.same_site is not None:
            return self.same_site
        return None if lowered == "httponly" and self.http_only else default

    @property
    def _rest(self) -> dict[str, Any]:
        """Both of them, where code that was written for http.cookiejar looks for them."""
        names = ("HttpOnly", "SameSite")
        return {name: self.get_nonstandard_attr(name) for name in names if self.has_nonstandard_attr(name)}

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: what was checked stays so."""
        raise AttributeError(f"a Cookie is immutable; set one with another {name} in its place")

    def _parts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def __reduce__(self) -> tuple[Callable[[Mapping[str, Any]], Cookie], tuple[Mapping[str, Any]]]:
        """Pickle and copy by the parts, which are checked again."""
        return _rebuild, (self._parts(),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cookie) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash((self.name, self.domain, self.path))

    def __repr__(self) -> str:
        """Show where it belongs, not its value."""
        return f"<Cookie {self.name} for {self.domain or 'any host'}{self.path}>"


def _rebuild(parts: Mapping[str, Any]) -> Cookie:
    return Cookie(**parts)


def _checked(attribute: str, text: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"cookie {attribute}: expected str, got {type(text).__name__}")
    text = str.__str__(text)  # the content of a subclass, whatever its own methods would say
    if bad := _FORBIDDEN.search(text):
        raise InvalidHeader(f"cookie {attribute} holds {bad[0]!r}, which cannot be sent")
    if not text.isascii():
        try:
            text.encode("latin-1")
        except UnicodeEncodeError:
            raise InvalidHeader(f"cookie {attribute} holds a character outside Latin-1") from None
    return text


def _seconds(expires: Any) -> int:
    try:
        return int(expires)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"cookie expires: expected seconds since 1970, got {expires!r:.40}") from None


# -- whose cookie, and where it goes ------------------------------------------------------------------------


def canonical_domain(text: str) -> str:
    """Return a host or Domain attribute in the form that is compared: lower case, without a dot at either end.

    ``example.com.`` is the same host as ``example.com`` in the DNS and must be the same here, or a rule for
    one is a way round for the other (CVE-2022-27779).

    Raises:
        TypeError: *text* is no str.
    """
    if not isinstance(text, str):
        raise TypeError(f"cookie domain: expected str, got {type(text).__name__}")
    return text.removeprefix(".").removesuffix(".").lower()


def has_subdomains(host: str) -> bool:
    """Tell whether *host* is a name of the DNS; an address or a socket's path has no part that owns it.

    A name whose last label begins with a digit counts as an address, as in the URL standard: no such top-level
    domain exists, and resolvers read ``127.1`` and ``0x7f.1`` as addresses.
    """
    return not (":" in host or "%" in host or host.rpartition(".")[2][:1].isdigit())


def path_matches(path: str, cookie_path: str) -> bool:
    """Tell whether a request for *path* gets a cookie of *cookie_path*; RFC 6265bis section 5.1.4."""
    return path == cookie_path or (
        path.startswith(cookie_path) and (cookie_path[-1:] == "/" or path[len(cookie_path)] == "/")
    )


def _default_path(url: URL) -> str:
    """Return the directory of the URL's path; RFC 6265bis section 5.1.4."""
    return url.path[: url.path.rfind("/")] or "/"


def _is_public_suffix(domain: str) -> bool:
    """Tell whether strangers register names below *domain*, so that nobody may set a cookie for all of them.

    Top-level domains always are; ``co.uk`` and its like are known if the extra ``psl`` is installed.
    """
    return "." not in domain or ((check := _suffix_list()) is not None and check(domain))


@cache
def _suffix_list() -> Callable[[str], bool] | None:
    """Return the check of the public suffix list, None where it is not installed. Takes 0.1 s once."""
    try:
        from publicsuffixlist import PublicSuffixList
    except ImportError:
        return None
    check: Callable[[str], bool] = PublicSuffixList().is_public
    return check


# -- from a header field ------------------------------------------------------------------------------------


def parse_set_cookie(
    value: bytes, url: URL, now: float, max_size: int = DEFAULT_RESPONSE_LIMITS.cookie
) -> Cookie | None:
    """Read one Set-Cookie field.

    Args:
        value: The field's value; several cookies in one field are not separated (RFC 6265bis section 4.1).
        url: Of the request that it answers.
        now: Seconds since 1970.
        max_size: Bytes of name and value together.

    Returns:
        The cookie; one that is expired already is an order to delete. None if the server may not set it: it
        is empty, too large or holds control characters; the domain is another's or a public suffix; the
        connection is plain and the cookie Secure; or it breaks the promise of its prefix ``__Secure-`` or
        ``__Host-``.

    RFC 6265bis sections 5.6 and 5.7.
    """
    if _CONTROL.search(value):
        return None
    pair, _, rest = value.decode("latin-1").partition(";")
    name, equals, content = pair.partition("=")
    if not equals:
        name, content = "", pair
    name, content = name.strip(" \t"), content.strip(" \t")
    if not 0 < len(name) + len(content) <= max_size:
        return None
    attributes = _attributes(rest)
    domain = _domain_for(attributes.get("domain", ""), url)
    if domain is None:
        return None
    path = attributes.get("path", "")
    secure = "secure" in attributes
    host_only = not domain
    if secure and url.scheme != "https":
        return None
    # A cookie without a name is sent as its value alone, where the server cannot tell it from a prefixed name.
    promise = (name or content).lower()
    if promise.startswith("__secure-") and not secure:
        return None
    if promise.startswith("__host-") and not (secure and host_only and path == "/"):
        return None
    try:
        return Cookie(
            name,
            content,
            domain=domain or url.host,
            path=path if path.startswith("/") else _default_path(url),
            secure=secure,
            expires=_expiry(attributes, now),
            host_only=host_only,
            http_only="httponly" in attributes,
            same_site=_SAME_SITE.get(attributes.get("samesite", "").lower()),
        )
    except InvalidHeader:
        return None


_SAME_SITE: Final = {"strict": "Strict", "lax": "Lax", "none": "None"}


def _attributes(text: str) -> dict[str, str]:
    """Return the attributes by lower-case name; the last of a name counts, over-long values don't."""
    attributes = {}
    for part in text.split(";"):
        name, _, value = part.partition("=")
        value = value.strip(" \t")
        if len(value) <= MAX_ATTRIBUTE:
            attributes[name.strip(" \t").lower()] = value
    return attributes


def _domain_for(attribute: str, url: URL) -> str | None:
    """Return the domain to store: ``""`` for the host alone, None if the attribute is not the host's to give."""
    domain, host = canonical_domain(attribute), canonical_domain(url.host)
    if not domain or (domain == host and (not has_subdomains(host) or _is_public_suffix(domain))):
        return ""  # localhost and addresses may name themselves
    owned = has_subdomains(host) and (host == domain or host.endswith(f".{domain}"))
    return domain if owned and not _is_public_suffix(domain) else None


def _expiry(attributes: dict[str, str], now: float) -> int | None:
    """Return when the cookie ends, None for the end of the session; Max-Age goes before Expires."""
    seconds = attributes.get("max-age", "")
    if _MAX_AGE.fullmatch(seconds):
        if seconds[0] == "-":
            return 0
        return int(now) + min(int(seconds), MAX_AGE) if int(seconds) else 0
    date = parse_date(attributes.get("expires", ""))
    return None if date is None else max(0, min(date, int(now) + MAX_AGE))
