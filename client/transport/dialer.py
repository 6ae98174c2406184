"""From a route to a connected socket: name look-up, connection (`race`), proxy (`tunnel`), TLS (`handshake`).

Everything happens on the calling thread, on non-blocking sockets, within one budget, and ends at once when
the stop switch is thrown.  Whatever fails closes every socket that it opened.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias

from client.exceptions import AddressNotAllowed, ConnectError, ConnectTimeout, InvalidRequest, ProxyError
from client.hostname import authority
from client.response_limits import DEFAULT_RESPONSE_LIMITS, ResponseLimits
from client.transport.race import alternate, check_allowed, connect, connect_unix
from client.transport.resolver import Address, literal, resolve
from client.transport.tls import TLSSettings
from client.transport.waiter import Waiter
from client.transport.wire import ConnectionInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from client.timeouts import Budget
    from client.transport.cancel import CancelToken
    from client.transport.resolver import Resolver
    from client.transport.wire import Proxy

__all__ = ["Dialed", "NetworkOptions", "Route", "Trace", "dial"]

#: Called with (event, facts): ``"dns.start"``, then ``"dns.end"`` or ``"dns.failed"`` with ``seconds`` among
#: the facts; likewise for connect, proxy and tls.
Trace: TypeAlias = "Callable[[str, dict[str, Any]], None]"


class Route:
    """Where a connection leads and which way; two requests may share one exactly if their routes are equal.

    Args:
        scheme: ``"http"``, ``"https"`` or ``"http+unix"``.
        host: Name in ASCII or IP address, without brackets; a zone (``fe80::1%eth0``) is part of it.
        port: TCP port.
        proxy: The proxy to go through, None for none. A Unix socket is never reached through one.
        tls: Settings for the origin. They count with https only, where None means the defaults.
        uds: Path of a Unix domain socket that leads to the origin.
    """

    __slots__ = ("_hash", "host", "port", "proxy", "scheme", "tls", "uds")

    def __init__(
        self,
        scheme: str,
        host: str,
        port: int,
        proxy: Proxy | None = None,
        tls: TLSSettings | None = None,
        *,
        uds: str | None = None,
    ) -> None:
        """Hold the parts that matter; the others become None, so that they tell no routes apart."""
        self.scheme: str = scheme
        self.host: str = host
        self.port: int = port
        self.proxy: Proxy | None = proxy if uds is None else None
        self.tls: TLSSettings | None = (tls or TLSSettings()) if scheme == "https" else None
        self.uds: str | None = uds
        self._hash = hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return (self.scheme, self.host, self.port, self.proxy, self.tls, self.uds)

    def __eq__(self, other: object) -> bool:
        """Compare all parts."""
        return isinstance(other, Route) and self._hash == other._hash and self._key() == other._key()

    def __hash__(self) -> int:
        """Hash all parts; computed once."""
        return self._hash

    def __repr__(self) -> str:
        """Show the way, without credentials."""
        way = f" by {self.proxy!r}" if self.proxy else f" by {self.uds!r}" if self.uds else ""
        return f"<Route {self.scheme}://{authority(self.host, self.port)}{way}>"


class NetworkOptions:
    """How a session's connections are made, whatever their route.

    Args:
        resolver: Called with (host, port) instead of `getaddrinfo`, on a resolver thread and within the
            connect budget; returns IP addresses as str, the best first. Four look-ups of this process are under way
            at a time, not counted those whose callers gave up; of these 32 may hang before names wait for them.
        address_filter: Called with each address (an IP address as str, or the path of a Unix socket) right
            before it is connected to; a false answer forbids it. An IPv4 address in IPv6 form is given as
            IPv4, and ``0.0.0.0`` and ``::`` as the loopback that systems take them for. Through an http, https
            or socks5h proxy it sees the address of the proxy, and the origin's only if its URL has an IP address:
            a name is looked up by the proxy.
        local_address: IP address to connect from; the origin's addresses of the other family are left out.
        socket_options: (level, name, value) for `setsockopt` on each TCP socket, before it connects.
        response_limits: What may come in on them; None for the defaults.

    Raises:
        InvalidRequest: An argument is of another form; *local_address* is no IP address.
    """

    __slots__ = ("address_filter", "local", "resolver", "response_limits", "socket_options")

    def __init__(
        self,
        *,
        resolver: Resolver | None = None,
        address_filter: Callable[[str], bool] | None = None,
        local_address: str | None = None,
        socket_options: Iterable[tuple[int, int, int | bytes]] | None = None,
        response_limits: ResponseLimits | None = None,
    ) -> None:
        """Hold the five."""
        for name, function in (("resolver", resolver), ("address_filter", address_filter)):
            if function is not None and not callable(function):
                raise InvalidRequest(f"{name}={function!r}: expected a function")
        self.resolver: Resolver | None = resolver
        self.address_filter: Callable[[str], bool] | None = address_filter
        self.local: Address | None = None if local_address is None else _local(local_address)
        if not hasattr(socket_options or (), "__iter__"):
            raise InvalidRequest(f"socket_options={socket_options!r}: expected (level, name, value) tuples")
        self.socket_options: tuple[tuple[int, int, int | bytes], ...] = tuple(
            _socket_option(option) for option in socket_options or ()
        )
        self.response_limits: ResponseLimits = response_limits or DEFAULT_RESPONSE_LIMITS


def _local(text: object) -> Address:
    address = literal(text, 0) if isinstance(text, str) else None
    if address is None:
        raise InvalidRequest(f"local_address={text!r}: expected an IP address")
    return address


def _socket_option(option: Any) -> tuple[int, int, int | bytes]:
    try:
        level, name, value = option
        is_right = isinstance(level, int) and isinstance(name, int) and isinstance(value, (int, bytes))
    except (TypeError, ValueError):
        is_right = False
    if not is_right:
        raise InvalidRequest(
            f"socket_options: {option!r}, expected (level, name, value) of int, int, int or bytes"
        )
    return level, name, value


class Dialed:
    """A connection that stands.

    Attributes:
        sock: Blocking, without a timeout; an `ssl.SSLSocket` or `TLSOverTLS` where the route has TLS.
        info: What is known about it.
    """

    __slots__ = ("info", "sock")

    def __init__(self, sock: socket.socket, info: ConnectionInfo) -> None:
        """Hold both."""
        self.sock: socket.socket = sock
        self.info: ConnectionInfo = info


def dial(
    route: Route,
    options: NetworkOptions,
    budget: Budget,
    cancel: CancelToken | None = None,
    trace: Trace | None = None,
) -> Dialed:
    """Connect to the origin of *route*.

    An http origin behind an http or https proxy is reached by talking to the proxy itself: the socket leads
    to the proxy, and requests on it take the absolute form (RFC 9112 section 3.2.2).

    Args:
        route: Where to and how.
        options: How sockets are made.
        budget: What all steps together may take.
        cancel: The stop switch of the call; attached for the time of the dial.
        trace: Told about each step.

    Raises:
        NameResolutionError: The host's name has no address.
        AddressNotAllowed: The filter refused every address.
        ProxyError: The proxy cannot be reached, is not who it should be, or refuses (with ``status``, each address).
        SSLError: The origin's TLS is missing, broken or not trusted.
        ConnectError: Any other failure; nothing was sent.
        ConnectTimeout: Too late; ``phase`` is ``"dns"``, ``"connect"``, ``"proxy"`` or ``"tls"``.
        TotalTimeout: The total deadline was nearer, and has passed.
        InvalidRequest: The TLS settings cannot be used.
        BaseException: The call was cancelled; the switch's own error.
    """
    if route.tls is not None:
        route.tls.context()  # a missing file is found, and the roots are read, before anybody is kept waiting
    steps = _Steps(trace)
    with Waiter(budget, cancel) as waiter:
        proxy = route.proxy
        if proxy is None:
            sock, address = _reach(route, options, waiter, steps)
        elif proxy.scheme == "socks5":
            sock, address = _reach_by_address(proxy, route, options, waiter, steps)
        else:
            sock, address = _reach_through(proxy, route.host, route, options, waiter, steps)
        try:
            if route.tls is not None:
                from client.transport.handshake import wrap

                with steps.step("tls", host=route.tls.server_name or route.host):
                    sock = wrap(sock, route.tls, route.host, route.port, waiter)
            sock.settimeout(None)
            return Dialed(sock, _info(sock, address, route, steps))
        except BaseException:
            sock.close()
            raise


def _reach(
    route: Route, options: NetworkOptions, waiter: Waiter, steps: _Steps
) -> tuple[socket.socket, Address]:
    """Connect to the first station of *route*: the Unix socket, the proxy, or the origin itself."""
    if route.uds is not None:
        address = Address(int(socket.AF_UNIX), route.uds)
        return steps.connected(
            lambda: (connect_unix(address, options, waiter), address), {"address": route.uds}
        )
    host, port = (route.host, route.port) if route.proxy is None else (route.proxy.host, route.proxy.port)
    try:
        with steps.step("dns", host=host):
            addresses = _of_local_family(resolve(host, port, options.resolver, waiter), host, options)
        facts = {"host": host, "port": port, "addresses": [address.text for address in addresses]}
        return steps.connected(lambda: connect(addresses, host, port, options, waiter), facts)
    except (ConnectTimeout, AddressNotAllowed):
        raise
    except ConnectError as error:
        if route.proxy is None:
            raise
        raise ProxyError(f"{route.proxy!r} cannot be reached: {error}") from error


def _of_local_family(addresses: list[Address], host: str, options: NetworkOptions) -> list[Address]:
    """Return those of *addresses* that the local address can connect to."""
    local = options.local
    if local is None:
        return addresses
    usable = [address for address in addresses if address.family == local.family]
    if not usable:
        raise ConnectError(f"cannot connect to {host!r} from {local.text}: it has no address of that family")
    return usable


def _reach_by_address(
    proxy: Proxy, route: Route, options: NetworkOptions, waiter: Waiter, steps: _Steps
) -> tuple[socket.socket, Address]:
    """Look the origin's addresses up here and have the proxy try one after the other, as ``socks5`` means."""
    with steps.step("dns", host=route.host):
        addresses = alternate(resolve(route.host, route.port, options.resolver, waiter))
    failures: list[ConnectError] = []
    for address in addresses:
        try:
            check_allowed(address, options)
            return _reach_through(proxy, address.text, route, options, waiter, steps)
        except AddressNotAllowed as error:
            failures.append(error)
        except ProxyError as error:
            if error.status is None:  # about the proxy, not about this address
                raise
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    is_forbidden = all(isinstance(error, AddressNotAllowed) for error in failures)
    kind: type[ConnectError] = AddressNotAllowed if is_forbidden else ProxyError
    raise kind(f"no address of {route.host!r}: {'; '.join(map(str, failures))}") from failures[-1]


