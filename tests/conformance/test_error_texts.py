"""What an error says of the peer's mistake goes to logs and terminals: it must hurt nobody there, and help who reads it."""

from __future__ import annotations

from client import protocol
from tests.conformance.feeding import drain, open_connection
from tests.conformance.rows import Context

OK = b"HTTP/1.1 200 OK\r\n"


def test_an_error_shows_no_credential() -> None:
    """The peer's mistake goes to a log; the cookie or password on that line must not."""
    responses = (
        OK + b"Set-Cookie: s3cret\x01\r\n\r\n",
        OK + b"Set-Cookie: s3cret\r\nX : y\r\n\r\n",
        OK + b"Set-Cookie: a\r\n s3cret\x01\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nSet-Cookie: s3cret\x01\r\n\r\n",
        OK + b"Set-Cookie: s3cret",
        OK + b"Set-Cookie : s3cret\r\n\r\n",
    )
    requests = (
        b"GET / HTTP/1.1\r\nAuthorization: s3cret\x01\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nAuthorization: s3cret\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nCookie: s3cret",
        b"GET / HTTP/1.1\r\nProxy-Authorization : s3cret\r\nHost: h\r\n\r\n",
    )
    for context, wires in ((Context.GET, responses), (Context.SERVER, requests)):
        for wire in wires:
            connection = open_connection(context)
            connection.receive_data(wire)
            error = drain(connection, [])
            if error is None:
                connection.receive_data(b"")
                error = drain(connection, [])

            assert error is not None, wire
            assert "s3cret" not in str(error)


def test_an_error_shows_peer_bytes_escaped_and_cut() -> None:
    connection = open_connection(Context.GET)
    connection.receive_data(b"HTTP/1.1 200 \x1b[2J\n" + b"\x07" * 500 + b"\n\n")
    error = drain(connection, [])

    assert error is not None
    assert str(error).isprintable()
    assert 20 < len(str(error)) < 600


def test_every_cut_gives_the_same_status_hint() -> None:
    """A bare LF early in a head that is also too long: 400 however it arrives, not 431 for some."""
    wire = b"GET / HTTP/1.1\nHost: h\r\nX: " + b"a" * 70_000 + b"\r\n\r\n"
    hints = set()
    for step in (1, 1000, len(wire)):
        connection = protocol.Connection(protocol.SERVER)
        error = None
        for at in range(0, len(wire), step):
            connection.receive_data(wire[at : at + step])
            error = drain(connection, [])
            if error is not None:
                break
        assert error is not None
        hints.add(error.error_status_hint)

    assert {400} == hints
