"""The limits of a call, and what is left of them.

`Timeouts` is what a caller sets; `Deadline` is what each blocking step asks before it waits.  It answers
with the nearest limit and, when that passes, with the error that names the setting which fired, so that no
other room decides how long to wait.  All times are seconds on the monotonic clock.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from client.exceptions import (
    ConnectTimeout,
    InvalidTimeout,
    PoolTimeout,
    ReadTimeout,
    Timeout,
    TotalTimeout,
    WriteTimeout,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "DEFAULT_TIMEOUTS",
    "NOT_GIVEN",
    "Budget",
    "Deadline",
    "NotGiven",
    "Phase",
    "TimeoutTypes",
    "Timeouts",
]

Setting: TypeAlias = Literal["connect", "read", "write", "pool", "total"]
Phase: TypeAlias = Literal["pool", "dns", "connect", "proxy", "tls", "write", "continue", "read", "total"]


class NotGiven:
    """The type of `NOT_GIVEN`: an argument that the caller left out, where None already means "no limit"."""

    def __repr__(self) -> str:
        """Return ``NOT_GIVEN``, which signatures in the documentation show."""
        return "NOT_GIVEN"

    def __bool__(self) -> bool:
        """Be false, as an argument that is not there."""
        return False

    def __reduce__(self) -> str:
        """Pickle as the one `NOT_GIVEN`, so that ``is`` still holds in another process."""
        return "NOT_GIVEN"


NOT_GIVEN: Final = NotGiven()

#: What ``timeout=`` takes: seconds for all, (connect, read), None for no limit, or `Timeouts`.
TimeoutTypes: TypeAlias = "float | tuple[float | None, float | None] | Timeouts | NotGiven | None"

_ERROR_OF_SETTING: Final[dict[Setting, type[Timeout]]] = {
    "connect": ConnectTimeout,
    "read": ReadTimeout,
    "write": WriteTimeout,
    "pool": PoolTimeout,
    "total": TotalTimeout,
}


#: Most seconds of a limit: the kernel's waits count milliseconds in 31 bits.
_LONGEST: Final = 2_000_000


def _checked(name: str, value: float | NotGiven | None) -> float | NotGiven | None:
    """Return *value* if it is a limit, raise `InvalidTimeout` otherwise."""
    if value is None or value is NOT_GIVEN:
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        if (
            type(value).__module__ == "urllib3.util.timeout"
        ):  # its word for "not set", another's default for timeout=
            return NOT_GIVEN
        raise InvalidTimeout(f"timeout {name}={value!r}: expected a number of seconds or None")
    if not value > 0:  # nor is NaN
        raise InvalidTimeout(f"timeout {name}={value!r}: expected more than 0 seconds, or None for no limit")
    if value > _LONGEST:
        raise InvalidTimeout(
            f"timeout {name}={value!r}: expected at most {_LONGEST} seconds (23 days), or None for no limit"
        )
    return float(value)


class Timeouts:
    """Limits in seconds; None is no limit, `NOT_GIVEN` leaves the session's value in force.

    Args:
        connect: One budget over name look-up, every address, the proxy and TLS. Session default 10.
        read: Longest silence while a response is awaited or read. Session default 60.
        write: Longest time in which the system takes no byte for the peer. Session default 60. It holds up to some
            megabytes, and takes more once a third of them has gone; a slow peer that is sent much needs time for that.
        pool: Longest wait for a free connection. Session default 60.
        total: The whole call: all of the above, redirects, retries and the body. Session default none.

    Raises:
        InvalidTimeout: A value is not a positive number, or above 2000000 (23 days).

    A repeating `signal.setitimer` is to be started before the connections that it is to leave in peace, or
    ``Session.close()`` called once behind it: on Linux its signals have the main thread's waits begin anew on plain
    http connections that were open before.
    """

    __slots__ = ("connect", "pool", "read", "total", "write")

    def __init__(
        self,
        *,
        connect: float | NotGiven | None = NOT_GIVEN,
        read: float | NotGiven | None = NOT_GIVEN,
        write: float | NotGiven | None = NOT_GIVEN,
        pool: float | NotGiven | None = NOT_GIVEN,
        total: float | NotGiven | None = NOT_GIVEN,
    ) -> None:
        """Check and store the five limits."""
        self.connect: float | NotGiven | None = _checked("connect", connect)
        self.read: float | NotGiven | None = _checked("read", read)
        self.write: float | NotGiven | None = _checked("write", write)
        self.pool: float | NotGiven | None = _checked("pool", pool)
        self.total: float | NotGiven | None = _checked("total", total)

    @classmethod
    def of(cls, value: TimeoutTypes) -> Timeouts:
        """Read the forms that ``timeout=`` takes.

        Args:
            value: ``5``: connect, read and write 5. ``(3, 30)``: connect 3, read and write 30. None: no
                limit on any of these (pool included). A `Timeouts`: itself. urllib3's ``Timeout``: the same three,
                with its ``total`` as the upper limit of each, which is what it means there.

        Raises:
            InvalidTimeout: The value is of another form, or out of range.
        """
        if isinstance(value, Timeouts):
            return value
        if isinstance(value, NotGiven):
            return _UNSET
        if value is None:
            return cls(connect=None, read=None, write=None, pool=None)
        if isinstance(value, (tuple, list)):
            if len(value) != 2:
                raise InvalidTimeout(f"timeout={value!r}: expected (connect, read)")
            connect, read = value
            return cls(connect=connect, read=read, write=read)
        if hasattr(value, "connect_timeout"):
            return _of_urllib3(value)
        return cls(connect=value, read=value, write=value)

    def or_else(self, fallback: Timeouts) -> Timeouts:
        """Return these limits with what is not given taken from *fallback*."""
        return Timeouts(
            **{
                name: theirs if (ours := getattr(self, name)) is NOT_GIVEN else ours
                for name in self.__slots__
                for theirs in (getattr(fallback, name),)
            }
        )

    def __eq__(self, other: object) -> bool:
        """Compare the five limits."""
        if not isinstance(other, Timeouts):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        """Hash the five limits."""
        return hash(tuple(getattr(self, name) for name in self.__slots__))

    def __repr__(self) -> str:
        """Show the limits that are given."""
        given = [(name, getattr(self, name)) for name in ("connect", "read", "write", "pool", "total")]
        return (
            f"Timeouts({', '.join(f'{name}={value!r}' for name, value in given if value is not NOT_GIVEN)})"
        )


_UNSET: Final = Timeouts()

#: What a session uses for each limit that neither the session nor the call sets.
DEFAULT_TIMEOUTS: Final = Timeouts(connect=10.0, read=60.0, write=60.0, pool=60.0, total=None)


def _of_urllib3(timeout: Any) -> Timeouts:
    """Return the limits of urllib3's ``Timeout``, which requests documents as a form of ``timeout=``."""
    begun = timeout.clone()
    begun.start_connect()  # before that it does not tell what its total leaves for reading
    connect, read = timeout.connect_timeout, begun.read_timeout
    if not isinstance(connect, (int, float)):  # its word for "the system's", which has none
        connect = None
    return Timeouts(connect=connect, read=read, write=read)


