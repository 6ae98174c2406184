"""Advanced: SSL certificate verification, client certificates, proxies, timeouts."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

import client as requests
from client.testing import LoopbackServer
from tests.scripted_server import Expect, ScriptedServer, Send
from tests.tls_authority import TLSAuthority

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_certificates_are_verified(tls_authority: TLSAuthority) -> None:
    with LoopbackServer(tls=tls_authority.server_context()) as server:
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(server.url)
        assert 200 == requests.get(server.url, verify=str(tls_authority.bundle)).status_code
        assert 200 == requests.get(server.url, verify=False).status_code
        session = requests.Session()
        session.verify = str(tls_authority.bundle)
        assert 200 == session.get(server.url).status_code
        session.close()


def test_the_environment_may_name_the_roots(
    tls_authority: TLSAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls_authority.bundle))
    with LoopbackServer(tls=tls_authority.server_context()) as server:
        assert 200 == requests.get(server.url).status_code


def test_a_bundle_that_is_not_there_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        requests.get("https://localhost:1", verify=str(tmp_path / "nowhere"))


def test_a_client_certificate(tls_authority: TLSAuthority) -> None:
    context = tls_authority.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(tls_authority.bundle)
    cert = tls_authority.issue_files("client.test")
    with LoopbackServer(tls=context) as server:
        session = requests.Session()
        session.verify = str(tls_authority.bundle)
        assert 200 == session.get(server.url, cert=cert).status_code
        session.cert = cert
        assert 200 == session.get(server.url).status_code
        session.close()


def test_proxies_of_a_call_of_a_session_and_of_the_environment(
    scripted_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = [scripted_server.script(Expect(b"GET http://elsewhere.test/"), Send(OK)) for _ in range(3)]
    proxies = {"http": scripted_server.url, "https": "http://127.0.0.1:9"}

    assert "ok" == requests.get("http://elsewhere.test/", proxies=proxies).text
    session = requests.Session()
    session.proxies.update(proxies)
    assert "ok" == session.get("http://elsewhere.test/").text
    session.close()
    monkeypatch.setenv("http_proxy", scripted_server.url)
    assert "ok" == requests.get("http://elsewhere.test/").text
    assert all(len(script.requests) == 1 for script in scripts)


def test_a_proxy_for_one_host_with_credentials(scripted_server: ScriptedServer) -> None:
    script = scripted_server.script(Expect(), Send(OK))
    proxy = scripted_server.url.replace("http://", "http://user:pass@")
    requests.get("http://one.test/", proxies={"http://one.test": proxy, "http": "http://127.0.0.1:9"})

    assert b"\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n" in script.requests[0]


def test_no_proxy(server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", server.host)

    assert 200 == requests.get(server.url).status_code


def test_an_unreachable_proxy_is_a_proxy_error() -> None:
    with pytest.raises(requests.exceptions.ProxyError):
        requests.get("http://elsewhere.test/", proxies={"http": "http://127.0.0.1:9"})


def test_a_socks_proxy_is_a_url_like_any_other() -> None:
    with pytest.raises(requests.exceptions.ProxyError):
        requests.get("http://elsewhere.test/", proxies={"http": "socks5h://user:pass@127.0.0.1:9"})


@pytest.mark.parametrize("timeout", [5, 5.5, (3.05, 27), (None, 5), None])
def test_the_forms_of_a_timeout(
    server: LoopbackServer, timeout: float | tuple[float | None, float] | None
) -> None:
    assert 200 == requests.get(server.url, timeout=timeout).status_code


def test_nonsense_is_no_timeout(server: LoopbackServer) -> None:
    for timeout in ((3, 4, 5), "5", -1):
        with pytest.raises(ValueError, match="timeout"):
            requests.get(server.url, timeout=timeout)  # type: ignore[arg-type]  # the mistake
