"""What does it cost to send a large file, and pieces that a generator makes?

Unit: microseconds of CPU time a MiB, of the client process (of the whole program for curl, its start included), and the
wall time a MiB. A child process on raw sockets takes the bodies and throws them away, on a processor of its own where
there are two. The file is on tmpfs where there is one. Baselines: a bare loop of sendfile; and for the pieces a bare loop
of sendall over the very same pieces, without the chunks' framing, and one of sendmsg with it. Every peer is used as its
documentation shows.

Where the system's congestion control is BBR, all is measured a second time with CUBIC, which is Linux's own choice, set on
every socket of this process (so curl, the program, is left out). BBR paces: to a peer on the same machine it sets a timer
for each packet that comes too soon after the last, which costs more than to send it. The bare loop of sendfile pays that
and ours, which hands over a packet a call, does not (see `_Upload._push_span`).

What a piece costs is once or twice as much, as it finds the receiver awake or asleep, and that is a habit of a connection:
on one for each client, the ratio of two that cost the same is anything between 0.85 and 1.2. So there each of them gets a
new one after three rounds, 25 times.

256 MiB of file; 64 MiB in pieces of 64 KiB. With --quick 64 MiB of both, and nothing a second time.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import client
from tests.benchmarks.bench_downloads import MEBIBYTE, MEMORY, PYTHON_PEERS, program
from tests.benchmarks.measure import OURS, QUICK, Pace, Row, Table, compare_once, ratio
from tests.benchmarks.target import Target, away_from_the_server, on_the_last_processor, opened_sink

__all__ = ["run"]

PIECE = bytes(range(256)) * 256
PIECES = 1024
PIECES_SIZE = PIECES * len(PIECE) // MEBIBYTE
CHUNKED = {"Transfer-Encoding": "chunked"}


def run(target: Target, pace: Pace) -> Iterator[Table]:
    """Measure both, under BBR twice."""
    size, rounds, connections = (64, 3, 3) if pace is QUICK else (256, 9, 25)
    with contextlib.ExitStack() as stack:
        parent = MEMORY if MEMORY.is_dir() else None
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=parent)), "file")
        with path.open("wb") as file:
            for _ in range(size * MEBIBYTE // len(PIECE)):
                file.write(PIECE)
        with on_the_last_processor():
            url = stack.enter_context(opened_sink()) + "/"
        stack.enter_context(away_from_the_server())
        default = congestion_control()
        for name in (default, unpaced()) if default == "bbr" and pace is not QUICK else (default,):
            with contextlib.ExitStack() as opened:
                if name != default:
                    opened.enter_context(every_socket_with(name))
                senders = opened_senders(url, opened)
                programs = {}
                if shutil.which("curl") and name == default:
                    arguments = ("-s", "-o", os.devnull, "-H", "Expect:", "-T", str(path), url)
                    programs["curl"] = program("curl", *arguments)
                yield one_file(
                    f"{size} MiB from a file, {name}", url, path, senders, programs, opened, rounds
                )
                title = f"{PIECES_SIZE} MiB from a generator, chunked, {name}"
                yield pieces(title, url, connections)


def congestion_control() -> str:
    """Return the name of what a new socket has, such as ``"bbr"``; ``"default"`` where the system does not tell."""
    if not hasattr(socket, "TCP_CONGESTION"):
        return "default"
    with socket.socket() as fresh:
        return fresh.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()


def unpaced() -> str:
    """Return the name of what does not pace: Linux's default, or if an administrator keeps that to himself, Reno."""
    allowed = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control").read_text(encoding="ascii").split()
    return "cubic" if "cubic" in allowed else "reno"


@contextlib.contextmanager
def every_socket_with(name: str) -> Iterator[None]:
    """Have each socket that this process opens meanwhile use that congestion control, as if it were the default."""
    original = socket.socket.__init__

    def opened(self: socket.socket, *arguments: Any, **more: Any) -> None:
        original(self, *arguments, **more)
        if self.family in (socket.AF_INET, socket.AF_INET6) and self.type == socket.SOCK_STREAM:
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())

    with mock.patch.object(socket.socket, "__init__", opened):
        yield


Send = Callable[[Any, "int | None"], object]


def opened_senders(url: str, stack: contextlib.ExitStack) -> dict[str, Send]:
    """Return name -> what sends an open file of a known size, or an iterator of pieces (None)."""
    session = stack.enter_context(client.Session())
    senders: dict[str, Send] = {OURS: lambda body, size: session.post(url, data=body)}
    for make in (http_client_of, urllib3_of, requests_of, httpx_of, pycurl_of):
        with contextlib.suppress(ModuleNotFoundError):
            senders[make.__name__.removesuffix("_of").replace("http_", "http.")] = make(url, stack)
    return senders


