"""How many connections a session may have, and how long it keeps them: its settings, and the peer's word."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from client.exceptions import InvalidRequest

if TYPE_CHECKING:
    from client.protocol import Headers

__all__ = ["DEFAULT_LIMITS", "PoolLimits", "check_limits", "keep_alive_seconds"]


class PoolLimits(NamedTuple):
    """How many connections a session may have, and how long an unused one is kept.

    Attributes:
        total: Open connections in all.
        per_origin: Open connections to one origin (through one proxy, with one set of TLS settings).
        idle: Unused connections that are kept, in all.
        idle_seconds: How long an unused one is kept. 50 stays below what servers (60 and more) and address
            translators (350) usually allow; a server's ``Keep-Alive: timeout=`` shortens it.
        max_age: Seconds after which a connection serves no further request; None for no limit.
    """

    total: int = 256
    per_origin: int = 64
    idle: int = 32
    idle_seconds: float = 50.0
    max_age: float | None = None


DEFAULT_LIMITS: Final = PoolLimits()


def check_limits(limits: Any) -> PoolLimits:
    """Return *limits* if they are `PoolLimits` that a pool can work with.

    Raises:
        InvalidRequest: They are not; the message names the one that is wrong.
    """
    if not isinstance(limits, PoolLimits):
        raise InvalidRequest(f"limits={limits!r}: expected a PoolLimits")
    for name, least in (("total", 1), ("per_origin", 1), ("idle", 0)):
        count = getattr(limits, name)
        if type(count) is not int or count < least:
            raise InvalidRequest(
                f"PoolLimits({name}={count!r}): expected a number of connections, at least {least}"
            )
    for name in ("idle_seconds", "max_age"):
        seconds = getattr(limits, name)
        if name == "max_age" and seconds is None:
            continue
        if not isinstance(seconds, (int, float)) or not 0 <= seconds < inf:  # false for nan as well
            raise InvalidRequest(f"PoolLimits({name}={seconds!r}): expected a number of seconds, 0 or more")
    return limits


def keep_alive_seconds(headers: Headers) -> float | None:
    """Return how long the peer says it keeps an idle connection (``Keep-Alive: timeout=5``), None if it does not.

    One second less, for the time that our next request takes to arrive.
    """
    for name, value in headers:
        if name == b"keep-alive":
            for parameter in value.lower().split(b","):
                key, _, seconds = parameter.strip().partition(b"=")
                if key == b"timeout" and seconds.isdigit() and len(seconds) < 10:
                    return max(0.0, float(seconds) - 1.0)
    return None
