"""Runs the fuzz targets for a while each: ``python -m tests.fuzz --seconds 120 session url``.

Without names it runs all. Stops at the first finding.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile

from tests.fuzz.targets import TARGETS


def main() -> int:
    """Run the targets one after the other; return the exit status of the first that fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", metavar="target", help=f"of {', '.join(TARGETS)} (default: all)"
    )
    parser.add_argument("--seconds", type=int, default=120, help="for each target (default: 120)")
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - TARGETS.keys():
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    for target in arguments.targets or TARGETS:
        sys.stdout.write(f"{target}: {arguments.seconds} s\n")
        sys.stdout.flush()
        with tempfile.TemporaryDirectory() as found:
            options = [f"-max_total_time={arguments.seconds}", "-print_final_stats=1", "-timeout=10"]
            command = [sys.executable, "-m", "tests.fuzz.one_target", target, "--", found, *options]
            status = subprocess.run(command, check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
