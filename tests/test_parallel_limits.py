"""``per_host=``, ``rate=`` and ``progress=`` of `Session.map` and `as_completed`, and stopping them by Ctrl-C."""

from __future__ import annotations

import gc
import itertools
import re
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import pytest

import client
from client import executors
from client.testing import LoopbackServer, MockResponse, MockTransport
from client.url import parse_url
from tests.held_up import held_up
from tests.leaks import no_leaks

BOTH = pytest.mark.parametrize("name", ["map", "as_completed"])


class Crowd:
    """A transport's handler that counts who is there at the same time, and lets nobody go before the others came."""

    def __init__(self, wait_for: int = 1) -> None:
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.begun: list[float] = []
        self._lock = threading.Lock()
        self._full = threading.Barrier(wait_for)

    def __call__(self, request: Any) -> MockResponse:
        host = parse_url(request.url).host
        with self._lock:
            self.begun.append(time.monotonic())
            self.now[host] += 1
            self.most[host] = max(self.most[host], self.now[host])
        if host.startswith("waits"):
            self._full.wait(10)
        with self._lock:
            self.now[host] -= 1
        return MockResponse(200, body=host)


def crowded(crowd: Crowd, workers: int = 8) -> client.Session:
    return client.Session(transport=MockTransport(crowd), workers=workers, trust_env=False)


@BOTH
@pytest.mark.parametrize("per_host", [1, 3])
def test_no_host_gets_more_than_its_share(name: str, per_host: int) -> None:
    """Two hosts, and each request waits until all that may be there are there."""
    crowd = Crowd(wait_for=2 * per_host)
    jobs = [f"http://waits{number % 2}.test/" for number in range(12 * per_host)]
    with no_leaks(), crowded(crowd) as session:
        responses = list(getattr(session, name)(jobs, per_host=per_host))

    assert {"waits0.test": per_host, "waits1.test": per_host} == dict(crowd.most)
    assert len(jobs) == len(responses)


@BOTH
@pytest.mark.parametrize("base_url", ["http://waits0.test/", parse_url("http://waits0.test/")])
def test_a_relative_url_is_one_of_the_host_of_the_base(name: str, base_url: Any) -> None:
    """Also where that was assigned, as packages that were written for requests do."""
    crowd = Crowd(wait_for=2)
    with crowded(crowd) as session:
        session.base_url = base_url
        jobs = [relative for _ in range(6) for relative in ("a", "http://waits0.test/b")]
        list(getattr(session, name)(jobs, per_host=2))

    assert {"waits0.test": 2} == dict(crowd.most)


@BOTH
def test_jobs_that_wait_for_their_host_let_others_pass(name: str) -> None:
    """Twenty jobs of one host stand before the one that its first waits for."""
    crowd = Crowd(wait_for=2)
    jobs = ["http://waits.test/", *["http://busy.test/"] * 20, "http://waits-too.test/"]
    with crowded(crowd, workers=2) as session:
        responses = list(getattr(session, name)(jobs, per_host=1))

    assert 22 == len(responses)
    assert name == "as_completed" or b"waits-too.test" == responses[-1].content


@BOTH
def test_endless_jobs_of_a_busy_host_are_read_so_far_and_no_farther(name: str) -> None:
    drawn = itertools.count()
    with crowded(Crowd(), workers=2) as session:
        results = getattr(session, name)((f"http://a.test/{number}" for number in drawn), per_host=1)
        taken = list(itertools.islice(results, 50))
        results.close()

    assert 50 == len(taken)
    assert next(drawn) <= 50 + (3 + 32) * 2 + 1


@BOTH
@pytest.mark.timing
def test_a_rate_spreads_the_beginnings(name: str) -> None:
    crowd = Crowd()
    with crowded(crowd) as session, held_up() as seconds_held_up:
        list(getattr(session, name)(["http://a.test/"] * 21, rate="100/s"))
        late = seconds_held_up()
    gaps = [later - earlier for earlier, later in itertools.pairwise(sorted(crowd.begun))]

    assert 0.19 <= sum(gaps) < 1.0 + late
    assert max(gaps) < 0.2 + late


