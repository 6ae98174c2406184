"""A TCP relay on loopback that does to its connections what bad networks do.

One thread, one selector, raw sockets; it knows nothing of HTTP.  What happens to a connection is a `Fault`, which the
test's own function chooses when the connection is accepted::

    with FaultyRelay(origin.port, lambda number: Cut(SERVER, after=100)) as relay:
        ...
"""

from __future__ import annotations

import contextlib
import heapq
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias

__all__ = [
    "CLEAN",
    "CLIENT",
    "SERVER",
    "BlackHole",
    "Cut",
    "Delay",
    "Drip",
    "Fault",
    "FaultyRelay",
    "HalfClose",
    "Refuse",
    "Reset",
    "Sender",
]

Sender: TypeAlias = Literal["client", "server"]
CLIENT: Final = "client"
SERVER: Final = "server"

CHUNK = 65536
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Clean:
    """Relay everything, at once."""


CLEAN: Final = Clean()


@dataclass(frozen=True, slots=True)
class Refuse:
    """Reset the connection as soon as it is accepted; the origin never hears of it."""


@dataclass(frozen=True, slots=True)
class BlackHole:
    """Take what *sender* sends after its first *after* bytes and pass none of it on; the other way works."""

    sender: Sender
    after: int = 0


@dataclass(frozen=True, slots=True)
class Delay:
    """Pass on whatever *sender* sends *seconds* late."""

    sender: Sender
    seconds: float


@dataclass(frozen=True, slots=True)
class Drip:
    """Pass on what *sender* sends in pieces of *piece* bytes, one every *seconds*."""

    sender: Sender
    piece: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """Close both sides with a FIN once *sender* has sent *after* bytes; no byte beyond them is passed on."""

    sender: Sender
    after: int


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset both sides once *sender* has sent *after* bytes; no byte beyond them is passed on."""

    sender: Sender
    after: int


@dataclass(frozen=True, slots=True)
class HalfClose:
    """Once *sender* has sent *after* bytes, send a FIN in its name and swallow the rest; the other way works."""

    sender: Sender
    after: int


Fault: TypeAlias = Clean | Refuse | BlackHole | Delay | Drip | Cut | Reset | HalfClose


class Direction:
    """One way of one connection: what was read and is still to be passed on, and when."""

    def __init__(self, pair: Pair, sender: Sender, source: socket.socket, sink: socket.socket) -> None:
        self.pair = pair
        self.source = source
        self.sink = sink
        self.fault: Fault = pair.fault if getattr(pair.fault, "sender", None) == sender else CLEAN
        self.due: list[tuple[float, bytes]] = []
        self.taken = 0  # bytes of the sender that were passed on or will be
        self.ended = False  # the source sent its FIN
        self.silenced = False  # everything from here on is swallowed
        self.closed = False  # the FIN was passed on

    def take(self, data: bytes, now: float) -> None:
        """Plan when *data*, just read, is passed on."""
        fault = self.fault
        if self.silenced:
            return
        if isinstance(fault, BlackHole | Cut | Reset | HalfClose):
            data = data[: fault.after - self.taken]
        self.taken += len(data)
        if isinstance(fault, Delay):
            self.due.append((now + fault.seconds, data))
        elif isinstance(fault, Drip):
            at = max(now, self.due[-1][0] if self.due else now)
            for start in range(0, len(data), fault.piece):
                at += fault.seconds
                self.due.append((at, data[start : start + fault.piece]))
        elif data:
            self.due.append((now, data))
        if isinstance(fault, BlackHole | Cut | Reset | HalfClose) and self.taken >= fault.after:
            self.silenced = True

    @property
    def strikes(self) -> bool:
        """True once all that is to be passed on has been, and the fault's end is due."""
        return self.silenced and not self.due


class Pair:
    """One connection through the relay: a socket to each side."""

    def __init__(self, client: socket.socket, origin: socket.socket, fault: Fault) -> None:
        self.fault = fault
        self.sockets = (client, origin)
        self.ways = {
            client: Direction(self, CLIENT, client, origin),
            origin: Direction(self, SERVER, origin, client),
        }

    def close(self, *, reset: bool = False) -> None:
        """Close both sides."""
        for end in self.sockets:
            if reset:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()


