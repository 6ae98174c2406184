"""How we measure: CPU seconds of this process, in interleaved rounds, medians, ratios by round.

CPU time (user and system, all threads) is what a client costs its machine; wall time on loopback is mostly the
server's and the scheduler's. Contenders take turns (A B C, A B C, ...), so that a slow minute of the machine is everybody's.
A ratio is the median of the rounds' ratios, for the same reason.
"""

from __future__ import annotations

import gc
import random
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["OURS", "QUICK", "THOROUGH", "Pace", "Row", "Table", "compare", "compare_once", "ratio"]

OURS = "threadwire"  # ratios are other / ours: above 1, the other needs more


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to measure: *rounds* slices a contender, each of about *slice_seconds* of wall time."""

    rounds: int
    slice_seconds: float


QUICK = Pace(rounds=5, slice_seconds=0.1)
THOROUGH = Pace(rounds=11, slice_seconds=0.3)


@dataclass(frozen=True, slots=True)
class Row:
    """One contender: CPU seconds a call of each round, and wall seconds a call."""

    name: str
    cpu: list[float]
    wall: list[float]


@dataclass(slots=True)
class Table:
    """One question and its answers; ``unit`` is what one second is multiplied by to be shown, and its name."""

    title: str
    rows: list[Row] = field(default_factory=list)
    unit: tuple[float, str] = (1e6, "us")
    note: str = ""

    def __str__(self) -> str:
        factor, unit = self.unit
        ours = next((row for row in self.rows if row.name == OURS), None)
        lines = [
            self.title,
            f"  {'':<14}{'CPU ' + unit:>12}{'lowest':>12}{'wall ' + unit:>12}{'/ ours' if ours else '':>9}",
        ]
        for row in self.rows:
            ratio = "" if ours is None else f"{ratio_by_round(row, ours):9.2f}"
            lines.append(
                f"  {row.name:<14}{statistics.median(row.cpu) * factor:12.1f}{min(row.cpu) * factor:12.1f}"
                f"{statistics.median(row.wall) * factor:12.1f}{ratio}"
            )
        if self.note:
            lines.append(f"  {self.note}")
        return "\n".join(lines)


def ratio_by_round(row: Row, ours: Row) -> float:
    """Return the median over the rounds of row / ours."""
    return statistics.median(theirs / own for theirs, own in zip(row.cpu, ours.cpu, strict=True))


def compare(title: str, contenders: Mapping[str, Callable[[], object]], pace: Pace, calls: int = 1) -> Table:
    """Measure all *contenders* in interleaved rounds.

    Args:
        title: The question.
        contenders: Name -> what is timed; *calls* calls of the thing that the table is about.
        pace: How long.
        calls: How many calls one run of a contender stands for.
    """
    loops = {name: loops_for(run, pace.slice_seconds) for name, run in contenders.items()}
    rows = {name: Row(name, [], []) for name in contenders}
    for _ in range(pace.rounds):
        for name, run in contenders.items():
            cpu, wall = timed(run, loops[name])
            rows[name].cpu.append(cpu / calls)
            rows[name].wall.append(wall / calls)
    return Table(title, list(rows.values()))


def compare_once(
    title: str,
    contenders: Mapping[str, Callable[[], object]],
    rounds: int,
    calls: int = 1,
    before: Callable[[], object] = lambda: None,
    *,
    warm_ups: int = 1,
) -> Table:
    """Measure all *contenders* in rounds, each by a single run that is long enough for it, in an order shuffled anew.

    The CPU time is that of this process and of the programs that it ran, their start included.

    Args:
        title: The question.
        contenders: Name -> what is timed.
        rounds: How often.
        calls: What a run's time is divided by, such as its size in MiB.
        before: Called before each run, not timed.
        warm_ups: Further rounds, before those that count.
    """
    rows = {name: Row(name, [], []) for name in contenders}
    for number in range(-warm_ups, rounds):
        for name, run in random.Random(number).sample(list(contenders.items()), len(contenders)):
            before()
            gc.collect()
            wall, cpu = time.perf_counter(), cpu_of_all()
            run()
            if number >= 0:
                rows[name].cpu.append((cpu_of_all() - cpu) / calls)
                rows[name].wall.append((time.perf_counter() - wall) / calls)
    return Table(title, list(rows.values()))


def cpu_of_all() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def ratio(table: Table, one: str, other: str, of: str = "cpu") -> float:
    """Return the median over the rounds of *one* / *other*: their ``"cpu"`` or ``"wall"`` time."""
    rows: dict[str, list[float]] = {row.name: getattr(row, of) for row in table.rows}
    return statistics.median(mine / theirs for mine, theirs in zip(rows[one], rows[other], strict=True))


def loops_for(run: Callable[[], object], slice_seconds: float) -> int:
    """Find how many runs take about *slice_seconds* of wall time; warms up on the way."""
    loops = 1
    while True:
        _, wall = timed(run, loops)
        if wall * loops >= slice_seconds / 4:
            return max(1, round(slice_seconds / wall))
        loops *= 2


def timed(run: Callable[[], object], loops: int) -> tuple[float, float]:
    """Return (CPU, wall) seconds of one run, averaged over *loops*; starts with the garbage of others collected."""
    gc.collect()
    repeated = range(loops)
    wall = time.perf_counter()
    cpu = time.process_time()
    for _ in repeated:
        run()
    return (time.process_time() - cpu) / loops, (time.perf_counter() - wall) / loops
