"""A limit fires in its phase: never early, at most a second late, by the same error on the calling thread and on workers."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

import client
from tests.held_up import held_up
from tests.leaks import slots_of
from tests.stuck_calls import PHASES, Stuck, stuck_calls
from tests.tls_authority import TLSAuthority

pytestmark = pytest.mark.timing

SECONDS = 0.2

#: Phase -> (error, its ``phase``).
ERRORS = {
    "pool": (client.PoolTimeout, "pool"),
    "dns": (client.ConnectTimeout, "dns"),
    "connect": (client.ConnectTimeout, "connect"),
    "proxy": (client.ConnectTimeout, "proxy"),
    "tls": (client.ConnectTimeout, "tls"),
    "write": (client.WriteTimeout, "write"),
    "continue": (client.TotalTimeout, "total"),
    "read": (client.ReadTimeout, "read"),
    "total": (client.TotalTimeout, "total"),
    "body": (client.ReadTimeout, "read"),
    "read in TLS": (client.ReadTimeout, "read"),
    "write in TLS": (client.WriteTimeout, "write"),
    "redirect": (client.TotalTimeout, "total"),
}


@pytest.fixture(scope="module")
def calls(tls_authority: TLSAuthority) -> Iterator[dict[str, Stuck]]:
    with stuck_calls(SECONDS, tls_authority) as calls:
        yield calls


def test_every_phase_is_tried() -> None:
    assert set(PHASES) == ERRORS.keys() | {"retry"}, (
        "a retry's pause ends with the total timeout before it begins"
    )


@pytest.mark.parametrize("offload", [False, True], ids=["calling thread", "offload"])
@pytest.mark.parametrize("phase", ERRORS)
def test_a_limit_fires_in_its_phase_neither_early_nor_late(
    calls: dict[str, Stuck], phase: str, offload: bool
) -> None:
    stuck = calls[phase]
    with stuck.session(offload=offload) as session, held_up() as seconds_held_up:
        began = time.monotonic()
        with pytest.raises(client.Timeout) as caught:
            session.request(**stuck.request(), timeout=stuck.limit)
        took = time.monotonic() - began
        late = seconds_held_up()

    expected, name = ERRORS[phase]
    assert (expected, name, SECONDS) == (type(caught.value), caught.value.phase, caught.value.seconds)
    assert isinstance(caught.value, TimeoutError)
    assert SECONDS <= took <= SECONDS + 1 + late
    assert 0 == slots_of(session)
