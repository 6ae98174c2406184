"""What a terminal shows while work goes on: rich's bars where it is installed, else one line that is written over.

Only a terminal gets it; a file or a pipe stays clean.
"""

from __future__ import annotations

import contextlib
import sys
from time import monotonic
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

from client.exceptions import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Progress", "Row", "Show", "progress_bar", "shown", "size_text"]

SECONDS_BETWEEN_LINES: Final = 0.1
MEBIBYTE: Final = 1024 * 1024

#: What ``progress=`` takes: a callback for (done, in all or None), True for a display on a terminal.
Progress: TypeAlias = "Callable[[int, int | None], object] | bool | None"


class Row(NamedTuple):
    """One bar.

    Attributes:
        title: What is on its way.
        done, total: How much of it; total is None if nobody knows.
        unit: What is counted: ``"bytes"``, or a word such as ``"requests"``.
    """

    title: str
    done: int
    total: int | None
    unit: str = "bytes"


#: Called with a row that sums up all, and one for each thing on its way.
Show: TypeAlias = "Callable[[Row, Sequence[Row]], object]"


@contextlib.contextmanager
def shown(progress: Progress, stream: IO[str] | None = None) -> Iterator[Show | None]:
    """Yield what shows progress in the way that the caller asked for; None if there is nothing to show.

    Args:
        progress: As the caller gave it; a callback gets what the sum says.
        stream: Where to write; None is standard error. Nothing is written unless it is a terminal.

    Raises:
        InvalidRequest: *progress* is something else.
        Exception: From what is yielded: whatever the callback raises; `StopIteration` as the cause of a RuntimeError.
    """
    if progress is not None and not isinstance(progress, bool) and not callable(progress):
        raise InvalidRequest(f"progress={progress!r:.60}: expected a function, True, False or None")
    stream = sys.stderr if stream is None else stream
    if callable(progress):
        yield _told(progress)
    elif not progress or not _is_terminal(stream):
        yield None
    else:
        try:
            import rich.progress  # noqa: F401  # is it there?
        except ImportError:
            display = _one_line
        else:
            display = _bars
        with display(cast("IO[str]", _Terminal(stream))) as show:
            yield show


def _is_terminal(stream: Any) -> bool:
    """Say whether somebody looks on: *stream* may be None, closed, or anything that a program writes its errors to."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


@contextlib.contextmanager
def progress_bar(title: str, total: int | None, stream: IO[str]) -> Iterator[Callable[[int], None]]:
    """Show one bar on *stream* while the block runs, which calls what is yielded with each count of further bytes."""
    with shown(True, stream) as show:
        done, shown_at = 0, 0.0

        def advance(count: int) -> None:
            nonlocal done, shown_at
            done += count
            if show is not None and monotonic() - shown_at >= SECONDS_BETWEEN_LINES:
                shown_at = monotonic()
                show(Row(title, done, total), ())

        yield advance


def size_text(count: int) -> str:
    """Return *count* bytes as people read it, such as ``64.0 MiB``."""
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KiB" if count < MEBIBYTE else f"{count / MEBIBYTE:.1f} MiB"


def _told(callback: Callable[[int, int | None], object]) -> Show:
    def show(whole: Row, _rows: Sequence[Row]) -> None:
        try:
            callback(whole.done, whole.total)
        except StopIteration as error:  # which a loop of the caller's would take for its own end
            raise RuntimeError("progress= raised StopIteration") from error

    return show


class _Terminal:
    """A terminal that may go away, as one does whose ssh breaks; what nobody can see then stops no work."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _amount(row: Row) -> str:
    text = size_text if row.unit == "bytes" else str
    done, total = text(row.done), None if row.total is None else text(row.total)
    unit = "" if row.unit == "bytes" else f" {row.unit}"
    return f"{done}{unit}" if total is None else f"{done} of {total}{unit}"


@contextlib.contextmanager
def _one_line(stream: IO[str]) -> Iterator[Show]:
    """Show the sum only."""

    def show(whole: Row, _rows: Sequence[Row]) -> None:
        stream.write(f"\r{_printable(whole.title)}: {_amount(whole)}   ")
        stream.flush()

    try:
        yield show
    finally:
        stream.write("\r\x1b[K")  # what follows is written where the line was
        stream.flush()


@contextlib.contextmanager
def _bars(stream: IO[str]) -> Iterator[Show]:
    """Show a bar for each thing that is on its way, and below them the sum."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[amount]}", markup=False),
    )
    with RichProgress(*columns, console=Console(file=stream), transient=True) as bars:
        tasks: dict[tuple[str, int], Any] = {}

        def show(whole: Row, rows: Sequence[Row]) -> None:
            current = _numbered(rows)
            bottom = (whole.title, -1)
            current[bottom] = whole
            for key in [key for key in tasks if key not in current]:
                bars.remove_task(tasks.pop(key))
            if len(tasks) < len(current) and bottom in tasks:  # the sum stays below all others
                bars.remove_task(tasks.pop(bottom))
            for key, row in current.items():
                if key not in tasks:
                    tasks[key] = bars.add_task(_printable(row.title), total=row.total, amount="")
                bars.update(tasks[key], completed=row.done, total=row.total, amount=_amount(row))

        yield show


def _numbered(rows: Sequence[Row]) -> dict[tuple[str, int], Row]:
    """Return *rows* by title and, since files of several folders may have one name, number among equals."""
    numbered: dict[tuple[str, int], Row] = {}
    for row in rows:
        number = 0
        while (row.title, number) in numbered:
            number += 1
        numbered[row.title, number] = row
    return numbered


def _printable(title: str) -> str:
    """Return *title* without what could move the cursor: it may be a server's word."""
    return "".join(character if character.isprintable() else "?" for character in title)
