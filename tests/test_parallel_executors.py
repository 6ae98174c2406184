"""`Session.map` and `as_completed` on executors of the caller's: threads, processes, and one that is like a cluster."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import client
from client import errands
from client.errands import Errand, carry_out, packed
from client.testing import LoopbackServer, MockResponse, MockTransport
from tests.leaks import no_leaks

BOTH = pytest.mark.parametrize("name", ["map", "as_completed"])
SECRET = "s3cr3t"


class ClusterLike(Executor):
    """Everything that goes in or out is pickled, and work may be done more than once; but on this very thread.

    Attributes:
        errands: What was handed over.
        runs: How often each is carried out; of the outcomes, the last one counts.
    """

    def __init__(self, runs: int = 1) -> None:
        self.errands: list[Any] = []
        self.runs = runs

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.errands.extend(args[:1])
        future: Future[Any] = Future()
        for _ in range(self.runs):
            function, arguments = pickle.loads(pickle.dumps((fn, args)))
            outcome = pickle.dumps(function(*arguments))
        future.set_result(pickle.loads(outcome))
        return future


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def session() -> Iterator[client.Session]:
    with client.Session(workers=4, trust_env=False, timeout=10) as session:
        yield session


@pytest.fixture(autouse=True)
def no_sessions_left() -> Iterator[None]:
    """Of `ClusterLike`, whose other process is this one."""
    yield
    errands._idle.clear()


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        pool.submit(os.getpid).result()
        yield pool


# -- what comes back ---------------------------------------------------------------------------------------------

EACH_WAY = """
import multiprocessing, sys, client
from concurrent.futures import ProcessPoolExecutor

def main(url, method):
    urls = [f"{url}/bytes/{size}" for size in range(60)]
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool, client.Session() as session:
        session.get(url)  # a connection and a lock to be inherited by a fork
        print(*(len(response.content) for response in session.map(urls, executor=pool)))
        print(*sorted(len(response.content) for response in session.as_completed(urls, executor=pool)))
        (response,) = session.map([url + "/redirect/2"], executor=pool)
        print(response.history, response.request.method, sorted(response.timings), response.elapsed.microseconds > 0)

if __name__ == "__main__":
    main(*sys.argv[1:])
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_processes_however_they_are_started(server: LoopbackServer, tmp_path: Path, method: str) -> None:
    """One session for each process: of 121 requests, all but the first of each go over a connection that is open."""
    script = tmp_path / "script.py"
    script.write_text(EACH_WAY, encoding="utf-8")
    before = server.stats
    environment = {**os.environ, "PYTHONPATH": str(Path(client.__file__).parent.parent)}
    command = [sys.executable, str(script), server.url, method]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50, env=environment)

    numbers = " ".join(map(str, range(60)))
    timings = "['connect', 'dns', 'queue', 'receive', 'send', 'tls', 'wait']"
    assert [
        numbers, numbers, f"[<Response [302]>, <Response [302]>] GET {timings} True",
    ] == output.stdout.splitlines()  # fmt: skip
    assert (3, 124) == tuple(now - then for now, then in zip(server.stats, before, strict=True))


@BOTH
def test_errors_come_back_in_their_place_with_their_request(
    session: client.Session, processes: ProcessPoolExecutor, server: LoopbackServer, name: str
) -> None:
    jobs: list[Any] = [
        f"{server.url}/bytes/1",
        "http://127.0.0.1:1/",
        {"url": f"{server.url}/drip?bytes=100", "timeout": client.Timeouts(total=0.2)},
        "nonsense",
        {"url": f"{server.url}/bytes/1", "hooks": {"response": hook_that_fails}},
        {"url": f"{server.url}/bytes/1", "hooks": {"response": hook_with_an_error_of_its_own}},
        {"url": f"{server.url}/bytes/1", "hooks": {"response": hook_that_returns_a_lock}},
        f"{server.url}/bytes/2",
    ]
    results = list(getattr(session, name)(jobs, executor=processes, on_error="return"))
    kinds = [
        "Response", "ConnectError", "TotalTimeout", "MissingSchema", "LookupError", "WorkerLost", "WorkerLost", "Response",
    ]  # fmt: skip

    found = [type(result).__name__ for result in results]
    assert kinds == found if name == "map" else sorted(kinds) == sorted(found)
    assert all(result.request.method == "GET" for result in results)
    (failed,) = (result for result in results if type(result) is LookupError)
    assert "in hook_that_fails" in failed.__notes__[0]
    late = next(result for result in results if isinstance(result, client.TotalTimeout))
    assert ("total", 0.2) == (late.phase, late.seconds)
    lost = [str(result) for result in results if isinstance(result, client.WorkerLost)]
    assert ["OfItsOwn: 1, 2" in text or "lock" in text for text in lost] == [True, True]


