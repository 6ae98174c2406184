"""A fork in the middle of somebody else's dial: the child must not wait for locks whose owners stayed behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
from client.transport import race, resolver, tls
from client.transport.pool import ConnectionPool
from client.transport.waiter import Waiter
from tests.transport.dialing import budget_of

pool = ConnectionPool()
locks = {{
    "pool": pool._lock, "race": race._families_lock, "resolver": resolver._threads.lock, "tls": tls._making
}}
held = locks[{module!r}]
held.acquire()
child = os.fork()
if child == 0:
    assert "open=0" in repr(pool)
    race._remember_family("a.test", 2)
    tls.TLSSettings(verify=False).context()
    with Waiter(budget_of(5)) as waiter:
        resolver.resolve("a.test", 80, lambda host, port: ["192.0.2.1"], waiter)
    os._exit(42)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("module", ["pool", "race", "resolver", "tls"])
def test_a_lock_that_is_held_at_the_fork_is_free_in_the_child(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(module=module)],
        capture_output=True, text=True, timeout=20, check=True,
    )  # fmt: skip

    assert ("42\n", "") == (done.stdout, done.stderr)
