"""What tells connections apart: two calls may share one exactly if their keys are equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from client.transport.race import check_allowed
from client.transport.resolver import literal

if TYPE_CHECKING:
    from client.transport.dialer import NetworkOptions
    from client.transport.wire import Call
    from client.url import URL

__all__ = ["direct_key", "proxied_key"]


def direct_key(url: URL, call: Call) -> Any:
    """Return the key of connections to the origin of *url* itself."""
    return url.origin if url.scheme == "http" else (url.origin, call.tls)


def proxied_key(url: URL, call: Call, options: NetworkOptions) -> Any:
    """Return the key of connections through the call's proxy.

    Raises:
        AddressNotAllowed: The origin is an IP address that the filter refuses. A name is looked up by the proxy.
    """
    address = None if options.address_filter is None else literal(url.host, url.port)
    if address is not None:
        check_allowed(address, options)
    # A plain http request looks the same to the proxy whatever its origin, so the connection is shared.
    is_shared = url.scheme == "http" and call.proxy is not None and call.proxy.scheme in ("http", "https")
    return (None, call.proxy) if is_shared else (url.origin, call.tls, call.proxy)
