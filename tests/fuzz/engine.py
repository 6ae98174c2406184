"""What must hold for any bytes that a peer can send, cut in any way.

1. `receive_data` raises nothing, `next_event` nothing but `RemoteProtocolError`; then the peer's state is ERROR and stays.
2. No cut, and neither `coalesce_chunks` nor passthrough, changes what arrives or what is refused.
3. A head that was accepted can be sent on, and arrives as it is.

An input is one byte that picks the scene, one that seeds the cuts, and what the peer sends.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from client import protocol

__all__ = ["check_client_role", "check_server_role"]

HOST = [("Host", "h")]
REQUESTS = (
    protocol.Request(method="GET", target="/", headers=HOST),
    protocol.Request(method="HEAD", target="/", headers=HOST),
    protocol.Request(method="CONNECT", target="h:1", headers=HOST),
    protocol.Request(method="GET", target="/", headers=[*HOST, ("Connection", "upgrade"), ("Upgrade", "x")]),
)
END = protocol.EndOfMessage()


class Outcome(NamedTuple):
    """What arrived: heads and ends as events, bodies as bytes; and the status hint, if the rest was refused."""

    events: list[protocol.Event | bytes]
    hint: int | None
    reusable: bool


def check_client_role(data: bytes) -> None:
    """Check every invariant for *data* as what a server sends."""
    _check(protocol.CLIENT, data)


def check_server_role(data: bytes) -> None:
    """Check every invariant for *data* as what a client sends."""
    _check(protocol.SERVER, data)


def _check(role: type[protocol.Sentinel], data: bytes) -> None:
    scene, seed, wire = data[:1], data[1:2], data[2:]
    request = REQUESTS[scene[0] % len(REQUESTS)] if scene else REQUESTS[0]
    cuts = random.Random(seed)
    whole = _outcome(_open(role, request), [wire])
    assert whole == _outcome(_open(role, request), _pieces(wire, cuts)), "a cut changes the outcome"
    assert whole == _outcome(_open(role, request, coalesce=True), _pieces(wire, cuts)), (
        "coalescing changes it"
    )
    assert whole == _outcome(_open(role, request), _pieces(wire, cuts), past=True), "passthrough changes it"
    for event in whole.events:
        if isinstance(event, protocol.Request | protocol.Response | protocol.InformationalResponse):
            _check_sent_on(event)


def _open(
    role: type[protocol.Sentinel], request: protocol.Request, *, coalesce: bool = False
) -> protocol.Connection:
    connection = protocol.Connection(role, coalesce_chunks=coalesce)
    if role is protocol.CLIENT:
        connection.send(request)
        connection.send(END)
    return connection


def _pieces(wire: bytes, cuts: random.Random) -> list[bytes]:
    """Cut *wire* into pieces of 1 to a few bytes, or a few hundred, so that long inputs stay quick."""
    longest = cuts.choice((1, 4, 32, 1024)) if len(wire) < 4096 else 1024
    pieces = []
    at = 0
    while at < len(wire):
        size = cuts.randint(1, longest)
        pieces.append(wire[at : at + size])
        at += size
    return pieces


def _outcome(connection: protocol.Connection, pieces: list[bytes], *, past: bool = False) -> Outcome:
    events: list[protocol.Event | bytes] = []
    for piece in [*filter(None, pieces), b""]:
        rest = piece
        if past and (count := min(connection.passthrough_available(), len(piece))):
            connection.passthrough_received(count)
            _add_body(events, piece[:count])
            rest = piece[count:]
        if rest or not piece:
            connection.receive_data(rest)
        hint = _drain(connection, events)
        if hint is not None:
            return Outcome(events, hint, reusable=False)
    return Outcome(events, None, reusable=connection.close_reason is None)


def _drain(connection: protocol.Connection, events: list[protocol.Event | bytes]) -> int | None:
    while True:
        try:
            event = connection.next_event()
        except protocol.RemoteProtocolError as error:
            _check_error_stays(connection)
            return error.error_status_hint
        if not isinstance(event, protocol.Event):
            return None
        if isinstance(event, protocol.Data):
            assert len(event.data) > 0, "an empty Data"
            _add_body(events, bytes(event.data))
            continue
        events.append(event)
        if isinstance(event, protocol.ConnectionClosed):
            return None


def _add_body(events: list[protocol.Event | bytes], data: bytes) -> None:
    if events and isinstance(events[-1], bytes):
        events[-1] += data
    else:
        events.append(data)


def _check_error_stays(connection: protocol.Connection) -> None:
    assert connection.their_state is protocol.ERROR, "refused, but not in ERROR"
    try:
        event = connection.next_event()
    except protocol.RemoteProtocolError:
        return
    raise AssertionError(f"after an error came {event!r}")


def _check_sent_on(head: protocol.Request | protocol.Response | protocol.InformationalResponse) -> None:
    """Send *head* as an intermediary would; what the engine accepts, it must also be able to say."""
    if head.http_version != b"1.1":
        return
    client, server = protocol.Connection(protocol.CLIENT), protocol.Connection(protocol.SERVER)
    if isinstance(head, protocol.Request):
        server.receive_data(client.send(head))
        event = server.next_event()
        assert isinstance(event, protocol.Request)
        assert (event.method, event.target) == (head.method, head.target)
        assert sorted(event.headers) == sorted(head.headers)  # Host goes first, wherever it stood
        return
    if isinstance(head, protocol.InformationalResponse) and head.status_code == 101:
        return  # legal only where the request proposed it
    client.send(REQUESTS[0])
    client.send(END)
    server.receive_data(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert len(list(server.receive_data(b""))) == 3
    try:
        wire = server.send(head)
    except protocol.LocalProtocolError:
        return  # several lengths, say: legal to accept, not to send
    client.receive_data(wire)
    response = client.next_event()
    assert isinstance(response, type(head))
    assert response.status_code == head.status_code
