"""One function, two modes: a call does the same on the calling thread and on a worker.

Each test runs three times: a plain verb, `Session.submit` and its future, and a verb of a session with ``offload=True``.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, wait
from typing import Any

import pytest

import client
from client.exceptions import (
    ConnectError,
    InvalidURL,
    ReadTimeout,
    TooManyRedirects,
    TotalTimeout,
)
from client.testing import LoopbackServer, payload_sha256
from client.timeouts import Timeouts
from tests.leaks import no_leaks, slots_of
from tests.scripted_server import (
    AnswerSlowly,
    Expect,
    ExpectClosed,
    Hold,
    Pause,
    ScriptedServer,
    Send,
    Signal,
)

Call = Callable[..., client.Response]


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    """A server for everything that needs no malice."""
    with LoopbackServer() as server:
        yield server


@pytest.fixture(params=["calling thread", "submit", "offload"])
def call(request: pytest.FixtureRequest) -> Iterator[Call]:
    """`Session.request` in one of the modes; neither threads nor descriptors nor slots may stay."""
    with no_leaks():
        with client.Session(offload=request.param == "offload", workers=2, trust_env=False) as session:

            def submitted(method: str, url: str, **arguments: Any) -> client.Response:
                return session.submit(method, url, **arguments).result(20)

            yield submitted if request.param == "submit" else session.request
        assert 0 == slots_of(session)


def test_a_document(call: Call, server: LoopbackServer) -> None:
    echo = call("POST", f"{server.url}/echo", json={"a": [1, None, "é"]}, params={"q": "1 2"}).json()

    body = b'{"a": [1, null, "\\u00e9"]}'
    assert ("POST", "/echo?q=1+2", len(body)) == (echo["method"], echo["target"], echo["length"])
    assert hashlib.sha256(body).hexdigest() == echo["sha256"]


def test_a_chunked_upload_from_a_generator(call: Call, server: LoopbackServer) -> None:
    pieces = [b"%06d" % number * 1000 for number in range(300)]

    echo = call("POST", f"{server.url}/echo", data=(piece for piece in pieces)).json()

    assert "chunked" == echo["headers"]["transfer-encoding"]
    assert hashlib.sha256(b"".join(pieces)).hexdigest() == echo["sha256"]


def test_a_generator_is_drawn_from_as_it_is_sent(call: Call, scripted_server: ScriptedServer) -> None:
    """Constant memory: the second piece is made when the first has left."""
    first_arrived = threading.Event()
    scripted_server.script(
        Expect(until=b"5\r\nfirst\r\n"), Signal(first_arrived), Expect(until=b"0\r\n\r\n"),
        Send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), Hold(),
    )  # fmt: skip

    def pieces() -> Iterator[bytes]:
        yield b"first"
        assert first_arrived.wait(5)
        yield b"second"

    assert 200 == call("POST", scripted_server.url, data=pieces()).status_code


def test_a_streamed_download(call: Call, server: LoopbackServer) -> None:
    with call("GET", f"{server.url}/chunked/3000000", stream=True) as response:
        received = b"".join(response.iter_content(10_000))

    assert payload_sha256(3_000_000) == hashlib.sha256(received).hexdigest()


def test_streaming_reads_nothing_beyond_the_head(call: Call, scripted_server: ScriptedServer) -> None:
    """The body never comes, and the call returns all the same."""
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), ExpectClosed())

    with call("GET", scripted_server.url, stream=True) as response:
        assert 200 == response.status_code


def test_redirects_with_their_history(call: Call, server: LoopbackServer) -> None:
    response = call("GET", f"{server.url}/redirect/3")

    assert f"{server.url}/echo" == response.url
    assert [302, 302, 302] == [hop.status_code for hop in response.history]
    assert f"{server.url}/redirect/3" == response.history[0].url
    assert [0, 1, 2] == [len(hop.history) for hop in response.history]


def test_a_redirect_that_keeps_its_body(call: Call, server: LoopbackServer) -> None:
    echo = call("POST", f"{server.url}/redirect/2?status=307", data=b"kept").json()

    assert ("POST", hashlib.sha256(b"kept").hexdigest()) == (echo["method"], echo["sha256"])


def test_redirects_that_are_not_followed(call: Call, server: LoopbackServer) -> None:
    response = call("GET", f"{server.url}/redirect/2", allow_redirects=False)

    assert (302, []) == (response.status_code, response.history)
    assert response.next is not None
    assert f"{server.url}/redirect/1" == response.next.url


def test_a_read_timeout(call: Call, scripted_server: ScriptedServer) -> None:
    scripted_server.script(Expect(), ExpectClosed())

    with pytest.raises(ReadTimeout) as caught:
        call("GET", scripted_server.url, timeout=(10, 0.2))

    assert ("read", 0.2) == (caught.value.phase, caught.value.seconds)


def test_a_total_timeout_on_a_body_that_drips(call: Call, scripted_server: ScriptedServer) -> None:
    drip = [step for _ in range(100) for step in (Send(b"x", may_fail=True), Pause(0.02))]
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"), *drip)

    with pytest.raises(TotalTimeout) as caught:
        call("GET", scripted_server.url, timeout=Timeouts(total=1))

    assert ("total", 1) == (caught.value.phase, caught.value.seconds)


def test_the_total_timeout_spans_the_redirects(call: Call, scripted_server: ScriptedServer) -> None:
    """Row T10: each hop alone is in time, and with a limit of their own the hops would end with TooManyRedirects."""
    hop = b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"
    scripted_server.script(AnswerSlowly(hop, 0.05))

    with pytest.raises(TotalTimeout):
        call("GET", scripted_server.url, timeout=Timeouts(read=5, total=0.6))


def test_errors_are_the_same(call: Call, server: LoopbackServer) -> None:
    with pytest.raises(InvalidURL):
        call("GET", "http://a b/")
    with pytest.raises(ConnectError):
        call("GET", "http://127.0.0.1:1/")
    with pytest.raises(TooManyRedirects) as caught:
        call("GET", f"{server.url}/redirect/31")
    assert caught.value.response is not None
    assert 30 == len(caught.value.response.history)


def test_an_error_in_a_hook_comes_out_as_it_is(call: Call, server: LoopbackServer) -> None:
    def hook(response: client.Response, **facts: Any) -> None:
        raise LookupError("the hook's own")

    with pytest.raises(LookupError, match="the hook's own"):
        call("GET", f"{server.url}/echo", hooks={"response": hook})


class TestOffload:
    """What only a worker can promise."""

    def test_the_total_timeout_holds_whatever_blocks(self, scripted_server: ScriptedServer) -> None:
        """A body's iterator that never yields cannot be interrupted; the caller is released all the same."""
        release = threading.Event()
        scripted_server.script(ExpectClosed(silently=False))

        def stuck() -> Iterator[bytes]:
            yield b"first"
            release.wait(10)

        with client.Session(offload=True, workers=1, trust_env=False) as session:
            with pytest.raises(TotalTimeout):
                session.post(scripted_server.url, data=stuck(), timeout=Timeouts(total=1))
            release.set()

    def test_a_call_inside_a_hook_needs_no_second_worker(self, server: LoopbackServer) -> None:
        with client.Session(offload=True, workers=1, trust_env=False) as session:

            def hook(response: client.Response, **facts: Any) -> None:
                if "nested" not in response.url:
                    assert session.get(f"{server.url}/echo?nested").ok

            assert session.get(f"{server.url}/echo", hooks={"response": hook}).ok


