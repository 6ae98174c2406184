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
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from client.exceptions import InvalidRequest, PoolTimeout, SessionClosed, Timeout
from client.transport.cancel import CancelToken
from client.transport.connection import HTTPConnection
from client.transport.dialer import NetworkOptions, Route, dial
from client.transport.exchange import exchange
from client.transport.forked import FORKED, HOLDERS
from client.transport.pool_key import direct_key, proxied_key
from client.transport.pool_limits import DEFAULT_LIMITS, PoolLimits, check_limits
from client.transport.pool_log import close_all, tell_closed, tell_detached, tell_made, trace_queue, why_unfit
from client.transport.pool_queue import Place, QueuedCall
from client.transport.tls_connection import TLSConnection

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from client.timeouts import Budget
    from client.transport.stream import ResponseStream
    from client.transport.wire import Call, WireRequest

__all__ = ["DEFAULT_LIMITS", "ConnectionPool", "PoolLimits"]

_ABORTED: Final[Callable[[], SessionClosed]] = partial(
    SessionClosed, "the session was aborted while the call was under way"
)

#: What comes of books that began anew while they were written in: a signal handler forked at that very moment.
_LOST_PLACE: Final = (LookupError, ValueError)


class ConnectionPool:
    """Keep-alive connections behind the `Transport` seam; safe for threads and for forked children.

    Args:
        limits: See `PoolLimits`.
        options: How names, addresses and sockets are chosen.
        uds: Path of a Unix domain socket that every connection goes to instead of the URL's host; or None.

    Raises:
        InvalidRequest: A limit or *uds* makes no sense.
    """

    def __init__(
        self,
        limits: PoolLimits = DEFAULT_LIMITS,
        options: NetworkOptions | None = None,
        uds: str | os.PathLike[str] | None = None,
    ) -> None:
        """Start empty; nothing is opened before the first request."""
        self._epoch = 0
        self._abandoned: SimpleQueue[HTTPConnection] = SimpleQueue()
        self._start()  # first: `__del__` looks at it even where the limits are refused
        HOLDERS.add(self)
        self.limits: PoolLimits = check_limits(limits)
        self.options: NetworkOptions = options or NetworkOptions()
        try:
            self.uds: str | None = None if uds is None else os.fsdecode(uds)
        except TypeError as error:
            raise InvalidRequest(f"uds={uds!r}: expected the path of a Unix domain socket") from error
        if self.uds == "":  # a setting left empty must not lead to the network
            raise InvalidRequest(f"uds={uds!r}: expected the path of a Unix domain socket, or None")

    def _start(self) -> None:
        """Set the state of an empty pool; also in a forked child, whose lock may be held by a thread it lacks."""
        self._lock = allocate_lock()
        self._places: dict[Any, Place] = {}
        self._idle: OrderedDict[HTTPConnection, None] = OrderedDict()  # the longest unused first
        self._open: set[HTTPConnection] = set()
        self._slots = 0
        self._waiters: deque[QueuedCall] = deque()
        self._starting: set[CancelToken] = set()  # of calls that wait here, dial, pause or go on
        self._stopped_at = -inf
        self._stopped_by: Callable[[], Exception] = _ABORTED

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
        if not self._abandoned.empty():
            self._reap()
        started_at = monotonic()
        url = request.url
        if call.proxy is None:  # `direct_key`, without the call
            key: Any = url.origin if url.scheme == "http" else (url.origin, call.tls)
        elif self.uds is None:
            key = proxied_key(url, call, self.options)
        else:  # no proxy leads to a Unix socket, and its server is not to see the proxy's credentials
            call.proxy, key = None, direct_key(url, call)
        connection, turns, acquired_at = None, None, started_at
        try:
            if not call.fresh:
                connection = self._take_idle(key, started_at)
            if connection is None:
                connection = self._start_connection(key, request, call)
                acquired_at = monotonic()
            turns = connection.turns
            return exchange(connection, request, call, self, started_at, acquired_at)
        except BaseException as error:
            # Unless its response has handed it back, and it may be another call's by now.
            if connection is not None and turns in (None, connection.turns):
                self.discard(connection, type(error).__name__)
            if (
                isinstance(error, _LOST_PLACE)
                and self._stopped_by is FORKED
                and self._stopped_at > started_at
            ):
                raise self._stopped_by() from error
            raise

    def resume(self, request: WireRequest, call: Call) -> ResponseStream:
        """As `round_trip`, for a call that has done one before; raises also if `abort`, or a fork, came since it began.

        Between two round trips a call may be nowhere in these books, so that `abort` cannot reach it.
        """
        token = call.cancel = call.cancel or CancelToken()
        try:
            with self._lock:
                self._starting.add(token)
                if call.began is not None and call.began < self._stopped_at:
                    raise self._stopped_by()
            return self.round_trip(request, call)
        finally:
            with self._lock:
                self._starting.discard(token)

    def close(self) -> None:
        """Close the idle connections; one that is in use closes when its user lets go. The pool stays usable."""
        with self._lock:
            self._epoch += 1
            victims = list(self._idle)
            for connection in victims:
                self._remove(connection)
        close_all(victims, "the session was closed")
        self._reap()

    def abort(self) -> None:
        """Make every call under way raise `SessionClosed`, whatever it waits for; close the idle connections."""
        with self._lock:
            self._stopped_at, self._stopped_by = monotonic(), _ABORTED
            starting, in_use = list(self._starting), self._open - self._idle.keys()
        for token in starting:
            token.cancel(_ABORTED())  # one for each: it will name the call's request
        for connection in in_use:
            connection.abort(_ABORTED())
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
                    connection = place.idle[-1]  # no calls: after one, a signal may be looked for
                    del place.idle[-1], self._idle[connection]
                if connection.expires_at > now and connection.is_alive():
                    return connection
                self.discard(connection, why_unfit(connection, now))
        except BaseException as error:
            if connection is not None:
                self.discard(connection, type(error).__name__)
            raise

    def _start_connection(self, key: Any, request: WireRequest, call: Call) -> HTTPConnection:
        """Return a connection that is handed on in the queue, or a new one, once there is a slot for it.

        Raises:
            PoolTimeout, TotalTimeout: Neither came in time.
            ConnectError, ConnectTimeout, InvalidRequest: As `dial`.
            BaseException: The call was cancelled.
        """
        token = call.cancel or CancelToken()  # so that `abort` reaches this call too
        waiter = QueuedCall(key, call.fresh, self._epoch)
        try:
            try:
                with self._lock:
                    self._starting.add(token)
                    stopped_at = self._stopped_at
                trace_queue(call.trace, lambda: self._wait_for_slot(waiter, call, token))
                if (connection := waiter.connection) is not None:
                    if connection.expires_at > (now := monotonic()) and connection.is_alive():
                        return connection
                    with self._lock:  # it has waited for its turn, and dials in the dead one's slot
                        waiter.place = self._places.get(key)
                        self._open.discard(connection)
                    close_all([connection], why_unfit(connection, now))
                    waiter.connection = None
                return self._dial(waiter, request, call, token, stopped_at)
            finally:
                with self._lock:
                    self._starting.discard(token)
        except BaseException:
            self._leave_queue(waiter)
            raise

    def _wait_for_slot(self, waiter: QueuedCall, call: Call, token: CancelToken) -> None:
        """Wait in the queue until *waiter* has a connection, or a slot to dial with."""
        budget = call.deadline.budget("pool")
        with self._lock:
            self._waiters.append(waiter)
            victims = self._settle((waiter,))
        close_all(victims)
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
        self._reap()  # a finaliser may have rung this very waiter's bell, for the next one as well
        had_slot = waiter.has_slot
        if (connection := waiter.connection) is not None:
            had_slot = had_slot and connection not in self._open
            self.discard(connection, "the call that it was meant for has ended")
        if had_slot and waiter.place is self._places.get(waiter.key):  # else it is in the books of our parent
            self._free_slot(waiter.key)

    def _pool_timeout(self, key: Any, budget: Budget) -> Timeout:
        error = budget.error("pool")
        with self._lock:
            here = self._places[key].open if key in self._places else 0
            where = f"{here} of {self.limits.per_origin} connections to this origin and {self._slots} of "
        error.args = (f"{error.args[0]}: {where}{self.limits.total} in all are in use",)
        return error

    def _dial(
        self, waiter: QueuedCall, request: WireRequest, call: Call, token: CancelToken, stopped_at: float
    ) -> HTTPConnection:
        """Make a connection in the slot of *waiter*; it is the waiter's from the moment that it is in the books.

        Raises:
            SessionClosed, ForkError: All calls were stopped after *stopped_at*, the last time before this call.
        """
        url = request.url
        if url.scheme == "https":
            call.tls.context()  # a broken setting shows before a connection is made, and takes none of its time
        route = Route(url.scheme, url.host, url.port, call.proxy, call.tls, uds=self.uds or url.socket_path)
        dialed = dial(route, self.options, call.deadline.budget("connect"), token, call.trace)
        try:
            connection = (HTTPConnection if dialed.info.tls_version is None else TLSConnection)(
                dialed.sock, dialed.info, waiter.key, epoch=waiter.epoch, limits=self.options.response_limits
            )
        except BaseException:
            dialed.sock.close()
            raise
        waiter.connection = connection
        with self._lock:
            if self._stopped_at != stopped_at:  # perhaps between the dial, which was over, and the books
                raise self._stopped_by()
            self._open.add(connection)
        tell_made(connection, route)
        return connection

    def _free_slot(self, key: Any) -> None:
        """Give back a slot that holds no connection."""
        with self._lock:
            place = self._places[key]
            if place.open == 1:
                del self._places[key]
            place.open -= 1
            self._slots -= 1
            victims = self._settle()
        close_all(victims)

    # -- taking back (`client.transport.owner.Owner`) ------------------------------------------------------------

    def release(self, connection: HTTPConnection, now: float) -> None:
        """Take back a connection between two requests: for the queue, or to keep it idle."""
        connection.turns += 1
        limits = self.limits
        expires_at = now + limits.idle_seconds
        if connection.idle_limit is not None:
            expires_at = min(expires_at, now + connection.idle_limit)
        if limits.max_age is not None:
            expires_at = min(expires_at, connection.created_at + limits.max_age)
        connection.expires_at = expires_at
        if expires_at <= now or connection.epoch != self._epoch:
            self.discard(connection, "the session was closed, or its time is over")
            return
        victims: list[HTTPConnection] = []
        is_back = False
        try:
            with self._lock:
                unused = self._places[connection.key].idle
                self._idle[connection] = None
                is_back = True  # between these three no signal is looked for: that comes after a call
                unused.append(connection)
                if self._waiters:
                    victims = self._settle()
                idle = len(self._idle)
                if idle > 1 or idle > limits.idle:  # one alone has just been used
                    oldest = next(iter(self._idle))
                    if idle > limits.idle or oldest.expires_at <= now:
                        self._remove(oldest)
                        victims.append(oldest)
        except BaseException:  # Ctrl-C
            if not is_back:
                self.abandon(connection)
            raise
        if victims:
            close_all(victims)

    def discard(self, connection: HTTPConnection, why: str) -> None:
        """Close *connection*, free its slot, and log *why*. Idempotent."""
        try:
            with self._lock:
                is_ours = connection in self._open
                if is_ours:
                    self._remove(connection)
                    victims = self._settle()
        except BaseException:  # Ctrl-C
            self.abandon(connection)
            raise
        finally:
            connection.close()
        if is_ours:
            tell_closed(connection, why)
            close_all(victims)

    def abandon(self, connection: HTTPConnection) -> None:
        """Leave *connection* for the next one who comes by to discard; the only thing a finaliser may do."""
        self._abandoned.put(connection)
        try:
            self._waiters[0].bell.put(None)
        except IndexError:
            pass  # nobody waits

    def forget(self, connection: HTTPConnection) -> None:
        """Free the slot of a connection whose socket now belongs to the caller."""
        with self._lock:
            if connection in self._open:
                self._remove(connection)
            victims = self._settle()
        tell_detached(connection)
        close_all(victims)

    def _reap(self) -> None:
        """Discard what finalisers left behind."""
        while True:
            try:
                connection = self._abandoned.get_nowait()
            except Empty:
                return
            self.discard(connection, "its response was dropped unread")

    # -- under the lock -------------------------------------------------------------------------------------------

    def _settle(self, queue: tuple[QueuedCall, ...] = ()) -> list[HTTPConnection]:
        """Serve *queue*, or all who wait, as far as there is room; return the idle connections that gave way.

        Who waits found no room, so a newcomer asks for himself alone, and nobody behind one who was served finds more.
        """
        victims: list[HTTPConnection] = []
        is_served = False
        for waiter in queue or tuple(self._waiters):
            place = self._places.get(waiter.key) or Place()
            if place.idle and not waiter.fresh:
                waiter.connection = place.idle[-1]
                del place.idle[-1], self._idle[waiter.connection]
            elif self._make_room(place, victims):
                # Making room may have closed this place's last connection, and the place with it.
                place = self._places.setdefault(waiter.key, place)
                place.open += 1
                self._slots += 1
                waiter.place = place
            elif is_served:
                break  # so a long queue is not walked for each connection that comes back
            else:
                continue
            is_served = True
            try:
                self._waiters.remove(waiter)
            finally:
                waiter.bell.put(None)
        return victims

    def _make_room(self, place: Place, victims: list[HTTPConnection]) -> bool:
        """Say whether one more connection to *place* may open; idle ones make way, adding to *victims*."""
        if place.open >= self.limits.per_origin:
            idle: Any = place.idle
        elif self._slots >= self.limits.total:
            idle = self._idle
        else:
            return True
        if not idle:
            return False
        victims.append(next(iter(idle)))
        self._remove(victims[-1])
        return True

    def _remove(self, connection: HTTPConnection) -> None:
        """Take *connection*, idle or in use, out of the books: wholly, or not at all if a signal comes between."""
        place = self._places[connection.key]
        at = place.idle.index(connection) if connection in self._idle else None
        if at is not None:  # from here on there is no call, after which a signal may be looked for
            del place.idle[at], self._idle[connection]
        if place.open == 1:
            del self._places[connection.key]
        place.open -= 1
        self._slots -= 1
        self._open -= {connection}

    # -- fork and end of life ------------------------------------------------------------------------------------

    def leave_to_parent(self) -> list[socket.socket]:
        """Start anew in a forked child, where calls under way are stopped; return the sockets."""
        sockets = [connection.leave_to_parent(FORKED()) for connection in self._open]
        for connection in self._idle:
            self._abandoned.put(connection)
        # Perhaps a signal handler forked where one was about to be written in.
        for place in self._places.values():
            place.open = 0
            place.idle.clear()
        starting, waiters = self._starting, self._waiters
        self._start()
        self._epoch += 1  # what comes back from an exchange of the parent's is not kept
        self._stopped_at, self._stopped_by = monotonic(), FORKED
        for token in starting:
            token.leave_to_parent(FORKED())
        for waiter in waiters:
            waiter.abort(FORKED())
        return sockets

    def __del__(self) -> None:
        """Close what is idle or left behind; nobody can ask for it any more."""
        for connection in self._idle:
            connection.sock.close()
        while not self._abandoned.empty():
            self._abandoned.get().sock.close()

    def __repr__(self) -> str:
        """Show how many connections there are, and in which state."""
        with self._lock:
            idle, waiting, places = len(self._idle), len(self._waiters), len(self._places)
            counts = f"open={self._slots} in_use={self._slots - idle} idle={idle} waiting={waiting}"
        return f"<ConnectionPool {counts} origins={places}>"
