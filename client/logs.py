"""Messages for the standard `logging`, in programs that use it.

Importing `logging` costs more than a request.  A program that never imported it has no handler which could show a
message, so nobody is told anything there, and nothing is imported.  Messages name a URL without its user
information and query, and no header field.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

__all__ = ["DEBUG", "INFO", "logger"]

#: `logging.DEBUG` and `logging.INFO`.
DEBUG = 10
INFO = 20

_known: dict[str, Logger] = {}


def logger(name: str) -> Logger | None:
    """Return the logger *name*, None if the program does not use `logging`."""
    known = _known.get(name)
    if known is None:
        get_logger = getattr(sys.modules.get("logging"), "getLogger", None)
        if get_logger is None:
            return None
        known = _known[name] = get_logger(name)
    return known
