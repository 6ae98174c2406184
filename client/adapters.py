"""requests' transport adapters: `Session.mount` puts one in the place of the session's own transport.

`HTTPAdapter` sends one request, without following its redirects, through a pool of its own; a subclass that overrides
``send`` sees each hop.  Sessions need no adapter: what requests needs one for (retries, pool sizes, socket options, TLS
contexts) are arguments of `client.Session`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from client.exceptions import InvalidSchema
from client.exchange import CallOptions, transact
from client.headers import CaseInsensitiveDict
from client.response import Response
from client.retries import Retry
from client.timeouts import DEFAULT_TIMEOUTS, NOT_GIVEN, Deadline, Timeouts
from client.transport.pool import DEFAULT_LIMITS, ConnectionPool
from client.transport.tls import TLSSettings
from client.transport.wire import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from client.request import PreparedRequest
    from client.timeouts import TimeoutTypes
    from client.transport.tls import CertTypes, VerifyTypes
    from client.transport.wire import Transport

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
        proxies: Mapping[str, str | None] | None = None,
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
    """Sends http and https requests.

    Args:
        pool_connections: Accepted for requests' signature; connections to any number of origins are kept.
        pool_maxsize: Unused connections that are kept, in all; and connections to one origin if *pool_block*.
        max_retries: Further attempts: a number, `client.Retry`, or urllib3's ``Retry``.
        pool_block: Wait for a connection where *pool_maxsize* are in use, instead of opening another.
    """

    def __init__(
        self,
        pool_connections: int = 10,
        pool_maxsize: int = 10,
        max_retries: Any = 0,
        pool_block: bool = False,
    ) -> None:
        """Open nothing yet."""
        self.max_retries = Retry.of(max_retries)
        self._pool_maxsize = pool_maxsize
        self._pool_block = pool_block
        limits = DEFAULT_LIMITS._replace(idle=max(pool_connections, pool_maxsize))
        self._transport: Transport = ConnectionPool(
            limits._replace(per_origin=pool_maxsize) if pool_block else limits
        )

    @classmethod
    def around(cls, transport: Transport) -> HTTPAdapter:
        """Return an adapter that sends through *transport*, a session's own."""
        adapter = cls()
        adapter._transport = transport
        return adapter

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: TimeoutTypes = None,
        verify: VerifyTypes = True,
        cert: CertTypes = None,
        proxies: Mapping[str, str | None] | None = None,
    ) -> Response:
        """Send *request* and return its response with the body unread.

        Args:
            request, stream, verify, cert, proxies: As in `BaseAdapter.send`.
            timeout: As a session takes it; None for the defaults, which are finite.

        Raises:
            InvalidSchema: The URL is neither http nor https.
            RequestException: As `Session.request`.
        """
        url = request._url
        if url is None or url.scheme not in ("http", "https", "http+unix"):
            raise InvalidSchema("HTTPAdapter sends http and https only", request=request)
        self.add_headers(request, stream=stream, timeout=timeout, verify=verify, cert=cert, proxies=proxies)
        options = CallOptions(
            timeouts=Timeouts.of(NOT_GIVEN if timeout is None else timeout).or_else(DEFAULT_TIMEOUTS),
            tls=TLSSettings(verify, cert),
            retries=self.max_retries,
            stream=True,  # the session reads the body, when it knows that no redirect follows
        )
        call = Call(Deadline(options.timeouts), options.tls)
        if proxies:
            from client.proxies import ProxyMap

            call.proxy = ProxyMap(proxies).choose(url)
        response = transact(self._transport, request, options, call)
        response.connection = self
        return response

    def add_headers(self, request: PreparedRequest, **kwargs: Any) -> None:
        """Add header fields to *request*; does nothing, for subclasses (requests' seam)."""

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """Make a `Response` of another library's, such as urllib3's ``HTTPResponse``.

        Args:
            req: The request that it answers.
            resp: Has ``status``, ``reason``, ``headers`` and can be read as a file.
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
        self._transport.close()

    def __getstate__(self) -> dict[str, Any]:
        """Keep the settings; connections do not travel."""
        return {name: value for name, value in self.__dict__.items() if name != "_transport"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start with a pool of its own."""
        HTTPAdapter.__init__(
            self,
            pool_maxsize=state["_pool_maxsize"],
            max_retries=state["max_retries"],
            pool_block=state["_pool_block"],
        )
        self.__dict__.update(state)
