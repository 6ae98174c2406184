"""Feed a stimulus to a connection, cut in any way, and write down what came of it.

The loop is tight on purpose: the verdict table runs it for every cut of every row.  Two outcomes are equal
iff a caller could not tell them apart, except by where one `Data` ends and the next begins.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from client import protocol
from tests.conformance.rows import Context, Verdict

__all__ = [
    "HEADS",
    "Outcome",
    "cuts",
    "drain",
    "merged",
    "open_connection",
    "outcome_of",
    "sent_nothing_more",
    "two_pieces",
]

EVERY_CUT_UP_TO = 2048
EDGE_CUTS = 256
SEEDED_CUTS = 200

HOST = [("Host", "h")]
HEADS = {
    Context.GET: protocol.Request(method="GET", target="/", headers=HOST),
    Context.HEAD: protocol.Request(method="HEAD", target="/", headers=HOST),
    Context.CONNECT: protocol.Request(method="CONNECT", target="h:443", headers=[("Host", "h:443")]),
    Context.UPGRADE: protocol.Request(
        method="GET", target="/", headers=[*HOST, ("Connection", "upgrade"), ("Upgrade", "websocket")]
    ),
    Context.SECOND_GET: protocol.Request(method="GET", target="/", headers=HOST),
}
END = protocol.EndOfMessage()
EMPTY_RESPONSE = protocol.Response(status_code=200, headers=[("Content-Length", "0")])
FIRST_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FIRST_REQUEST = b"GET /first HTTP/1.1\r\nHost: h\r\n\r\n"

# One event as plain values: equal iff the caller sees the same thing.
Seen = tuple[object, ...]


class Outcome(NamedTuple):
    """What a caller saw of one stimulus and the EOF after it."""

    verdict: Verdict | None
    events: tuple[Seen, ...]
    hint: int | None
    left: bytes


def open_connection(context: Context, *, coalesce_chunks: bool = False) -> protocol.Connection:
    """Return a connection in the state that *context* describes, ready for the peer's bytes."""
    if context in (Context.SERVER, Context.SERVER_SECOND):
        connection = protocol.Connection(protocol.SERVER, coalesce_chunks=coalesce_chunks)
        if context is Context.SERVER_SECOND:
            connection.receive_data(FIRST_REQUEST)
            assert drain(connection, []) is None
            assert sent_nothing_more(connection)
        return connection
    connection = protocol.Connection(protocol.CLIENT, coalesce_chunks=coalesce_chunks)
    send = connection.send
    if context is Context.SECOND_GET:
        send(HEADS[Context.GET])
        send(END)
        connection.receive_data(FIRST_RESPONSE)
        assert drain(connection, []) is None
        connection.start_next_cycle()
    send(HEADS[context])
    send(END)
    return connection


def drain(
    connection: protocol.Connection, events: list[protocol.Event]
) -> protocol.RemoteProtocolError | None:
    """Append every event that can be had now to *events*; return the peer's mistake, if one was found."""
    next_event = connection.next_event
    need_data, paused, closed = protocol.NEED_DATA, protocol.PAUSED, protocol.ConnectionClosed
    append = events.append
    while True:
        try:
            event = next_event()
        except protocol.RemoteProtocolError as error:
            return error
        if event is need_data or event is paused:
            return None
        append(event)  # type: ignore[arg-type]  # the two sentinels left above
        if type(event) is closed:
            return None


def sent_nothing_more(connection: protocol.Connection) -> bool:
    """Finish our side of the exchange, then say whether the connection takes another."""
    if connection.our_state is protocol.SEND_RESPONSE:
        connection.send(EMPTY_RESPONSE)
        if protocol.SWITCHED_PROTOCOL in connection.states.values():
            return False  # we have just granted a CONNECT
        connection.send(END)
    try:
        connection.start_next_cycle()
    except protocol.LocalProtocolError:
        return False
    return True


