"""Rows 25 and 72-92: a response that can be read in two ways is read in none.

The bytes are those of `tests.conformance`, where the engine is fed them in every cut; here they come over a socket, to
a whole `Session`, which must end with an error of its own and use the connection for nothing else.
"""

from __future__ import annotations

import socket
import threading
import time

import pytest

import client
from client import protocol
from client.exceptions import ChunkedEncodingError, IncompleteBody, ProtocolError, RedirectError
from client.testing import LoopbackServer
from tests.conformance.chunk_rows import CHUNK_ROWS, client_row
from tests.conformance.feeding import outcome_of
from tests.conformance.framing_rows import FRAMING_ROWS
from tests.conformance.head_rows import HEAD_ROWS
from tests.conformance.request_rows import REQUEST_ROWS
from tests.conformance.rows import Context, Row, Verdict
from tests.plain_client import talk
from tests.scripted_server import Close, Expect, ExpectClosed, Flood, Hold, ScriptedServer, Send
from tests.security.origins import OK, redirect, response

pytestmark = pytest.mark.timeout(10)

ROWS: dict[str, Row] = {
    row.id: row for row in (*HEAD_ROWS, *FRAMING_ROWS, *map(client_row, CHUNK_ROWS), *REQUEST_ROWS)
}


def play(server: ScriptedServer, stimulus: bytes) -> tuple[bytes | Exception, bool]:
    """Answer a GET with *stimulus* and then another with OK; return what came of the first, and if it was reused."""
    server.script(Expect(), Send(stimulus, may_fail=True), Close())
    second = server.answer(OK)
    seen: bytes | Exception
    with client.Session(trust_env=False) as session:
        try:
            seen = session.get(server.url).content
        except client.exceptions.RequestException as error:
            seen = error
        assert b"ok" == session.get(server.url).content
    return seen, not second.requests


def refused(server: ScriptedServer, row_id: str) -> None:
    """Play a row; it must be refused, and the next request go out on a connection of its own."""
    row = ROWS[row_id]
    assert row.verdict in {Verdict.REJECT, Verdict.INCOMPLETE}
    seen, reused = play(server, row.stimulus)
    assert isinstance(seen, ProtocolError | ChunkedEncodingError), f"{row_id}: {seen!r}"
    assert not reused


def refused_by_a_server(row_id: str) -> None:
    row = ROWS[row_id]
    assert row.context is Context.SERVER
    assert Verdict.REJECT is outcome_of(row.context, [row.stimulus]).verdict


