"""What does it cost to save a large body in a file, how fast is it, and what do parallel parts and memory look like?

Unit: microseconds of CPU time a MiB, of the client process (of the whole program for curl and aria2c, which is all that
one can buy of them; the tables say what of it is their start); and the wall time a MiB, whose inverse is the rate. The
kernel lets one thread at a time write to a file, and that is three quarters of what a client has to do here, so that
eight parts on loopback are hardly faster than one: they are for servers and networks that limit a connection. Each run
makes a new file, on tmpfs where there is one, so that the disk is nobody's excuse; eight parts also where temporary
files go, since ext4 takes what is written in larger pieces than tmpfs, for a third of the time. The old file is removed
off the clock, and free memory fetched. nginx serves, as Debian configures it (sendfile), on a processor of its own where
there are two.

Baselines: the loop that every program writes, over a bare connection of http.client; bare loops of splice, one for each
part, which know where the body ends; and a bare loop of pwrite without any network, the least that a new file costs.
The notes below the tables say what the bare loops have of what is wanted.

256 MiB, or 64 MiB with --quick. The limited rate is 2 MiB a second and connection, of which nginx sends the first
second's at once.
"""

from __future__ import annotations

import contextlib
import http.client
import mmap
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import client
from client.transport.splice import CAN_SPLICE, Pipe
from tests.benchmarks.measure import OURS, QUICK, Pace, Table, compare_once, ratio
from tests.benchmarks.target import Target, away_from_the_server, on_the_last_processor
from tests.nginx import NginxServer, find_nginx

__all__ = ["run"]

MEBIBYTE = 1 << 20
CHUNK = 1 << 18  # bytes; larger ones cost every peer more
LIMITED = 2 << 20  # bytes a second, see tests/nginx.py
WHOLE = 1024  # MiB of the file whose download is watched for memory
MEMORY = Path("/dev/shm")  # a folder of a random name is made in it
PYTHON_PEERS = ("http.client", "urllib3", "requests", "httpx", "pycurl")


def run(target: Target, pace: Pace) -> Iterator[Table]:
    """Measure one connection beside the peers and the programs, eight parts, a limited rate, and memory."""
    if find_nginx() is None:
        print("  (left out: nginx is not installed, and the downloads are measured against it)")
        return
    size, limited, rounds = (64, 32, 3) if pace is QUICK else (256, 48, 7)
    with contextlib.ExitStack() as stack:
        parent = MEMORY if MEMORY.is_dir() else None
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=parent)), "file")
        with on_the_last_processor():
            server = stack.enter_context(opened_server({size, limited, WHOLE}))
        stack.enter_context(away_from_the_server())
        session = stack.enter_context(client.Session(workers=8))
        yield one_connection(f"{server}/bytes/{size * MEBIBYTE}", path, session, rounds, size)
        for place in (path, Path(stack.enter_context(tempfile.TemporaryDirectory()), "file")):
            if place is path or place.parent.stat().st_dev != path.parent.stat().st_dev:
                yield eight_parts(f"{server}/bytes/{size * MEBIBYTE}", place, session, rounds, size)
        yield limited_rate(f"{server}/limited/{limited * MEBIBYTE}", path, session, limited)
        print(memory(server, path), end="\n\n", flush=True)


@contextlib.contextmanager
def opened_server(sizes: set[int]) -> Iterator[str]:
    """Serve files of so many MiB of zeros."""
    with tempfile.TemporaryDirectory() as folder:
        nginx = NginxServer(Path(folder), sizes=())
        for size in sizes:
            file = Path(folder, "files", "bytes", str(size * MEBIBYTE))
            file.touch()
            os.truncate(file, size * MEBIBYTE)
        with nginx:
            yield nginx.url


