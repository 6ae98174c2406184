"""`Session.map` and `as_completed`: order, look-ahead, errors in their place."""

from __future__ import annotations

import itertools
import operator
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import client
from client.exceptions import InvalidRequest, MissingSchema
from client.testing import LoopbackServer
from client.url import parse_url
from tests.leaks import no_leaks


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def session() -> Iterator[client.Session]:
    with no_leaks(), client.Session(workers=4, trust_env=False) as session:
        yield session


def sizes(responses: Any) -> list[int]:
    return [len(response.content) for response in responses]


def test_results_come_in_the_order_of_the_jobs(session: client.Session, server: LoopbackServer) -> None:
    wanted = [1000 - number for number in range(60)]

    assert wanted == sizes(session.map(f"{server.url}/bytes/{size}" for size in wanted))


def test_or_as_they_are_done(session: client.Session, server: LoopbackServer) -> None:
    wanted = list(range(60))

    assert wanted == sorted(sizes(session.as_completed(f"{server.url}/bytes/{size}" for size in wanted)))


def test_a_job_has_four_forms(session: client.Session, server: LoopbackServer) -> None:
    url = f"{server.url}/echo"
    jobs: list[Any] = [
        url,
        ("PUT", url),
        client.Request("POST", url, json={"a": 1}, headers={"X-Form": "request"}),
        {"url": url, "method": "PATCH", "data": b"abc"},
        MappingProxyType({"url": url}),
    ]

    echoes = [response.json() for response in session.map(jobs, headers={"X-All": "yes"})]

    assert ["GET", "PUT", "POST", "PATCH", "GET"] == [echo["method"] for echo in echoes]
    assert [0, 0, 8, 3, 0] == [echo["length"] for echo in echoes]
    assert "request" == echoes[2]["headers"]["x-form"]
    assert ["yes", "yes", None, "yes", "yes"] == [echo["headers"].get("x-all") for echo in echoes]


def test_what_all_jobs_share_is_theirs_where_they_say_nothing_else(
    session: client.Session, server: LoopbackServer
) -> None:
    url = f"{server.url}/echo"
    jobs: list[Any] = [
        url,
        ("GET", url),
        MappingProxyType({"url": url, "params": {"a": "1"}}),
        {"url": url, "method": "PATCH", "params": {"b": "2"}},
    ]

    echoes = [answer.json() for answer in session.map(jobs, method="PUT", params={"all": "0"})]

    assert ["PUT", "GET", "PUT", "PATCH"] == [echo["method"] for echo in echoes]
    assert ["?all=0", "?all=0", "?a=1", "?b=2"] == [echo["target"].removeprefix("/echo") for echo in echoes]


class NoLength:
    """An iterable that offers a length and has none."""

    def __init__(self, length: Any, urls: list[str]) -> None:
        self._length, self._urls = length, urls

    def __len__(self) -> int:
        return operator.index(self._length)

    def __iter__(self) -> Iterator[str]:
        return iter(self._urls)


@pytest.mark.parametrize("length", [None, -1, 1 << 70])
def test_jobs_without_a_length_to_tell(session: client.Session, server: LoopbackServer, length: Any) -> None:
    assert [3, 4] == sizes(session.map(NoLength(length, [f"{server.url}/bytes/3", f"{server.url}/bytes/4"])))


def test_an_empty_document_is_a_document(session: client.Session, server: LoopbackServer) -> None:
    documents: list[Any] = [{}, [], 0, False, ""]
    jobs = [client.Request("POST", f"{server.url}/echo", json=document) for document in documents]

    assert [2, 2, 1, 5, 2] == [response.json()["length"] for response in session.map(jobs)]


@pytest.mark.parametrize("on_error", ["raise", "return"])
@pytest.mark.parametrize("name", ["map", "as_completed"])
def test_what_outlives_its_session_says_so(server: LoopbackServer, name: str, on_error: Any) -> None:
    """The workers are gone; a job that was given to them all the same would be waited for without end."""
    session = client.Session(workers=2, trust_env=False)
    results = getattr(session, name)(itertools.repeat(f"{server.url}/bytes/1"), on_error=on_error)
    next(results)

    session.close()

    with pytest.raises(client.SessionClosed):
        list(results)