def _reach_through(
    proxy: Proxy, host: str, route: Route, options: NetworkOptions, waiter: Waiter, steps: _Steps
) -> tuple[socket.socket, Address]:
    """Connect to *proxy* and have it connect us to *host*, the origin's name or address; closes what fails."""
    sock, address = _reach(route, options, waiter, steps)
    try:
        with steps.step("proxy", proxy=repr(proxy)):
            if proxy.scheme == "https":
                sock = _secure(sock, proxy, waiter)
            _ask(proxy, sock, host, route, options, waiter)
    except BaseException:
        sock.close()
        raise
    return sock, address


def _secure(sock: socket.socket, proxy: Proxy, waiter: Waiter) -> socket.socket:
    """Do the TLS handshake with the proxy itself."""
    from client.transport.handshake import wrap

    try:
        return wrap(sock, proxy.tls or TLSSettings(), proxy.host, proxy.port, waiter, phase="proxy")
    except ConnectTimeout:
        raise
    except ConnectError as error:
        raise ProxyError(f"{proxy!r}: {error}") from error


def _ask(
    proxy: Proxy, sock: socket.socket, host: str, route: Route, options: NetworkOptions, waiter: Waiter
) -> None:
    """Have *proxy* connect *sock* to *host*; a plain http request needs no more than the proxy itself."""
    from client.transport.tunnel import open_socks, open_tunnel

    if proxy.scheme in ("socks5", "socks5h"):
        open_socks(sock, proxy, host, route.port, waiter)
    elif route.tls is not None:
        open_tunnel(sock, proxy, host, route.port, waiter, options.response_limits)


