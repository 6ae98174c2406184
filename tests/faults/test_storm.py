"""Sixty-four threads on one session, through relays that refuse, swallow, delay, drip, cut and reset.

Every request carries a nonce.  Whatever the network does: an answer carries the nonce of its own request and its
whole body; a failure is one of ours and typed; a POST arrives at most once unless it may be repeated; and in the end
no socket, thread or slot is left.
"""

from __future__ import annotations

import contextlib
import random
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Any

import pytest

import client
from client.exceptions import InvalidRequest, RequestException
from client.retries import Retry
from client.timeouts import Timeouts
from client.transport.pool import PoolLimits
from tests.faults.origin import NonceOrigin, body_of
from tests.faults.relay import (
    CLEAN,
    CLIENT,
    SERVER,
    BlackHole,
    Cut,
    Delay,
    Drip,
    Fault,
    FaultyRelay,
    HalfClose,
    Refuse,
    Reset,
    Sender,
)
from tests.leaks import no_leaks
from tests.ports import reserved_ports
from tests.tls_authority import TLSAuthority

THREADS = 64
SEED = 20260511
SIZES = (0, 1, 300, 300, 300, 3000, 40_000, 200_000)
FRAMINGS = ("length", "length", "length", "chunked", "chunked", "close", "rude", "late")
TIMEOUTS = Timeouts(connect=2, read=0.3, write=0.3, pool=10, total=3)
LIMITS = PoolLimits(total=48, per_origin=16, idle=24)


def fault_of(number: int) -> Fault:
    """Choose what happens to a connection: the same for the same number in every run."""
    dice = random.Random(SEED + number)
    senders: tuple[Sender, Sender] = (CLIENT, SERVER)
    sender = dice.choice(senders)
    after = dice.choice((0, 1, 50, 150, 400, 2000, 20_000, 100_000))
    faults: list[Fault] = [
        Refuse(),
        BlackHole(sender, after),
        Delay(sender, 0.02),
        Drip(sender, 2000, 0.005),
        Cut(sender, after),
        Cut(sender, after),
        Reset(sender, after),
        Reset(sender, after),
        HalfClose(sender, after),
    ]
    return dice.choice(faults) if dice.random() < 0.6 else CLEAN


@dataclass
class Outcome:
    """What the threads have seen."""

    answers: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    repeatable: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, error: BaseException) -> None:
        """Count a failure; one that is not typed, or that blames our own request, is wrong."""
        with self.lock:
            self.errors[type(error).__name__] += 1
            if not isinstance(error, (RequestException, CancelledError)) or isinstance(error, InvalidRequest):
                self.wrong.append(f"untyped: {error!r}")

    def note_late(self) -> None:
        """Count an answer that was meant for nobody."""
        with self.lock:
            self.errors["408"] += 1


