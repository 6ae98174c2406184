"""Percent-encoding: what may stand in a URL as it is, and how the rest is written.

The law of the room: a valid escape is never decoded or encoded again, because signatures and servers look at
the very octets; and every function is linear in its input, however hostile.  RFC 3986 section 2;
application/x-www-form-urlencoded as `urllib.parse.urlencode` writes it (and so requests).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from client.exceptions import InvalidRequest, InvalidURL

__all__ = ["form_urlencode", "quote_path", "quote_plus", "quote_query", "unquote"]

# RFC 3986
#   pchar      = unreserved / pct-encoded / sub-delims / ":" / "@"      (section 3.3)
#   unreserved = ALPHA / DIGIT / "-" / "." / "_" / "~"                  (section 2.3)
#   sub-delims = "!" / "$" / "&" / "'" / "(" / ")" / "*" / "+" / "," / ";" / "="
_UNRESERVED: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_PATH: Final = _UNRESERVED + "!$&'()*+,;=:@/"
_QUERY: Final = _PATH + "?"  # also of fragments (sections 3.4, 3.5)

_LEGAL_PATH: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]++|%[0-9A-Fa-f]{2})*+")
_LEGAL_QUERY: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]++|%[0-9A-Fa-f]{2})*+")
_LEGAL_IN_FORM: Final = re.compile(r"[A-Za-z0-9\-._~]*+")
_STRAY_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_QUOTED_ESCAPE: Final = re.compile(r"%25(?=[0-9A-Fa-f]{2})")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")

#: Iterable, and yet one value.
_TEXT: Final = (str, bytes, bytearray, memoryview)
#: Several values, where they stand among others.
_SEVERAL: Final = (list, tuple, set, frozenset, Mapping)


def quote_path(text: str) -> str:
    """Return *text* with every character that RFC 3986 section 3.3 does not allow in a path as %XX of its UTF-8.

    Raises:
        UnicodeEncodeError: A lone surrogate.
    """
    return text if _LEGAL_PATH.fullmatch(text) else _quote(text, _PATH)


def quote_query(text: str) -> str:
    """As `quote_path`, for a query or a fragment (RFC 3986 sections 3.4 and 3.5)."""
    return text if _LEGAL_QUERY.fullmatch(text) else _quote(text, _QUERY)


def quote_plus(text: str | bytes) -> str:
    """Return *text* as one name or value of a form: all but unreserved characters as %XX, a blank as "+".

    Raises:
        UnicodeEncodeError: A lone surrogate.
    """
    if isinstance(text, str):
        if _LEGAL_IN_FORM.fullmatch(text):
            return text
        text = text.encode()
    return "".join(map(_escapes(_UNRESERVED, " ").__getitem__, text))


def unquote(text: str) -> str:
    """Return *text* with its valid escapes decoded, as UTF-8.

    Raises:
        UnicodeError: A lone surrogate, or escapes that are not UTF-8.
    """
    if "%" not in text:
        return text
    return _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode()).decode()


def form_urlencode(fields: Any, argument: str, error: type[InvalidRequest] = InvalidURL) -> str:
    """Return *fields* as application/x-www-form-urlencoded text, octet for octet what requests sends.

    Args:
        fields: A mapping, or an iterable of (name, value) pairs. A value that is an iterable stands for
            several values of one name, and so does a list in it; a value of None is dropped, anything else that
            is neither str nor bytes is sent as ``str(value)``.
        argument: What the caller's argument is called, for the message.
        error: The exception to raise.

    Raises:
        InvalidRequest: (*error*) *fields* has another shape, there is a mapping in a value (requests would send
            its keys and lose its values) or lists in lists in it, or a text is not encodable as UTF-8.
    """
    try:
        return "&".join(
            f"{_form_text(name)}={_form_text(value)}" for name, value in form_fields(fields, argument, error)
        )
    except UnicodeEncodeError:
        raise error(f"{argument}= holds a lone surrogate, which UTF-8 cannot encode") from None


def form_fields(fields: Any, argument: str, error: type[InvalidRequest]) -> Iterable[tuple[Any, Any]]:
    """Yield (name, single value) for *fields* as `form_urlencode` takes them; None is dropped."""
    for name, value in _pairs(fields, argument, error):
        if isinstance(value, _TEXT) or not hasattr(value, "__iter__"):
            if value is not None:
                yield name, value
        else:
            yield from ((name, item) for item in _values(name, value, argument, error))


def _values(
    name: Any, value: Any, argument: str, error: type[InvalidRequest], depth: int = 1
) -> Iterable[Any]:
    """Yield the single values in *value*, and in a list that it holds: urlencode takes those apart, too."""
    if isinstance(value, Mapping) or depth > 2:
        raise error(
            f"{argument}= has a {type(value).__name__} in the value of {name!r}; "
            "a form is flat: give one name per value, or send JSON"
        )
    for item in value:
        if isinstance(item, _TEXT) or not isinstance(item, _SEVERAL):
            if item is not None:
                yield item
        else:
            yield from _values(name, item, argument, error, depth + 1)


def _pairs(fields: Any, argument: str, error: type[InvalidRequest]) -> Iterable[tuple[Any, Any]]:
    # A list: those of this moment, so that another thread may go on changing a mapping of the session.
    pairs = list(fields.items()) if isinstance(fields, Mapping) else fields
    if isinstance(pairs, str | bytes) or not hasattr(pairs, "__iter__"):
        raise error(f"{argument}= must be a mapping or an iterable of pairs, not {type(fields).__name__}")
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise error(f"{argument}= must hold (name, value) pairs; it holds a {type(pair).__name__}")
        yield pair[0], pair[1]


def _form_text(value: Any) -> str:
    if isinstance(value, str):
        # The content of a subclass (an Enum, say), whatever its own str() would be.
        return quote_plus(str.__str__(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return quote_plus(bytes(value))
    return quote_plus(str(value))


def _quote(text: str, legal: str) -> str:
    encoded = "".join(map(_escapes(legal + "%").__getitem__, text.encode()))
    if _STRAY_PERCENT.search(encoded) is None:
        return encoded
    # Every percent sign is escaped, then those of valid escapes are put back: at most len(text) / 3 matches.
    return _QUOTED_ESCAPE.sub("%", encoded.replace("%", "%25"))


@cache
def _escapes(legal: str, plus: str = "") -> tuple[str, ...]:
    """Return for each octet how it is written; a table, since a call per character would be slow on 1 MiB."""
    return tuple(
        chr(octet) if chr(octet) in legal else "+" if chr(octet) in plus else f"%{octet:02X}"
        for octet in range(256)
    )
