"""What does one small call cost?

Unit: microseconds of CPU time of the client process a call, on a warm keep-alive connection to a loopback server.
Baseline: the same bytes on a bare socket; the peers beside it say what is usual. Client and server share one processor,
as `on_one_processor` explains.

Libcurl is there twice. "pycurl" hands out the body alone, and our ratio to it is what is bounded. "pycurl + head" also
takes the status and the header lines, as every other peer does.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.measure import OURS, Pace, Table, compare, ratio_by_round
from tests.benchmarks.peers import opened
from tests.benchmarks.target import Target, on_one_processor, opened_target

__all__ = ["run"]

DOCUMENT = {
    "id": 4711,
    "name": "Ada Lovelace",
    "tags": ["a", "b"],
    "active": True,
    "score": 0.5,
    "note": None,
}


#: Most that our ratio to pycurl is to be.
WANTED = {"http": 1.25, "https": 1.3}


def run(_: Target, pace: Pace) -> Iterator[Table]:
    """Measure GET, POST, and GET over TLS, against a server of our own choice of processor."""
    with on_one_processor(), opened_target() as target:
        yield from measured(target, pace)


def measured(target: Target, pace: Pace) -> Iterator[Table]:
    """Measure against *target*."""
    with opened("get", f"{target.url}/hello") as contenders:
        yield with_note(compare("GET of 2 bytes", contenders, pace), "http")
    with opened("post_json", f"{target.url}/echo", DOCUMENT) as contenders:
        yield with_note(compare("POST of a small JSON document", contenders, pace), "http")
    if target.tls_url is not None:
        with opened("get", f"{target.tls_url}/hello", bundle=target.bundle) as contenders:
            yield with_note(compare("GET of 2 bytes over TLS", contenders, pace), "https")


def with_note(table: Table, scheme: str) -> Table:
    """Say below *table* how much of libcurl's time ours is."""
    rows = {row.name: row for row in table.rows}
    if "pycurl" in rows:
        plain, whole = (ratio_by_round(rows[name], rows[OURS]) ** -1 for name in ("pycurl", "pycurl + head"))
        table.note = (
            f"ours is {plain:.2f} of pycurl (wanted: {WANTED[scheme]} at most), {whole:.2f} of pycurl + head, which"
            " hands out status and header lines as all others do"
        )
    return table
