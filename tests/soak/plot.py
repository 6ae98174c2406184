"""Draws the figures of a run: ``python -m tests.soak.plot soak.json docs/soak.svg``.

The same figures make the same file, byte for byte: no date, no random ids, and text that stays text.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.figure import Figure

__all__ = ["draw"]

_POINTS: Final = 90  # of a curve; more than that is one line's width apart
_CLASSES: Final = 6  # of errors that are told apart
_STYLE: Final = {
    "svg.fonttype": "none",
    "svg.hashsalt": "soak",
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "path.simplify": True,
}
_PRECISION: Final = re.compile(r"(\d\.\d\d)\d+")
_MEBIBYTE: Final = 1 << 20


def draw(figures: Mapping[str, Mapping[str, Sequence[float]]], path: Path) -> None:
    """Write a plot of *figures*, as `Gauges.columns` has them, to *path*."""
    load, rest, errors = figures["load"], figures["rest"], figures["errors"]
    minutes = binned([second / 60 for second in load["seconds"]])
    resting = [second / 60 for second in rest["seconds"]]
    spans = [later - before for before, later in zip([0.0, *load["seconds"]], load["seconds"], strict=False)]
    with rc_context(_STYLE):
        figure = Figure(figsize=(8, 9), layout="constrained")
        memory, open_now, rate, failures = figure.subplots(4, 1, sharex=True)
        memory.plot(minutes, binned([value / _MEBIBYTE for value in load["memory"]]), label="under load")
        memory.plot(resting, [value / _MEBIBYTE for value in rest["memory"]], "k.", label="at rest")
        memory.set(ylabel="memory, MiB", ylim=(0, None))
        for name, colour in (("sockets", "C0"), ("threads", "C1")):
            open_now.plot(minutes, binned(load[name]), colour, label=f"{name} under load")
            open_now.plot(resting, rest[name], ".", color=colour, label=f"{name} at rest")
        open_now.set(ylabel="sockets and threads", ylim=(0, None))
        rate.plot(minutes, binned(per_second(load["requests"], spans)), label="requests")
        rate.set(ylabel="requests a second", ylim=(0, None))
        stacked(
            failures, minutes, {name: binned(per_second(column, spans)) for name, column in errors.items()}
        )
        failures.set(ylabel="errors a second", xlabel="minutes", ylim=(0, None))
        for axes in (memory, open_now, failures):
            axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    # A hundredth of a point is less than anybody sees; and lines end without blanks, as in every other file here.
    lines = _PRECISION.sub(r"\1", path.read_text()).splitlines()
    path.write_text("".join(f"{line.strip()}\n" for line in lines))


def stacked(axes: Any, minutes: list[float], columns: dict[str, list[float]]) -> None:
    """Draw the commonest classes of errors above each other, and the others as one."""
    ranked = sorted(columns, key=lambda name: (-sum(columns[name]), name))
    shown = {name: columns[name] for name in ranked[:_CLASSES]}
    rest = [columns[name] for name in ranked[_CLASSES:]]
    if rest:
        shown[f"{len(rest)} others"] = [sum(values) for values in zip(*rest, strict=True)]
    if shown:
        axes.stackplot(minutes, shown.values(), labels=shown.keys(), linewidth=0)


def per_second(counts: Sequence[float], spans: Sequence[float]) -> list[float]:
    """Return *counts*, each divided by the seconds in which it came about; a column that ends early has zeros."""
    padded = [*counts, *[0.0] * (len(spans) - len(counts))]
    return [count / span for count, span in zip(padded, spans, strict=True)]


def binned(values: Sequence[float]) -> list[float]:
    """Return at most so many values as the eye can tell apart, each the mean of some."""
    width = -(-len(values) // _POINTS)
    return [sum(bin_) / len(bin_) for at in range(0, len(values), width) if (bin_ := values[at : at + width])]


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
