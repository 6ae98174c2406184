"""A progress bar for the command line: rich's where it is installed, else one line that is written over.

Only a terminal gets one; a file or a pipe stays clean.
"""

from __future__ import annotations

import contextlib
from time import monotonic
from typing import IO, TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["progress_bar", "size_text"]

#: Called with the count of bytes that have passed since its last call.
Advance: TypeAlias = "Callable[[int], None]"

SECONDS_BETWEEN_LINES: Final = 0.1
MEBIBYTE: Final = 1024 * 1024


@contextlib.contextmanager
def progress_bar(title: str, total: int | None, stream: IO[str]) -> Iterator[Advance]:
    """Show a bar on *stream* while the block runs.

    Args:
        title: What is on its way.
        total: Bytes in all; None if nobody knows.
        stream: Where to write; nothing is written unless it is a terminal.
    """
    if not stream.isatty():
        yield lambda _: None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
    except ImportError:
        with _plain_line(title, total, stream) as advance:
            yield advance
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True))
    with Progress(*columns, TransferSpeedColumn(), console=Console(file=stream), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)


def size_text(count: int) -> str:
    """Return *count* bytes as people read it, such as ``64.0 MiB``."""
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KiB" if count < MEBIBYTE else f"{count / MEBIBYTE:.1f} MiB"


@contextlib.contextmanager
def _plain_line(title: str, total: int | None, stream: IO[str]) -> Iterator[Advance]:
    of_total = "" if total is None else f" of {size_text(total)}"
    done, shown_at = 0, 0.0

    def advance(count: int) -> None:
        nonlocal done, shown_at
        done += count
        if monotonic() - shown_at >= SECONDS_BETWEEN_LINES:
            shown_at = monotonic()
            stream.write(f"\r{title}: {size_text(done)}{of_total}   ")
            stream.flush()

    try:
        yield advance
    finally:
        stream.write("\r\x1b[K")  # what follows is written where the line was
        stream.flush()