def parse(row_ids: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row_id", row_ids.split())


def test_row_025_a_chunk_size_without_an_end_is_refused_while_it_comes(
    scripted_server: ScriptedServer,
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    scripted_server.script(Expect(), Send(head), Flood(b"5" * 4096, limit=1 << 24))

    with client.Session(trust_env=False) as session, pytest.raises(ChunkedEncodingError):
        session.get(scripted_server.url)


@parse("K13 K14")
def test_row_072_the_bytes_after_a_chunk_are_checked(scripted_server: ScriptedServer, row_id: str) -> None:
    refused(scripted_server, row_id)


@parse("K10 K25")
def test_row_073_a_bare_line_feed_ends_no_chunk_line(scripted_server: ScriptedServer, row_id: str) -> None:
    refused(scripted_server, row_id)


@parse("R76 R79 R72")
def test_row_074_only_chunked_is_chunked(scripted_server: ScriptedServer, row_id: str) -> None:
    refused(scripted_server, row_id)


@parse("R34 R73 R75")
def test_row_075_a_second_or_folded_transfer_encoding_is_refused(
    scripted_server: ScriptedServer, row_id: str
) -> None:
    refused(scripted_server, row_id)


def test_row_075_by_a_server_too() -> None:
    refused_by_a_server("Q18")


@parse("R22 R23")
def test_row_076_a_bare_carriage_return_ends_no_field(scripted_server: ScriptedServer, row_id: str) -> None:
    refused(scripted_server, row_id)


@parse("R20 R21")
def test_row_076_a_bare_line_feed_costs_the_connection(scripted_server: ScriptedServer, row_id: str) -> None:
    seen, reused = play(scripted_server, ROWS[row_id].stimulus)

    assert b"ok" == seen
    assert not reused


@parse("R29 R30")
def test_row_077_no_blank_stands_before_the_colon(scripted_server: ScriptedServer, row_id: str) -> None:
    refused(scripted_server, row_id)


def test_row_077_nor_in_a_request() -> None:
    refused_by_a_server("Q16")


@parse("K22 K23 K24 K25 K26 K27 K29")
def test_row_078_chunk_extensions_are_checked(scripted_server: ScriptedServer, row_id: str) -> None:
    refused(scripted_server, row_id)


@parse("K20 K28")
def test_row_078_and_good_ones_ignored(scripted_server: ScriptedServer, row_id: str) -> None:
    assert b"hello" == play(scripted_server, ROWS[row_id].stimulus)[0]


def test_row_079_a_length_beside_chunked_is_refused(scripted_server: ScriptedServer) -> None:
    refused(scripted_server, "R70")
    refused_by_a_server("Q17")


@parse("R51 R52 R53 R56 R57 R58 R61 R62 R64 R65 R66 R68 K03 K04 K05 K06 K07")
def test_row_080_a_number_is_digits_and_nothing_else(scripted_server: ScriptedServer, row_id: str) -> None:
    refused(scripted_server, row_id)


@parse("R24 R25 R26 R27 R18 R19")
def test_row_081_no_control_character_is_part_of_a_head(scripted_server: ScriptedServer, row_id: str) -> None:
    refused(scripted_server, row_id)


def test_row_082_a_server_refuses_a_second_host() -> None:
    refused_by_a_server("Q07")
    with LoopbackServer() as server:
        assert talk(server, ROWS["Q07"].stimulus).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("reason", [b"x\r\nY: z", b"x\ny", b"x\ry", b"x\0"])
def test_row_083_a_server_cannot_be_made_to_inject_by_its_reason(reason: bytes) -> None:
    connection = protocol.Connection(protocol.SERVER)
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    connection.next_event()

    with pytest.raises(protocol.LocalProtocolError):
        connection.send(protocol.Response(status_code=200, reason=reason, headers=[]))


@pytest.mark.parametrize("status", [b"200 OK", b"401 No", b"413 Large"])
def test_row_084_a_body_that_nobody_waits_for_is_not_sent(
    scripted_server: ScriptedServer, status: bytes
) -> None:
    """Nor is the connection used again: the server may still wait for the body."""
    first = scripted_server.script(Expect(), Send(response(status=status)), ExpectClosed())
    second = scripted_server.answer(OK)

    with client.Session(trust_env=False) as session:
        assert int(status[:3]) == session.post(scripted_server.url, data=b"s3cr3t", expect=True).status_code
        session.get(scripted_server.url)

    assert b"s3cr3t" not in bytes(first.received)
    assert 1 == len(second.requests)


def test_row_084_after_a_417_the_request_is_made_without_the_expectation(
    scripted_server: ScriptedServer,
) -> None:
    """RFC 9110 section 15.5.18."""
    first = scripted_server.script(Expect(), Send(response(status=b"417 No")), ExpectClosed())
    second = scripted_server.script(Expect(body=6), Send(OK), Hold())

    with client.Session(trust_env=False) as session:
        assert 200 == session.post(scripted_server.url, data=b"s3cr3t", expect=True).status_code

    assert b"s3cr3t" not in bytes(first.received)
    assert b"expect" not in second.requests[0].lower()


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    ],
    ids=["100", "103", "fields", "trailers", "a line"],
)
def test_row_085_nothing_in_a_head_is_endless(
    scripted_server: ScriptedServer, head: bytes, piece: bytes
) -> None:
    scripted_server.script(Expect(), Send(head), Flood(piece, limit=1 << 24))

    with client.Session(trust_env=False) as session, pytest.raises((ProtocolError, ChunkedEncodingError)):
        session.get(scripted_server.url)


