"""From a host to IP addresses, without letting a slow name server hold anybody.

`getaddrinfo` can be neither bounded nor interrupted, so names are looked up on daemon threads while the caller
waits in its `Waiter`; at most `MAX_AWAITED` at a time.  A caller that gives up leaves its look-up behind: the
thread finishes it for nobody, another thread takes its place, and not even the exit of the interpreter waits.
Only when `MAX_THREADS` hang is there no replacement, and names wait, each within its own budget, until one of
them ends.  A thread ends when no look-up is left for it.

Nothing is cached: the operating system does that with the right lifetimes, and a cache here would keep an
address for longer than its owner allowed.
"""

from __future__ import annotations

import os
import socket
from _thread import _local, allocate_lock
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from client.exceptions import NameResolutionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from client.transport.waiter import Waiter

__all__ = ["MAX_AWAITED", "MAX_THREADS", "Address", "Resolver", "literal", "resolve"]

#: What ``resolver=`` takes: (host, port) -> IP addresses as text, the best first.
Resolver: TypeAlias = "Callable[[str, int], Sequence[str]]"

#: Look-ups under way at a time that somebody awaits; more wait for their turn, each within its caller's budget.
#: One that a resolver makes in turn, asking a name server by HTTPS, does not wait for its like: they wait for it.
MAX_AWAITED: Final = 4

#: Threads in all, those included whose callers gave up: a name server that never answers must not fill the process.
MAX_THREADS: Final = 36


class Address(NamedTuple):
    """Where to connect a socket to.

    Attributes:
        family: ``socket.AF_INET``, ``AF_INET6`` or ``AF_UNIX``.
        sockaddr: What `socket.socket.connect` takes.
    """

    family: int
    sockaddr: Any

    @property
    def text(self) -> str:
        """The IP address or socket path, without the port."""
        return str(self.sockaddr[0] if isinstance(self.sockaddr, tuple) else self.sockaddr)


def resolve(host: str, port: int, resolver: Resolver | None, waiter: Waiter) -> list[Address]:
    """Return the addresses of *host*, the best first and each once.

    Args:
        host: A name in ASCII (IDNA A-labels), or an IP address without brackets, with or without a zone.
        port: TCP port, 1 to 65535.
        resolver: Asked instead of the operating system; never for an IP address.
        waiter: Bounds the wait, in phase ``"dns"``.

    Raises:
        NameResolutionError: There is no address, or *resolver* raised or returned something else.
        Timeout: The waiter's budget ran out first.
    """
    if (address := literal(host, port)) is not None:
        return [address]
    lookup = _Lookup(host, port, resolver, waiter)
    try:
        _start(lookup)
        while not lookup.done:
            waiter.wait("dns")
    except BaseException:
        _withdraw(lookup)
        raise
    if lookup.error is not None:
        reason = getattr(lookup.error, "strerror", None) or f"{type(lookup.error).__name__}: {lookup.error}"
        raise NameResolutionError(f"cannot resolve {host!r}: {reason}") from lookup.error
    if not lookup.addresses:
        raise NameResolutionError(f"cannot resolve {host!r}: the resolver returned no address")
    return lookup.addresses


