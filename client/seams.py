"""requests' seams in a call: what adapters and hooks are called with, and what is made of their answers.

Both are written by others, for requests: they get its five arguments and know nothing of the rest.  So the rest, the
deadline, the stop switch and the limits of the call under way, travels with the request; `HTTPAdapter` finds it there.
"""

from __future__ import annotations

from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

from client.hooks import dispatch_hook
from client.timeouts import DEFAULT_TIMEOUTS

if TYPE_CHECKING:
    from client.adapters import BaseAdapter
    from client.call_options import CallOptions
    from client.request import PreparedRequest
    from client.response import Response
    from client.session import Session
    from client.timeouts import Timeouts
    from client.transport.tls import TLSSettings
    from client.transport.wire import Call

__all__ = ["call_hooks", "cert_of", "note_adapter", "noted", "send_is_replaced", "send_through", "timeout_of"]

#: `HTTPAdapter` and the ``send`` it was defined with, once its module is loaded; nobody else is in here.
noted: list[tuple[type[BaseAdapter], Any]] = []


def note_adapter(adapter: type[BaseAdapter]) -> None:
    """Remember what *adapter* sends with; see `send_is_replaced`."""
    noted.append((adapter, adapter.send))


def send_is_replaced() -> bool:
    """Say whether a test has put a double in the place of ``HTTPAdapter.send``; then every session has to call it.

    That is how requests is mocked (`unittest.mock.patch`, the package responses).
    """
    return any(adapter.send is not send for adapter, send in noted)


def send_through(
    adapter: BaseAdapter, request: PreparedRequest, options: CallOptions, call: Call
) -> Response:
    """Send *request* by *adapter* and return what it answers, bound to the limits of the call.

    Raises:
        TypeError: It answers something else than a `Response`.
        Exception: Whatever the adapter raises.
    """
    started = monotonic()
    request._under_way = (options, call)
    try:
        response = _checked(adapter.send(request, **_arguments(options, call)), adapter)
    finally:
        request._under_way = None
    if response._wire is None:  # not by a transport of ours
        response.elapsed = timedelta(seconds=monotonic() - started)
        response._max_body, response._max_ratio = options.max_body, options.max_ratio
    return response


def call_hooks(
    session: Session, request: PreparedRequest, response: Response, options: CallOptions, call: Call
) -> Response:
    """Return what the hooks of *request* make of *response*.

    A hook may send the request, or a copy, once more by ``response.connection.send(request, **kwargs)``: how auth
    plugins for requests answer a challenge.

    Raises:
        Exception: Whatever a hook raises.
    """
    if response.connection is None:
        response.connection = session.get_adapter(url=request.url or "")
    request._under_way = (options, call)
    try:
        response = dispatch_hook("response", request.hooks, response, **_arguments(options, call))
    except BaseException:
        response.close()  # nobody is left to read it
        raise
    finally:
        request._under_way = None
    if response.request is not None:
        response.request._under_way = None  # a copy has taken it along
    return response


def _checked(answer: Any, adapter: BaseAdapter) -> Response:
    """Return *answer* if it can be used as a `Response`; one that wraps another and passes its attributes on can."""
    if not hasattr(answer, "_wire"):
        seen = "None" if answer is None else f"a {type(answer).__module__}.{type(answer).__qualname__}"
        raise TypeError(f"{type(adapter).__qualname__}.send returned {seen}, not a client.Response")
    return answer  # type: ignore[no-any-return]  # as good as one


def timeout_of(timeouts: Timeouts) -> Any:
    """Return *timeouts* as requests would have been given them; None for the defaults, which it does not have."""
    if timeouts == DEFAULT_TIMEOUTS:
        return None
    return timeouts.read if timeouts.connect == timeouts.read else (timeouts.connect, timeouts.read)


def cert_of(tls: TLSSettings) -> Any:
    """Return the client certificate of *tls* in requests' form: a path, or (certificate, key), or with a password."""
    cert = tls.cert
    if cert is None or cert[2] is not None:
        return cert
    return cert[0] if cert[1] is None else cert[:2]


def _arguments(options: CallOptions, call: Call) -> dict[str, Any]:
    """Return what requests passes beside the request or response. Proxies are those for this very URL."""
    return {
        "stream": options.stream,
        "timeout": timeout_of(options.timeouts),
        "verify": options.tls.verify,
        "cert": cert_of(options.tls),
        "proxies": {} if call.proxy is None or options.proxies is None else options.proxies.as_dict(),
    }
