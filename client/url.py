"""URLs: read once, checked once, and from then on immutable facts.

The law of the room: refuse, never repair what two programs could read as two hosts; send as given what is
valid, and percent-encode only what RFC 3986 does not allow.  Credentials are split off on reading: they never
reach ``str(url)``, a Host field, a request-target or an error.  RFC 3986; RFC 9110 section 4.2 (http and
https URIs).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, cast

from client.exceptions import InvalidURL, MissingSchema, URLRequired
from client.hostname import canonical_ipv6, canonical_name, hides_delimiter
from client.percent import form_urlencode, quote_path, quote_query, unquote

__all__ = ["URL", "parse_url", "remove_dot_segments"]

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

#: Scheme of HTTP over a Unix socket; the host is the percent-encoded path of the socket.
UNIX_SCHEME: Final = "http+unix"

# RFC 3986 appendix B, with the scheme mandatory and spelled out. Possessive: each octet is looked at once.
_URL: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.\-]*+):(?://([^/?#]*+))?+([^?#]*+)(?:\?([^#]*+))?+(?:#(.*+))?+", re.DOTALL
)
_REFERENCE: Final = re.compile(r"(?://([^/?#]*+))?+([^?#]*+)(?:\?([^#]*+))?+(?:#(.*+))?+", re.DOTALL)
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*+:")

# Narrower than "percent-encode it": a control character in a URL is an injection or a damaged line of a file.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

# RFC 3986 section 3.2:  authority = [ userinfo "@" ] host [ ":" port ]
# A second "@", a backslash, or a bracket elsewhere makes parsers disagree about where the host is.
_AUTHORITY: Final = re.compile(
    r"(?:([^@\[\]\\<>\"^`{|}\x20]*+)@)?+(?:\[([^\[\]@\\]*+)\]|([^:@\[\]\\]*+))(?::([0-9]{0,5}+))?+"
)
_SOCKET_PATH: Final = re.compile(r"(?:[A-Za-z0-9\-._~]++|%(?!00)[0-9A-Fa-f]{2})++")

#: Longer URLs are parsed each time; kept ones would be memory that a stranger fills through Location.
MAX_CACHED_LENGTH: Final = 2048
_CACHED_URLS: Final = 1024
#: Characters of user information; a token as password fits, and decoding it is bounded.
MAX_USERINFO: Final = 16 * 1024
#: Characters of a broken URL that an error shows.
_SHOWN: Final = 100
#: What stands in the place of a port and is none: a password, if the host was left out.
_NO_PORT: Final = re.compile(r"(?<=://)([^/:\[]*):(?![0-9]*(?:/|$))[^/]*")


class URL:
    """A parsed URL; immutable, hashable, picklable. Made by `parse_url`.

    Attributes:
        scheme: Lower case.
        username, password: Decoded user information, or None. Part of equality and of nothing else.
        authority: Host and port as in ``str(url)``; None for a foreign scheme without ``//``.
        host: Lower-case ASCII without brackets; of an IPv6 address with its zone (``"fe80::1%eth0"``); of
            ``http+unix`` the socket's path, percent-encoded; ``""`` for a foreign scheme without one.
        explicit_port: The port as written, None if it was not.
        port: The port to connect to; 0 where the scheme has none.
        path: Percent-encoded, without dot segments; begins with ``/`` for http.
        query, fragment: Percent-encoded, without their ``?`` and ``#``; None if absent.
        origin: (scheme, host, port): what pools and credentials are keyed by (RFC 6454).
        target: The request-target in origin-form (RFC 9112 section 3.2.1).
        host_header: Value of the Host field (RFC 9110 section 7.2): no zone, no default port.
        redacted: The URL without user information, query and fragment: the form for errors and logs.
    """

    __slots__ = (
        "_text",
        "authority",
        "explicit_port",
        "fragment",
        "host",
        "host_header",
        "origin",
        "password",
        "path",
        "port",
        "query",
        "redacted",
        "scheme",
        "target",
        "username",
    )

    scheme: str
    username: str | None
    password: str | None
    authority: str | None
    host: str
    explicit_port: int | None
    port: int
    path: str
    query: str | None
    fragment: str | None
    origin: tuple[str, str, int]
    target: bytes
    host_header: bytes
    redacted: str
    _text: str

    def __init__(
        self,
        scheme: str,
        username: str | None,
        password: str | None,
        authority: str | None,
        host: str,
        explicit_port: int | None,
        path: str,
        query: str | None,
        fragment: str | None,
    ) -> None:
        """Hold parts that are valid and encoded already; `parse_url` is for what comes from outside."""
        put = object.__setattr__
        put(self, "scheme", scheme)
        put(self, "username", username)
        put(self, "password", password)
        put(self, "authority", authority)
        put(self, "host", host)
        put(self, "explicit_port", explicit_port)
        put(self, "path", path)
        put(self, "query", query)
        put(self, "fragment", fragment)
        default_port = DEFAULT_PORTS.get(scheme, 0)
        port = default_port if explicit_port is None else explicit_port
        put(self, "port", port)
        put(self, "origin", (scheme, host, port))
        redacted = f"{scheme}:..." if authority is None else f"{scheme}://{authority}{path}"
        put(self, "redacted", redacted)
        relative = path if query is None else f"{path}?{query}"
        put(self, "target", (relative if path else f"/{relative}").encode("utf-8"))
        root = f"{scheme}:" if authority is None else f"{scheme}://{authority}"
        put(self, "_text", f"{root}{relative}" if fragment is None else f"{root}{relative}#{fragment}")
        put(self, "host_header", _host_header(scheme, host, port, default_port))

    def join(self, reference: str) -> URL:
        """Return the URL that *reference* means when it stands in a document at this URL (RFC 3986 section 5.2).

        A reference without authority keeps this URL's user information; one with an authority, even the same
        one, has only its own. The fragment is the reference's; inheriting one is for the redirect policy
        (RFC 9110 section 10.2.2).

        Raises:
            InvalidURL, MissingSchema: As `parse_url`.
        """
        reference = str.__str__(reference)
        _refuse_control(reference)
        if _SCHEME.match(reference):
            return parse_url(reference)
        match = cast("re.Match[str]", _REFERENCE.fullmatch(reference))  # the expression matches any text
        authority, path, query, fragment = match.groups()
        if authority is not None:
            return parse_url(f"{self.scheme}:{reference}")
        if self.authority is None:
            raise InvalidURL(f"Nothing can be relative to {self.redacted!r}, a URL without a host")
        if not path:
            path = self.path
            query = self.query if query is None else query
        elif path[0] != "/":
            path = (self.path[: self.path.rfind("/") + 1] or "/") + path
        return self._replace(path, query, fragment)

    def with_params(self, params: Any) -> URL:
        """Return this URL with *params* added to its query, encoded as requests does.

        Args:
            params: A mapping or an iterable of (name, value) pairs (see `client.percent.form_urlencode`); or
                str or bytes, added as given but for illegal characters; None adds nothing.

        Raises:
            InvalidURL: *params* is of another type or holds what cannot be encoded.
        """
        if params is None:
            return self
        if isinstance(params, bytes | bytearray):
            params = _utf8(params)
        if isinstance(params, str):
            added = str.__str__(params)
            if control := _CONTROL.search(added):
                raise InvalidURL(
                    f"params= holds the control character {control[0]!r} at offset {control.start()}"
                )
            if "#" in added:  # it would end the query there
                added = added.replace("#", "%23")
        else:
            added = form_urlencode(params, "params")
        if not added:
            return self
        return self._replace(self.path, f"{self.query}&{added}" if self.query else added, self.fragment)

    def without_userinfo(self) -> URL:
        """Return this URL without user name and password."""
        if self.username is None and self.password is None:
            return self
        _, _, _, *rest = self._parts()
        return URL(self.scheme, None, None, *rest)

    @property
    def socket_path(self) -> str | None:
        """Path of the Unix socket of an ``http+unix`` URL, decoded; None for other schemes."""
        return unquote(self.host) if self.scheme == UNIX_SCHEME else None

    def _replace(self, path: str, query: str | None, fragment: str | None) -> URL:
        """Return this URL with another tail, which may need encoding; the authority cannot change."""
        try:
            tail = _tail(path, query, fragment)
        except UnicodeEncodeError:
            raise _invalid(self.redacted, "a lone surrogate in what is added to it") from None
        scheme, username, password, authority, host, explicit_port, *_ = self._parts()
        return URL(scheme, username, password, authority, host, explicit_port, *tail)

    def _parts(self) -> tuple[Any, ...]:
        return (
            self.scheme,
            self.username,
            self.password,
            self.authority,
            self.host,
            self.explicit_port,
            self.path,
            self.query,
            self.fragment,
        )

    def __str__(self) -> str:
        """Return the URL without user information, fragment included."""
        return self._text

    def __repr__(self) -> str:
        """Show the redacted form."""
        return f"<URL {self.redacted}>"

    def __eq__(self, other: object) -> bool:
        """Compare all parts, user information included; a URL equals no str."""
        return isinstance(other, URL) and self._parts() == other._parts()

    def __hash__(self) -> int:
        """Hash the text."""
        return hash(self._text)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: URLs are shared by a cache."""
        raise AttributeError("a URL is immutable")

    def __delattr__(self, name: str) -> None:
        """Refuse, as `__setattr__`."""
        raise AttributeError("a URL is immutable")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy by the parts."""
        return URL, self._parts()


def parse_url(text: Any) -> URL:
    """Read an absolute URL.

    http and https are checked in full: user information split off, host in canonical form (see
    `client.hostname`), dot segments of the path removed (RFC 3986 section 5.2.4), illegal characters of path,
    query and fragment percent-encoded. ``http+unix`` likewise, with a socket's path as host. Other schemes,
    which only a mounted adapter can serve, keep their text as it is.

    Args:
        text: str; bytes (UTF-8); a `URL`, returned as it is; any other object stands for its ``str()``.

    Returns:
        The URL; for equal texts often the same object.

    Raises:
        URLRequired: *text* is None.
        MissingSchema: *text* has no scheme.
        InvalidURL: *text* is no URL, or one that is not safe to read (see `client.hostname`).
    """
    if type(text) is str:
        return _parse_cached(text) if len(text) <= MAX_CACHED_LENGTH else _parse(text)
    if isinstance(text, URL):
        return text
    if text is None:
        raise URLRequired("No URL was given")
    if isinstance(text, bytes | bytearray):
        return parse_url(_utf8(text))
    # The content of a str subclass, whatever its own __str__ would say.
    return parse_url(str.__str__(text) if isinstance(text, str) else str(text))


def remove_dot_segments(path: str) -> str:
    """Return an absolute path without ``.`` and ``..`` segments (RFC 3986 section 5.2.4), in linear time."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _parse(text: str) -> URL:
    if control := _CONTROL.search(text):
        raise _invalid(text, f"control character {control[0]!r} at offset {control.start()}")
    if text[:1] == " " or text[-1:] == " ":
        raise _invalid(text, "a blank before or after it")
    match = _URL.fullmatch(text)
    if match is None:
        raise _invalid(text, "no scheme supplied; perhaps https:// is missing", MissingSchema)
    scheme, authority, path, query, fragment = match.groups()
    scheme = scheme.lower()
    try:
        text.encode()  # a lone surrogate anywhere is refused here
        if scheme in DEFAULT_PORTS:
            return URL(scheme, *_authority(authority), *_tail(path, query, fragment))
        if scheme == UNIX_SCHEME:
            if not _SOCKET_PATH.fullmatch(authority or ""):
                raise ValueError("the host must be the percent-encoded path of a socket")
            unquote(authority)  # raises where `socket_path` would
            return URL(scheme, None, None, authority, authority, None, *_tail(path, query, fragment))
        return URL(scheme, *_foreign_authority(authority), path, query, fragment)
    except UnicodeError:
        # Without its cause, whose text shows what it choked on: that may be a password.
        raise _invalid(text, "not encodable as UTF-8") from None
    except ValueError as cause:
        raise _invalid(text, str(cause)) from None


