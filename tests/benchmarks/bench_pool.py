"""What do checking out, checking and giving back a warm connection cost, and does it grow with the idle ones elsewhere?

Unit: microseconds of CPU time for the three together, without the exchange in between. Baseline: the same pool with one
idle connection; each further row has that many idle connections to other origins beside it.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from time import monotonic

from client.transport.connection import HTTPConnection
from client.transport.pool import ConnectionPool, PoolLimits
from client.transport.pool_queue import Place
from client.transport.wire import ConnectionInfo
from tests.benchmarks.measure import OURS, Pace, Table, compare
from tests.benchmarks.target import Target

__all__ = ["run"]

CALLS = 100  # in one run
CROWDS = {OURS: 1, "100 idle": 100, "1000 idle": 1000, "10000 idle": 10_000}


def run(target: Target, pace: Pace) -> Iterator[Table]:
    """Measure with 1 to 10,000 idle connections."""
    with contextlib.ExitStack() as stack:
        contenders = {name: crowded(count, stack) for name, count in CROWDS.items()}
        title = f"take, check and give back a warm connection ({OURS}: with 1 idle)"
        yield compare(title, contenders, pace, calls=CALLS)


def crowded(idle: int, stack: contextlib.ExitStack) -> Callable[[], object]:
    """Fill a pool, and return what takes one of its connections and gives it back."""
    pool = ConnectionPool(PoolLimits(total=idle + 1, idle=idle + 1, idle_seconds=3600))
    stack.callback(pool.close)
    elsewhere = quiet_socket(
        stack
    )  # nobody looks at those of the other origins, so one descriptor does for all
    for number in range(idle):
        sock = quiet_socket(stack) if number == 0 else elsewhere
        connection = HTTPConnection(sock, ConnectionInfo(), ("http", f"h{number}.test", 80))
        pool._places.setdefault(connection.key, Place()).open += 1
        pool._slots += 1
        pool._open.add(connection)
        pool.release(connection, monotonic())

    key = ("http", "h0.test", 80)

    def take_and_give_back() -> None:
        for _ in range(CALLS):
            connection = pool._take_idle(key, 0.0)
            assert connection is not None
            pool.release(connection, monotonic())

    return take_and_give_back


def quiet_socket(stack: contextlib.ExitStack) -> socket.socket:
    """Return a connected socket whose peer says nothing."""
    ours, theirs = socket.socketpair()
    stack.callback(theirs.close)
    return ours
