"""How late does a timeout fire in each phase, and how soon does a call wake that is cancelled, closed or interrupted?

Unit: milliseconds of wall time, median and 99th percentile. Overshoot is what a call took beyond its timeout of 100 ms
(limits of a single wait: beyond the beginning of that wait); wake-up is from the stop to the moment at which the blocked call has raised. Wanted: overshoot at most 60 ms (10 % and
50 ms), wake-up at most 100 ms. There is no baseline: requests, urllib3 and httpx have no call to wake.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import client
from client.timeouts import NOT_GIVEN, Timeouts
from tests.benchmarks.measure import Pace
from tests.benchmarks.target import Target
from tests.stuck_calls import Stuck, stuck_calls
from tests.tls_authority import TLSAuthority

__all__ = ["run"]

SECONDS = 0.1
STARTED_WITHIN = 0.03  # seconds after which a call is taken to be blocked in its phase
PATIENCE = 5.0


@dataclass(slots=True)
class Latencies:
    """One question: milliseconds by name."""

    title: str
    rows: dict[str, list[float]] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [self.title, f"  {'':<26}{'median ms':>12}{'p99 ms':>12}{'times':>9}"]
        for name, values in self.rows.items():
            ordered = sorted(values)
            worst = ordered[math.ceil(len(ordered) * 0.99) - 1]
            lines.append(f"  {name:<26}{statistics.median(ordered):12.1f}{worst:12.1f}{len(ordered):9}")
        return "\n".join(lines)


def run(target: Target, pace: Pace) -> Iterator[Latencies]:
    """Measure both; the target is not asked, since all peers here misbehave."""
    times = pace.rounds * 2
    with tempfile.TemporaryDirectory() as folder, stuck_calls(SECONDS, TLSAuthority(Path(folder))) as phases:
        overshoot(phases["tls"])  # loads ssl and certificates, once in the process
        late = Latencies(f"overshoot of a timeout of {SECONDS * 1000:.0f} ms")
        for phase, stuck in phases.items():
            if stuck.limit is not None:
                late.rows[phase] = [overshoot(stuck) for _ in range(times)]
        yield late
        wakes = Latencies("wake-up of a blocked call")
        for stop in (cancel, close, abort, interrupt):
            for phase, stuck in phases.items():
                wakes.rows[f"{stop.__name__} in {phase}"] = [stop(stuck) for _ in range(times)]
        yield wakes


def overshoot(stuck: Stuck) -> float:
    """Return by how many milliseconds the timeout fired late."""
    limit = stuck.limit or Timeouts()
    is_of_one_wait = limit.read is not NOT_GIVEN or limit.write is not NOT_GIVEN
    with stuck.session() as session:
        began = time.perf_counter()

        def trace(event: str, facts: dict[str, Any]) -> None:
            nonlocal began
            if is_of_one_wait and event == stuck.event:  # the others count from the beginning of the call
                began = time.perf_counter()

        session.trace = trace
        try:
            session.request(**stuck.request(), timeout=limit)
        except client.Timeout:
            return (time.perf_counter() - began - SECONDS) * 1000
    raise AssertionError(f"no timeout: {stuck}")


def cancel(stuck: Stuck) -> float:
    """Cancel the future."""
    return wake_up(stuck, lambda session, future: future.cancel())


def close(stuck: Stuck) -> float:
    """Close the session."""
    return wake_up(stuck, lambda session, future: session.close())


def abort(stuck: Stuck) -> float:
    """Abort the session."""
    return wake_up(stuck, lambda session, future: session.abort())


def wake_up(stuck: Stuck, stop: Callable[[client.Session, Any], object]) -> float:
    """Block a call on a worker, *stop* it, and return after how many milliseconds it had raised."""
    woken = 0.0

    def note(future: object) -> None:
        nonlocal woken
        woken = time.perf_counter()

    with stuck.session() as session:
        future = session.submit(**stuck.request(), timeout=PATIENCE)
        future.add_done_callback(note)
        time.sleep(STARTED_WITHIN)
        assert not future.done(), stuck
        began = time.perf_counter()
        stop(session, future)
        with contextlib.suppress(BaseException):
            future.result(PATIENCE)
    return (woken - began) * 1000


def interrupt(stuck: Stuck) -> float:
    """Press Ctrl-C while the calling thread is blocked."""
    pressed = 0.0
    is_begun = threading.Event()

    def press() -> None:
        nonlocal pressed
        is_begun.wait(PATIENCE)
        time.sleep(STARTED_WITHIN)
        pressed = time.perf_counter()
        os.kill(os.getpid(), signal.SIGINT)

    with stuck.session() as session:
        thread = threading.Thread(target=press)
        thread.start()
        try:
            is_begun.set()
            session.request(**stuck.request(), timeout=PATIENCE)
        except KeyboardInterrupt:
            return (time.perf_counter() - pressed) * 1000
    raise AssertionError("the call was not interrupted")
