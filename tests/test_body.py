"""Request bodies: what callers pass, and the bytes that come of it."""

from __future__ import annotations

import array
import io
import json
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.body import CallableBody, IterableBody, encode_body, wire_body
from client.exceptions import InvalidBody, InvalidJSONError, UnrewindableBodyError
from tests.sent_bodies import sent, streamed

# -- forms, text, JSON ----------------------------------------------------------------------------------------

FORM = b"application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"a": "b c", "d": ["e", "f"], "g": None, "h": 1}, ("a=b+c&d=e&d=f&h=1", FORM)),
        ([("a", "1"), ("a", "2")], ("a=1&a=2", FORM)),
        ((("a", b"\xff"),), ("a=%FF", FORM)),
        ("text \u20ac", ("text \u20ac", None)),
        (b"bytes", (b"bytes", None)),
        (bytearray(b"bytes"), (b"bytes", None)),
        (memoryview(b"bytes")[::2], (b"bts", None)),
        (array.array("H", [1]), (b"\x01\x00", None)),
        (None, (None, None)),
        ("", (None, None)),
        (b"", (None, None)),
        ({}, (None, None)),
        ([], (None, None)),
    ],
)
def test_data(data: Any, expected: tuple[Any, bytes | None]) -> None:
    assert expected == encode_body(data, None)


@pytest.mark.parametrize(
    "data",
    [
        5,
        0,
        True,
        1.5,
        object(),
        Path(),
        [1],
        ["ab"],
        [b"piece"],
        [("a",)],
        {"a": {"b": "c"}},
        {"a": [{"b": "c"}]},
        {"a": "\ud800"},
    ],
)
def test_data_of_another_type_is_refused_by_name(data: Any) -> None:
    with pytest.raises(InvalidBody, match="data="):
        encode_body(data, None)


def test_text_is_utf_8() -> None:
    assert "€".encode() == sent("€")
    with pytest.raises(InvalidBody, match="surrogate"):
        sent("\ud800")


@pytest.mark.parametrize("document", [{"a": [1, None, "\u20ac"]}, [], {}, 0, False, "", "text"])
def test_json(document: Any) -> None:
    body, content_type = encode_body(None, document)

    assert document == json.loads(body)
    assert b"application/json" == content_type
    assert (body, content_type) == encode_body({}, document)


def test_json_gives_way_to_data() -> None:
    """Documented by requests."""
    assert ("a=b", FORM) == encode_body({"a": "b"}, {"c": "d"})


def nested(depth: int) -> list[Any]:
    document: list[Any] = []
    for _ in range(depth):
        document = [document]
    return document


@pytest.mark.parametrize(
    "document", [float("nan"), [float("inf")], {1: object()}, {(1,): 1}, b"bytes", nested(100_000)]
)
def test_what_json_cannot_say(document: Any) -> None:
    with pytest.raises(InvalidJSONError, match="json="):
        encode_body(None, document)


# -- iterables ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [iter, list, tuple, deque, lambda pieces: (piece for piece in pieces)])
def test_pieces_go_out_one_by_one_and_empty_ones_not_at_all(kind: Callable[[Any], Any]) -> None:
    body = streamed(kind([b"a", b"", "é", bytearray(b"b"), memoryview(b"c"), ""]))

    assert body.length is None
    assert [b"a", "é".encode(), b"b", b"c"] == list(body.chunks())


def test_an_iterator_is_used_once_and_a_collection_again() -> None:
    once, again = streamed(iter([b"a"])), streamed([b"a"])

    assert (False, True) == (once.replayable, again.replayable)
    assert [b"a"] == list(once.chunks())
    assert [b"a"] == list(again.chunks()) == list(again.chunks())
    with pytest.raises(UnrewindableBodyError, match="fresh body"):
        once.chunks()


def test_an_iterable_with_a_length_is_not_chunked() -> None:
    """A recipe of many: a class with ``__iter__`` and the size of the body as ``__len__``."""

    class Upload:
        def __iter__(self) -> Iterator[bytes]:
            yield from (b"ab", b"cd")

        def __len__(self) -> int:
            return 4

    assert 4 == streamed(Upload()).length
    assert b"abcd" == sent(Upload())


