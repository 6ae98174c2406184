"""What the pool tells: the logger ``client.pool`` of each connection, made, closed and why; a trace of its queue.

Calls tell of a connection's reuse themselves (``client.exchange``).  A connection is known by the port at our end,
which both logs name.  Nothing is said while a lock is held: a handler is the program's own code.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from client.logs import DEBUG, logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from client.transport.connection import HTTPConnection
    from client.transport.dialer import Route, Trace

__all__ = ["close_all", "tell_closed", "tell_detached", "tell_made", "trace_queue", "why_unfit"]

_NAME: Final = "client.pool"


def tell_made(connection: HTTPConnection, route: Route) -> None:
    """Tell that *connection* stands."""
    log = logger(_NAME)
    if log is not None and log.isEnabledFor(DEBUG):
        info = connection.info
        seconds = info.dns + info.connect + info.tls
        log.debug("made %s for %r in %.3f s, %s", _named(info), route, seconds, info.tls_version or "no TLS")


def tell_closed(connection: HTTPConnection, why: str) -> None:
    """Tell that *connection* is closed."""
    log = logger(_NAME)
    if log is not None and log.isEnabledFor(DEBUG):
        log.debug("closed %s: %s", _named(connection.info), why)


def tell_detached(connection: HTTPConnection) -> None:
    """Tell that the socket of *connection* is the caller's now."""
    log = logger(_NAME)
    if log is not None and log.isEnabledFor(DEBUG):
        log.debug("handed over %s", _named(connection.info))


def trace_queue(trace: Trace | None, wait: Callable[[], None]) -> None:
    """Call *wait*, and tell *trace*, if there is one, that it begins and how it ended."""
    if trace is None:
        wait()
        return
    started, outcome = monotonic(), "failed"
    trace("queue.start", {})
    try:
        wait()
        outcome = "end"
    finally:
        trace(f"queue.{outcome}", {"seconds": monotonic() - started})


def close_all(
    connections: Iterable[HTTPConnection], why: str = "its slot was needed, or more were idle than are kept"
) -> None:
    """Close *connections*, which are in nobody's books any more, and tell *why*."""
    for connection in connections:
        connection.close()
        tell_closed(connection, why)


def why_unfit(connection: HTTPConnection, now: float) -> str:
    """Return why an idle *connection* cannot serve at *now* (monotonic seconds)."""
    is_expired = connection.expires_at <= now
    return "it was idle for too long" if is_expired else "the server closed it, or spoke unasked, meanwhile"


def _named(info: Any) -> str:
    peer = info.peer
    if not isinstance(peer, tuple):
        return f"the connection to {peer!r}"
    return f"the connection to {peer[0]} port {peer[1]} from port {info.local[1]}"
