"""How one call is to be carried out, as `client.exchange.run` takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from client.response_limits import DEFAULT_RESPONSE_LIMITS
from client.setting_checks import check
from client.timeouts import Deadline
from client.transport.wire import Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.proxies import ProxyMap
    from client.retries import Attempt, Retry
    from client.timeouts import Timeouts
    from client.transport.tls import TLSSettings

__all__ = ["CallOptions"]


class CallOptions:
    """How one call is to be carried out: the session's settings with the call's own on top. Never changed.

    Attributes:
        retries: None for none.
        expect: Ask for ``100 Continue`` before the body: always, never, or from so many bytes on.
        bounds_body: A limit of the body is not the default, so that a response has to know them.
    """

    __slots__ = (
        "_endless",
        "allow_redirects",
        "bounds_body",
        "expect",
        "idempotent",
        "max_body",
        "max_codings",
        "max_ratio",
        "max_redirects",
        "on_retry",
        "progress",
        "proxies",
        "retries",
        "stream",
        "timeouts",
        "tls",
    )

    def __init__(
        self,
        *,
        timeouts: Timeouts,
        tls: TLSSettings,
        retries: Retry | None = None,
        proxies: ProxyMap | None = None,
        allow_redirects: bool = True,
        max_redirects: int = 30,
        stream: bool = False,
        idempotent: bool | None = None,
        expect: bool | int = False,
        progress: Callable[[int, int | None], object] | None = None,
        max_body: int | None = None,
        max_ratio: float | None = None,
        max_codings: int = DEFAULT_RESPONSE_LIMITS.codings,
        on_retry: Callable[[Attempt], object] | None = None,
    ) -> None:
        """Hold the settings; `Session` documents each.

        Raises:
            InvalidRequest: One of them makes no sense.
        """
        if idempotent is not None:
            check("idempotent", idempotent)
        if progress is not None:
            check("progress", progress)
        if max_body is not None:
            check("max_body", max_body)
        if max_ratio is not None:
            check("max_ratio", max_ratio)
        if expect is not False:
            check("expect", expect)
        self.timeouts: Timeouts = timeouts
        self.tls: TLSSettings = tls
        self.retries: Retry | None = retries
        self.proxies: ProxyMap | None = proxies
        self.allow_redirects: bool = allow_redirects
        self.max_redirects: int = max_redirects
        self.stream: bool = stream
        self.idempotent: bool | None = idempotent
        self.expect: bool | int = expect
        self.progress: Callable[[int, int | None], object] | None = progress
        self.max_body: int | None = max_body
        self.max_ratio: float | None = max_ratio
        self.max_codings: int = max_codings
        self.bounds_body: bool = (
            max_body is not None or max_ratio is not None or max_codings != DEFAULT_RESPONSE_LIMITS.codings
        )
        self.on_retry: Callable[[Attempt], object] | None = on_retry

        # Without a total limit a deadline has no beginning, so one serves every call.
        self._endless: Deadline | None = Deadline(timeouts) if timeouts.total is None else None

    def call(self) -> Call:
        """Return what goes with a call that begins now: ``Call(deadline, tls)``.

        Without the constructor, whose ten arguments would cost more to unpack than to store.
        """
        call = _new(Call)
        call.deadline = self._endless or Deadline(self.timeouts)
        call.tls = self.tls
        call.proxy = call.cancel = call.began = call.on_informational = call.on_sent = call.trace = None
        call.fresh = call.expect = False
        return call

    def as_arguments(self) -> dict[str, Any]:
        """Return what the constructor takes."""
        return {name: getattr(self, name) for name in self.__slots__ if name not in _DERIVED}


_new: Final = object.__new__

#: Attributes that the constructor works out.
_DERIVED: Final = frozenset({"_endless", "bounds_body"})
