"""Rows E1, E2, E7 and 130: what the user's files and environment may say, and what they may not."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

import client
from client.exceptions import RequestException, SSLError
from tests.scripted_server import Close, Expect, FailedHandshake, Hold, ScriptedServer, Send, StartTLS
from tests.security.origins import OK, Origins, fields
from tests.tls_authority import TLSAuthority

pytestmark = pytest.mark.timeout(10)

SECRET = "s3cr3t"
BASIC = b"Basic dTpzM2NyM3Q="  # u:s3cr3t


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's netrc file; a test writes it."""
    path = tmp_path / "netrc"
    path.touch(0o600)
    monkeypatch.setenv("NETRC", str(path))
    return path


def authorization(
    origins: Origins, host: str = "a.test", *, trust_env: bool = True, **arguments: Any
) -> bytes | None:
    """GET *host*; return the Authorization that it saw."""
    seen = origins.a.answer(OK)
    with origins.session(trust_env=trust_env) as session:
        session.get(f"http://{host}:{origins.a.port}/", **arguments)
    return fields(seen.requests[0]).get(b"authorization")


# -- netrc ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("machine a.test login u password s3cr3t", "a.test"),
        ("machine A.TEST login u password s3cr3t", "a.test"),
        ("machine a.test. login u password s3cr3t", "a.test"),
        ("machine a.test login u password s3cr3t", "A.TEST"),
        ("machine a.test login u password s3cr3t", "a.test."),
        (
            "macdef m\nmachine a.test login evil password evil\n\nmachine a.test login u password s3cr3t",
            "a.test",
        ),
        ("default login u password s3cr3t", "a.test"),
        ("machine b.test login x password y\ndefault login u password s3cr3t", "a.test"),
    ],
)
def test_row_e1_an_entry_is_for_its_host_however_it_is_written(
    origins: Origins, netrc: Path, text: str, host: str
) -> None:
    netrc.write_text(text)

    assert BASIC == authorization(origins, host)


@pytest.mark.parametrize(
    "text",
    [
        "machine b.test login u password s3cr3t",
        "machine test login u password s3cr3t",
        "machine sub.a.test login u password s3cr3t",
        "machine a.test login u",
        "machine a.test password s3cr3t",
        "machine a.test login alice\ndefault login u password s3cr3t",
        "machine a.test:80 login u password s3cr3t",
    ],
)
def test_row_e1_and_for_no_other(origins: Origins, netrc: Path, text: str) -> None:
    netrc.write_text(text)

    assert authorization(origins) is None


def test_row_e1_a_session_that_trusts_no_environment_reads_no_file(origins: Origins, netrc: Path) -> None:
    netrc.write_text("default login u password s3cr3t")

    assert authorization(origins, trust_env=False) is None


def test_row_e1_what_the_caller_gives_wins(origins: Origins, netrc: Path) -> None:
    netrc.write_text("default login u password s3cr3t")

    assert b"Bearer mine" == authorization(origins, headers={"AUTHORIZATION": "Bearer mine"})


@pytest.mark.parametrize(
    "content",
    [
        b"machine a.test login u pass s3cr3t",
        b"machine",
        b"s3cr3t",
        b'machine a.test login u password "s3cr3t',
        b"\xff\xfes3cr3t",
    ],
)
def test_row_e1_a_broken_file_is_a_warning_that_shows_nothing_of_it(
    origins: Origins, netrc: Path, content: bytes
) -> None:
    netrc.write_bytes(content)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert authorization(origins) is None

    assert [True] == ["is not used" in str(warning.message) for warning in caught]
    assert [] == [warning for warning in caught if SECRET in str(warning.message)]


def test_row_e1_a_device_in_its_place_blocks_nobody(
    origins: Origins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETRC", "/dev/zero")

    with pytest.warns(client.exceptions.RequestsWarning, match="regular"):
        assert authorization(origins) is None


@pytest.mark.parametrize(
    "url", ["http://a.test:@b.test:{0}/", "http://a.test@b.test:{0}/", "http://a.test%40b.test:{0}/"]
)
def test_row_130_netrc_is_looked_up_by_the_host_that_is_connected_to(
    origins: Origins, netrc: Path, url: str
) -> None:
    netrc.write_text("machine a.test login u password s3cr3t")
    looked_up: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"]

    escaped = "%40" in url
    seen = None if escaped else origins.a.answer(OK)
    with origins.session(trust_env=True, resolver=resolver) as session:
        if escaped:
            with pytest.raises(client.exceptions.InvalidURL):
                session.get(url.format(origins.a.port))
            return
        session.get(url.format(origins.a.port))

    assert ["b.test"] == looked_up
    assert seen is not None
    assert BASIC != fields(seen.requests[0]).get(b"authorization")


# -- the environment --------------------------------------------------------------------------------------------------

PROXY_VARIABLES = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]