@pytest.mark.parametrize("rate", [None, "10000/s"])
@pytest.mark.parametrize("name", ["map", "as_completed"])
def test_closing_the_session_loses_no_result(server: LoopbackServer, name: str, rate: str | None) -> None:
    """What was carried out is told, and what was stopped, before the first job that finds nobody to begin it."""
    drawn = itertools.count()
    jobs = (f"{server.url}/bytes/{number}" for number in drawn)
    session = client.Session(workers=2, trust_env=False)
    results = getattr(session, name)(jobs, on_error="return", rate=rate)
    found = [next(results), next(results)]
    session.close()
    with pytest.raises(client.SessionClosed):
        found.extend(results)

    assert len(found) == next(drawn) - 1
    assert all(isinstance(one, client.Response | client.SessionClosed) for one in found)


class Fixed(client.Session):
    """As classes do that were written for requests."""

    def request(self, method: str, url: Any, params: Any = None, data: Any = None) -> client.Response:  # type: ignore[override]  # what is tested
        return super().request(method, url, params=params, data=data)


class FixedSend(client.Session):
    def send(  # type: ignore[override]  # as above
        self, request: Any, stream: bool = False, verify: Any = None, proxies: Any = None, cert: Any = None,
        allow_redirects: bool = True,
    ) -> client.Response:  # fmt: skip
        settings: Any = {"verify": verify, "proxies": proxies, "cert": cert}
        return super().send(request, stream=stream, allow_redirects=allow_redirects, **settings)


class Open(client.Session):
    def request(self, method: str, url: Any, **arguments: Any) -> client.Response:  # type: ignore[override]  # as above
        return super().request(method, url, **arguments)


@pytest.mark.parametrize(
    "call",
    [
        lambda session, url, path: session.submit("GET", url).result(),
        lambda session, url, path: list(session.map([url])),
        lambda session, url, path: list(session.as_completed([url], on_error="return")),
        lambda session, url, path: session.download(url, path),
        lambda session, url, path: session.download_many([(url, path)]),
    ],
    ids=["submit", "map", "as_completed", "download", "download_many"],
)
def test_a_subclass_passes_on_what_stops_a_call(server: LoopbackServer, tmp_path: Path, call: Any) -> None:
    """Or is told so; a verb, which nothing but its own thread stops, does without."""
    url = f"{server.url}/bytes/1"
    with (
        Fixed(trust_env=False) as fixed,
        FixedSend(trust_env=False) as sending,
        Open(trust_env=False) as opened,
    ):
        for session, name in ((fixed, "Fixed.request"), (sending, "FixedSend.send")):
            assert 200 == session.get(url).status_code
            with pytest.raises(TypeError, match=rf"{name} must take \*\*arguments"):
                call(session, url, tmp_path / "fixed")
        call(opened, url, tmp_path / "open")


def test_an_endless_iterable_is_read_three_jobs_a_worker_ahead(
    session: client.Session, server: LoopbackServer
) -> None:
    drawn = itertools.count()

    def jobs() -> Iterator[str]:
        for number in drawn:
            yield f"{server.url}/bytes/{number}"

    results = session.map(jobs())
    taken = sizes(itertools.islice(results, 20))
    results.close()  # type: ignore[attr-defined]  # a generator

    assert list(range(20)) == taken
    assert next(drawn) <= 20 + 3 * 4


@pytest.mark.parametrize("name", ["map", "as_completed"])
def test_the_first_error_ends_it(session: client.Session, server: LoopbackServer, name: str) -> None:
    results = getattr(session, name)([f"{server.url}/bytes/1", "nonsense", f"{server.url}/bytes/2"])

    with pytest.raises(MissingSchema):
        list(results)


@pytest.mark.parametrize("name", ["map", "as_completed"])
def test_or_errors_stand_in_their_place(session: client.Session, server: LoopbackServer, name: str) -> None:
    jobs = [f"{server.url}/bytes/1", "http://127.0.0.1:1/", f"{server.url}/bytes/2"]

    results = list(getattr(session, name)(jobs, on_error="return"))

    errors = [result for result in results if isinstance(result, Exception)]
    assert [client.ConnectError] == [type(error) for error in errors]
    assert "http://127.0.0.1:1/" == errors[0].request.url  # type: ignore[attr-defined]  # one of ours
    assert (1 if name == "map" else results.index(errors[0])) == results.index(errors[0])


