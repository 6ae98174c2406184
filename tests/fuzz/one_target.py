"""Fuzzes one target: ``python -m tests.fuzz.one_target session -- -max_total_time=120``.

Arguments behind ``--`` are libFuzzer's. New inputs go to a directory that is given first, or are kept in memory;
the committed corpus is only read.
"""

from __future__ import annotations

import importlib
import sys

import atheris

from tests.fuzz.targets import CORPUS, TARGETS


def main() -> None:
    """Run libFuzzer until it finds something or its time is up."""
    name, *options = [argument for argument in sys.argv[1:] if argument != "--"]
    target = TARGETS[name]
    with atheris.instrument_imports(include=list(target.instrumented)):
        room = importlib.import_module(f"tests.fuzz.{target.room}")
    atheris.Setup([sys.argv[0], *options, str(CORPUS / name)], getattr(room, target.check))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
