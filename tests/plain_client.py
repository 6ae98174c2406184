"""Clients that share no code with ours: the standard library's, and a bare socket."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any, NamedTuple

from client.testing import LoopbackServer

__all__ = ["Reply", "ask", "talk"]


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


def ask(connection: http.client.HTTPConnection, target: str, method: str = "GET", **arguments: Any) -> Reply:
    connection.request(method, target, **arguments)
    response = connection.getresponse()
    return Reply(response.status, response.headers, response.read())


def talk(server: LoopbackServer, sent: bytes, *, half_close: bool = True) -> bytes:
    """Send *sent* on a connection of its own and return all that comes until the server closes."""
    with socket.create_connection((server.host, server.port), timeout=20) as sock:
        sock.sendall(sent)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        received = bytearray()
        while data := sock.recv(65536):
            received += data
    return bytes(received)
