"""The public names, pinned: one that appears or goes is a decision, not an accident."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import client
import client.protocol

CLIENT = set(
    """
    AddressNotAllowed Attempt BodyTooLarge ChecksumMismatch ChunkedEncodingError ConnectError ConnectTimeout ConnectionError
    ContentDecodingError Download DownloadError DownloadResults FailedDownload FileModeWarning ForkError HTTPError IncompleteBody InvalidBody InvalidHeader InvalidJSONError
    InvalidMethod InvalidProxyURL InvalidRequest InvalidSchema InvalidTimeout InvalidURL JSONDecodeError MissingSchema
    NameResolutionError PoolLimits PoolTimeout PreparedRequest ProtocolError Proxy ProxyError ReadTimeout RedirectError
    RemoteDisconnected Request RequestException RequestsDependencyWarning RequestsWarning Response ResponseLimits Retry RetryError SSLError
    ServerSentEvent Session SessionClosed StaleConnectionError StreamConsumedError TLSSettings Timeout Timeouts
    TooManyRedirects TotalTimeout URL URLRequired UnrewindableBodyError WorkerLost WriteTimeout __version__ adapters auth codes cookies
    delete exceptions get head hooks options patch post protocol put request session status_codes structures testing utils
    """.split()
)
PROTOCOL = set(
    """
    CLIENT CLOSED CloseReason Connection ConnectionClosed DONE Data ERROR EndOfMessage Event Headers IDLE
    InformationalResponse Limits LocalProtocolError MIGHT_SWITCH_PROTOCOL MUST_CLOSE NEED_DATA PAUSED PRODUCT_ID
    ProtocolError RemoteProtocolError Request Response SEND_BODY SEND_RESPONSE SERVER SWITCHED_PROTOCOL Sentinel
    """.split()
)

#: What requests documents at its top level ("Developer Interface"); code written against it says ``import client``.
OF_REQUESTS = set(
    """
    request get options head post put patch delete Session session Request PreparedRequest Response codes exceptions
    RequestException ConnectionError HTTPError URLRequired TooManyRedirects ConnectTimeout ReadTimeout Timeout
    JSONDecodeError
    """.split()
)
#: What h11 documents, also outside its ``__all__``; code written against it imports ``client.protocol``.
OF_H11 = set(
    """
    CLIENT SERVER IDLE SEND_RESPONSE SEND_BODY DONE MUST_CLOSE CLOSED ERROR MIGHT_SWITCH_PROTOCOL SWITCHED_PROTOCOL
    NEED_DATA PAUSED Connection Request InformationalResponse Response Data EndOfMessage ConnectionClosed
    ProtocolError LocalProtocolError RemoteProtocolError PRODUCT_ID
    """.split()
)


@pytest.mark.parametrize(("module", "pinned"), [(client, CLIENT), (client.protocol, PROTOCOL)])
def test_the_public_names_are_these(module: ModuleType, pinned: set[str]) -> None:
    assert pinned == set(module.__all__)
    assert [] == [name for name in module.__all__ if not hasattr(module, name)]


def test_what_others_document_is_there() -> None:
    assert set() == OF_REQUESTS - CLIENT
    assert set() == OF_H11 - PROTOCOL


@pytest.mark.parametrize("name", sorted(CLIENT - {"__version__"}))
def test_a_public_name_is_found_under_its_own_name(name: str) -> None:
    """Names are loaded on first use by a table; a slip there would hand out another object, or none."""
    value = getattr(client, name)

    assert name in (getattr(value, "__name__", name).rpartition(".")[2], getattr(value, "name", name))


def test_functions_that_share_the_name_of_a_module_are_the_functions() -> None:
    """Importing a module assigns it to its package; `client.Session` imports both."""
    assert client.Session.__module__ == "client.session"

    assert isinstance(client.session(), client.Session)
    assert callable(client.request)
    with pytest.raises(client.MissingSchema):
        client.request("GET", "no scheme")


def test_an_unknown_name_is_none_of_them() -> None:
    assert not hasattr(client, "Sessions")


def test_the_version_is_said_once_more_only_where_it_is_read() -> None:
    pyproject = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))

    assert pyproject["project"]["version"] == client.__version__
    with client.Session() as session:
        assert f"threadwire/{client.__version__}" == session.headers["User-Agent"]
