"""The connections that are open, and who may have one.

The whole mutable state is one table of places (`Place`: how many connections are open there, which of them are
idle) and one queue of waiters; both change under one lock, and no I/O happens under it.  A slot is taken when a
connection is handed out or dialled, and freed when it is closed; a returned connection keeps its slot.

Limits wait, they do not discard: whoever comes when all slots are taken stands in a queue, first come first
served among those whose place has room.
"""

from __future__ import annotations

import os
from _queue import Empty, SimpleQueue
from _thread import allocate_lock
from collections import OrderedDict, deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from client.exceptions import InvalidRequest, PoolTimeout, Timeout
from client.transport.cancel import CancelToken
from client.transport.connection import HTTPConnection
from client.transport.dialer import NetworkOptions, Route, dial
from client.transport.pool_queue import Place, QueuedCall
from client.transport.stream import ResponseStream, exchange

if TYPE_CHECKING:
    from client.timeouts import Budget
    from client.transport.wire import Call, WireRequest

__all__ = ["DEFAULT_LIMITS", "ConnectionPool", "PoolLimits"]


class PoolLimits(NamedTuple):
    """How many connections a session may have, and how long an unused one is kept.

    Attributes:
        total: Open connections in all.
        per_origin: Open connections to one origin (through one proxy, with one set of TLS settings).
        idle: Unused connections that are kept, in all.
        idle_seconds: How long an unused one is kept. 50 stays below what servers (60 and more) and address
            translators (350) usually allow; a server's ``Keep-Alive: timeout=`` shortens it.
        max_age: Seconds after which a connection serves no further request; None for no limit.
    """

    total: int = 256
    per_origin: int = 64
    idle: int = 32
    idle_seconds: float = 50.0
    max_age: float | None = None


DEFAULT_LIMITS: Final = PoolLimits()


