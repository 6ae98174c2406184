"""A few seconds of the soak, so that it cannot rot; and that its alarms ring."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from client import exchange, transaction
from client.transport.connection import HTTPConnection
from client.transport.pool import ConnectionPool
from tests.soak.gauges import growth_per_minute
from tests.soak.rounds import Soak

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    # SSLContext.wrap_socket leaves its socket to the garbage collector where a reset comes while it looks for one.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"),
]


def test_a_short_soak_finds_nothing(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [
        sys.executable,
        "-m",
        "tests.soak",
        "--minutes",
        "0.15",
        "--seed",
        "short",
        "--figures",
        str(figures),
    ]

    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=250)

    assert (0, "") == (ended.returncode, ended.stderr), ended.stdout
    assert "violations: 0\n" in ended.stdout
    assert figures.exists()


def keep_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []

    def discard(self: ConnectionPool, connection: HTTPConnection, *_: object) -> None:
        kept.append(connection)

    monkeypatch.setattr(ConnectionPool, "discard", discard)


def mix_answers_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = []

    def transact(*call: Any) -> Any:
        answers.append(right(*call))
        return answers.pop(0) if len(answers) > 1 else answers[0]

    right = transaction.transact
    monkeypatch.setattr(exchange, "transact", transact)


def always_resend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "may_resend", lambda *_, **__: True)


def lose_the_type(monkeypatch: pytest.MonkeyPatch) -> None:
    def failure(self: Any, error: OSError, deadline: Any) -> BaseException:
        return error

    monkeypatch.setattr(HTTPConnection, "_read_failure", failure)


@pytest.mark.parametrize(
    ("breaks", "alarm"),
    [
        (keep_sockets, "at rest there are still"),
        (mix_answers_up, "wants"),
        (always_resend, "arrived more than once"),
        (lose_the_type, "a failure that is none of ours"),
    ],
)
def test_a_broken_invariant_is_found(monkeypatch: pytest.MonkeyPatch, breaks: Any, alarm: str) -> None:
    breaks(monkeypatch)

    wrong = Soak(30, "broken", callers=8).run()

    for left in gc.get_objects():  # by a client that was broken on purpose: no later test shall meet it
        if issubclass(type(left), HTTPConnection):  # of TLS too
            left.sock.close()

    assert [] != [what for what in wrong if alarm in what], wrong


def test_growth_is_that_of_the_second_half() -> None:
    seconds = list(range(0, 600, 10))
    flat = [100.0 + 1000 * (second < 200) for second in seconds]

    assert 0 == growth_per_minute(seconds, flat)
    assert 60 == pytest.approx(growth_per_minute(seconds, [float(second) for second in seconds]))
    assert 0 == growth_per_minute([1, 2, 3], [1, 2, 3])