def test_what_is_no_job_is_refused(session: client.Session) -> None:
    with pytest.raises(InvalidRequest, match="a job must be"):
        list(session.map([42]))  # type: ignore[list-item]  # what is tested


@pytest.mark.parametrize("name", ["map", "as_completed", "download_many"])
@pytest.mark.parametrize(
    "jobs",
    [
        "http://a.test/", b"http://a.test/", bytearray(b"http://a.test/"), {"url": "http://a.test/", "path": "a"},
        client.Request("GET", "http://a.test/"), parse_url("http://a.test/"), None, 5,
    ],
    ids=lambda jobs: type(jobs).__name__,
)  # fmt: skip
def test_a_single_job_is_no_iterable_of_jobs(session: client.Session, name: str, jobs: Any) -> None:
    """A str would be read letter by letter, a dict key by key."""
    with pytest.raises(InvalidRequest, match=r"goes into a list"):
        list(getattr(session, name)(jobs))


@pytest.mark.parametrize("name", ["map", "as_completed"])
def test_a_sequence_of_the_old_kind_is_iterable(
    session: client.Session, server: LoopbackServer, name: str
) -> None:
    class Numbered:
        def __getitem__(self, number: int) -> str:
            return [f"{server.url}/bytes/1", f"{server.url}/bytes/2"][number]

    assert [1, 2] == sorted(sizes(getattr(session, name)(Numbered())))


@pytest.mark.parametrize("name", ["map", "as_completed"])
def test_streaming_is_refused(session: client.Session, name: str) -> None:
    """Unread responses would hold every connection, and the next jobs would wait for ever."""
    with pytest.raises(InvalidRequest, match="stream"):
        getattr(session, name)([], stream=True)
    with pytest.raises(InvalidRequest, match="stream"):
        list(getattr(session, name)([{"url": "http://a.test/", "stream": True}]))


def test_a_session_that_streams_by_default_does_not_do_it_here(server: LoopbackServer) -> None:
    """Eight jobs, two connections: the unread responses of the first would keep the others waiting."""
    limits = client.PoolLimits(per_origin=2)
    with client.Session(
        workers=2, limits=limits, timeout=client.Timeouts(pool=5), trust_env=False
    ) as session:
        session.stream = True
        size = 1 << 20

        assert [size] * 8 == sizes(list(session.map([f"{server.url}/bytes/{size}"] * 8)))


def test_an_unknown_on_error_is_refused(session: client.Session) -> None:
    with pytest.raises(InvalidRequest, match="on_error"):
        session.map([], on_error="ignore")  # type: ignore[call-overload]


def test_no_jobs_no_results(session: client.Session) -> None:
    assert [] == list(session.map([]))
    assert [] == list(session.as_completed([]))


@pytest.mark.parametrize("name", ["map", "as_completed"])
@pytest.mark.parametrize("kind", [LookupError, InvalidRequest])
def test_an_error_of_the_iterable_comes_out_after_the_results_before_it(
    session: client.Session, server: LoopbackServer, name: str, kind: type[Exception]
) -> None:
    """Those requests have been sent; one that was a POST has had its effect."""

    def jobs() -> Iterator[Any]:
        yield from (f"{server.url}/bytes/{size}" for size in range(3))
        if kind is LookupError:
            raise LookupError("the caller's own")
        yield 42  # no job

    found = []
    with pytest.raises(kind):
        for response in getattr(session, name)(jobs()):
            found.append(len(response.content))  # noqa: PERF401  # what comes before the error

    assert [0, 1, 2] == sorted(found)


def test_a_job_without_method_or_url_is_an_error_in_its_place(session: client.Session) -> None:
    jobs: list[Any] = [client.Request(url="http://a.test/"), client.Request("GET"), {"method": "GET"}]

    results = list(session.map(jobs, on_error="return"))

    assert [client.InvalidMethod, client.URLRequired, client.URLRequired] == [
        type(result) for result in results
    ]


