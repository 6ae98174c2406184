"""requests' transport adapters: `Session.mount` puts one in the place of the session's own transport.

`HTTPAdapter` sends one request, without following its redirects, through a pool of its own; a subclass that overrides
``send`` sees each hop.  Sessions need no adapter: what requests needs one for (retries, pool sizes, socket options, TLS
contexts) are arguments of `client.Session`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from client.call_options import CallOptions
from client.exceptions import InvalidRequest, InvalidSchema
from client.headers import CaseInsensitiveDict
from client.response import Response
from client.retries import Retry
from client.seams import note_adapter, timeout_of
from client.timeouts import DEFAULT_TIMEOUTS, Deadline, Timeouts
from client.transaction import transact
from client.transport.dialer import NetworkOptions
from client.transport.pool import DEFAULT_LIMITS, ConnectionPool
from client.transport.tls import TLSSettings
from client.transport.wire import Call
from client.urllib3_pools import OwnPool, pool_of, send_by_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from client.request import PreparedRequest
    from client.timeouts import TimeoutTypes
    from client.transport.tls import CertTypes, VerifyTypes
    from client.transport.wire import Proxy, Transport

__all__ = ["BaseAdapter", "HTTPAdapter"]


class BaseAdapter:
    """The interface of an adapter."""

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: TimeoutTypes = None,
        verify: VerifyTypes = True,
        cert: CertTypes = None,
        proxies: Mapping[str, str | Proxy | None] | None = None,
    ) -> Response:
        """Send *request* and return its response, redirect or not.

        Args:
            request: Complete.
            stream: False if the body will be read at once.
            timeout: (connect, read) in seconds; None where neither the call nor the session sets one.
            verify, cert, proxies: As in `client.arguments`.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Free what the adapter holds."""
        raise NotImplementedError


class HTTPAdapter(BaseAdapter):
    """Sends http and https requests through a pool of its own.

    A subclass may override `send`, `build_response`, `init_poolmanager` and `add_headers`, and bring a pool of urllib3
    (see `client.urllib3_pools`). Mounted on a session, it obeys that session's address filter and response limits, and
    takes its resolver, local address and socket options where it has none.

    Args:
        pool_connections: Accepted for requests' signature; connections to any number of origins are kept.
        pool_maxsize: Unused connections that are kept, in all; and connections to one origin if *pool_block*.
        max_retries: Further attempts: a number, `client.Retry`, or urllib3's ``Retry``. 0: what the session says.
        pool_block: Wait for a connection where *pool_maxsize* are in use, instead of opening another.
    """

    #: requests' list of what is pickled, which subclasses extend; here everything is, but connections.
    __attrs__: ClassVar[list[str]] = ["max_retries", "_pool_connections", "_pool_maxsize", "_pool_block"]

    poolmanager: Any
    proxy_manager: dict[str, Any]
    _ssl_context: Any
    _tls: dict[TLSSettings, TLSSettings]
    _timeout: TimeoutTypes
    _is_around = False

    def __init__(
        self,
        pool_connections: int = 10,
        pool_maxsize: int = 10,
        max_retries: Any = 0,
        pool_block: bool = False,
    ) -> None:
        """Open nothing yet."""
        self.max_retries: Retry = (
            max_retries if isinstance(max_retries, Retry) else _AdapterRetry.of(max_retries)
        )
        self.proxy_manager = {}  # requests' pools for proxies, which others empty; `poolmanager` has all connections
        self._pool_connections = pool_connections
        self._pool_maxsize = pool_maxsize
        self._pool_block = pool_block
        self._make_pool()

    @classmethod
    def around(cls, transport: Transport) -> HTTPAdapter:
        """Return an adapter that sends through *transport*, a session's own."""
        adapter = cls()
        adapter.poolmanager = transport
        adapter._is_around = True
        return adapter

    @property
    def _stands_for(self) -> Transport | None:
        """The session's own transport, if sending through this adapter makes no difference to using that."""
        plain = (
            self._is_around and self.max_retries.total == 0 and not (self._is_seen("send") or self._builds)
        )
        return self.poolmanager if plain else None

    @property
    def _builds(self) -> bool:
        """True if `build_response` is another's, who wants to be called."""
        return self._is_seen("build_response")

    def _is_seen(self, method: str) -> bool:
        """Say whether *method* is overridden: by a subclass, on this adapter, or by a test's double."""
        return getattr(getattr(self, method), "__func__", None) is not _OWN[method]

    def init_poolmanager(
        self,
        connections: int,
        maxsize: int,
        block: bool = False,
        *,
        ssl_context: Any = None,
        ca_certs: str | None = None,
        source_address: tuple[str, int] | None = None,
        socket_options: Iterable[tuple[int, int, int | bytes]] | None = None,
        timeout: TimeoutTypes = None,
    ) -> None:
        """Make the pool, ``self.poolmanager``; a subclass may add what it is to be made with (requests' seam).

        Args:
            connections, maxsize, block: The constructor's ``pool_connections``, ``pool_maxsize``, ``pool_block``.
            ssl_context: An `ssl.SSLContext` in place of ``verify=True`` and certifi's roots.
            ca_certs: A path, likewise.
            source_address: (IP address, 0) to connect from.
            socket_options: As in `client.Session`.
            timeout: As a session takes it, for calls where neither they nor the session say any; None: the defaults.

        Raises:
            InvalidRequest: *source_address* names a port: there would be one connection at a time. Or both
                *ssl_context* and *ca_certs*.
        """
        if ssl_context is not None and ca_certs is not None:
            raise InvalidRequest("ca_certs: load them into the ssl_context")
        if source_address is not None and source_address[1]:
            raise InvalidRequest("source_address: the port must be 0")
        self._pool_connections, self._pool_maxsize, self._pool_block = connections, maxsize, block
        self._ssl_context = ca_certs if ssl_context is None else ssl_context
        self._timeout = timeout
        before = self.__dict__.get("poolmanager")
        limits = DEFAULT_LIMITS._replace(idle=max(connections, maxsize))
        self.poolmanager = ConnectionPool(
            limits._replace(per_origin=maxsize) if block else limits,
            NetworkOptions(
                local_address=None if source_address is None else source_address[0],
                socket_options=socket_options,
            ),
        )
        if isinstance(before, ConnectionPool):  # resized, by another library: it stays bound to its session
            self._obey(before)

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: TimeoutTypes = None,
        verify: VerifyTypes = True,
        cert: CertTypes = None,
        proxies: Mapping[str, str | Proxy | None] | None = None,
    ) -> Response:
        """Send *request* and return its response, redirect or not.

        Called by a session, it keeps to that call's total timeout, cancellation, limits and callbacks as well. In
        a subclass that overrides this method the response comes with its body unread, as in requests.

        Args:
            request, stream, verify, cert, proxies: As in `BaseAdapter.send`.
            timeout: As a session takes it; None for the session's, or else the defaults, which are finite.

        Raises:
            InvalidSchema: The URL is neither http nor https.
            RequestException: As `Session.request`.
        """
        url = request._url
        given, call = request._under_way or (None, None)
        pool = pool_of(self, request, verify, cert, proxies)
        if pool is not None:
            self.add_headers(
                request, stream=stream, timeout=timeout, verify=verify, cert=cert, proxies=proxies
            )
            return send_by_pool(self, pool, request, _timeouts(timeout, given), proxies)
        if url is None or url.scheme not in ("http", "https", "http+unix"):
            raise InvalidSchema("HTTPAdapter sends http and https only", request=request)
        self.add_headers(request, stream=stream, timeout=timeout, verify=verify, cert=cert, proxies=proxies)
        tls = TLSSettings(self._ssl_context if verify is True and self._ssl_context else verify, cert)
        if given is not None and (given.tls.verify, given.tls.cert) == (tls.verify, tls.cert):
            tls = given.tls  # with the context that it has made, and what else it holds
        else:
            tls = self._remembered(tls)
        timeouts = _timeouts(self._timeout if timeout is None else timeout, given)
        settings = {} if given is None else given.as_arguments()
        is_seen = self._is_seen("send") or self._builds  # who overrides one may want to read the body himself
        settings |= {"timeouts": timeouts, "tls": tls, "stream": stream or is_seen}
        if self.max_retries.total != 0:
            settings["retries"] = self.max_retries
        own = Call(Deadline(timeouts), tls)
        if call is not None:
            own.deadline.expires_at = call.deadline.expires_at
            own.cancel, own.trace, own.on_informational = call.cancel, call.trace, call.on_informational
            own.began = call.began
        if call is not None and given is not None and given.proxies and proxies == given.proxies.as_dict():
            own.proxy = call.proxy  # chosen for this URL, no_proxy included
        elif proxies:
            from client.proxies import ProxyMap

            own.proxy = ProxyMap(proxies).choose(url)
        response = transact(self.poolmanager, request, CallOptions(**settings), own)
        if call is not None:
            call.began = own.began
        if self._builds:
            tries, response = response.attempts, self.build_response(request, response.raw)
            response.attempts = tries
            return response
        response.connection = self
        return response

    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        """Return what stands for this adapter's own pool (requests' seam, which it does not call any more).

        A subclass may return a pool of urllib3 in its stead; what it sets on this has no effect.
        """
        return OwnPool()

    def add_headers(self, request: PreparedRequest, **kwargs: Any) -> None:
        """Add header fields to *request*; does nothing, for subclasses (requests' seam)."""

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """Make a `Response` of another library's, such as urllib3's ``HTTPResponse``.

        `send` calls it where it is overridden, and reads no body before that.

        Args:
            req: The request that it answers.
            resp: Has ``status``, ``reason``, ``headers`` and can be read as a file, as `Response.raw` does.
        """
        response = Response()
        response.status_code = resp.status
        response.headers = CaseInsensitiveDict(resp.headers)
        response.reason = resp.reason
        response.raw = resp
        response.url = str(req.url)
        response.request = req
        response.connection = self
        return response

    def close(self) -> None:
        """Close the idle connections."""
        self.poolmanager.close()

    def _remembered(self, tls: TLSSettings) -> TLSSettings:
        """Return settings equal to *tls* that were used before, with the context that they have made."""
        if len(self._tls) >= _MAX_TLS_SETTINGS:
            self._tls = {}
        return self._tls.setdefault(tls, tls)

    def _make_pool(self) -> None:
        """Call `init_poolmanager`; what a subclass asks urllib3's ``PoolManager`` for is done by a pool of ours."""
        self._ssl_context = self._timeout = None
        self._tls = {}
        self.init_poolmanager(self._pool_connections, self._pool_maxsize, block=self._pool_block)
        asked = getattr(self.poolmanager, "connection_pool_kw", None)
        if asked is None:
            return
        settings = {
            name: value
            for name, value in asked.items()
            if name not in ("maxsize", "block") and value is not None and not _says_required(name, value)
        }
        if unknown := sorted(settings.keys() - _POOL_SETTINGS):
            raise InvalidRequest(
                f"PoolManager({unknown[0]}=...): only {', '.join(sorted(_POOL_SETTINGS))} are known; "
                "TLS versions, ciphers and the like are set on an ssl.SSLContext"
            )
        HTTPAdapter.init_poolmanager(
            self,
            self._pool_connections,
            asked.get("maxsize", self._pool_maxsize),
            asked.get("block", self._pool_block),
            **settings,
        )

    def _obey(self, session: ConnectionPool) -> None:
        """Make the pool anew with what *session*'s pool says about addresses, where it says anything, and its limits.

        An address filter guards against requests to a private network; mounting must be no way round it.
        """
        own = self.__dict__.get("poolmanager")  # a subclass that never sends by us may leave out our __init__
        if own is session or not isinstance(own, ConnectionPool):
            return
        merged = NetworkOptions(
            resolver=own.options.resolver or session.options.resolver,
            address_filter=_both(own.options.address_filter, session.options.address_filter),
            socket_options=own.options.socket_options or session.options.socket_options,
            response_limits=session.options.response_limits,
        )
        merged.local = own.options.local or session.options.local
        own.close()
        self.poolmanager = ConnectionPool(own.limits, merged, own.uds or session.uds)

    def __getstate__(self) -> dict[str, Any]:
        """Keep the settings; connections and TLS contexts do not travel."""
        return {name: value for name, value in self.__dict__.items() if name not in _NOT_PICKLED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start with a pool of its own, made by `init_poolmanager` as a subclass may have it."""
        self.__dict__.update(state)
        self._make_pool()


class _AdapterRetry(Retry):
    """What an adapter makes of a number: its settings may be assigned, as in ``adapter.max_retries.total = 5``."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        """Check and set; a call under way goes on with what it began with, or the new."""
        self.__setstate__(self.new(**{name: value}).__getstate__())


_NOT_PICKLED: Final = frozenset({"poolmanager", "_ssl_context", "_tls"})

#: What of a ``PoolManager``'s settings a pool of ours knows.
_POOL_SETTINGS: Final = frozenset({"ca_certs", "socket_options", "source_address", "ssl_context", "timeout"})

#: Most TLS settings that an adapter remembers; programs use one or two.
_MAX_TLS_SETTINGS: Final = 16

#: What `_is_seen` compares with: the methods as they are defined here, whatever stands in their place later.
_OWN: Final = {"send": HTTPAdapter.send, "build_response": HTTPAdapter.build_response}
note_adapter(HTTPAdapter)


def _says_required(name: str, value: Any) -> bool:
    """Say whether this is urllib3's setting to check certificates, as is done here unless ``verify=False``."""
    return name == "cert_reqs" and getattr(value, "name", value) in ("CERT_REQUIRED", "REQUIRED")


def _timeouts(timeout: Any, given: CallOptions | None) -> Timeouts:
    """Return the limits of a call from what ``send`` was given, which a subclass may have changed."""
    limits = DEFAULT_TIMEOUTS if given is None else given.timeouts
    if timeout is None or timeout == timeout_of(limits):
        return limits
    return Timeouts.of(timeout).or_else(limits)


def _both(
    one: Callable[[str], bool] | None, other: Callable[[str], bool] | None
) -> Callable[[str], bool] | None:
    """Return a filter of addresses that passes what both pass."""
    if one is None or other is None or one is other:
        return one or other
    return lambda address: one(address) and other(address)
