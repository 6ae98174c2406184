"""How one call is to be carried out, as `client.exchange.run` takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    """

    __slots__ = (
        "allow_redirects",
        "expect",
        "idempotent",
        "max_body",
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
        on_retry: Callable[[Attempt], object] | None = None,
    ) -> None:
        """Hold the settings; `Session` documents each."""
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
        self.on_retry: Callable[[Attempt], object] | None = on_retry