def one_connection(url: str, path: Path, session: client.Session, rounds: int, size: int) -> Table:
    with contextlib.ExitStack() as stack:
        contenders: dict[str, Callable[[], object]] = {
            OURS: lambda: session.download(url, path, parts=1),
            "http.client": lambda: by_http_client(url, path),
        }
        for make in (urllib3_of, requests_of, httpx_of, pycurl_of):
            with contextlib.suppress(ModuleNotFoundError):
                contenders[make.__name__.removesuffix("_of")] = make(url, path, stack)
        if shutil.which("curl"):
            contenders["curl"] = program("curl", "-s", "-o", str(path), url)
            start = program("curl", "-s", "-o", os.devnull, f"http://{urlsplit(url).netloc}/hello")
            contenders["curl's start"] = start
        if CAN_SPLICE:
            contenders["bare splice"] = lambda: by_splice(url, path)
        table = compare_once(
            f"{size} MiB into a file, one connection",
            contenders,
            rounds,
            size,
            lambda: make_room(path, size),
        )
    best = max(PYTHON_PEERS, key=lambda name: ratio(table, OURS, name) if name in contenders else 0.0)
    table.note = (
        f"CPU of ours / best Python peer ({best}): {ratio(table, OURS, best):.2f} (wanted: 0.7 at most)"
    )
    if "curl" in contenders:
        table.note += (
            f"\n  CPU of ours / curl: {ratio(table, OURS, 'curl'):.2f} (wanted: 0.5 at most)"
            f"\n  rate of ours / curl: {ratio(table, 'curl', OURS, 'wall'):.2f} (wanted: 2 at least)"
        )
    if "bare splice" in contenders:
        table.note += f"\n  CPU of ours / bare splice: {ratio(table, OURS, 'bare splice'):.2f}"
        if "curl" in contenders:
            table.note += (
                f"; bare splice / curl: CPU {ratio(table, 'bare splice', 'curl'):.2f}, "
                f"rate {ratio(table, 'curl', 'bare splice', 'wall'):.2f}"
            )
    return table


def eight_parts(url: str, path: Path, session: client.Session, rounds: int, size: int) -> Table:
    contenders: dict[str, Callable[[], object]] = {
        OURS: lambda: session.download(url, path, parts=8),
        "... 1 part": lambda: session.download(url, path, parts=1),
    }
    title = f"{size} MiB into a file, 8 parts, {'on tmpfs' if MEMORY in path.parents else 'on disk'}"
    if CAN_SPLICE:
        contenders["bare splice"] = lambda: by_splice(url, path, 8)
        contenders["bare pwrite"] = lambda: by_pwrite(path, size)
    if shutil.which("aria2c"):
        # -k: its parts would else be 20 MiB at least.
        fixed = ("-q", "-x8", "-s8", "-k1M", "--file-allocation=none", "--no-conf")
        saved = (*fixed, "-d", str(path.parent), "-o", path.name)
        contenders["aria2c"] = program("aria2c", *saved, url)
        contenders["aria2c's start"] = program("aria2c", *saved, f"http://{urlsplit(url).netloc}/hello")
    else:
        print("  (aria2c is left out: not installed)")
    table = compare_once(title, contenders, rounds, size, lambda: make_room(path, size))
    if "aria2c" in contenders:
        start = ratio(table, "aria2c's start", OURS, "wall")
        table.note = (
            f"rate of ours / aria2c -x8 -s8: {ratio(table, 'aria2c', OURS, 'wall'):.2f} (wanted: 3 at least); "
            f"its start is {start:.2f} of that"
        )
        if CAN_SPLICE:
            table.note += (
                f"\n  rate of bare splice / aria2c: {ratio(table, 'aria2c', 'bare splice', 'wall'):.2f}, "
                f"of bare pwrite: {ratio(table, 'aria2c', 'bare pwrite', 'wall'):.2f}"
            )
    return table


