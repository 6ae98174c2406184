"""What does a call cost when eight threads share one session, and what do twenty thousand that are handed to it?

Unit: microseconds of CPU time of the client process a call, all threads counted; and the wall time a call, whose
inverse is the rate. Baseline: eight bare sockets, one a thread; http.client and pycurl have no session to share, so
they too get one a thread.

The second table is `Session.map` on eight workers beside ``ThreadPoolExecutor(8).map`` over the peers' sessions; its
note has the ratios of the rates, too. Both come a second time with all threads and the server on one processor: across
several, the threads of a Python program hand their one lock over by waking each other's processors, and of that each
call costs the same, whoever makes it. The last has work for the processor: a hook parses 31 KB of JSON, twenty times
over, on eight threads with one interpreter lock, and on as many processes as there are cores.
"""

from __future__ import annotations

import collections
import contextlib
import multiprocessing
import os
import statistics
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Self

import client
from tests.benchmarks.measure import OURS, QUICK, Pace, Row, Table, compare
from tests.benchmarks.peers import PEERS
from tests.benchmarks.target import Target, on_one_processor, opened_target

__all__ = ["run"]

THREADS = 8
CALLS = 25  # calls a thread in one run
JOBS = 20_000  # calls of one `map`; a tenth of them with --quick
MAP_PEERS = ("urllib3", "requests")
PARSED = 200  # responses of one run of the third table
TIMES = 20  # that each is parsed
UNSHARED = {"bare socket", "http.client", "pycurl", "pycurl + head"}


def run(target: Target, pace: Pace) -> Iterator[Table]:
    """Measure GET of 2 bytes, one by one and by `map`; then responses that cost their receiver more than the network."""
    yield one_by_one(target, pace)
    yield by_map(target, pace)
    with on_one_processor(), opened_target() as near:
        for measure in (one_by_one, by_map):
            table = measure(near, pace)
            table.title += "; all on one processor"
            yield table
    yield decoded(target, pace)


def one_by_one(target: Target, pace: Pace) -> Table:
    """Measure calls from threads of the caller's."""
    url = f"{target.url}/hello"
    with contextlib.ExitStack() as stack:

        def timed(kind: type[Any]) -> Callable[[], object]:
            peer = kind(None)
            stack.callback(peer.close)
            get: Callable[[], object] = peer.get(url)
            return get

        contenders = {}
        for name, kind in PEERS.items():
            with contextlib.suppress(ModuleNotFoundError):
                gets = [timed(kind) for _ in range(THREADS)] if name in UNSHARED else [timed(kind)] * THREADS
                contenders[name] = stack.enter_context(Gang(gets))
        title = f"GET of 2 bytes, {THREADS} threads on one session"
        return compare(title, contenders, pace, calls=THREADS * CALLS)


def by_map(target: Target, pace: Pace) -> Table:
    """Measure calls that are handed over at once, and taken in their order."""
    jobs = [f"{target.url}/hello"] * (JOBS // 10 if pace is QUICK else JOBS)
    with contextlib.ExitStack() as stack:
        session = stack.enter_context(client.Session(workers=THREADS))
        pool = stack.enter_context(ThreadPoolExecutor(THREADS))

        def ours() -> None:
            exhaust(response.content for response in session.map(jobs))

        contenders: dict[str, Callable[[], object]] = {OURS: ours}
        for name in MAP_PEERS:
            with contextlib.suppress(ModuleNotFoundError):
                peer: Any = PEERS[name](None)
                stack.callback(peer.close)
                get = peer.get(jobs[0])
                contenders[name] = partial(handed_over, pool, get, len(jobs))
        title = (
            f"{len(jobs)} GETs of 2 bytes by map on {THREADS} workers, beside a ThreadPoolExecutor of as many"
        )
        table = compare(title, contenders, Pace(rounds=3, slice_seconds=0.0), calls=len(jobs))
    own, *others = table.rows
    ratios = [f"{row.name} {rate_ratio(row, own):.2f}" for row in others]
    table.note = f"wall / ours, by round: {', '.join(ratios)}; wanted: urllib3 2.5, requests 6"
    return table


def decoded(target: Target, pace: Pace) -> Table:
    """Measure what threads and processes make of responses that need the processor."""
    jobs = [f"{target.url}/json"] * PARSED
    cores = os.cpu_count() or 1
    with (
        client.Session(workers=THREADS) as session,
        ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as processes,
    ):
        session.hooks["response"].append(parse)
        contenders = {
            "threads": lambda: exhaust(session.map(jobs)),
            "processes": lambda: exhaust(session.map(jobs, executor=processes)),
        }
        title = f"GET of 31 KB of JSON, parsed {TIMES} times: {THREADS} threads, or {cores} processes"
        table = compare(title, contenders, pace, calls=PARSED)
    threads, apart = table.rows
    table.note = f"wall of threads / wall of processes: {rate_ratio(threads, apart):.2f}; CPU is that of this process alone"
    return table


def handed_over(pool: ThreadPoolExecutor, get: Callable[[], object], times: int) -> None:
    """Do as `map` does, with what the standard library has for it."""
    exhaust(pool.map(lambda _: get(), range(times)))


def parse(response: client.Response, **_: Any) -> None:
    """Make the response cost something where it is received."""
    for _time in range(TIMES):
        response.json()


def exhaust(results: Iterator[object]) -> None:
    """Take all results and keep none."""
    collections.deque(results, maxlen=0)


def rate_ratio(row: Row, ours: Row) -> float:
    """Return the median over the rounds of the wall times' ratios."""
    return statistics.median(theirs / own for theirs, own in zip(row.wall, ours.wall, strict=True))


class Gang:
    """Threads that live as long as the measurement, and call together when called."""

    def __init__(self, calls: list[Callable[[], object]]) -> None:
        self._calls = calls
        self._start, self._end = threading.Barrier(len(calls) + 1), threading.Barrier(len(calls) + 1)

    def __enter__(self) -> Self:
        for call in self._calls:
            threading.Thread(target=self._work, args=(call,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._start.abort()
        self._end.abort()

    def __call__(self) -> None:
        self._start.wait()
        self._end.wait()

    def _work(self, call: Callable[[], object]) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            while True:
                self._start.wait()
                try:
                    for _ in range(CALLS):
                        call()
                except BaseException:
                    self._end.abort()  # the measurement fails instead of waiting for this thread
                    raise
                self._end.wait()