def hook_that_fails(response: client.Response, **_: Any) -> None:
    raise LookupError("of the hook")


class OfItsOwn(Exception):
    """Pickles, and fails when it is loaded: the classic slip, which breaks a process pool that does the loading."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one}, {two}")


def hook_with_an_error_of_its_own(response: client.Response, **_: Any) -> None:
    raise OfItsOwn(1, 2)


def hook_that_returns_a_lock(response: client.Response, **_: Any) -> Any:
    response.reason = threading.Lock()  # type: ignore[assignment]  # cannot be pickled
    return response


@BOTH
def test_or_the_first_of_them_is_raised(
    session: client.Session, processes: ProcessPoolExecutor, server: LoopbackServer, name: str
) -> None:
    with pytest.raises(client.ConnectError) as caught:
        list(getattr(session, name)([f"{server.url}/bytes/1", "http://127.0.0.1:1/"], executor=processes))

    assert "http://127.0.0.1:1/" == caught.value.request.url  # type: ignore[union-attr]  # it has one


def test_threads_use_the_session_itself(session: client.Session, server: LoopbackServer) -> None:
    """Nothing is pickled: a lambda will do, and cookies that come are there for the next call."""
    seen: list[int] = []
    hook = {"response": lambda response, **_: seen.append(response.status_code)}
    with ThreadPoolExecutor(2) as pool:
        jobs = [f"{server.url}/bytes/1", f"{server.url}/cookies/set?a=b"]
        assert 2 == len(list(session.map(jobs, executor=pool, hooks=hook, allow_redirects=False)))

    assert [200, 302] == sorted(seen)
    assert {"a": "b"} == session.cookies.get_dict()


# -- what goes out -------------------------------------------------------------------------------------------------


@BOTH
def test_what_cannot_travel_is_refused_before_anything_is_sent(
    session: client.Session, server: LoopbackServer, tmp_path: Path, name: str
) -> None:
    """By an executor that would start its processes with the first job."""
    before = server.stats.requests
    url = f"{server.url}/bytes/1"
    (tmp_path / "body").write_bytes(b"abc")
    with ProcessPoolExecutor(1) as pool, (tmp_path / "body").open("rb") as file:
        start = getattr(session, name)
        with pytest.raises(client.InvalidRequest, match="cannot be sent to another process"):
            start([url], executor=pool, hooks={"response": lambda response, **_: None})
        bodies = [file, (piece for piece in [b"a"]), lambda: iter([b"a"])]
        jobs = [{"url": url, "method": "PUT", "data": body} for body in bodies]
        results = list(start(jobs, executor=pool, on_error="return"))
        with pytest.raises(client.InvalidRequest, match="cannot be sent to another process"):
            list(start(jobs, executor=pool))
        session.hooks["response"].append(lambda response, **_: None)
        with pytest.raises(client.InvalidRequest, match="the session cannot be sent"):
            start([url], executor=pool)

    assert [client.InvalidRequest] * 3 == [type(result) for result in results]
    assert {url} == {result.request.url for result in results}
    assert before == server.stats.requests


def test_what_cannot_be_loaded_there_is_told_as_not_sent() -> None:
    session = client.Session()
    settings, cookies = packed(session, "the session"), packed(session.cookies, "its cookies")
    errand = Errand(settings, cookies, "request", b"cno_such_module\nhook\n.")

    with pytest.raises(client.InvalidRequest, match="nothing was sent: ModuleNotFoundError"):
        carry_out(errand).open()


@pytest.mark.parametrize("executor", [client.Session, 4, "threads"])
def test_what_is_no_executor_is_refused(session: client.Session, executor: Any) -> None:
    with pytest.raises(client.InvalidRequest, match="get_executor"):
        session.map([], executor=executor)


def test_what_executors_log_has_no_secret(server: LoopbackServer) -> None:
    cluster = ClusterLike()
    url = f"{server.url.replace('://', f'://u:{SECRET}@')}/echo?{SECRET}"
    with client.Session(trust_env=False, auth=("u", SECRET)) as session:
        list(session.map([{"url": url, "headers": {"X-Key": SECRET}}], executor=cluster))

    (errand,) = cluster.errands
    assert f"<Errand {errand.number} request>" == repr(errand) == str(errand)
    assert "<Outcome failed=False>" == repr(carry_out(errand))


def test_equal_jobs_are_not_the_same_work(session: client.Session, server: LoopbackServer) -> None:
    """Dask takes a function and its arguments for the key of the result, and computes equal ones once."""
    cluster = ClusterLike()
    list(session.map([f"{server.url}/bytes/1"] * 50, executor=cluster))

    assert 50 == len({pickle.dumps(errand) for errand in cluster.errands})


@BOTH
def test_an_executor_that_may_work_twice_gets_nothing_that_must_not_be_done_twice(
    session: client.Session, server: LoopbackServer, name: str
) -> None:
    before = server.stats.requests
    url = f"{server.url}/echo"
    jobs = [
        ("POST", url),
        {"url": url, "method": b"patch"},
        {"url": url, "method": "POST", "idempotent": True},
        {"url": url, "method": "POST", "headers": {"Idempotency-Key": "1"}},
        ("PUT", url),
        {"url": url, "idempotent": False},
    ]
    results = list(getattr(session, name)(jobs, executor=ClusterLike(), on_error="return"))
    refused = [isinstance(result, client.InvalidRequest) for result in results]

    assert [True, True, False, False, False, True] == refused
    assert before + 3 == server.stats.requests


def test_pools_of_the_standard_library_send_it(
    session: client.Session, processes: ProcessPoolExecutor, server: LoopbackServer
) -> None:
    with ThreadPoolExecutor(1) as threads:
        for pool in (threads, processes):
            assert (
                "POST"
                == next(iter(session.map([("POST", f"{server.url}/echo")], executor=pool))).json()["method"]
            )


def test_a_process_keeps_few_sessions(server: LoopbackServer) -> None:
    """Of a program that changes its settings with every call."""
    cluster = ClusterLike()
    for number in range(40):
        with client.Session(trust_env=False, headers={"X-Number": str(number)}) as session:
            (echo,) = (response.json() for response in session.map([f"{server.url}/echo"], executor=cluster))
            assert str(number) == echo["headers"]["x-number"]

    assert errands.MOST_SESSIONS == len(errands._idle)


# -- limits --------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ClusterLike])
def test_endless_jobs_are_read_two_a_worker_ahead(
    session: client.Session, server: LoopbackServer, name: str, kind: type[Executor]
) -> None:
    drawn = itertools.count()
    with kind() as pool:
        ahead = 2 * getattr(pool, "_max_workers", 4)
        jobs = (f"{server.url}/bytes/{number}" for number in drawn)
        results = getattr(session, name)(jobs, executor=pool)
        taken = [len(response.content) for response in itertools.islice(results, 20)]
        results.close()

    assert name == "as_completed" or list(range(20)) == taken
    assert next(drawn) <= 20 + ahead


@BOTH
def test_no_host_gets_more_than_its_share(name: str) -> None:
    now, most, lock = 0, 0, threading.Lock()

    def handler(_: Any) -> MockResponse:
        nonlocal now, most
        with lock:
            now += 1
            most = max(now, most)
        threading.Event().wait(0.001)
        with lock:
            now -= 1
        return MockResponse(200)

    with client.Session(transport=MockTransport(handler)) as session, ThreadPoolExecutor(8) as pool:
        jobs = ["http://a.test/"] * 60
        assert 60 == len(list(getattr(session, name)(jobs, executor=pool, per_host=2)))

    assert 2 == most


@BOTH
@pytest.mark.timing
def test_a_rate_spreads_the_beginnings(session: client.Session, server: LoopbackServer, name: str) -> None:
    began = time.monotonic()
    jobs = [f"{server.url}/bytes/1"] * 21
    for executor in (ClusterLike(), ThreadPoolExecutor(8)):
        with executor:
            assert 21 == len(list(getattr(session, name)(jobs, executor=executor, rate="100/s")))

    assert 0.39 <= time.monotonic() - began < 2


@BOTH
def test_closing_the_results_does_not_wait_for_the_rate(name: str) -> None:
    with client.Session(transport=MockTransport(lambda _: MockResponse(200))) as session, no_leaks():
        with ThreadPoolExecutor(4) as pool:
            results = getattr(session, name)(["http://a.test/"] * 50, executor=pool, rate="1/h")
            assert 200 == next(results).status_code
            results.close()


@BOTH
def test_closing_the_results_stops_what_is_under_way_on_threads(
    session: client.Session, server: LoopbackServer, name: str
) -> None:
    with ThreadPoolExecutor(2) as pool:
        jobs = [f"{server.url}/bytes/1", *[f"{server.url}/drip?bytes=100000"] * 20]
        results = getattr(session, name)(jobs, executor=pool)
        assert 1 == len(next(results).content)
        results.close()  # or leaving the pool waits for hours


@BOTH
def test_progress_counts_jobs(session: client.Session, server: LoopbackServer, name: str) -> None:
    told: list[Any] = []
    jobs = [f"{server.url}/bytes/1"] * 3
    list(
        getattr(session, name)(
            jobs, executor=ClusterLike(), progress=lambda done, all_: told.append((done, all_))
        )
    )

    assert [(1, 3), (2, 3), (3, 3)] == told


@pytest.mark.parametrize("name", ["map", "as_completed", "download_many"])
def test_waiting_for_an_executor_on_a_thread_of_its_own_is_refused(
    session: client.Session, server: LoopbackServer, tmp_path: Path, name: str
) -> None:
    """All its threads could end up waiting for each other."""
    job: Any = (
        (f"{server.url}/bytes/1", tmp_path / "out") if name == "download_many" else f"{server.url}/bytes/1"
    )
    with ThreadPoolExecutor(1) as pool, ThreadPoolExecutor(1) as other:
        future = pool.submit(lambda: list(getattr(session, name)([job], executor=pool)))
        with pytest.raises(RuntimeError, match="same executor"):
            future.result(10)
        assert pool.submit(lambda: getattr(session, name)([job], executor=other) and None).result(10) is None


INTERRUPTED = """
import multiprocessing, os, sys, client
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

