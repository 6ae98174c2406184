"""Runs every fuzz target for a while: ``python -m tests.fuzz --seconds 120``. Stops at the first finding."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile

TARGETS = ("fuzz_client_role", "fuzz_server_role")


def main() -> int:
    """Run the targets one after the other; return the exit status of the first that fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="for each target (default: 120)")
    arguments = parser.parse_args()
    for target in TARGETS:
        sys.stdout.write(f"{target}: {arguments.seconds} s\n")
        sys.stdout.flush()
        with tempfile.TemporaryDirectory() as found:
            options = [f"-max_total_time={arguments.seconds}", "-print_final_stats=1", "-timeout=10"]
            command = [sys.executable, "-m", f"tests.fuzz.{target}", "--", found, *options]
            status = subprocess.run(command, check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
