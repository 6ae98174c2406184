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
        adapters,
        auth,
        cookies,
        exceptions,
        hooks,
        protocol,
        status_codes,
        structures,
        testing,
        utils,
    )
    from client.api import delete, get, head, options, patch, post, put, request
    from client.download_results import Download, DownloadResults, FailedDownload
    from client.exceptions import (
        AddressNotAllowed,
        BodyTooLarge,
        ChecksumMismatch,
        ChunkedEncodingError,
        ConnectError,
        ConnectionError,
        ConnectTimeout,
        ContentDecodingError,
        DownloadError,
        FileModeWarning,
        ForkError,
        HTTPError,
        IncompleteBody,
        InvalidBody,
        InvalidHeader,
        InvalidJSONError,
        InvalidMethod,
        InvalidProxyURL,
        InvalidRequest,
        InvalidSchema,
        InvalidTimeout,
        InvalidURL,
        JSONDecodeError,
        MissingSchema,
        NameResolutionError,
        PoolTimeout,
        ProtocolError,
        ProxyError,
        ReadTimeout,
        RedirectError,
        RemoteDisconnected,
        RequestException,
        RequestsDependencyWarning,
        RequestsWarning,
        RetryError,
        SessionClosed,
        SSLError,
        StaleConnectionError,
        StreamConsumedError,
        Timeout,
        TooManyRedirects,
        TotalTimeout,
        UnrewindableBodyError,
        URLRequired,
        WorkerLost,
        WriteTimeout,
    )
    from client.lines import ServerSentEvent
    from client.proxies import Proxy
    from client.request import PreparedRequest, Request
    from client.response import Response
    from client.response_limits import ResponseLimits
    from client.retries import Attempt, Retry
    from client.session import Session, session
    from client.status_codes import codes
    from client.timeouts import Timeouts
    from client.transport.pool import PoolLimits
    from client.transport.tls import TLSSettings
    from client.url import URL

__version__ = "0.1.0"

__all__ = [
    "URL",
    "AddressNotAllowed",
    "Attempt",
    "BodyTooLarge",
    "ChecksumMismatch",
    "ChunkedEncodingError",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionError",
    "ContentDecodingError",
    "Download",
    "DownloadError",
    "DownloadResults",
    "FailedDownload",
    "FileModeWarning",
    "ForkError",
    "HTTPError",
    "IncompleteBody",
    "InvalidBody",
    "InvalidHeader",
    "InvalidJSONError",
    "InvalidMethod",
    "InvalidProxyURL",
    "InvalidRequest",
    "InvalidSchema",
    "InvalidTimeout",
    "InvalidURL",
    "JSONDecodeError",
    "MissingSchema",
    "NameResolutionError",
    "PoolLimits",
    "PoolTimeout",
    "PreparedRequest",
    "ProtocolError",
    "Proxy",
    "ProxyError",
    "ReadTimeout",
    "RedirectError",
    "RemoteDisconnected",
    "Request",
    "RequestException",
    "RequestsDependencyWarning",
    "RequestsWarning",
    "Response",
    "ResponseLimits",
    "Retry",
    "RetryError",
    "SSLError",
    "ServerSentEvent",
    "Session",
    "SessionClosed",
    "StaleConnectionError",
    "StreamConsumedError",
    "TLSSettings",
    "Timeout",
    "Timeouts",
    "TooManyRedirects",
    "TotalTimeout",
    "URLRequired",
    "UnrewindableBodyError",
    "WorkerLost",
    "WriteTimeout",
    "__version__",
    "adapters",
    "auth",
    "codes",
    "cookies",
    "delete",
    "exceptions",
    "get",
    "head",
    "hooks",
    "options",
    "patch",
    "post",
    "protocol",
    "put",
    "request",
    "session",
    "status_codes",
    "structures",
    "testing",
    "utils",
]

#: Where the names live that are neither modules nor errors.
_HOMES = {
    "api": "delete get head options patch post put request",
    "download_results": "Download DownloadResults FailedDownload",
    "lines": "ServerSentEvent",
    "proxies": "Proxy",
    "request": "PreparedRequest Request",
    "response": "Response",
    "response_limits": "ResponseLimits",
    "retries": "Attempt Retry",
    "session": "Session session",
    "status_codes": "codes",
    "timeouts": "Timeouts",
    "transport.pool": "PoolLimits",
    "transport.tls": "TLSSettings",
    "url": "URL",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
_MODULES = "adapters auth cookies exceptions hooks protocol status_codes structures testing utils"


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
    if name not in __all__:
        raise AttributeError(f"module 'client' has no attribute {name!r}")
    from importlib import import_module

    if name in _MODULES.split():
        value: Any = import_module(f"client.{name}")
    else:
        value = getattr(import_module(f"client.{_HOME_OF.get(name, 'exceptions')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__name__", "__path__"]
