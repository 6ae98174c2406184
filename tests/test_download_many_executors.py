"""`Session.download_many` on executors of the caller's: whole files, each once, whatever becomes of the workers."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import client
from client import errands
from client.testing import LoopbackServer, payload, payload_sha256
from tests.test_parallel_executors import ClusterLike

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def session() -> Iterator[client.Session]:
    with client.Session(workers=4, trust_env=False, timeout=10) as session:
        yield session
    errands._idle.clear()  # of `ClusterLike`, whose other process is this one


def spawned() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))


@pytest.mark.parametrize("kind", [lambda: ThreadPoolExecutor(3), ClusterLike, spawned])
def test_every_file_is_there_and_right(
    session: client.Session,
    server: LoopbackServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: Any,
) -> None:
    """Also one in parts; and a path is relative to the folder that the caller is in."""
    sizes = [0, 1, 9 * MEBIBYTE, *range(2000, 2030)]
    told: list[Any] = []
    jobs = [{"url": f"{server.url}/bytes/{size}", "path": f"{size}"} for size in sizes]
    with kind() as pool:
        monkeypatch.chdir(tmp_path)
        results = session.download_many(
            jobs, executor=pool, checksum="sha256", progress=lambda *now: told.append(now)
        )

    assert [] == results.failed
    assert sorted(sizes) == sorted(done.bytes for done in results.done)
    assert all(payload_sha256(done.bytes) == done.sha256 for done in results.done)
    assert all((tmp_path / str(size)).read_bytes() == b"".join(payload(0, size)) for size in sizes)
    assert len(sizes) == len(list(tmp_path.iterdir()))
    assert (len(sizes), (sum(sizes), None)) == (len(told), told[-1])


@pytest.mark.parametrize("kind", [lambda: ThreadPoolExecutor(3), ClusterLike])
def test_what_failed_is_told_and_can_be_tried_again(
    session: client.Session, server: LoopbackServer, tmp_path: Path, kind: Any
) -> None:
    (tmp_path / "taken").write_bytes(b"precious")
    url = f"{server.url}/bytes/10"
    jobs: list[Any] = [
        (url, tmp_path / "fine"),
        (f"{server.url}/status/404", tmp_path / "missing"),
        ("no URL", tmp_path / "nonsense"),
        {"url": url, "path": tmp_path / "odd", "checksum": "crc32:0"},
        {"url": url, "path": tmp_path / "unknown", "data": b""},
        {"url": url, "path": ""},
        (url, tmp_path / "taken"),
    ]
    with kind() as pool:
        results = session.download_many(jobs, executor=pool)
        failed = {Path(one.path).name: type(one.error).__name__ for one in results.failed}
        (tmp_path / "taken").unlink()
        again = session.download_many(
            [one for one in results.failed if Path(one.path).name == "taken"], executor=pool
        )

    assert ["fine"] == [done.path.name for done in results.done]
    assert {
        "missing": "HTTPError", "nonsense": "MissingSchema", "odd": "InvalidRequest", "taken": "FileExistsError",
        "unknown": "TypeError", "": "InvalidRequest",
    } == failed  # fmt: skip
    assert all(one.error.request.method == "GET" for one in results.failed)  # type: ignore[attr-defined]  # also OSErrors
    assert ([], 1) == (again.failed, len(again.done))
    assert ["fine", "taken"] == sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize("kind", [lambda: None, lambda: ThreadPoolExecutor(1), ClusterLike])
def test_a_relative_path_means_the_same_on_every_executor(
    session: client.Session,
    server: LoopbackServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: Any,
) -> None:
    """ ".." after a link leads to the parent of what it points to, and "/" at the end means a folder."""
    here, there = tmp_path / "here", tmp_path / "there" / "inner"
    here.mkdir()
    there.mkdir(parents=True)
    (here / "link").symlink_to(there)
    monkeypatch.chdir(here)
    url = f"{server.url}/bytes/10"
    with kind() or nullcontext() as pool:
        results = session.download_many([(url, "link/../out"), (url, "new/")], executor=pool)

    assert ["FileNotFoundError"] == [type(one.error).__name__ for one in results.failed]
    assert 10 == (tmp_path / "there" / "out").stat().st_size
    assert ["link"] == [path.name for path in here.iterdir()]


@pytest.mark.parametrize("kind", [lambda: None, lambda: ThreadPoolExecutor(1), ClusterLike])
def test_a_relative_path_in_a_folder_that_was_removed_is_that_jobs_failure(
    session: client.Session,
    server: LoopbackServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: Any,
) -> None:
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)
    here.rmdir()
    url = f"{server.url}/bytes/10"
    with kind() or nullcontext() as pool:
        jobs: list[Any] = [(url, "2")] * 20 + [(url, tmp_path / "1"), (url, "2"), (url, tmp_path / "3")]
        results = session.download_many(iter(jobs), executor=pool)

    assert [("2", FileNotFoundError)] * 21 == [(one.path, type(one.error)) for one in results.failed]
    assert ["1", "3"] == sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize("checksum", [None, "sha256", f"sha256:{payload_sha256(3000)}"])
@pytest.mark.parametrize("in_folder", [False, True])
def test_a_job_that_is_run_again_finds_its_own_file(
    session: client.Session, server: LoopbackServer, tmp_path: Path, checksum: str | None, in_folder: bool
) -> None:
    """A worker died after the file had its name, and before anybody heard of it."""
    results = session.download_many(
        [(f"{server.url}/bytes/3000", tmp_path if in_folder else tmp_path / "3000")],
        executor=ClusterLike(runs=3),
        checksum=checksum,
    )
    ((done, failed),) = [(results.done, results.failed)]

    assert ([], tmp_path / "3000", 3000) == (failed, done[0].path, done[0].bytes)
    assert (None if checksum is None else payload_sha256(3000)) == done[0].sha256
    assert ["3000"] == [path.name for path in tmp_path.iterdir()]


def test_and_no_other_file_for_its_own(
    session: client.Session, server: LoopbackServer, tmp_path: Path
) -> None:
    """Two jobs of one name: the second fails however often it is run; and so does one whose file was there before."""
    (tmp_path / "old").write_bytes(b"".join(payload(0, 10)))
    jobs = [(f"{server.url}/bytes/10", tmp_path / name) for name in ("new", "new", "old")]
    results = session.download_many(jobs, executor=ClusterLike(runs=2))

    assert (1, [FileExistsError] * 2) == (len(results.done), [type(one.error) for one in results.failed])
    assert ["new", "old"] == sorted(path.name for path in tmp_path.iterdir())


def test_with_overwrite_it_is_simply_done_again(
    session: client.Session, server: LoopbackServer, tmp_path: Path
) -> None:
    (tmp_path / "out").write_bytes(b"old")
    jobs = [(f"{server.url}/bytes/10", tmp_path / "out")]
    results = session.download_many(jobs, executor=ClusterLike(runs=2), overwrite=True)

    assert (1, 10) == (len(results.done), (tmp_path / "out").stat().st_size)
    assert ["out"] == [path.name for path in tmp_path.iterdir()]


def test_where_there_are_no_links_there_is_no_receipt(
    session: client.Session, server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: Any, **__: Any) -> None:
        raise OSError(1, "no links on this file system")

    monkeypatch.setattr(os, "link", link)
    results = session.download_many([(f"{server.url}/bytes/10", tmp_path / "out")], executor=ClusterLike())

    assert (1, ["out"]) == (len(results.done), [path.name for path in tmp_path.iterdir()])


def hook_that_kills(response: client.Response, **_: Any) -> None:
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def test_of_a_pool_that_breaks_nothing_is_lost(
    session: client.Session, server: LoopbackServer, tmp_path: Path
) -> None:
    jobs: list[Any] = [
        {"url": f"{server.url}/bytes/{number}", "path": tmp_path / str(number)} for number in range(40)
    ]
    jobs[20]["hooks"] = {"response": hook_that_kills}
    with spawned() as pool:
        results = session.download_many(jobs, executor=pool)
    lost = {type(one.error) for one in results.failed}
    again = [{**one.job, "hooks": None, "overwrite": True} for one in results.failed]
    rest = session.download_many(again, executor=ClusterLike())

    assert {client.WorkerLost} == lost
    assert (40, []) == (len(results.done) + len(rest.done), rest.failed)
    assert all((tmp_path / str(number)).stat().st_size == number for number in range(40))


@pytest.mark.parametrize("kind", ["a dead process", "threads that were shut down"])
def test_a_pool_that_takes_no_more_ends_endless_jobs(
    session: client.Session, server: LoopbackServer, tmp_path: Path, kind: str
) -> None:
    """Each further one was drawn and came to its own error, for ever."""
    dies = kind == "a dead process"
    drawn = itertools.count()

    def jobs() -> Iterator[Any]:
        for number in drawn:
            assert number < 1000
            if number == 10 and not dies:
                pool.shutdown(wait=False)
            hooks = {"response": hook_that_kills} if number == 10 and dies else None
            yield {"url": f"{server.url}/bytes/{number}", "path": tmp_path / str(number), "hooks": hooks}

    with spawned() if dies else ThreadPoolExecutor(2) as pool, pytest.raises(client.WorkerLost) as caught:
        session.download_many(jobs(), executor=pool)

    assert isinstance(caught.value.__cause__, BrokenExecutor if dies else RuntimeError)
    assert (tmp_path / "0").exists()


def test_what_cannot_travel_is_refused(
    session: client.Session, server: LoopbackServer, tmp_path: Path
) -> None:
    before = server.stats.requests
    job = {"url": f"{server.url}/bytes/1", "path": tmp_path / "out"}
    hooks = {"response": lambda response, **_: None}
    with ProcessPoolExecutor(1) as pool:
        with pytest.raises(client.InvalidRequest, match="cannot be sent to another process"):
            session.download_many([job], executor=pool, hooks=hooks)
        results = session.download_many([{**job, "hooks": hooks}], executor=pool)
        with pytest.raises(client.InvalidRequest, match="a job must be"):
            session.download_many([4], executor=pool)  # type: ignore[list-item]  # that is the point

    assert [client.InvalidRequest] == [type(one.error) for one in results.failed]
    assert before == server.stats.requests


def test_an_error_of_the_iterable_stops_all(
    session: client.Session, server: LoopbackServer, tmp_path: Path
) -> None:
    def jobs() -> Iterator[tuple[str, Path]]:
        yield f"{server.url}/bytes/1", tmp_path / "1"
        raise LookupError("the caller's own")

    with pytest.raises(LookupError):
        session.download_many(jobs(), executor=ClusterLike())

    assert ["1"] == [path.name for path in tmp_path.iterdir()]  # and no receipt


@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt])
def test_what_stops_all_stops_what_is_under_way_on_threads(
    session: client.Session, server: LoopbackServer, tmp_path: Path, error: type[BaseException]
) -> None:
    """Or leaving the pool waits for hours, and the files come in after all."""
    begun = threading.Semaphore(0)

    def jobs() -> Iterator[Any]:
        for number in range(4):
            hooks = {"response": lambda response, **_: begun.release()}
            yield {
                "url": f"{server.url}/drip?bytes=100000",
                "path": tmp_path / str(number),
                "hooks": hooks,
            }
            if number == 2:
                assert begun.acquire(timeout=10)
                assert begun.acquire(timeout=10)
                raise error

    with ThreadPoolExecutor(2) as pool, pytest.raises(error) as caught:
        session.download_many(jobs(), executor=pool)

    assert [] == list(tmp_path.iterdir())  # no validator: nothing could be gone on with
    stopped = "0 done, 0 failed; 3 files that had been handed over were stopped"
    assert ([stopped] if error is KeyboardInterrupt else []) == getattr(caught.value, "__notes__", [])