@pytest.mark.parametrize("name", ["map", "as_completed"])
def test_an_error_in_the_place_of_a_result_has_its_request(session: client.Session, name: str) -> None:
    """Also one that never came to a prepared request, and one that is not ours."""

    def refuse(request: client.PreparedRequest) -> client.PreparedRequest:
        raise LookupError("the caller's own")

    jobs: list[Any] = ["nonsense", {"url": "http://127.0.0.1:1/", "auth": refuse}]
    results: list[Any] = list(getattr(session, name)(jobs, on_error="return"))

    assert {"nonsense", "http://127.0.0.1:1/"} == {result.request.url for result in results}
    with pytest.raises(MissingSchema) as caught:
        list(getattr(session, name)(jobs[:1]))
    assert isinstance(caught.value.request, client.Request)
    assert "nonsense" == caught.value.request.url


class Closed(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        if name == "request":
            raise TypeError("no further attributes")
        super().__setattr__(name, value)


class Unset(Exception):
    """As httpx's: its request cannot be read before it is set."""

    @property
    def request(self) -> object:
        raise RuntimeError("not set yet")


@pytest.mark.parametrize("kind", [Closed, Unset])
@pytest.mark.parametrize("name", ["map", "as_completed"])
def test_an_error_that_does_not_take_a_request_is_returned_without(
    server: LoopbackServer, session: client.Session, name: str, kind: type[Exception]
) -> None:
    error = kind("the caller's own")

    def refuse(*arguments: object, **keywords: object) -> None:
        raise error

    jobs: list[Any] = [server.url, {"url": server.url, "hooks": {"response": refuse}}, server.url]
    results: list[Any] = list(getattr(session, name)(jobs, on_error="return"))

    assert [error] == [result for result in results if isinstance(result, Exception)]
    assert 3 == len(results)
    with pytest.raises(kind):
        list(getattr(session, name)(jobs))


@pytest.mark.parametrize("name", ["map", "as_completed"])
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("begun", ["there", "outside"])
def test_who_makes_the_results_does_not_take_them(
    server: LoopbackServer, name: str, own: bool, begun: str
) -> None:
    """All threads could end up waiting for each other; also if another thread took the first results."""
    with ThreadPoolExecutor(1) as pool, client.Session(workers=1, trust_env=False) as session:
        executor = None if own else pool
        results = getattr(session, name)([f"{server.url}/bytes/1"] * 20, executor=executor)
        if begun == "outside":
            next(results)

        def take(*_: Any, **__: Any) -> None:
            list(results)

        hooks = {"response": take}
        there = session.submit("GET", server.url, hooks=hooks) if own else pool.submit(take)
        with pytest.raises(RuntimeError, match="waiting on a"):
            there.result(10)

        # For whoever else takes them, nothing has happened.
        assert 20 - (begun == "outside") == len(list(results))


def test_many_threads_share_one_session(server: LoopbackServer) -> None:
    """Every response carries its own nonce, and no connection is left over."""
    with no_leaks(), client.Session(trust_env=False) as session:
        wrong: list[Any] = []

        def work(thread: int) -> None:
            for number in range(40):
                nonce = f"{thread}-{number}"
                echo = session.get(f"{server.url}/echo", headers={"X-Nonce": nonce}).json()
                if echo["headers"]["x-nonce"] != nonce:
                    wrong.append((nonce, echo))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [] == wrong
        pool: Any = session._transport
        assert len(pool._open) == len(pool._idle) <= 16


def test_with_fewer_threads_than_wanted_the_work_is_done_by_these(
    session: client.Session, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's limit on processes counts threads."""
    start, left = threading.Thread.start, iter([False, True, True])

    def start_some(thread: threading.Thread) -> None:
        if thread.name.startswith("threadwire-") and not next(left, False):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        session.submit("GET", f"{server.url}/bytes/1")
    futures = [session.submit("GET", f"{server.url}/delay/0.01") for _ in range(10)]
    codes = [future.result(10).status_code for future in futures]
    codes += [response.status_code for response in session.map([f"{server.url}/bytes/1"] * 10)]
    session.close()

    assert [200] * 20 == codes
