"""A complete HTTP/1.1 client over a plain socket, with `client.protocol` alone: ``python sans_io_client.py URL``.

The engine turns events into bytes and bytes into events; this file moves the bytes. It follows every rule a client
must: it waits for the whole response, notices a peer that closes early, and tells the peer's mistakes from its own.
"""

from __future__ import annotations

import socket
import sys
from urllib.parse import urlsplit

from client import protocol

READ_BYTES = 64 * 1024
TIMEOUT_SECONDS = 10.0


def fetch(url: str) -> tuple[int, bytes]:
    """Get *url* and return the status code and the body."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    request = protocol.Request(
        method="GET",
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        headers=[("Host", parts.netloc), ("User-Agent", protocol.PRODUCT_ID), ("Connection", "close")],
    )
    connection = protocol.Connection(protocol.CLIENT)
    with socket.create_connection((host, port), timeout=TIMEOUT_SECONDS) as sock:
        sock.sendall(connection.send(request) + connection.send(protocol.EndOfMessage()))
        return read_response(connection, sock)


def read_response(connection: protocol.Connection, sock: socket.socket) -> tuple[int, bytes]:
    """Read until the response is complete; `RemoteProtocolError` if it never is."""
    status_code, body = 0, b""
    while True:
        # b"" says that the server closed: the engine knows whether the response was complete by then.
        for event in connection.receive_data(sock.recv(READ_BYTES)):
            if isinstance(event, protocol.Response):
                status_code = event.status_code
            elif isinstance(event, protocol.Data):
                body += event.data
            elif isinstance(event, protocol.EndOfMessage):
                return status_code, body


def main() -> int:
    """Print the body of the URL on the command line; the status goes to standard error."""
    if len(sys.argv) != 2:
        print(f"usage: {sys.argv[0]} http://HOST[:PORT]/PATH", file=sys.stderr)
        return 2
    try:
        status_code, body = fetch(sys.argv[1])
    except protocol.RemoteProtocolError as error:
        print(f"the server broke HTTP: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"no connection: {error}", file=sys.stderr)
        return 1
    print(f"status {status_code}, {len(body)} bytes", file=sys.stderr)
    sys.stdout.buffer.write(body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