class FaultyRelay:
    """Listens on 127.0.0.1, relays to *origin_port*, and does to each connection what *choose* says.

    Args:
        origin_port: Where to, on 127.0.0.1.
        choose: Called on the relay's thread with the number of the connection, from 0.

    Attributes:
        port: Where it listens.
        accepted: How many connections there have been.
        struck: How many of each kind of fault were chosen, for each sender where it strikes one.
    """

    def __init__(self, origin_port: int, choose: Callable[[int], Fault]) -> None:
        self.accepted = 0
        self.struck: dict[str, int] = {}
        self._origin = ("127.0.0.1", origin_port)
        self._choose = choose
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Direction]] = []
        self._pairs: set[Pair] = set()
        self._turns = 0
        self._stop_in, self._stop_out = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="faulty-relay", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop_in.send(b"\0")
        self._thread.join(PATIENCE)
        for pair in self._pairs:
            pair.close()
        self._selector.close()
        for end in (self._listener, self._stop_in, self._stop_out):
            end.close()

    @property
    def open_connections(self) -> int:
        """How many connections are being relayed now."""
        return len(self._pairs)

    def _run(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._stop_out, selectors.EVENT_READ)
        while True:
            wait = None if not self._timers else max(0.0, self._timers[0][0] - time.monotonic())
            for key, events in self._selector.select(wait):
                if key.fileobj is self._stop_out:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                    continue
                pair: Pair = key.data
                if pair not in self._pairs:
                    continue  # struck by what another event of this round did
                end: socket.socket = key.fileobj  # type: ignore[assignment]  # only sockets are registered
                if events & selectors.EVENT_READ:
                    self._read(pair, pair.ways[end])
                if events & selectors.EVENT_WRITE and pair in self._pairs:
                    for way in pair.ways.values():
                        self._pass_on(way)
            for way in self._due_now():
                if way.pair in self._pairs:
                    self._pass_on(way)

    def _due_now(self) -> Iterator[Direction]:
        while self._timers and self._timers[0][0] <= time.monotonic():
            yield heapq.heappop(self._timers)[2]

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except BlockingIOError:
            return
        fault = self._choose(self.accepted)
        self.accepted += 1
        name = " of ".join(filter(None, (type(fault).__name__, getattr(fault, "sender", None))))
        self.struck[name] = self.struck.get(name, 0) + 1
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if isinstance(fault, Refuse):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            return
        origin = socket.create_connection(self._origin)
        origin.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = Pair(client, origin, fault)
        self._pairs.add(pair)
        for end in pair.sockets:
            end.setblocking(False)
            self._selector.register(end, selectors.EVENT_READ, pair)

    def _read(self, pair: Pair, way: Direction) -> None:
        try:
            data = way.source.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self._drop(pair, reset=True)
            return
        if data:
            way.take(data, time.monotonic())
        else:
            way.ended = True
            self._watch(pair)
        self._pass_on(way)

    def _pass_on(self, way: Direction) -> None:
        """Send what is due, then let the fault strike or the end be told, if it is time for that."""
        now = time.monotonic()
        try:
            while way.due and way.due[0][0] <= now and not way.closed:
                at, data = way.due[0]
                sent = way.sink.send(data)
                if sent < len(data):
                    way.due[0] = (at, data[sent:])
                else:
                    del way.due[0]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(way.pair, reset=True)
            return
        if way.due and way.due[0][0] > now:
            self._turns += 1
            heapq.heappush(self._timers, (way.due[0][0], self._turns, way))
        if way.strikes and isinstance(way.fault, Cut | Reset):
            self._drop(way.pair, reset=isinstance(way.fault, Reset))
            return
        swallows = way.silenced and isinstance(way.fault, BlackHole)
        if not way.closed and not way.due and (way.ended or way.strikes) and not swallows:
            way.closed = True
            with contextlib.suppress(OSError):
                way.sink.shutdown(socket.SHUT_WR)
        if all(each.ended for each in way.pair.ways.values()) and not any(
            each.due for each in way.pair.ways.values()
        ):
            self._drop(way.pair)
        elif way.pair.fault is not CLEAN and way.ended and not way.due and way.source is way.pair.sockets[0]:
            self._drop(way.pair)  # the client has gone; a swallowed answer must not keep the pair for ever
        else:
            self._watch(way.pair)

    def _watch(self, pair: Pair) -> None:
        """Read from those that have not ended, write to those that data waits for."""
        now = time.monotonic()
        for end, way in pair.ways.items():
            back = next(other for other in pair.ways.values() if other is not way)
            stuck = bool(back.due) and back.due[0][0] <= now
            events = (0 if way.ended else selectors.EVENT_READ) | (selectors.EVENT_WRITE if stuck else 0)
            known = self._selector.get_map().get(end.fileno())
            if events and known is not None:
                if known.events != events:
                    self._selector.modify(end, events, pair)
            elif events:
                self._selector.register(end, events, pair)
            elif known is not None:
                self._selector.unregister(end)

    def _drop(self, pair: Pair, *, reset: bool = False) -> None:
        self._pairs.discard(pair)
        for end in pair.sockets:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(end)
        pair.close(reset=reset)
