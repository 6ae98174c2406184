"""A long head costs no more a byte than a short one: the bound that the benchmark `linearity` shows in figures.

The CPU time of 4 KiB and of 63 KiB, best of several; a parser that looks again at what it has seen needs 16 times
as much a byte for the long one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.benchmarks.bench_linearity import HEADS, SHAPES, SHORT, receive

pytestmark = pytest.mark.timing

LONG = SHORT * HEADS
MEDIUM = SHORT * 4
TIMES_AS_MUCH = 4


@pytest.mark.parametrize("step", [1, LONG], ids=["byte by byte", "whole"])
@pytest.mark.parametrize("build", SHAPES.values(), ids=SHAPES)
def test_time_is_linear_in_the_head(build: Callable[[int], bytes], step: int) -> None:
    medium = min(seconds_a_byte(build(MEDIUM), step) for _ in range(9))
    long = min(seconds_a_byte(build(LONG), step) for _ in range(3))

    assert long < TIMES_AS_MUCH * medium, f"{long * 1e9:.0f} ns a byte of 63 KiB, {medium * 1e9:.0f} of 4 KiB"


def seconds_a_byte(head: bytes, step: int) -> float:
    began = time.process_time()
    receive(head, step)
    return (time.process_time() - began) / len(head)
