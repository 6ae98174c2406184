"""The loop of one call: send, look at the answer, and perhaps send again.

`run` is what a verb executes on the calling thread and what a worker executes for `Session.submit`; there is
no other way to the network.  It calls its siblings in a row and never wraps them in each other: auth, cookies,
the choice of a proxy, the transport with its resends and retries, cookies again, hooks, redirects.  Each of them
is a policy that decides; only this room acts on what they say.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

from client.body import CallableBody
from client.exceptions import InvalidRequest, RequestException, TooManyRedirects, UnrewindableBodyError
from client.headers import CaseInsensitiveDict
from client.prepared import USUAL_METHODS, PreparedRequest, checked_method
from client.redirects import REDIRECT_STATUSES, Redirect, follow, same_origin, surviving_fields
from client.seams import call_hooks, send_through
from client.transaction import is_replayable, let_go, transact

if TYPE_CHECKING:
    from client.call_options import CallOptions
    from client.cookies import RequestsCookieJar
    from client.defaults import Defaults
    from client.response import Response
    from client.session import Session
    from client.transport.cancel import CancelToken
    from client.transport.wire import Call
    from client.url import URL

__all__ = ["add_cookies", "keep_cookies", "next_request", "redirect_of", "run"]


def run(
    session: Session, request: PreparedRequest, options: CallOptions, cancel: CancelToken | None = None
) -> Response:
    """Carry out one call and return its final response, with ``history``.

    Args:
        session: Its cookies, transports and hooks are used; nothing of the call stays on it but cookies.
        request: What to send first; its ``method`` and ``url`` are set.
        options: The settings.
        cancel: The stop switch, None on the calling thread.

    Raises:
        RequestException: Any of the tree; ``request`` is the hop that failed.
        Exception: Whatever a hook, an auth flow or a body's iterator raises.
    """
    call = options.call()
    if cancel is not None:
        call.cancel = cancel
    if session.on_informational is not None:
        call.on_informational = session.on_informational
    if session.trace is not None:
        call.trace = session.trace
    history: list[Response] = []
    hops = 0
    while True:
        if request._auth is None:
            response = _hop(session, request, options, call)
        else:
            response = _with_auth(request._auth, session, request, options, call, history)
        if response.status_code not in REDIRECT_STATUSES:
            break
        request = _answered(request, response)
        try:
            following = session._request_after(response, request)
        except BaseException as error:
            if not options.allow_redirects and isinstance(error, RequestException):
                break  # the caller looks at the Location himself: an OAuth login ends with one such as myapp://
            let_go(response)
            raise
        if following is None:
            break
        if not options.allow_redirects:
            response._next = following
            break
        response._history = history.copy()
        history.append(response)
        let_go(response)
        if call.trace is not None:
            call.trace("redirect", {"status": response.status_code, "url": _url_of(following).redacted})
        hops += 1
        if hops > options.max_redirects:
            message = f"Exceeded {options.max_redirects} redirects."
            raise TooManyRedirects(message, response=response, request=request)
        if not is_replayable(following.wire_body()):
            message = "the redirect needs the body once more, and it was used up by the first request"
            raise UnrewindableBodyError(message, response=response, request=following)
        request = following
    if history:
        response._history = history
    if response._content is False and not options.stream:
        response.content  # noqa: B018  # reads the body
    return response


# -- one answer: auth around one hop ----------------------------------------------------------------------------


def _with_auth(
    auth: Any,
    session: Session,
    request: PreparedRequest,
    options: CallOptions,
    call: Call,
    history: list[Response],
) -> Response:
    """Send *request*, and what the flow of *auth* makes of the answers; what the flow saw goes to *history*."""
    if session._cookies or request._own_cookies is not None:
        add_cookies(session, request)  # a signature may cover them
    flow = auth.auth_flow(request)
    if not hasattr(flow, "send"):
        raise InvalidRequest(f"auth_flow must be a generator, not return a {type(flow).__name__}")
    try:
        # Not next(): a StopIteration would end a loop of the caller's as if nothing had been wrong.
        request = _checked(next(flow, None))
        while True:
            response = _hop(session, request, options, call)
            try:
                request = _checked(flow.send(response))
            except StopIteration:
                return response
            response._history = history.copy()
            history.append(response)
            let_go(response)
    finally:
        flow.close()


def _checked(request: Any) -> PreparedRequest:
    if not isinstance(request, PreparedRequest):
        raise InvalidRequest(f"auth_flow must yield prepared requests, not {type(request).__name__}")
    return request


# -- one hop: cookies, proxy, transport, cookies, hooks ------------------------------------------------------------


def _hop(session: Session, request: PreparedRequest, options: CallOptions, call: Call) -> Response:
    """Send *request*, more than once if need be, and return the response of this very URL."""
    url = request._url or _url_of(request)
    method = request.method
    if type(method) is not str or method not in USUAL_METHODS:
        request.method = checked_method(method)  # the caller, a hook or an auth object may have assigned it
    try:
        if session._cookies or request._own_cookies is not None:
            add_cookies(session, request)
        if options.proxies is not None:
            call.proxy = options.proxies.choose(url)
        adapter = session._adapter_for(url)
        if adapter is None:
            response = transact(session._transport, request, options, call)
        else:
            response = send_through(adapter, request, options, call)
    except RequestException as error:
        if error.response is not None and error.request is request:
            # The head had come, as it would have to a caller who streams.
            keep_cookies(session, url, error.response)
        raise
    finally:
        if request.body is not None and isinstance(body := request._wire[1], CallableBody):
            body.close_unsent()  # an error, perhaps kept for long, would keep the file open
    if response._has_field(b"set-cookie"):
        keep_cookies(session, url, response)
    if request._hooks is not None and request._hooks.get("response"):
        answer = response
        response = call_hooks(session, request, answer, options, call)
        if response is not answer and response._has_field(b"set-cookie"):
            keep_cookies(session, url, response)
    return response


def keep_cookies(session: Session, url: URL, response: Response) -> None:
    """Store the cookies that *response* sets, the answer of *url*, in the session's jar."""
    session.cookies.store(url, _set_cookies(response), time())


