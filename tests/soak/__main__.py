"""Runs everything at once against loopback: ``python -m tests.soak --minutes 15 --plot docs/soak.svg``.

Threads, faulty networks, cancellations, forks, slow and hostile servers, plain and TLS, uploads and downloads, with the
invariants of `tests.soak.rounds` held all the time. Ends with 1 at the first violation, and says how to have it again; with
2 and the stacks of all threads where somebody is stuck.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
from pathlib import Path

from tests.soak.gauges import growth_per_minute, use_one_heap
from tests.soak.rounds import MOST_BLOCKS, MOST_MEMORY, Soak, replay

MEBIBYTE = 1 << 20


def main() -> int:
    """Run, print the figures, draw them; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long (default: 2)")
    parser.add_argument("--seed", default=f"{random.randrange(1 << 32):08x}", help="of an earlier run")
    parser.add_argument("--round", type=int, default=0, help="of an earlier run, to begin with")
    parser.add_argument("--callers", type=int, default=16, help="threads that send requests (default: 16)")
    parser.add_argument("--figures", type=Path, help="file for the figures, as JSON")
    parser.add_argument("--plot", type=Path, help="file for the plot, as SVG; needs matplotlib")
    arguments = parser.parse_args()
    use_one_heap()
    soak = Soak(
        60 * arguments.minutes, arguments.seed, callers=arguments.callers, first_round=arguments.round
    )
    sys.stdout.write(f"{arguments.minutes:g} minutes, seed {arguments.seed}\n")
    sys.stdout.flush()
    wrong = soak.run()
    sys.stdout.write(figures_of(soak))
    if arguments.figures:
        arguments.figures.write_text(json.dumps(soak.gauges.columns()))
    if arguments.plot:
        from tests.soak.plot import draw

        draw(soak.gauges.columns(), arguments.plot)
    for what in wrong:
        sys.stdout.write(f"VIOLATED: {what}\n")
    if wrong:
        sys.stdout.write(f"all of it again: make soak MINUTES={arguments.minutes:g} SEED={arguments.seed}\n")
        sys.stdout.write(f"{replay(arguments.seed, arguments.round + soak.rounds - 1)}\n")
    return 1 if wrong else 0


def figures_of(soak: Soak) -> str:
    """Return the figures of a run as text."""
    ledger, rest, load = soak.ledger, soak.gauges.rest, soak.gauges.load
    seconds = rest["seconds"][-1]
    requests = sum(ledger.requests.values())
    memory = growth_per_minute(rest["seconds"], rest["memory"])
    blocks = growth_per_minute(rest["seconds"], rest["blocks"])
    rows = {
        "Python": f"{platform.python_version()}, {platform.system()}",
        "rounds": f"{soak.rounds} in {seconds:.0f} s",
        "requests": f"{requests}, {requests / seconds:.0f}/s; {listed(ledger.requests)}",
        "arrived at honest origins": f"{soak.arrived}",
        "faults met, by connection": listed(soak.struck),
        "errors, all typed": f"{sum(ledger.errors.values())}; {listed(ledger.errors)}",
        "under load, at most": f"{max(load['sockets'], default=0):.0f} sockets, "
        f"{max(load['threads'], default=0):.0f} threads, {max(load['memory'], default=0) / MEBIBYTE:.1f} MiB",
        "at rest, last": f"{rest['sockets'][-1]:.0f} sockets, {rest['threads'][-1]:.0f} threads, "
        f"{rest['memory'][-1] / MEBIBYTE:.1f} MiB, {rest['blocks'][-1]:.0f} blocks",
        "growth at rest, second half": f"{memory / 1024:+.0f} KiB a minute (at most {MOST_MEMORY // 1024}), "
        f"{blocks:+.0f} blocks a minute (at most {MOST_BLOCKS})",
        "violations": f"{len(ledger.wrong)}",
    }
    return "".join(f"{name}: {value}\n" for name, value in rows.items())


def listed(counts: dict[str, int]) -> str:
    """Return *counts* as text, the largest first."""
    return ", ".join(
        f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )


if __name__ == "__main__":
    sys.exit(main())
