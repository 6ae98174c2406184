"""What a setting of a session may be, and an argument of a call by the same name.

The law of the room: one table, and nothing is changed on the way.  A session asks it where a setting is assigned, so
that the error comes up where the mistake is; a call asks it for what it brings, before anything is sent.  Settings
with a grammar of their own (timeouts, URLs, header fields, TLS) are read by their own rooms.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from client.exceptions import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EXPECTED", "check"]


class Expected(NamedTuple):
    """Whether a value will do, and in words what would."""

    allows: Callable[[Any], bool]
    words: str


def check(name: str, value: Any) -> None:
    """Refuse *value* for the setting or argument *name* of the table.

    Raises:
        InvalidRequest: It makes no sense there; the message says what would.
    """
    expected = EXPECTED[name]
    if not expected.allows(value):
        shown = type(value).__name__ if name in _SECRET else repr(value)
        raise InvalidRequest(f"{name}={shown:.60}: expected {expected.words}")


#: What tokens and passwords are in, so that no message shows it, whatever form it has.
_SECRET: Final = frozenset({"adapters", "headers", "hooks", "proxies"})


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_count_or_none(value: Any) -> bool:
    return value is None or _is_count(value)


def _is_ratio_or_none(value: Any) -> bool:
    # Not a number is not more than 0 either.
    return value is None or (
        isinstance(value, (int, float)) and not isinstance(value, bool) and bool(value > 0)
    )


def _is_function_or_none(value: Any) -> bool:
    return value is None or callable(value)


def _has_names(value: Any) -> bool:
    return (
        isinstance(value, Collection)
        and not isinstance(value, (str, bytes))
        and all(isinstance(name, (str, bytes)) for name in value)
    )


def _has_adapters(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(prefix, str) and callable(getattr(adapter, "send", None))
        for prefix, adapter in value.items()
    )


_SWITCH: Final = Expected(lambda value: isinstance(value, bool), "True or False")
_FUNCTION: Final = Expected(_is_function_or_none, "a function or None")

EXPECTED: Final[dict[str, Expected]] = {
    "adapters": Expected(_has_adapters, "a mapping of URL prefixes to adapters"),
    "expect": Expected(
        lambda value: value is None or isinstance(value, bool) or _is_count(value),
        "True, False or a number of bytes",
    ),
    "headers": Expected(lambda value: value is None or hasattr(value, "items"), "a mapping or None"),
    "hooks": Expected(lambda value: isinstance(value, Mapping), "a mapping"),
    "idempotent": Expected(lambda value: value is None or isinstance(value, bool), "True, False or None"),
    "max_body": Expected(_is_count_or_none, "a number of bytes or None"),
    "max_size": Expected(_is_count_or_none, "a number of bytes or None"),
    "max_ratio": Expected(_is_ratio_or_none, "a number above 0 or None"),
    "max_redirects": Expected(_is_count, "a number of hops"),
    "on_informational": _FUNCTION,
    "on_retry": _FUNCTION,
    "overwrite": _SWITCH,
    "progress": _FUNCTION,
    "proxies": Expected(lambda value: value is None or isinstance(value, Mapping), "a mapping or None"),
    "redirect_headers": Expected(_has_names, "names of header fields"),
    "trace": _FUNCTION,
    "resume": _SWITCH,
    "transport": Expected(
        lambda value: value is None or callable(getattr(value, "round_trip", None)),
        "an object with round_trip() and close()",
    ),
}
