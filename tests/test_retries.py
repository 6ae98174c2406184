"""When a request is sent again, and after how long: `client.retries`, with time and randomness made up."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.exceptions import (
    AddressNotAllowed,
    ChunkedEncodingError,
    ConnectError,
    ConnectionError,  # requests' name
    ConnectTimeout,
    ContentDecodingError,
    ForkError,
    IncompleteBody,
    InvalidURL,
    NameResolutionError,
    PoolTimeout,
    ProtocolError,
    ProxyError,
    ReadTimeout,
    RemoteDisconnected,
    RetryError,
    SessionClosed,
    SSLError,
    StaleConnectionError,
    TotalTimeout,
    WriteTimeout,
)
from client.headers import CaseInsensitiveDict
from client.http_dates import parse_retry_after
from client.retries import Attempt, Retry, declared_idempotent, may_resend, why_not_resent

NOW = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT


def stale(**facts: Any) -> RemoteDisconnected:
    return RemoteDisconnected("closed", **{"reused": True, "bytes_sent": 100, **facts})


def resend(
    error: BaseException, method: str = "GET", *, idempotent: bool | None = None, replayable: bool = True
) -> bool:
    return may_resend(error, method, idempotent=idempotent, replayable=replayable)


def after(
    retry: Retry,
    outcome: BaseException | int,
    *,
    method: str = "GET",
    idempotent: bool | None = None,
    replayable: bool = True,
    random: float = 0.5,
    retry_after: str | None = None,
    remaining: float | None = None,
) -> tuple[Retry, float] | None:
    attempt = Attempt(
        method,
        "http://a.test/",
        error=outcome if isinstance(outcome, BaseException) else None,
        status=outcome if isinstance(outcome, int) else None,
    )
    return retry.next(
        attempt,
        idempotent=idempotent,
        replayable=replayable,
        now=NOW,
        random=lambda: random,
        retry_after=retry_after,
        remaining=remaining,
    )


# -- what the caller says -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "argument", "declared"),
    [
        ([], None, None),
        ([(b"Accept", b"*/*")], None, None),
        ([(b"idempotency-KEY", b"1")], None, True),
        ({"Idempotency-Key": "1"}, None, True),
        (CaseInsensitiveDict({"IDEMPOTENCY-KEY": "1"}), None, True),
        ([], True, True),
        ([], False, False),
        ([(b"Idempotency-Key", b"1")], False, False),
    ],
)
def test_the_argument_goes_before_the_idempotency_key(
    headers: Any, argument: bool | None, declared: bool | None
) -> None:
    assert declared is declared_idempotent(headers, argument)


# -- the resend that nobody has to ask for ------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])
def test_an_idempotent_request_on_a_dead_idle_connection_is_sent_again(method: str) -> None:
    assert resend(stale(), method)


@pytest.mark.parametrize("method", ["POST", "PATCH", "CONNECT", "PROPFIND", "get"])
def test_another_request_is_not_once_a_byte_has_left(method: str) -> None:
    assert not resend(stale(bytes_sent=1), method)
    assert resend(stale(bytes_sent=0), method)


def test_what_the_caller_declares_goes_before_the_method() -> None:
    assert resend(stale(), "POST", idempotent=True)
    assert not resend(stale(), "GET", idempotent=False)
    assert resend(stale(bytes_sent=0), "GET", idempotent=False)


@pytest.mark.parametrize(
    "error",
    [
        stale(reused=False),
        stale(response_started=True),
        ConnectError("refused", reused=True),
        ConnectTimeout("late", reused=True),
        ProtocolError("garbage", reused=True),
        SessionClosed("closed", reused=True),
        ForkError("forked", reused=True),
        ReadTimeout("silent", reused=True),
        WriteTimeout("full", reused=True),
        TotalTimeout("late", reused=True),
        PoolTimeout("full"),
        IncompleteBody("cut", reused=True),
        InvalidURL("bad"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_nothing_but_a_dead_idle_connection_is_a_reason(error: BaseException) -> None:
    assert not resend(error)


def test_a_body_that_is_gone_is_never_sent_again() -> None:
    assert not resend(stale(bytes_sent=0), "POST", idempotent=True, replayable=False)


def test_the_error_of_a_dead_idle_connection_names_the_switches() -> None:
    error = stale(bytes_sent=7, request="the request")

    told = why_not_resent(error)

    assert isinstance(told, StaleConnectionError)
    assert "idempotent=True" in str(told)
    assert "Idempotency-Key" in str(told)
    assert "the request" == str(told.request)
    assert (True, 7, False) == (told.reused, told.bytes_sent, told.response_started)


@pytest.mark.parametrize(
    "error", [stale(reused=False), stale(response_started=True), ReadTimeout("x"), OSError()]
)
def test_every_other_error_stays_itself(error: BaseException) -> None:
    assert error is why_not_resent(error)


# -- retries: what for --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "error", [ConnectError("x"), ConnectTimeout("x"), NameResolutionError("x"), ProxyError("x")]
)
def test_when_no_connection_came_about_any_method_is_tried_again(error: ConnectError, method: str) -> None:
    """Nothing was sent, and a one-shot body was not begun."""
    assert after(Retry(1), error, method=method, replayable=False) is not None


BROKEN = [
    RemoteDisconnected("x", bytes_sent=1),
    ConnectionError("x", bytes_sent=1),
    ReadTimeout("x", bytes_sent=1),
    WriteTimeout("x", bytes_sent=1),
    ChunkedEncodingError("x"),
    IncompleteBody("x"),
]


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
def test_a_broken_exchange_is_repeated_only_where_that_is_safe(error: BaseException) -> None:
    assert after(Retry(1), error) is not None
    assert after(Retry(1), error, method="POST") is None
    assert after(Retry(1), error, method="POST", idempotent=True) is not None
    assert after(Retry(1, allowed_methods=None), error, method="POST") is not None
    assert after(Retry(1, allowed_methods={"post"}), error, method="POST") is not None
    assert after(Retry(1, allowed_methods={"POST"}), error, method="GET") is None
    assert after(Retry(1, allowed_methods=None), error, idempotent=False) is None
    assert after(Retry(1), error, idempotent=True, replayable=False) is None


def test_a_request_that_never_left_may_be_sent_whatever_it_is() -> None:
    assert after(Retry(1), WriteTimeout("x"), method="POST") is not None
    assert after(Retry(1), RemoteDisconnected("x"), method="POST") is not None
    assert (
        after(Retry(1), ReadTimeout("x"), method="POST") is None
    )  # one waits for an answer only after sending


@pytest.mark.parametrize(
    "error",
    [
        AddressNotAllowed("x"),
        SSLError("x"),
        ProtocolError("x"),
        SessionClosed("x"),
        ForkError("x"),
        PoolTimeout("x"),
        TotalTimeout("x"),
        ContentDecodingError("x"),
        InvalidURL("x"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_another_attempt_cannot_mend_is_not_tried_again(error: BaseException) -> None:
    assert after(Retry(9), error) is None


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_not_now_is_tried_again_only_where_that_is_safe(status: int) -> None:
    assert after(Retry(1), status) is not None
    assert after(Retry(1), status, method="POST") is None
    assert after(Retry(1), status, method="POST", idempotent=True) is not None
    assert after(Retry(1), status, replayable=False) is None


@pytest.mark.parametrize("status", [200, 301, 400, 404, 408, 413, 500, 501])
def test_other_statuses_stand(status: int) -> None:
    assert after(Retry(1), status) is None
    assert after(Retry(1, status_forcelist=[status]), status) is not None


# -- retries: how often -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("retry", "outcomes"),
    [
        (Retry(0), []),
        (Retry(2), [503, ConnectError("x")]),
        (Retry(9, status=2), [503, 503]),
        (Retry(9, status=0, read=0), []),
        (Retry(None, status=2, connect=0), [503, 503]),
        (Retry(1, status=5), [503]),
    ],
)
def test_each_counter_and_their_total_run_out(retry: Retry, outcomes: list[Any]) -> None:
    for outcome in outcomes:
        again = after(retry, outcome)
        assert again is not None
        retry = again[0]

    assert after(retry, 503) is None


def test_one_counter_does_not_charge_another() -> None:
    again = after(Retry(9, connect=1, read=1, status=1), ConnectError("x"))

    assert again is not None
    assert (8, 0, 1, 1) == (again[0].total, again[0].connect, again[0].read, again[0].status)


def test_history_tells_what_happened() -> None:
    error = ConnectError("x")
    retry = Retry(5, jitter=None)
    for outcome in (error, 503):
        again = after(retry, outcome)
        assert again is not None
        retry, _ = again

    assert [(error, None, 0.5), (None, 503, 1.0)] == [(a.error, a.status, a.delay) for a in retry.history]
    assert "<Attempt GET http://a.test/: ConnectError, next after 0.5 s>" == repr(retry.history[0])


def test_when_used_up_a_status_is_the_answer_or_an_error() -> None:
    assert after(Retry(0), 503) is None

    with pytest.raises(RetryError, match=r"GET http://a\.test/: status 503 after 1 attempts") as caught:
        after(Retry(0, raise_on_status=True), 503)
    assert [503] == [attempt.status for attempt in caught.value.attempts]


def test_raise_on_status_is_silent_where_nothing_was_used_up() -> None:
    retry = Retry(0, raise_on_status=True)

    assert after(retry, 200) is None
    assert after(retry, 503, method="POST") is None
    assert after(retry, ConnectError("x")) is None


# -- retries: how long --------------------------------------------------------------------------------------


def delays(retry: Retry, count: int, **how: Any) -> list[float]:
    waited = []
    for _ in range(count):
        again = after(retry, 503, **how)
        assert again is not None
        retry, delay = again
        waited.append(delay)
    return waited


def test_backoff_doubles_up_to_its_maximum() -> None:
    assert [0.5, 1, 2, 4, 8, 16, 30, 30] == delays(Retry(99, jitter=None), 8)
    assert [0, 0, 0] == delays(Retry(99, backoff_factor=0), 3)


def test_full_jitter_spreads_the_wait_over_all_of_it() -> None:
    assert [0, 0, 0] == delays(Retry(9), 3, random=0.0)
    assert [0.25, 0.5, 1] == delays(Retry(9), 3, random=0.5)


def test_a_thousand_attempts_do_not_overflow() -> None:
    retry = Retry(None, jitter=None, history=(Attempt("GET", "http://a.test/"),) * 5000)

    assert [30] == delays(retry, 1)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("007", 7),
        (" 7 ", 7),
        ("120", 120),
        ("121", 120),
        ("99999999", 120),
        ("9" * 400, 120),
        ("Sun, 06 Nov 1994 08:49:47 GMT", 10),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 120),
        ("0", 0.5),  # no reason to come back at once: the backoff holds
        ("Sun, 06 Nov 1994 08:49:27 GMT", 0.5),  # in the past
        ("-1", 0.5),
        ("nan", 0.5),
        ("inf", 0.5),
        ("1e3", 0.5),
        ("1.5", 0.5),
        ("²", 0.5),
        ("soon", 0.5),
        ("", 0.5),
    ],
)
def test_retry_after_is_obeyed_within_bounds(value: str, seconds: float) -> None:
    assert [seconds] == delays(Retry(1, jitter=None), 1, retry_after=value)


def test_retry_after_can_be_ignored_and_its_bound_set() -> None:
    assert [0.5] == delays(Retry(1, jitter=None, respect_retry_after_header=False), 1, retry_after="7")
    assert [3600] == delays(Retry(1, retry_after_max=3600), 1, retry_after="99999999")


def test_a_wait_past_the_deadline_is_not_begun() -> None:
    """The caller gets the answer that is there, now, rather than a timeout later."""
    assert after(Retry(1), 503, retry_after="30", remaining=10) is None
    assert after(Retry(1), 503, retry_after="10", remaining=10) is None
    assert after(Retry(1), 503, retry_after="9", remaining=10) is not None
    assert after(Retry(1), ConnectError("x"), remaining=0) is None


@given(st.text(max_size=40), st.floats(min_value=0, max_value=1, exclude_max=True))
def test_no_field_makes_the_wait_negative_or_longer_than_its_bound(value: str, random: float) -> None:
    again = after(Retry(1), 503, retry_after=value, random=random)

    assert again is not None
    assert 0 <= again[1] <= 120


def test_a_count_of_many_digits_is_not_turned_into_a_number() -> None:
    """int() refuses more than 4300 digits and takes quadratic time for fewer."""
    assert inf == parse_retry_after("9" * 100_000, NOW)
    assert 10.0**15 - 1 == parse_retry_after("9" * 15, NOW)


# -- the object ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, None, False])
def test_no_retries_has_three_spellings(value: Any) -> None:
    assert Retry(0) == Retry.of(value)


def test_a_number_or_a_retry_is_what_it_says() -> None:
    retry = Retry(5, read=1)

    assert Retry(3) == Retry.of(3)
    assert retry is Retry.of(retry)


@pytest.mark.parametrize("value", [True, "3", 3.0, object()])
def test_anything_else_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match="expected a number of attempts or a Retry"):
        Retry.of(value)


def test_urllib3s_object_is_understood_by_its_attributes() -> None:
    class Theirs:
        total, connect, read, status, other, redirect = 10, None, False, 2, None, None
        allowed_methods: Any = frozenset({"GET"})
        status_forcelist: Any = (500,)
        backoff_factor, backoff_max, backoff_jitter = 0.1, 120, 0.0
        respect_retry_after_header, raise_on_status = False, True

    expected = Retry(
        10,
        read=0,
        status=2,
        allowed_methods={"GET"},
        status_forcelist={500},
        backoff_factor=0.1,
        backoff_max=120,
        respect_retry_after_header=False,
        raise_on_status=True,
    )
    assert expected == Retry.of(Theirs())

    Theirs.allowed_methods = False
    assert Retry.of(Theirs()).allowed_methods is None


@pytest.mark.parametrize(
    "settings",
    [
        {"total": -1},
        {"total": True},
        {"total": 1.5},
        {"connect": -1},
        {"read": "1"},
        {"backoff_factor": -0.1},
        {"backoff_factor": "1"},
        {"backoff_factor": None},
        {"backoff_factor": Decimal("0.1")},
        {"backoff_max": inf},
        {"retry_after_max": float("nan")},
        {"jitter": "half"},
        {"jitter": ["full"]},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"Retry {next(iter(settings))}="):
        Retry(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"allowed_methods": "POST"},
        {"allowed_methods": [b"POST"]},
        {"allowed_methods": False},
        {"status_forcelist": 503},
        {"status_forcelist": "503"},
        {"status_forcelist": b"503"},
        {"status_forcelist": ["503"]},
        {"status_forcelist": [[503]]},
        {"status_forcelist": None},
    ],
)
def test_what_is_no_collection_of_methods_or_statuses_is_refused(settings: dict[str, Any]) -> None:
    """A str would be a set of its letters, and a status as str would match no answer, ever."""
    with pytest.raises(TypeError, match=f"Retry {next(iter(settings))}=.*: expected a collection of "):
        Retry(**settings)


def test_a_retry_never_changes() -> None:
    """One object serves all threads of a session."""
    retry = Retry(3)
    after(retry, 503)

    with pytest.raises(AttributeError):
        retry.total = 4
    assert (3, ()) == (retry.total, retry.history)
    assert Retry(4) == retry.new(total=4)


def test_it_survives_pickle_and_copy() -> None:
    again = after(Retry(3, status_forcelist={500}), 500)
    assert again is not None

    for twin in (pickle.loads(pickle.dumps(again[0])), copy.deepcopy(again[0])):
        assert again[0].new(history=()) == twin.new(history=())
        assert 500 == twin.history[0].status
        assert hash(again[0].new(history=())) == hash(twin.new(history=()))
    assert "Retry(total=2, connect=None, read=None, status=None)" == repr(again[0])