class Storm:
    """The threads' work: requests drawn by chance, each checked by its nonce."""

    def __init__(self, session: client.Session, urls: list[str], outcome: Outcome) -> None:
        self.session = session
        self.urls = urls
        self.outcome = outcome

    def run(self, thread: int, count: int) -> None:
        """Send *count* requests."""
        dice = random.Random(SEED * 1000 + thread)
        for number in range(count):
            nonce = f"{thread}-{number}"
            try:
                self.send(nonce, dice)
            except BaseException as error:  # noqa: BLE001  # which ones may come is what is judged
                self.outcome.note(error)

    def send(self, nonce: str, dice: random.Random) -> None:
        """Send one request of a kind drawn by chance."""
        size = dice.choice(SIZES)
        url = f"{dice.choice(self.urls)}/{size}?{dice.choice(FRAMINGS)}"
        arguments: dict[str, Any] = {"headers": {"X-Nonce": nonce}}
        kind = dice.choice(("get", "get", "post", "post", "idempotent", "stream", "partly", "drop", "cancel"))
        if kind in {"get", "stream"} and dice.random() < 0.3:
            arguments["retries"] = Retry(2, backoff_factor=0.01)
        if kind in {"post", "idempotent"}:
            body = body_of(nonce, dice.choice((10, 10, 5000, 150_000)))
            arguments["data"] = (
                body
                if dice.random() < 0.7
                else (lambda: (body[at : at + 4000] for at in range(0, len(body), 4000)))
            )
            if dice.random() < 0.3:
                arguments["retries"] = 2
        if kind == "idempotent":
            arguments["idempotent"] = True
        if kind != "post":
            with self.outcome.lock:
                self.outcome.repeatable.add(nonce)
        method = "POST" if kind in {"post", "idempotent"} else "GET"
        if kind == "cancel":
            future = self.session.submit(method, url, **arguments)
            threading.Event().wait(dice.random() * 0.005)
            future.cancel()
            answered = future.result(10)
            self.check(nonce, size, answered, answered.content)
            return
        response = self.session.request(method, url, stream=kind in {"stream", "partly", "drop"}, **arguments)
        if kind == "partly":
            with response:
                first = next(iter(response.iter_content(100)), b"")
            self.check(nonce, len(first), response, first)
        elif kind == "stream":
            self.check(nonce, size, response, b"".join(response.iter_content(7000)))
        elif kind != "drop":
            self.check(nonce, size, response, response.content)
        with self.outcome.lock:
            self.outcome.answers += 1

    def check(self, nonce: str, size: int, response: client.Response, body: bytes) -> None:
        """The answer must be this request's, and whole."""
        if response.status_code == 408 and (nonce not in self.outcome.repeatable or response.attempts):
            # The unasked-for one came after the connection was found silent and before the request reached the
            # origin (RFC 9110 section 15.5.9). One that may not be repeated, or was repeated once, is told.
            self.outcome.note_late()
            return
        expected = body_of(nonce, size)
        if response.headers.get("Connection") == "close" and response.url.startswith("http:"):
            expected = expected[
                : len(body)
            ]  # without TLS, a cut is how such a body ends (RFC 9112 section 8)
        if response.headers["X-Nonce"] != nonce or expected != body:
            self.outcome.wrong.append(
                f"{nonce}: {response.headers}, {len(body)} bytes {body[:60]!r}, expected {len(expected)}"
            )


@contextlib.contextmanager
def stormy_network(tls: ssl.SSLContext | None) -> Iterator[tuple[NonceOrigin, list[str]]]:
    """An origin behind a faulty relay, a second one, a clean way to it, and a port where nobody listens."""
    scheme, host = ("http", "127.0.0.1") if tls is None else ("https", "localhost")
    with (
        NonceOrigin(tls) as origin,
        FaultyRelay(origin.port, fault_of) as relay,
        FaultyRelay(origin.port, lambda number: fault_of(number + 1_000_000)) as another,
        reserved_ports(1) as nowhere,
    ):
        ports = [relay.port, relay.port, another.port, another.port, origin.port, *nowhere]
        yield origin, [f"{scheme}://{host}:{port}" for port in ports]
        kinds = ("BlackHole", "Delay", "Drip", "Cut", "Reset", "HalfClose")
        expected = {f"{kind} of {sender}" for kind in kinds for sender in (CLIENT, SERVER)}
        assert {"Clean", "Refuse"} | expected == set(relay.struck), (
            "the storm must have had every fault, both ways"
        )


def storm(requests: int, tls: ssl.SSLContext | None, verify: str | bool) -> None:
    """Send *requests* requests on all threads and check the claims of this module."""
    outcome = Outcome()
    with no_leaks(), stormy_network(tls) as (origin, urls):
        session = client.Session(trust_env=False, verify=verify, timeout=TIMEOUTS, limits=LIMITS, workers=16)
        work = Storm(session, urls, outcome)
        threads = [
            threading.Thread(target=work.run, args=(number, requests // THREADS), name=f"caller-{number}")
            for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        session.close()
        pool: Any = session._transport
        assert (0, set(), {}, 0) == (pool._slots, pool._open, pool._places, len(pool._waiters)), repr(pool)

    assert [] == outcome.wrong[:5]
    assert [] == origin.mangled[:5]
    twice = {nonce for nonce, times in origin.arrived.items() if times > 1} - outcome.repeatable
    assert set() == twice, "arrived more than once"
    assert outcome.answers > requests / 4, outcome.errors
    assert {"ReadTimeout", "RemoteDisconnected", "ConnectError", "IncompleteBody"} <= outcome.errors.keys()


def test_a_storm_mixes_up_nothing_and_leaves_nothing_behind() -> None:
    storm(2000, None, verify=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_long_storm_mixes_up_nothing_and_leaves_nothing_behind() -> None:
    storm(20_000, None, verify=True)


# SSLContext.wrap_socket leaves its socket to the garbage collector where a reset comes while it looks for one.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_storm_below_tls(tls_authority: TLSAuthority) -> None:
    storm(4000, tls_authority.server_context(), verify=str(tls_authority.bundle))