def _set_cookies(response: Response) -> list[bytes]:
    return [value for name, value in response._raw_fields() if name.lower() == b"set-cookie"]


# -- between hops ---------------------------------------------------------------------------------------------


def add_cookies(session: Defaults, request: PreparedRequest) -> None:
    """Give *request* the Cookie field for its URL, unless the caller wrote one."""
    if request._has_jar_cookies:
        request.headers.pop("Cookie", None)  # an answer since then may have changed the jar
        request._has_jar_cookies = False
    if request._field("Cookie") is not None:
        return
    value = session.cookies.header_for(
        _url_of(request), time(), extra=request._own_cookies, unbound=request._at_home
    )
    if value is not None:
        request._add_field(b"Cookie", value)
        request._has_jar_cookies = True


def _answered(request: PreparedRequest, response: Response) -> PreparedRequest:
    """Return the request that *response* is the answer to: *request*, unless a hook or an auth flow went elsewhere.

    Then a Location is relative to that URL, and only what was sent there may go along.
    """
    found: object = response.request  # a double may have anything there
    if found is request or not isinstance(found, PreparedRequest) or found._url in (None, request._url):
        return request
    other: PreparedRequest = found
    if not same_origin(_url_of(request), _url_of(other)):
        other = other.copy()
        other._auth = other._own_cookies = None
        other._at_home = False
    return other


def next_request(session: Session, request: PreparedRequest, response: Response) -> PreparedRequest | None:
    """Return the request that *response*, the answer to *request*, leads to; None if it is no redirect.

    Raises:
        RedirectError: It leads to where nobody may go.
    """
    redirect = redirect_of(session, request, response) if response.status_code in REDIRECT_STATUSES else None
    return None if redirect is None else _following(session, request, redirect, response)


def redirect_of(session: Session | None, request: PreparedRequest, response: Response) -> Redirect | None:
    """Return where *response* leads, None if it is no redirect; RedirectError gets the response attached.

    A *session* may have a `get_redirect_target` of its own; whatever that raises comes from here.
    """
    try:
        locations = response._locations() if session is None else session._locations_of(response)
        return follow(response.status_code, request.method or "GET", _url_of(request), locations)
    except RequestException as error:
        error.request, error.response = request, response
        raise


def _following(
    session: Session, request: PreparedRequest, redirect: Redirect, response: Response
) -> PreparedRequest:
    """Return the request of the next hop: what survives of the fields, and the body if it goes along."""
    fields = surviving_fields(request.headers, _url_of(request), redirect, session.redirect_headers)
    following = request.copy()
    following.method = redirect.method
    following._url = redirect.url
    following.headers = CaseInsensitiveDict(fields)
    if not redirect.keep_body:
        following.body = following.trailers = None
    if not redirect.same_origin:
        following._auth = following._own_cookies = None
        following._at_home = False
        if following._netrc is not None and _may_ask_netrc(_url_of(request), redirect.url):
            following._netrc.authorize(following, redirect.url)
    elif following._own_cookies is not None:
        following._own_cookies = _not_renewed(following._own_cookies, response)
    return following


def _not_renewed(own: RequestsCookieJar, response: Response) -> RequestsCookieJar:
    """Return the call's *own* cookies without those that *response* sets or deletes, such as a session it rotates."""
    names = {line.partition(b"=")[0].strip().decode("latin-1") for line in _set_cookies(response)}
    if not names.intersection(cookie.name for cookie in own):
        return own
    left = own.copy()
    left.remove_where(lambda cookie: cookie.name in names)
    return left


def _may_ask_netrc(source: URL, target: URL) -> bool:
    """Say whether a hop to another origin is one to another host, and not out of https.

    An entry names a host and neither port nor scheme: whoever answered must not be able to have its password sent to
    another port of that host, or in the clear.
    """
    return target.host != source.host and not (source.scheme == "https" and target.scheme == "http")


def _url_of(request: PreparedRequest) -> URL:
    """Return where *request* goes.

    Raises:
        InvalidRequest: It was never prepared.
    """
    if request._url is None:
        raise InvalidRequest("The request has no URL; prepare it first", request=request)
    return request._url
