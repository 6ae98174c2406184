"""Where a redirect leads, and what may go along.

Two pure questions: `follow` decides the next method and URL (RFC 9110 section 15.4), `surviving_fields`
decides which of the caller's header fields go there.  Nothing else in the library strips a header field on a
redirect, so that every way to send a request is as safe as any other.  Counting hops, closing connections
and replaying the body are the exchange's business.

Credentials belong to the origin (scheme, host, port) they were given for.  A list of names to strip always
lacks one (``X-Api-Key``, ``X-Vault-Token``, ...), so a hop to another origin keeps a short list of harmless
names and drops the rest.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from client.exceptions import InvalidRequest, RedirectError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from client.url import URL

__all__ = ["REDIRECT_STATUSES", "Redirect", "follow", "same_origin", "surviving_fields"]

#: Statuses whose Location is followed.  300, 304, 305 and 306 are handed to the caller whatever they carry.
REDIRECT_STATUSES: Final = frozenset({301, 302, 303, 307, 308})

#: Bytes of a Location that are read at most; servers refuse request lines far below this.
MAX_LOCATION: Final = 16_384

#: What goes to another origin: content negotiation, and the part of the representation that is wanted.
ALLOWED_CROSS_ORIGIN: Final = frozenset(
    {"accept", "accept-encoding", "accept-language", "if-range", "range", "user-agent"}
)

#: What describes the body; goes wherever the body goes, and nowhere else (CVE-2023-45803).
BODY_FIELDS: Final = frozenset(
    {"content-encoding", "content-language", "content-length", "content-type", "transfer-encoding"}
)

#: What makes no sense without the body, and may only stay at the same origin with it.
_ALSO_OF_THE_BODY: Final = frozenset(
    {"content-digest", "content-location", "content-md5", "digest", "expect", "repr-digest", "trailer"}
)

_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
_BACKSLASH: Final = re.compile(r"[^?#\\]*\\")
_AUTHORITY: Final = re.compile(r"(?:[^:/?#]+:)?//")  # RFC 3986 appendix B, as far as it is needed
_HIGH_BYTE: Final = re.compile(rb"[\x80-\xff]")

Text = TypeVar("Text", str, bytes)
HeaderForms: TypeAlias = "Mapping[Text, Text] | Iterable[tuple[Text, Text]]"


class Redirect:
    """The next hop.

    Attributes:
        method: The method to use.
        url: Where to; never with userinfo that the peer chose.
        keep_body: True if the body goes along; the caller of `follow` sees to its replay.
        same_origin: False if this hop leaves the origin (see the function `same_origin`): drop auth and the
            cookies that the caller set without a domain, for the rest of the chain (CVE-2024-45336).
    """

    __slots__ = ("keep_body", "method", "same_origin", "url")

    def __init__(self, method: str, url: URL, *, keep_body: bool, same_origin: bool) -> None:
        """Hold the four facts."""
        self.method: str = method
        self.url: URL = url
        self.keep_body: bool = keep_body
        self.same_origin: bool = same_origin

    def __repr__(self) -> str:
        """Show the hop without the query, which may hold a secret."""
        return f"<Redirect {self.method} {self.url.redacted}>"


def follow(status: int, method: str, url: URL, locations: Sequence[bytes]) -> Redirect | None:
    """Decide where a response leads.

    Args:
        status: Of the response.
        method: Of the request that was answered, as sent.
        url: Of the request that was answered.
        locations: The values of the response's Location fields, one each.

    Returns:
        The next hop, or None if the response is not a redirect: another status, no Location or an empty one.

    Raises:
        RedirectError: Several different Locations; control characters, backslashes or more than 16384 bytes
            in it; a URL that breaks RFC 3986; a scheme other than http and https. The message never shows the
            Location, which may hold a secret. The caller attaches the response.

    RFC 9110 sections 10.2.2 and 15.4.
    """
    if status not in REDIRECT_STATUSES:
        return None
    reference = _reference(url, locations)
    if not reference:
        return None
    new_method = _next_method(status, method)
    return Redirect(
        new_method,
        target := _resolve(url, reference),
        keep_body=status != 303 and new_method == method,
        same_origin=same_origin(url, target),
    )


def same_origin(source: URL, target: URL) -> bool:
    """Tell whether credentials for *source* may go to *target*.

    Scheme, host and port are equal; or the hop is from http on port 80 to https on port 443 of one host, the
    upgrade that nearly every site makes (requests' documented exception).
    """
    if source.origin == target.origin:
        return True
    upgrade = ("http", 80), ("https", 443)
    return (
        source.host == target.host and ((source.scheme, source.port), (target.scheme, target.port)) == upgrade
    )


def surviving_fields(
    fields: HeaderForms[Text], source: URL, redirect: Redirect, extra_names: Collection[str] = ()
) -> list[tuple[Text, Text]]:
    """Return those of the request's header fields that go along on a redirect; the one place that strips.

    Args:
        fields: A mapping or (name, value) pairs, str or bytes; whatever case the names are in.
        source: The URL that was answered by the redirect.
        redirect: The hop, from `follow`.
        extra_names: Further names that may go to another origin (``Session(redirect_headers=...)``).

    Returns:
        (name, value) pairs in order, as they were given. Use them for the following hops as well: what is
        gone stays gone, even if the chain comes back.
    """
    keep = (
        None if redirect.same_origin else ALLOWED_CROSS_ORIGIN | BODY_FIELDS | set(map(_lowered, extra_names))
    )
    drop = set() if redirect.keep_body else BODY_FIELDS | _ALSO_OF_THE_BODY
    if source.origin != redirect.url.origin:
        # Even the upgrade to https leaves these behind: the Host named another port, and a plain proxy's
        # credentials would go through the tunnel to the origin (CVE-2023-32681).
        drop |= {"host", "proxy-authorization"}
    pairs = fields.items() if hasattr(fields, "items") else fields
    return [
        (name, value)
        for name, value in pairs
        if (lowered := _lowered(name)) not in drop and (keep is None or lowered in keep)
    ]


def _lowered(name: str | bytes) -> str:
    # str.__str__: the content of a subclass, which is what will be sent, whatever its own methods say.
    return (name.decode("latin-1") if isinstance(name, bytes) else str.__str__(name)).strip().lower()


def _next_method(status: int, method: str) -> str:
    """Return the method of the next hop, RFC 9110 sections 15.4.2 to 15.4.9."""
    if status == 303:
        return "HEAD" if method == "HEAD" else "GET"
    if status in {301, 302} and method == "POST":
        return "GET"  # what every user agent does; 307 and 308 exist for those who mean POST
    return method


def _reference(url: URL, locations: Sequence[bytes]) -> str:
    """Return the one Location as text, ``""`` if there is none."""
    values = {value.strip(b" \t") for value in locations}
    if len(values) > 1:
        raise _refused(url, f"{len(values)} different Location fields")
    raw = values.pop() if values else b""
    if len(raw) > MAX_LOCATION:
        raise _refused(url, f"a Location of {len(raw)} bytes, at most {MAX_LOCATION} are read")
    if _CONTROL.search(raw):
        raise _refused(url, "a control character in Location")
    try:
        reference = raw.decode()
    except UnicodeDecodeError:
        # Octets in no known charset: what the peer wrote is what its URL means, so they travel escaped.
        reference = _HIGH_BYTE.sub(lambda octet: b"%%%02X" % octet[0][0], raw).decode("ascii")
    if _BACKSLASH.match(reference):
        raise _refused(url, "a backslash in Location, which browsers read as a slash and RFC 3986 does not")
    return reference


def _resolve(url: URL, reference: str) -> URL:
    """Resolve *reference* (RFC 3986 section 5) without its userinfo; the fragment of *url* is inherited."""
    try:
        target = url.join(reference)
        if _AUTHORITY.match(reference):
            # Credentials that the peer chose would be sent as if the caller had given them.
            target = target.without_userinfo()
        if url.fragment and "#" not in reference:
            target = target.join(f"#{url.fragment}")
    except InvalidRequest as error:
        raise _refused(url, "a Location that is no URL of http or https") from error
    if target.scheme not in {"http", "https"} and target.origin != url.origin:
        raise _refused(url, f"a Location of scheme {target.scheme[:20]!r}, only http and https are followed")
    return target


def _refused(url: URL, seen: str) -> RedirectError:
    return RedirectError(f"{url.redacted} redirects with {seen}")
