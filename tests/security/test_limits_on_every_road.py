"""Rows 104, 136 and 138: the limits hold on every road, against every waiting and every buffering."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import client
from client.exceptions import BodyTooLarge, IncompleteBody
from tests.scripted_server import Close, Expect, ScriptedServer, Send
from tests.security.origins import OK, redirect, response
from tests.security.test_resource_limits import CHUNKED, MEBIBYTE, memory_below, session

pytestmark = pytest.mark.timeout(10)


def read_content(s: client.Session, url: str) -> None:
    assert s.get(url).content


def read_stream(s: client.Session, url: str) -> None:
    with s.get(url, stream=True) as answer:
        for _ in answer.iter_content(1000):
            pass


def read_lines(s: client.Session, url: str) -> None:
    with s.get(url, stream=True) as answer:
        for _ in answer.iter_lines():
            pass


def read_file(s: client.Session, url: str) -> None:
    with s.get(url, stream=True) as answer, answer.open() as file:
        file.read()


def read_submitted(s: client.Session, url: str) -> None:
    s.submit("GET", url).result(10)


def read_mapped(s: client.Session, url: str) -> None:
    list(s.map([url]))


@pytest.mark.parametrize("offload", [False, True], ids=["own thread", "offload"])
@pytest.mark.parametrize(
    "road",
    [read_content, read_stream, read_lines, read_file, read_submitted, read_mapped],
    ids=lambda road: road.__name__,
)
@pytest.mark.parametrize("framing", ["chunked", "length", "gzip"])
def test_row_136_max_body_holds_on_every_road(
    scripted_server: ScriptedServer, road: Callable[[client.Session, str], None], framing: str, offload: bool
) -> None:
    body = b"x" * 300_000
    answers = {
        "chunked": CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
        "length": response(body=body),
        "gzip": response(b"Content-Encoding: gzip", body=gzip.compress(body)),
    }
    scripted_server.script(Expect(), Send(answers[framing], may_fail=True), Close())

    with session(max_body=100_000, offload=offload) as s, pytest.raises(BodyTooLarge):
        road(s, scripted_server.url)


def seconds_of_retries(server: ScriptedServer, value: bytes, answers: int) -> float:
    """Have *answers* many 503 answered with Retry-After: *value*; return how long the call took, however it ended."""
    server.answer(*[response(b"Retry-After: " + value, status=b"503 No")] * answers)
    retry = client.Retry(2, backoff_factor=0.01)
    started = time.monotonic()
    with session() as s, contextlib.suppress(client.RequestException):
        s.get(server.url, retries=retry, timeout=client.Timeouts(total=1.0))
    return time.monotonic() - started


@pytest.mark.parametrize("value", [b"99999999", b"9" * 400, b"Fri, 31 Dec 9999 23:59:59 GMT"])
def test_row_138_no_server_makes_a_retry_wait_past_the_deadline(
    scripted_server: ScriptedServer, value: bytes
) -> None:
    """The cap itself (120 seconds) is in `tests.test_retries`."""
    assert seconds_of_retries(scripted_server, value, 1) < 5


@pytest.mark.parametrize(
    "value", [b"-1", b"nan", b"inf", b"1e9", b"\xff", b"0x10", b"0", b"Thu, 01 Jan 1970 00:00:00 GMT"]
)
def test_row_138_what_is_no_time_in_the_future_is_no_wait(
    scripted_server: ScriptedServer, value: bytes
) -> None:
    assert seconds_of_retries(scripted_server, value, 3) < 5


def test_row_104_an_upload_is_not_read_ahead_of_its_reader() -> None:
    """An iterator is asked for its next piece when there is room, not before."""
    asked = itertools.count()
    go = threading.Event()

    def pieces() -> Iterator[bytes]:
        for _ in range(1000):
            next(asked)
            yield b"x" * 65536

    class Sip:
        """Read the head, and nothing of the body until the test has looked."""

        def play(self, conversation: Any) -> None:
            conversation.socket.recv(100)
            go.wait(8)

    with ScriptedServer() as server:
        server.script(Sip(), Close())
        with session() as s, pytest.raises(client.exceptions.RequestException):
            s.post(server.url, data=pieces(), timeout=client.Timeouts(write=0.5))
        go.set()

    assert next(asked) < 500


def test_a_truncated_body_is_an_error_on_every_road(scripted_server: ScriptedServer) -> None:
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), Close())

    with session() as s, pytest.raises(IncompleteBody):
        list(s.map([scripted_server.url]))


def test_a_chain_of_redirects_keeps_no_more_than_its_short_bodies(scripted_server: ScriptedServer) -> None:
    """Thirty of 60 KiB, which `history` still shows, as in requests; a longer one is not read at all (row S7)."""
    hop = redirect("/").replace(
        b"Content-Length: 0\r\n\r\n", b"Content-Length: 60000\r\n\r\n" + b"x" * 60_000
    )
    scripted_server.answer(*[hop] * 30, OK)

    with session() as s, memory_below(4 * MEBIBYTE):
        assert 30 == len(s.get(scripted_server.url).history)
