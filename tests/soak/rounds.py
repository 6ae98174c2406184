"""The run: rounds of work, a rest after each in which everything must be back to nothing, and a verdict.

Invariants, held all the time: an answer carries the nonce of its request; no POST arrives twice that may not; every
failure is typed, and that of a hostile page the one that it must come to; nothing raises where nobody hears it;
nobody is stuck.  At each rest: no slot, connection, waiter, socket or thread is left.  In the end: memory does not grow.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import client
from tests.leaks import slots_of
from tests.soak.gauges import Gauges, growth_per_minute, open_sockets
from tests.soak.network import Network
from tests.soak.work import Caller, Ledger, new_session
from tests.tls_authority import TLSAuthority

__all__ = ["MOST_BLOCKS", "MOST_MEMORY", "Soak", "replay"]

#: Seconds for one piece of work; the longest takes a few, all its waits being bounded.
STUCK: Final = 60.0

#: What the second half of a run may grow by, at rest: so much a minute, of memory in bytes and of blocks that Python's
#: allocator has handed out. A request that left one block behind would come to many thousand blocks a minute.
MOST_MEMORY: Final = 256 << 10
MOST_BLOCKS: Final = 1000

#: Seconds in which everything must be back to nothing once the callers have stopped.
_REST: Final = 5.0
_ROUND: Final = 20.0
_SAMPLES: Final = 300

#: Threads that stay by design: look-ups that nobody waits for any more end when the system lets them.
_RESOLVER: Final = "threadwire-resolver"


class Soak:
    """One run.

    Args:
        seconds: How long, about.
        seed: What everything that is left to chance is drawn by.
        callers: Threads that send requests.
        first_round: Where to begin: rounds are drawn by their number, so that one can be had again.

    Attributes:
        ledger: What came of the requests.
        gauges: What was measured.
        rounds: How many there were.
        struck: Connections by the fault that they met.
        arrived: Requests that reached an honest origin.
    """

    def __init__(self, seconds: float, seed: str, *, callers: int = 16, first_round: int = 0) -> None:
        self.ledger = Ledger()
        self.gauges = Gauges(max(0.25, seconds / _SAMPLES))
        self.rounds = 0
        self.struck: Counter[str] = Counter()
        self.arrived = 0
        self._seconds = seconds
        self._round_seconds = min(_ROUND, max(2.0, seconds / 4))
        self._seed = seed
        self._callers = callers
        self._first_round = first_round
        self._at_work: list[Caller] = []
        self._over = threading.Event()

    def run(self) -> list[str]:
        """Run; return the violations, at best none."""
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="soak-") as folder, self._listening():
            authority = TLSAuthority(Path(folder))
            certificate = authority.issue_files("localhost", "127.0.0.1")
            bundle = str(authority.bundle)
            sessions = [new_session(bundle), new_session(bundle, offload=True)]
            while time.monotonic() - began < self._seconds and not self.ledger.wrong:
                name = f"{self._seed}/{self._first_round + self.rounds}"
                with Network(name, certificate) as network:
                    self._work(name, sessions, network, bundle)
                self._judge(network, sessions)
                self.rounds += 1
                self.ledger.repeatable.clear()
            self._over.set()
        self._judge_growth()
        return self.ledger.wrong

    # -- one round ------------------------------------------------------------------------------------------------

    def _work(self, name: str, sessions: list[client.Session], network: Network, bundle: str) -> None:
        """Have all callers work for a round, then close the sessions."""
        stop = threading.Event()
        callers = [
            Caller(f"{name}/{number}", sessions, network.addresses, self.ledger, bundle)
            for number in range(self._callers)
        ]
        self._at_work = callers
        threads = [threading.Thread(target=caller.run, args=(stop,), name="caller") for caller in callers]
        for thread in threads:
            thread.start()
        end = time.monotonic() + self._round_seconds
        while time.monotonic() < end and not self.ledger.wrong:
            stop.wait(0.1)
        stop.set()
        for thread in threads:
            thread.join()
        self._at_work = []
        for session in sessions:
            session.close()

    def _judge(self, network: Network, sessions: list[client.Session]) -> None:
        """Judge what the origins saw, and that nothing is left; take the figures at rest."""
        report = network.report
        self.struck.update(report.struck)
        self.arrived += report.arrived
        for nonce in sorted(report.repeated - self.ledger.repeatable)[:5]:
            self.ledger.accuse(f"{nonce} arrived more than once, and may not")
        for request in report.mangled[:5]:
            self.ledger.accuse(f"the origin got {request[:200]!r}")
        end = time.monotonic() + _REST
        while (left := self._left(sessions)) and time.monotonic() < end:
            self._over.wait(0.02)
        if left:
            self.ledger.accuse(f"at rest there are still {left}")
        self.gauges.rest_here()

    def _left(self, sessions: list[client.Session]) -> str:
        """Name what is not back to nothing."""
        left = []
        for session in sessions:
            pool: Any = session._transport
            if (slots_of(session), pool._open, pool._places, len(pool._waiters)) != (0, set(), {}, 0):
                left.append(repr(pool))
        threads = [thread.name for thread in threading.enumerate() if thread not in self._threads_before]
        if busy := [name for name in threads if not name.startswith(_RESOLVER)]:
            left.append(f"threads {busy}")
        if (sockets := open_sockets() - self._sockets_before) > 0:
            left.append(f"{sockets} sockets")
        return ", ".join(left)

    def _judge_growth(self) -> None:
        rest = self.gauges.rest
        for name, most in (("memory", MOST_MEMORY), ("blocks", MOST_BLOCKS)):
            if (growth := growth_per_minute(rest["seconds"], rest[name])) > most:
                self.ledger.accuse(f"{name} grows by {growth:.0f} a minute, more than {most}")

    # -- who looks on -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """Watch for who is stuck, sample, and hear what is raised where nobody is."""
        watchers = [
            threading.Thread(target=self._watch, name="watchdog", daemon=True),
            threading.Thread(
                target=self.gauges.watch,
                args=(self.ledger.requests, self.ledger.errors),
                name="gauges",
                daemon=True,
            ),
        ]
        for watcher in watchers:
            watcher.start()
        self._threads_before = set(threading.enumerate())
        self._sockets_before = open_sockets()
        hooks = sys.unraisablehook, threading.excepthook
        sys.unraisablehook = lambda unheard: self.ledger.accuse(
            f"unheard: {unheard.exc_value!r} in {unheard.object!r}"
        )
        threading.excepthook = lambda unheard: self.ledger.accuse(f"unheard: {unheard.exc_value!r}")
        try:
            yield
        finally:
            self._over.set()
            self.gauges.stop()
            sys.unraisablehook, threading.excepthook = hooks
            for watcher in watchers:
                watcher.join()

    def _watch(self) -> None:
        """End the process, with the stacks of all threads, once somebody is stuck."""
        while not self._over.wait(1.0):
            now = time.monotonic()
            if stuck := [caller for caller in self._at_work if caller.doing and now - caller.since > STUCK]:
                faulthandler.dump_traceback(all_threads=True)
                sys.stderr.write(f"stuck for {STUCK:.0f} s in {[caller.doing for caller in stuck]}\n")
                sys.stderr.write(f"{replay(self._seed, self._first_round + self.rounds)}\n")
                sys.stderr.flush()
                os._exit(2)


def replay(seed: str, number: int) -> str:
    """Say how to have round *number* again."""
    return f"again, from that round on: make soak MINUTES=1 SEED={seed} ROUND={number}"
