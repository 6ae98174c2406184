"""Whatever a call waits for, each way to stop it ends it within a second, with the error of that way, and loses nothing."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any

import pytest

import client
from client.testing import LoopbackServer
from tests.held_up import held_up
from tests.leaks import slots_of
from tests.pressing_ctrl_c import pressing_ctrl_c
from tests.stuck_calls import PHASES, Stuck, stuck_calls
from tests.tls_authority import TLSAuthority

pytestmark = pytest.mark.timing

PATIENCE = 10.0


@pytest.fixture(scope="module")
def calls(tls_authority: TLSAuthority) -> Iterator[dict[str, Stuck]]:
    with stuck_calls(PATIENCE, tls_authority) as calls:
        yield calls


@contextlib.contextmanager
def stuck_session(stuck: Stuck) -> Iterator[tuple[client.Session, threading.Event]]:
    """Give a session, and the event that its call is stuck; it works on afterwards, and holds no slot in the end."""
    is_stuck = threading.Event()

    def trace(event: str, facts: dict[str, Any]) -> None:
        if event == stuck.event:
            is_stuck.set()

    with stuck.session() as session:
        session.trace = trace
        yield session, is_stuck
        session.trace = None
    with LoopbackServer() as server:
        assert 200 == session.get(f"{server.url}/hello").status_code
        session.close()
    assert 0 == slots_of(session)


STOPS: dict[str, tuple[Callable[[client.Session, Any], object], type[BaseException]]] = {
    "cancel": (lambda session, future: future.cancel(), CancelledError),
    "close": (lambda session, future: session.close(), client.SessionClosed),
    "abort": (lambda session, future: session.abort(), client.SessionClosed),
}


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("phase", PHASES)
def test_a_submitted_call_is_stopped(calls: dict[str, Stuck], phase: str, stop: str) -> None:
    stuck, (act, expected) = calls[phase], STOPS[stop]
    with stuck_session(stuck) as (session, is_stuck), held_up() as seconds_held_up:
        future = session.submit(**stuck.request(), timeout=PATIENCE)
        assert is_stuck.wait(PATIENCE)
        began = time.monotonic()
        act(session, future)
        with pytest.raises(expected):
            future.result(PATIENCE)
        took = time.monotonic() - began
        late = seconds_held_up()

    assert took < 1 + late


@pytest.mark.parametrize("offload", [False, True], ids=["calling thread", "offload"])
@pytest.mark.parametrize("phase", PHASES)
def test_ctrl_c_stops_the_callers_call(calls: dict[str, Stuck], phase: str, offload: bool) -> None:
    stuck = calls[phase]
    with stuck_session(stuck) as (session, is_stuck), held_up() as seconds_held_up:
        session.offload = offload
        with pytest.raises(KeyboardInterrupt), pressing_ctrl_c(is_stuck):
            began = time.monotonic()
            try:
                session.request(**stuck.request(), timeout=PATIENCE)
            finally:
                took = time.monotonic() - began
        late = seconds_held_up()

    assert took < 1 + late
