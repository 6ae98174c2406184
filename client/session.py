"""`Session`: defaults, a cookie jar, connections and workers, behind requests' verbs.

A session merges what it was given with what a call gives (call before session before environment before default)
and hands the result to `client.exchange.run`, on the calling thread for a verb, on a worker for `submit`.  It may be
shared by any number of threads; nothing of a call is stored on it but cookies.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Final

from client.defaults import Defaults, default_headers
from client.download_calls import Downloads
from client.exceptions import InvalidRequest
from client.exchange import add_cookies, run
from client.merging import merge_headers
from client.mounts import Mounts
from client.parallel_calls import ParallelCalls
from client.request import PreparedRequest, Request
from client.setting_checks import check
from client.timeouts import NOT_GIVEN, timeout_error
from client.transport.dialer import NetworkOptions
from client.transport.pool import ConnectionPool
from client.transport.pool_limits import DEFAULT_LIMITS, PoolLimits, check_limits
from client.url import parse_url

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import Self, Unpack

    from client.arguments import GetArguments, PostArguments, PutArguments, RequestArguments, SendArguments
    from client.call_options import CallOptions
    from client.headers import CaseInsensitiveDict
    from client.response import Response
    from client.response_limits import ResponseLimits
    from client.retries import Attempt, Retry
    from client.timeouts import NotGiven, TimeoutTypes
    from client.transport.cancel import CancelToken
    from client.transport.resolver import Resolver
    from client.transport.tls import CertTypes, VerifyTypes
    from client.transport.wire import Proxy, Transport
    from client.url import URL
    from client.workers import RequestFuture, WorkerPool

__all__ = ["Session", "session"]


class Session(Defaults, Mounts, ParallelCalls, Downloads):
    """A place for everything that calls have in common.

    Args:
        base_url: Relative URLs of calls are appended to its path. An absolute URL of another origin is sent
            without this session's auth, params, cookies and headers of its own.
        headers: Fields for every call, added to User-Agent, Accept-Encoding and Accept; None removes one.
        params: Added to every URL's query.
        auth: For every call that brings none: (user, password), an object of `client.auth`, or a callable.
        cookies: To start with: a mapping of names to values, or an iterable of cookies.
        timeout: Seconds for connect, read and write; (connect, read); None for no limit; or `client.Timeouts`.
            What it leaves out: connect 10, read 60, write 60, pool 60, total none.
        retries: Further attempts: a number, or `client.Retry`. Default none.
        verify: True: certifi's roots. A path: these roots only. ``"system"``, an `ssl.SSLContext`, or False. Or
            `client.TLSSettings`, for a pinned certificate or another server name; then they count alone.
        cert: Client certificate: a path, (certificate, key) or (certificate, key, password).
        proxies: Scheme, ``"all"`` or ``"scheme://host"`` to a proxy URL, or to a `client.Proxy` with TLS settings.
        trust_env: Read proxies, CA bundle and netrc from the environment, once, at the first call.
        max_redirects: Hops that are followed; one more raises `TooManyRedirects`.
        redirect_headers: Names of further header fields that go along to another origin.
        limits: `client.PoolLimits`: how many connections there may be (never fewer than workers), and how long an
            idle one is kept.
        response_limits: `client.ResponseLimits`: what a server may send in heads, chunk lines, trailers, 1xx answers,
            codings and cookies.
        workers: Threads for `submit`, `map` and `as_completed`. Default: four a CPU, at most 32.
        offload: Run every verb on a worker as well and wait for it, so that the total timeout holds whatever blocks.
        transport: Carries requests out in place of the network, such as `client.testing.MockTransport`.
        resolver: Called with (host, port), returns IP addresses, in place of the system's look-up.
        address_filter: Called with each IP address about to be connected to; a false answer forbids it.
        local_address: IP address to connect from.
        socket_options: (level, name, value) for `setsockopt` on each TCP socket.
        uds: Path of a Unix domain socket that every connection goes to.
        trace: Called with (event, facts) as calls go on: ``X.start``, then ``X.end`` or ``X.failed``, X being queue,
            dns, connect, proxy, tls, send, continue, wait and receive; and ``retry``, ``redirect``.
        max_body: Most bytes of a decoded response body. Default none.
        max_ratio: Most decoded bytes for each one on the wire. Default none.
        on_retry: Called with each `client.retries.Attempt` that another one follows.
        on_informational: Called with (status, fields) of each 1xx answer.

    Attributes:
        headers, params, auth, cookies, timeout, retries, verify, cert, proxies, trust_env, max_redirects: As above;
            may be changed at any time, for the calls that begin later.
        hooks: ``{"response": [function, ...]}``, called with each response.
        stream: Default of ``stream=``; False.

    Raises:
        InvalidRequest: An argument makes no sense.
    """

    #: requests' list of what is pickled, which subclasses extend; here everything is, but connections and workers.
    __attrs__: ClassVar[list[str]] = [
        "headers", "cookies", "auth", "proxies", "hooks", "params", "verify", "cert", "adapters", "stream", "trust_env",
        "max_redirects",
    ]  # fmt: skip

    def __init__(
        self,
        *,
        base_url: str | None = None,
        headers: Mapping[str, str | bytes | None] | None = None,
        params: Any = None,
        auth: Any = None,
        cookies: Any = None,
        timeout: TimeoutTypes = NOT_GIVEN,
        retries: int | Retry | None = None,
        verify: VerifyTypes | NotGiven = NOT_GIVEN,
        cert: CertTypes = None,
        proxies: Mapping[str, str | Proxy | None] | None = None,
        trust_env: bool = True,
        max_redirects: int = 30,
        redirect_headers: Collection[str] = (),
        limits: PoolLimits | None = None,
        response_limits: ResponseLimits | None = None,
        workers: int | None = None,
        offload: bool = False,
        transport: Transport | None = None,
        resolver: Resolver | None = None,
        address_filter: Callable[[str], bool] | None = None,
        local_address: str | None = None,
        socket_options: Iterable[tuple[int, int, int | bytes]] | None = None,
        uds: str | os.PathLike[str] | None = None,
        trace: Callable[[str, dict[str, Any]], None] | None = None,
        max_body: int | None = None,
        max_ratio: float | None = None,
        on_retry: Callable[[Attempt], object] | None = None,
        on_informational: Callable[[int, Sequence[tuple[bytes, bytes]]], None] | None = None,
    ) -> None:
        """Hold the settings; no connection, thread or file is opened before the first call."""
        super().__init__(cookies, verify, response_limits)
        self._adapters = None  # as in the class, where to find it would cost each call more than all the rest
        if base_url is not None:  # a subclass written for requests may have an attribute of this name by now
            self.base_url: str | URL | None = parse_url(base_url)
        self.headers: CaseInsensitiveDict = merge_headers(default_headers(), headers)
        self.params: Any = {} if params is None else params
        self.auth = auth
        self.timeout = timeout
        self.retries = retries
        self.cert = cert
        check("proxies", proxies)
        self.proxies: dict[str, str | Proxy | None] = dict(proxies or {})
        self.trust_env = trust_env
        self.max_redirects = max_redirects
        self.redirect_headers: Collection[str] = redirect_headers
        self.offload = offload
        self.trace = trace
        self.max_body = max_body
        self.max_ratio = max_ratio
        self.on_retry = on_retry
        self.on_informational = on_informational
        self.hooks: dict[str, list[Callable[..., Any]]] = {"response": []}
        self.stream = False
        self._workers = min(32, 4 * (os.cpu_count() or 1)) if workers is None else workers
        self._worker_pool: WorkerPool | None = None
        check("transport", transport)
        self._transport = transport or ConnectionPool(
            _limits_for(limits, self._workers),
            NetworkOptions(
                resolver=resolver,
                address_filter=address_filter,
                local_address=local_address,
                socket_options=socket_options,
                response_limits=response_limits,
            ),
            uds,
        )

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Keep what is set through a property so where a subclass has a plain value of that name.

        It would hide the property: what is assigned to a session would be shown, and not be in force. As with
        requests, whose constructor sets them, the value of the class counts for nothing.
        """
        super().__init_subclass__(**arguments)
        for name in ("adapters", "cookies", "verify"):
            if not hasattr(getattr(cls, name), "__set__"):
                setattr(cls, name, getattr(Session, name))

    # -- verbs ---------------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        url: str | bytes | URL,
        params: Any = None,
        data: Any = None,
        headers: Mapping[str, str | bytes | None] | None = None,
        cookies: Any = None,
        files: Any = None,
        auth: Any = None,
        timeout: TimeoutTypes = NOT_GIVEN,
        allow_redirects: bool = True,
        proxies: Mapping[str, str | Proxy | None] | None = None,
        hooks: Mapping[str, Any] | None = None,
        stream: bool | None = None,
        verify: VerifyTypes | None = None,
        cert: CertTypes = None,
        json: Any = None,
        *,
        trailers: Any = None,
        retries: int | Retry | NotGiven | None = NOT_GIVEN,
        idempotent: bool | None = None,
        expect: bool | int = False,
        progress: Callable[[int, int | None], object] | None = None,
        max_body: int | NotGiven | None = NOT_GIVEN,
        max_ratio: float | NotGiven | None = NOT_GIVEN,
        _cancel: CancelToken | None = None,
    ) -> Response:
        """Send a request and return its response.

        Args:
            method: A token such as ``"GET"``; sent in upper case.
            url: Absolute, or relative to ``base_url``.

        The other arguments are described in `client.arguments`, each with its default; the order is requests'.

        Raises:
            InvalidRequest: An argument is wrong; nothing was sent.
            ConnectionError: No connection came about, or the exchange broke on the wire.
            Timeout: A limit passed; ``phase`` and ``seconds`` say which.
            TooManyRedirects, RedirectError, RetryError: The call went on, and to no good end.
            ChunkedEncodingError, ContentDecodingError, BodyTooLarge: The body is broken, cut short or too large.
        """
        patched = self._is_patched  # requests' seams for subclasses may be filled
        if patched and not self._is_own("prepare_request"):
            asked = Request(
                method, url, headers, files, data, params, auth, cookies, hooks, json, trailers=trailers
            )
            request = self.prepare_request(asked)
            if not isinstance(request, PreparedRequest):
                raise InvalidRequest(f"prepare_request must not return a {type(request).__name__}")
        else:
            request = self._prepare(
                method, url, params, data, headers, cookies, files, auth, hooks, json, trailers
            )
        merges = not patched or self._is_own("merge_environment_settings")
        if getattr(self.send, "__func__", None) is not _SEND or not merges:
            given: dict[str, Any] = {
                "timeout": timeout, "retries": retries, "max_body": max_body, "max_ratio": max_ratio,
                "idempotent": idempotent, "progress": progress, "expect": expect or None, "_cancel": _cancel,
            }  # fmt: skip
            given = {
                name: value for name, value in given.items() if value is not None and value is not NOT_GIVEN
            }
            settings = self.merge_environment_settings(request.url or "", proxies, stream, verify, cert)
            if merges:
                settings["proxies"] = proxies  # not those of this very URL: a redirect may need others
            return self.send(request, **{"allow_redirects": allow_redirects, **given, **settings})
        options = self._options_for(
            timeout, allow_redirects, stream, proxies, verify, cert, retries, idempotent, expect, progress, max_body,
            max_ratio,
        )  # fmt: skip
        if self.offload and _cancel is None:
            return self._offload(request, options)
        return run(self, request, options, _cancel)

    def get(self, url: str | bytes | URL, params: Any = None, **arguments: Unpack[GetArguments]) -> Response:
        """Send a GET request; see `request`."""
        if params is not None:  # and never by position: an overridden `request` may have another order
            return self.request("GET", url, params=params, **arguments)
        if arguments or (plain := self._plain("GET", url)) is None:
            return self.request("GET", url, **arguments)
        return run(self, *plain)

    def options(self, url: str | bytes | URL, **arguments: Unpack[RequestArguments]) -> Response:
        """Send an OPTIONS request; see `request`."""
        return self.request("OPTIONS", url, **arguments)

    def head(self, url: str | bytes | URL, **arguments: Unpack[RequestArguments]) -> Response:
        """Send a HEAD request; see `request`. Redirects are not followed unless ``allow_redirects=True``."""
        arguments.setdefault("allow_redirects", False)
        return self.request("HEAD", url, **arguments)

    def post(
        self, url: str | bytes | URL, data: Any = None, json: Any = None, **arguments: Unpack[PostArguments]
    ) -> Response:
        """Send a POST request; see `request`."""
        if arguments or (plain := self._plain("POST", url)) is None:
            return self.request("POST", url, data=data, json=json, **arguments)
        plain[0].prepare_body(data, None, json)
        return run(self, *plain)

    def put(self, url: str | bytes | URL, data: Any = None, **arguments: Unpack[PutArguments]) -> Response:
        """Send a PUT request; see `request`."""
        return self.request("PUT", url, data=data, **arguments)

    def patch(self, url: str | bytes | URL, data: Any = None, **arguments: Unpack[PutArguments]) -> Response:
        """Send a PATCH request; see `request`."""
        return self.request("PATCH", url, data=data, **arguments)

    def delete(self, url: str | bytes | URL, **arguments: Unpack[RequestArguments]) -> Response:
        """Send a DELETE request; see `request`."""
        return self.request("DELETE", url, **arguments)

    def _begin(self) -> None:
        """As in `Defaults`; and see whether a subclass has something else to do."""
        if not (self._is_own("prepare_request") and self._is_own("merge_environment_settings")):
            self.__dict__["_is_patched"] = True
        super()._begin()

    def _is_own(self, method: str) -> bool:
        """Say whether *method* is neither overridden nor replaced."""
        return getattr(getattr(self, method), "__func__", None) is _OWN[method]

    def _plain(self, method: str, url: str | bytes | URL) -> tuple[PreparedRequest, CallOptions] | None:
        """As `_plain_call`; None also where `request` or `send` was replaced, or has something else to do."""
        cls = type(self)
        if cls.request is not _REQUEST or cls.send is not _SEND or self._is_patched or self.offload:
            return None
        return self._plain_call(method, url)

    # -- prepared requests --------------------------------------------------------------------------------------

    def prepare_request(self, request: Request) -> PreparedRequest:
        """Merge *request* with this session's headers, params, auth, cookies and hooks, and check it.

        The result may be edited, and is sent by `send`.

        Raises:
            InvalidRequest: A part is wrong.
        """
        if not hasattr(request, "method"):
            raise InvalidRequest(f"what is prepared must be a Request, not {type(request).__name__}")
        prepared = self._prepare(
            request.method,
            request.url,
            request.params or None,
            request.data or None,
            request.headers or None,
            request.cookies,
            request.files or None,
            request.auth,
            request.hooks,
            request.json,
            request.trailers,
        )
        add_cookies(self, prepared)
        return prepared

    def send(
        self,
        request: PreparedRequest,
        *,
        _cancel: CancelToken | None = None,
        **arguments: Unpack[SendArguments],
    ) -> Response:
        """Send a prepared request as it is: nothing of this session is added but cookies received meanwhile.

        A subclass that overrides this method gets every call of `request` and the verbs, redirects included.

        Args:
            request: From `prepare_request` or `Request.prepare`.
            arguments: How; see `client.arguments.SendArguments`.

        Raises:
            ValueError: *request* is not prepared.
            RequestException: As `request`.
        """
        if not isinstance(request, PreparedRequest):
            raise InvalidRequest("You can only send PreparedRequests; see Session.prepare_request")
        options = self._options_for(**arguments)
        if self.offload and _cancel is None:
            return self._offload(request, options)
        return run(self, request, options, _cancel)

    # -- on workers -----------------------------------------------------------------------------------------------

    def submit(
        self, method: str, url: str | bytes | URL, **arguments: Unpack[RequestArguments]
    ) -> RequestFuture[Response]:
        """Send a request on a worker; return its future at once.

        Args:
            method, url, arguments: As `request`. What they raise is raised by the future's ``result()``.

        Returns:
            A `concurrent.futures.Future`, whose ``cancel()`` also stops a call that is under way. Until it is done,
            ``result()`` is RuntimeError on our own workers; `concurrent.futures.wait` there may wait for ever.

        Raises:
            TypeError: A subclass overrides `request` or `send` and does not take all of its arguments.
        """
        from client.workers import refuse_unstoppable

        refuse_unstoppable(self)
        return self._pool().submit(lambda token: self.request(method, url, **arguments, _cancel=token))

    # -- life ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop submitted work and close the idle connections.

        A response that was handed out keeps its connection until it is read or closed, and the session may be
        used again; both as in requests.
        """
        with self._lock:
            workers, self.__dict__["_worker_pool"] = self._worker_pool, None
        if workers is not None:
            workers.close()
        self._transport.close()
        for adapter in (self._adapters or {}).values():
            adapter.close()

    def abort(self) -> None:
        """Stop everything at once: every call under way, on any thread, raises `SessionClosed`."""
        pools = [getattr(adapter, "poolmanager", None) for adapter in (self._adapters or {}).values()]
        for transport in (self._transport, *pools):
            abort = getattr(transport, "abort", None)
            if abort is not None:
                abort()
        self.close()

    def __enter__(self) -> Self:
        """Return the session; leaving the block closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the session."""
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """Keep settings, cookies and adapters; connections and workers do not travel."""
        state = super().__getstate__() | {"_worker_pool": None}
        if isinstance(self._transport, ConnectionPool):
            state["_transport"] = (self._transport.limits, self._transport.options, self._transport.uds)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start with no connection, as a new session does."""
        super().__setstate__(state)
        if isinstance(self._transport, tuple):
            self._transport = ConnectionPool(*self._transport)
        for adapter in (self._adapters or {}).values():
            if getattr(adapter, "_is_around", False):
                adapter.poolmanager = self._transport  # type: ignore[attr-defined]  # an `HTTPAdapter`

    def __repr__(self) -> str:
        """Show the connections' state."""
        return f"<Session {self._transport!r}>"

    def _pool(self) -> WorkerPool:
        """Return the workers, which start with the first job."""
        with self._lock:
            pool = self._worker_pool
            if pool is None or pool.process != os.getpid():
                from client.workers import WorkerPool

                pool = self.__dict__["_worker_pool"] = WorkerPool(self._workers)
            return pool

    def _offload(self, request: PreparedRequest, options: CallOptions) -> Response:
        """Run the call on a worker and wait, no longer than its total timeout, whatever it is held up by."""
        pool = self._pool()
        if pool.is_own_worker():  # a hook or an auth flow that makes a call of its own
            return run(self, request, options)
        total = options.timeouts.total
        future = pool.submit(lambda token: run(self, request, options, token))
        try:
            done = future.wait(total)  # type: ignore[arg-type]  # complete limits
        except BaseException:  # Ctrl-C
            future.cancel()
            raise
        if not done:
            late = timeout_error("total", total, "total")  # type: ignore[arg-type]  # as above
            late.request = request
            future.token.cancel(late)
            raise late
        try:
            return future.result()
        finally:
            del future  # the traceback of an error holds this frame, and the future the error


_REQUEST: Final = Session.request
_SEND: Final = Session.send
_OWN: Final = {
    "prepare_request": Session.prepare_request,
    "merge_environment_settings": Session.merge_environment_settings,
}


def session() -> Session:
    """Return a new `Session` (requests' function of that name)."""
    return Session()


def _limits_for(limits: PoolLimits | None, workers: int) -> PoolLimits:
    """Return the pool's limits, with room for all workers at one origin."""
    limits = check_limits(DEFAULT_LIMITS if limits is None else limits)
    if type(workers) is not int or workers < 1:
        raise InvalidRequest(f"workers={workers!r}: expected a number of threads, at least 1")
    return limits._replace(total=max(limits.total, workers), per_origin=max(limits.per_origin, workers))
