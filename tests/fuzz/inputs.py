"""How an input is taken apart, and how long a check of a long one may take."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from typing import Final

__all__ = ["SEPARATOR", "check_readable", "check_time_is_linear", "parts", "sampled", "text"]

#: Between the parts of an input: a line that hardly any grammar of ours has a use for.
SEPARATOR: Final = b"\n~\n"

#: What nothing of ours takes as long for as a quadratic parser would, on any machine.
LONG: Final = 1 << 16
SECONDS: Final = 2.0


def parts(data: bytes, count: int, separator: bytes = SEPARATOR) -> list[bytes]:
    """Return exactly *count* parts of *data*; missing ones are empty, the last holds what is left."""
    found = data.split(separator, count - 1)
    return found + [b""] * (count - len(found))


def text(data: bytes) -> str:
    """Return *data* as text; what is not UTF-8 becomes lone surrogates, which some callers pass too."""
    return data.decode("utf-8", "surrogateescape")


def check_time_is_linear(function: Callable[[bytes], object], unit: bytes) -> None:
    """Call *function* with *unit* again and again up to 64 KiB: quadratic time would be minutes there.

    Done for one input of 128, because it takes as long as some hundred others.
    """
    if not unit or not sampled(unit, 128):
        return
    started = time.thread_time()
    function(unit * (LONG // len(unit)))
    seconds = time.thread_time() - started
    assert seconds < SECONDS, f"{seconds:.1f} s for 64 KiB of {unit[:40]!r}"


def sampled(data: bytes, rarity: int) -> bool:
    """Say yes to about one input of *rarity*, always to the same ones: for what takes long."""
    return zlib.crc32(data) % rarity == 0


def check_readable(error: Exception) -> None:
    """Check that the text of *error*, in which there may be something of the peer's, steers no terminal."""
    shown = f"{error} {error!r}"
    assert shown.isprintable(), f"an error's text is not printable: {shown!r}"
