"""locust, and gevent below it: each in a process of its own, which gevent patches as a whole."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.testing import LoopbackServer

LOCUST_FILE = """
from locust import HttpUser, task

class User(HttpUser):
    @task
    def echo(self):
        self.client.get("/echo?a=b")
        self.client.post("/echo", json={"a": 1})
        with self.client.get("/status/404", catch_response=True) as response:
            response.success()
"""

LOCUST = """
import client.as_requests
client.as_requests.install()
from locust.main import main
main()
"""

GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent, sys, client
url = sys.argv[1]
few = client.PoolLimits(total=4, per_origin=4)
with client.Session(limits=few, workers=4, timeout=20) as session:
    waiting = [gevent.spawn(session.get, url + "/delay/0.1") for _ in range(12)]
    print(*[greenlet.get().status_code for greenlet in waiting])
    print(*[response.status_code for response in session.map([url + "/bytes/100000"] * 8)])
    for timeout in (0.2, client.Timeouts(total=0.2)):
        try:
            session.get(url + "/delay/10", timeout=timeout)
        except client.Timeout as error:
            print(type(error).__name__)
"""


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


def run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def test_locust(server: LoopbackServer, tmp_path: Path) -> None:
    file = tmp_path / "locustfile.py"
    file.write_text(LOCUST_FILE)
    options = ("--headless", "--users", "5", "--spawn-rate", "5", "--run-time", "2s", "--only-summary")

    run(LOCUST, "--locustfile", str(file), "--host", server.url, *options)

    assert server.stats.requests > 15


def test_greenlets_wait_for_each_other_and_time_out(server: LoopbackServer) -> None:
    lines = run(GEVENT, server.url).splitlines()

    assert ["200 " * 11 + "200", "200 " * 7 + "200", "ReadTimeout", "TotalTimeout"] == lines
