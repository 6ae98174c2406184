"""What a body is sent as, without a connection."""

from __future__ import annotations

from typing import Any

from client.body import wire_body
from client.transport.wire import Body


def streamed(data: Any) -> Body:
    """Return what the transport gets for *data*, which is not bytes."""
    body = wire_body(data)
    assert body is not None
    assert not isinstance(body, bytes)
    return body


def sent(data: Any) -> bytes:
    """Return the bytes that *data* is sent as."""
    body = wire_body(data)
    return body if isinstance(body, bytes) else b"".join(streamed(body).chunks())
