"""Every row of the verdict table, fed whole, byte by byte, and cut in two wherever it can be cut.

A parser that looks past its buffer passes every test that sends whole messages; an attacker sends halves.
"""

from __future__ import annotations

import pytest

from client import protocol
from tests.conformance.chunk_rows import CHUNK_ROWS, client_row, server_row
from tests.conformance.feeding import Outcome, drain, merged, open_connection, outcome_of, two_pieces
from tests.conformance.framing_rows import FRAMING_ROWS
from tests.conformance.head_rows import HEAD_ROWS
from tests.conformance.request_rows import REQUEST_ROWS
from tests.conformance.rows import Context, Row, Verdict

ROWS = (
    *HEAD_ROWS,
    *FRAMING_ROWS,
    *(client_row(row) for row in CHUNK_ROWS),
    *(server_row(row) for row in CHUNK_ROWS),
    *REQUEST_ROWS,
)
ACCEPTED = (Verdict.ACCEPT, Verdict.ACCEPT_CLOSE)


def rows(*verdicts: Verdict) -> pytest.MarkDecorator:
    """Parametrise over the rows with one of *verdicts*, or over all."""
    chosen = [row for row in ROWS if not verdicts or row.verdict in verdicts]
    return pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in chosen])


def test_ids_are_unique() -> None:
    ids = [row.id for row in ROWS]

    assert sorted(set(ids)) == sorted(ids)


@rows()
def test_verdict(row: Row) -> None:
    outcome = outcome_of(row.context, [row.stimulus])

    assert row.verdict is outcome.verdict, f"{row.id}: {row.reason} (RFC {row.section}); saw {outcome.events}"
    if row.hints:
        assert outcome.hint in row.hints, f"{row.id}: the status hint is one of {row.hints}"
    if row.body is not None:
        assert row.body == body_of(outcome), f"{row.id}: the body delivered"
    if row.trailers is not None:
        assert row.trailers == trailers_of(outcome), f"{row.id}: the trailers delivered"
    if row.left is not None:
        assert row.left == outcome.left, f"{row.id}: the bytes left for others"
    for field in row.fields:
        assert field in fields_of(outcome), f"{row.id}: the field delivered"


@rows()
def test_byte_by_byte_changes_nothing(row: Row) -> None:
    whole = outcome_of(row.context, [row.stimulus])

    assert whole == outcome_of(row.context, map(bytes, zip(row.stimulus, strict=False)))


@rows()
def test_no_cut_changes_anything(row: Row) -> None:
    whole = outcome_of(row.context, [row.stimulus])

    for pieces in two_pieces(row.stimulus):
        outcome = outcome_of(row.context, pieces)
        assert whole == outcome, f"{row.id}: cut after {len(pieces[0])} bytes"


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in ROWS if row.id.startswith("K")])
def test_coalescing_changes_no_verdict(row: Row) -> None:
    """Chunks that are joined are still judged one by one, and those before a bad one are still delivered."""
    one_by_one = outcome_of(row.context, [row.stimulus])

    assert one_by_one == outcome_of(row.context, [row.stimulus], coalesce_chunks=True)
    for pieces in two_pieces(row.stimulus):
        outcome = outcome_of(row.context, pieces, coalesce_chunks=True)
        assert one_by_one == outcome, f"{row.id}: cut after {len(pieces[0])} bytes"


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in ROWS if row.by is not None])
def test_refused_without_waiting_for_the_rest(row: Row) -> None:
    """A peer that keeps the connection open would otherwise hold the caller until its time limit."""
    connection = open_connection(row.context)
    connection.receive_data(row.stimulus[: row.by])

    error = drain(connection, [])

    assert error is not None, f"{row.id}: still waiting after {row.by} bytes"


@rows(Verdict.ACCEPT, Verdict.ACCEPT_CLOSE)
def test_a_message_cut_short_is_never_whole(row: Row) -> None:
    """What a caller may take for a complete message is complete, wherever the peer closes (RFC 9112 section 8)."""
    whole = outcome_of(row.context, [row.stimulus])
    close_delimited = row.id == "B17"

    for length in range(min(len(row.stimulus), 2048)):
        outcome = outcome_of(row.context, [row.stimulus[:length]] if length else [])
        if outcome.verdict in ACCEPTED and not close_delimited:
            assert body_of(whole) == body_of(outcome), f"{row.id}: closed after {length} bytes"


@rows()
def test_the_iterator_yields_what_next_event_returns(row: Row) -> None:
    by_calls: list[protocol.Event] = []
    connection = open_connection(row.context)
    connection.receive_data(row.stimulus)
    error = drain(connection, by_calls)

    by_iterator: list[protocol.Event] = []
    same = open_connection(row.context)
    if error is None:
        by_iterator.extend(same.receive_data(row.stimulus))
    else:
        with pytest.raises(protocol.RemoteProtocolError):
            by_iterator.extend(same.receive_data(row.stimulus))

    assert merged(by_calls) == merged(by_iterator)
    assert connection.states == same.states


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.id) for row in ROWS if row.context is Context.SERVER and row.hints]
)
def test_a_server_can_answer_what_it_refuses(row: Row) -> None:
    """The peer learns of its mistake, and that nothing more is read from it."""
    connection = open_connection(row.context)
    connection.receive_data(row.stimulus)
    error = drain(connection, [])
    assert error is not None

    head = connection.send(
        protocol.Response(status_code=error.error_status_hint, headers=[("Content-Length", "0")])
    )
    connection.send(protocol.EndOfMessage())

    assert b"HTTP/1.1 %d " % error.error_status_hint == head[:13]
    assert b"\r\nconnection: close\r\n" in head.lower()
    with pytest.raises(protocol.LocalProtocolError):
        connection.start_next_cycle()


def test_a_pipelined_request_is_read_in_its_own_cycle() -> None:
    """Q36: never mixed into the exchange before it, never lost."""
    connection = protocol.Connection(protocol.SERVER)
    second = b"GET /2 HTTP/1.1\r\nHost: h\r\n\r\n"
    connection.receive_data(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\n" + second)
    events: list[protocol.Event] = []
    drain(connection, events)
    assert protocol.PAUSED is connection.next_event()
    assert second == connection.trailing_data[0]

    connection.send(protocol.Response(status_code=204, headers=[]))
    connection.send(protocol.EndOfMessage())
    connection.start_next_cycle()
    drain(connection, events)

    assert [b"/1", b"/2"] == [event.target for event in events if isinstance(event, protocol.Request)]


def body_of(outcome: Outcome) -> bytes:
    for event in outcome.events:
        if event[0] == "Data":
            assert isinstance(event[1], bytes)
            return event[1]
    return b""


def trailers_of(outcome: Outcome) -> object:
    return next((event[1] for event in outcome.events if event[0] == "EndOfMessage"), None)


def fields_of(outcome: Outcome) -> tuple[tuple[bytes, bytes], ...]:
    """The fields of the last head: a 1xx before it has its own."""
    heads = [event for event in outcome.events if event[0] in ("Request", "Response")]
    found = heads[-1][4] if heads else ()
    assert isinstance(found, tuple)
    return found