@BOTH
def test_jobs_that_waited_for_their_host_keep_to_the_rate(name: str) -> None:
    """On an executor, where the one who hands them over is the one who keeps it."""
    drawn = threading.Event()

    def jobs() -> Iterator[str]:
        yield from ["http://a.test/"] * 3
        drawn.set()

    def held(_: Any) -> MockResponse:
        assert drawn.wait(10)
        return MockResponse(200)

    with (
        client.Session(transport=MockTransport(held), trust_env=False) as session,
        ThreadPoolExecutor(4) as pool,
    ):
        begun = time.monotonic()
        assert 3 == len(list(getattr(session, name)(jobs(), executor=pool, per_host=1, rate="5/s")))

    assert time.monotonic() - begun >= 0.4


@BOTH
def test_after_the_last_job_nobody_waits_for_another_turn(name: str) -> None:
    with client.Session(transport=MockTransport(lambda _: MockResponse(200)), trust_env=False) as session:
        for executor in (None, ThreadPoolExecutor(4)):
            results: SimpleQueue[Any] = SimpleQueue()

            def take(executor: Any = executor, results: SimpleQueue[Any] = results) -> None:
                results.put(list(getattr(session, name)(["http://a.test/"], executor=executor, rate="1/h")))

            threading.Thread(target=take, daemon=True).start()
            assert 1 == len(results.get(timeout=20))


@BOTH
def test_closing_the_results_does_not_wait_for_the_rate(name: str) -> None:
    with no_leaks(), crowded(Crowd()) as session:
        results = getattr(session, name)(["http://a.test/"] * 50, rate="1/h")
        assert 200 == next(results).status_code
        results.close()


@BOTH
def test_what_waits_for_its_turn_leaves_the_workers_to_others(name: str) -> None:
    """All but one: what else the session has to do would wait for hours."""
    with no_leaks(), crowded(Crowd(), workers=2) as session:
        results = getattr(session, name)(["http://a.test/"] * 50, rate="1/h")
        assert 200 == next(results).status_code
        assert 200 == session.submit("GET", "http://b.test/").result(10).status_code
        results.close()
        futures = [session.submit("GET", "http://b.test/") for _ in range(4)]
        assert [200] * 4 == [future.result(10).status_code for future in futures]


@BOTH
def test_a_session_that_is_closed_ends_all_that_wait_for_their_turn(name: str) -> None:
    with crowded(Crowd(), workers=2) as session:
        results = getattr(session, name)(["http://a.test/"] * 50, rate="1/h", on_error="return")
        assert 200 == next(results).status_code
        session.close()
        with pytest.raises(client.SessionClosed):
            for error in results:
                assert isinstance(error, client.SessionClosed)


@BOTH
@pytest.mark.parametrize("rate", [None, "1/h"])
def test_each_job_of_a_closed_session_has_an_error_of_its_own(name: str, rate: str | None) -> None:
    """Who tries again what failed goes by the errors' requests."""
    jobs = [f"http://a.test/{number}" for number in range(50)]
    results: list[Any] = []
    with crowded(Crowd(), workers=2) as session:
        with pytest.raises(client.SessionClosed) as ended:
            for result in getattr(session, name)(jobs, rate=rate, on_error="return"):
                results.append(result)
                session.close()

    assert len(results) == len({id(result) for result in [*results, ended.value]}) - 1
    assert sorted(jobs[: len(results)]) == sorted(str(result.request.url) for result in results)


@BOTH
def test_a_rate_is_kept_however_many_jobs_fail_at_once(name: str) -> None:
    """Whatever becomes of a call, it sends for the next one."""
    jobs: list[Any] = [
        {"url": "http://a.test/", "nonsense": 1},
        ("GET", "http://[::1"),
        "http://a.test/",
    ] * 20
    with crowded(Crowd(), workers=3) as session:
        results = list(getattr(session, name)(jobs, rate="10000/s", on_error="return"))

    assert 20 == sum(isinstance(result, client.Response) for result in results)
    assert 60 == len(results)


