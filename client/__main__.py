"""``python -m client`` and ``threadwire``: the command line, and a Ctrl-C that comes before or after its time.

The law of the room: whenever Ctrl-C comes, there is no traceback, and the exit status says that it came.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, Final

#: As `client.cli` has it; that is what takes long to load.
INTERRUPTED: Final = 130
AGAIN_SECONDS: Final = 0.05
CAN_RING: Final = hasattr(signal, "setitimer")

_is_at_work = False


def main() -> int:
    """Load the command line and run it; return its exit status."""
    global _is_at_work
    # A shell that starts us in the background has SIGINT ignored, and that stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, on_interrupt)
        sys.unraisablehook = on_unraisable
    from client import cli

    try:
        _is_at_work = True
        return cli.main()
    except KeyboardInterrupt:  # a second one, while the first is dealt with
        return INTERRUPTED
    finally:
        _is_at_work = False
        if CAN_RING:
            signal.setitimer(signal.ITIMER_REAL, 0)  # for `on_unraisable`


def on_interrupt(*arguments: Any) -> None:
    """Raise KeyboardInterrupt where somebody waits for it, else end at once: what is being loaded might swallow it."""
    if not _is_at_work:
        os._exit(INTERRUPTED)
    signal.default_int_handler(*arguments)


def on_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Let a Ctrl-C that came during a finaliser, which swallows it, come again behind it."""
    if unraisable.exc_type is not KeyboardInterrupt or not CAN_RING:
        sys.__unraisablehook__(unraisable)
        return
    # Not at once: it would meet this very function, which Python lets raise nothing either.
    signal.signal(signal.SIGALRM, on_interrupt)
    signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
