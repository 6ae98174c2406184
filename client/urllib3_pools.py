"""Adapters that bring connections of urllib3's: how docker reaches a Unix socket, a named pipe or a machine by SSH.

requests lets a subclass of `HTTPAdapter` answer ``get_connection_with_tls_context`` (before 2.32: ``get_connection``)
with a pool of urllib3.  The law of the room: such a request and its answer go by that pool and not by our engine; only
what goes in is checked here, and what comes out is made ours.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from client.exceptions import (
    ConnectionError,
    ConnectTimeout,
    InvalidRequest,
    ProxyError,
    ReadTimeout,
    RequestException,
    SSLError,
)
from client.foreign_raw import kind_of_urllib3

if TYPE_CHECKING:
    from collections.abc import Mapping

    from client.prepared import PreparedRequest
    from client.response import Response
    from client.timeouts import Timeouts

__all__ = ["OwnPool", "pool_of", "send_by_pool"]

#: urllib3's errors before the head of an answer is there, by the name of a base class -> ours, as in requests.
_ERRORS: Final[dict[str, type[RequestException]]] = {
    "ConnectTimeoutError": ConnectTimeout,
    "HTTPError": ConnectionError,
    "NewConnectionError": ConnectionError,
    "ProxyError": ProxyError,
    "ReadTimeoutError": ReadTimeout,
    "SSLError": SSLError,
}


class OwnPool:
    """What `HTTPAdapter.get_connection` returns: stands for the adapter's own pool, and takes whatever is set on it."""

    def __init__(self) -> None:
        """Have the attribute that adapters look at first."""
        self.conn_kw: dict[str, Any] = {}


def pool_of(
    adapter: Any, request: PreparedRequest, verify: Any, cert: Any, proxies: Mapping[str, Any] | None
) -> Any:
    """Return the pool of urllib3 that *adapter*, a subclass that says what connects, brings; None: our own.

    Args:
        adapter: An `HTTPAdapter`.
        request, verify, cert, proxies: Handed to the adapter.

    Raises:
        InvalidRequest: The pool is one for https, where *verify* and *cert* would not hold.
        Exception: Whatever the adapter raises.
    """
    if hasattr(adapter, "get_connection_with_tls_context"):  # `HTTPAdapter` itself has no such method
        pool = adapter.get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
    else:
        pool = adapter.get_connection(request.url, proxies)
    if isinstance(pool, OwnPool):
        return None
    if pool.scheme == "https":
        raise InvalidRequest("an adapter's own pool of urllib3 must not be one for https", request=request)
    return pool


def send_by_pool(
    adapter: Any, pool: Any, request: PreparedRequest, timeouts: Timeouts, proxies: Mapping[str, Any] | None
) -> Response:
    """Send *request* by *pool* and return what the adapter's ``build_response`` makes of the answer.

    Args:
        adapter: Its ``request_url``, if it has one, says what stands in the request line. Its ``max_retries``
            don't count.
        pool: From `pool_of`.
        request: Complete.
        timeouts: Complete; connect and read count.
        proxies: Handed to the adapter.

    Raises:
        ConnectTimeout, ReadTimeout, SSLError, ProxyError, ConnectionError: What urllib3 raises.
        Exception: Whatever the adapter raises.
    """
    wire = request.for_wire()
    body, is_chunked = wire.body, False
    if body is not None and not isinstance(body, bytes):
        body, is_chunked = body.chunks(), body.length is None  # type: ignore[assignment]  # for urllib3, not for us
    try:
        answer = pool.urlopen(
            wire.method,
            adapter.request_url(request, proxies) if hasattr(adapter, "request_url") else request.path_url,
            body=body,
            headers={name.decode(): value.decode("latin-1") for name, value in wire.headers},
            timeout=import_module("urllib3").Timeout(connect=timeouts.connect, read=timeouts.read),
            chunked=is_chunked,
            retries=False,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )
    except Exception as error:
        kind = kind_of_urllib3(error, _ERRORS)
        if kind is None:
            raise
        raise kind(f"the adapter's pool failed: {type(error).__name__}", request=request) from error
    response: Response = adapter.build_response(request, answer)
    return response
