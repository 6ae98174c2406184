"""The form of one conformance row: bytes on the wire, and the one right answer to them.

A row is data, so that a reader can grep its id (`R43`, `K21`) and find the stimulus, the verdict, the
section and the reason on one line.  How a row is fed lives in `feeding`, what is asserted in
`test_verdicts`.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

__all__ = ["Context", "Row", "Verdict"]


class Verdict(enum.Enum):
    """The five answers an engine can give to bytes from a peer."""

    ACCEPT = "delivered, and the connection may carry another message"
    ACCEPT_CLOSE = "delivered, but the connection may carry nothing more"
    TUNNEL = "delivered, and the bytes that follow are no longer HTTP"
    REJECT = "RemoteProtocolError before the peer closes"
    INCOMPLETE = "RemoteProtocolError when the peer closes, for want of the rest"


class Context(enum.Enum):
    """What happened on the connection before the stimulus arrives."""

    GET = "client; GET sent"
    HEAD = "client; HEAD sent"
    CONNECT = "client; CONNECT sent"
    UPGRADE = "client; GET with Upgrade: websocket sent"
    SECOND_GET = "client; one exchange done, second GET sent"
    SERVER = "server; nothing yet"
    SERVER_SECOND = "server; one exchange done"


class Row(NamedTuple):
    """One stimulus and its verdict.

    Attributes:
        id: The name to grep for; a letter for the room, two digits, and a small letter for a variant.
        stimulus: What the peer sends, without the EOF that always follows.
        verdict: The one right answer.
        section: Where the rule stands, as ``"9112 6.3"``.
        reason: One line: why this verdict.
        context: What went before.
        body: The body to be delivered, or None if the row says nothing about it.
        trailers: The trailer fields to be delivered, or None if the row says nothing about them.
        fields: Fields of the final head that must be delivered exactly so, lower-case names.
        left: What must stay in `Connection.trailing_data`, or None if the row says nothing about it.
        hints: The `error_status_hint`s that fit a refusal (SERVER); empty if the row does not care.
        by: The refusal comes once this many bytes arrived, whether or not a line ended; None: no such bound.
    """

    id: str
    stimulus: bytes
    verdict: Verdict
    section: str
    reason: str
    context: Context = Context.GET
    body: bytes | None = None
    trailers: tuple[tuple[bytes, bytes], ...] | None = None
    fields: tuple[tuple[bytes, bytes], ...] = ()
    left: bytes | None = None
    hints: tuple[int, ...] = ()
    by: int | None = None
