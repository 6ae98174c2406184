"""The functions of the module: each makes a session for one call, as in requests.

Two calls to one server share nothing, not even a connection; for more than one call use `Session`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from client.session import Session

if TYPE_CHECKING:
    from typing import Unpack

    from client.arguments import GetArguments, PostArguments, PutArguments, RequestArguments
    from client.response import Response
    from client.url import URL

__all__ = ["delete", "get", "head", "options", "patch", "post", "put", "request"]


def request(method: str, url: str | bytes | URL, **arguments: Unpack[RequestArguments]) -> Response:
    """Send a request on a session of its own.

    Args:
        method: A token such as ``"GET"``.
        url: Absolute.
        arguments: See `client.arguments.RequestArguments`.

    Raises:
        RequestException: As `Session.request`.
    """
    # A streamed response keeps its connection after the session is closed, until it is read.
    with Session() as session:
        return session.request(method=method, url=url, **arguments)  # by name, as doubles for requests expect


def get(url: str | bytes | URL, params: Any = None, **arguments: Unpack[GetArguments]) -> Response:
    """Send a GET request; see `request`."""
    return request("GET", url, params=params, **arguments)


def options(url: str | bytes | URL, **arguments: Unpack[RequestArguments]) -> Response:
    """Send an OPTIONS request; see `request`."""
    return request("OPTIONS", url, **arguments)


def head(url: str | bytes | URL, **arguments: Unpack[RequestArguments]) -> Response:
    """Send a HEAD request; see `request`. Redirects are not followed unless ``allow_redirects=True``."""
    arguments.setdefault("allow_redirects", False)
    return request("HEAD", url, **arguments)


def post(
    url: str | bytes | URL, data: Any = None, json: Any = None, **arguments: Unpack[PostArguments]
) -> Response:
    """Send a POST request; see `request`."""
    return request("POST", url, data=data, json=json, **arguments)


def put(url: str | bytes | URL, data: Any = None, **arguments: Unpack[PutArguments]) -> Response:
    """Send a PUT request; see `request`."""
    return request("PUT", url, data=data, **arguments)


def patch(url: str | bytes | URL, data: Any = None, **arguments: Unpack[PutArguments]) -> Response:
    """Send a PATCH request; see `request`."""
    return request("PATCH", url, data=data, **arguments)


def delete(url: str | bytes | URL, **arguments: Unpack[RequestArguments]) -> Response:
    """Send a DELETE request; see `request`."""
    return request("DELETE", url, **arguments)