def make_room(path: Path, size: int) -> None:
    """Remove the file, and take and leave twice its memory, in pages as large as there are.

    A virtual machine gives free memory back to its host within seconds. Whoever is the next to need it would pay for that,
    300 us a MiB more than the 400 or so that he pays else, and for a page of 2 MiB up to ten times as much; it is chance
    who that is.
    """
    path.unlink(missing_ok=True)
    with mmap.mmap(-1, 2 * size * MEBIBYTE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        if hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        memory[:: mmap.PAGESIZE] = bytes(len(memory) // mmap.PAGESIZE)


def limited_rate(url: str, path: Path, session: client.Session, size: int) -> Table:
    contenders: dict[str, Callable[[], object]] = {
        OURS: lambda: session.download(url, path, parts=8),
        "... 1 part": lambda: session.download(url, path, parts=1),
    }
    title = f"{size} MiB into a file, {LIMITED >> 20} MiB a second and connection, one run each"
    table = compare_once(title, contenders, 1, size, lambda: path.unlink(missing_ok=True), warm_ups=0)
    rate = ratio(table, "... 1 part", OURS, "wall")
    table.note = f"rate of 8 parts / 1 part: {rate:.2f} (wanted: 7 at least)"
    return table


def memory(server: str, path: Path) -> str:
    """Say how far the resident memory of a fresh process rises above what it has after a small request."""
    if not Path("/proc/self/status").exists():
        return "(memory is left out: it is read from Linux's /proc)"
    lines = [f"{WHOLE} MiB into a file: most MiB resident above the start (wanted: 24 at most)"]
    for name, parts, checksum in (("1 part", 1, ""), ("8 parts", 8, ""), ("1 part, SHA-256", 1, "sha256")):
        path.unlink(missing_ok=True)
        url = f"{server}/bytes/{WHOLE * MEBIBYTE}"
        command = [sys.executable, "-c", RESIDENT, f"{server}/hello", url, str(path), str(parts), checksum]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        lines.append(f"  {name:<16}{float(output):10.1f}")
    return "\n".join(lines)


RESIDENT = """
import sys, client
from pathlib import Path

def resident(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024

hello, url, path, parts, checksum = sys.argv[1:]
with client.Session(workers=8) as session:
    session.get(hello)
    before = resident("VmRSS")
    session.download(url, path, parts=int(parts), checksum=checksum or None)
    print(resident("VmHWM") - before)
"""


def program(*command: str) -> Callable[[], object]:
    """Return what runs a program to its end."""
    return lambda: subprocess.run(command, check=True)


def by_splice(url: str, path: Path, parts: int = 1) -> None:
    """Move the bytes as the kernel lets anybody, by a length that is known from the URL; each part on a thread."""
    size = int(url.rpartition("/")[2])
    bounds = [size * number // parts for number in range(parts + 1)]
    turn = threading.Lock()  # to write: whoever came meanwhile would spin in the kernel
    with path.open("wb") as file, ThreadPoolExecutor(parts) as pool:
        list(pool.map(lambda start, stop: splice_part(url, file, start, stop, turn), bounds, bounds[1:]))


def splice_part(url: str, file: BinaryIO, start: int, stop: int, turn: threading.Lock) -> None:
    address = urlsplit(url)
    head = f"GET {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nRange: bytes={start}-{stop - 1}\r\n\r\n"
    with (
        socket.create_connection((address.hostname, address.port)) as connected,
        contextlib.closing(Pipe()) as pipe,
    ):
        connected.sendall(head.encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += connected.recv(1)  # so that nothing of the body comes with it
        while start < stop:
            count = pipe.fill(connected, stop - start)
            with turn:
                pipe.empty(file.fileno(), start, count)
            start += count


def by_pwrite(path: Path, size: int) -> None:
    """Fill the file from a memory that is warm."""
    piece = bytes(MEBIBYTE)
    with path.open("wb") as file:
        for number in range(size):
            os.pwrite(file.fileno(), piece, number * MEBIBYTE)


def by_http_client(url: str, path: Path) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.request("GET", parts.path)
    with path.open("wb") as file:
        shutil.copyfileobj(connection.getresponse(), file, CHUNK)
    connection.close()


def urllib3_of(url: str, path: Path, stack: contextlib.ExitStack) -> Callable[[], object]:
    import urllib3

    pool = stack.enter_context(urllib3.PoolManager())

    def save() -> None:
        with path.open("wb") as file, pool.request("GET", url, preload_content=False) as response:
            shutil.copyfileobj(response, file, CHUNK)
            response.release_conn()

    return save


def requests_of(url: str, path: Path, stack: contextlib.ExitStack) -> Callable[[], object]:
    import requests

    session = stack.enter_context(requests.Session())

    def save() -> None:
        with path.open("wb") as file, session.get(url, stream=True) as response:
            for piece in response.iter_content(CHUNK):
                file.write(piece)

    return save


def httpx_of(url: str, path: Path, stack: contextlib.ExitStack) -> Callable[[], object]:
    import httpx

    session = stack.enter_context(httpx.Client())

    def save() -> None:
        with path.open("wb") as file, session.stream("GET", url) as response:
            for piece in response.iter_raw(CHUNK):
                file.write(piece)

    return save


def pycurl_of(url: str, path: Path, stack: contextlib.ExitStack) -> Callable[[], object]:
    import pycurl

    handle = pycurl.Curl()
    stack.callback(handle.close)
    handle.setopt(pycurl.URL, url)
    handle.setopt(pycurl.BUFFERSIZE, CHUNK)

    def save() -> None:
        with path.open("wb") as file:
            handle.setopt(pycurl.WRITEDATA, file)
            handle.perform()

    return save
