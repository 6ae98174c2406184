"""How a session's defaults and a call's arguments become one.

The call wins; a value of None takes a default away (documented by requests for mappings).  Values that are not
mappings replace the default whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from client.exceptions import InvalidHeader, InvalidRequest
from client.headers import CaseInsensitiveDict

if TYPE_CHECKING:
    from client.proxies import ProxyMap

__all__ = ["as_pairs", "merge_headers", "merge_hooks", "merge_params", "merge_proxies"]


def as_pairs(value: Any, argument: str) -> list[tuple[Any, Any]]:
    """Return the items of a mapping, or of an iterable of pairs, as a list.

    Raises:
        InvalidRequest: It is neither.
    """
    items = value.items() if isinstance(value, Mapping) else value
    try:
        # The list first: it is there before another thread can change a mapping of the session.
        return [(name, item) for name, item in list(items)]
    except (TypeError, ValueError):
        raise InvalidRequest(
            f"{argument}= must be a mapping or (name, value) pairs, not {type(value).__name__}"
        ) from None


def merge_headers(defaults: Mapping[str, Any] | None, given: Any) -> CaseInsensitiveDict:
    """Return *defaults* with the fields of *given* on top, in a new mapping; None removes.

    Raises:
        InvalidRequest: *given* is neither a mapping nor pairs.
        InvalidHeader: A name is neither str nor bytes.
    """
    merged = CaseInsensitiveDict()
    for name, value in defaults.items() if defaults else ():
        if value is not None:
            merged[_header_key(name)] = value
    for name, value in as_pairs(given or (), "headers"):
        key = _header_key(name)
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged


def _header_key(name: Any) -> str:
    """Return *name* as str: one that a session has as bytes gives way to the same name as str."""
    key = name.decode("latin-1") if isinstance(name, bytes) else name
    if not isinstance(key, str):
        raise InvalidHeader(f"A header name must be str or bytes, not {type(name).__name__}")
    return key


def merge_params(defaults: Any, given: Any) -> Any:
    """Return the query parameters of session and call together; a str or bytes on either side replaces.

    A name of the call stands where the session has it, as in requests, unless one of the two is pairs.
    """
    if not defaults:
        return given
    if given is None:
        return defaults
    if isinstance(given, Mapping) and isinstance(defaults, Mapping):
        return {**defaults, **given}
    if isinstance(given, (str, bytes)) or isinstance(defaults, (str, bytes)):
        return given
    given_pairs = as_pairs(given, "params")
    names = {name for name, _ in given_pairs}
    return [pair for pair in as_pairs(defaults, "params") if pair[0] not in names] + given_pairs


def merge_hooks(defaults: Mapping[str, Any], given: Any) -> Mapping[str, Any]:
    """Return the call's hooks, or the session's where the call has none (as requests does).

    Raises:
        InvalidRequest: There is no such event.
    """
    if given is None:
        return defaults
    if not isinstance(given, Mapping) or set(given) - {"response"}:
        raise InvalidRequest("hooks= must be a mapping with the one key 'response'")
    hooks: Mapping[str, Any] = given
    return hooks if hooks.get("response") else defaults


def merge_proxies(
    given: Mapping[str, Any] | None, defaults: Mapping[str, Any], environment: ProxyMap | None
) -> ProxyMap | None:
    """Return the proxies of call, session and environment, asked in this order; None if there are none.

    An empty mapping as the call's own means "no proxy for this call".
    """
    if given is not None and not given:
        return None
    if not given and not defaults:
        return environment
    from client.proxies import ProxyMap

    merged = ProxyMap(given).or_else(ProxyMap(defaults))
    return (merged if environment is None else merged.or_else(environment)) or None
