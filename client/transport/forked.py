"""What a forked child leaves to its parent: the calls under way, and their connections.

A child has copies of its parent's descriptors, which lead to the same connections: what it sends there, takes in or
sets is sent, gone and set for its parent too.  And it may be anywhere when it begins to live, since a callback or a
signal handler may fork; Python even repeats, in both processes, the system call that such a handler interrupted.  So
before anything else runs in the child, each copy is replaced by something dead under the same number, and whoever waits
there is stopped.  No other line needs to know: neither ours, nor those of ssl, nor the kernel's `sendfile`.
"""

from __future__ import annotations

import _socket
import os
import sys
from _thread import RLock
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakSet

from client.exceptions import ForkError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

__all__ = ["FORKED", "HOLDERS", "LOADING_CTYPES", "Holder"]

#: Makes the error of a call that was under way in the parent, one for each call.
FORKED: Final[Callable[[], ForkError]] = partial(
    ForkError, "this call belongs to the parent process: its connection is not ours"
)


class Holder(Protocol):
    """Who holds sockets of calls under way: a pool, or a dial."""

    def leave_to_parent(self) -> Iterable[socket.socket]:
        """Let go of all that is the parent's, in a child, and return the sockets.

        Must not take a lock that was made before: a thread may hold it that does not exist here.
        """
        ...


#: All there are; whoever opens sockets adds himself.
HOLDERS: Final[WeakSet[Holder]] = WeakSet()


#: Modules that a call imports when it needs them, beside ours.
LAZY: Final = (
    "brotli", "certifi", "ctypes", "hashlib", "idna", "ipaddress", "json", "mmap", "publicsuffixlist", "socksio", "ssl",
    "stringprep", "truststore", "unicodedata", "zlib",
)  # fmt: skip


def _leave_all() -> None:
    sockets = [sock for holder in list(HOLDERS) for sock in holder.leave_to_parent()]
    if not sockets:
        return
    try:
        # Of a pair: one that never was connected says ENOTCONN, which OpenSSL takes for "not yet", and asks for ever.
        dead, other = _socket.socketpair()
    except OSError:  # no descriptor is left
        for sock in sockets:
            sock.close()
        return
    other.close()
    for sock in sockets:
        _replace(sock, dead)
    dead.close()


def _replace(sock: socket.socket, dead: _socket.socket) -> None:
    if sock.fileno() >= 0:  # else it is closed, and its number may be somebody else's
        try:
            os.dup2(dead.fileno(), sock.fileno(), inheritable=False)
        except OSError:  # the number is above a limit that has been lowered since
            sock.close()
    outer: socket.socket | None = getattr(sock, "outer", None)
    if outer is not None:  # TLS inside TLS has two descriptors of the one connection
        _replace(outer, dead)


def _wait_for_imports() -> None:
    """Wait for what another thread is importing: in the child, the lock of that import would never be free."""
    for name in (*LAZY, *(name for name in list(sys.modules) if name.startswith("client."))):
        if name in sys.modules:
            with suppress(ImportError):
                import_module(name)


#: Held while ctypes is loaded: calls on several threads do that at once, and not even its beginning may be missed. To
#: load it before a fork would take milliseconds, in which a Ctrl-C is dropped, as whatever a hook raises.
LOADING_CTYPES: Final = RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=LOADING_CTYPES.acquire,  # a function of C, and the last that is called: it holds nobody up
        after_in_parent=LOADING_CTYPES.release,
        after_in_child=LOADING_CTYPES.release,
    )
    os.register_at_fork(before=_wait_for_imports, after_in_child=_leave_all)