_parse_cached = lru_cache(_CACHED_URLS)(_parse)


def _authority(text: str | None) -> tuple[str | None, str | None, str, str, int | None]:
    """Return user name, password, authority as shown, host and port.

    Raises:
        ValueError: The message holds nothing that could be part of a password.
    """
    if not text:
        raise ValueError("no host supplied")
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        # Which part is wrong may depend on where a password ends, so no part is shown.
        raise ValueError("the part between // and the path is not [user[:password]@]host[:port]")
    userinfo, ipv6, name, digits = match.groups()
    if ipv6 is not None:
        host = canonical_ipv6(ipv6)
        shown = f"[{host.replace('%', '%25')}]"
    else:
        shown = host = canonical_name(name)
    port = int(digits) if digits else None
    if port is not None:
        if port > 65535:
            raise ValueError("the port is above 65535")
        shown = f"{shown}:{port}"
    if not userinfo:
        return None, None, shown, host, port
    if len(userinfo) > MAX_USERINFO:
        raise ValueError(f"user information longer than {MAX_USERINFO} characters")
    if not userinfo.isascii() and hides_delimiter(userinfo):
        raise ValueError("a character of the user information normalises to a delimiter; percent-encode it")
    username, colon, password = userinfo.partition(":")
    return unquote(username), unquote(password) if colon else None, shown, host, port


