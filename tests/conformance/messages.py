"""Strategies for valid HTTP/1.1 messages, and the wire between two engines.

Everything drawn here is legal to send; what a receiver makes of it is for the tests to say.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from client import protocol

__all__ = [
    "Exchange",
    "Message",
    "exchanges",
    "messages_out",
    "piece_sizes",
    "pieces_of",
    "requests",
    "responses",
]

TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
VISIBLE = bytes(range(0x21, 0x7F))
OBS_TEXT = bytes(range(0x80, 0x100))

Fields = list[tuple[bytes, bytes]]


class Message(NamedTuple):
    """One whole message: its head, its body in the pieces it is sent in, and its trailers."""

    head: protocol.Request | protocol.Response
    body: list[bytes]
    trailers: Fields

    @property
    def events(self) -> list[protocol.Event]:
        body: list[protocol.Event] = [protocol.Data(data=piece) for piece in self.body]
        return [self.head, *body, protocol.EndOfMessage(headers=self.trailers)]


class Exchange(NamedTuple):
    """A request and what answers it."""

    request: Message
    informational: list[protocol.InformationalResponse]
    response: Message


def bytes_of(alphabet: bytes, max_size: int, min_size: int = 0) -> st.SearchStrategy[bytes]:
    """Strings over *alphabet*."""
    return st.lists(st.sampled_from(alphabet), min_size=min_size, max_size=max_size).map(bytes)


tokens = st.text(TOKEN_CHARACTERS, min_size=1, max_size=10).map(str.encode)
# A prefix keeps drawn fields out of the few names that frame, route or switch.
names = st.builds(b"X-%b".__mod__, tokens)
edge = bytes_of(VISIBLE + OBS_TEXT, 3, 1)
values = st.just(b"") | edge | st.tuples(edge, bytes_of(VISIBLE + OBS_TEXT + b" \t", 20), edge).map(b"".join)
fields = st.lists(st.tuples(names, values), max_size=5)
bodies = st.lists(st.binary(max_size=200) | st.binary(max_size=5), max_size=5)
targets = bytes_of(VISIBLE, 20).map(b"/".__add__)
reasons = st.just(b"") | bytes_of(VISIBLE + b" \t" + OBS_TEXT, 12).map(bytes.strip)
piece_sizes = st.lists(st.integers(1, 7) | st.integers(1, 3000), min_size=1, max_size=6)


@st.composite
def framed(draw: st.DrawFn, head_fields: Fields) -> tuple[Fields, list[bytes], Fields]:
    """Draw a body, with the fields that frame it put somewhere among *head_fields*."""
    body = draw(bodies)
    chunked = draw(st.booleans())
    framing = (
        (b"Transfer-Encoding", b"chunked") if chunked else (b"Content-Length", b"%d" % sum(map(len, body)))
    )
    # Behind Host, which a sender puts first; a coding last, where a server that checks it puts it.
    place = len(head_fields) if chunked else draw(st.integers(1, len(head_fields)))
    trailers = draw(fields) if chunked else []
    return [*head_fields[:place], framing, *head_fields[place:]], body, trailers


@st.composite
def requests(draw: st.DrawFn, methods: st.SearchStrategy[bytes] | None = None) -> Message:
    """Draw a request with a body in either framing, or without one."""
    method = draw(
        methods if methods is not None else st.sampled_from([b"GET", b"HEAD", b"POST", b"OPTIONS"]) | tokens
    )
    head_fields = [(b"Host", b"h"), *draw(fields)]
    body: list[bytes] = []
    trailers: Fields = []
    if draw(st.booleans()):
        head_fields, body, trailers = draw(framed(head_fields))
    return Message(protocol.Request(method=method, target=draw(targets), headers=head_fields), body, trailers)


@st.composite
def responses(draw: st.DrawFn, method: bytes = b"GET", last: bool = False) -> Message:
    """Draw a response to *method* that frames itself; a *last* one may also be ended by the close."""
    status = draw(st.integers(200, 999).filter(lambda code: code != 205))
    head_fields = [(b"Date", b"today"), *draw(fields)]
    body: list[bytes] = []
    trailers: Fields = []
    if last and draw(st.booleans()):
        head_fields.append((b"Connection", b"close"))
    if status not in (204, 304):
        head_fields, body, trailers = draw(framed(head_fields))
        if method == b"HEAD":
            body, trailers = [], []
    head = protocol.Response(status_code=status, reason=draw(reasons), headers=head_fields)
    return Message(head, body, trailers)


@st.composite
def exchanges(draw: st.DrawFn, last: bool = False) -> Exchange:
    """Draw a request, up to three 1xx and a response."""
    request = draw(
        requests(tokens.filter(lambda method: method != b"CONNECT") | st.sampled_from([b"GET", b"HEAD"]))
    )
    informational = draw(
        st.lists(
            st.builds(
                lambda code, head_fields, reason: protocol.InformationalResponse(
                    status_code=code, headers=head_fields, reason=reason
                ),
                st.integers(100, 199).filter(lambda code: code != 101),
                fields,
                reasons,
            ),
            max_size=3,
        )
    )
    assert isinstance(request.head, protocol.Request)
    return Exchange(request, informational, draw(responses(request.head.method, last)))


def messages_out(connection: protocol.Connection, events: Sequence[protocol.Event]) -> bytes:
    """Send *events*; return what goes on the wire."""
    return b"".join(connection.send(event) or b"" for event in events)


def pieces_of(wire: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """Cut *wire* into pieces of *sizes*, over and over."""
    position = 0
    for size in itertools.cycle(sizes):
        if position >= len(wire):
            return
        yield wire[position : position + size]
        position += size
