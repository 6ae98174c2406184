"""Two real proxies, as small as they can be: CONNECT over TCP or TLS, and SOCKS5. They record what they are told."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Collection
from types import TracebackType
from typing import Any, Self

__all__ = ["ConnectProxy", "RelayingProxy", "SocksProxy"]

PATIENCE = 10.0


class RelayingProxy:
    """Accepts connections on 127.0.0.1, has a subclass agree with the client on a target, and relays.

    Args:
        tls: Speak TLS to clients with this context.

    Attributes:
        accepted: How many connections came.
        requests: What each client asked for.
        client_certificates: What each client showed in its TLS handshake, None for nothing.
        dripping: Once set, clients get one byte every 20 ms.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.accepted = 0
        self.requests: list[Any] = []
        self.client_certificates: list[Any] = []
        self.dripping = threading.Event()
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]

    def agree(self, client: socket.socket) -> tuple[str, int] | None:
        """Return where the client wants to go, having told it that it may; None to close."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            self._threads[0].join(PATIENCE)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._stopping.is_set():
                client.close()
                return
            self.accepted += 1
            thread = threading.Thread(target=self._serve, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        # A client that goes away in the middle is an error of reading, or too few bytes to unpack.
        with contextlib.suppress(OSError, ValueError, IndexError), contextlib.ExitStack() as stack:
            stack.callback(lambda: client.close())  # noqa: PLW0108  # the one that it is by then
            client.settimeout(PATIENCE)
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
                self.client_certificates.append(client.getpeercert())
            if (target := self.agree(client)) is not None:
                origin = stack.enter_context(socket.create_connection(target, timeout=PATIENCE))
                self._relay(client, origin)

    def _relay(self, client: socket.socket, origin: socket.socket) -> None:
        """Copy both ways on one thread (an SSLSocket is not for two) until one side ends."""
        ends = {client: origin, origin: client}
        while not self._stopping.is_set():
            ready = [client] if isinstance(client, ssl.SSLSocket) and client.pending() else []
            for end in ready or select.select(list(ends), [], [], 0.1)[0]:
                data = end.recv(65536)
                if not data:
                    return
                if end is origin and self.dripping.is_set():
                    for position in range(len(data)):
                        client.sendall(data[position : position + 1])
                        self._stopping.wait(0.02)
                else:
                    ends[end].sendall(data)


class ConnectProxy(RelayingProxy):
    """An HTTP proxy that can do nothing but CONNECT; `requests` has the heads."""

    def agree(self, client: socket.socket) -> tuple[str, int] | None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            data = client.recv(1)
            if not data:
                return None
            head += data
        self.requests.append(head)
        host, _, port = head.split(b" ")[1].decode().rpartition(":")
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return host.strip("[]"), int(port)


class SocksProxy(RelayingProxy):
    """A SOCKS5 proxy; `requests` has (username:password or None, host, port).

    Args:
        credentials: What it wants, None for no authentication.
        reply: REP of its answer; anything but 0 is a refusal.
        refused: Hosts that it cannot connect to.
        bound: ATYP, address and port that it says it connects from.
    """

    def __init__(
        self,
        credentials: bytes | None = None,
        reply: int = 0,
        bound: bytes = b"\x01\x00\x00\x00\x00\x00\x00",
        refused: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.credentials = credentials
        self.reply = reply
        self.refused = refused
        self.bound = bound

    def agree(self, client: socket.socket) -> tuple[str, int] | None:
        stream = client.makefile("rb", buffering=0)

        def counted() -> bytes:
            return stream.read(stream.read(1)[0]) or b""

        with stream:
            if stream.read(1) != b"\x05":
                return None
            method = 0 if self.credentials is None else 2
            if method not in counted():
                client.sendall(b"\x05\xff")
                return None
            client.sendall(bytes([5, method]))
            given = None
            if method == 2:
                stream.read(1)
                given = counted() + b":" + counted()
                client.sendall(b"\x01\x00" if given == self.credentials else b"\x01\x01")
                if given != self.credentials:
                    return None
            _, _, _, kind = stream.read(4)
            if kind == 3:
                host = counted().decode()
            else:
                host = socket.inet_ntop(
                    *((socket.AF_INET, stream.read(4)) if kind == 1 else (socket.AF_INET6, stream.read(16)))
                )
            port = int.from_bytes(stream.read(2))
            self.requests.append((given, host, port))
            reply = self.reply or (5 if host in self.refused else 0)
            client.sendall(bytes([5, reply, 0]) + self.bound)
            return None if reply else (host, port)
