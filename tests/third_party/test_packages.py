"""Each program runs in a process of its own, where ``import requests`` means this library from the start.

A row "works" of the table in docs/from-requests.md stands for one of them. The packages are in the dependency group
``third-party``, which ``make test-all`` installs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent
ROOT = PROGRAMS.parent.parent

#: As docs/from-requests.md says. Warnings of theirs are their own business.
PYTEST = (
    "-m",
    "pytest",
    "-q",
    "-p",
    "client.pytest_as_requests",
    "-p",
    "no:cacheprovider",
    "-o",
    "filterwarnings=ignore",
)


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize("program", sorted(path.name for path in PROGRAMS.glob("use_*.py")))
def test_a_program_for_requests_runs_unchanged(program: str) -> None:
    done = subprocess.run(
        [sys.executable, *PYTEST, str(PROGRAMS / program)],
        cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip

    assert 0 == done.returncode, done.stdout[-5000:] + done.stderr[-2000:]
