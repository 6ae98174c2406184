"""Limits of a call: the forms that ``timeout=`` takes, and what a `Deadline` answers."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from client.exceptions import (
    ConnectTimeout,
    InvalidTimeout,
    PoolTimeout,
    ReadTimeout,
    Timeout,
    TotalTimeout,
    WriteTimeout,
)
from client.timeouts import DEFAULT_TIMEOUTS, NOT_GIVEN, Deadline, Timeouts


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("value", "connect", "read", "write", "pool", "total"),
    [
        (5, 5, 5, 5, NOT_GIVEN, NOT_GIVEN),
        ((3, 30), 3, 30, 30, NOT_GIVEN, NOT_GIVEN),
        ((None, 30), None, 30, 30, NOT_GIVEN, NOT_GIVEN),
        (None, None, None, None, None, NOT_GIVEN),
        (NOT_GIVEN, NOT_GIVEN, NOT_GIVEN, NOT_GIVEN, NOT_GIVEN, NOT_GIVEN),
        (Timeouts(total=9), NOT_GIVEN, NOT_GIVEN, NOT_GIVEN, NOT_GIVEN, 9),
    ],
)
def test_the_forms_of_timeout(value: Any, connect: Any, read: Any, write: Any, pool: Any, total: Any) -> None:
    timeouts = Timeouts.of(value)

    assert (connect, read, write, pool, total) == (
        timeouts.connect,
        timeouts.read,
        timeouts.write,
        timeouts.pool,
        timeouts.total,
    )


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        -0.5,
        float("nan"),
        float("inf"),
        "5",
        b"5",
        True,
        (1,),
        (1, 2, 3),
        (0, 5),
        (5, -1),
        {},
        object(),
    ],
)
def test_what_is_no_timeout_is_refused(value: Any) -> None:
    """`True` counts: it is an int in Python, and one second is hardly what was meant."""
    with pytest.raises(InvalidTimeout) as caught:
        Timeouts.of(value)
    assert isinstance(caught.value, ValueError)


def test_a_call_wins_over_the_session_and_the_session_over_the_default() -> None:
    merged = Timeouts(read=1).or_else(Timeouts(read=2, total=3)).or_else(DEFAULT_TIMEOUTS)

    assert Timeouts(connect=10.0, read=1, write=60.0, pool=60.0, total=3) == merged


def test_no_limit_is_not_the_same_as_not_given() -> None:
    assert Timeouts(read=None).or_else(DEFAULT_TIMEOUTS).read is None
    assert Timeouts().or_else(DEFAULT_TIMEOUTS).read == 60.0


def test_not_given_stays_itself_through_pickle() -> None:
    assert pickle.loads(pickle.dumps(NOT_GIVEN)) is NOT_GIVEN


def test_a_wait_takes_what_its_setting_allows_and_no_more_than_is_left_in_all() -> None:
    clock = Clock()
    deadline = Deadline(Timeouts(connect=1, read=5, write=5, pool=5, total=8), clock)

    assert 5 == deadline.remaining("read", "read")
    clock.now += 5
    assert 3 == deadline.remaining("read", "read")
    clock.now += 3
    with pytest.raises(TotalTimeout) as caught:
        deadline.remaining("read", "read")
    assert ("total", 8) == (caught.value.phase, caught.value.seconds)


def test_no_total_means_that_each_wait_counts_alone() -> None:
    clock = Clock()
    deadline = Deadline(Timeouts(connect=1, read=5, write=5, pool=5, total=None), clock)
    clock.now += 1000

    assert 5 == deadline.remaining("read", "read")
    assert isinstance(deadline.error("read", "read"), ReadTimeout)


def test_a_budget_is_one_limit_over_several_waits() -> None:
    clock = Clock()
    budget = Deadline(Timeouts(connect=4, read=5, write=5, pool=5, total=None), clock).budget("connect")

    assert 4 == budget.remaining("dns")
    clock.now += 3
    assert 1 == budget.remaining("connect")
    clock.now += 1
    with pytest.raises(ConnectTimeout) as caught:
        budget.remaining("tls")
    assert ("tls", 4) == (caught.value.phase, caught.value.seconds)


def test_the_total_takes_the_place_of_a_budget_that_reaches_further() -> None:
    clock = Clock()
    budget = Deadline(Timeouts(connect=10, read=5, write=5, pool=5, total=2), clock).budget("connect")
    clock.now += 2

    with pytest.raises(TotalTimeout):
        budget.remaining("connect")


@pytest.mark.parametrize(
    ("setting", "kind"),
    [("connect", ConnectTimeout), ("read", ReadTimeout), ("write", WriteTimeout), ("pool", PoolTimeout)],
)
def test_every_error_is_a_timeout_in_all_its_names(setting: Any, kind: type[Timeout]) -> None:
    error = Deadline(DEFAULT_TIMEOUTS).error(setting, "read")

    assert type(error) is kind
    assert isinstance(error, TimeoutError)
    assert isinstance(error, OSError)
    assert f"{setting} timeout of {error.seconds:g} s" in str(error)
