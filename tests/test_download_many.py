"""`Session.download_many`: forms of a job, failures in their own list, stopping, and ten thousand files."""

from __future__ import annotations

import contextlib
import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import client
from client.testing import LoopbackServer, payload
from tests.download_server import Asked, RangeServer, Reply, file_of
from tests.leaks import no_leaks

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def session() -> Iterator[client.Session]:
    with no_leaks(), client.Session(workers=4, trust_env=False, timeout=10) as session:
        yield session


def content(size: int) -> bytes:
    return b"".join(payload(0, size))


def test_every_file_is_there_and_right(
    session: client.Session, server: LoopbackServer, tmp_path: Path
) -> None:
    sizes = [0, 1, 1000, 9 * MEBIBYTE, 20 * MEBIBYTE, *range(2000, 2050)]
    results = session.download_many((f"{server.url}/bytes/{size}", tmp_path / str(size)) for size in sizes)

    assert [] == results.failed
    assert sorted(sizes) == sorted(done.bytes for done in results.done)
    assert all((tmp_path / str(size)).read_bytes() == content(size) for size in sizes)
    assert len(sizes) == len(list(tmp_path.iterdir()))


def test_a_job_has_three_forms(session: client.Session, server: LoopbackServer, tmp_path: Path) -> None:
    url = f"{server.url}/bytes/{4 * MEBIBYTE}"
    jobs: list[Any] = [(url, tmp_path / "a"), {"url": url, "path": tmp_path / "b", "parts": 2}]
    jobs.append(client.FailedDownload(url, tmp_path / "c", OSError(), {"url": url, "path": tmp_path / "c"}))
    jobs.append(MappingProxyType({"url": url, "path": tmp_path / "d", "parts": 1}))
    results = session.download_many(jobs, parts=4)

    assert {"a": 4, "b": 2, "c": 4, "d": 1} == {done.path.name: done.parts for done in results.done}
    for nonsense in (url, ("a", "b", "c"), {"url": url}, 5):
        with pytest.raises(client.InvalidRequest, match="a job must be"):
            session.download_many([nonsense])  # type: ignore[list-item]  # that is the point


def test_a_failure_shows_no_credential(session: client.Session, tmp_path: Path) -> None:
    url = "http://user:secret@127.0.0.1:1/?token=secret"
    results = session.download_many(
        [{"url": url, "path": tmp_path / "a", "headers": {"X-Api-Key": "secret"}}]
    )

    assert url == results.failed[0].url
    assert "secret" not in f"{results.failed}"
    assert "ConnectError" in f"{results.failed}"


def test_a_single_failure_is_no_list_of_them(session: client.Session) -> None:
    """It is a tuple, whose parts would be read as jobs."""
    with pytest.raises(client.InvalidRequest, match="goes into a list"):
        session.download_many(client.FailedDownload("http://a.test/", "a", OSError(), {}))  # type: ignore[arg-type]  # that is the point


