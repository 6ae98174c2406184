"""Shorthand for tests that drive the transport without a session."""

from __future__ import annotations

from typing import Any

from client.body import wire_body
from client.timeouts import DEFAULT_TIMEOUTS, Deadline, Timeouts
from client.transport.tls import TLSSettings
from client.transport.wire import Body, Call, WireRequest
from client.url import parse_url

__all__ = ["OK", "a_body", "a_call", "a_request"]

#: A response that leaves its connection reusable.
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

_DEFAULT_TLS = TLSSettings()


def a_call(**facts: Any) -> Call:
    """Return a call; ``timeouts=`` replaces single limits, all else goes to `Call`."""
    timeouts: Timeouts = facts.pop("timeouts", Timeouts())
    return Call(Deadline(timeouts.or_else(DEFAULT_TIMEOUTS)), facts.pop("tls", _DEFAULT_TLS), **facts)


def a_body(data: Any) -> Any:
    """Return the body object that the argument ``data=`` becomes; not for what becomes bytes."""
    body = wire_body(data)
    assert not isinstance(body, bytes | None)
    return body


def a_request(url: str, method: str = "GET", body: bytes | Body | None = None, **facts: Any) -> WireRequest:
    """Return a request with Host and the framing that its body needs."""
    target = parse_url(url)
    headers = [(b"Host", target.host_header)]
    if isinstance(body, bytes):
        headers.append((b"Content-Length", b"%d" % len(body)))
    elif body is not None and body.length is not None:
        headers.append((b"Content-Length", b"%d" % body.length))
    elif body is not None or facts.get("trailers") is not None:
        headers.append((b"Transfer-Encoding", b"chunked"))
    return WireRequest(method, target, headers, body, **facts)
