"""`Defaults`: what a session knows, and how a call's own arguments are merged with it.

Call before session before environment before default.  The result is a `PreparedRequest`, what to send, and
`CallOptions`, how to do it; from there on nothing asks the session about its settings again.  A call that brings
nothing of its own costs next to nothing here: its header block and its options are kept until a setting changes.
"""

from __future__ import annotations

import os
from _thread import RLock
from typing import TYPE_CHECKING, Any, ClassVar, Final

from client.base_url import resolve_on_base
from client.call_options import CallOptions
from client.cookies import RequestsCookieJar, cookiejar_from_dict
from client.decoders import ACCEPT_ENCODING
from client.environment import Environment
from client.exceptions import InvalidHeader, InvalidRequest
from client.exchange import add_cookies
from client.headers import CaseInsensitiveDict, encode_fields, with_fields
from client.merging import merge_headers, merge_hooks, merge_params, merge_proxies
from client.prepared import USUAL_METHODS
from client.redirects import same_origin
from client.request import PreparedRequest
from client.response_limits import DEFAULT_RESPONSE_LIMITS, ResponseLimits
from client.retries import Retry
from client.seams import cert_of
from client.setting_checks import EXPECTED, check
from client.timeouts import DEFAULT_TIMEOUTS, NOT_GIVEN, NotGiven, Timeouts
from client.transport.tls import TLSSettings
from client.url import URL, parse_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from client.retries import Attempt
    from client.timeouts import TimeoutTypes
    from client.transport.tls import CertTypes, VerifyTypes
    from client.transport.wire import Proxy

__all__ = ["Defaults", "default_headers", "quick_request"]

#: Fields that are worked out for each request, so that a session which sets one has no block to reuse.
_NOT_REUSABLE: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"trailer"})

_DEFAULT_HEADERS: Final = {
    "User-Agent": "threadwire/0.1.0",
    "Accept-Encoding": ACCEPT_ENCODING,
    "Accept": "*/*",
}

#: Different TLS settings that are remembered with their contexts; calls rarely bring more than two.
_MAX_TLS_SETTINGS: Final = 16

#: Different ``timeout=`` whose options are kept, and the types of it that stand for the same as what they equal.
_MAX_KEPT_OPTIONS: Final = 16
_NUMBERS: Final = frozenset({int, float})

#: What a pickled session leaves behind.
_WORKED_OUT: Final = frozenset({"_environment", "_tls", "_kept"})

#: Methods that may be replaced on a session, by a test's double or a caller with defaults of his own.
_SEAMS: Final = frozenset({"request", "send", "get_adapter", "prepare_request", "merge_environment_settings"})

#: Settings that go into what is kept.
_KEPT: Final = (
    "auth", "base_url", "cert", "headers", "max_body", "max_ratio", "max_redirects", "on_retry", "retries", "stream",
    "timeout",
)  # fmt: skip

#: The key of the header block among what is kept; the others are values of ``timeout=``.
_FIELDS: Final = "fields"


