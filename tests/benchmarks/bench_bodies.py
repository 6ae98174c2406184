"""What does a body cost: a large one as ``.content``, a compressed JSON document as ``.json()``?

Unit: CPU time of the client process a call, milliseconds for the large body, microseconds for the document.
Baseline: a bare socket that reads the same bytes into one buffer again and again (large body only); for the document
http.client with `gzip` and `json`.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.measure import Pace, Table, compare
from tests.benchmarks.peers import opened
from tests.benchmarks.target import LARGE, Target

__all__ = ["run"]


def run(target: Target, pace: Pace) -> Iterator[Table]:
    """Measure both."""
    with opened("get", f"{target.url}/bytes/{LARGE}") as contenders:
        large = compare(f"GET of {LARGE >> 20} MiB as .content", contenders, pace)
        large.unit = (1e3, "ms")
        yield large
    with opened("get_json", f"{target.url}/json") as contenders:
        yield compare("GET of 30 KB of JSON, gzip-coded, decoded and parsed", contenders, pace)
