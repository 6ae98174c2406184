"""Requests that are prepared, and what the transport would get of them."""

from __future__ import annotations

from typing import Any

from client.prepared import PreparedRequest
from client.request import Request

Fields = list[tuple[bytes, bytes]]


def prepare(method: str = "GET", url: Any = "http://h.test/p", **arguments: Any) -> PreparedRequest:
    return Request(method, url, **arguments).prepare()


def on_the_wire(prepared: PreparedRequest) -> tuple[Fields, bytes | None]:
    """Return fields and body as the transport gets them."""
    body = prepared.wire_body()
    return prepared.wire_fields(), body if body is None or isinstance(body, bytes) else b"".join(
        body.chunks()
    )
