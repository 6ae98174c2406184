"""The server that is asked: nginx, or where it is missing a loop over raw sockets in a child; never in this process.

Both answer ``/hello``, ``/echo``, ``/json`` and ``/bytes/N`` as tests/nginx.py describes them.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import multiprocessing
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.nginx import NginxServer, document, find_nginx, pattern
from tests.tls_authority import TLSAuthority

__all__ = [
    "LARGE",
    "Target",
    "away_from_the_server",
    "on_one_processor",
    "on_the_last_processor",
    "opened_sink",
    "opened_target",
]

LARGE = 64 << 20  # bytes of the large download


@dataclass(frozen=True, slots=True)
class Target:
    """Where the benchmarks go; ``tls_url`` is None where the server has no TLS."""

    name: str
    url: str
    tls_url: str | None
    bundle: Path


@contextlib.contextmanager
def opened_target() -> Iterator[Target]:
    """Run the server for the time of a with block."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority = TLSAuthority(folder)
        if find_nginx() is not None:
            certificate = authority.issue_files("localhost", "127.0.0.1")
            (folder / "nginx").mkdir()
            with NginxServer(folder / "nginx", certificate, sizes=(LARGE,)) as server:
                yield Target("nginx", server.url, server.tls_url, authority.bundle)
        else:
            with child_server() as url:
                yield Target("raw-socket loop (nginx is not installed)", url, None, authority.bundle)


def child_server() -> contextlib.AbstractContextManager[str]:
    """Answer on a free port from a child process, one thread a connection, from responses that are made beforehand."""
    return in_child(serve)


def opened_sink() -> contextlib.AbstractContextManager[str]:
    """Take bodies of any size in a child process, and throw them away; nginx would answer before it has read them."""
    return in_child(swallow)


@contextlib.contextmanager
def in_child(play: Callable[[socket.socket], None]) -> Iterator[str]:
    """Run *play* on a listener in a child process; yield the URL."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    child = multiprocessing.get_context("spawn").Process(target=play, args=(listener,), daemon=True)
    child.start()
    port = listener.getsockname()[1]
    listener.close()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.join()


def serve(listener: socket.socket) -> None:
    """Accept for ever."""
    coded = gzip.compress(json.dumps(document()).encode())
    responses = {
        b"/hello": response(b"ok", "text/plain"),
        b"/echo": response(b"ok", "text/plain"),
        b"/json": response(coded, "application/json\r\nContent-Encoding: gzip"),
        f"/bytes/{LARGE}".encode(): response(pattern(LARGE), "application/octet-stream"),
    }
    while True:
        accepted, _ = listener.accept()
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=answer, args=(accepted, responses), daemon=True).start()


def answer(accepted: socket.socket, responses: dict[bytes, bytes]) -> None:
    """Answer one request after another; reads no more of them than the path and Content-Length."""
    unread = b""
    with accepted, contextlib.suppress(ConnectionError):
        while data := accepted.recv(65536):
            unread += data
            head, end, rest = unread.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if end and len(rest) >= length:
                unread = rest[length:]
                accepted.sendall(responses[head.split(b" ", 2)[1]])


def on_the_last_processor() -> contextlib.AbstractContextManager[None]:
    """Keep every server that is started meanwhile on one processor; `away_from_the_server` keeps others off it.

    A server that sends without a pause would else be pushed, or push its client, from one to the other by chance, and
    a client that shares its processor pays for that with cold caches.
    """
    return confined(all_processors()[-1:])


def away_from_the_server() -> contextlib.AbstractContextManager[None]:
    """Keep this process, and the programs that it starts, off the last processor."""
    return confined(all_processors()[:-1])


def on_one_processor() -> contextlib.AbstractContextManager[None]:
    """Keep this process, and every server that it starts meanwhile, on one processor.

    Where two talk in turn, each sleeps while the other works, and to wake a sleeping processor is the sender's expense:
    inside a virtual machine 1 to 25 us a message, by the minute, and the hypervisor's. It is no client's to save.
    """
    return confined(all_processors()[:1])


@contextlib.contextmanager
def confined(processors: list[int]) -> Iterator[None]:
    """Keep this process on *processors*, wherever it may choose and there are any."""
    before = all_processors()
    if not processors:
        yield
        return
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def all_processors() -> list[int]:
    """Return those that this process may use; none where it cannot choose."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def swallow(listener: socket.socket) -> None:
    """Accept for ever, as `serve`."""
    while True:
        accepted, _ = listener.accept()
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=take, args=(accepted, response(b"ok", "text/plain")), daemon=True).start()


def take(accepted: socket.socket, answer: bytes) -> None:
    """Read one request after another to its end, by Content-Length or to what looks like the last chunk."""
    buffer = memoryview(bytearray(1 << 18))
    with accepted, contextlib.suppress(ConnectionError):
        while head := read_head(accepted):
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if b"chunked" in head:
                end = b""
                while end != b"0\r\n\r\n" and (count := accepted.recv_into(buffer)):
                    end = (end + bytes(buffer[max(0, count - 5) : count]))[-5:]
            while length and (count := accepted.recv_into(buffer, min(length, len(buffer)))):
                length -= count
            accepted.sendall(answer)


def read_head(accepted: socket.socket) -> bytes:
    """Read a head and no byte more, in lower case; ``b""`` at the end."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = accepted.recv(1)
        if not byte:
            return b""
        head += byte
    return head.lower()


def response(body: bytes, content_type: str) -> bytes:
    """Frame *body*."""
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
