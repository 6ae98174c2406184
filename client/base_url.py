"""Relative URLs of a session with a ``base_url``.

The base is a prefix: what a call names is appended to its path, with or without a leading slash, so that
``https://h/api/v1`` and ``/users`` make ``https://h/api/v1/users``.  RFC 3986 joining would drop ``v1``, which no
user of an API client means.
"""

from __future__ import annotations

import re
from typing import Any, Final

from client.exceptions import InvalidURL, URLRequired
from client.url import URL, parse_url

__all__ = ["resolve_on_base"]

_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*+://")
#: "..", as servers read it that unescape before they resolve; plain ones are resolved by then.
_ESCAPED_PARENT: Final = re.compile(r"/(?:\.|%2e){2}(?:/|\Z)", re.IGNORECASE)


def resolve_on_base(base: URL, url: Any) -> URL:
    """Return the URL that *url* means on *base*.

    Args:
        base: The session's.
        url: Absolute (taken as it is), or path, query and fragment in any combination.

    Raises:
        InvalidURL: It begins with ``//``, which is another host to some and a path to others; or it leaves the
            base's path by way of ``..``, escaped or not.
        URLRequired: It is None.
    """
    if isinstance(url, URL):
        return url
    if url is None:
        raise URLRequired("No URL was given")
    text = url.decode("utf-8", "surrogateescape") if isinstance(url, bytes) else str(url)
    if _ABSOLUTE.match(text):
        return parse_url(text)
    if text[:2] in ("//", "/\\", "\\\\", "\\/"):
        raise InvalidURL(
            "a relative URL begins with two slashes: is it a path, or another host? Write it in full"
        )
    path, mark, rest = re.match(r"([^?#]*+)([?#]?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]  # any text matches
    root = base.path.removesuffix("/")
    whole = f"{root}/{path.removeprefix('/')}" if path else base.path
    resolved = base.join(f"{whole}{mark}{rest}")
    stays = resolved.path == base.path or resolved.path.startswith(f"{root}/")
    if not stays or (root and _ESCAPED_PARENT.search(resolved.path, len(root))):
        raise InvalidURL("a relative URL leaves the path of base_url by way of '..'")
    return resolved
