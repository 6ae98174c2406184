"""``python -m client demo``: the main job in front of the user, against a server of its own on loopback.

The law of the room: a step holds only if the content is right - checksums, counts, the error that had to come -
never because of a status alone.
"""

from __future__ import annotations

import hashlib
import json
import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from client.exceptions import RequestException, TotalTimeout
from client.progress import progress_bar, size_text
from client.session import Session
from client.testing import LoopbackServer, payload, payload_sha256
from client.timeouts import Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["main"]

LARGE: Final = 64 * 1024 * 1024  # bytes of the large upload and download
DOWNLOADS: Final = tuple(1024 * 1024 + number for number in range(64))  # bytes; no two are alike
WORKERS: Final = 8
DEADLINE: Final = 1.0  # seconds


class Outcome(NamedTuple):
    """What a step did: the bytes of body that it moved, and what was checked."""

    size: int
    note: str


class Failed(Exception):  # a verdict
    """The content was not what it had to be."""


def main() -> int:
    """Run every step and print the table; return 0 if all of them hold, else 1."""
    rows: list[tuple[str, ...]] = []
    with LoopbackServer() as server, Session(base_url=server.url, workers=WORKERS) as session:
        print(f"threadwire against {server.url}\n")
        for size in (LARGE, *DOWNLOADS):
            payload_sha256(size)  # computed once; the steps' clocks are for the client
        for name, step in STEPS:
            started = perf_counter()
            try:
                size, note = step(session)
                verdict = "ok"
            except (Failed, RequestException) as error:
                size, note, verdict = 0, f"{type(error).__name__}: {error}", "FAILED"
            row = (name, size_text(size), f"{perf_counter() - started:.3f}", verdict, note)
            print(f"{row[0]}: {verdict}", flush=True)
            rows.append(row)
        connections, requests = server.stats
    print()
    print_table(("step", "body", "seconds", "verdict", "checked"), rows)
    print(f"\n{requests} requests on {connections} connections")
    return 0 if all(row[3] == "ok" for row in rows) else 1


def print_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print *rows* under *header*, each column as wide as its longest cell."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, tuple("-" * width for width in widths), *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def expect(what: str, expected: Any, seen: Any) -> None:
    """Raise `Failed` unless *seen* is what was *expected*."""
    if seen != expected:
        raise Failed(f"{what} is {seen!r}, expected {expected!r}")


def json_get(session: Session) -> Outcome:
    """Ask for a JSON document and look into it."""
    response = session.get("/echo", params={"answer": 42}, headers={"X-Demo": "yes"})
    echo = response.json()
    expect("method", "GET", echo["method"])
    expect("target", "/echo?answer=42", echo["target"])
    expect("X-Demo", "yes", echo["headers"].get("x-demo"))
    return Outcome(len(response.content), "method, target and a header came back")


def json_post(session: Session) -> Outcome:
    """Send a JSON document; the server tells the checksum of what it received."""
    document = {"name": "threadwire", "numbers": list(range(1000))}
    response = session.post("/echo", json=document)
    echo, body = response.json(), response.request.body
    expect("document", document, json.loads(body))
    expect("Content-Type", "application/json", echo["headers"].get("content-type"))
    expect("sha256", hashlib.sha256(body).hexdigest(), echo["sha256"])
    return Outcome(echo["length"], "sha256 and media type of what arrived")


def chunked_upload(session: Session) -> Outcome:
    """Send a body from a generator: chunked, piece by piece, in constant memory."""

    def pieces() -> Iterator[bytes]:
        for block in payload(0, LARGE):
            bar(len(block))
            yield bytes(block)

    with progress_bar("upload", LARGE, sys.stdout) as bar:
        echo = session.post("/echo", data=pieces()).json()
    expect("Transfer-Encoding", "chunked", echo["headers"].get("transfer-encoding"))
    expect("length", LARGE, echo["length"])
    expect("sha256", payload_sha256(LARGE), echo["sha256"])
    return Outcome(LARGE, "chunked; length and sha256 of what arrived")


def streamed_download(session: Session) -> Outcome:
    """Receive a body as it comes, in constant memory."""
    digest, size = hashlib.sha256(), 0
    response = session.get(f"/bytes/{LARGE}", stream=True)
    with response, progress_bar("download", LARGE, sys.stdout) as bar:
        for piece in response.iter_content(None):
            digest.update(piece)
            size += len(piece)
            bar(len(piece))
    expect("length", LARGE, size)
    expect("sha256", payload_sha256(LARGE), digest.hexdigest())
    return Outcome(size, "length and sha256")


def redirects(session: Session) -> Outcome:
    """Follow five redirects that keep method and body."""
    body = b"carried along" * 100
    response = session.put("/redirect/5", params={"status": 307}, data=body)
    echo = response.json()
    expect("hops", [307] * 5, [hop.status_code for hop in response.history])
    expect("method and target", ("PUT", "/echo"), (echo["method"], echo["target"]))
    expect("sha256", hashlib.sha256(body).hexdigest(), echo["sha256"])
    return Outcome(len(body), "5 hops; method and body arrived at the end")


def total_timeout(session: Session) -> Outcome:
    """End a call whose body drips for ever; no single wait is long enough for a read timeout."""
    started, drip = perf_counter(), {"bytes": 1000, "interval": 0.05}
    try:
        session.get("/drip", params=drip, timeout=Timeouts(total=DEADLINE))
    except TotalTimeout as error:
        seconds = perf_counter() - started
        if not DEADLINE <= seconds < 3 * DEADLINE:  # the body takes 50 s; a busy machine may be late
            raise Failed(f"the deadline of {DEADLINE} s fired after {seconds:.3f} s") from error
        return Outcome(len(error.partial), f"TotalTimeout after {seconds:.3f} s of {DEADLINE} s")
    raise Failed("no TotalTimeout came")


def parallel_downloads(session: Session) -> Outcome:
    """Download on the worker pool; results come in order."""
    started, total = perf_counter(), 0
    responses = session.map(f"/bytes/{size}" for size in DOWNLOADS)
    for size, response in zip(DOWNLOADS, responses, strict=True):
        expect("sha256", payload_sha256(size), hashlib.sha256(response.content).hexdigest())
        total += len(response.content)
    rate = size_text(round(total / (perf_counter() - started)))
    return Outcome(total, f"{len(DOWNLOADS)} checksums, in order; {rate}/s on {WORKERS} workers")


STEPS: Final[tuple[tuple[str, Callable[[Session], Outcome]], ...]] = (
    ("JSON GET", json_get),
    ("JSON POST", json_post),
    ("chunked upload from a generator", chunked_upload),
    ("streamed download", streamed_download),
    ("redirect chain", redirects),
    ("total timeout on a dripping body", total_timeout),
    (f"{len(DOWNLOADS)} parallel downloads", parallel_downloads),
)
