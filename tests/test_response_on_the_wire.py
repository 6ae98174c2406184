"""`Response` behind a real session: framing and coding judged together, and what becomes of the connection."""

from __future__ import annotations

import gzip
import pickle
import shutil
import threading
import zlib
from io import BytesIO
from pathlib import Path

import pytest

from client.exceptions import (
    BodyTooLarge,
    ChunkedEncodingError,
    ContentDecodingError,
    IncompleteBody,
    ReadTimeout,
)
from client.session import Session
from tests.scripted_server import Close, Expect, ExpectClosed, Flood, Hold, Pause, ScriptedServer, Send, Wait

pytestmark = pytest.mark.usefixtures("no_leaks")

TEXT = b"".join(b"line %d\n" % number for number in range(5000))
CODED = gzip.compress(TEXT)
OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"Content-Length: 5\r\n\r\nhello"


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def gzipped(body: bytes) -> bytes:
    """Return a whole response whose framing is right, whatever its coding is."""
    return OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def test_a_gzip_body_is_decoded_and_the_connection_serves_on(scripted_server: ScriptedServer) -> None:
    server = scripted_server.answer(gzipped(CODED), HELLO)
    with Session() as session:
        assert TEXT == session.get(scripted_server.url).content
        assert b"hello" == session.get(scripted_server.url).content
    assert b"accept-encoding: gzip, deflate, br, zstd\r\n" in server.requests[0].lower()


def test_a_truncated_member_in_a_right_frame_is_an_error(scripted_server: ScriptedServer) -> None:
    """The framing is complete, so the connection is sound and the body is not."""
    scripted_server.answer(gzipped(CODED[:-5]), HELLO)
    with Session() as session:
        with pytest.raises(ContentDecodingError) as caught:
            session.get(scripted_server.url)
        assert TEXT == caught.value.partial
        assert caught.value.response is not None
        assert 200 == caught.value.response.status_code
        assert caught.value.request is caught.value.response.request
        assert b"hello" == session.get(scripted_server.url).content


def test_a_corrupt_member_closes_the_connection(scripted_server: ScriptedServer) -> None:
    """What is left on the wire would be read as the next answer."""
    bad = b"\x1f\x8b\x08\x00" + b"\xff" * 200_000
    scripted_server.script(Expect(), Send(gzipped(bad), may_fail=True), ExpectClosed())
    with Session() as session, pytest.raises(ContentDecodingError, match="gzip"):
        session.get(scripted_server.url)


@pytest.mark.parametrize(
    ("reply", "error", "partial"),
    [
        (OK + b"Content-Length: 9\r\n\r\nhello", IncompleteBody, b"hello"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nab", IncompleteBody, b"helloab"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n", ChunkedEncodingError, b"hello"),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 99999\r\n\r\n" + CODED, IncompleteBody, TEXT),
        (OK + b"Content-Encoding: gzip\r\n\r\n" + CODED[:-5], ContentDecodingError, TEXT),
    ],
)
def test_a_broken_body_says_what_had_come(
    scripted_server: ScriptedServer, reply: bytes, error: type[IncompleteBody], partial: bytes
) -> None:
    for _ in range(3):
        scripted_server.script(Expect(), Send(reply), Close())
    with Session() as session:
        with pytest.raises(error) as caught:
            session.get(scripted_server.url)
        assert partial == caught.value.partial
        twin = pickle.loads(pickle.dumps(caught.value))
        assert partial == twin.partial
        assert 200 == twin.response.status_code

        response = session.get(scripted_server.url, stream=True)
        with pytest.raises(error) as caught:
            response.content  # noqa: B018  # reads it
        assert partial == caught.value.partial
        assert caught.value.response is response
        with pytest.raises(error) as again:
            response.content  # noqa: B018  # reads it
        assert partial == again.value.partial

        response = session.get(scripted_server.url, stream=True)
        got = []
        with pytest.raises(error) as caught:
            for piece in response.iter_content():
                got.append(piece)  # noqa: PERF402  # what came before the error counts
        assert partial == b"".join(got)
        assert caught.value.response is response


def test_a_body_that_stalls_carries_what_had_come(scripted_server: ScriptedServer) -> None:
    scripted_server.script(Expect(), Send(OK + b"Content-Length: 9\r\n\r\nhello"), Pause(5), Hold())
    with Session() as session:
        with pytest.raises(ReadTimeout) as caught:
            session.get(scripted_server.url, timeout=(5, 1))
        assert b"hello" == caught.value.partial


