"""Fixtures of the whole suite: a clean environment, byte-exact servers, a private authority, a leak check."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import hypothesis
import pytest

from tests import leaks
from tests.environment import client_variables
from tests.nginx import NginxServer, find_nginx
from tests.ports import reserved_ports
from tests.scripted_server import ScriptedServer
from tests.tls_authority import TLSAuthority

# Examples share two cores with the rest of the suite, so their time says nothing; what is slow is bounded by pytest's
# timeout. `derandomize` keeps a red run red: the same commit gives the same verdict everywhere.
hypothesis.settings.register_profile("threadwire", deadline=None, derandomize=True)
hypothesis.settings.load_profile("threadwire")


# A shell that starts the suite in the background has it ignore Ctrl-C, and so every program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def clean_environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Take proxies, certificates and ~/.netrc of the developer's machine away; a test sets its own by monkeypatch."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in client_variables():
            monkeypatch.delenv(name)
        home = str(tmp_path_factory.mktemp("home"))
        monkeypatch.setenv("HOME", home)
        monkeypatch.setenv("USERPROFILE", home)
        yield


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fail the test if it leaves a descriptor or a thread behind; name it first among the fixtures."""
    with leaks.no_leaks():
        yield


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of the loopback on which nobody listens, as long as the test runs."""
    with reserved_ports(1) as (port,):
        yield port


@pytest.fixture
def scripted_server() -> Iterator[ScriptedServer]:
    """A loopback listener that plays exact bytes; fails the test if a script was not played to its end."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def scripted_tls_server(tls_authority: TLSAuthority) -> Iterator[ScriptedServer]:
    """As `scripted_server`, behind TLS as localhost and 127.0.0.1 with a certificate of `tls_authority`."""
    with ScriptedServer(tls=tls_authority.server_context()) as server:
        yield server


@pytest.fixture(scope="session")
def tls_authority(tmp_path_factory: pytest.TempPathFactory) -> TLSAuthority:
    """The private certificate authority of this run."""
    return TLSAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory, tls_authority: TLSAuthority) -> Iterator[NginxServer]:
    """A real nginx, plain and TLS; the test that asks for it bears the mark ``interop``."""
    if find_nginx() is None:
        pytest.skip("nginx is not installed; on Debian: apt-get install nginx-light")
    certificate = tls_authority.issue_files("localhost", "127.0.0.1")
    with NginxServer(tmp_path_factory.mktemp("nginx"), certificate) as server:
        yield server
