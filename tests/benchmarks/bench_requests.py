"""What does one small call cost?

Unit: microseconds of CPU time of the client process a call, on a warm keep-alive connection to a loopback server.
Baseline: the same bytes on a bare socket; the peers beside it say what is usual.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.measure import Pace, Table, compare
from tests.benchmarks.peers import opened
from tests.benchmarks.target import Target

__all__ = ["run"]

DOCUMENT = {
    "id": 4711,
    "name": "Ada Lovelace",
    "tags": ["a", "b"],
    "active": True,
    "score": 0.5,
    "note": None,
}


def run(target: Target, pace: Pace) -> Iterator[Table]:
    """Measure GET, POST, and GET over TLS."""
    with opened("get", f"{target.url}/hello") as contenders:
        yield compare("GET of 2 bytes", contenders, pace)
    with opened("post_json", f"{target.url}/echo", DOCUMENT) as contenders:
        yield compare("POST of a small JSON document", contenders, pace)
    if target.tls_url is not None:
        with opened("get", f"{target.tls_url}/hello", bundle=target.bundle) as contenders:
            yield compare("GET of 2 bytes over TLS", contenders, pace)
