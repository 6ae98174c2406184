"""What a terminal shows: a bar for each thing under way and their sum, or one line of it."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import client
from client.progress import Row, shown
from client.testing import LoopbackServer


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


class OnlyWrites:
    """What some programs put in the place of standard error."""

    def write(self, text: str) -> int:
        raise AssertionError(text)


@pytest.mark.parametrize("kind", [OnlyWrites, io.StringIO, type(None)])
def test_whatever_stands_for_standard_error(monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    stream = kind()
    if isinstance(stream, io.StringIO):
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    with shown(True) as show:
        assert show is None


@pytest.mark.parametrize("with_executor", [False, True])
@pytest.mark.parametrize("error", [LookupError, StopIteration])
@pytest.mark.parametrize("name", ["map", "as_completed", "download_many"])
def test_what_a_callback_raises_comes_out(
    tmp_path: Path, name: str, error: type[Exception], with_executor: bool
) -> None:
    """But for what a loop around it would take for its own end, and say nothing."""

    def stop(done: int, total: int | None) -> None:
        raise error("the caller's own")

    expected = RuntimeError if error is StopIteration else error
    with (
        LoopbackServer() as server,
        client.Session(trust_env=False) as session,
        ThreadPoolExecutor(1) as pool,
    ):
        url = f"{server.url}/bytes/1"
        jobs: Any = [(url, tmp_path / "out")] if name == "download_many" else [url]
        call = getattr(session, name)
        with pytest.raises(expected) as caught:
            list(call(jobs, executor=pool if with_executor else None, progress=stop))

    assert error is type(caught.value if expected is error else caught.value.__cause__)


FORGOTTEN = """
import sys, threading, client
from client.testing import LoopbackServer

def hold():
    threading.Event().wait()

threading.Thread(target=hold, daemon=True).start()  # which keeps this module until all others have gone
server = LoopbackServer().__enter__()
session = client.Session(trust_env=False)
results = getattr(session, sys.argv[1])([f"{server.url}/bytes/1"] * 99, progress=True)
next(results)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
@pytest.mark.parametrize("name", ["map", "as_completed"])
def test_a_program_that_ends_early_gives_the_cursor_back(name: str) -> None:
    """Results that a global name keeps were closed after all modules had gone, too late to draw."""
    pytest.importorskip("rich", reason="hides the cursor")
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        command = [sys.executable, "-c", FORGOTTEN, name]
        with subprocess.Popen(command, stderr=theirs, env={**os.environ, "TERM": "xterm"}) as process:
            os.close(theirs)
            drawn = b"".join(iter(lambda: read_of(terminal), b""))
            assert 0 == process.wait(20)

    assert 1 == drawn.count(b"\x1b[?25l") == drawn.count(b"\x1b[?25h")


def read_of(terminal: io.FileIO) -> bytes:
    """Return what comes next; nothing once the last process that had the other side has closed it."""
    try:
        return terminal.read(65536)
    except OSError:  # how Linux says so
        return b""
