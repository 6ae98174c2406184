"""A complete threaded HTTP/1.1 server, with `client.protocol` alone: ``python sans_io_server.py [PORT]``.

It echoes what it is sent, keeps connections alive, serves pipelined requests in order, lets a waiting client go on
(``Expect: 100-continue``), answers nonsense with the status that fits, and gives a slow client a minute.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading

from client import protocol

READ_BYTES = 64 * 1024
TIMEOUT_SECONDS = 60.0
LINGER_SECONDS = 1.0
MAX_BODY_BYTES = 1 << 20


class Refused(Exception):
    """The request is legal, but this server does not serve it."""

    def __init__(self, status_code: int, why: str) -> None:
        super().__init__(why)
        self.status_code = status_code


class Exchange:
    """One client's connection: its engine and its socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.connection = protocol.Connection(protocol.SERVER)
        self.method = b""

    def serve(self) -> None:
        """Answer requests until one side closes."""
        try:
            while isinstance(request := self.next_event(), protocol.Request):
                self.method = request.method
                echo = b"%b %b\n%b" % (request.method, request.target, self.read_body())
                self.respond(200, echo)
                if self.connection.our_state is not protocol.DONE:
                    return  # the response said Connection: close, as it had to
                self.connection.start_next_cycle()
        except protocol.RemoteProtocolError as error:
            self.refuse(error.error_status_hint, str(error))
        except Refused as refused:
            self.refuse(refused.status_code, str(refused))
        except TimeoutError:
            self.refuse(408, "no complete request in time")

    def next_event(self) -> protocol.Event | None:
        """Read until there is an event; None if bytes are not what the engine waits for."""
        while not isinstance(event := self.connection.next_event(), protocol.Event):
            if event is protocol.PAUSED:
                return None
            if self.connection.they_are_waiting_for_100_continue:
                self.send(protocol.InformationalResponse(status_code=100, headers=[]))
            self.connection.receive_data(self.sock.recv(READ_BYTES))
        return event

    def read_body(self) -> bytes:
        """Read the request to its end, and return its body."""
        body = b""
        while isinstance(event := self.next_event(), protocol.Data):
            body += event.data
            if len(body) > MAX_BODY_BYTES:
                raise Refused(413, f"more than {MAX_BODY_BYTES} bytes")
        return body

    def respond(self, status_code: int, body: bytes, *more: tuple[str, str]) -> None:
        """Send a whole response; one to HEAD says how long its body would be, and has none."""
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *more]
        self.send(protocol.Response(status_code=status_code, headers=headers))
        if self.method != b"HEAD":
            self.send(protocol.Data(body))
        self.send(protocol.EndOfMessage())

    def refuse(self, status_code: int, why: str) -> None:
        """Answer a request that cannot be served, unless an answer has begun; the connection ends with it."""
        if self.connection.our_state in (protocol.IDLE, protocol.SEND_RESPONSE):
            self.respond(status_code, f"{why}\n".encode(), ("Connection", "close"))

    def send(self, event: protocol.Event) -> None:
        """Send *event*, and tell the engine if that fails half-way."""
        data = self.connection.send(event)
        try:
            self.sock.sendall(data or b"")
        except OSError:
            self.connection.send_failed()
            raise


def serve_client(sock: socket.socket) -> None:
    """Serve one client in its own thread; a client that vanishes is nobody's error."""
    with sock, contextlib.suppress(OSError):
        sock.settimeout(TIMEOUT_SECONDS)
        Exchange(sock).serve()
        # Closing with bytes unread resets the connection, and the client may never see its answer (RFC 9112
        # section 9.6): close one half, and read on for a moment.
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(LINGER_SECONDS)
        while sock.recv(READ_BYTES):
            pass


def main() -> None:
    """Listen on the loopback address, and print the port."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with socket.create_server(("127.0.0.1", port)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=serve_client, args=(sock,), daemon=True).start()


if __name__ == "__main__":
    main()
