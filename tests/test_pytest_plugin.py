"""The pytest plugin, in a pytest run of its own as a user would have it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


def test_the_fixture_serves_each_test_anew(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["client.pytest_plugin"]\n')
    (tmp_path / "test_users.py").write_text(USERS_TEST)

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert "2 passed" in run.stdout, run.stdout + run.stderr
    assert 0 == run.returncode
