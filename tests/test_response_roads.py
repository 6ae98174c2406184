"""Every road to the body gives the same bytes or the same error, for any bytes, coding, cut and limit."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st

from client.exceptions import ContentDecodingError, IncompleteBody, RequestException
from client.response import Response
from tests.wire_bytes import cut, response_of

ROADS: list[Callable[[Response], bytes]] = [
    lambda response: response.content,
    lambda response: b"".join(response.iter_content()),
    lambda response: b"".join(response.iter_content(1)),
    lambda response: b"".join(response.iter_content(7)),
    lambda response: b"\n".join(response.iter_lines(delimiter=b"\n")),
    lambda response: response.open().read(),
    lambda response: response.raw.read(decode_content=True),
    lambda response: b"".join(response.raw.stream(5, decode_content=True)),
]

TEXT = b"any text\nof some lines\n" * 20

bodies = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([gzip.compress(TEXT), zlib.compress(TEXT), gzip.compress(gzip.compress(TEXT))]),
    st.builds(
        lambda coded, at, octet: coded[:at] + bytes([octet]) + coded[at + 1 :],
        st.sampled_from([gzip.compress(TEXT), zlib.compress(TEXT)]),
        st.integers(0, 60),
        st.integers(0, 255),
    ),
    st.builds(lambda coded, end: coded[:end], st.just(gzip.compress(TEXT)), st.integers(0, 60)),
)


def outcome(road: Callable[[Response], bytes], response: Response) -> bytes | type[Exception]:
    try:
        return road(response).rstrip(b"\n")  # which lines don't show
    except RequestException as error:
        return type(error) if error.response is response else RequestException


@given(
    body=bodies,
    codings=st.lists(st.sampled_from([b"gzip", b"deflate", b"br", b"zstd", b"identity", b"foo"]), max_size=3),
    sizes=st.lists(st.integers(0, 50), max_size=6),
    limit=st.none() | st.integers(0, 600),
    broken=st.booleans(),
)
@example(body=gzip.compress(TEXT), codings=[b"gzip"], sizes=[3], limit=None, broken=True)
@example(body=gzip.compress(TEXT), codings=[b"gzip"], sizes=[3], limit=len(TEXT), broken=False)
def test_every_road_leads_to_the_same(
    body: bytes, codings: list[bytes], sizes: list[int], limit: int | None, broken: bool
) -> None:
    """A check that holds on some of the roads only is how silent truncation comes back."""
    headers = [(b"Content-Encoding", coding) for coding in codings]

    def response() -> Response:
        error = IncompleteBody("cut") if broken else None
        return response_of(cut(body, *sizes), headers, max_body=limit, error=error)

    outcomes = {outcome(road, response()) for road in ROADS}

    assert 1 == len(outcomes), outcomes
    if broken:
        assert not isinstance(outcomes.pop(), bytes)


def test_the_roads_end_where_they_should() -> None:
    """So that they don't agree on nothing."""
    good, bad = gzip.compress(TEXT), gzip.compress(TEXT)[:-1]
    for road in ROADS:
        assert TEXT.rstrip(b"\n") == outcome(road, response_of(good, [(b"Content-Encoding", b"gzip")]))
        assert ContentDecodingError is outcome(road, response_of(bad, [(b"Content-Encoding", b"gzip")]))
