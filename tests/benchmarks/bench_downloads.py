"""What does it cost to save a large body in a file, and how fast is it?

Unit: microseconds of CPU time a MiB, of the client process (of the whole program for curl and aria2c, whose start is
negligible beside 64 MiB); and the wall time a MiB, whose inverse is the rate. The file is on tmpfs where there is one, so
that the disk is nobody's excuse. Baseline: the loop that every program writes, over a bare connection of http.client.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import client
from tests.benchmarks.measure import OURS, Pace, Row, Table, compare
from tests.benchmarks.target import LARGE, Target

__all__ = ["run"]

MEBIBYTES = LARGE >> 20
CHUNK = 1 << 18  # bytes; larger ones cost every peer more
MEMORY = Path("/dev/shm")  # a folder of a random name is made in it


def run(target: Target, pace: Pace) -> Iterator[Table]:
    """Measure one connection, beside the peers and the programs; then eight parts."""
    url = f"{target.url}/bytes/{LARGE}"
    with contextlib.ExitStack() as stack:
        parent = MEMORY if MEMORY.is_dir() else None
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=parent)), "file")
        session = stack.enter_context(client.Session(workers=8))
        contenders: dict[str, Callable[[], object]] = {
            OURS: lambda: session.download(url, path, parts=1, overwrite=True),
            "... 8 parts": lambda: session.download(url, path, parts=8, overwrite=True),
            "http.client": lambda: by_http_client(url, path),
        }
        for make in (urllib3_of, requests_of, httpx_of, pycurl_of):
            with contextlib.suppress(ModuleNotFoundError):
                contenders[make.__name__.removesuffix("_of")] = make(url, path, stack)
        table = compare(f"{MEBIBYTES} MiB into a file", contenders, pace, calls=MEBIBYTES)
        for command in (["curl", "-s", "-o", str(path), url], aria2c(url, path)):
            if shutil.which(command[0]) is not None:
                table.rows.append(program(command, path, pace.rounds))
        table.note = "the programs are measured after the others, not between them"
        yield table


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


def aria2c(url: str, path: Path) -> list[str]:
    folder, name = os.path.split(path)
    return [
        "aria2c",
        "-q",
        "-x8",
        "-s8",
        "--allow-overwrite=true",
        "--file-allocation=none",
        "-d",
        folder,
        "-o",
        name,
        url,
    ]


def program(command: list[str], path: Path, rounds: int) -> Row:
    """Measure a program by what the system says of our children."""
    row = Row(command[0], [], [])
    for _ in range(rounds):
        path.unlink(missing_ok=True)
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        row.cpu.append(used / MEBIBYTES)
        row.wall.append((time.perf_counter() - began) / MEBIBYTES)
    return row