def _foreign_authority(text: str | None) -> tuple[str | None, str | None, str | None, str, int | None]:
    """As `_authority` for a scheme that is not ours: split by the generic syntax and changed in nothing."""
    if text is None:
        return None, None, None, "", None
    userinfo, at, shown = text.rpartition("@")
    host, _, digits = shown.rpartition(":")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5) or ("[" in host) != ("]" in host):
        host, digits = shown, ""
    username, colon, password = userinfo.partition(":")
    return (
        unquote(username) if at else None,
        unquote(password) if colon else None,
        shown,
        host.removeprefix("[").removesuffix("]"),
        int(digits) if digits else None,
    )


def _tail(path: str, query: str | None, fragment: str | None) -> tuple[str, str | None, str | None]:
    return (
        remove_dot_segments(quote_path(path)) if path else "/",
        query if query is None else quote_query(query),
        fragment if fragment is None else quote_query(fragment),
    )


def _host_header(scheme: str, host: str, port: int, default_port: int) -> bytes:
    if scheme == UNIX_SCHEME:
        return b"localhost"  # a socket's path is no host; what curl and docker send
    if ":" in host:
        # A zone is meaningful on this machine only and must not leave it (RFC 6874 section 4).
        host = f"[{host.partition('%')[0]}]"
    return (host if port == default_port else f"{host}:{port}").encode("utf-8")


def _utf8(text: bytes | bytearray) -> str:
    try:
        return bytes(text).decode()
    except UnicodeDecodeError:
        raise InvalidURL("Invalid URL: the bytes given are not UTF-8") from None


def _refuse_control(text: str) -> None:
    if control := _CONTROL.search(text):
        raise _invalid(text, f"control character {control[0]!r} at offset {control.start()}")


def _invalid(
    text: str, reason: str, error: type[InvalidURL | MissingSchema] = InvalidURL
) -> InvalidURL | MissingSchema:
    """Return the error, showing of *text* nothing that could be part of a credential or query."""
    if "@" in text:
        # Where user information ends is just what is not known of a broken URL.
        shown = text[: text.find("://") + 3] if "://" in text[:20] else ""
        shown = f"{shown}..."
    else:
        shown = re.split(r"[?#]", text[:_SHOWN], maxsplit=1)[0]
        shown += "" if len(shown) == len(text) else "..."
        shown = _NO_PORT.sub(r"\1:...", shown, count=1)
    return error(f"Invalid URL {shown!r}: {reason}")