def main(url, kind):
    def jobs():
        for number in range(23):
            if number == 6:  # four ahead, three taken: from here on it waits inside of map
                print("waiting", flush=True)
            yield f"{url}/bytes/5" if number < 3 else f"{url}/drip?bytes=30"  # three seconds

    context = multiprocessing.get_context("spawn")
    pool = ThreadPoolExecutor(2) if kind == "threads" else ProcessPoolExecutor(2, context)
    with pool, client.Session(trust_env=False) as session:
        try:
            for response in session.map(jobs(), executor=pool):
                print(len(response.content), flush=True)
        except KeyboardInterrupt as interrupt:
            print(*interrupt.__notes__)
    print("fine")

if __name__ == "__main__":
    main(*sys.argv[1:])
"""


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_ctrl_c_stops_what_can_be_stopped(server: LoopbackServer, tmp_path: Path, kind: str) -> None:
    """To this process alone; a terminal sends it to all."""
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(client.__file__).parent.parent)}
    command = [sys.executable, str(script), server.url, kind]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert ["5\n", "5\n", "5\n", "waiting\n"] == [process.stdout.readline() for _ in range(4)]
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=40)

    assert re.fullmatch(r"3 requests done, [34] stopped\nfine\n", output), output


# -- workers that die ------------------------------------------------------------------------------------------------


def hook_that_kills(response: client.Response, **_: Any) -> None:
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


@BOTH
def test_a_process_that_dies_ends_each_of_its_jobs(
    session: client.Session, server: LoopbackServer, name: str
) -> None:
    """Two jobs were under way or waiting for their turn; and endless further ones are not all told the same."""
    url = f"{server.url}/bytes/1"
    jobs = itertools.chain([url, {"url": url, "hooks": {"response": hook_that_kills}}], itertools.repeat(url))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        results = getattr(session, name)(jobs, executor=pool, on_error="return")
        found: list[Any] = []
        with pytest.raises(client.WorkerLost) as caught:
            found.extend(results)
            pytest.fail("unreachable")
        found.append(caught.value)

    assert isinstance(caught.value.__cause__, BrokenExecutor)


@BOTH
def test_what_a_dead_process_had_is_told_in_its_place(
    session: client.Session, server: LoopbackServer, name: str
) -> None:
    url = f"{server.url}/bytes/1"
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        results = list(
            getattr(session, name)(
                [url, {"url": url, "hooks": {"response": hook_that_kills}}], executor=pool, on_error="return"
            )
        )
        with pytest.raises(client.WorkerLost) as caught:
            list(getattr(session, name)([url], executor=pool))

    assert ["Response", "WorkerLost"] == [type(result).__name__ for result in results]
    assert [True, True] == [isinstance(lost, RuntimeError) for lost in (results[1], caught.value)]
    assert [url, url] == [lost.request.url for lost in (results[1], caught.value)]  # type: ignore[union-attr]  # it has one


@BOTH
@pytest.mark.parametrize("on_error", ["raise", "return"])
def test_an_executor_that_was_shut_down_is_told(
    session: client.Session, server: LoopbackServer, name: str, on_error: Any
) -> None:
    jobs = itertools.repeat(f"{server.url}/bytes/1")
    pool = ThreadPoolExecutor(2)
    results = getattr(session, name)(jobs, executor=pool, on_error=on_error)
    next(results)
    pool.shutdown()

    with pytest.raises(client.WorkerLost, match="takes no more") as caught:
        list(results)
    # The end of the iteration is of no job, and not of an earlier one.
    assert (on_error == "return") is (caught.value.request is None)
