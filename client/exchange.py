"""The loop of one call: send, look at the answer, and perhaps send again.

`run` is what a verb executes on the calling thread and what a worker executes for `Session.submit`; there is
no other way to the network.  It calls its siblings in a row and never wraps them in each other: auth, cookies,
the choice of a proxy, the transport with its resends and retries, cookies again, hooks, redirects.  Each of them
is a policy that decides; only this room acts on what they say.
"""

from __future__ import annotations

from os import urandom
from sys import modules
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Final

from client.exceptions import InvalidRequest, RequestException, TooManyRedirects, UnrewindableBodyError
from client.headers import CaseInsensitiveDict
from client.logs import DEBUG, logger
from client.prepared import USUAL_METHODS, checked_method
from client.redirects import REDIRECT_STATUSES, Redirect, follow, surviving_fields
from client.response import Response
from client.retries import (
    REQUEST_TIMEOUT,
    Attempt,
    closed_while_idle,
    declared_idempotent,
    may_resend,
    why_not_resent,
)
from client.seams import call_hooks, send_through
from client.transport.cancel import CancelToken

if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Logger

    from client.call_options import CallOptions
    from client.defaults import Defaults
    from client.request import PreparedRequest
    from client.session import Session
    from client.timeouts import Deadline
    from client.transport.wire import Body, Call, Transport, WireRequest, WireResponse
    from client.url import URL

__all__ = ["add_cookies", "keep_cookies", "next_request", "run", "transact"]

#: The answer of a peer that does not do ``Expect: 100-continue`` (RFC 9110 section 15.5.18).
_EXPECTATION_FAILED: Final = 417


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
        redirect = _redirect_of(request, response) if response.status_code in REDIRECT_STATUSES else None
        if redirect is None:
            break
        following = _following(session, request, redirect)
        if not options.allow_redirects:
            response._next = following
            break
        response._history = history.copy()
        history.append(response)
        _let_go(response)
        if call.trace is not None:
            call.trace("redirect", {"status": response.status_code, "url": redirect.url.redacted})
        hops += 1
        if hops > options.max_redirects:
            message = f"Exceeded {options.max_redirects} redirects."
            raise TooManyRedirects(message, response=response, request=request)
        if redirect.keep_body and not _is_replayable(following.wire_body()):
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
    try:
        request = next(flow)
        while True:
            response = _hop(session, request, options, call)
            try:
                request = flow.send(response)
            except StopIteration:
                return response
            response._history = history.copy()
            history.append(response)
            _let_go(response)
    finally:
        flow.close()


# -- one hop: cookies, proxy, transport, cookies, hooks ------------------------------------------------------------


def _hop(session: Session, request: PreparedRequest, options: CallOptions, call: Call) -> Response:
    """Send *request*, more than once if need be, and return the response of this very URL."""
    url = request._url or _url_of(request)
    method = request.method
    if type(method) is not str or method not in USUAL_METHODS:
        request.method = checked_method(method)  # the caller, a hook or an auth object may have assigned it
    if session._cookies or request._own_cookies is not None:
        add_cookies(session, request)
    if options.proxies is not None:
        call.proxy = options.proxies.choose(url)
    adapter = session._adapter_for(url)
    try:
        if adapter is None:
            response = transact(session._transport, request, options, call)
        else:
            response = send_through(adapter, request, options, call)
    except RequestException as error:
        if error.response is not None and error.request is request:
            keep_cookies(
                session, url, error.response
            )  # the head had come, as it would have to a caller who streams
        raise
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
    set_cookies = [value for name, value in response._raw_fields() if name.lower() == b"set-cookie"]
    session.cookies.store(url, set_cookies, time())


