"""A process that forks in the middle of a call, and goes on with it as two: its parent once the child has ended.

So whatever the child sends stands in front of the parent's bytes, and whatever it takes in is gone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from client import ForkError

__all__ = ["FORK_ERROR", "Family"]

FORK_ERROR = 7


class Family:
    """Runs one call, in the middle of which `fork` was called, in parent and child.

    Args:
        parent: Called in the parent while the child lives.
        child: Called in the child before it goes on.

    Attributes:
        children: The child's number, 0 in itself; empty before the fork.
        status: The child's exit status: `FORK_ERROR`, 0 if the call was successful there, or 1.
    """

    def __init__(self, *, parent: Callable[[], object] = bool, child: Callable[[], object] = bool) -> None:
        self.children: list[int] = []
        self.status: int | None = None
        self._parent = parent
        self._child = child

    def fork(self, *_: Any) -> None:
        """Go on as two; the parent once its child has ended. From the second time on nothing happens."""
        if self.children:
            return
        self.children.append(os.fork())
        if self.children == [0]:
            self._child()
        else:
            self._parent()
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.children[0], 0)[1])

    def run(self, call: Callable[[], str]) -> str:
        """Return what *call* does; the child ends here."""
        status = 1
        try:
            result = call()
            status = 0
        except ForkError:
            status = FORK_ERROR
            raise
        finally:
            if self.children == [0]:
                os._exit(status)
        return result
