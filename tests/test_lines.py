"""Lines, delimited items and server-sent events, wherever the network cuts them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.lines import ServerSentEvent, events, split, split_lines
from tests.wire_bytes import cut


def lines(*pieces: bytes) -> list[bytes]:
    return list(split_lines(pieces, b"\n", b"\r"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", []),
        (b"one", [b"one"]),
        (b"one\n", [b"one"]),
        (b"one\ntwo", [b"one", b"two"]),
        (b"one\r\ntwo\r\n", [b"one", b"two"]),
        (b"\n\n", [b"", b""]),
        (b"\r\n\n\r\nx", [b"", b"", b"", b"x"]),
        (b"a\rb\n", [b"a\rb"]),
        (b"a\r\r\nb\r", [b"a\r", b"b"]),
        (b"a\x0b\x0c\x1c\x1d\x1e\x85b\n", [b"a\x0b\x0c\x1c\x1d\x1e\x85b"]),
    ],
)
def test_lines_end_in_lf_or_crlf_for_every_cut(text: bytes, expected: list[bytes]) -> None:
    """requests yields blank lines that nobody sent when CRLF is cut in the middle (its issue 3980)."""
    assert expected == lines(text)
    assert expected == lines(*(text[index : index + 1] for index in range(len(text))))
    for first in range(len(text) + 1):
        for second in range(len(text) - first + 1):
            assert expected == lines(*cut(text, first, second))


def test_unicode_line_separators_stay_in_the_line() -> None:
    """They are legal inside JSON strings; httpx cuts there."""
    assert ['{"a": "\u2028\u2029\x85\x0b"}', "b"] == list(
        split_lines(['{"a": "\u2028\u2029\x85\x0b"}\r\nb'], "\n", "\r")
    )


@given(
    text=st.text(alphabet="ab|", max_size=30),
    delimiter=st.sampled_from(["|", "||", "ab", "aba", "a"]),
    data=st.data(),
)
def test_delimiters_are_found_for_every_cut(text: str, delimiter: str, data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(0, 6), max_size=10))
    pieces, rest = [], text
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    expected = text.split(delimiter)
    if not expected[-1]:
        expected.pop()

    assert expected == list(split([*pieces, rest], delimiter))
    encoded = [piece.encode() for piece in [*pieces, rest]]
    assert [item.encode() for item in expected] == list(split(encoded, delimiter.encode()))


@pytest.mark.parametrize("delimiter", ["ab", "aba", "||"])
def test_delimiters_are_found_for_every_cut_of_one_text(delimiter: str) -> None:
    text = "ab|ababaxa||b|||aab"
    expected = [
        item for index, item in enumerate(text.split(delimiter)) if item or index < text.count(delimiter)
    ]
    for first in range(len(text)):
        for second in range(first, len(text)):
            assert expected == list(split([text[:first], text[first:second], text[second:]], delimiter))


@pytest.mark.parametrize("delimiter", ["\n", "--"])
def test_a_line_of_many_pieces_takes_linear_time(delimiter: str) -> None:
    start = time.process_time()
    found = list(split(["x" * 64] * 100_000 + [delimiter, "end"], delimiter))
    assert time.process_time() - start < 3

    assert [6_400_000, 3] == [len(line) for line in found]


STREAM = """\ufeffignored
: a comment

data: first
event: add
id: 7

data
data

data:no blank
data:  two blanks
unknown: field
retry: 1500

event: nothing to tell

id
data: id was reset

id: a\0b
retry: 1.5
retry: 99999999999999999999
data: {"x": "a: b\u2028"}

data: cut off by the end"""

EVENTS = [
    ServerSentEvent("add", "first", "7"),
    ServerSentEvent("message", "\n", "7"),
    ServerSentEvent("message", "no blank\n two blanks", "7", 1500),
    ServerSentEvent("message", "id was reset", "", 1500),
    ServerSentEvent("message", '{"x": "a: b\u2028"}', "", 1500),
]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_events_are_read_as_the_standard_says(end: str) -> None:
    """WHATWG HTML section 9.2.6, for each of its three line ends and every cut."""
    stream = STREAM.removeprefix("\ufeff").replace("\n", end)

    assert EVENTS == list(events([stream]))
    assert EVENTS == list(events(stream))
    for first in range(len(stream)):
        assert EVENTS == list(events([stream[:first], "", stream[first:]]))


def test_mixed_line_ends() -> None:
    assert [ServerSentEvent(data="a"), ServerSentEvent(data="b"), ServerSentEvent(data="c")] == list(
        events("data: a\r\n\rdata: b\n\r\ndata: c\r\r")
    )


def test_an_event_is_delivered_with_its_blank_line() -> None:
    """Not when the next piece arrives: a CR ends the line even though an LF may still follow."""
    arrived = iter(["data: x\r\n\r"])

    assert ServerSentEvent(data="x") == next(events(arrived))


def test_an_endless_retry_is_ignored() -> None:
    assert [ServerSentEvent(data="x")] == list(events(["retry: " + "9" * 1_000_000 + "\ndata: x\n\n"]))
    assert [ServerSentEvent(data="x")] == list(events(["retry: \u0661\ndata: x\n\n"]))


@given(st.lists(st.text(alphabet="dat: \r\n\0", max_size=8), max_size=12))
def test_events_do_not_depend_on_the_pieces(pieces: list[str]) -> None:
    assert list(events(["".join(pieces)])) == list(events(pieces))


def test_an_event_shows_its_facts() -> None:
    event = ServerSentEvent("add", "x", "7", 3)

    assert "ServerSentEvent(event='add', data='x', id='7', retry=3)" == repr(event)
    assert event != ServerSentEvent("add", "x", "7")
    assert 1 == len({event, ServerSentEvent("add", "x", "7", 3)})
