"""One transaction: a request goes out until an answer to it comes back, or nothing more may be tried.

The resend that is always safe, and the retries that the caller asked for: `client.retries` decides, this room acts.
It knows of one URL; what leads from one to another is `client.exchange`'s.
"""

from __future__ import annotations

from os import urandom
from sys import modules
from time import monotonic, time
from typing import TYPE_CHECKING, Final

from client.exceptions import RequestException
from client.logs import DEBUG, logger
from client.redirects import REDIRECT_STATUSES
from client.response import Response
from client.retries import (
    REQUEST_TIMEOUT,
    Attempt,
    closed_while_idle,
    declared_idempotent,
    may_resend,
    why_not_resent,
)
from client.transport.cancel import CancelToken

if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Logger

    from client.call_options import CallOptions
    from client.request import PreparedRequest
    from client.timeouts import Deadline
    from client.transport.wire import Body, Call, Transport, WireRequest, WireResponse

__all__ = ["is_replayable", "let_go", "transact"]

#: The answer of a peer that does not do ``Expect: 100-continue`` (RFC 9110 section 15.5.18).
_EXPECTATION_FAILED: Final = 417


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
            let_go(response)
            wire_request.headers = [field for field in wire_request.headers if field[0].lower() != b"expect"]
            call.expect = False
            continue
        if options.retries is not None and response.status_code in options.retries.status_forcelist:
            tries = tries or _Tries(transport, wire_request, options, call)
            if tries.wants_another_than(response):
                let_go(response)
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
        self._replayable = is_replayable(request.body)
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
            let_go(response)
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


def is_replayable(body: bytes | Body | None) -> bool:
    """Say whether *body* can be sent once more."""
    return body is None or isinstance(body, bytes) or body.replayable


def let_go(response: Response) -> None:
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