def transact(transport: Transport, request: PreparedRequest, options: CallOptions, call: Call) -> Response:
    """Do one transaction, with the resend that is always safe and the retries that the caller asked for.

    Returns:
        The response of this very URL; its body is read unless the call streams, or unless it is a redirect's.

    Raises:
        RequestException: ``request`` and ``attempts`` are set.
    """
    wire_request = request.for_wire()
    progress = options.progress
    if wire_request.body is not None:
        _prepare_upload(request, wire_request, wire_request.body, options, call)
        progress = None  # one callback tells of one direction
    tries: _Tries | None = None
    while True:
        started = monotonic()
        try:
            round_trip = transport.round_trip if call.began is None else _resumer(transport)
            response = Response._from_wire(
                round_trip(wire_request, call), request, options, started, progress
            )
            if call.cancel is not None or call.deadline.expires_at is not None:
                response._check = call.check  # decoding takes time as well
            call.began = call.began or started
            if response.status_code == REQUEST_TIMEOUT:
                tries = tries or _Tries(transport, wire_request, options, call)
                if tries.go_on_instead_of(response):
                    continue
            if not options.stream and response.status_code not in REDIRECT_STATUSES:
                # Now, since a body that breaks off is a reason to try again. As `content` does it, a call less.
                response._content = response._read_content()
        except RequestException as error:
            if error.request is None:
                error.request = request
            elif error.request is not request:
                raise  # of a call inside this one, that its body or a callback made: it says nothing of ours
            _tell_failure(error, wire_request)
            call.began = call.began or started
            tries = tries or _Tries(transport, wire_request, options, call)
            tries.go_on_after(error)
            continue
        if "logging" in modules:  # who asks for a logger would find it out as well, for a price
            log = logger("client.exchange")
            if log is not None and log.isEnabledFor(DEBUG):
                _tell_response(log, response, wire_request)
        if call.expect and response.status_code == _EXPECTATION_FAILED:
            _let_go(response)
            wire_request.headers = [field for field in wire_request.headers if field[0].lower() != b"expect"]
            call.expect = False
            continue
        if options.retries is not None and response.status_code in options.retries.status_forcelist:
            tries = tries or _Tries(transport, wire_request, options, call)
            if tries.wants_another_than(response):
                _let_go(response)
                tries.wait()
                continue
        if tries is not None:
            response.attempts = tuple(tries.history)
            call.fresh = False
        return response


def _resumer(transport: Transport) -> Callable[[WireRequest, Call], WireResponse]:
    """Return what does a call's further round trips: a pool knows whether it was aborted between two of them."""
    return getattr(transport, "resume", transport.round_trip)


class _Tries:
    """The tries of one transaction: those that failed, and whether there is another.

    Attributes:
        history: One `Attempt` for each that failed, oldest first.
    """

    def __init__(self, transport: Transport, request: WireRequest, options: CallOptions, call: Call) -> None:
        self.history: list[Attempt] = []
        self._transport = transport
        self._request = request
        self._on_retry = options.on_retry
        self._call = call
        self._retry = options.retries
        self._idempotent = declared_idempotent(request.headers, options.idempotent)
        self._replayable = _is_replayable(request.body)
        self._may_resend = True  # once, and not on another connection that has been idle as long

    def go_on_after(self, error: RequestException) -> None:
        """Return when the next try is due, or raise what *error* comes to."""
        request, call = self._request, self._call
        attempt = Attempt(request.method, request.url.redacted, error=error)
        if self._may_resend and may_resend(
            error, request.method, idempotent=self._idempotent, replayable=self._replayable
        ):
            self.history.append(attempt)
            self._may_resend = False
            self._tell()
            call.fresh = True
        elif self._decide(attempt):
            self.wait()
        else:
            error.attempts = tuple(self.history)
            final = why_not_resent(error)
            if final is error:
                raise error
            raise final from error
        _let_go_of_frames(error)

    def go_on_instead_of(self, response: Response) -> bool:
        """Say whether *response* is no answer to this request, which is sent once more then."""
        request = self._request
        if not self._may_resend or not closed_while_idle(
            response.status_code,
            response.headers.get("connection") or "",
            reused=getattr(response._wire, "reused", False),
            method=request.method,
            idempotent=self._idempotent,
            replayable=self._replayable,
        ):
            return False
        response.close()
        self.history.append(Attempt(request.method, request.url.redacted, status=response.status_code))
        self._may_resend = False
        self._tell()
        self._call.fresh = True
        return True

    def wants_another_than(self, response: Response) -> bool:
        """Say whether the status of *response* is worth another try."""
        attempt = Attempt(self._request.method, self._request.url.redacted, status=response.status_code)
        try:
            return self._decide(attempt, response.headers.get("retry-after"))
        except RequestException as error:
            error.request, error.response = response.request, response
            _let_go(response)
            raise

    def wait(self) -> None:
        """Tell that there is another try, and wait as long as the policy says."""
        self._tell()
        self._call.fresh = False
        pause = getattr(self._transport, "pause", None)
        if pause is not None:  # a pool, which ends the wait when the session is aborted
            pause(self.history[-1].delay, self._call)
        else:
            (self._call.cancel or CancelToken()).sleep(self.history[-1].delay)

    def _tell(self) -> None:
        attempt, request, call = self.history[-1], self._request, self._call
        log = logger("client.exchange")
        if log is not None:
            log.info("%s %s again in %.3f s: %r", request.method, attempt.url, attempt.delay, attempt)
        if call.trace is not None:
            call.trace("retry", {"attempt": attempt})
        if self._on_retry is not None:
            self._on_retry(attempt)

    def _decide(self, attempt: Attempt, retry_after: str | None = None) -> bool:
        if self._retry is None:
            return False
        decision = self._retry.next(
            attempt,
            idempotent=self._idempotent,
            replayable=self._replayable,
            now=time(),
            random=_random,
            retry_after=retry_after,
            remaining=_remaining(self._call.deadline),
        )
        if decision is None:
            return False
        self._retry = decision[0]
        self.history.append(attempt)
        return True


