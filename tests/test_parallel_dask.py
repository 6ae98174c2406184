"""A real Dask cluster, two processes, one of which is killed on the way: nothing is lost, and nothing doubled."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import client
from tests.download_server import Asked, RangeServer, Reply, file_of

pytestmark = pytest.mark.slow

FILES = 200
LEAST = 20_000  # bytes; no two files are of one size


@pytest.fixture(scope="module")
def distributed() -> Any:
    """The package; not imported by those who run the fast tests only."""
    return pytest.importorskip("distributed", reason="dask and distributed are of the dependency group dev")


@pytest.fixture
def cluster(distributed: Any) -> Iterator[Any]:
    """Two worker processes of two threads; any free ports, since tests run at the same time, on 127.0.0.1 alone."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # it tells of the worker that is killed
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster


class Origin(RangeServer):
    """Serves /N, whose content is N bytes; kills a process at one of the requests.

    Attributes:
        victim: Its process id, None once it is dead.
    """

    def __init__(self, victim: int, kill_at: int) -> None:
        super().__init__(file_of(LEAST + FILES), self._reply)
        self.victim: int | None = victim
        self._kill_at = kill_at
        self._killing = threading.Lock()

    def _reply(self, asked: Asked, reply: Reply) -> Reply:
        with self._killing:
            if asked.number >= self._kill_at and self.victim is not None:
                os.kill(self.victim, signal.SIGKILL)
                self.victim = None
        size = int(asked.target[1:])
        if asked.first is not None:
            reply.headers["Content-Range"] = f"bytes 0-{size - 1}/{size}"
        return reply._replace(body=self.content[:size])

    @property
    def times(self) -> Counter[int]:
        """How often each file was asked for."""
        return Counter(int(asked.target[1:]) for asked in self.asked)


@pytest.mark.parametrize("kill_at", [20, 150])
def test_two_hundred_files_although_a_worker_is_killed(
    distributed: Any, cluster: Any, tmp_path: Path, kill_at: int
) -> None:
    sizes = range(LEAST, LEAST + FILES)
    victim = cluster.workers[0].pid
    with (
        Origin(victim, kill_at) as origin,
        distributed.Client(cluster) as dask,
        client.Session(workers=4, trust_env=False, timeout=10) as session,
    ):
        base = origin.url.rpartition("/")[0]
        results = session.download_many(
            ((f"{base}/{size}", tmp_path / str(size)) for size in sizes), executor=dask.get_executor()
        )
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}

    assert origin.victim is None
    assert [] == results.failed
    assert sorted(sizes) == sorted(done.bytes for done in results.done)
    assert {str(size): hashlib.sha256(origin.content[:size]).hexdigest() for size in sizes} == found
    # What the dead worker was about, and what it had done and not told yet, is done again; and nothing else.
    assert set(sizes) == set(origin.times)
    assert origin.times.total() <= FILES + 2 * 4


def test_requests_survive_a_worker_too(distributed: Any, cluster: Any) -> None:
    sizes = range(LEAST, LEAST + FILES)
    with (
        Origin(cluster.workers[1].pid, 50) as origin,
        distributed.Client(cluster) as dask,
        client.Session(workers=4, trust_env=False, timeout=10) as session,
    ):
        base = origin.url.rpartition("/")[0]
        responses = list(session.map((f"{base}/{size}" for size in sizes), executor=dask.get_executor()))
        (refused,) = session.map([("POST", base)], executor=dask.get_executor(), on_error="return")

    assert [origin.content[:size] for size in sizes] == [response.content for response in responses]
    assert set(sizes) == set(origin.times)
    assert origin.times.total() <= FILES + 2 * 4
    assert isinstance(refused, client.InvalidRequest)  # or the next worker would send it again


def test_a_job_that_kills_every_worker_fails_alone(distributed: Any, cluster: Any) -> None:
    """Dask gives up on it; the others are done."""
    with (
        Origin(-1, 10**9) as origin,
        distributed.Client(cluster) as dask,
        client.Session(workers=4, trust_env=False, timeout=10) as session,
    ):
        url = f"{origin.url.rpartition('/')[0]}/{LEAST}"
        jobs: list[Any] = [url, {"url": url, "hooks": {"response": hook_that_kills}}, url]
        results = list(session.map(jobs, executor=dask.get_executor(), on_error="return"))

    assert isinstance(results[1], client.WorkerLost)
    assert "KilledWorker" == type(results[1].__cause__).__name__
    assert [LEAST, LEAST] == [len(result.content) for result in results[::2]]  # type: ignore[union-attr]  # responses


def test_a_cluster_that_goes_away_is_told(distributed: Any, cluster: Any) -> None:
    with (
        Origin(-1, 10**9) as origin,
        distributed.Client(cluster) as dask,
        client.Session(workers=4, trust_env=False, timeout=10) as session,
    ):
        url = f"{origin.url.rpartition('/')[0]}/{LEAST}"
        results = session.map((url for _ in iter(int, 1)), executor=dask.get_executor(), on_error="return")
        assert 200 == next(results).status_code  # type: ignore[union-attr]  # a response
        cluster.close()
        dask.close()
        with pytest.raises(client.WorkerLost):
            list(results)


def test_the_example_runs() -> None:
    root = Path(client.__file__).parent.parent
    run = subprocess.run(
        [sys.executable, "-W", "error", root / "examples" / "distributed_dask.py"],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={**os.environ, "PYTHONPATH": str(root)},
    )

    received = sum(1000 + number for number in range(40))
    assert (0, f"{{'received': {received}, 'saved': {received}, 'failed': 0}}\n") == (
        run.returncode,
        run.stdout,
    )


def hook_that_kills(response: client.Response, **_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
