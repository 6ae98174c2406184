"""Valid responses mean to us what they mean to `http.client`, an engine that shares no line with ours."""

from __future__ import annotations

import http.client
import io
import socket
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from client import protocol
from tests.conformance.feeding import drain
from tests.conformance.messages import Message, messages_out, piece_sizes, pieces_of, responses


class Wire:
    """Bytes that `http.client` reads as from a socket: `makefile` is all it calls."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def makefile(self, *_: object, **__: object) -> io.BytesIO:
        return io.BytesIO(self.data)


def comparable(message: Message) -> bool:
    """Leave out what http.client's e-mail parser is known to misread: U+0085 ends a line for it."""
    return not any(b"\x85" in value for _, value in message.head.headers)


@given(
    st.sampled_from([b"GET", b"HEAD"]).flatmap(
        lambda method: st.tuples(st.just(method), responses(method, last=True).filter(comparable))
    ),
    st.booleans(),
    piece_sizes,
)
def test_http_client_reads_the_same(
    drawn: tuple[bytes, Message], until_close: bool, sizes: list[int]
) -> None:
    method, message = drawn
    wire = wire_of(method, message)
    if until_close:
        wire = b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n" + b"".join(message.body)

    theirs = http.client.HTTPResponse(cast(socket.socket, Wire(wire)), method=method.decode())
    theirs.begin()
    body = theirs.read()
    head, ours = ours_of(method, wire, sizes)

    assert theirs.status == head.status_code
    assert theirs.reason == head.reason.decode("latin-1").strip()
    assert theirs.version == {b"1.0": 10, b"1.1": 11}[head.http_version]
    assert [(name.lower(), value) for name, value in theirs.getheaders()] == [
        (name.decode(), value.decode("latin-1")) for name, value in head.headers
    ]
    assert body == ours


def wire_of(method: bytes, message: Message) -> bytes:
    server = protocol.Connection(protocol.SERVER)
    server.receive_data(b"%b / HTTP/1.1\r\nHost: h\r\n\r\n" % method)
    drain(server, [])
    return messages_out(server, message.events)


def ours_of(method: bytes, wire: bytes, sizes: list[int]) -> tuple[protocol.Response, bytes]:
    client = protocol.Connection(protocol.CLIENT)
    client.send(protocol.Request(method=method, target="/", headers=[("Host", "h")]))
    client.send(protocol.EndOfMessage())
    events: list[protocol.Event] = []
    for piece in [*pieces_of(wire, sizes), b""]:
        client.receive_data(piece)
        error = drain(client, events)
        assert error is None, f"http.client read it, we refused: {error}"
    head = events[0]
    assert isinstance(head, protocol.Response)
    return head, b"".join(event.data for event in events if isinstance(event, protocol.Data))
