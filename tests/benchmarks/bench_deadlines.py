"""How late does a timeout fire in each phase, and how soon does a call wake that is cancelled, closed or interrupted?

Unit: milliseconds of wall time, median and 99th percentile. Overshoot is what a call took beyond its timeout of 100 ms;
wake-up is from the stop to the moment at which the blocked call has raised. Wanted: overshoot at most 60 ms (10 % and
50 ms), wake-up at most 100 ms. There is no baseline: requests, urllib3 and httpx have no call to wake.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import client
from client.timeouts import Timeouts
from tests.benchmarks.measure import Pace
from tests.benchmarks.target import Target
from tests.transport.dialing import black_hole

__all__ = ["run"]

SECONDS = 0.1
STARTED_WITHIN = 0.03  # seconds after which a call is taken to be blocked in its phase
HELD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
BODY = bytes(16 << 20)  # more than the kernel buffers on loopback
ONE = client.PoolLimits(total=1, per_origin=1)


@dataclass(slots=True)
class Latencies:
    """One question: milliseconds by name."""

    title: str
    rows: dict[str, list[float]] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [self.title, f"  {'':<22}{'median ms':>12}{'p99 ms':>12}{'times':>9}"]
        for name, values in self.rows.items():
            ordered = sorted(values)
            worst = ordered[math.ceil(len(ordered) * 0.99) - 1]
            lines.append(f"  {name:<22}{statistics.median(ordered):12.1f}{worst:12.1f}{len(ordered):9}")
        return "\n".join(lines)


Call = Callable[[client.Session], object]


def run(target: Target, pace: Pace) -> Iterator[Latencies]:
    """Measure both; the target is not asked, since all peers here misbehave."""
    times = pace.rounds * 2
    with contextlib.ExitStack() as stack:
        phases = phases_of(stack)
        late = Latencies(f"overshoot of a timeout of {SECONDS * 1000:.0f} ms")
        for name, (timeouts, call) in phases.items():
            late.rows[name] = [overshoot(timeouts, call) for _ in range(times)]
        yield late
        wakes = Latencies("wake-up of a blocked call")
        for stop in (cancel, close, interrupt):
            for phase in ("connect", "tls", "read"):
                row = f"{stop.__name__} in {phase}"
                wakes.rows[row] = [stop(phases[phase][1]) for _ in range(times)]
        yield wakes


def phases_of(stack: contextlib.ExitStack) -> dict[str, tuple[Timeouts, Call]]:
    """Return, for each phase, the limit that is to fire in it and a call that gets stuck there."""
    silent = f"127.0.0.1:{listening(stack, b'')}"
    headed = f"127.0.0.1:{listening(stack, HELD)}"
    host, port = stack.enter_context(black_hole())
    released = threading.Event()
    stack.callback(released.set)

    def resolver(name: str, port: int) -> list[str]:
        released.wait(30)
        return []

    def in_dns(session: client.Session) -> object:
        session._transport.options.resolver = resolver  # type: ignore[attr-defined]  # the pool's
        return session.get("http://slow.test/")

    def in_pool(session: client.Session) -> object:
        with session.get(f"http://{headed}/", stream=True, timeout=5):
            return session.get(f"http://{headed}/")

    return {
        "pool": (Timeouts(pool=SECONDS), in_pool),
        "dns": (Timeouts(connect=SECONDS), in_dns),
        "connect": (Timeouts(connect=SECONDS), lambda session: session.get(f"http://{host}:{port}/")),
        "tls": (Timeouts(connect=SECONDS), lambda session: session.get(f"https://{silent}/")),
        "write": (
            Timeouts(write=SECONDS),
            lambda session: session.post(f"http://{silent}/", data=BODY),
        ),
        "continue": (
            Timeouts(total=SECONDS),
            lambda session: session.post(f"http://{silent}/", data=b"x", expect=True),
        ),
        "read": (Timeouts(read=SECONDS), lambda session: session.get(f"http://{silent}/")),
        "body": (Timeouts(read=SECONDS), lambda session: session.get(f"http://{headed}/")),
        "total": (Timeouts(total=SECONDS), lambda session: session.get(f"http://{headed}/")),
    }


def listening(stack: contextlib.ExitStack, greeting: bytes) -> int:
    """Accept connections, answer the first bytes of each with *greeting*, and read no more; return the port."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    held = stack.enter_context(contextlib.ExitStack())

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                held.enter_context(connection)
                if greeting and connection.recv(65536):
                    connection.sendall(greeting)

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def overshoot(timeouts: Timeouts, call: Call) -> float:
    """Return by how many milliseconds the timeout fired late."""
    with client.Session(trust_env=False, timeout=timeouts, limits=ONE, workers=1) as session:
        began = time.perf_counter()
        with contextlib.suppress(client.Timeout):
            call(session)
        return (time.perf_counter() - began - SECONDS) * 1000


class Blocked:
    """A call that is blocked on a worker of its session; `woken` is when it has raised."""

    def __init__(self, call: Call) -> None:
        self.session = client.Session(trust_env=False, workers=1)
        self.woken = 0.0
        session = self.session

        class OnWorker:
            """Submits what the call gets."""

            _transport = session._transport

            def get(self, url: str) -> object:
                return session.submit("GET", url)

        self.future = call(OnWorker())  # type: ignore[arg-type]  # the one verb is all that is used
        self.future.add_done_callback(self._note)  # type: ignore[attr-defined]  # a future
        time.sleep(STARTED_WITHIN)

    def _note(self, future: object) -> None:
        self.woken = time.perf_counter()

    def latency(self, stop: Callable[[], object]) -> float:
        """Call *stop* and return after how many milliseconds the call had raised."""
        began = time.perf_counter()
        stop()
        with contextlib.suppress(BaseException):
            self.future.result(5)  # type: ignore[attr-defined]  # as above
        self.session.close()
        return (self.woken - began) * 1000


def cancel(call: Call) -> float:
    """Cancel the future."""
    blocked = Blocked(call)
    return blocked.latency(blocked.future.cancel)  # type: ignore[attr-defined]  # as above


def close(call: Call) -> float:
    """Close the session."""
    blocked = Blocked(call)
    return blocked.latency(blocked.session.close)


def interrupt(call: Call) -> float:
    """Press Ctrl-C while the calling thread is blocked."""
    pressed = 0.0

    def press() -> None:
        nonlocal pressed
        time.sleep(STARTED_WITHIN)
        pressed = time.perf_counter()
        os.kill(os.getpid(), signal.SIGINT)

    with client.Session(trust_env=False) as session:
        threading.Thread(target=press).start()
        try:
            call(session)
        except KeyboardInterrupt:
            return (time.perf_counter() - pressed) * 1000
    raise AssertionError("the call was not interrupted")