def test_what_failed_is_told_and_can_be_tried_again(
    session: client.Session, server: LoopbackServer, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_bytes(b"precious")
    jobs: list[Any] = [
        (f"{server.url}/bytes/10", tmp_path / "fine"),
        (f"{server.url}/status/404", tmp_path / "missing"),
        ("http://127.0.0.1:1/", tmp_path / "refused"),
        ("no URL", tmp_path / "nonsense"),
        (f"{server.url}/bytes/10", tmp_path / "no" / "such" / "folder"),
        {"url": f"{server.url}/bytes/10", "path": tmp_path / "odd", "checksum": "crc32:0"},
        (f"{server.url}/bytes/10", tmp_path / "taken"),
    ]
    results = session.download_many(jobs)
    failed = {Path(one.path).name: type(one.error).__name__ for one in results.failed}

    assert ["fine"] == [done.path.name for done in results.done]
    assert {
        "missing": "HTTPError", "refused": "ConnectError", "nonsense": "MissingSchema", "folder": "FileNotFoundError",
        "odd": "InvalidRequest", "taken": "FileExistsError",
    } == failed  # fmt: skip
    assert "<DownloadResults done=1 failed=6>" == repr(results)

    (tmp_path / "taken").unlink()
    again = session.download_many(one for one in results.failed if Path(one.path).name == "taken")
    assert ([], 1) == (again.failed, len(again.done))
    assert ["fine", "taken"] == sorted(path.name for path in tmp_path.iterdir())


class Unreadable:
    def __fspath__(self) -> str:
        raise LookupError("the caller's own")


@pytest.mark.parametrize("kind", [None, ThreadPoolExecutor])
@pytest.mark.parametrize(
    ("wrong", "error"),
    [({"headers": {5: "a"}}, client.InvalidHeader), ({"path": Unreadable()}, LookupError)],
    ids=["headers", "path"],
)
def test_whatever_is_wrong_with_one_job_is_its_own_failure(
    session: client.Session, server: LoopbackServer, tmp_path: Path, kind: Any, wrong: Any, error: Any
) -> None:
    job = {"url": f"{server.url}/bytes/1", "path": tmp_path / "wrong", **wrong}
    fine: list[Any] = [(f"{server.url}/bytes/{number}", tmp_path / str(number)) for number in range(2)]
    with contextlib.nullcontext() if kind is None else kind(2) as pool:
        results = session.download_many([fine[0], job, fine[1]], executor=pool)

    assert ["0", "1"] == sorted(done.path.name for done in results.done)
    assert [error] == [type(one.error) for one in results.failed]


def test_jobs_are_drawn_as_room_becomes_free(
    session: client.Session, server: LoopbackServer, tmp_path: Path
) -> None:
    done: list[int] = []
    drawn = 0

    def jobs() -> Iterator[tuple[str, Path]]:
        nonlocal drawn
        for number in range(100):
            drawn += 1
            assert drawn <= len(list(tmp_path.glob("[0-9]*"))) + 2 * 4 + 1
            yield f"{server.url}/bytes/{number}", tmp_path / str(number)
        done.append(drawn)

    session.download_many(jobs())
    assert [100] == done


def test_an_error_of_the_iterable_stops_all(
    session: client.Session, server: LoopbackServer, tmp_path: Path
) -> None:
    def jobs() -> Iterator[tuple[str, Path]]:
        yield f"{server.url}/drip?bytes=100000", tmp_path / "slow"
        raise LookupError("the caller's own")

    with pytest.raises(LookupError):
        session.download_many(jobs())

    assert [] == list(tmp_path.iterdir())


def test_closing_the_session_stops_all(
    session: client.Session, server: LoopbackServer, tmp_path: Path
) -> None:
    begun = threading.Event()

    def close() -> None:
        begun.wait(10)
        session.close()

    closer = threading.Thread(target=close)
    closer.start()
    with pytest.raises(client.SessionClosed):
        session.download_many(
            ((f"{server.url}/drip?bytes=100000", tmp_path / str(number)) for number in itertools.count()),
            progress=lambda received, total: begun.set(),
        )
    closer.join()

    assert [] == list(tmp_path.iterdir())
    assert (
        5 == session.download(f"{server.url}/bytes/5", tmp_path / "out").bytes
    )  # a closed session may go on


def test_progress_is_that_of_all(session: client.Session, server: LoopbackServer, tmp_path: Path) -> None:
    told: list[int] = []
    jobs = [(f"{server.url}/bytes/{MEBIBYTE}", tmp_path / str(number)) for number in range(20)]
    session.download_many(jobs, progress=lambda received, total: told.append(received))

    assert 20 * MEBIBYTE == told[-1]
    assert sorted(told) == told


def test_a_slow_file_holds_up_no_other(session: client.Session, tmp_path: Path) -> None:
    released = threading.Event()

    def slow(asked: Asked, reply: Reply) -> Reply:
        if asked.target == "/slow":
            released.wait(20)
        elif asked.number > 20:
            released.set()
        return reply

    with RangeServer(file_of(1000), slow) as origin:
        base = origin.url.rpartition("/")[0]
        names = ["slow", *map(str, range(30))]
        results = session.download_many((f"{base}/{name}", tmp_path / name) for name in names)

    assert ([], 31) == (results.failed, len(results.done))


MANY = """
import resource, sys, client
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
base, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with client.Session(workers=16, trust_env=False) as session:
    session.download_many((f"{base}/bytes/{n}", f"{folder}/warm{n}") for n in range(200))
    before = resident()
    results = session.download_many((f"{base}/bytes/{1000 + n % 500}", f"{folder}/{n}") for n in range(count))
print(len(results.done), len(results.failed), resident() - before)
"""


@pytest.mark.parametrize("count", [1500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_thousands_of_files_on_16_workers(server: LoopbackServer, tmp_path: Path, count: int) -> None:
    """None lost, and memory grows by the list of results alone: about half a kilobyte for each file."""
    command = [sys.executable, "-c", MANY, server.url, str(tmp_path), str(count)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=55).stdout
    done, failed, grown = map(int, output.split())

    assert (count, 0) == (done, failed)
    assert all((tmp_path / str(number)).stat().st_size == 1000 + number % 500 for number in range(count))
    assert (tmp_path / "7").read_bytes() == content(1007)
    assert count + 200 == len(list(tmp_path.iterdir()))
    assert grown < 4 * MEBIBYTE + 1500 * count


INTERRUPTED = """
import sys, client
drawn = []
def jobs():
    yield sys.argv[1] + "/bytes/5", sys.argv[2] + "/done"
    for n in range(20):
        drawn.append(n)
        yield sys.argv[1] + "/drip?bytes=9999", sys.argv[2] + f"/{n}"
def progress(done, total):
    if len(drawn) >= 8:  # of all jobs eight are ahead, so that one is counted, which can only be the first
        print("on its way", flush=True)
with client.Session(workers=4, trust_env=False) as session:
    try:
        session.download_many(jobs(), progress=progress)
    except KeyboardInterrupt as interrupt:
        print(*interrupt.__notes__)
    print(len(session.get(sys.argv[1] + "/bytes/3").content))
"""


def test_ctrl_c_stops_all_and_says_how_far_it_came(server: LoopbackServer, tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, server.url, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        assert "on its way\n" == process.stdout.readline()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    *_, note, rest = output.splitlines()

    assert note.startswith("1 done, 0 failed; stopped after ")
    assert "3" == rest  # the session is as good as new
    assert ["done"] == [path.name for path in tmp_path.iterdir()]
