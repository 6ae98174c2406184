"""What does the engine cost, without a socket?

Unit: CPU time a cycle, or a MiB of body. Baselines: h11, which has the same API; httptools (llhttp in C), which only parses;
``http.client`` reading the same bytes from memory. Every contender sees the same wire in the same reads, all checks on.
"""

from __future__ import annotations

import http.client
import importlib.util
import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from client import protocol
from tests.benchmarks.measure import OURS, QUICK, Pace, Table, compare

if TYPE_CHECKING:
    from tests.benchmarks.target import Target

__all__ = ["run"]

MIB = 1 << 20
READ = 64 * 1024
CHUNK_LINE_READ = (
    256  # past the engine: a short read for the next chunk's size, the rest straight to the caller
)

REQUEST_FIELDS = [
    (b"Host", b"example.com"),
    (b"User-Agent", b"threadwire/0.1"),
    (b"Accept", b"*/*"),
    (b"Accept-Encoding", b"gzip, deflate"),
    (b"Connection", b"keep-alive"),
]
RESPONSE_FIELDS = [
    (b"Server", b"nginx/1.22.1"),
    (b"Date", b"Sun, 22 Nov 2026 18:00:00 GMT"),
    (b"Content-Type", b"application/json"),
    (b"Content-Length", b"188"),
    (b"Last-Modified", b"Sun, 22 Nov 2026 17:00:00 GMT"),
    (b"Connection", b"keep-alive"),
    (b"ETag", b'"6561e2f0-bc"'),
    (b"Accept-Ranges", b"bytes"),
]
BODY = b"x" * 188
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def run(target: Target | None, pace: Pace) -> Iterator[Table]:
    """Measure cycles of both roles, then chunked bodies in large and in small chunks."""
    del target  # no server takes part
    peers = {OURS: protocol, **{name: module for name in ("h11",) if (module := imported(name))}}
    yield compare(
        "engine: client cycle, 5-field GET out, 8-field head and 188 bytes in",
        {name: client_cycle(module) for name, module in peers.items()},
        pace,
    )
    yield compare(
        "engine: server cycle, the same from the other side",
        {name: server_cycle(module) for name, module in peers.items()},
        pace,
    )
    yield body_table("engine: 16 KiB chunks by 64 KiB reads, a MiB", 16 * 1024, 16 * MIB, pace)
    yield body_table("engine: 100-byte chunks by 64 KiB reads, a MiB", 100, 2 * MIB, pace)


def imported(name: str) -> Any:
    """Return the module *name*, or None where it is not installed."""
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def client_cycle(engine: Any) -> Callable[[], None]:
    """One request out and its response in, on a connection that lives on."""
    connection = engine.Connection(engine.CLIENT)
    wire = wire_of_response()

    def cycle() -> None:
        connection.send(engine.Request(method=b"GET", target=b"/index.json", headers=REQUEST_FIELDS))
        connection.send(engine.EndOfMessage())
        connection.receive_data(wire)
        while type(connection.next_event()) is not engine.EndOfMessage:
            pass
        connection.start_next_cycle()

    return cycle


def server_cycle(engine: Any) -> Callable[[], None]:
    """One request in and its response out, on a connection that lives on."""
    connection = engine.Connection(engine.SERVER)
    lines = b"".join(b"%b: %b\r\n" % field for field in REQUEST_FIELDS)
    wire = b"GET /index.json HTTP/1.1\r\n%b\r\n" % lines

    def cycle() -> None:
        connection.receive_data(wire)
        while type(connection.next_event()) is not engine.EndOfMessage:
            pass
        connection.send(engine.Response(status_code=200, headers=RESPONSE_FIELDS, reason=b"OK"))
        connection.send(engine.Data(data=BODY))
        connection.send(engine.EndOfMessage())
        connection.start_next_cycle()

    return cycle


def wire_of_response() -> bytes:
    lines = b"".join(b"%b: %b\r\n" % field for field in RESPONSE_FIELDS)
    return b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (lines, BODY)


def body_table(title: str, chunk: int, size: int, pace: Pace) -> Table:
    """Compare everyone who can read a chunked body of *size* bytes in chunks of *chunk*."""
    wire = CHUNKED_HEAD + (b"%x\r\n%b\r\n" % (chunk, b"x" * chunk)) * (size // chunk) + b"0\r\n\r\n"
    reads = [wire[at : at + READ] for at in range(0, len(wire), READ)]
    contenders: dict[str, Callable[[], object]] = {
        OURS: lambda: read_events(protocol, reads),
        "coalesced": lambda: read_events(protocol, reads, coalesce_chunks=True),
        "passthrough": lambda: read_past_the_engine(wire),
        "http.client": lambda: read_by_http_client(wire),
    }
    if h11 := imported("h11"):
        contenders["h11"] = lambda: read_events(h11, reads)
    if httptools := imported("httptools"):
        contenders["httptools"] = lambda: read_by_httptools(httptools, reads)
    return compare(title, contenders, pace, calls=size // MIB)


def read_events(engine: Any, reads: list[bytes], **options: bool) -> int:
    """Read a body through events; return its size."""
    connection = engine.Connection(engine.CLIENT, **options)
    connection.send(engine.Request(method="GET", target="/", headers=[("Host", "h")]))
    connection.send(engine.EndOfMessage())
    size = 0
    for piece in reads:
        connection.receive_data(piece)
        while (event := connection.next_event()) is not engine.NEED_DATA:
            if type(event) is engine.Data:
                size += len(event.data)
            elif type(event) is engine.EndOfMessage:
                return size
    raise AssertionError("the body has no end")


def read_past_the_engine(wire: bytes) -> int:
    """Read a body as a transport with its own buffer does: only chunk lines enter the engine."""
    connection = protocol.Connection(protocol.CLIENT)
    connection.send(protocol.Request(method="GET", target="/", headers=[("Host", "h")]))
    connection.send(protocol.EndOfMessage())
    size = at = 0
    while True:
        if available := min(connection.passthrough_available(), len(wire) - at):
            connection.passthrough_received(available)
            size += available
            at += available
            continue
        connection.receive_data(wire[at : at + CHUNK_LINE_READ])
        at += CHUNK_LINE_READ
        while (event := connection.next_event()) is not protocol.NEED_DATA:
            if type(event) is protocol.Data:
                size += len(event.data)
            elif type(event) is protocol.EndOfMessage:
                return size


class MemorySocket:
    """As much of a socket as ``http.client`` needs to read from."""

    def __init__(self, wire: bytes) -> None:
        self._file = io.BytesIO(wire)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the file that is read; unbuffered bytes in memory."""
        assert mode == "rb"
        return io.BufferedReader(self._file, READ)


def read_by_http_client(wire: bytes) -> int:
    """Read a body through ``http.client``, 64 KiB at a time."""
    response = http.client.HTTPResponse(MemorySocket(wire))  # type: ignore[arg-type]  # see MemorySocket
    response.begin()
    size = 0
    while data := response.read(READ):
        size += len(data)
    return size


class Counter:
    """httptools' callbacks: counts the body."""

    def __init__(self) -> None:
        self.size = 0

    def on_body(self, body: bytes) -> None:
        """Count *body*."""
        self.size += len(body)


def read_by_httptools(httptools: Any, reads: list[bytes]) -> int:
    """Read a body through llhttp, which checks less of it."""
    counter = Counter()
    parser = httptools.HttpResponseParser(counter)
    for piece in reads:
        parser.feed_data(piece)
    return counter.size


if __name__ == "__main__":
    for table in run(None, QUICK):
        print(table, end="\n\n", flush=True)