def one_file(
    title: str,
    url: str,
    path: Path,
    senders: dict[str, Send],
    programs: dict[str, Callable[[], object]],
    stack: contextlib.ExitStack,
    rounds: int,
) -> Table:
    size = path.stat().st_size

    def sending(send: Send) -> Callable[[], object]:
        def run() -> None:
            with path.open("rb") as file:
                send(file, size)

        return run

    contenders = {name: sending(send) for name, send in senders.items()} | programs
    if hasattr(os, "sendfile"):
        contenders["bare sendfile"] = by_sendfile(url, path, stack)
    table = compare_once(title, contenders, rounds, size // MEBIBYTE)
    best, fraction = best_peer(table)
    table.note = f"CPU of the best Python peer ({best}) / ours: {1 / fraction:.2f} (wanted: 1.5 at least)"
    if "bare sendfile" in contenders:
        most = ratio(table, best, "bare sendfile")
        table.note += f"\n  CPU of the best Python peer ({best}) / bare sendfile: {most:.2f}"
    return table


def pieces(title: str, url: str, connections: int) -> Table:
    rows: dict[str, Row] = {}
    for _ in range(connections):
        with contextlib.ExitStack() as opened:
            for row in pieces_on_one_connection(url, opened):
                whole = rows.setdefault(row.name, Row(row.name, [], []))
                whole.cpu.extend(row.cpu)
                whole.wall.extend(row.wall)
    table = Table(title, list(rows.values()))
    best, fraction = best_peer(table)
    table.note = (
        f"CPU of ours / bare sendall: {ratio(table, OURS, 'bare sendall'):.2f} (wanted: 1.2 at most)"
        f"\n  CPU of ours / best Python peer ({best}): {fraction:.2f} (wanted: 1 at most)"
    )
    return table


def pieces_on_one_connection(url: str, stack: contextlib.ExitStack) -> list[Row]:
    def sending(send: Send) -> Callable[[], object]:
        return lambda: send(made_pieces(), None)

    senders = opened_senders(url, stack)
    contenders: dict[str, Callable[[], object]] = {name: sending(send) for name, send in senders.items()}
    contenders["bare sendall"] = by_sendall(url, stack)
    if hasattr(socket.socket, "sendmsg"):
        contenders["bare sendmsg"] = by_sendmsg(url, stack)
    return compare_once("", contenders, 3, PIECES_SIZE).rows


def best_peer(table: Table) -> tuple[str, float]:
    """Return the Python peer to which ours compares worst, and the ratio of the CPU times, ours / its."""
    names = [row.name for row in table.rows if row.name in PYTHON_PEERS]
    best = max(names, key=lambda name: ratio(table, OURS, name))
    return best, ratio(table, OURS, best)


def made_pieces() -> Iterator[bytes]:
    for _ in range(PIECES):
        yield PIECE


def http_client_of(url: str, stack: contextlib.ExitStack) -> Send:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    stack.callback(connection.close)

    def send(body: Any, size: int | None) -> None:
        headers = CHUNKED if size is None else {"Content-Length": str(size)}
        connection.request("POST", "/", body, headers, encode_chunked=size is None)
        connection.getresponse().read()

    return send


def urllib3_of(url: str, stack: contextlib.ExitStack) -> Send:
    import urllib3

    pool = stack.enter_context(urllib3.PoolManager())

    def send(body: Any, size: int | None) -> None:
        pool.request("POST", url, body=body, headers=None if size is None else {"Content-Length": str(size)})

    return send


def requests_of(url: str, stack: contextlib.ExitStack) -> Send:
    import requests

    session = stack.enter_context(requests.Session())
    return lambda body, size: session.post(url, data=body)


def httpx_of(url: str, stack: contextlib.ExitStack) -> Send:
    import httpx

    session = stack.enter_context(httpx.Client(timeout=60))
    return lambda body, size: session.post(url, content=body)


def pycurl_of(url: str, stack: contextlib.ExitStack) -> Send:
    import pycurl

    handle = pycurl.Curl()
    stack.callback(handle.close)
    handle.setopt(pycurl.URL, url)
    handle.setopt(pycurl.POST, 1)
    handle.setopt(pycurl.UPLOAD_BUFFERSIZE, 1 << 18)
    handle.setopt(pycurl.WRITEDATA, io.BytesIO())
    # It makes its sockets itself: one made by Python has what `every_socket_with` gives it.
    handle.setopt(pycurl.OPENSOCKETFUNCTION, lambda _, address: socket.socket(*address[:3]))

    def send(body: Any, size: int | None) -> None:
        fields = ["Expect:"] if size is not None else ["Expect:", "Transfer-Encoding: chunked"]
        handle.setopt(pycurl.HTTPHEADER, fields)
        handle.setopt(pycurl.POSTFIELDSIZE_LARGE, -1 if size is None else size)
        handle.setopt(pycurl.READFUNCTION, reader(body) if size is None else body.read)
        handle.perform()

    return send


def reader(made: Iterator[bytes]) -> Callable[[int], bytes]:
    """Return what hands out at most so many of the pieces' bytes at a time."""
    left = memoryview(b"")

    def read(size: int) -> bytes:
        nonlocal left
        if not left:
            left = memoryview(next(made, b""))
        data, left = bytes(left[:size]), left[size:]
        return data

    return read


def connected(url: str, stack: contextlib.ExitStack) -> socket.socket:
    parts = urlsplit(url)
    sock = stack.enter_context(socket.create_connection((parts.hostname, parts.port)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def by_sendfile(url: str, path: Path, stack: contextlib.ExitStack) -> Callable[[], object]:
    sock, size = connected(url, stack), path.stat().st_size

    def send() -> None:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        done = 0
        with path.open("rb") as file:
            while done < size:
                done += os.sendfile(sock.fileno(), file.fileno(), done, min(1 << 18, size - done))
        sock.recv(65536)

    return send


def by_sendall(url: str, stack: contextlib.ExitStack) -> Callable[[], object]:
    sock = connected(url, stack)

    def send() -> None:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (PIECES_SIZE * MEBIBYTE))
        for piece in made_pieces():
            sock.sendall(piece)
        sock.recv(65536)

    return send


def by_sendmsg(url: str, stack: contextlib.ExitStack) -> Callable[[], object]:
    sock = connected(url, stack)

    def send() -> None:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in made_pieces():
            line = b"%x\r\n" % len(piece)
            assert len(line) + len(piece) + 2 == sock.sendmsg((line, piece, b"\r\n"))
        sock.sendall(b"0\r\n\r\n")
        sock.recv(65536)

    return send
