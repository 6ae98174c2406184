"""Fuzzes the engine as client: ``python -m tests.fuzz.fuzz_client_role -- -max_total_time=120``.

Arguments behind ``--`` are libFuzzer's. New inputs go to a directory that is given first, or are kept in memory;
the committed corpus is only read.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["client.protocol"]):
    from tests.fuzz.invariants import check_client_role

CORPUS = Path(__file__).parent / "corpus" / "client"


def main() -> None:
    """Run libFuzzer until it finds something or its time is up."""
    options = [argument for argument in sys.argv[1:] if argument != "--"]
    atheris.Setup([sys.argv[0], *options, str(CORPUS)], check_client_role)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
