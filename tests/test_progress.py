"""What a terminal shows: a bar for each thing under way and their sum, or one line of it."""

from __future__ import annotations

import errno
import io
import os
import sys

import pytest

from client.progress import Row, shown


class Terminal(io.StringIO):
    """Keeps what is written to it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name, value in {"TERM": "xterm", "COLUMNS": "100", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)
    return Terminal()


def test_files_of_one_name_have_a_bar_each(terminal: Terminal) -> None:
    """Those of two folders, or those whose server has not named them yet."""
    pytest.importorskip("rich", reason="draws the bars")
    with shown(True, terminal) as show:
        assert show is not None
        for second in (200, 300):
            show(Row("0 done", 100 + second, 1000), [Row("data", 100, 500), Row("data", second, 500)])
        show(Row("1 done", 800, 1000), [Row("data", 300, 500)])
        last = terminal.tell()
    drawn = terminal.getvalue()[last:]

    assert 1 <= drawn.count("data") == drawn.count("1 done")  # once in each frame
    assert "300 B of 500 B" in drawn
    assert "100 B of 500 B" in terminal.getvalue()[:last]


def test_without_rich_there_is_one_line(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with shown(True, terminal) as show:
        assert show is not None
        show(Row("requests", 3, None, "requests"), ())
        show(Row("\x1b[2J", 5, 9), [Row("of no interest", 1, 2)])

    assert "\rrequests: 3 requests   \r?[2J: 5 B of 9 B   \r\x1b[K" == terminal.getvalue()


@pytest.mark.parametrize("has_rich", [True, False])
def test_a_terminal_that_goes_away_stops_no_work(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, has_rich: bool
) -> None:
    """As one does whose ssh breaks, for a program that goes on without it."""
    if has_rich:
        pytest.importorskip("rich", reason="draws the bars")
    else:
        monkeypatch.setitem(sys.modules, "rich.progress", None)

    def gone(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with shown(True, terminal) as show:
        assert show is not None
        show(Row("0 done", 1, 9), [Row("data", 1, 9)])
        monkeypatch.setattr(terminal, "write", gone)
        monkeypatch.setattr(terminal, "flush", gone)
        show(Row("1 done", 9, 9), ())

    assert "1 done" not in terminal.getvalue()


def test_what_is_no_terminal_stays_clean() -> None:
    with shown(True, stream := io.StringIO()) as show:
        assert show is None

    assert "" == stream.getvalue()