def test_row_086_a_head_that_drips_ends_by_its_limit_or_the_deadline(scripted_server: ScriptedServer) -> None:
    stop = threading.Event()

    class Drip:
        """One field line each ten milliseconds, for ever."""

        def play(self, conversation: object) -> None:
            sock: socket.socket = conversation.socket  # type: ignore[attr-defined]  # of `Conversation`
            try:
                while not stop.wait(0.01):
                    sock.sendall(b"X: y\r\n")
            except OSError:
                pass

    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\n"), Drip())
    with client.Session(trust_env=False, timeout=client.Timeouts(total=1.5)) as session:
        with pytest.raises(client.TotalTimeout):
            session.get(scripted_server.url)
    stop.set()


@parse("K40")
def test_row_087_trailers_have_the_limits_of_a_head(scripted_server: ScriptedServer, row_id: str) -> None:
    refused(scripted_server, row_id)


def test_row_088_chunks_that_are_mostly_extension_are_refused(scripted_server: ScriptedServer) -> None:
    chunk = b"1;" + b"a" * 4000 + b"\r\nx\r\n"
    scripted_server.script(
        Expect(),
        Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Flood(chunk, limit=1 << 24),
    )

    with client.Session(trust_env=False) as session, pytest.raises(ChunkedEncodingError) as caught:
        session.get(scripted_server.url)

    assert len(caught.value.partial) < 100


def test_row_089_many_small_chunks_take_linear_time(scripted_server: ScriptedServer) -> None:
    count = 200_000
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * count + b"0\r\n\r\n"
    scripted_server.script(Expect(), Send(body), Hold())

    with client.Session(trust_env=False) as session:
        started = time.process_time()
        assert count == len(session.get(scripted_server.url).content)
        assert time.process_time() - started < 5


@pytest.mark.parametrize("piece", [1 << 23, 1], ids=["one segment", "byte by byte"])
def test_row_090_a_large_head_is_refused_in_linear_time(scripted_server: ScriptedServer, piece: int) -> None:
    size = 1 << 23 if piece > 1 else 70_000
    head = b"HTTP/1.1 200 OK\r\nX: " + b"y" * size
    scripted_server.script(Expect(), Send(head, piece=piece, may_fail=True), Close())

    with client.Session(trust_env=False) as session, pytest.raises(ProtocolError):
        started = time.process_time()
        session.get(scripted_server.url)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "stimulus",
    [
        b"HTTP/1.1 200 \x1b[2J\x1b]0;owned\x07\r\n\r\n",
        b"\x1b[31mSSH-2.0\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x1b[2Jb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\x1b: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \x1b[2J\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\x1b[2J\r\n",
        b"garbage" * 1000,
    ],
)
def test_row_091_what_the_peer_wrote_is_escaped_and_short_in_an_error(
    scripted_server: ScriptedServer, stimulus: bytes
) -> None:
    seen, _ = play(scripted_server, stimulus)

    assert isinstance(seen, Exception)
    assert str(seen).isprintable()
    assert len(str(seen)) < 400


@pytest.mark.parametrize(
    "location", ["http://[::1", "http://a:b/", "http:///", "http://a b/", "//", "http://\u2100"]
)
def test_row_092_a_broken_location_is_our_error_with_the_response(
    scripted_server: ScriptedServer, location: str
) -> None:
    scripted_server.answer(redirect(location))

    with client.Session(trust_env=False) as session, pytest.raises(RedirectError) as caught:
        session.get(scripted_server.url)

    assert caught.value.response is not None
    assert 302 == caught.value.response.status_code


def test_a_body_cut_short_says_what_came(scripted_server: ScriptedServer) -> None:
    """The rule behind all of these rows: nothing is passed off as whole."""
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), Close())

    with client.Session(trust_env=False) as session, pytest.raises(IncompleteBody) as caught:
        session.get(scripted_server.url)

    assert (b"hello", 5, 10) == (caught.value.partial, caught.value.received, caught.value.expected)
