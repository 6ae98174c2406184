"""Stopping: `abort`, `close` and Ctrl-C end a call whatever it waits for, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import client
import client.adapters
from client.auth import HTTPDigestAuth
from client.exceptions import SessionClosed
from client.retries import Retry
from tests.pressing_ctrl_c import pressing_ctrl_c
from tests.scripted_server import Expect, ExpectClosed, Hold, Pause, ScriptedServer, Send, Signal

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def in_pool(server: ScriptedServer, started: threading.Event) -> Callable[[client.Session], object]:
    server.script(Expect(), Send(OK[:-2]), Hold())

    def call(session: client.Session) -> object:
        held = session.get(server.url, stream=True)
        started.set()
        try:
            return session.get(server.url)
        finally:
            held.close()

    return call


def in_read(server: ScriptedServer, started: threading.Event) -> Callable[[client.Session], object]:
    server.script(Expect(), Signal(started), Hold())
    return lambda session: session.get(server.url)


def in_body(server: ScriptedServer, started: threading.Event) -> Callable[[client.Session], object]:
    server.script(Expect(), Send(OK[:-1]), Signal(started), Hold())
    return lambda session: session.get(server.url)


def in_continue(server: ScriptedServer, started: threading.Event) -> Callable[[client.Session], object]:
    server.script(Expect(), Signal(started), Hold())
    return lambda session: session.post(server.url, data=b"x" * 100, expect=True)


def in_write(server: ScriptedServer, started: threading.Event) -> Callable[[client.Session], object]:
    server.script(Expect(), Signal(started), Pause(60))
    return lambda session: session.post(server.url, data=b"x" * (64 << 20))


def in_retry(server: ScriptedServer, started: threading.Event) -> Callable[[client.Session], object]:
    busy = b"HTTP/1.1 503 Busy\r\nRetry-After: 30\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    server.script(Expect(), Send(busy), Signal(started), Hold())
    return lambda session: session.get(server.url, retries=1)


def in_tls(server: ScriptedServer, started: threading.Event) -> Callable[[client.Session], object]:
    server.script(Expect(until=b"\x01"), Signal(started), Hold())
    return lambda session: session.get(server.url.replace("http:", "https:"))


def in_dns(server: ScriptedServer, started: threading.Event) -> Callable[[client.Session], object]:
    def resolver(host: str, port: int) -> list[str]:
        started.set()
        _RELEASED.wait(20)
        return ["127.0.0.1"]

    def call(session: client.Session) -> object:
        session._transport.options.resolver = resolver  # type: ignore[attr-defined]  # the pool's
        return session.get("http://slow.test/")

    return call


_RELEASED = threading.Event()
PHASES = {
    function.__name__: function
    for function in (in_pool, in_read, in_body, in_continue, in_write, in_retry, in_tls, in_dns)
}
ONE = client.PoolLimits(total=1, per_origin=1)


@pytest.fixture
def slow_resolver() -> Iterator[None]:
    _RELEASED.clear()
    yield
    _RELEASED.set()


@pytest.mark.parametrize("phase", PHASES)
def test_abort_wakes_every_phase(scripted_server: ScriptedServer, slow_resolver: None, phase: str) -> None:
    started = threading.Event()
    session = client.Session(trust_env=False, limits=ONE, workers=1)
    call = PHASES[phase](scripted_server, started)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call(session)
        except BaseException as error:  # noqa: BLE001  # which one it is, is judged below
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    started.wait(5)
    deadline = time.monotonic() + 5
    while thread.is_alive() and time.monotonic() < deadline:  # it may be a moment before the wait
        session.abort()
        thread.join(0.05)

    assert [SessionClosed] == [type(error) for error in raised]
    assert 0 == session._transport._slots  # type: ignore[attr-defined]  # the pool


REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
CHALLENGE = b"HTTP/1.1 401 Who\r\nWWW-Authenticate: Digest realm=r, nonce=n\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("through", ["own transport", "mounted adapter"])
@pytest.mark.parametrize(
    ("first", "arguments"),
    [
        (REDIRECT, {}),
        (CHALLENGE, {"auth": HTTPDigestAuth("u", "p")}),
        (BUSY, {"retries": Retry(1, backoff_factor=0)}),
    ],
    ids=["redirect", "auth", "retry"],
)
def test_abort_between_two_requests_of_a_call_ends_it(
    scripted_server: ScriptedServer, through: str, first: bytes, arguments: Any
) -> None:
    """At that moment the call neither waits for a connection nor has one: the pool knows nothing of it."""
    scripted_server.script(Expect(), Send(first), ExpectClosed())

    def abort_in_between(event: str, facts: dict[str, Any]) -> None:
        if event == "receive.end":
            session.abort()

    session = client.Session(trust_env=False, trace=abort_in_between)
    if through == "mounted adapter":
        session.mount("http://", client.adapters.HTTPAdapter())

    with pytest.raises(SessionClosed, match="aborted"):
        session.get(scripted_server.url, **arguments)

    session.trace = None
    scripted_server.answer(OK)
    assert "ok" == session.get(scripted_server.url).text, "the session works on"
    session.close()


def test_each_aborted_call_raises_an_error_that_names_its_own_request(
    scripted_server: ScriptedServer,
) -> None:
    asked = [threading.Event(), threading.Event()]
    for event in asked:
        scripted_server.script(Expect(), Signal(event), ExpectClosed())
    session = client.Session(trust_env=False)
    named: list[Any] = []

    def run(path: str) -> None:
        try:
            session.get(scripted_server.url + path)
        except SessionClosed as error:
            named.append(error.request and error.request.url)

    threads = [threading.Thread(target=run, args=(path,)) for path in ("/1", "/2")]
    for thread in threads:
        thread.start()
    for event in asked:
        assert event.wait(5)
    session.abort()
    for thread in threads:
        thread.join(5)

    assert [f"{scripted_server.url}/1", f"{scripted_server.url}/2"] == sorted(map(str, named))


@pytest.mark.parametrize(
    "phase", sorted(PHASES.keys() - {"in_pool"})
)  # there the call holds a response itself
def test_close_wakes_submitted_calls_in_every_phase(
    scripted_server: ScriptedServer, slow_resolver: None, phase: str
) -> None:
    started = threading.Event()
    session = client.Session(trust_env=False, limits=ONE, workers=1)
    call = PHASES[phase](scripted_server, started)

    class Submitting:
        """Looks like a session whose verbs are submitted."""

        _transport = session._transport

        def get(self, url: str, **arguments: Any) -> Any:
            return session.submit("GET", url, **arguments)

        def post(self, url: str, **arguments: Any) -> Any:
            return session.submit("POST", url, **arguments)

    future: Any = call(Submitting())  # type: ignore[arg-type]  # the two verbs are all that is used
    assert started.wait(5)
    session.close()

    with pytest.raises(SessionClosed):
        future.result(5)
    assert 0 == session._transport._slots  # type: ignore[attr-defined]  # the pool


@pytest.mark.parametrize("phase", PHASES)
def test_ctrl_c_ends_every_phase(scripted_server: ScriptedServer, slow_resolver: None, phase: str) -> None:
    """And the session works on."""
    started = threading.Event()
    session = client.Session(trust_env=False, limits=ONE, workers=1)
    call = PHASES[phase](scripted_server, started)
    with pytest.raises(KeyboardInterrupt), pressing_ctrl_c(started):
        call(session)

    session._transport.options.resolver = None  # type: ignore[attr-defined]  # the pool's
    scripted_server.answer(OK)
    assert "ok" == session.get(scripted_server.url).text
    session.close()
    assert 0 == session._transport._slots  # type: ignore[attr-defined]  # the pool


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_closing_a_session_in_a_forked_child_waits_for_no_lock_of_the_parent(
    scripted_server: ScriptedServer,
) -> None:
    """A thread that stayed with the parent may have held it."""
    scripted_server.answer(OK, OK)
    session = client.Session(trust_env=False)
    session.get(scripted_server.url)
    pool: Any = session._transport

    with pool._lock:
        child = os.fork()
        if not child:
            signal.alarm(5)
            session.close()
            os._exit(0)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert "ok" == session.get(scripted_server.url).text
    session.close()