class ConnectionPool:
    """Keep-alive connections behind the `Transport` seam; safe for threads and for forked children.

    Args:
        limits: See `PoolLimits`.
        options: How names, addresses and sockets are chosen.
        uds: Path of a Unix domain socket that every connection goes to instead of the URL's host; or None.

    Raises:
        InvalidRequest: A limit is below 1.
    """

    def __init__(
        self,
        limits: PoolLimits = DEFAULT_LIMITS,
        options: NetworkOptions | None = None,
        uds: str | None = None,
    ) -> None:
        """Start empty; nothing is opened before the first request."""
        for name in ("total", "per_origin"):
            if getattr(limits, name) < 1:
                raise InvalidRequest(f"PoolLimits({name}={getattr(limits, name)!r}): expected at least 1")
        self.limits = limits
        self.options: NetworkOptions = options or NetworkOptions()
        self.uds = uds
        self._start()

    def _start(self) -> None:
        """Set the state of an empty pool; also in a forked child, whose lock may be held by a thread it lacks."""
        self._generation = _generation
        self._epoch = 0
        self._lock = allocate_lock()
        self._places: dict[Any, Place] = {}
        self._idle: OrderedDict[HTTPConnection, None] = OrderedDict()  # the longest unused first
        self._open: set[HTTPConnection] = set()
        self._slots = 0
        self._waiters: deque[QueuedCall] = deque()
        self._starting: set[CancelToken] = set()  # of calls that wait here, dial or pause
        self._abandoned: SimpleQueue[HTTPConnection] = SimpleQueue()

    # -- the seam -------------------------------------------------------------------------------------------------

    def round_trip(self, request: WireRequest, call: Call) -> ResponseStream:
        """Send *request* and return its final response with the body unread.

        Raises:
            PoolTimeout: No slot became free in time.
            ConnectError, ConnectTimeout, SSLError, ProxyError: No connection came about.
            ConnectionError, Timeout: The exchange broke; ``reused``, ``bytes_sent`` and ``response_started``
                tell how far it had come.
            InvalidRequest: The request cannot be framed.
        """
        if self._generation != _generation:
            self._leave_to_parent()
        if not self._abandoned.empty():
            self._reap()
        started_at = monotonic()
        url, proxy = request.url, call.proxy
        if proxy is None:
            key: Any = url.origin if url.scheme == "http" else (url.origin, call.tls)
        else:
            # A plain http request looks the same to the proxy whatever its origin, so the connection is shared.
            shared = url.scheme == "http" and proxy.scheme in ("http", "https")
            key = (None, proxy) if shared else (url.origin, call.tls, proxy)
        connection, turns = None, 0
        try:
            if not call.fresh:
                connection = self._take_idle(key, started_at)
            if connection is None:
                connection = self._start_connection(key, request, call)
            turns = connection.turns
            return exchange(connection, request, call, self, started_at)
        except BaseException:
            # Unless its response has handed it back, and it may be another call's by now.
            if connection is not None and connection.turns == turns:
                self.discard(connection)
            raise

    def close(self) -> None:
        """Close the idle connections; one that is in use closes when its user lets go. The pool stays usable."""
        if self._generation != _generation:
            self._leave_to_parent()
        with self._lock:
            self._epoch += 1
            victims = list(self._idle)
            for connection in victims:
                self._remove(connection)
        for connection in victims:
            connection.close()
        self._reap()

    def abort(self, error: BaseException) -> None:
        """Make every call under way raise *error*, whatever it waits for, and close the idle connections."""
        if self._generation != _generation:
            self._leave_to_parent()
        with self._lock:
            starting, in_use = list(self._starting), self._open - self._idle.keys()
        for token in starting:
            token.cancel(error)
        for connection in in_use:
            connection.abort(error)
        self.close()

    def pause(self, seconds: float, call: Call) -> None:
        """Wait between two tries of *call*; `abort` ends it as it ends every wait.

        Raises:
            BaseException: The call was cancelled, or the pool aborted.
        """
        token = call.cancel or CancelToken()
        with self._lock:
            self._starting.add(token)
        try:
            token.sleep(seconds)
        finally:
            with self._lock:
                self._starting.discard(token)

    # -- handing out --------------------------------------------------------------------------------------------

    def _take_idle(self, key: Any, now: float) -> HTTPConnection | None:
        """Return the idle connection to *key* that was used last and is still good, None if there is none."""
        connection = None
        try:
            while True:
                with self._lock:
                    place = self._places.get(key)
                    if place is None or not place.idle:
                        return None
                    connection = place.idle.pop()
                    del self._idle[connection]
                if connection.expires_at > now and connection.is_alive():
                    return connection
                self.discard(connection)
        except BaseException:
            if connection is not None:
                self.discard(connection)
            raise

    def _start_connection(self, key: Any, request: WireRequest, call: Call) -> HTTPConnection:
        """Return a connection that is handed on in the queue, or a new one, once there is a slot for it.

        Raises:
            PoolTimeout, TotalTimeout: Neither came in time.
            ConnectError, ConnectTimeout, InvalidRequest: As `dial`.
            BaseException: The call was cancelled.
        """
        token = call.cancel or CancelToken()  # so that `abort` reaches this call too
        waiter = QueuedCall(key, call.fresh)
        try:
            try:
                with self._lock:
                    self._starting.add(token)
                while not waiter.has_slot:
                    self._traced_wait(waiter, call, token)
                    if (connection := waiter.connection) is not None:
                        if connection.expires_at > monotonic() and connection.is_alive():
                            return connection
                        self.discard(connection)
                        waiter.connection = None
                return self._dial(waiter, request, call, token)
            finally:
                with self._lock:
                    self._starting.discard(token)
        except BaseException:
            self._leave_queue(waiter)
            raise

    def _traced_wait(self, waiter: QueuedCall, call: Call, token: CancelToken) -> None:
        if call.trace is None:
            self._wait_for_slot(waiter, call, token)
            return
        started, outcome = monotonic(), "failed"
        call.trace("queue.start", {})
        try:
            self._wait_for_slot(waiter, call, token)
            outcome = "end"
        finally:
            call.trace(f"queue.{outcome}", {"seconds": monotonic() - started})

    def _wait_for_slot(self, waiter: QueuedCall, call: Call, token: CancelToken) -> None:
        """Wait in the queue until *waiter* has a connection, or a slot to dial with."""
        budget = call.deadline.budget("pool")
        with self._lock:
            self._waiters.append(waiter)
            victims = self._settle()
        for victim in victims:
            victim.close()
        if waiter.is_served():
            return  # the usual case: there was room
        self._reap()
        try:
            token.attach(waiter)
            while not waiter.is_served():
                waiter.bell.get(timeout=budget.remaining("pool"))
                if waiter.error is not None:
                    raise waiter.error
                self._reap()
        except (Empty, PoolTimeout):
            raise self._pool_timeout(waiter.key, budget) from None
        finally:
            token.detach()

    def _leave_queue(self, waiter: QueuedCall) -> None:
        """Take *waiter* out of the queue, and give up what it may have been handed before it had to stop."""
        with self._lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        connection = waiter.connection
        if connection is not None and connection in self._open:
            self.discard(connection)
            return
        if connection is not None:
            connection.close()
        if waiter.has_slot:
            self._free_slot(waiter.key)

    def _pool_timeout(self, key: Any, budget: Budget) -> Timeout:
        error = budget.error("pool")
        with self._lock:
            here = self._places[key].open if key in self._places else 0
            where = f"{here} of {self.limits.per_origin} connections to this origin"
            error.args = (
                f"{error.args[0]}: {where} and {self._slots} of {self.limits.total} in all are in use",
            )
        return error

    def _dial(
        self, waiter: QueuedCall, request: WireRequest, call: Call, token: CancelToken
    ) -> HTTPConnection:
        """Make a connection in the slot of *waiter*; it is the waiter's from the moment that it is in the books."""
        url = request.url
        if url.scheme == "https":
            call.tls.context()  # a broken setting shows before a connection is made, and takes none of its time
        route = Route(
            url.scheme,
            url.host,
            url.port,
            proxy=call.proxy,
            tls=call.tls if url.scheme == "https" else None,
            uds=self.uds or url.socket_path,
        )
        dialed = dial(route, self.options, call.deadline.budget("connect"), token, call.trace)
        try:
            connection = HTTPConnection(
                dialed.sock, dialed.info, waiter.key, generation=self._generation, epoch=self._epoch
            )
        except BaseException:
            dialed.sock.close()
            raise
        waiter.connection = connection
        with self._lock:
            self._open.add(connection)
        return connection

    def _free_slot(self, key: Any) -> None:
        """Give back a slot that holds no connection."""
        with self._lock:
            self._drop_slot(key)
            victims = self._settle()
        for victim in victims:
            victim.close()

    # -- taking back (`client.transport.stream.Owner`) -----------------------------------------------------------

    def release(self, connection: HTTPConnection) -> None:
        """Take back a connection between two requests: for the queue, or to keep it idle."""
        connection.turns += 1
        now = monotonic()
        limits = self.limits
        seconds = limits.idle_seconds
        if connection.idle_limit is not None and connection.idle_limit < seconds:
            seconds = connection.idle_limit
        connection.expires_at = now + seconds
        if limits.max_age is not None:
            connection.expires_at = min(connection.expires_at, connection.created_at + limits.max_age)
        if connection.epoch != self._epoch or connection.expires_at <= now or self.is_foreign(connection):
            self.discard(connection)
            return
        victims: list[HTTPConnection] = []
        with self._lock:
            self._places[connection.key].idle.append(connection)
            self._idle[connection] = None
            if self._waiters:
                victims = self._settle()
            if self._idle:
                oldest = next(iter(self._idle))
                if len(self._idle) > limits.idle or oldest.expires_at <= now:
                    self._remove(oldest)
                    victims.append(oldest)
        for victim in victims:
            victim.close()

    def discard(self, connection: HTTPConnection) -> None:
        """Close *connection* and free its slot. Idempotent."""
        if connection.generation != _generation:
            connection.close_in_child()
            return
        victims: list[HTTPConnection] = []
        with self._lock:
            if connection in self._open:
                self._remove(connection)
                victims = self._settle()
        connection.close()
        for victim in victims:
            victim.close()

    def abandon(self, connection: HTTPConnection) -> None:
        """Leave *connection* for the next one who comes by to discard; the only thing a finaliser may do."""
        self._abandoned.put(connection)
        try:
            self._waiters[0].bell.put(None)
        except IndexError:
            pass  # nobody waits

    def forget(self, connection: HTTPConnection) -> None:
        """Free the slot of a connection whose socket now belongs to the caller."""
        victims: list[HTTPConnection] = []
        with self._lock:
            if connection in self._open:
                self._remove(connection)
                victims = self._settle()
        for victim in victims:
            victim.close()

    def is_foreign(self, connection: HTTPConnection) -> bool:
        """Say whether *connection* was made by the parent of this process."""
        return connection.generation != _generation

    def _reap(self) -> None:
        """Discard what finalisers left behind."""
        while True:
            try:
                connection = self._abandoned.get_nowait()
            except Empty:
                return
            self.discard(connection)

    # -- under the lock -------------------------------------------------------------------------------------------

    def _settle(self) -> list[HTTPConnection]:
        """Serve the queue as far as there is room; return the idle connections that gave way, to be closed."""
        victims: list[HTTPConnection] = []
        for waiter in tuple(self._waiters):
            place = self._places.get(waiter.key) or Place()
            if place.idle and not waiter.fresh:
                waiter.connection = place.idle.pop()
                del self._idle[waiter.connection]
                self._waiters.remove(waiter)
                waiter.bell.put(None)
            elif self._make_room(place, victims):
                # Making room may have closed this place's last connection, and the place with it.
                place = self._places.setdefault(waiter.key, place)
                place.open += 1
                self._slots += 1
                waiter.has_slot = True
                self._waiters.remove(waiter)
                waiter.bell.put(None)
        return victims

    def _make_room(self, place: Place, victims: list[HTTPConnection]) -> bool:
        """Say whether one more connection to *place* may open; idle ones make way, adding to *victims*."""
        if place.open >= self.limits.per_origin:
            if not place.idle:
                return False
            victims.append(place.idle[0])
        elif self._slots >= self.limits.total:
            if not self._idle:
                return False
            victims.append(next(iter(self._idle)))
        else:
            return True
        self._remove(victims[-1])
        return True

    def _remove(self, connection: HTTPConnection) -> None:
        """Take *connection*, idle or in use, out of the books."""
        self._open.discard(connection)
        if connection in self._idle:
            del self._idle[connection]
            self._places[connection.key].idle.remove(connection)
        self._drop_slot(connection.key)

    def _drop_slot(self, key: Any) -> None:
        place = self._places[key]
        place.open -= 1
        self._slots -= 1
        if not place.open:
            del self._places[key]

    # -- fork and end of life ------------------------------------------------------------------------------------

    def _leave_to_parent(self) -> None:
        """Start anew in a forked child: close our copies of the idle descriptors, and say nothing on the wire."""
        idle = list(self._idle)
        self._start()
        for connection in idle:
            connection.close_in_child()

    def __del__(self) -> None:
        """Close what is idle or left behind; nobody can ask for it any more."""
        if not hasattr(self, "_abandoned"):
            return  # the limits were refused
        for connection in self._idle:
            connection.sock.close()
        while not self._abandoned.empty():
            self._abandoned.get().sock.close()

    def __repr__(self) -> str:
        """Show how many connections there are, and in which state."""
        with self._lock:
            idle, waiting = len(self._idle), len(self._waiters)
            return (
                f"<ConnectionPool open={self._slots} in_use={self._slots - idle} idle={idle} waiting={waiting} "
                f"origins={len(self._places)}>"
            )


_generation = 0


def _note_fork() -> None:
    """Count a fork, in the child: connections of an earlier generation belong to the parent."""
    global _generation
    _generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
