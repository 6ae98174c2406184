"""What users test their own code with: a real server on loopback, and transports that need no network.

`LoopbackServer` speaks HTTP over real sockets; `MockTransport` answers by a function and `WSGITransport` by a
WSGI application, both in the place of the network: ``Session(transport=MockTransport(handler))``.
"""

from __future__ import annotations

from client.testing.loopback import LoopbackServer, ServerStats
from client.testing.mock import MockRequest, MockResponse, MockTransport
from client.testing.payload import payload, payload_sha256
from client.testing.wsgi import WSGITransport

__all__ = [
    "LoopbackServer",
    "MockRequest",
    "MockResponse",
    "MockTransport",
    "ServerStats",
    "WSGITransport",
    "payload",
    "payload_sha256",
]