def literal(host: str, port: int) -> Address | None:
    """Return the address that *host* spells out, None if it is a name."""
    plain, percent, _ = host.partition("%")
    family = socket.AF_INET6 if ":" in plain else socket.AF_INET
    try:
        socket.inet_pton(family, plain)
    except (OSError, ValueError):
        return None
    if family == socket.AF_INET:
        return None if percent else Address(family, (host, port))
    if not percent:
        return Address(family, (host, port, 0, 0))
    try:
        # Turns the zone into the index of its interface; AI_NUMERICHOST never asks a server.
        found = socket.getaddrinfo(host.encode(), port, family, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    except OSError as error:
        raise NameResolutionError(f"cannot resolve {host!r}: {error.strerror}") from error
    return Address(family, found[0][4])


class _Lookup:
    """One question, asked by the thread that waits and answered on a resolver thread."""

    __slots__ = ("addresses", "begun", "done", "error", "host", "is_nested", "port", "resolver", "waiter")

    def __init__(self, host: str, port: int, resolver: Resolver | None, waiter: Waiter) -> None:
        self.host = host
        self.port = port
        self.resolver = resolver
        self.waiter = waiter
        self.addresses: list[Address] = []
        self.error: BaseException | None = None
        self.is_nested: bool = hasattr(_here, "is_resolver_thread")
        self.begun = False
        self.done = False  # set last: what it announces is complete

    def answer(self) -> None:
        try:
            found = self._ask_system() if self.resolver is None else self._ask(self.resolver)
            self.addresses = list(dict.fromkeys(found))
        except BaseException as error:  # noqa: BLE001  # the caller's resolver may raise anything; the waiting thread tells
            self.end(error)
        else:
            self.end()

    def end(self, error: BaseException | None = None) -> None:
        """Have the caller see the answer, or *error*."""
        self.error = error
        self.done = True
        self.waiter.wake()

    def _ask_system(self) -> list[Address]:
        # As bytes: for str, Python runs its IDNA 2003 codec, which imports 1 MB of tables to change nothing.
        name: str | bytes = self.host.encode("ascii") if self.host.isascii() else self.host
        found = socket.getaddrinfo(name, self.port, type=socket.SOCK_STREAM)
        return [Address(int(family), sockaddr) for family, _, _, _, sockaddr in found]

    def _ask(self, resolver: Resolver) -> list[Address]:
        addresses = []
        for text in resolver(self.host, self.port):
            address = literal(text, self.port)
            if address is None:
                raise ValueError(f"the resolver returned {text!r}, which is no IP address")
            addresses.append(address)
        return addresses


# -- the threads ------------------------------------------------------------------------------------------

_here: Final = _local()


class _Threads:
    """Look-ups that wait for a thread, and those that have one: each awaited by its caller, or abandoned."""

    __slots__ = ("abandoned", "awaited", "lock", "waiting")

    def __init__(self) -> None:
        self.lock = allocate_lock()
        self.waiting: deque[_Lookup] = deque()
        self.awaited: set[_Lookup] = set()
        self.abandoned: set[_Lookup] = set()

    def next(self, ended: _Lookup | None = None) -> _Lookup | None:
        """Return the look-up that a thread is to do next, None if there is none or no room for one more.

        Args:
            ended: What the asking thread has done; its place is free again.
        """
        with self.lock:
            if ended is not None:
                self.awaited.discard(ended)
                self.abandoned.discard(ended)
            under_way = len(self.awaited)
            if not self.waiting or under_way + len(self.abandoned) == MAX_THREADS:
                return None
            if under_way >= MAX_AWAITED and not self.waiting[0].is_nested:
                return None
            lookup = self.waiting.popleft()
            self.awaited.add(lookup)
            return lookup

    def begin(self, lookup: _Lookup) -> bool:
        """Say whether the asking thread is to answer *lookup*; not if it was given up or put back meanwhile."""
        with self.lock:
            lookup.begun = lookup in self.awaited
            return lookup.begun

    def put_back(self, lookup: _Lookup) -> None:
        """Have another thread answer *lookup*, unless one has begun with it."""
        with self.lock:
            if lookup in self.awaited and not lookup.begun:
                self.awaited.remove(lookup)
                self.waiting.appendleft(lookup)


_threads = _Threads()


def _start(lookup: _Lookup) -> None:
    """Have *lookup* answered as soon as there is room for it."""
    with _threads.lock:
        if lookup.is_nested:
            _threads.waiting.appendleft(lookup)
        else:
            _threads.waiting.append(lookup)
    _hire()


def _withdraw(lookup: _Lookup) -> None:
    """Forget *lookup*, for which nobody waits any more; a thread that has begun with it is replaced."""
    with _threads.lock:
        if lookup in _threads.waiting:
            _threads.waiting.remove(lookup)
        elif lookup in _threads.awaited:
            _threads.awaited.remove(lookup)
            if lookup.begun:
                _threads.abandoned.add(lookup)
    _hire()


def _hire() -> None:
    """Start a thread for each look-up that waits and has room."""
    from threading import Thread

    threads = _threads
    lookup = threads.next()
    while lookup is not None:
        failed = None
        try:
            Thread(target=_serve, args=(threads, lookup), name="client-resolver", daemon=True).start()
        except RuntimeError as error:  # no thread is left, or the interpreter is shutting down
            lookup.end(error)
            failed = lookup
        except BaseException:  # Ctrl-C; nobody knows whether the thread was started
            threads.put_back(lookup)
            raise
        lookup = threads.next(failed)


def _serve(threads: _Threads, lookup: _Lookup | None) -> None:
    """Answer *lookup*, and those that wait for a thread, until none is left."""
    _here.is_resolver_thread = True
    while lookup is not None:
        if threads.begin(lookup):
            lookup.answer()
        lookup = threads.next(lookup)


def _forget_threads() -> None:
    """Start anew in a forked child: the threads stayed with the parent, perhaps holding the lock."""
    global _threads
    _threads = _Threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
