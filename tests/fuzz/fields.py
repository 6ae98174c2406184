"""What must hold for the fields and texts of a response that are parsed further, whatever a peer writes there.

1. WWW-Authenticate, Link, Content-Type, Retry-After, dates, Content-Range: nothing is raised, time is linear.
2. An answer to a Digest challenge is one line, and its parameters can be read back.
3. Text, lines and server-sent events do not depend on where the network cut the body.

An input is one byte that seeds the cuts, and then a field's value, which also serves as a body.
"""

from __future__ import annotations

import codecs
import contextlib
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from client.digest import choose_challenge, digest_authorization, parse_challenges
from client.download_plan import Part, StartAgain, Version, judge
from client.exceptions import DownloadError
from client.headers import ResponseHeaders
from client.http_dates import parse_date, parse_retry_after
from client.lines import events, split_lines
from client.links import parse_links
from client.parameters import parameters
from client.text import charset_of, decode, decode_pieces, text_codec
from tests.fuzz.inputs import check_time_is_linear

__all__ = ["check_fields"]

NOW: Final = 1_800_000_000.0
USERS: Final = ("user", 'us"er\\', "usér", "用户")
PASSWORD: Final = "Pw-7c1e55"

Piece = TypeVar("Piece", bytes, str)


def check_fields(data: bytes) -> None:
    """Check every invariant for *data*."""
    seed, field = data[:1], data[1:]
    value = field.decode("latin-1")
    _check_digest(value, USERS[len(field) % len(USERS)])
    _check_parameters(value)
    _check_times(value)
    _check_range(value)
    _check_cuts(field, charset_of(value), random.Random(seed))
    for parse in _PARSERS:
        check_time_is_linear(partial(_of_bytes, parse), field)


def _of_bytes(parse: Callable[[str], object], long: bytes) -> None:
    parse(long.decode("latin-1"))


def _consume(parse: Callable[[list[str]], object]) -> Callable[[str], object]:
    return lambda long: parse([long])


_PARSERS: Final[Sequence[Callable[[str], object]]] = (
    lambda long: list(parse_challenges(long)),
    choose_challenge,
    parse_links,
    charset_of,
    parse_date,
    lambda long: parse_links("<a>" + long),
    lambda long: charset_of("text/html;charset" + long),
    _consume(lambda pieces: list(events(pieces))),
    _consume(lambda pieces: list(split_lines(pieces, "\n", "\r"))),
)


def _check_digest(value: str, user: str) -> None:
    for challenge in parse_challenges(value):
        assert challenge.scheme == challenge.scheme.lower()
        assert value.lower().count(challenge.scheme)
    chosen = choose_challenge(value)
    if chosen is None:
        return
    answer = digest_authorization(
        chosen, user, PASSWORD, method="GET", uri="/a?b=c", nonce_count=1, cnonce="c0"
    )
    assert PASSWORD not in answer
    assert answer.encode("latin-1")
    assert not any(ord(character) < 0x20 or ord(character) == 0x7F for character in answer), (
        "a control character"
    )
    (read,) = parse_challenges(answer)
    assert read.parameters["nonce"] == chosen.parameters["nonce"]
    assert read.parameters["realm"] == chosen.parameters["realm"]
    assert read.parameters["uri"] == "/a?b=c"
    assert read.parameters.get("opaque") == chosen.parameters.get("opaque")
    assert "username" in read.parameters or "username*" in read.parameters


def _check_parameters(value: str) -> None:
    found, end = parameters(value)
    assert 0 <= end <= len(value)
    for link in parse_links(value):
        assert link["url"] in value
        assert not set("<>") & set(link["url"])
    codec = text_codec(charset_of(value))
    assert codec is None or codecs.lookup(codec)._is_text_encoding
    assert all(name == name.lower() for name in found)


def _check_times(value: str) -> None:
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or seconds >= 0
    date = parse_date(value)
    assert date is None or -11_644_473_600 <= date < 253_402_300_800  # the years 1601 to 9999


def _check_range(value: str) -> None:
    headers = ResponseHeaders([(b"Content-Range", value.encode("latin-1")), (b"ETag", b'"v"')])
    for status in (206, 416):
        with contextlib.suppress(StartAgain, DownloadError):
            answer = judge(status, headers, Part(0, 1000), size=None, version=Version())
            assert answer.first == 0
            assert answer.stop is not None
            assert answer.stop <= 1000


def _check_cuts(body: bytes, charset: str | None, cuts: random.Random) -> None:
    whole = "".join(decode_pieces([body], charset))
    pieces = list(decode_pieces(_cut(body, cuts), charset))
    if not (text_codec(charset) or "").startswith("iso2022") or b"\x1b" not in body:  # see `decode_pieces`
        assert "".join(pieces) == whole, "a cut changes the text"
    if text_codec(charset) is not None:
        assert decode(body, charset) == whole, "text and iter_text differ"
    assert len(decode(body, None)) <= len(body)
    assert list(events(_cut(whole, cuts))) == list(events([whole])), "a cut changes the events"
    lines = list(split_lines(_cut(whole, cuts), "\n", "\r"))
    assert lines == list(split_lines([whole], "\n", "\r")), "a cut changes the lines"
    assert lines == [line.removesuffix("\r") for line in whole.removesuffix("\n").split("\n") if whole]


def _cut(whole: Piece, cuts: random.Random) -> list[Piece]:
    longest = cuts.choice((1, 3, 50))
    pieces = []
    at = 0
    while at < len(whole):
        size = cuts.randint(1, longest)
        pieces.append(whole[at : at + size])
        at += size
    return pieces