class Defaults:
    """The settings of a session; see `client.session.Session`, which sets them, for what each means."""

    base_url: str | URL | None = None
    headers: CaseInsensitiveDict
    params: Any
    auth: Any
    timeout: TimeoutTypes
    retries: int | Retry | None
    cert: CertTypes
    proxies: dict[str, str | Proxy | None]
    trust_env: bool
    max_redirects: int
    max_body: int | None
    max_ratio: float | None
    stream: bool
    on_retry: Callable[[Attempt], object] | None
    hooks: dict[str, list[Callable[..., Any]]]

    #: One for all sessions, held for a moment; so a fork has one lock to make new. A finaliser may use another session
    #: while this thread holds it.
    _lock: ClassVar[Any] = RLock()

    def __init__(
        self, cookies: Any, verify: VerifyTypes | NotGiven, response_limits: ResponseLimits | None = None
    ) -> None:
        """Take over what is behind a property."""
        limits = DEFAULT_RESPONSE_LIMITS if response_limits is None else response_limits
        if not isinstance(limits, ResponseLimits):
            raise InvalidRequest(f"response_limits={limits!r}: expected a ResponseLimits")
        self._response_limits = limits
        self.cookies = cookies
        self._verify = verify
        self._begin()

    def _begin(self) -> None:
        """Start with nothing worked out."""
        self.__dict__.setdefault("_is_patched", False)  # a subclass may have begun before us
        self._environment: Environment | None = None
        self._tls: dict[TLSSettings, TLSSettings] = {}
        #: By ``timeout=``: the options of calls that bring nothing else, with the proxies that they hold for; and by
        #: `_FIELDS` what `_plain_fields` returns, with the headers that it was made of and their version.
        self._kept: dict[Any, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Keep what was set, not what was worked out."""
        return {name: value for name, value in self.__dict__.items() if name not in _WORKED_OUT}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the settings over; the environment is read anew, it may be another machine's."""
        self._begin()
        self.__dict__.update(state)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; what was worked out of them is worked out anew at the next call.

        Raises:
            InvalidRequest: *value* makes no sense for this setting.
        """
        if name in EXPECTED:
            check(name, value)
        elif name in _SEAMS:
            self.__dict__["_is_patched"] = True
        super().__setattr__(name, value)
        # Another dict, so that a thread which is working them out at this moment fills one that nobody reads.
        self.__dict__["_kept"] = {}

    @property
    def cookies(self) -> RequestsCookieJar:
        """The jar. Assign a mapping or an iterable of cookies to start another one."""
        return self._cookies

    @cookies.setter
    def cookies(self, cookies: Any) -> None:
        jar = _as_jar({} if cookies is None else cookies)
        if self._response_limits is not DEFAULT_RESPONSE_LIMITS:
            jar.limits = self._response_limits
        self._cookies = jar

    @property
    def response_limits(self) -> ResponseLimits:
        """What a server may send; set by the constructor, since connections are made with it."""
        return self._response_limits

    @property
    def verify(self) -> VerifyTypes:
        """Whom to trust; True unless set."""
        return True if isinstance(self._verify, NotGiven) else self._verify

    @verify.setter
    def verify(self, verify: VerifyTypes) -> None:
        self._verify = verify

    def merge_environment_settings(
        self,
        url: str | bytes | URL | None,
        proxies: Mapping[str, str | Proxy | None] | None = None,
        stream: bool | None = None,
        verify: VerifyTypes | None = None,
        cert: CertTypes = None,
    ) -> dict[str, Any]:
        """Return the settings that a call of `request` with these arguments would use.

        An empty *proxies* means none given here, as in requests. None, as ``prepared.url`` may be, is no URL.

        Returns:
            The arguments of `send` under their names: ``proxies`` (empty if *url* needs none), ``stream``,
            ``verify``, ``cert``.
        """
        target = parse_url(url)
        options = self._options_for(proxies=proxies or None, stream=stream, verify=verify, cert=cert)
        wanted = options.proxies
        given = self.__dict__["_verify"] if verify is None else verify
        return {
            "proxies": {} if wanted is None or wanted.choose(target) is None else wanted.as_dict(),
            "stream": options.stream,
            "verify": given
            if isinstance(given, TLSSettings)
            else options.tls.verify,  # a pin is not to be lost
            "cert": cert_of(options.tls),
        }

    def _prepare(
        self,
        method: Any,
        url: Any,
        params: Any,
        data: Any,
        headers: Any,
        cookies: Any,
        files: Any,
        auth: Any,
        hooks: Any,
        json: Any,
        trailers: Any,
    ) -> PreparedRequest:
        """Merge a call's arguments with the session's defaults into a request that is ready to be sent."""
        base = None if self.base_url is None else parse_url(self.base_url)
        target = parse_url(url) if base is None else resolve_on_base(base, url)
        if (
            files is None
            and auth is None
            and cookies is None
            and hooks is None
            and trailers is None
            and type(method) is str
            and method in USUAL_METHODS
            and target.username is None
            and target.password is None
            and (fields := self._plain_fields()) is not None
            and (headers is None or (fields := with_fields(fields, headers, _NOT_REUSABLE)) is not None)
        ):
            prepared = quick_request(method, target if params is None else target.with_params(params), fields)
            if data is not None or json is not None:
                prepared.prepare_body(data, None, json)
            return prepared
        netrc = self._surroundings().netrc
        home = base is None or same_origin(base, target)
        merged = merge_headers(self.headers if home else default_headers(), headers)
        if auth is None and home and target.username is None and target.password is None:
            auth = self.auth
        has_own = auth is not None or target.password is not None or "Authorization" in merged
        if netrc is not None and not has_own:
            auth = netrc.credentials_for(target)
        # requests documents that an auth object is called with the whole request, which may sign it: with its cookies.
        signs = callable(auth) and not hasattr(auth, "auth_flow")
        prepared = PreparedRequest()
        prepared.prepare(
            method=method,
            url=target.without_userinfo() if signs else target,
            headers=merged,
            params=merge_params(self.params if home else None, params),
            files=files,
            data=data,
            json=json,
            auth=None if signs else auth,
            trailers=trailers,
        )
        prepared._own_cookies = None if cookies is None else _as_jar(cookies)
        prepared._at_home = home
        if signs:
            add_cookies(self, prepared)
            prepared.prepare_auth(auth)
        prepared.prepare_hooks(merge_hooks(self.hooks, hooks))
        prepared._netrc = None if has_own else netrc
        return prepared

    def _plain_call(self, method: str, url: Any) -> tuple[PreparedRequest, CallOptions] | None:
        """Return what a call comes to that brings nothing but *method*, a usual one, and *url*.

        None if that takes more than to look up what is kept.
        """
        kept, fields = self._kept.get(NOT_GIVEN), self._plain_fields()
        if fields is None or kept is None or self.proxies != kept[1]:
            return None
        target = parse_url(url)
        if target.username is not None or target.password is not None:
            return None
        return quick_request(method, target, fields), kept[0]

    def _plain_fields(self) -> list[tuple[bytes, bytes]] | None:
        """Return the session's headers, checked and encoded, if nothing else of it goes into a plain request.

        They are the same list until someone changes a setting. What is changed in place, without a setting being
        set, is looked at here.
        """
        kept = self._kept.get(_FIELDS)
        if kept is None or kept[0].version != kept[1]:
            kept = self._keep_fields()
        return None if self.params or self.hooks.get("response") else kept[2]

    def _keep_fields(self) -> tuple[CaseInsensitiveDict, int, list[tuple[bytes, bytes]] | None]:
        """Work out what `_plain_fields` keeps."""
        keep, headers, fields = self._kept, self.headers, None
        # Of a mapping of another kind, which may be assigned too, nobody tells when it changes.
        plain = headers if type(headers) is CaseInsensitiveDict else CaseInsensitiveDict()
        version = plain.version  # before reading: another thread may be changing them
        if (
            plain is headers
            and self.base_url is None
            and self.auth is None
            and self._surroundings().netrc is None
            and _tells_changes(type(self))
        ):
            fields = _encode_plain(headers)
        keep[_FIELDS] = kept = (plain, version, fields)
        return kept

    def _surroundings(self) -> Environment:
        """Return what the environment says, read at the first call."""
        if self._environment is None:
            self.__dict__["_environment"] = Environment(os.environ if self.trust_env else {})
        return self._environment  # type: ignore[return-value]  # set above

    def _options_for(
        self,
        timeout: TimeoutTypes = NOT_GIVEN,
        allow_redirects: bool = True,
        stream: bool | None = None,
        proxies: Mapping[str, str | Proxy | None] | None = None,
        verify: VerifyTypes | None = None,
        cert: CertTypes = None,
        retries: int | Retry | NotGiven | None = NOT_GIVEN,
        idempotent: bool | None = None,
        expect: bool | int = False,
        progress: Callable[[int, int | None], object] | None = None,
        max_body: int | NotGiven | None = NOT_GIVEN,
        max_ratio: float | NotGiven | None = NOT_GIVEN,
    ) -> CallOptions:
        """Merge a call's settings with the session's; those of a call that brings none are kept."""
        is_plain = (
            (timeout is NOT_GIVEN or type(timeout) in _NUMBERS)
            and allow_redirects is True
            and (stream is None or stream is False)
            and proxies is None
            and verify is None
            and cert is None
            and retries is NOT_GIVEN
            and idempotent is None
            and expect is False
            and progress is None
            and max_body is NOT_GIVEN
            and max_ratio is NOT_GIVEN
        )
        kept = self._kept
        if is_plain and timeout in kept:
            options: CallOptions
            options, proxies_seen = kept[timeout]
            if self.proxies == proxies_seen and not self.stream:
                return options
        proxies_seen = dict(self.proxies or {})
        surroundings = self._surroundings()
        retries = self.retries if isinstance(retries, NotGiven) else retries
        options = CallOptions(
            timeouts=Timeouts.of(timeout).or_else(Timeouts.of(self.timeout)).or_else(DEFAULT_TIMEOUTS),
            tls=self._tls_settings(verify, cert),
            proxies=merge_proxies(proxies, proxies_seen, surroundings.proxies),
            retries=_as_retry(retries) if retries else None,
            allow_redirects=allow_redirects,
            max_redirects=self.max_redirects,
            stream=self.stream if stream is None else stream,
            idempotent=idempotent,
            expect=expect,
            progress=progress,
            max_body=self.max_body if isinstance(max_body, NotGiven) else max_body,
            max_ratio=self.max_ratio if isinstance(max_ratio, NotGiven) else max_ratio,
            max_codings=self._response_limits.codings,
            on_retry=self.on_retry,
        )
        if (
            is_plain
            and not self.stream
            and (timeout in kept or len(kept) < _MAX_KEPT_OPTIONS)
            and _tells_changes(type(self))
        ):
            kept[timeout] = (options, proxies_seen)
        return options

    def _tls_settings(self, verify: VerifyTypes | None, cert: CertTypes) -> TLSSettings:
        """Return the settings for a call; equal ones are one object, so that their context is made once."""
        surroundings = self._surroundings()
        if verify is None:
            given = self.__dict__["_verify"]
            verify = (surroundings.verify or True) if given is NOT_GIVEN else given
        if isinstance(verify, TLSSettings):
            return verify  # with its own context, and with nothing of ours mixed in
        settings = TLSSettings(verify, self.cert if cert is None else cert, keylog=surroundings.keylog)
        with self._lock:
            if len(self._tls) >= _MAX_TLS_SETTINGS:
                self._tls.clear()
            return self._tls.setdefault(settings, settings)


def _renew_lock() -> None:
    """Replace the lock in the child of a fork, where the thread that held it does not exist."""
    Defaults._lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def quick_request(method: str, url: URL, fields: list[tuple[bytes, bytes]]) -> PreparedRequest:
    """Return a request without body, from parts that are valid already: the hot path of a session.

    Args:
        method: An upper-case token.
        url: Where to.
        fields: Encoded fields; none of them Host, Content-Length or Transfer-Encoding. Not changed.
    """
    request = PreparedRequest()
    request.method = method
    request._url = url
    request._fields = fields
    # What a session asks for: to find the class's default would cost more each time than to store it.
    request.body = request.trailers = request._headers = None
    request._auth = request._own_cookies = request._hooks = None
    return request


def _encode_plain(headers: CaseInsensitiveDict) -> list[tuple[bytes, bytes]] | None:
    """Return *headers* encoded; None if that is for the long way.

    There, a call's own fields may take the place of a wrong one, and those that a request works out are checked.
    """
    try:
        fields = encode_fields([(name, value) for name, value in headers.items() if value is not None])
    except InvalidHeader:
        return None
    # As the wire has them: to the dict, "Host" and b"Host" are two.
    names = {name.lower() for name, _ in fields}
    return fields if len(names) == len(fields) and names.isdisjoint(_NOT_REUSABLE) else None


def _tells_changes(cls: type[Defaults]) -> bool:
    """Say whether no setting changes but by being set: a property of a subclass may, say for each thread its own."""
    return not any(hasattr(getattr(cls, name, None), "__get__") for name in _KEPT)


def default_headers() -> CaseInsensitiveDict:
    """Return the fields that every session sends unless it is told otherwise."""
    return CaseInsensitiveDict(_DEFAULT_HEADERS)


def _as_jar(cookies: Any) -> RequestsCookieJar:
    """Return the cookies of a call as a jar."""
    if isinstance(cookies, RequestsCookieJar):
        return cookies
    try:
        jar: RequestsCookieJar = cookiejar_from_dict(cookies)
    except TypeError as error:
        raise InvalidRequest(f"cookies= must be a mapping or an iterable of cookies: {error}") from error
    return jar


def _as_retry(retries: Any) -> Retry:
    """Return what ``retries=`` means as a `Retry`."""
    try:
        return Retry.of(retries)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"retries={retries!r}: expected a number of attempts or a Retry") from error