@pytest.mark.parametrize("name", PROXY_VARIABLES)
@pytest.mark.parametrize("trusted", [True, False])
def test_row_e2_proxies_of_the_environment_are_for_who_trusts_it(
    origins: Origins, monkeypatch: pytest.MonkeyPatch, name: str, trusted: bool
) -> None:
    monkeypatch.setenv(name, f"http://127.0.0.1:{origins.b.port}")
    chosen = origins.b if trusted else origins.a
    seen = chosen.answer(OK)

    with origins.session(trust_env=trusted) as session:
        session.get(origins.url_a)

    assert trusted is seen.requests[0].startswith(b"GET http://a.test")


NOT_VERIFYING = {
    "PYTHONHTTPSVERIFY": "0",
    "REQUESTS_CA_BUNDLE": "",
    "CURL_CA_BUNDLE": "",
    "SSL_CERT_FILE": "",
    "GIT_SSL_NO_VERIFY": "1",
    "NODE_TLS_REJECT_UNAUTHORIZED": "0",
    "SSL_VERIFY": "false",
    "HTTPS_VERIFY": "0",
    "VERIFY": "False",
}


@pytest.mark.parametrize("name", NOT_VERIFYING)
def test_row_e2_no_variable_turns_verification_off(
    scripted_tls_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, NOT_VERIFYING[name])
    scripted_tls_server.script(FailedHandshake())

    with client.Session() as session, pytest.raises(SSLError):
        session.get(scripted_tls_server.url)


@pytest.mark.parametrize("value", ["0", "False", "no", "/nowhere/bundle.pem"])
def test_row_e2_a_bundle_that_is_not_there_is_an_error_and_never_no_verification(
    scripted_tls_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", value)

    with client.Session() as session, pytest.raises((RequestException, OSError)):
        session.get(scripted_tls_server.url)


def test_row_e2_the_callers_roots_win_over_the_environments(
    scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable names the roots that would fit; the caller has named others."""
    import certifi

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls_authority.bundle))
    scripted_tls_server.script(FailedHandshake())

    with client.Session() as session, pytest.raises(SSLError):
        session.get(scripted_tls_server.url, verify=certifi.where())


@pytest.mark.parametrize("trusted", [True, False])
def test_row_e2_tls_keys_are_logged_only_for_who_trusts_the_environment(
    scripted_tls_server: ScriptedServer,
    tls_authority: TLSAuthority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    trusted: bool,
) -> None:
    keys = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    scripted_tls_server.script(Expect(), Send(OK), Hold())

    with client.Session(trust_env=trusted, verify=str(tls_authority.bundle)) as session:
        session.get(scripted_tls_server.url)

    assert trusted is (keys.exists() and keys.stat().st_size > 0)


@pytest.mark.parametrize(
    "entry", ["localhost", "127.0.0.1", "127.0.0.0/8", "::1", "[::1]", "LOCALHOST.", "127.0.0.1.", "*"]
)
def test_row_e2_one_spelling_of_the_loopback_stands_for_all(
    scripted_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", entry)
    scripted_server.answer(OK)

    with client.Session() as session:
        assert 200 == session.get(scripted_server.url).status_code


# -- names ------------------------------------------------------------------------------------------------------------


def test_row_e7_the_name_in_tls_is_the_urls_and_never_the_host_headers(
    origins: Origins, tls_authority: TLSAuthority
) -> None:
    names: list[str | None] = []
    context = tls_authority.server_context("a.test")
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    seen = origins.a.script(StartTLS(context), Expect(), Send(OK), Close())

    with origins.session(verify=str(tls_authority.bundle)) as session:
        session.get(f"https://a.test:{origins.a.port}/", headers={"Host": "b.test"})

    assert ["a.test"] == names
    assert b"b.test" == fields(seen.requests[0])[b"host"]


def test_row_e7_a_certificate_for_the_host_header_is_not_enough(
    origins: Origins, tls_authority: TLSAuthority
) -> None:
    origins.a.script(StartTLS(tls_authority.server_context("b.test")))

    with origins.session(verify=str(tls_authority.bundle)) as session, pytest.raises(SSLError):
        session.get(f"https://a.test:{origins.a.port}/", headers={"Host": "b.test"})
    origins.a.conversations.clear()  # what the handshake's failure looks like from there is not the point
