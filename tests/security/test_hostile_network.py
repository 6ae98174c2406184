"""Rows T: servers that are slow on purpose.  The total deadline holds in every phase, for every way to call.

A timeout for each read alone never fires against a peer that sends a byte now and then; requests, niquests and httpx
wait for as long as it likes.
"""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import client
from client.exceptions import PoolTimeout, ProtocolError, Timeout, WriteTimeout
from client.retries import Retry
from client.timeouts import Timeouts
from tests.held_up import held_up
from tests.scripted_server import Expect, Flood, Hold, Pause, ScriptedServer, Send, Step
from tests.tls_authority import TLSAuthority
from tests.transport.dialing import black_hole

pytestmark = pytest.mark.timing

TOTAL = 0.4
LONG = 4.0  # where an answer is to come long before the deadline
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
Call = Callable[..., client.Response]


def drip(data: bytes) -> list[Step]:
    """Send one byte every 50 ms; much slower than the total, much faster than the read timeout."""
    return [step for byte in data for step in (Send(bytes([byte]), may_fail=True), Pause(0.05))]


DRIPS: dict[str, list[Step]] = {
    "body": [Send(HEAD + b"Content-Length: 40\r\n\r\n"), *drip(b"x" * 40)],
    "body until close": [Send(HEAD + b"\r\n"), *drip(b"x" * 40)],
    "interim answers": drip(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2),
}
DRIPPING_LINES: dict[str, list[Step]] = {
    "status line": drip(HEAD + b"Content-Length: 2\r\n\r\nok"),
    "field": [Send(HEAD), *drip(b"X-Field: " + b"y" * 40)],
    "fields": [Send(HEAD), *drip(b"A: b\r\n" * 10)],
    "chunk-size line": [Send(CHUNKED), *drip(b"5;" + b"e" * 40)],
    "trailer": [Send(CHUNKED + b"2\r\nok\r\n0\r\n"), *drip(b"X-Trailer: " + b"y" * 40)],
}


@pytest.fixture(params=["calling thread", "offload", "submit"])
def call(request: pytest.FixtureRequest) -> Iterator[Call]:
    """Send a request in each way that there is."""
    timeout = Timeouts(connect=5, read=5, write=5, pool=5, total=TOTAL)
    with client.Session(trust_env=False, timeout=timeout, offload=request.param == "offload") as session:
        if request.param == "submit":
            yield lambda method, url, **arguments: session.submit(method, url, **arguments).result()
        else:
            yield session.request
    assert 0 == session._transport._slots  # type: ignore[attr-defined]  # the pool


def assert_ends_in_time(seconds: float, function: Callable[[], object]) -> Timeout:
    """Run *function*, which must time out after *seconds*: never early, at most one second late."""
    with held_up() as seconds_held_up:
        began = time.monotonic()
        with pytest.raises(Timeout) as caught:
            function()
        taken = time.monotonic() - began
        assert seconds - 0.002 <= taken <= seconds + 1.0 + seconds_held_up()
    return caught.value


@pytest.mark.parametrize("what", DRIPS)
def test_row_t1_a_peer_that_drips_ends_with_the_total_deadline(
    scripted_server: ScriptedServer, call: Call, what: str
) -> None:
    scripted_server.script(Expect(), *DRIPS[what][:30], Hold())

    error = assert_ends_in_time(TOTAL, lambda: call("GET", scripted_server.url))

    assert ("total", TOTAL) == (error.phase, error.seconds)


@pytest.mark.parametrize("what", DRIPPING_LINES)
def test_row_t2_nor_does_a_line_that_drips_hold_anybody_longer(
    scripted_server: ScriptedServer, call: Call, what: str
) -> None:
    """In the middle of a line there is nothing to deliver, so only a clock can tell that it takes too long."""
    scripted_server.script(Expect(), *DRIPPING_LINES[what][:30], Hold())

    error = assert_ends_in_time(TOTAL, lambda: call("GET", scripted_server.url))

    assert ("total", TOTAL) == (error.phase, error.seconds)


def test_row_t1_nor_does_decoding_go_on_after_the_deadline(
    scripted_server: ScriptedServer, call: Call
) -> None:
    """All of it arrived at once, and what it expands to is 64 GiB."""
    member = gzip.compress(bytes(1 << 20))
    body = gzip.compress(gzip.compress(member * (1 << 16)))
    fields = b"Content-Encoding: gzip, gzip, gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    scripted_server.script(Expect(), Send(HEAD + fields + body), Hold())

    def read_all() -> None:
        for _ in call("GET", scripted_server.url, stream=True).iter_content(None):
            pass

    assert_ends_in_time(TOTAL, read_all)


