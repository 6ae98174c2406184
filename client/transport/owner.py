"""What a response asks of whoever owns its connection before and after it; the pool, and a test's stand-in.

For annotations: nothing imports it when the program runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from client.transport.connection import HTTPConnection

__all__ = ["Owner"]


class Owner(Protocol):
    """Where a connection goes when its exchange is over; the pool."""

    def release(self, connection: HTTPConnection, now: float) -> None:
        """Take back a connection that may serve another request; *now* is the time, in monotonic seconds."""
        ...

    def discard(self, connection: HTTPConnection, why: str) -> None:
        """Close a connection that may not, free its slot, and log *why*. Idempotent."""
        ...

    def abandon(self, connection: HTTPConnection) -> None:
        """As `discard`, for a finaliser: takes no lock, closes later."""
        ...

    def forget(self, connection: HTTPConnection) -> None:
        """Free the slot of a connection whose socket has been handed to the caller."""
        ...