def _info(sock: socket.socket, address: Address, route: Route, steps: _Steps) -> ConnectionInfo:
    info = ConnectionInfo(
        peer=address.sockaddr,
        local=sock.getsockname(),
        proxy=route.proxy,
        dns=steps.seconds.get("dns", 0.0),
        connect=steps.seconds["connect"] + steps.seconds.get("proxy", 0.0),
        tls=steps.seconds.get("tls", 0.0),
    )
    secured: Any = sock
    if hasattr(sock, "cipher"):  # to the origin, or for plain http to an https proxy
        info.tls_version = secured.version()
        info.cipher = secured.cipher()[0]
    return info


class _Steps:
    """Times the steps of a dial and tells the trace about them."""

    __slots__ = ("_trace", "seconds")

    def __init__(self, trace: Trace | None) -> None:
        self._trace = trace
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, **facts: Any) -> Iterator[None]:
        if self._trace is not None:
            self._trace(f"{name}.start", facts)
        started = monotonic()
        outcome = "failed"
        try:
            yield
            outcome = "end"
        finally:
            seconds = monotonic() - started
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
            if self._trace is not None:
                self._trace(f"{name}.{outcome}", {**facts, "seconds": seconds})

    def connected(
        self, connect: Callable[[], tuple[socket.socket, Address]], facts: dict[str, Any]
    ) -> tuple[socket.socket, Address]:
        """Do the step that opens the socket, and close it if the trace raises when told so."""
        sock = None
        try:
            with self.step("connect", **facts):
                sock, address = connect()
        except BaseException:
            if sock is not None:
                sock.close()
            raise
        return sock, address