FORGOTTEN = """
import sys, client
from client.testing import MockResponse, MockTransport
session = client.Session(transport=MockTransport(lambda _: MockResponse(200)), trust_env=False)
results = getattr(session, sys.argv[1])(["http://a.test/"] * 9, rate="1/h")
print(next(results).status_code)
"""

TAKEN_BY_A_DAEMON = (
    FORGOTTEN
    + """
import threading
from client import pacing
waits, wait = threading.Semaphore(0), pacing.Turns.wait
def told(*arguments):
    waits.release()
    wait(*arguments)
pacing.Turns.wait = told
results = getattr(session, sys.argv[1])(["http://a.test/"] * 9, rate="1/h")
next(results)
threading.Thread(target=list, args=(results,), daemon=True).start()
assert all(waits.acquire(timeout=10) for _ in range(2))  # the first call's turn, and the second one's
"""
)


@BOTH
@pytest.mark.parametrize(
    "program", [FORGOTTEN, TAKEN_BY_A_DAEMON], ids=["forgotten", "taken by a daemon thread"]
)
def test_a_program_that_ends_does_not_wait_for_the_rate(name: str, program: str) -> None:
    """Of results that a global name keeps; those of a local one are closed with it."""
    command = [sys.executable, "-c", program, name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    assert (0, "200\n") == (done.returncode, done.stdout)
    # A daemon thread may live long enough to tell that it was stopped.
    assert "" == done.stderr or program == TAKEN_BY_A_DAEMON


@BOTH
def test_closing_the_results_takes_no_lock_of_the_workers(name: str) -> None:
    """The garbage collector closes forgotten ones, perhaps on a thread that holds that very lock: it waited for itself."""
    has_come, may_end, is_closed = threading.Semaphore(0), threading.Event(), threading.Event()

    def hold_all_but_the_first(request: Any) -> MockResponse:
        if "held" in str(request.url):
            has_come.release()
            assert may_end.wait(10)
        return MockResponse(200)

    session = client.Session(transport=MockTransport(hold_all_but_the_first), workers=2, trust_env=False)
    results = getattr(session, name)(["http://first.test/", *["http://held.test/"] * 9], rate="1000/s")
    next(results)
    assert has_come.acquire(timeout=10)
    assert has_come.acquire(
        timeout=10
    )  # both workers are busy; one job has been handed over, others wait behind it

    def close() -> None:
        with session._pool()._crew.lock:
            results.close()
        is_closed.set()

    threading.Thread(target=close, daemon=True).start()
    assert is_closed.wait(10)
    may_end.set()
    session.close()


@pytest.mark.parametrize(
    "arguments",
    [{"per_host": 0}, {"per_host": "1"}, {"per_host": True}, {"rate": "fast"}, {"rate": "0/s"}, {"rate": "0.0000001/h"}, {"rate": "1/d"}, {"rate": 5}],
)  # fmt: skip
@BOTH
def test_limits_that_make_no_sense_are_refused(name: str, arguments: dict[str, Any]) -> None:
    with client.Session(trust_env=False) as session, pytest.raises(client.InvalidRequest):
        getattr(session, name)([], **arguments)


@BOTH
def test_progress_counts_jobs_on_the_callers_thread(name: str) -> None:
    told: list[Any] = []
    with crowded(Crowd()) as session:
        jobs = ["http://a.test/"] * 5

        def tell(done: int, total: int | None) -> None:
            told.append((done, total, threading.current_thread() is threading.main_thread()))

        list(getattr(session, name)(jobs, progress=tell))
        list(getattr(session, name)(iter(jobs[:1]), progress=tell))

    assert [*((number, 5, True) for number in range(1, 6)), (1, None, True)] == told


def test_a_bar_is_silent_where_there_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with crowded(Crowd()) as session:
        list(session.map(["http://a.test/"] * 5, progress=True))

    assert ("", "") == capfd.readouterr()


@BOTH
def test_a_response_that_the_consumer_lets_go_is_gone(name: str) -> None:
    """Without the garbage collector: ten thousand responses must not wait for it."""
    gc.collect()
    gc.disable()
    try:
        with crowded(Crowd()) as session:
            gone = [weakref.ref(response) for response in getattr(session, name)(["http://a.test/"] * 40)]
            # Each of the eight workers may just be about to let go of its last one.
            assert 40 - 8 <= sum(reference() is None for reference in gone)
    finally:
        gc.enable()


@BOTH
def test_and_at_once(name: str) -> None:
    """Not only when the next one is asked for: of large responses, one more or less is not the same."""
    gone = threading.Event()
    with crowded(Crowd(), workers=1) as session:
        results = getattr(session, name)(["http://a.test/"])
        weakref.finalize(next(results), gone.set)

        assert gone.wait(10)  # the worker may just be about to let go of it


INTERRUPTED = """
import sys, client
def jobs():
    for number in range(23):
        if number == 14:  # twelve ahead, three taken: from here on it waits inside of map
            print("waiting", flush=True)
        yield sys.argv[1] + ("/bytes/5" if number < 3 else "/drip?bytes=9999")
with client.Session(workers=4, trust_env=False) as session:
    try:
        for response in getattr(session, sys.argv[2])(jobs()):
            print(len(response.content), flush=True)
    except KeyboardInterrupt as interrupt:
        print(*interrupt.__notes__)
    print(session.get(sys.argv[1] + "/bytes/7").text and "fine")
"""


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@BOTH
def test_ctrl_c_stops_all_and_says_how_far_it_came(server: LoopbackServer, name: str) -> None:
    command = [sys.executable, "-c", INTERRUPTED, server.url, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        assert ["5\n", "5\n", "5\n", "waiting\n"] == [process.stdout.readline() for _ in range(4)]
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)

    assert re.fullmatch(r"3 requests done, 1[12] stopped\nfine\n", output), (
        output
    )  # the last may just be begun


class Forgetful(Executor):
    """A cluster that is closed while it has work: it never answers, and takes no more."""

    def __init__(self) -> None:
        self._is_closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self._is_closed:
            raise RuntimeError("closed")
        self._is_closed = True
        return Future()


@BOTH
@pytest.mark.parametrize("rate", [None, "1/h"])
def test_calls_that_are_forgotten_are_lost(
    monkeypatch: pytest.MonkeyPatch, name: str, rate: str | None
) -> None:
    """It is found out after some silence, whenever the next turn may come."""
    monkeypatch.setattr(executors, "PATIENCE", 0.1)
    with client.Session(trust_env=False) as session:
        results = getattr(session, name)(
            ["http://a.test/"] * 2, executor=Forgetful(), rate=rate, on_error="return"
        )
        assert ["WorkerLost"] * 2 == [type(result).__name__ for result in results]


@BOTH
def test_an_executor_gets_nothing_more_once_all_is_stopped_for_good(name: str) -> None:
    """As when the program ends while a daemon thread takes results; the jobs that waited for their host too."""
    crowd, drawn = Crowd(wait_for=2), threading.Event()

    def jobs() -> Iterator[str]:
        yield from ["http://waits.test/"] * 30
        drawn.set()

    with crowded(crowd) as session, ThreadPoolExecutor(4) as pool:
        results = getattr(session, name)(jobs(), executor=pool, per_host=1, on_error="return")
        taken: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=lambda: deque(map(taken.put, results), 0), daemon=True).start()
        assert drawn.wait(10)
        while not crowd.begun:
            threading.Event().wait(0.001)
        results._source.stop_for_good()
        crowd._full.abort()
        found = [taken.get(timeout=10) for _ in range(30)]

    assert 1 == len(crowd.begun)
    assert {client.SessionClosed} == {type(one) for one in found[1:]}