def _let_go_of_frames(error: BaseException | None) -> None:
    """Drop the tracebacks of *error*, which the response will hold as an attempt.

    Their frames hold the response in turn, and one that is dropped unread would keep its connection until the
    garbage collector came by.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _tell_response(log: Logger, response: Response, request: WireRequest) -> None:
    wire, status, seconds = response._wire, response.status_code, response.elapsed.total_seconds()
    way = "a connection that was open" if getattr(wire, "reused", False) else "a new connection"
    local = None if wire is None else wire.info.local
    if isinstance(local, tuple):
        way += f", from port {local[1]}"  # which is what `client.pool` names connections by
    log.debug("%s %s -> %s in %.3f s on %s", request.method, request.url.redacted, status, seconds, way)


def _tell_failure(error: RequestException, request: WireRequest) -> None:
    log = logger("client.exchange")
    if log is not None:
        log.debug("%s %s failed: %r", request.method, request.url.redacted, error)


def _remaining(deadline: Deadline) -> float | None:
    return None if deadline.expires_at is None else max(0.0, deadline.expires_at - monotonic())


def _random() -> float:
    """Return a number of [0, 1). From the system: importing `random` costs more than all retries."""
    return int.from_bytes(urandom(7)) / (1 << 56)


def _is_replayable(body: bytes | Body | None) -> bool:
    return body is None or isinstance(body, bytes) or body.replayable


def _let_go(response: Response) -> None:
    """Take in the rest of a response that is not the final one if it is short and comes soon; close it otherwise.

    Its body is not decoded: a bomb in a redirect would go off here.
    """
    if response._wire is not None:
        response._wire.drain()
    else:
        response.close()


def _prepare_upload(
    request: PreparedRequest, wire_request: WireRequest, body: bytes | Body, options: CallOptions, call: Call
) -> None:
    """Have the transport ask for ``100 Continue``, and call ``progress=`` with (bytes sent, bytes in all or None)."""
    if options.expect or request._field("Expect") is not None:
        _expect_continue(wire_request, options, call)
    progress = options.progress
    if progress is not None:
        total = len(body) if isinstance(body, bytes) else body.length
        call.on_sent = lambda sent: progress(sent, total)


def _expect_continue(request: WireRequest, options: CallOptions, call: Call) -> None:
    """Decide whether this body waits for ``100 Continue`` (RFC 9110 section 10.1.1)."""
    body, wanted = request.body, options.expect
    length = None if body is None else len(body) if isinstance(body, bytes) else body.length
    call.expect = True
    if any(name.lower() == b"expect" for name, _ in request.headers):
        return  # the caller wrote it himself
    if wanted is True or length is None or length >= wanted:
        request.headers = [*request.headers, (b"Expect", b"100-continue")]
    else:
        call.expect = False


def _url_of(request: PreparedRequest) -> URL:
    """Return where *request* goes.

    Raises:
        InvalidRequest: It was never prepared.
    """
    if request._url is None:
        raise InvalidRequest("The request has no URL; prepare it first", request=request)
    return request._url


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


def next_request(session: Session, request: PreparedRequest, response: Response) -> PreparedRequest | None:
    """Return the request that *response*, the answer to *request*, leads to; None if it is no redirect.

    Raises:
        RedirectError: It leads to where nobody may go.
    """
    redirect = _redirect_of(request, response) if response.status_code in REDIRECT_STATUSES else None
    return None if redirect is None else _following(session, request, redirect)


def _redirect_of(request: PreparedRequest, response: Response) -> Redirect | None:
    """Return where *response* leads, None if it is no redirect; RedirectError gets the response attached."""
    try:
        return follow(response.status_code, request.method or "GET", _url_of(request), response._locations())
    except RequestException as error:
        error.request, error.response = request, response
        _let_go(response)
        raise


def _following(session: Session, request: PreparedRequest, redirect: Redirect) -> PreparedRequest:
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
    return following


def _may_ask_netrc(source: URL, target: URL) -> bool:
    """Say whether a hop to another origin is one to another host, and not out of https.

    An entry names a host and neither port nor scheme: whoever answered must not be able to have its password sent to
    another port of that host, or in the clear.
    """
    return target.host != source.host and not (source.scheme == "https" and target.scheme == "http")