class Budget:
    """One limit over several waits in a row, such as ``connect`` over look-up, addresses, proxy and TLS."""

    __slots__ = ("_clock", "expires_at", "seconds", "setting")

    def __init__(
        self, setting: Setting, seconds: float | None, expires_at: float | None, clock: Callable[[], float]
    ) -> None:
        """Hold the setting's name and value, and the clock time at which it is used up (None: never)."""
        self.setting: Setting = setting
        self.seconds: float | None = seconds
        self.expires_at: float | None = expires_at
        self._clock = clock

    def remaining(self, phase: Phase) -> float | None:
        """Return the seconds left for a wait in *phase*, None for no limit.

        Raises:
            Timeout: Nothing is left; the subclass and ``phase`` say which setting fired and where.
        """
        if self.expires_at is None:
            return None
        left = self.expires_at - self._clock()
        if left <= 0:
            raise self.error(phase)
        return left

    def error(self, phase: Phase) -> Timeout:
        """Build the error for this limit having passed in *phase*."""
        return timeout_error(self.setting, self.seconds or 0.0, phase)


class Deadline:
    """The limits of one call under way; made at its start, shared by its redirects and retries."""

    __slots__ = ("_clock", "expires_at", "timeouts")

    def __init__(self, timeouts: Timeouts, clock: Callable[[], float] = monotonic) -> None:
        """Start the total deadline now.

        Args:
            timeouts: Complete limits (no `NOT_GIVEN` left).
            clock: Returns seconds; another one in tests.
        """
        self.timeouts: Timeouts = timeouts
        self._clock = clock
        total: float | None = timeouts.total  # type: ignore[assignment]  # complete: see Args
        self.expires_at: float | None = None if total is None else clock() + total

    def remaining(self, setting: Setting, phase: Phase) -> float | None:
        """Return the seconds that the next single wait may take, None for no limit.

        The setting counts anew for each wait (a peer that goes on sending is not late); the total does not.

        Raises:
            TotalTimeout: The total deadline has passed.
        """
        seconds: float | None = getattr(self.timeouts, setting)
        if self.expires_at is None:
            return seconds
        left = self.expires_at - self._clock()
        if left <= 0:
            raise timeout_error("total", self.timeouts.total, phase)  # type: ignore[arg-type]  # complete
        return left if seconds is None or left < seconds else seconds

    def error(self, setting: Setting, phase: Phase) -> Timeout:
        """Build the error for a wait in *phase* that took as long as `remaining` allowed."""
        seconds: float | None = getattr(self.timeouts, setting)
        if self.expires_at is not None and self.expires_at - self._clock() <= 0.001:
            return timeout_error("total", self.timeouts.total, phase)  # type: ignore[arg-type]  # complete
        return timeout_error(setting, seconds or 0.0, phase)

    def budget(self, setting: Setting) -> Budget:
        """Start a limit over several waits; the total deadline takes its place where it is nearer."""
        seconds: float | None = getattr(self.timeouts, setting)
        at = None if seconds is None else self._clock() + seconds
        if self.expires_at is not None and (at is None or self.expires_at < at):
            return Budget("total", self.timeouts.total, self.expires_at, self._clock)  # type: ignore[arg-type]  # complete
        return Budget(setting, seconds, at, self._clock)


def timeout_error(setting: Setting, seconds: float, phase: Phase) -> Timeout:
    """Build the error that says which setting fired, after how many seconds, and in which phase."""
    message = f"{setting} timeout of {seconds:g} s passed in phase {phase!r}"
    return _ERROR_OF_SETTING[setting](
        message, phase="total" if setting == "total" else phase, seconds=seconds
    )
