"""What does ``import client`` cost a command-line tool?

Unit: milliseconds of CPU time of a fresh interpreter that does nothing else. Baseline: ``import http.client``;
``pass`` is the interpreter itself, which every row contains. ``client`` loads its parts on first use; the row below it
has what a program pays that uses a session.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from tests.benchmarks.measure import OURS, Pace, Row, Table
from tests.benchmarks.target import Target

__all__ = ["run"]

STATEMENTS = {
    OURS: "import client",
    "with Session": "from client import Session",
    "http.client": "import http.client",
    "pycurl": "import pycurl",
    "urllib3": "import urllib3",
    "httpx": "import httpx",
    "requests": "import requests",
    "nothing": "pass",
}
LEAST_ROUNDS = 15


def run(target: Target, pace: Pace) -> Iterator[Table]:
    """Measure alternating starts of an interpreter."""
    statements = {
        name: statement
        for name, statement in STATEMENTS.items()
        if statement == "pass" or importlib.util.find_spec(statement.split()[1].partition(".")[0])
    }
    rows = {name: Row(name, [], []) for name in statements}
    with tempfile.TemporaryDirectory() as bytecode:
        # Compiled once for everybody, as an installed package is, whatever this environment says about writing bytecode.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = bytecode
        for statement in statements.values():
            started(statement, environment)
        for _ in range(max(LEAST_ROUNDS, pace.rounds)):
            for name, statement in statements.items():
                cpu, wall = started(statement, environment)
                rows[name].cpu.append(cpu)
                rows[name].wall.append(wall)
    yield Table("import, a fresh interpreter each", list(rows.values()), unit=(1e3, "ms"))


def started(statement: str, environment: dict[str, str]) -> tuple[float, float]:
    """Return (CPU, wall) seconds of an interpreter that runs *statement*."""
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", statement], env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, statement
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - began
