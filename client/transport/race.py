"""Connecting to the first of several addresses that answers: Happy Eyeballs, RFC 8305.

Attempts run side by side as non-blocking sockets in the waiter's selector.  Section 5: one starts 250 ms
after the one before, or as soon as one fails.  Section 4: families alternate, and the one that won last time
goes first.  Only the family is remembered, never the address: the order within a family is the name server's
way to share the load.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
from _thread import allocate_lock
from collections import deque
from itertools import chain, zip_longest
from time import monotonic
from typing import TYPE_CHECKING, Final

from client.exceptions import AddressNotAllowed, ConnectError, InvalidRequest
from client.hostname import authority

if TYPE_CHECKING:
    from collections.abc import Sequence

    from client.transport.dialer import NetworkOptions
    from client.transport.resolver import Address
    from client.transport.waiter import Waiter

__all__ = ["ATTEMPT_DELAY", "alternate", "check_allowed", "connect", "connect_unix"]

#: Seconds between the starts of two attempts, as RFC 8305 section 8 recommends.
ATTEMPT_DELAY: Final = 0.25

#: How long a host's preferred family is remembered, and for how many hosts.
_MEMORY_SECONDS: Final = 600.0
_MEMORY_SIZE: Final = 512

#: Seconds until a Unix socket whose backlog was full is tried again; the kernel has no way to wait for room.
_BACKLOG_DELAY: Final = 0.01

#: What a non-blocking connect says while it goes on; Windows has a word of its own.
_UNDER_WAY: Final = {errno.EINPROGRESS, errno.EINTR, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)}


def connect(
    addresses: Sequence[Address], host: str, port: int, options: NetworkOptions, waiter: Waiter
) -> tuple[socket.socket, Address]:
    """Connect to the first of *addresses* that answers.

    Args:
        addresses: What *host* resolved to, the best first.
        host: For messages, and to remember the family that won.
        port: For messages.
        options: How sockets are made, and which addresses are refused.
        waiter: Bounds the waits, in phase ``"connect"``.

    Returns:
        A non-blocking socket, TCP_NODELAY set, and the address that it is connected to.

    Raises:
        AddressNotAllowed: The filter refused every address.
        ConnectError: No address answered; the message has the reason of each.
        Timeout: The waiter's budget ran out.
    """
    ordered = alternate(addresses, _preferred_family(host))
    race = _Race(options, waiter)
    try:
        sock, address = race.run(ordered, authority(host, port))
    finally:
        race.close()
    if len(ordered) > 1:
        _remember_family(host, address.family)
    return sock, address


def connect_unix(address: Address, options: NetworkOptions, waiter: Waiter) -> socket.socket:
    """Connect to a Unix domain socket; arguments, result and errors as of `connect`.

    Raises:
        InvalidRequest: Its path cannot be one.
    """
    if "\0" in address.sockaddr[1:]:  # the system would connect to what stands before it
        raise InvalidRequest(f"the path {address.text!r} of a Unix socket holds a NUL")
    check_allowed(address, options)
    try:
        sock = socket.socket(address.family, socket.SOCK_STREAM)
    except OSError as error:
        raise _failure("a Unix socket", [(address, error)]) from error
    try:
        waiter.own(sock)
        sock.setblocking(False)
        while True:
            try:
                sock.connect(address.sockaddr)
                return sock
            except BlockingIOError:
                waiter.wait("connect", _BACKLOG_DELAY)
            except OSError as error:
                raise _failure("a Unix socket", [(address, error)]) from error
    except BaseException:
        sock.close()
        raise


def check_allowed(address: Address, options: NetworkOptions) -> None:
    """Ask the filter about *address*.

    Raises:
        AddressNotAllowed: It refused.
    """
    if options.address_filter is not None:
        text = _as_connected(address)
        if not options.address_filter(text):
            raise AddressNotAllowed(f"address_filter refuses {text}")


def _as_connected(address: Address) -> str:
    """Return as text where the system connects to: what a filter for 10.0.0.0/8 or the loopback must see."""
    text = address.text
    if address.family == socket.AF_INET6:
        packed = socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
        if packed.startswith(b"\0" * 10 + b"\xff\xff"):
            text = socket.inet_ntop(socket.AF_INET, packed[12:])
        elif not any(packed):
            text = "::1"
    return "127.0.0.1" if text == "0.0.0.0" else text  # noqa: S104  # compared, not bound to


class _Race:
    """Attempts to connect, side by side."""

    __slots__ = ("_failures", "_options", "_running", "_waiter")

    def __init__(self, options: NetworkOptions, waiter: Waiter) -> None:
        self._options = options
        self._waiter = waiter
        self._running: dict[socket.socket, Address] = {}
        self._failures: list[tuple[Address, OSError]] = []

    def run(self, addresses: Sequence[Address], where: str) -> tuple[socket.socket, Address]:
        """Return the first connected socket; the others are left to `close`."""
        waiting = deque(addresses)
        next_start = monotonic()
        while waiting or self._running:
            pause = max(0.0, next_start - monotonic()) if waiting else None
            failures = len(self._failures)
            if waiting and (not self._running or not pause):
                winner = self._start(waiting.popleft())
                next_start = monotonic() + ATTEMPT_DELAY
            else:
                winner = self._first_connected(self._waiter.wait("connect", pause))
            if len(self._failures) > failures:
                next_start = monotonic()
            if winner is not None:
                return winner
        raise _failure(where, self._failures)

    def close(self) -> None:
        """Close every attempt that is still under way."""
        for sock in self._running:
            self._waiter.forget(sock)
            sock.close()
        self._running.clear()

    def _start(self, address: Address) -> tuple[socket.socket, Address] | None:
        try:
            check_allowed(address, self._options)
            sock = socket.socket(address.family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        except OSError as error:
            self._failures.append((address, error))
            return None
        try:
            self._waiter.own(sock)
            self._prepare(sock)
            code = sock.connect_ex(address.sockaddr)
            if code in _UNDER_WAY:
                self._waiter.watch(sock, selectors.EVENT_WRITE)
                self._running[sock] = address
                return None
            _check_connected(sock, code)
        except OSError as error:
            sock.close()
            self._failures.append((address, error))
            return None
        except BaseException:  # an option of the wrong type, Ctrl-C
            sock.close()
            raise
        return sock, address

    def _prepare(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        # Head and body leave in one write; what is left to Nagle's algorithm is only delay.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for level, name, value in self._options.socket_options:
            sock.setsockopt(level, name, value)
        if self._options.local is not None:
            sock.bind(self._options.local.sockaddr)

    def _first_connected(self, ready: list[socket.socket]) -> tuple[socket.socket, Address] | None:
        for sock in ready:
            address = self._running.pop(sock)
            self._waiter.forget(sock)
            try:
                _check_connected(sock, sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            except OSError as error:
                sock.close()
                self._failures.append((address, error))
            else:
                return sock, address
        return None


def _check_connected(sock: socket.socket, code: int) -> None:
    """Raise if *code* says that the attempt failed, or if the socket met itself.

    TCP lets a socket connect to its own port. That happens on the loopback when nobody listens there and the
    kernel picks the very port as ours (simultaneous open, RFC 9293 section 3.5).
    """
    if not code:
        code = errno.ECONNREFUSED if sock.getsockname() == _peer_of(sock) else 0
    if code:
        raise OSError(code, os.strerror(code))


def _peer_of(sock: socket.socket) -> object:
    try:
        return sock.getpeername()
    except OSError:  # reset already; the first read will tell
        return None


def _failure(where: str, failures: list[tuple[Address, OSError]]) -> ConnectError:
    """Sum up why no address could be connected to."""
    if all(isinstance(error, AddressNotAllowed) for _, error in failures):
        kind: type[ConnectError] = AddressNotAllowed
    else:
        kind = ConnectError
    reasons = "; ".join(f"{address.text}: {error.strerror or error}" for address, error in failures)
    failed = kind(f"cannot connect to {where}: {reasons}")
    failed.__cause__ = failures[-1][1]
    return failed


# -- the order of attempts --------------------------------------------------------------------------------

_families: dict[str, tuple[int, float]] = {}  # host -> (family that won, when), the latest last
_families_lock = allocate_lock()


def _renew_lock() -> None:
    """Start anew in a forked child: a thread that stayed with the parent may have held the lock."""
    global _families_lock
    _families_lock = allocate_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def _preferred_family(host: str) -> int | None:
    with _families_lock:
        family, since = _families.get(host, (None, 0.0))
    return family if monotonic() - since < _MEMORY_SECONDS else None


def _remember_family(host: str, family: int) -> None:
    with _families_lock:
        _families.pop(host, None)
        _families[host] = (family, monotonic())
        if len(_families) > _MEMORY_SIZE:
            del _families[next(iter(_families))]


def alternate(addresses: Sequence[Address], first: int | None = None) -> list[Address]:
    """Let the families of *addresses* take turns, *first* beginning if it is there (RFC 8305 section 4)."""
    leading = first if any(address.family == first for address in addresses) else addresses[0].family
    leaders = [address for address in addresses if address.family == leading]
    others = [address for address in addresses if address.family != leading]
    pairs = zip_longest(leaders, others)
    return [address for address in chain.from_iterable(pairs) if address is not None]
