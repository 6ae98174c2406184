"""Which adapter serves which URL, and redirects that a caller follows himself: requests' seams of a session.

http and https have an adapter around the session's own transport, as long as nobody mounts another.  Most programs
never look at `adapters`; for them none is loaded or made, and the transport is used without one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from client.exceptions import InvalidRequest, InvalidSchema, TooManyRedirects
from client.exchange import next_request, redirect_of
from client.request import PreparedRequest
from client.seams import noted, send_is_replaced
from client.setting_checks import check
from client.timeouts import NOT_GIVEN
from client.transport.pool import ConnectionPool
from client.url import UNIX_SCHEME, parse_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from client.adapters import BaseAdapter
    from client.response import Response
    from client.timeouts import TimeoutTypes
    from client.transport.tls import CertTypes, VerifyTypes
    from client.transport.wire import Proxy, Transport
    from client.url import URL

__all__ = ["Mounts"]


class Mounts:
    """The part of a session that knows its adapters; see `client.session.Session`."""

    max_redirects: int
    _transport: Transport
    _is_patched: bool
    _adapters: OrderedDict[str, BaseAdapter] | None = None

    @property
    def adapters(self) -> OrderedDict[str, BaseAdapter]:
        """Prefixes of URLs and their adapters, the longest first; change it by `mount`, or delete what is not to be.

        At first ``https://`` and ``http://`` lead to this session's own connections.
        """
        if self._adapters is None:
            from client.adapters import HTTPAdapter

            self._adapters = OrderedDict(
                (prefix, HTTPAdapter.around(self._transport)) for prefix in ("https://", "http://")
            )
        return self._adapters

    @adapters.setter
    def adapters(self, adapters: OrderedDict[str, BaseAdapter]) -> None:
        self._adapters = adapters

    def mount(self, prefix: str, adapter: BaseAdapter) -> None:
        """Send requests whose URL starts with *prefix* through *adapter*; the longest prefix wins.

        Raises:
            InvalidRequest: The prefix is no str, or the adapter has no ``send``.
        """
        if not isinstance(prefix, str):
            raise InvalidRequest(f"a prefix must be str, not {type(prefix).__name__}")
        check("adapters", {prefix: adapter})
        obey = getattr(adapter, "_obey", None)
        if obey is not None and isinstance(self._transport, ConnectionPool):
            obey(self._transport)
        self.adapters[prefix] = adapter
        for shorter in [key for key in self.adapters if len(key) < len(prefix)]:
            self.adapters[shorter] = self.adapters.pop(shorter)  # to the end; any dict may be assigned

    def get_adapter(self, url: str) -> BaseAdapter:
        """Return the adapter for *url*, or for all that begin with it (``"https://"``): that of the longest prefix.

        Raises:
            InvalidSchema: There is none.
            InvalidURL, MissingSchema: There is none, and *url* is no URL either.
        """
        text = url.lower()
        for prefix, adapter in self.adapters.items():
            if text.startswith(prefix.lower()):
                return adapter
        raise InvalidSchema(f"No connection adapters were found for {parse_url(url).redacted}")

    def get_redirect_target(self, resp: Response) -> str | None:
        """Return the URL that the redirect *resp* leads to; None if it is none.

        A subclass may have a call end there (None), go elsewhere, or raise: it is asked about each redirect, and
        only about those. What goes along is decided afterwards, as ever.
        """
        redirect = redirect_of(None, resp.request, resp)
        return None if redirect is None else str(redirect.url)

    def resolve_redirects(
        self,
        resp: Response,
        req: PreparedRequest,
        stream: bool | None = False,
        timeout: TimeoutTypes = NOT_GIVEN,
        verify: VerifyTypes | None = None,
        cert: CertTypes = None,
        proxies: Mapping[str, str | Proxy | None] | None = None,
        yield_requests: bool = False,
        **adapter_kwargs: Any,
    ) -> Iterator[Any]:
        """Follow the redirects of a response that was got with ``allow_redirects=False``, one step at a time.

        Args:
            resp: Where to start; nothing is yielded if it is no redirect.
            req: The request that *resp* answers.
            stream, timeout, verify, cert, proxies: For each step, as `Session.send` takes them.
            yield_requests: Yield the `PreparedRequest` of the first step instead, and send nothing. So a call asks,
                at each redirect, a subclass that overrides this: if nothing is yielded the redirect is the answer.
            adapter_kwargs: Further arguments of `Session.send`.

        Yields:
            Each `Response`, the last one no redirect; ``history`` holds those before it.

        Raises:
            TooManyRedirects: After ``max_redirects`` steps.
            RequestException: As `Session.send`.
        """
        history: list[Response] = []
        while (following := self._after(resp, req)) is not None:
            if yield_requests:
                yield following
                return
            history.append(resp)
            if len(history) > self.max_redirects:
                message = f"Exceeded {self.max_redirects} redirects."
                raise TooManyRedirects(message, response=resp)
            resp.close()
            req = following
            resp = self.send(  # type: ignore[attr-defined]  # the session's
                following, stream=stream, timeout=timeout, verify=verify, cert=cert, proxies=proxies,
                **adapter_kwargs, allow_redirects=False,
            )  # fmt: skip
            resp.history = history.copy()
            yield resp

    def _request_after(self, resp: Response, req: PreparedRequest) -> PreparedRequest | None:
        """Return the request that the redirect *resp* to *req* leads to, by an overridden `resolve_redirects` too."""
        if getattr(self.resolve_redirects, "__func__", None) is _RESOLVE_REDIRECTS:
            return next_request(self, req, resp)  # type: ignore[arg-type]  # the session
        following: object = next(iter(self.resolve_redirects(resp, req, yield_requests=True)), None)
        if not isinstance(following, PreparedRequest | None):
            raise InvalidRequest("resolve_redirects(yield_requests=True) must yield prepared requests")
        return following

    def _locations_of(self, resp: Response) -> list[bytes]:
        """Return where *resp* leads by its Location fields, or by an overridden `get_redirect_target`."""
        if getattr(self.get_redirect_target, "__func__", None) is _GET_REDIRECT_TARGET:
            return resp._locations()
        target: object = self.get_redirect_target(resp)
        if not isinstance(target, str | None):
            raise InvalidRequest(
                f"get_redirect_target must return a str or None, not {type(target).__name__}"
            )
        return [] if target is None else [target.encode()]

    def _after(self, resp: Response, req: PreparedRequest) -> PreparedRequest | None:
        """Return the request that *resp* leads to; its `headers` may have been edited since it came.

        Its own request counts before *req*: that knows what it left behind on the way.
        """
        request = getattr(resp, "request", None) or req  # one made by hand has none
        return next_request(self, request, resp)  # type: ignore[arg-type]  # the session

    def _adapter_for(self, url: URL) -> BaseAdapter | None:
        """Return the adapter that *url* is to be sent by, None for this session's own transport."""
        if (
            self._adapters is None
            and url.scheme in _OURS
            and type(self).get_adapter is _GET_ADAPTER  # not overridden, nor a test's double
            and not self._is_patched
            and not (noted and send_is_replaced())
        ) or url.scheme == UNIX_SCHEME:
            return None
        adapter = self.get_adapter(url=str(url))
        return None if getattr(adapter, "_stands_for", None) is self._transport else adapter


_GET_ADAPTER: Final = Mounts.get_adapter
_GET_REDIRECT_TARGET: Final = Mounts.get_redirect_target
_RESOLVE_REDIRECTS: Final = Mounts.resolve_redirects

#: Schemes that need no adapter.
_OURS: Final = frozenset({"http", "https"})
