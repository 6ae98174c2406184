"""threadwire: a synchronous, threaded HTTP/1.1 client.

    import client

    with client.Session(base_url="https://api.example.com", timeout=10) as session:
        user = session.get("/users/1").json()

The names are those of requests; what is added is listed in the documentation.  Importing this package loads next to
nothing: each name is loaded when it is first used (PEP 562), so that a program which only might need HTTP pays nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from client import (
        adapters as adapters,
        auth as auth,
        cookies as cookies,
        exceptions as exceptions,
        hooks as hooks,
        protocol as protocol,
        status_codes as status_codes,
        structures as structures,
        testing as testing,
        utils as utils,
    )
    from client.api import (
        delete as delete,
        get as get,
        head as head,
        options as options,
        patch as patch,
        post as post,
        put as put,
        request as request,
    )
    from client.downloads import (
        Download as Download,
        DownloadResults as DownloadResults,
        FailedDownload as FailedDownload,
    )
    from client.exceptions import (
        AddressNotAllowed as AddressNotAllowed,
        BodyTooLarge as BodyTooLarge,
        ChecksumMismatch as ChecksumMismatch,
        ChunkedEncodingError as ChunkedEncodingError,
        ConnectError as ConnectError,
        ConnectTimeout as ConnectTimeout,
        ConnectionError as ConnectionError,
        ContentDecodingError as ContentDecodingError,
        DownloadError as DownloadError,
        FileModeWarning as FileModeWarning,
        ForkError as ForkError,
        HTTPError as HTTPError,
        IncompleteBody as IncompleteBody,
        InvalidBody as InvalidBody,
        InvalidHeader as InvalidHeader,
        InvalidJSONError as InvalidJSONError,
        InvalidMethod as InvalidMethod,
        InvalidProxyURL as InvalidProxyURL,
        InvalidRequest as InvalidRequest,
        InvalidSchema as InvalidSchema,
        InvalidTimeout as InvalidTimeout,
        InvalidURL as InvalidURL,
        JSONDecodeError as JSONDecodeError,
        MissingSchema as MissingSchema,
        NameResolutionError as NameResolutionError,
        PoolTimeout as PoolTimeout,
        ProtocolError as ProtocolError,
        ProxyError as ProxyError,
        ReadTimeout as ReadTimeout,
        RedirectError as RedirectError,
        RemoteDisconnected as RemoteDisconnected,
        RequestException as RequestException,
        RequestsDependencyWarning as RequestsDependencyWarning,
        RequestsWarning as RequestsWarning,
        RetryError as RetryError,
        SSLError as SSLError,
        SessionClosed as SessionClosed,
        StaleConnectionError as StaleConnectionError,
        StreamConsumedError as StreamConsumedError,
        Timeout as Timeout,
        TooManyRedirects as TooManyRedirects,
        TotalTimeout as TotalTimeout,
        URLRequired as URLRequired,
        UnrewindableBodyError as UnrewindableBodyError,
        WriteTimeout as WriteTimeout,
    )
    from client.lines import (
        ServerSentEvent as ServerSentEvent,
    )
    from client.request import (
        PreparedRequest as PreparedRequest,
        Request as Request,
    )
    from client.response import (
        Response as Response,
    )
    from client.retries import (
        Attempt as Attempt,
        Retry as Retry,
    )
    from client.session import (
        Session as Session,
        session as session,
    )
    from client.status_codes import (
        codes as codes,
    )
    from client.timeouts import (
        Timeouts as Timeouts,
    )
    from client.transport.pool import (
        PoolLimits as PoolLimits,
    )
    from client.transport.tls import (
        TLSSettings as TLSSettings,
    )
    from client.url import (
        URL as URL,
    )

__version__ = "0.1.0"

_HOMES = {
    "api": "delete get head options patch post put request",
    "downloads": "Download DownloadResults FailedDownload",
    "exceptions": "AddressNotAllowed BodyTooLarge ChecksumMismatch ChunkedEncodingError ConnectError ConnectTimeout ConnectionError ContentDecodingError DownloadError FileModeWarning ForkError HTTPError IncompleteBody InvalidBody InvalidHeader InvalidJSONError InvalidMethod InvalidProxyURL InvalidRequest InvalidSchema InvalidTimeout InvalidURL JSONDecodeError MissingSchema NameResolutionError PoolTimeout ProtocolError ProxyError ReadTimeout RedirectError RemoteDisconnected RequestException RequestsDependencyWarning RequestsWarning RetryError SSLError SessionClosed StaleConnectionError StreamConsumedError Timeout TooManyRedirects TotalTimeout URLRequired UnrewindableBodyError WriteTimeout",
    "lines": "ServerSentEvent",
    "request": "PreparedRequest Request",
    "response": "Response",
    "retries": "Attempt Retry",
    "session": "Session session",
    "status_codes": "codes",
    "timeouts": "Timeouts",
    "transport.pool": "PoolLimits",
    "transport.tls": "TLSSettings",
    "url": "URL",
}
_MODULES = "adapters auth cookies exceptions hooks protocol status_codes structures testing utils"
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = sorted(["__version__", *_HOME_OF, *_MODULES.split()])  # noqa: PLE0605  # a list of str, by construction


class _Package(type(sys)):  # type: ignore[misc]  # types.ModuleType, without importing types
    """This package, where `client.request` and `client.session` are requests' functions.

    Importing a module assigns it to its package, so that the modules of these names would take the functions' place.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME_OF and isinstance(value, type(sys))):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """Load what *name* stands for, once."""
    from importlib import import_module

    if name in _HOME_OF:
        value = getattr(import_module(f"client.{_HOME_OF[name]}"), name)
    elif name in _MODULES.split():
        value = import_module(f"client.{name}")
    else:
        raise AttributeError(f"module 'client' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__name__", "__path__"]