@pytest.mark.parametrize(("length", "message"), [(2, "more than the 2"), (4, "ended 1 bytes short of the 4")])
def test_announced_lengths_are_kept(length: int, message: str) -> None:
    with pytest.raises(InvalidBody, match=message):
        list(IterableBody(iter([b"a", b"bc"]), length).chunks())


@pytest.mark.parametrize("piece", [1, None, [b"a"], object()])
def test_a_piece_of_another_type_is_an_error(piece: Any) -> None:
    chunks = streamed(iter([b"a", piece])).chunks()

    assert b"a" == next(chunks)
    with pytest.raises(InvalidBody, match=f"data= must yield bytes or str, not {type(piece).__name__}"):
        next(chunks)


def test_what_a_generator_raises_is_what_the_caller_gets() -> None:
    def broken() -> Iterator[bytes]:
        yield b"a"
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        sent(broken())


@given(st.lists(st.binary() | st.text(st.characters(exclude_categories=["Cs"]))))
def test_pieces_add_up(pieces: list[bytes | str]) -> None:
    whole = b"".join(piece.encode() if isinstance(piece, str) else piece for piece in pieces)

    assert whole == sent(iter(pieces))
    assert whole == b"".join(IterableBody(pieces, len(whole)).chunks())


# -- callables ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factory", "length"),
    [
        (lambda: b"abc", 3),
        (lambda: "abc", 3),
        (lambda: io.BytesIO(b"abc"), 3),
        (lambda: iter([b"a", b"bc"]), None),
        (lambda: (piece for piece in (b"a", b"bc")), None),
        (lambda: [b"a", b"bc"], None),
    ],
)
def test_a_callable_makes_the_body_anew(factory: Callable[[], Any], length: int | None) -> None:
    body = streamed(factory)

    assert (length, True) == (body.length, body.replayable)
    assert b"abc" == b"".join(body.chunks()) == b"".join(body.chunks())


@pytest.mark.parametrize("made", [None, b"", ""])
def test_a_callable_may_make_nothing(made: Any) -> None:
    assert 0 == streamed(lambda: made).length
    assert b"" == sent(lambda: made)


def test_a_callable_is_called_once_for_each_time() -> None:
    calls: list[int] = []

    def factory() -> bytes:
        calls.append(1)
        return b"abc"

    body = CallableBody(factory)

    assert [] == calls
    assert 3 == body.length == body.length
    assert [1] == calls
    assert b"abc" == b"".join(body.chunks())
    assert [1] == calls
    assert b"abc" == b"".join(body.chunks())
    assert [1, 1] == calls


def test_a_callable_of_announced_length_is_not_called_before_it_is_sent() -> None:
    calls: list[int] = []

    def factory() -> Iterator[bytes]:
        calls.append(1)
        return iter([b"abc"])

    body = CallableBody(factory)
    body.length = 3

    assert [] == calls
    assert (3, b"abc") == (body.length, b"".join(body.chunks()))
    body.length = 4
    with pytest.raises(InvalidBody, match="short"):
        list(body.chunks())


def test_a_callable_that_returns_the_same_stream_again_cannot_be_replayed() -> None:
    """It is used up, and would be sent as an empty body."""
    stream = iter([b"abc"])
    body = streamed(lambda: stream)

    assert b"abc" == b"".join(body.chunks())
    with pytest.raises(UnrewindableBodyError, match="same object"):
        list(body.chunks())


def test_a_callable_that_makes_another_length_is_an_error() -> None:
    bodies = iter([b"abc", b"ab"])
    body = streamed(lambda: next(bodies))

    assert b"abc" == b"".join(body.chunks())
    with pytest.raises(InvalidBody, match="short"):
        list(body.chunks())


@pytest.mark.parametrize("made", [5, {"a": "b"}, lambda: b"abc", object()])
def test_a_callable_that_makes_no_body_is_refused_before_it_is_sent(made: Any) -> None:
    with pytest.raises(InvalidBody, match="data="):
        _ = streamed(lambda: made).length


def test_a_body_of_the_callers_own_is_taken_as_it_is() -> None:
    class Own:
        length = 3
        replayable = True

        def chunks(self) -> Iterator[bytes]:
            return iter([b"abc"])

    own = Own()

    assert own is wire_body(own)
