"""The benchmarks measure what they say, and run where nginx and the peers are missing."""

from __future__ import annotations

import http.client
import itertools
import urllib.parse

from tests.benchmarks.measure import OURS, Pace, Row, Table, compare
from tests.benchmarks.peers import BareSocket, HttpClient, Threadwire
from tests.benchmarks.target import child_server

PACE = Pace(rounds=2, slice_seconds=0.001)


def test_contenders_take_turns() -> None:
    turns: list[str] = []

    compare("?", {"a": lambda: turns.append("a"), "b": lambda: turns.append("b")}, PACE)

    # The first pair finds out how many loops fill a slice.
    assert "ab" * (1 + PACE.rounds) == "".join(name for name, _ in itertools.groupby(turns))


def test_a_ratio_is_taken_round_by_round() -> None:
    """The second round was ten times slower for everybody; the medians alone would say 3.2."""
    ours = Row(OURS, cpu=[1e-6, 10e-6, 1e-6], wall=[1.0] * 3)
    other = Row("other", cpu=[2e-6, 20e-6, 3.2e-6], wall=[1.0] * 3)

    lines = str(Table("?", [ours, other])).splitlines()

    assert ["other", "3.2", "2.0", "1000000.0", "2.00"] == lines[-1].split()


def test_without_nginx_a_child_process_answers() -> None:
    with child_server() as url:
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=5)
        connection.request("POST", "/echo", b"{}")
        assert b"ok" == connection.getresponse().read()
        connection.close()

        for peer in (HttpClient(None), BareSocket(None), Threadwire(None)):
            timed = peer.get(f"{url}/hello")
            assert timed() == timed()
            peer.close()
