"""What does a call cost when eight threads share one session?

Unit: microseconds of CPU time of the client process a call, all threads counted; and the wall time a call, whose
inverse is the rate. Baseline: eight bare sockets, one a thread; http.client and pycurl have no session to share, so
they too get one a thread.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from tests.benchmarks.measure import Pace, Table, compare
from tests.benchmarks.peers import PEERS
from tests.benchmarks.target import Target

__all__ = ["run"]

THREADS = 8
CALLS = 25  # calls a thread in one run
UNSHARED = {"bare socket", "http.client", "pycurl", "pycurl + head"}


def run(target: Target, pace: Pace) -> Iterator[Table]:
    """Measure GET of 2 bytes."""
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
        yield compare(title, contenders, pace, calls=THREADS * CALLS)


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