def test_an_event_arrives_while_the_stream_is_open(scripted_server: ScriptedServer) -> None:
    """Also through gzip, which would hold it back if whole pieces were waited for."""
    compressor = zlib.compressobj(wbits=31)
    seen = threading.Event()
    first = compressor.compress(b"id: 1\ndata: one\n\n") + compressor.flush(2)
    second = compressor.compress(b"data: two\n\n") + compressor.flush()
    head = (
        OK
        + b"Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    scripted_server.script(
        Expect(), Send(head + chunked(first)), Wait(seen), Send(chunked(second, b"")), Hold()
    )
    with Session() as session, session.get(scripted_server.url, stream=True) as response:
        events = response.iter_sse()
        assert "one" == next(events).data
        seen.set()
        assert [("two", "1")] == [(event.data, event.id) for event in events]


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"gzip, " * 60])
def test_head_describes_a_body_that_does_not_come(scripted_server: ScriptedServer, coding: bytes) -> None:
    head = OK + b"Content-Encoding: " + coding + b"\r\nContent-Length: 12345\r\n\r\n"
    scripted_server.answer(
        head, b"HTTP/1.1 304 Not Modified\r\nContent-Encoding: " + coding + b"\r\n\r\n", HELLO
    )
    with Session() as session:
        assert b"" == session.head(scripted_server.url).content
        assert b"" == session.get(scripted_server.url).content
        assert b"hello" == session.get(scripted_server.url).content


def test_trailers_come_with_the_end(scripted_server: ScriptedServer) -> None:
    scripted_server.answer(
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"hello") + b"0\r\nDigest: abc\r\n\r\n"
    )
    with Session() as session:
        response = session.get(scripted_server.url, stream=True)
        assert b"hello" == response.content
        assert "abc" == response.trailers["digest"]


def test_an_endless_body_ends_at_max_body(scripted_server: ScriptedServer) -> None:
    scripted_server.script(
        Expect(),
        Send(OK + b"Transfer-Encoding: chunked\r\n\r\n"),
        Flood(chunked(b"x" * 65536), 1 << 30),
        ExpectClosed(),
    )
    with Session() as session, pytest.raises(BodyTooLarge) as caught:
        session.get(scripted_server.url, max_body=1_000_000)
    assert len(caught.value.partial) <= 1_000_000


def test_a_dropped_stream_closes_its_connection(scripted_server: ScriptedServer) -> None:
    """No `close`, no `with`: the reference is gone, so the socket is."""
    for touch in (None, "raw", "iter", "open"):
        script = scripted_server.script(
            Expect(), Send(OK + b"Content-Length: 99\r\n\r\nhello"), ExpectClosed()
        )
        with Session() as session:
            response = session.get(scripted_server.url, stream=True)
            if touch == "raw":
                assert b"he" == response.raw.read(2)
            elif touch == "iter":
                assert b"he" == next(response.iter_content(2))
            elif touch == "open":
                assert b"he" == response.open().peek(2)[:2]
            del response
        assert script.finished.wait(5)


def test_raw_and_open_of_a_chunked_gzip(scripted_server: ScriptedServer, tmp_path: Path) -> None:
    reply = (
        OK
        + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunked(CODED[:9], CODED[9:], b"")
    )
    scripted_server.answer(reply, reply, reply)
    with Session() as session:
        target = BytesIO()
        shutil.copyfileobj(session.get(scripted_server.url, stream=True).raw, target)
        assert CODED == target.getvalue()
        with (
            (tmp_path / "body").open("wb") as file,
            session.get(scripted_server.url, stream=True).open() as body,
        ):
            shutil.copyfileobj(body, file)
        assert TEXT == (tmp_path / "body").read_bytes()
        with session.get(scripted_server.url, stream=True) as response:
            assert b"line 0" == next(response.iter_lines())


def test_cookies_and_history_of_a_redirect(scripted_server: ScriptedServer) -> None:
    hop = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nSet-Cookie: a=1\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\njunk"
    scripted_server.answer(hop, HELLO)
    with Session() as session:
        response = session.get(scripted_server.url)
        assert b"hello" == response.content
        assert scripted_server.url + "/next" == response.url
        assert [302] == [first.status_code for first in response.history]
        assert {"a": "1"} == dict(response.history[0].cookies)
        assert {} == dict(response.cookies)
