"""What does the engine cost, without a socket?

Unit: CPU time a cycle, or a MiB of body. Baselines: h11, which has the same API; httptools (llhttp in C), which only parses;
``http.client`` reading the same bytes from memory. Every contender sees the same wire in the same reads, all checks on.
"""

from __future__ import annotations

import http.client
import importlib.util
import io
import itertools
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

#: How many messages differ in the varied cycles, so that nothing remembered of the last one is of use.
VARIANTS = 64
SAME_DATE = 16  # that many answers fall into one second


def request_fields(number: int) -> list[tuple[bytes, bytes]]:
    """Return the fields of a client's request, of which one differs by *number*."""
    return [
        (b"Host", b"example.com"),
        (b"User-Agent", b"threadwire/0.1"),
        (b"Accept", b"*/*"),
        (b"Accept-Encoding", b"gzip, deflate"),
        (b"If-None-Match", b'"6561e2f0-%02x"' % number) if number else (b"Connection", b"keep-alive"),
    ]


def response_fields(number: int) -> list[tuple[bytes, bytes]]:
    """Return the fields of a server's answer; Date, length and ETag differ by *number*."""
    return [
        (b"Server", b"nginx/1.22.1"),
        (b"Date", b"Sun, 22 Nov 2026 18:00:%02d GMT" % (number // SAME_DATE)),
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % len(body(number))),
        (b"Last-Modified", b"Sun, 22 Nov 2026 17:00:00 GMT"),
        (b"Connection", b"keep-alive"),
        (b"ETag", b'"6561e2f0-%02x"' % number),
        (b"Accept-Ranges", b"bytes"),
    ]


def body(number: int) -> bytes:
    """Return the body of a server's answer."""
    return b"x" * (188 + number)


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
    yield compare(
        f"engine: the same client cycle, {VARIANTS} messages in turn: target, a request field, Date, length, ETag differ",
        {name: client_cycle(module, VARIANTS) for name, module in peers.items()},
        pace,
    )
    yield compare(
        "engine: the same server cycle, as varied",
        {name: server_cycle(module, VARIANTS) for name, module in peers.items()},
        pace,
    )
    size = (16 if pace is QUICK else 64) * MIB
    yield body_table(
        f"engine: {size // MIB} MiB in 16 KiB chunks by 64 KiB reads, a MiB", 16 * 1024, size, pace
    )
    yield body_table("engine: 2 MiB in 100-byte chunks by 64 KiB reads, a MiB", 100, 2 * MIB, pace)


def imported(name: str) -> Any:
    """Return the module *name*, or None where it is not installed."""
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def client_cycle(engine: Any, variants: int = 1) -> Callable[[], None]:
    """One request out and its response in, on a connection that lives on; *variants* of both in turn."""
    connection = engine.Connection(engine.CLIENT)
    exchanges = [
        (b"/index.json?page=%d" % number, request_fields(number), wire_of_response(number))
        for number in range(variants)
    ]
    turns = itertools.cycle(exchanges)

    def cycle() -> None:
        target, fields, wire = next(turns)
        connection.send(engine.Request(method=b"GET", target=target, headers=fields))
        connection.send(engine.EndOfMessage())
        connection.receive_data(wire)
        while type(connection.next_event()) is not engine.EndOfMessage:
            pass
        connection.start_next_cycle()

    return cycle


def server_cycle(engine: Any, variants: int = 1) -> Callable[[], None]:
    """One request in and its response out, on a connection that lives on; *variants* of both in turn."""
    connection = engine.Connection(engine.SERVER)
    exchanges = [
        (wire_of_request(number), response_fields(number), body(number)) for number in range(variants)
    ]
    turns = itertools.cycle(exchanges)

    def cycle() -> None:
        wire, fields, data = next(turns)
        connection.receive_data(wire)
        while type(connection.next_event()) is not engine.EndOfMessage:
            pass
        connection.send(engine.Response(status_code=200, headers=fields, reason=b"OK"))
        connection.send(engine.Data(data=data))
        connection.send(engine.EndOfMessage())
        connection.start_next_cycle()

    return cycle


def wire_of_request(number: int) -> bytes:
    lines = b"".join(b"%b: %b\r\n" % field for field in request_fields(number))
    return b"GET /index.json?page=%d HTTP/1.1\r\n%b\r\n" % (number, lines)


def wire_of_response(number: int) -> bytes:
    lines = b"".join(b"%b: %b\r\n" % field for field in response_fields(number))
    return b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (lines, body(number))


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
