"""Sending a request again: when it is safe, when it is wanted, and how long to wait.

The one place that decides.  `may_resend` is the rule that holds without being asked: a connection that had
been idle turned out to be dead, which says nothing about the request.  `Retry` is what a caller turns on.
Both are pure: time, randomness and the facts of the failure come in as arguments, and nobody sleeps here.

A request is sent again only if the server cannot have acted on it or acting twice is harmless (RFC 9110
section 9.2.2), and only with its whole body.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeGuard

from client.exceptions import (
    AddressNotAllowed,
    ChunkedEncodingError,
    ConnectError,
    ConnectionError,  # requests' name
    ForkError,
    ProtocolError,
    ReadTimeout,
    RetryError,
    SessionClosed,
    SSLError,
    StaleConnectionError,
    WriteTimeout,
)
from client.http_dates import parse_retry_after
from client.url import parse_url

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

__all__ = [
    "IDEMPOTENT_METHODS",
    "REQUEST_TIMEOUT",
    "RETRY_STATUSES",
    "Attempt",
    "Retry",
    "closed_while_idle",
    "declared_idempotent",
    "may_resend",
    "why_not_resent",
]

#: Methods that may be repeated without changing what they did, RFC 9110 section 9.2.2.
IDEMPOTENT_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE"})

#: Statuses of trouble that may pass.
RETRY_STATUSES: Final = frozenset({429, 502, 503, 504})

Kind: TypeAlias = Literal["connect", "read", "status"]

# Trying again gives the same answer, or must not happen behind the caller's back.
_FINAL_ERRORS: Final = (AddressNotAllowed, ForkError, ProtocolError, SessionClosed, SSLError)

#: The answer of a server that waited too long for a request (RFC 9110 section 15.5.9).
REQUEST_TIMEOUT: Final = 408

#: 2 to this power times any sensible backoff is past any maximum; more would overflow a float.
_MAX_EXPONENT: Final = 60


def declared_idempotent(
    headers: Mapping[str, Any] | Iterable[tuple[bytes, bytes]], idempotent: bool | None
) -> bool | None:
    """Return what the caller says about sending a request twice.

    Args:
        headers: The request's fields, as a mapping or as pairs of bytes.
        idempotent: The argument of that name.

    Returns:
        The argument if it is given; True if there is an ``Idempotency-Key`` field, by which the server tells
        a repetition from a second order; else None: go by the method.
    """
    if idempotent is not None:
        return idempotent
    names = headers.keys() if hasattr(headers, "keys") else (name for name, _ in headers)
    for name in names:
        text = name.decode("latin-1") if isinstance(name, bytes) else name
        if text.lower() == "idempotency-key":
            return True
    return None


# -- the resend that nobody has to ask for ------------------------------------------------------------------


def may_resend(error: BaseException, method: str, *, idempotent: bool | None, replayable: bool) -> bool:
    """Tell whether to send once more, on a fresh connection, although the caller asked for no retries.

    Args:
        error: What the transport raised; its ``reused``, ``bytes_sent`` and ``response_started`` decide.
        method: As sent.
        idempotent: From `declared_idempotent`.
        replayable: True if the body can be produced again; no body can.

    Returns:
        True only where an idle connection had died: it was reused, no byte of an answer arrived, and the
        request is idempotent or none of its bytes was handed to the kernel. A failure of a fresh connection
        is about the request, and resending could loop for ever.

    RFC 9112 section 9.3.1.
    """
    if not _died_idle(error) or not replayable:
        return False
    return _never_left(error) or (method in IDEMPOTENT_METHODS if idempotent is None else idempotent)


def closed_while_idle(
    status: int, connection: str, *, reused: bool, method: str, idempotent: bool | None, replayable: bool
) -> bool:
    """Tell whether an answer only says that an idle connection was being closed, so that `may_resend` holds.

    A server may say 408 before it closes an idle connection. Where our request crosses it on the way, the 408
    looks like its answer; RFC 9110 section 15.5.9 lets the client repeat the request on a new connection. What may
    not be repeated keeps the 408 as its answer: nobody can tell the two apart.

    Args:
        status: Of the answer.
        connection: Its Connection field; a server that goes on with the connection has answered this request.
        reused, method, idempotent, replayable: As in `may_resend`.
    """
    closes = "close" in {option.strip() for option in connection.lower().split(",")}
    if status != REQUEST_TIMEOUT or not closes or not reused or not replayable:
        return False
    return method in IDEMPOTENT_METHODS if idempotent is None else idempotent


def why_not_resent(error: BaseException) -> BaseException:
    """Return what to raise where `may_resend` said no: *error*, or the error that names the switches."""
    if not _died_idle(error):
        return error
    return StaleConnectionError(
        "the server closed an idle connection while the request was on its way, and sending it again could "
        "do the work twice; pass idempotent=True or an Idempotency-Key header if it may be repeated, and a "
        "body that can be read again (bytes, a seekable file, or a callable that makes it)",
        request=error.request,
        reused=error.reused,
        bytes_sent=error.bytes_sent,
        response_started=error.response_started,
    )


def _died_idle(error: BaseException) -> TypeGuard[ConnectionError]:
    """Tell whether a reused connection broke before any answer; one that is only slow has not broken."""
    return (
        isinstance(error, ConnectionError)
        and not isinstance(error, (ConnectError, *_FINAL_ERRORS))
        and error.reused
        and not error.response_started
    )


def _never_left(error: BaseException) -> bool:
    """Tell whether the kernel took no byte of the request, so that the server cannot have seen it."""
    return (
        isinstance(error, (ConnectionError, WriteTimeout))
        and not error.bytes_sent
        and not error.response_started
    )


def _kind_of(error: BaseException) -> Kind | None:
    """Return the counter of `Retry` that *error* is charged to, None if no attempt can mend it."""
    if isinstance(error, _FINAL_ERRORS):
        return None
    if isinstance(error, ConnectError):
        return "connect"
    if isinstance(error, (ConnectionError, ReadTimeout, WriteTimeout, ChunkedEncodingError)):
        return "read"
    return None


# -- the retries that a caller turns on ---------------------------------------------------------------------


class Attempt:
    """One try that was followed by another.

    Attributes:
        method: As sent.
        url: Scheme, host, port and path; never the query.
        error: What was raised, None if an answer came.
        status: Of the answer, None if there was none.
        delay: Seconds until the next try.
    """

    __slots__ = ("delay", "error", "method", "status", "url")

    def __init__(
        self,
        method: str,
        url: str,
        *,
        error: BaseException | None = None,
        status: int | None = None,
        delay: float = 0.0,
    ) -> None:
        """Hold the facts."""
        self.method: str = method
        self.url: str = url
        self.error: BaseException | None = error
        self.status: int | None = status
        self.delay: float = delay

    def __repr__(self) -> str:
        """Show what happened."""
        outcome = self.status if self.error is None else type(self.error).__name__
        return f"<Attempt {self.method} {self.url}: {outcome}, next after {self.delay:.3g} s>"


class Retry:
    """How often to try again, after what, and how long to wait; immutable.

    The names are urllib3's. A counter of None means that only *total* limits it. Every wait ends at the
    call's deadline: one that would pass it is not begun, and the last outcome stands.

    Args:
        total: Further attempts in all; None: only the three counters below limit.
        connect: Of these, after no connection came about (any method: nothing was sent).
        read: Of these, after the connection broke or fell silent before the answer was complete.
        status: Of these, after a status of *status_forcelist*.
        allowed_methods: Methods to repeat after *read* and *status* failures; None: any. Beside these, what
            the caller declares by ``idempotent=True`` or an ``Idempotency-Key`` header.
        status_forcelist: Statuses that are worth another attempt.
        backoff_factor: Seconds before the second attempt; doubled with each further one.
        backoff_max: Longest such wait in seconds.
        jitter: ``"full"``: wait between 0 and the above, evenly, so that many clients do not come back at
            once. None: wait exactly that long.
        respect_retry_after_header: Wait as long as ``Retry-After`` says, in its stead.
        retry_after_max: Longest such wait in seconds.
        raise_on_status: Raise `RetryError` instead of returning the last answer when all is used up.

    Attributes:
        history: One `Attempt` for each that failed, oldest first.

    Raises:
        ValueError: A number is none, negative or not finite, or *jitter* is another word.
        TypeError: *allowed_methods* or *status_forcelist* is not a collection of str, or of int.
    """

    __slots__ = (
        "allowed_methods",
        "backoff_factor",
        "backoff_max",
        "connect",
        "history",
        "jitter",
        "raise_on_status",
        "read",
        "respect_retry_after_header",
        "retry_after_max",
        "status",
        "status_forcelist",
        "total",
    )

    total: int | None
    connect: int | None
    read: int | None
    status: int | None
    allowed_methods: frozenset[str] | None
    status_forcelist: frozenset[int]
    backoff_factor: float
    backoff_max: float
    jitter: Literal["full"] | None
    respect_retry_after_header: bool
    retry_after_max: float
    raise_on_status: bool
    history: tuple[Attempt, ...]

    def __init__(
        self,
        total: int | None = 3,
        *,
        connect: int | None = None,
        read: int | None = None,
        status: int | None = None,
        allowed_methods: Collection[str] | None = IDEMPOTENT_METHODS,
        status_forcelist: Collection[int] = RETRY_STATUSES,
        backoff_factor: float = 0.5,
        backoff_max: float = 30.0,
        jitter: Literal["full"] | None = "full",
        respect_retry_after_header: bool = True,
        retry_after_max: float = 120.0,
        raise_on_status: bool = False,
        history: tuple[Attempt, ...] = (),
    ) -> None:
        """Check and store the settings."""
        methods = None if allowed_methods is None else _set_of(allowed_methods, str, "allowed_methods")
        settings: dict[str, Any] = {
            "total": total,
            "connect": connect,
            "read": read,
            "status": status,
            "allowed_methods": methods and frozenset(map(str.upper, methods)),
            "status_forcelist": _set_of(status_forcelist, int, "status_forcelist"),
            "backoff_factor": backoff_factor,
            "backoff_max": backoff_max,
            "jitter": jitter,
            "respect_retry_after_header": respect_retry_after_header,
            "retry_after_max": retry_after_max,
            "raise_on_status": raise_on_status,
            "history": history,
        }
        for name in ("total", "connect", "read", "status"):
            count = settings[name]
            if count is not None and (type(count) is not int or count < 0):
                raise ValueError(f"Retry {name}={count!r}: expected a number of attempts, or None")
        for name in ("backoff_factor", "backoff_max", "retry_after_max"):
            seconds = settings[name]
            if not isinstance(seconds, (int, float)) or not 0 <= seconds < inf:  # false for nan as well
                raise ValueError(f"Retry {name}={seconds!r}: expected a finite number of seconds, 0 or more")
        if jitter not in ("full", None):
            raise ValueError(f"Retry jitter={jitter!r}: expected 'full' or None")
        self.__setstate__(settings)

    @classmethod
    def of(cls, value: Any) -> Retry:
        """Read the forms that ``retries=`` takes.

        Args:
            value: A number of further attempts; None, False or 0 for none; a `Retry`; or another library's
                object with the attributes of urllib3's ``Retry``, whose settings are taken over.

        Raises:
            TypeError: It is none of these.
            ValueError: It is negative.
        """
        if isinstance(value, cls):
            return value
        if value is None or value is False:
            return cls(0)
        if isinstance(value, int) and value is not True:
            return cls(value)
        if not hasattr(value, "status_forcelist"):
            raise TypeError(f"retries={value!r}: expected a number of attempts or a Retry")
        settings = {name: getattr(value, name) for name in _URLLIB3_SETTINGS if hasattr(value, name)}
        # urllib3 writes False for "raise at once" and for "any method".
        for name in ("total", "connect", "read", "status"):
            if settings.get(name) is False:
                settings[name] = 0
        settings["allowed_methods"] = settings.get("allowed_methods", IDEMPOTENT_METHODS) or None
        return cls(**settings)

    def new(self, **changes: Any) -> Retry:
        """Return a copy with *changes*, which are arguments of the constructor."""
        return Retry(**(self.__getstate__() | changes))

    def next(
        self,
        attempt: Attempt,
        *,
        idempotent: bool | None,
        replayable: bool,
        now: float,
        random: Callable[[], float],
        retry_after: str | None = None,
        remaining: float | None = None,
    ) -> tuple[Retry, float] | None:
        """Decide about another attempt after one that failed.

        Args:
            attempt: What happened; its ``delay`` is set here.
            idempotent: From `declared_idempotent`.
            replayable: True if the body can be produced again; no body can.
            now: Seconds since 1970, to read a Retry-After that is a date.
            random: Returns a number of [0, 1).
            retry_after: The answer's Retry-After field.
            remaining: Seconds until the call's deadline, None for no deadline.

        Returns:
            The `Retry` for the next attempt and the seconds to wait before it. None if this outcome stands:
            it is none that another attempt could mend, or not a safe one to repeat, or all attempts are used
            up.

        Raises:
            RetryError: They are used up, the outcome is a status, and ``raise_on_status`` is set.
        """
        kind = self._kind_of(attempt)
        if kind is None or not self._is_safe(attempt, kind, idempotent, replayable=replayable):
            return None
        left: int | None = getattr(self, kind)
        delay = self._delay(attempt, retry_after, now, random)
        if self.total == 0 or left == 0 or (remaining is not None and delay >= remaining):
            if kind == "status" and self.raise_on_status:
                history = (*self.history, attempt)
                raise RetryError(
                    f"{attempt.method} {attempt.url}: status {attempt.status} after {len(history)} attempts",
                    attempts=history,
                )
            return None
        attempt.delay = delay
        changes: dict[str, Any] = {"history": (*self.history, attempt)}
        if self.total is not None:
            changes["total"] = self.total - 1
        if left is not None:
            changes[kind] = left - 1
        return self.new(**changes), delay

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """Say whether an answer is one to try again after, as long as attempts are left (urllib3's method)."""
        attempt = Attempt(method, "", status=status_code)
        return self._kind_of(attempt) is not None and self._is_safe(attempt, "status", None, replayable=True)

    def increment(
        self, method: str = "", url: str = "", response: Any = None, error: BaseException | None = None
    ) -> Retry:
        """Return the `Retry` for the attempt after this one (urllib3's method, which test doubles call).

        Args:
            method, url: Of the request.
            response: What it brought; its ``status`` counts.
            error: What was raised in its stead.

        Raises:
            RetryError: There is none.
        """
        attempt = Attempt(
            method, parse_url(url).redacted, error=error, status=getattr(response, "status", None)
        )
        decision = self.next(attempt, idempotent=None, replayable=True, now=0.0, random=lambda: 0.0)
        if decision is None:
            raise RetryError(f"{attempt!r}: no attempt is left", attempts=(*self.history, attempt))
        return decision[0]

    def _kind_of(self, attempt: Attempt) -> Kind | None:
        """Return the counter that *attempt* is charged to, None if it is not one to repeat."""
        if attempt.error is not None:
            return _kind_of(attempt.error)
        return "status" if attempt.status in self.status_forcelist else None

    def _is_safe(self, attempt: Attempt, kind: Kind, idempotent: bool | None, *, replayable: bool) -> bool:
        if kind == "connect":
            return True  # not even the body was begun
        if not replayable:
            return False
        if attempt.error is not None and _never_left(attempt.error):
            return True
        if idempotent is not None:
            return idempotent
        return self.allowed_methods is None or attempt.method in self.allowed_methods

    def _delay(
        self, attempt: Attempt, retry_after: str | None, now: float, random: Callable[[], float]
    ) -> float:
        if retry_after is not None and attempt.status is not None and self.respect_retry_after_header:
            seconds = parse_retry_after(retry_after, now)
            if seconds:  # "0" is no reason to come back faster than without the field
                return min(seconds, self.retry_after_max)
        ceiling = min(self.backoff_factor * 2.0 ** min(len(self.history), _MAX_EXPONENT), self.backoff_max)
        return ceiling * random() if self.jitter == "full" else ceiling

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: one `Retry` serves all calls of a session at the same time."""
        raise AttributeError(f"Retry is immutable; use new({name}=...)")

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Retry.__slots__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return self.__getstate__() == other.__getstate__() if isinstance(other, Retry) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.__getstate__().values()))

    def __repr__(self) -> str:
        """Show the counters."""
        return f"Retry(total={self.total}, connect={self.connect}, read={self.read}, status={self.status})"


def _set_of(members: Any, kind: type, name: str) -> frozenset[Any]:
    """Return *members* as a set, if each is a *kind*; a single str or bytes would be a set of its letters."""
    found = list(members) if hasattr(members, "__iter__") and not isinstance(members, str | bytes) else [None]
    if not all(isinstance(member, kind) for member in found):
        raise TypeError(f"Retry {name}={members!r}: expected a collection of {kind.__name__}")
    return frozenset(found)


#: What `Retry.of` takes over from urllib3's object of that name; both mean the same by it.
_URLLIB3_SETTINGS: Final = (
    "total",
    "connect",
    "read",
    "status",
    "allowed_methods",
    "status_forcelist",
    "backoff_factor",
    "backoff_max",
    "respect_retry_after_header",
    "raise_on_status",
)
