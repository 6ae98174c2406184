"""Errors of parallel calls are gone once nobody wants them: each may hold a response, and that a body of any size.

All without the garbage collector, which comes by the number of objects and not by their size.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import pytest

import client
from client.errands import Errand, carry_out, packed
from client.testing import LoopbackServer, MockResponse, MockTransport

BOTH = pytest.mark.parametrize("name", ["map", "as_completed"])
JOBS = 40
#: Each of them may just be about to let go of its last one.
WORKERS = 4
URL = "http://a.test/"


@pytest.fixture(autouse=True)
def _uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def raise_for_status(response: client.Response, **_: Any) -> None:
    response.raise_for_status()


def failing(*, offload: bool = False) -> client.Session:
    """A session whose calls all end in an error that holds a response."""
    transport = MockTransport(lambda request: MockResponse(500, body=b"x" * 1000))
    session = client.Session(transport=transport, workers=WORKERS, offload=offload, trust_env=False)
    session.hooks["response"].append(raise_for_status)
    return session


def assert_gone(responses: list[weakref.ref[Any]]) -> None:
    assert JOBS == len(responses)
    assert JOBS - WORKERS <= sum(reference() is None for reference in responses)


@BOTH
@pytest.mark.parametrize("rate", [None, "100000/s"])
@pytest.mark.parametrize("kind", [None, ThreadPoolExecutor])
def test_an_error_in_place_of_a_response(
    name: str, rate: str | None, kind: type[ThreadPoolExecutor] | None
) -> None:
    executor: Executor | None = None if kind is None else kind(WORKERS)
    with failing() as session:
        results = getattr(session, name)([URL] * JOBS, on_error="return", rate=rate, executor=executor)
        responses = [weakref.ref(error.response) for error in results]

        assert_gone(responses)
    if executor is not None:
        executor.shutdown()


@pytest.mark.parametrize("offload", [False, True])
def test_the_error_of_a_future(*, offload: bool) -> None:
    responses: list[weakref.ref[Any]] = []
    with failing(offload=offload) as session:
        for _ in range(JOBS):
            try:
                session.get(URL) if offload else session.submit("GET", URL).result()
            except client.HTTPError as error:
                responses.append(weakref.ref(error.response))

        assert_gone(responses)


def test_the_error_of_another_process() -> None:
    responses: list[weakref.ref[Any]] = []
    with LoopbackServer() as server, client.Session(trust_env=False) as session:
        settings, cookies = packed(session, "the session"), packed(session.cookies, "its cookies")
        call = packed(
            {"method": "GET", "url": f"{server.url}/status/500", "hooks": {"response": raise_for_status}},
            "the call",
        )
        for _ in range(JOBS):
            try:
                carry_out(Errand(settings, cookies, "request", call)).open()
            except client.HTTPError as error:
                responses.append(weakref.ref(error.response))

    assert_gone(responses)


@BOTH
def test_results_that_are_never_taken(name: str) -> None:
    """Of a consumer who stops early."""
    responses: list[weakref.ref[Any]] = []

    def note(response: client.Response, **_: Any) -> None:
        responses.append(weakref.ref(response))

    transport = MockTransport(lambda request: MockResponse(body=b"x" * 1000))
    with client.Session(transport=transport, workers=WORKERS, trust_env=False) as session:
        for _ in range(JOBS):
            results = getattr(session, name)([URL] * 4, hooks={"response": note})
            next(results)
            results.close()
    del results

    assert JOBS <= len(responses)
    assert all(reference() is None for reference in responses)  # the workers have ended
