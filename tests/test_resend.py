"""Sending again: what happens unasked, what `retries=` turns on, and what never happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import client
from client.exceptions import (
    ConnectError,
    IncompleteBody,
    ProtocolError,
    RemoteDisconnected,
    RetryError,
    StaleConnectionError,
    TotalTimeout,
    UnrewindableBodyError,
)
from client.retries import Retry
from client.timeouts import Timeouts
from tests.leaks import slots_of
from tests.scripted_server import Close, Expect, Hold, Reset, ScriptedServer, Send

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
SOON = Retry(3, backoff_factor=0)


def late(framing: bytes = b"Content-Length: 4\r\n") -> bytes:
    """Return what some servers say before they close an idle connection."""
    return b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n%b\r\nlate" % framing


@pytest.fixture
def session() -> Iterator[client.Session]:
    """A session that holds no slot in the end."""
    with client.Session(trust_env=False) as session:
        yield session
    assert 0 == slots_of(session)


def warm_then_dead(server: ScriptedServer, *, body: int = 0) -> None:
    """Queue a connection that serves one request and dies when the second has arrived."""
    server.script(Expect(), Send(OK), Expect(body=body), Close())


class TestUnasked:
    """RFC 9112 section 9.3.1: an idle connection that dies says nothing about the request."""

    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
    def test_an_idempotent_request_is_sent_once_more(
        self, scripted_server: ScriptedServer, session: client.Session, method: str
    ) -> None:
        warm_then_dead(scripted_server)
        again = scripted_server.answer(OK.replace(b"ok", b"") if method == "HEAD" else OK)
        session.get(scripted_server.url)

        response = session.request(method, scripted_server.url)

        assert 200 == response.status_code
        assert again.requests[0].startswith(method.encode())
        assert ["RemoteDisconnected"] == [type(attempt.error).__name__ for attempt in response.attempts]

    def test_a_post_is_not(self, scripted_server: ScriptedServer, session: client.Session) -> None:
        """Row C4: it may have been done; the error names the switches."""
        warm_then_dead(scripted_server, body=5)
        session.get(scripted_server.url)

        with pytest.raises(StaleConnectionError, match=r"idempotent=True.*Idempotency-Key") as caught:
            session.post(scripted_server.url, data=b"order")

        error = caught.value
        assert (True, False) == (error.reused, error.response_started)
        assert error.bytes_sent > len(b"order")
        assert error.request is not None

    @pytest.mark.parametrize(
        "arguments",
        [{"idempotent": True}, {"headers": {"idempotency-key": "4711"}}],
        ids=["idempotent=True", "Idempotency-Key"],
    )
    def test_a_post_that_may_be_repeated_is(
        self, scripted_server: ScriptedServer, session: client.Session, arguments: Any
    ) -> None:
        warm_then_dead(scripted_server, body=5)
        again = scripted_server.script(Expect(body=5), Send(OK), Hold())
        session.get(scripted_server.url)

        assert b"ok" == session.post(scripted_server.url, data=b"order", **arguments).content

        assert again.requests[0].endswith(b"order")

    def test_a_get_that_may_not_be_repeated_is_not(
        self, scripted_server: ScriptedServer, session: client.Session
    ) -> None:
        warm_then_dead(scripted_server)
        session.get(scripted_server.url)

        with pytest.raises(StaleConnectionError):
            session.get(scripted_server.url, idempotent=False)

    def test_a_fresh_connection_that_dies_is_an_error(
        self, scripted_server: ScriptedServer, session: client.Session
    ) -> None:
        """That is about the request; resending could go on for ever."""
        scripted_server.script(Expect(), Close())

        with pytest.raises(RemoteDisconnected) as caught:
            session.get(scripted_server.url)

        assert not caught.value.reused

    def test_only_once(self, scripted_server: ScriptedServer, session: client.Session) -> None:
        warm_then_dead(scripted_server)
        scripted_server.script(Expect(), Close())
        session.get(scripted_server.url)

        with pytest.raises(RemoteDisconnected):
            session.get(scripted_server.url)

    def test_not_once_an_answer_has_begun(
        self, scripted_server: ScriptedServer, session: client.Session
    ) -> None:
        scripted_server.script(Expect(), Send(OK), Expect(), Send(b"HTTP/1.1 200"), Close())
        session.get(scripted_server.url)

        with pytest.raises(RemoteDisconnected) as caught:
            session.get(scripted_server.url)

        assert caught.value.response_started

    def test_garbage_is_not_asked_for_twice(
        self, scripted_server: ScriptedServer, session: client.Session
    ) -> None:
        scripted_server.script(Expect(), Send(OK), Expect(), Send(b"garbage\r\n\r\n"))
        session.get(scripted_server.url)

        with pytest.raises(ProtocolError):
            session.get(scripted_server.url)

    @pytest.mark.parametrize("end", [Close(), Reset()], ids=["FIN", "RST"])
    @pytest.mark.parametrize("framing", [b"Content-Length: 4\r\n", b""], ids=["length", "until close"])
    def test_a_408_that_ends_an_idle_connection_is_no_answer(
        self, scripted_server: ScriptedServer, session: client.Session, framing: bytes, end: Any
    ) -> None:
        """Row C6: it crossed the request on the way; haproxy and apache2 send one before they close."""
        scripted_server.script(Expect(), Send(OK), Expect(), Send(late(framing)), end)
        again = scripted_server.answer(OK)
        session.get(scripted_server.url)

        response = session.get(scripted_server.url)

        assert (200, b"ok") == (response.status_code, response.content)
        assert 1 == len(again.requests)
        assert [408] == [attempt.status for attempt in response.attempts]

    @pytest.mark.parametrize(
        ("method", "arguments"),
        [("POST", {"data": b"order"}), ("GET", {"idempotent": False}), ("PUT", {"data": iter([b"order"])})],
        ids=["POST", "idempotent=False", "body used up"],
    )
    def test_what_may_not_be_repeated_has_the_408_as_its_answer(
        self, scripted_server: ScriptedServer, session: client.Session, method: str, arguments: Any
    ) -> None:
        body = {"POST": 5, "GET": 0, "PUT": len(b"5\r\norder\r\n0\r\n\r\n")}[method]
        scripted_server.script(Expect(), Send(OK), Expect(body=body), Send(late()), Close())
        session.get(scripted_server.url)

        response = session.request(method, scripted_server.url, **arguments)

        assert (408, b"late") == (response.status_code, response.content)

    def test_a_408_on_a_fresh_connection_is_the_answer(
        self, scripted_server: ScriptedServer, session: client.Session
    ) -> None:
        """There it is about this request. The second one comes on the connection that the resend took."""
        scripted_server.script(Expect(), Send(OK), Expect(), Send(late()), Close())
        scripted_server.script(Expect(), Send(late()), Close())
        session.get(scripted_server.url)

        assert 408 == session.get(scripted_server.url).status_code

    def test_a_408_after_which_the_connection_goes_on_is_the_answer(
        self, scripted_server: ScriptedServer, session: client.Session
    ) -> None:
        scripted_server.answer(OK, late().replace(b"Connection: close\r\n", b""))
        session.get(scripted_server.url)

        assert 408 == session.get(scripted_server.url).status_code

    @pytest.mark.parametrize("end", [Close(), Reset()], ids=["FIN", "RST"])
    def test_a_body_that_can_be_read_again_is_read_from_where_it_stood(
        self, scripted_server: ScriptedServer, session: client.Session, tmp_path: Any, end: Any
    ) -> None:
        """Row 100: never the rest, never nothing."""
        path = tmp_path / "body"
        path.write_bytes(b"skip this: the body")
        scripted_server.script(Expect(), Send(OK), Expect(body=8), end)
        again = scripted_server.script(Expect(body=8), Send(OK), Hold())
        session.get(scripted_server.url)

        with path.open("rb") as file:
            file.seek(11)
            assert b"ok" == session.put(scripted_server.url, data=file).content

        assert again.requests[0].endswith(b"\r\n\r\nthe body")

    def test_a_body_that_is_used_up_is_not_sent_empty(
        self, scripted_server: ScriptedServer, session: client.Session
    ) -> None:
        scripted_server.script(Expect(), Send(OK), Expect(until=b"0\r\n\r\n"), Close())
        session.get(scripted_server.url)

        with pytest.raises(StaleConnectionError):
            session.put(scripted_server.url, data=(piece for piece in [b"once"]))

    def test_a_callable_makes_the_body_anew(
        self, scripted_server: ScriptedServer, session: client.Session
    ) -> None:
        scripted_server.script(Expect(), Send(OK), Expect(until=b"0\r\n\r\n"), Close())
        again = scripted_server.script(Expect(until=b"0\r\n\r\n"), Send(OK), Hold())
        session.get(scripted_server.url)

        session.put(scripted_server.url, data=lambda: (piece for piece in [b"again"]))

        assert again.requests[0].endswith(b"5\r\nagain\r\n0\r\n\r\n")


class TestRetries:
    """``retries=3`` or a `Retry`, on the session or the call."""

    def test_a_status_that_says_not_now_is_asked_again(
        self, scripted_server: ScriptedServer, session: client.Session
    ) -> None:
        told: list[Any] = []
        session.on_retry = told.append
        scripted_server.answer(BUSY, BUSY, OK)

        response = session.get(scripted_server.url, retries=SOON)

        assert b"ok" == response.content
        assert [503, 503] == [attempt.status for attempt in response.attempts]
        assert list(response.attempts) == told

    def test_the_last_answer_stands_when_all_are_used_up(
        self, scripted_server: ScriptedServer, session: client.Session
    ) -> None:
        scripted_server.answer(BUSY, BUSY)

        response = session.get(scripted_server.url, retries=Retry(1, backoff_factor=0))

        assert (503, b"busy") == (response.status_code, response.content)

    def test_or_it_is_an_error_if_that_is_wanted(
        self, scripted_server: ScriptedServer, session: client.Session
    ) -> None:
        scripted_server.answer(BUSY, BUSY)

        with pytest.raises(RetryError) as caught:
            session.get(scripted_server.url, retries=Retry(1, backoff_factor=0, raise_on_status=True))

        assert caught.value.response is not None
        assert 503 == caught.value.response.status_code
        assert 2 == len(caught.value.attempts)

    def test_a_refused_connection_is_tried_again_whatever_the_method(self, session: client.Session) -> None:
        with pytest.raises(ConnectError) as caught:
            session.post("http://127.0.0.1:1/", data=b"x", retries=Retry(2, backoff_factor=0))

        assert 2 == len(caught.value.attempts)

    def test_a_broken_body_is_asked_for_again(
        self, scripted_server: ScriptedServer, session: client.Session
    ) -> None:
        """Demand 6: the body of a call that does not stream is part of the attempt."""
        scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), Close())
        scripted_server.answer(OK)

        assert b"ok" == session.get(scripted_server.url, retries=SOON).content

    def test_a_streamed_body_is_the_callers_own(
        self, scripted_server: ScriptedServer, session: client.Session
    ) -> None:
        scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), Close())

        with (
            session.get(scripted_server.url, retries=SOON, stream=True) as response,
            pytest.raises(IncompleteBody),
        ):
            _ = response.content

    def test_a_post_that_was_answered_503_is_not_repeated(
        self, scripted_server: ScriptedServer, session: client.Session
    ) -> None:
        scripted_server.script(Expect(body=1), Send(BUSY), Hold())

        assert 503 == session.post(scripted_server.url, data=b"x", retries=SOON).status_code

    def test_a_session_hands_its_retries_to_each_call(self, scripted_server: ScriptedServer) -> None:
        scripted_server.answer(BUSY, OK)

        with client.Session(retries=SOON, trust_env=False) as session:
            assert b"ok" == session.get(scripted_server.url).content

    def test_waiting_for_the_next_try_ends_at_the_deadline(
        self, scripted_server: ScriptedServer, session: client.Session
    ) -> None:
        """A wait that would pass the deadline is not begun: the answer at hand is better than a late error."""
        scripted_server.answer(BUSY.replace(b"\r\n\r\n", b"\r\nRetry-After: 100\r\n\r\n"))

        response = session.get(scripted_server.url, retries=3, timeout=Timeouts(total=5))

        assert 503 == response.status_code

    def test_the_total_deadline_spans_the_tries(
        self, scripted_server: ScriptedServer, session: client.Session
    ) -> None:
        scripted_server.script(Expect(), Send(BUSY), Expect(), Hold())

        with pytest.raises(TotalTimeout) as caught:
            session.get(scripted_server.url, retries=SOON, timeout=Timeouts(total=1))

        assert [503] == [attempt.status for attempt in caught.value.attempts]

    def test_cancelling_ends_the_wait_for_the_next_try(
        self, scripted_server: ScriptedServer, session: client.Session
    ) -> None:
        waiting = threading.Event()
        session.on_retry = lambda _: waiting.set()
        scripted_server.answer(BUSY)

        future = session.submit(
            "GET", scripted_server.url, retries=Retry(3, backoff_factor=60, jitter=None, backoff_max=60)
        )
        assert waiting.wait(5)
        assert future.cancel()

        with pytest.raises(Exception, match="cancelled") as caught:
            future.result(5)
        assert "CancelledError" == type(caught.value).__name__


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_needs_a_used_up_body_is_an_error(
    scripted_server: ScriptedServer, session: client.Session, status: int
) -> None:
    """Row X3: a generator is empty the second time, and an empty POST is worse than an error."""
    moved = b"HTTP/1.1 %d Moved\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n" % status
    scripted_server.script(Expect(until=b"0\r\n\r\n"), Send(moved), Hold())

    with pytest.raises(UnrewindableBodyError) as caught:
        session.post(scripted_server.url, data=(piece for piece in [b"once"]))

    assert caught.value.response is not None
    assert status == caught.value.response.status_code


def test_an_expectation_that_fails_is_dropped(
    scripted_server: ScriptedServer, session: client.Session
) -> None:
    """RFC 9110 section 15.5.18: 417, and the same request without the field."""
    refused = b"HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    first = scripted_server.script(Expect(), Send(refused), Close())
    second = scripted_server.script(Expect(body=5), Send(OK), Hold())

    assert b"ok" == session.put(scripted_server.url, data=b"hello", expect=True).content

    assert b"\r\nExpect: 100-continue\r\n" in first.requests[0]
    assert b"xpect" not in second.requests[0]
