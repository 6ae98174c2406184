"""Rows 95, 96, 116, 117 and 127-130: trust, certificates and proxies, as a session mixes them or rather does not."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest
import trustme

import client
from client.exceptions import SSLError
from tests.scripted_server import Close, Expect, FailedHandshake, ScriptedServer, Send
from tests.tls_authority import TLSAuthority
from tests.transport.relaying_proxy import ConnectProxy

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def session() -> Iterator[client.Session]:
    """A session that holds no slot in the end."""
    with client.Session(trust_env=False) as session:
        yield session
    assert 0 == session._transport._slots  # type: ignore[attr-defined]  # the pool


def test_row_095_trust_that_one_call_waived_is_not_waived_for_the_next(session: client.Session) -> None:
    """CVE-2024-35195: requests handed the unverified connection on to whoever asked for a verified one."""
    with a_stranger() as server:
        server.answer(OK)
        server.script(FailedHandshake())

        assert "ok" == session.get(server.url, verify=False).text
        with pytest.raises(SSLError):
            session.get(server.url)


def a_stranger() -> ScriptedServer:
    """Return a server whose certificate is from nobody that anyone trusts."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return ScriptedServer(tls=context)


def test_row_096_another_client_certificate_is_another_connection(
    tls_authority: TLSAuthority, session: client.Session
) -> None:
    certificates = [tls_authority.issue_files(f"{name}.test") for name in ("alice", "bob")]
    with ScriptedServer(tls=tls_authority.server_context()) as server:
        one, two = server.answer(OK, OK), server.answer(OK)
        session.verify = str(tls_authority.bundle)

        for chain, key in (certificates[0], certificates[1], certificates[0]):
            session.get(server.url, cert=(str(chain), str(key)))

    assert (2, 1) == (len(one.requests), len(two.requests))


def test_row_129_a_redirect_takes_the_proxy_too(
    scripted_server: ScriptedServer, session: client.Session
) -> None:
    where = b"HTTP/1.1 302 Go\r\nLocation: http://b.test/there\r\nContent-Length: 0\r\n\r\n"
    proxy = scripted_server.answer(where, OK)

    assert "ok" == session.get("http://a.test/", proxies={"http": scripted_server.url}).text
    assert [b"GET http://a.test/ ", b"GET http://b.test/there "] == [
        request[: request.index(b"HTTP/1.1")] for request in proxy.requests
    ]


def test_row_116_no_error_of_a_proxy_shows_its_credentials(
    scripted_server: ScriptedServer, session: client.Session
) -> None:
    scripted_server.script(
        Expect(b"CONNECT "), Send(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n"), Close()
    )
    proxy = scripted_server.url.replace("://", "://user:hunter2@")

    with pytest.raises(client.ProxyError) as caught:
        session.get("https://a.test/?token=hunter2", proxies={"https": proxy})

    assert "hunter2" not in f"{caught.value} {caught.value!r} {session!r}"
    assert "502" in str(caught.value)


def test_row_117_https_through_a_proxy_is_tls_with_the_origin(
    tls_authority: TLSAuthority, session: client.Session
) -> None:
    with ScriptedServer(tls=tls_authority.server_context()) as server, ConnectProxy() as proxy:
        server.answer(OK)
        url = server.url.replace("localhost", "127.0.0.1")

        response = session.get(
            url, proxies={"https": f"http://127.0.0.1:{proxy.port}"}, verify=str(tls_authority.bundle)
        )

        assert "ok" == response.text
    assert 1 == len(proxy.requests)


@pytest.fixture
def proxied(scripted_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> ScriptedServer:
    """A proxy that the environment names for http."""
    monkeypatch.setenv("http_proxy", scripted_server.url)
    return scripted_server


def test_row_127_a_header_named_proxy_is_no_proxy_in_a_cgi_program(
    scripted_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CVE-2016-5385: HTTP_PROXY is there what the client of the CGI program wrote."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    scripted_server.answer(OK)

    with client.Session() as session:
        assert "ok" == session.get(scripted_server.url).text


@pytest.mark.parametrize(
    ("no_proxy", "host"),
    [
        ("localhost", "localhost."),
        ("LOCALHOST", "localhost"),
        ("127.0.0.0/8", "127.0.0.1"),
        ("127.0.0.1", "localhost"),
        ("*", "127.0.0.1"),
    ],
)
def test_row_128_no_proxy_knows_a_host_by_each_of_its_spellings(
    proxied: ScriptedServer, monkeypatch: pytest.MonkeyPatch, no_proxy: str, host: str
) -> None:
    monkeypatch.setenv("no_proxy", no_proxy)
    with ScriptedServer() as origin, client.Session(resolver=lambda host, port: ["127.0.0.1"]) as session:
        origin.answer(OK)

        assert "ok" == session.get(f"http://{host}:{origin.port}/").text


@pytest.mark.parametrize("host", ["notlocalhost.test", "localhost.evil.test", "128.0.0.1"])
def test_row_128_and_no_other_host(
    proxied: ScriptedServer, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.0/8")
    script = proxied.answer(OK)

    with client.Session() as session:
        assert "ok" == session.get(f"http://{host}/").text

    assert script.requests[0].startswith(f"GET http://{host}/ HTTP/1.1".encode())


def test_the_environment_is_not_asked_if_it_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, scripted_server: ScriptedServer
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    scripted_server.answer(OK)

    with client.Session(trust_env=False) as session:
        assert "ok" == session.get(scripted_server.url).text
