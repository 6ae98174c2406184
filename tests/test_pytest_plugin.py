"""The pytest plugin, in a pytest run of its own as a user would have it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

USERS_TEST = """
import socket

def test_first(http_server):
    with socket.create_connection((http_server.host, http_server.port)) as sock:
        sock.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        assert sock.recv(12) == b"HTTP/1.1 200"
    assert http_server.stats.requests == 1

def test_second(http_server):
    assert http_server.stats.requests == 0
"""


@pytest.mark.parametrize("conftest", ["", 'pytest_plugins = ["client.pytest_plugin"]\n'])
def test_the_fixture_serves_each_test_anew(tmp_path: Path, conftest: str) -> None:
    """Installed is enough, and naming the plugin as well does no harm."""
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_users.py").write_text(USERS_TEST)

    run = pytest_in_a_process(tmp_path)

    assert "2 passed" in run.stdout, run.stdout + run.stderr
    assert 0 == run.returncode


def test_a_suite_that_does_not_use_it_does_not_pay_for_it(tmp_path: Path) -> None:
    (tmp_path / "test_users.py").write_text(
        "import sys\n\ndef test_it():\n    assert 'client.testing' not in sys.modules\n"
    )

    run = pytest_in_a_process(tmp_path)

    assert "1 passed" in run.stdout, run.stdout + run.stderr


def pytest_in_a_process(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(folder)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
