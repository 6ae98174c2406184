"""The two ways to break HTTP/1.1, split by whose fault it is.

    ProtocolError
    |- LocalProtocolError    we tried it: an event constructor, `send` or `start_next_cycle` refused
    `- RemoteProtocolError   the peer did it: `next_event` refused; answer with `error_status_hint` and close

No message holds more than `EXCERPT_BYTES` of what the peer sent, and what it holds is escaped, so that a log
or a terminal can show it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LocalProtocolError", "ProtocolError", "RemoteProtocolError", "excerpt"]

EXCERPT_BYTES: Final = 100


class ProtocolError(Exception):
    """HTTP/1.1 was violated. Abstract: only its two subclasses are raised.

    Attributes:
        error_status_hint: The status code that a server would answer with, 400 unless something fits better
            (414, 431, 501, 505). On a `LocalProtocolError` it is what the peer might have answered.

    Raises:
        TypeError: `ProtocolError` itself was instantiated.
    """

    def __init__(self, msg: str, error_status_hint: int = 400) -> None:
        if type(self) is ProtocolError:
            raise TypeError("ProtocolError is abstract: raise LocalProtocolError or RemoteProtocolError")
        super().__init__(msg)
        self.error_status_hint = error_status_hint


class LocalProtocolError(ProtocolError):
    """We were about to violate HTTP/1.1; not one byte of it was produced."""


class RemoteProtocolError(ProtocolError):
    """The peer violated HTTP/1.1; nothing more is read from this connection."""


def excerpt(data: bytes | bytearray) -> str:
    """Show at most `EXCERPT_BYTES` of *data*, with every byte outside printable ASCII escaped."""
    shown = repr(bytes(data[:EXCERPT_BYTES]))
    return f"{shown}... ({len(data)} bytes)" if len(data) > EXCERPT_BYTES else shown