def merged(events: Iterable[protocol.Event]) -> tuple[Seen, ...]:
    """Return *events* as plain values, neighbouring `Data` joined, empty ones and chunk flags left out."""
    seen: list[Seen] = []
    body: list[bytes] = []
    for event in events:
        if type(event) is protocol.Data:
            body.append(bytes(event.data))
            continue
        if body:
            seen.append(("Data", b"".join(body)))
            body.clear()
        seen.append(_as_values(event))
    if body:
        seen.append(("Data", b"".join(body)))
    return tuple(one for one in seen if one != ("Data", b""))


def outcome_of(context: Context, pieces: Iterable[bytes], *, coalesce_chunks: bool = False) -> Outcome:
    """Feed *pieces* and then EOF to a connection in *context*; return what a caller saw."""
    connection = open_connection(context, coalesce_chunks=coalesce_chunks)
    events: list[protocol.Event] = []
    receive_data = connection.receive_data
    error = None
    for piece in pieces:
        receive_data(piece)
        error = drain(connection, events)
        if error is not None:
            return _refused(Verdict.REJECT, connection, events, error)
    left = bytes(connection.trailing_data[0])
    if connection.their_state is protocol.SWITCHED_PROTOCOL:
        return Outcome(Verdict.TUNNEL, merged(events), None, left)
    reusable = _ends(events) and sent_nothing_more(connection)
    receive_data(b"")
    error = drain(connection, events)
    if error is not None:
        return _refused(Verdict.INCOMPLETE, connection, events, error)
    verdict = Verdict.ACCEPT if reusable else Verdict.ACCEPT_CLOSE if _ends(events) else None
    return Outcome(verdict, merged(events), None, left)


def cuts(length: int) -> Iterable[int]:
    """Every offset that cuts a stimulus of *length* bytes in two; for a long one both ends and a sample."""
    if length <= EVERY_CUT_UP_TO:
        return range(1, length)
    middle = random.Random(length).sample(range(EDGE_CUTS, length - EDGE_CUTS), SEEDED_CUTS)
    return [*range(1, EDGE_CUTS), *sorted(middle), *range(length - EDGE_CUTS, length)]


def two_pieces(stimulus: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield *stimulus* in two pieces for each of its `cuts`."""
    for cut in cuts(len(stimulus)):
        yield stimulus[:cut], stimulus[cut:]


def _ends(events: list[protocol.Event]) -> bool:
    return any(type(event) is protocol.EndOfMessage for event in events)


def _refused(
    verdict: Verdict,
    connection: protocol.Connection,
    events: list[protocol.Event],
    error: protocol.RemoteProtocolError,
) -> Outcome:
    _check_error_stays(connection)
    return Outcome(verdict, merged(events), error.error_status_hint, b"")


def _check_error_stays(connection: protocol.Connection) -> None:
    assert connection.their_state is protocol.ERROR, "a refusal leaves the peer's state at ERROR"
    if not connection.trailing_data[1]:
        connection.receive_data(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(2):
        try:
            event = connection.next_event()
        except protocol.RemoteProtocolError:
            pass
        else:
            raise AssertionError(f"after an error, next_event returned {event!r}")
        connection.receive_data(b"")
    assert connection.their_state is protocol.ERROR, "nothing leads out of ERROR"


def _as_values(event: protocol.Event) -> Seen:
    match event:
        case protocol.Request():
            start: Seen = (event.method, event.target, event.http_version)
            return ("Request", *start, *_fields(event.headers))
        case protocol.Response() | protocol.InformationalResponse():
            start = (event.status_code, event.reason, event.http_version)
            return (type(event).__name__, *start, *_fields(event.headers))
        case protocol.EndOfMessage():
            return ("EndOfMessage", *_fields(event.headers))
        case _:
            return (type(event).__name__,)


def _fields(headers: protocol.Headers) -> tuple[Seen, Seen]:
    """Return the fields with lower-case names, and as they were spelled."""
    return tuple(headers), tuple(headers.raw_items())
