"""Runs the benchmarks: ``python -m tests.benchmarks [--quick] [NAME ...]``, NAME being a file bench_NAME.py.

Every such file has ``run(target, pace)``, which yields tables; its question, unit and baseline are in its docstring.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import time
from pathlib import Path

from tests.benchmarks.measure import QUICK, THOROUGH
from tests.benchmarks.target import opened_target
from tests.environment import client_variables

ORDER = ["import", "requests", "bodies", "threads"]  # others follow by name


def main() -> None:
    """Print one table a question, each as soon as it is measured."""
    found = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))
    names = ORDER + [name for name in found if name not in ORDER]
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter rounds: under 4 minutes in all"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names)}; default: all")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(names):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    pace = QUICK if arguments.quick else THOROUGH
    for variable in client_variables():
        del os.environ[variable]  # requests lets REQUESTS_CA_BUNDLE win over session.verify
    began = time.monotonic()
    with opened_target() as target:
        print(f"Python {platform.python_version()}, {os.cpu_count()} cores, server: {target.name}")
        print(
            f"{pace.rounds} interleaved rounds of {pace.slice_seconds} s; '/ ours' above 1: needs more CPU than ours\n"
        )
        for name in arguments.names or names:
            module = importlib.import_module(f"tests.benchmarks.bench_{name}")
            for table in module.run(target, pace):
                print(table, end="\n\n", flush=True)
    print(f"{time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main()
