"""How many connections a session may have, and how long it keeps them: the settings of the pool."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["DEFAULT_LIMITS", "PoolLimits"]


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
