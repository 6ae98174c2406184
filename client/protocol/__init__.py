"""HTTP/1.1 without I/O: bytes in, events out, and back, for both roles.

Everything to begin with: `Connection`, the events, and the sentinels for roles and states. The API is h11's;
what differs and what is new is listed in docs/from-h11.md, how to use it alone in docs/sans-io.md. Nothing
here opens a socket, reads a clock, starts a thread, or imports anything but the standard library.
"""

from __future__ import annotations

from typing import Final

from .connection import Connection
from .errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from .events import (
    ConnectionClosed,
    Data,
    EndOfMessage,
    Event,
    InformationalResponse,
    Request,
    Response,
)
from .headers import Headers
from .limits import Limits
from .state import (
    CLIENT,
    CLOSED,
    DONE,
    ERROR,
    IDLE,
    MIGHT_SWITCH_PROTOCOL,
    MUST_CLOSE,
    NEED_DATA,
    PAUSED,
    SEND_BODY,
    SEND_RESPONSE,
    SERVER,
    SWITCHED_PROTOCOL,
    CloseReason,
    Sentinel,
)

__all__ = [
    "CLIENT",
    "CLOSED",
    "DONE",
    "ERROR",
    "IDLE",
    "MIGHT_SWITCH_PROTOCOL",
    "MUST_CLOSE",
    "NEED_DATA",
    "PAUSED",
    "PRODUCT_ID",
    "SEND_BODY",
    "SEND_RESPONSE",
    "SERVER",
    "SWITCHED_PROTOCOL",
    "CloseReason",
    "Connection",
    "ConnectionClosed",
    "Data",
    "EndOfMessage",
    "Event",
    "Headers",
    "InformationalResponse",
    "Limits",
    "LocalProtocolError",
    "ProtocolError",
    "RemoteProtocolError",
    "Request",
    "Response",
    "Sentinel",
]

#: For a User-Agent or Server field, where the program that uses the engine has no name of its own.
PRODUCT_ID: Final = "threadwire-protocol"