def test_row_t3_a_peer_that_never_reads_ends_with_the_write_timeout(scripted_server: ScriptedServer) -> None:
    scripted_server.script(Expect(), Pause(60))

    with client.Session(trust_env=False) as session:
        error = assert_ends_in_time(
            0.3,
            lambda: session.post(scripted_server.url, data=bytes(16 << 20), timeout=Timeouts(write=0.3)),
        )

    assert isinstance(error, WriteTimeout)
    assert 0 < error.bytes_sent < 16 << 20


def test_row_t4_a_queue_that_is_full_ends_with_the_total_deadline(call: Call) -> None:
    with black_hole() as (host, port):
        assert_ends_in_time(TOTAL, lambda: call("GET", f"http://{host}:{port}/"))


def test_row_t5_a_handshake_that_never_comes_ends_with_the_total_deadline(
    scripted_server: ScriptedServer, call: Call
) -> None:
    scripted_server.script(Hold())

    assert_ends_in_time(TOTAL, lambda: call("GET", scripted_server.url.replace("http:", "https:")))


def test_row_t6_no_retry_after_reaches_past_the_total_deadline(
    scripted_server: ScriptedServer, call: Call
) -> None:
    """The answer stands, at once: a wait that cannot end in time is not begun."""
    busy = b"HTTP/1.1 503 Busy\r\nRetry-After: 99999999\r\nContent-Length: 0\r\n\r\n"
    scripted_server.answer(busy)
    began = time.monotonic()

    response = call("GET", scripted_server.url, retries=Retry(5), timeout=Timeouts(total=LONG))

    assert 503 == response.status_code
    assert time.monotonic() - began < LONG / 2


def test_row_t7_a_slot_that_nobody_gives_back_is_waited_for_as_long_as_allowed(
    scripted_server: ScriptedServer,
) -> None:
    scripted_server.script(Expect(), Send(HEAD + b"Content-Length: 2\r\n\r\n"), Hold())
    limits = client.PoolLimits(total=1, per_origin=1)

    with client.Session(trust_env=False, limits=limits, workers=1) as session:
        stuck = session.get(scripted_server.url, stream=True)
        error = assert_ends_in_time(0.2, lambda: session.get(scripted_server.url, timeout=Timeouts(pool=0.2)))
        stuck.close()

    assert isinstance(error, PoolTimeout)


def test_row_t8_a_peer_that_hints_for_ever_gets_no_second_more_for_it(
    scripted_server: ScriptedServer, call: Call
) -> None:
    hints: list[Step] = [Send(b"HTTP/1.1 103 Early Hints\r\n\r\n", may_fail=True), Pause(0.1)]
    scripted_server.script(Expect(), *(hints * 8), Hold())

    assert_ends_in_time(TOTAL, lambda: call("POST", scripted_server.url, data=b"x", expect=True))


@pytest.mark.parametrize("status", [b"100 Continue", b"103 Early Hints"])
def test_row_t9_endless_interim_answers_are_no_answer(
    scripted_server: ScriptedServer, call: Call, status: bytes
) -> None:
    scripted_server.script(Expect(), Flood(b"HTTP/1.1 " + status + b"\r\n\r\n", 1 << 20))
    began = time.monotonic()

    with pytest.raises(ProtocolError):
        call("GET", scripted_server.url, timeout=Timeouts(total=LONG))

    assert time.monotonic() - began < LONG / 2


def test_a_slow_tls_peer_is_late_as_well(
    scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority
) -> None:
    """Kernel timeouts do nothing below TLS, where the ssl module goes on reading for the rest of a record."""
    scripted_tls_server.script(Expect(), Send(HEAD + b"Content-Length: 40\r\n\r\n"), *drip(b"x" * 12), Hold())

    with client.Session(trust_env=False, verify=str(tls_authority.bundle)) as session:
        assert_ends_in_time(
            TOTAL, lambda: session.get(scripted_tls_server.url, timeout=Timeouts(read=5, total=TOTAL))
        )


def test_a_resolver_that_hangs_holds_nobody_past_the_connect_timeout() -> None:
    released = threading.Event()

    def resolver(host: str, port: int) -> list[str]:
        released.wait(20)
        return []

    arguments: dict[str, Any] = {"timeout": Timeouts(connect=0.2)}
    with client.Session(trust_env=False, resolver=resolver) as session:
        error = assert_ends_in_time(0.2, lambda: session.get("http://slow.test/", **arguments))
        released.set()

    assert ("dns", 0.2) == (error.phase, error.seconds)
