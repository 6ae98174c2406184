"""The arguments of a call, in one place: `Session.request`, every verb, `Session.submit` and `Session.map` take them.

For type checkers only; nothing imports this at run time.  The names up to ``json`` and their meaning are those of
requests; the rest is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from client.retries import Retry
    from client.timeouts import TimeoutTypes
    from client.transport.tls import CertTypes, VerifyTypes
    from client.transport.wire import Proxy

__all__ = [
    "GetArguments",
    "MapArguments",
    "PostArguments",
    "PutArguments",
    "RequestArguments",
    "SendArguments",
]


class _Carrying(TypedDict, total=False):
    timeout: TimeoutTypes
    """Seconds: ``5``, ``(connect, read)``, None for no limit, or `client.Timeouts`. Default: the session's."""
    allow_redirects: bool
    """Follow redirects. Default True, but False for `Session.head`."""
    verify: VerifyTypes | None
    """True: trust certifi's roots. A path: these only. ``"system"``, an `ssl.SSLContext`, False: trust
    all; or `client.TLSSettings`, which also pin a certificate or name another server, and count alone."""
    cert: CertTypes
    """Client certificate: a path, (certificate, key) or (certificate, key, password)."""
    proxies: Mapping[str, str | Proxy | None] | None
    """Scheme, ``"all"`` or ``"scheme://host"`` to a proxy URL; ``{}`` or a value of None: no proxy."""
    retries: int | Retry | None
    """Further attempts after failures that another one may mend. Default: the session's, which is none."""
    idempotent: bool | None
    """Whether the request may arrive twice; None: go by the method and the Idempotency-Key header."""
    expect: bool | int
    """Wait for ``100 Continue`` before the body: always, never (default), or for so many bytes and more."""
    max_body: int | None
    """Most bytes of a decoded response body; more raises `BodyTooLarge`. Default: the session's, which is none."""
    max_ratio: float | None
    """Most decoded bytes for each one on the wire; more raises `BodyTooLarge`. Default: the session's."""


class SendArguments(_Carrying, total=False):
    """How a request is to be carried out: the arguments of `Session.send`."""

    stream: bool | None
    """Return after the head, and leave the body on the connection until it is read. Default: the session's."""
    progress: Callable[[int, int | None], object] | None
    """Called with (bytes done, bytes in all or None): of the request's body, or of the response's if it has none."""


class _Content(TypedDict, total=False):
    headers: Mapping[str, str | bytes | None] | None
    """Header fields; a value of None leaves out a default of the session."""
    cookies: Any
    """Cookies for this call and its origin only: a mapping of names to values, or a jar."""
    files: Any
    """Multipart parts: name to file, or to (filename, file[, content type[, headers]]); or pairs of these."""
    auth: Any
    """(user, password), an object of `client.auth`, or a callable on the prepared request."""
    hooks: Mapping[str, Any] | None
    """``{"response": function}``: called with each response; may return another in its place."""
    trailers: Any
    """Fields to send after the body: a mapping, or a callable that returns one when the body is sent."""


class _Always(SendArguments, _Content, total=False):
    pass


class MapArguments(_Carrying, _Content, total=False):
    """What `Session.map` and `Session.as_completed` take for every job."""

    method: str
    """Of jobs that are a URL, or a dict without one. Default: GET."""
    params: Any
    """Added to the URL's query."""
    data: Any
    """The body, of each request: no file and no iterator, but a callable that returns a fresh one."""
    json: Any
    """The body as JSON."""


class PostArguments(_Always, total=False):
    """What `Session.post` takes beside URL, ``data`` and ``json``."""

    params: Any
    """Added to the URL's query: a mapping, (name, value) pairs, str or bytes; a list gives one pair an item."""


class PutArguments(PostArguments, total=False):
    """What `Session.put` and `Session.patch` take beside URL and ``data``."""

    json: Any
    """The body as JSON; ignored where ``data`` or ``files`` is given."""


class RequestArguments(PutArguments, total=False):
    """What `Session.request` takes beside method and URL."""

    data: Any
    """The body: bytes, str, a mapping or pairs (sent as a form), a file, an iterable (sent chunked), a callable."""


class GetArguments(_Always, total=False):
    """What `client.get` takes beside URL and ``params``."""

    data: Any
    """The body, for a server that expects one."""
    json: Any
    """The body as JSON."""