class TestSubmit:
    """Futures."""

    def test_cancel_wakes_a_running_call(self, scripted_server: ScriptedServer) -> None:
        asked = threading.Event()
        scripted_server.script(Expect(), Signal(asked), ExpectClosed())

        with client.Session(workers=1, trust_env=False) as session:
            future = session.submit("GET", scripted_server.url)
            assert asked.wait(5)
            assert future.cancel()
            with pytest.raises(CancelledError):
                future.result(5)
            assert 0 == slots_of(session)

    def test_cancel_takes_back_a_call_that_has_not_begun(self, scripted_server: ScriptedServer) -> None:
        asked = threading.Event()
        scripted_server.script(Expect(), Signal(asked), ExpectClosed())

        with client.Session(workers=1, trust_env=False) as session:
            first = session.submit("GET", scripted_server.url)
            assert asked.wait(5)
            second = session.submit("GET", scripted_server.url)
            assert second.cancel()
            assert second.cancelled()
            first.cancel()

    def test_close_stops_what_was_submitted(self, scripted_server: ScriptedServer) -> None:
        asked = threading.Event()
        scripted_server.script(Expect(), Signal(asked), ExpectClosed())
        session = client.Session(workers=1, trust_env=False)
        running = session.submit("GET", scripted_server.url)
        waiting = session.submit("GET", scripted_server.url)
        assert asked.wait(5)

        with no_leaks(grace=0):
            session.close()

        for future in (running, waiting):
            with pytest.raises(client.SessionClosed):
                future.result(5)

    def test_whoever_waits_for_several_futures_hears_of_a_close(
        self, scripted_server: ScriptedServer
    ) -> None:
        """`concurrent.futures.wait` is not told of a future that is merely cancelled while it is queued."""
        asked = threading.Event()
        scripted_server.script(Expect(), Signal(asked), ExpectClosed())
        session = client.Session(workers=1, trust_env=False)
        futures = [session.submit("GET", scripted_server.url) for _ in range(5)]
        assert asked.wait(5)

        closer = threading.Thread(target=session.close)
        closer.start()

        done = wait(futures, timeout=10).done
        closer.join()
        assert set(futures) == done

    def test_a_closed_session_may_be_used_again(self, server: LoopbackServer) -> None:
        session = client.Session(trust_env=False)
        for _ in range(2):
            assert session.get(f"{server.url}/echo").ok
            assert session.submit("GET", f"{server.url}/echo").result(5).ok
            session.close()

    def test_waiting_on_a_worker_for_its_own_pool_is_refused(self, server: LoopbackServer) -> None:
        """With as many workers waiting as there are, nobody would be left to do the work."""
        with client.Session(workers=1, trust_env=False) as session:

            def hook(response: client.Response, **facts: Any) -> None:
                session.submit("GET", f"{server.url}/echo").result()

            with pytest.raises(RuntimeError, match="worker"):
                session.submit("GET", f"{server.url}/echo", hooks={"response": hook}).result(5)
