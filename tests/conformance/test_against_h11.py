"""Valid traffic means to us what it means to h11: the same bytes out, the same events in, the same states between.

Only valid messages: where a verdict of ours is stricter, docs/from-h11.md says so and the verdict table proves it.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import protocol
from tests.conformance.feeding import merged
from tests.conformance.messages import Exchange, exchanges, piece_sizes, pieces_of

h11 = pytest.importorskip("h11", reason="h11 comes with the dependency group bench")


def as_h11(event: protocol.Event) -> Any:
    """Make h11's event of ours, by its constructor."""
    match event:
        case protocol.Request():
            return h11.Request(method=event.method, target=event.target, headers=event.headers.raw_items())
        case protocol.Response() | protocol.InformationalResponse():
            kind = getattr(h11, type(event).__name__)
            return kind(status_code=event.status_code, reason=event.reason, headers=event.headers.raw_items())
        case protocol.Data():
            return h11.Data(data=event.data)
        case protocol.EndOfMessage():
            return h11.EndOfMessage(headers=event.headers.raw_items())
    raise AssertionError(event)


def from_h11(event: Any) -> protocol.Event:
    """Make our event of h11's, by our constructor."""
    kind = getattr(protocol, type(event).__name__)
    if kind is protocol.Data:
        return protocol.Data(bytes(event.data), event.chunk_start, event.chunk_end)
    names = {"Request": ["method", "target"], "EndOfMessage": []}.get(
        kind.__name__, ["status_code", "reason"]
    )
    arguments = {name: getattr(event, name) for name in names}
    made = kind(**arguments, headers=event.headers.raw_items())
    assert isinstance(made, protocol.Event)
    return made


def standing(connection: Any) -> tuple[object, ...]:
    """What a caller of either library sees of the state."""
    return (
        {str(role): str(state) for role, state in connection.states.items()},
        connection.they_are_waiting_for_100_continue,
        connection.their_http_version,
    )


@given(st.lists(exchanges(), max_size=2), exchanges(last=True), piece_sizes)
def test_valid_exchanges_look_the_same(before: list[Exchange], last: Exchange, sizes: list[int]) -> None:
    ours = {role: protocol.Connection(getattr(protocol, role)) for role in ("CLIENT", "SERVER")}
    theirs = {role: h11.Connection(getattr(h11, role)) for role in ("CLIENT", "SERVER")}
    for number, exchange in enumerate([*before, last]):
        if number:
            for connection in (*ours.values(), *theirs.values()):
                connection.start_next_cycle()
        answer: list[protocol.Event] = [*exchange.informational, *exchange.response.events]
        for sender, receiver, events in (
            ("CLIENT", "SERVER", exchange.request.events),
            ("SERVER", "CLIENT", answer),
        ):
            wire = b""
            for event in events:
                sent = ours[sender].send(event)
                assert theirs[sender].send(as_h11(event)) == sent
                assert standing(theirs[sender]) == standing(ours[sender])
                wire += sent or b""
            received: list[protocol.Event] = []
            expected: list[protocol.Event] = []
            for piece in pieces_of(wire, sizes):
                received.extend(ours[receiver].receive_data(piece))
                theirs[receiver].receive_data(piece)
                while (event := theirs[receiver].next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                    expected.append(from_h11(event))
                assert standing(theirs[receiver]) == standing(ours[receiver])
            assert merged(expected) == merged(received)
            assert theirs[receiver].trailing_data == ours[receiver].trailing_data
