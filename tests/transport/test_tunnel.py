"""What a proxy is told, what it may answer, and that it never stands in for the origin."""

from __future__ import annotations

import ssl
import threading
import time
from typing import Any

import pytest
import trustme

from client.exceptions import (
    AddressNotAllowed,
    ConnectTimeout,
    InvalidRequest,
    NameResolutionError,
    ProxyError,
    SSLError,
)
from client.transport.cancel import CancelToken
from client.transport.dialer import Route
from client.transport.tls import TLSSettings
from client.transport.wire import Proxy
from tests.scripted_server import (
    Close,
    Expect,
    ExpectClosed,
    FailedHandshake,
    Flood,
    Hold,
    Pause,
    Reset,
    ScriptedServer,
    Send,
    Signal,
    StartTLS,
    Step,
)
from tests.tls_authority import TLSAuthority
from tests.transport.dialing import cancel_when, dialed
from tests.transport.relaying_proxy import ConnectProxy

pytestmark = pytest.mark.usefixtures("no_leaks")

SECRET = b"Basic dXNlcjpodW50ZXIy"  # user:hunter2
GO_AHEAD = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.fixture
def trusting(tls_authority: TLSAuthority) -> TLSSettings:
    return TLSSettings(str(tls_authority.bundle))


def local_proxy(port: int, scheme: str = "http", authorization: bytes | None = None, **tls: Any) -> Proxy:
    return Proxy(scheme, "127.0.0.1", port, authorization, **tls)


# -- CONNECT ----------------------------------------------------------------------------------------------------


def test_the_origin_sees_the_handshake_and_the_proxy_nothing_but_connect(
    scripted_tls_server: ScriptedServer, trusting: TLSSettings
) -> None:
    """CVE-2015-3153: neither the request's fields nor its path are the proxy's business."""
    port = scripted_tls_server.port
    scripted_tls_server.script(Expect(b"GET /secret "), Send(b"hello"), ExpectClosed())

    with ConnectProxy() as proxy:
        way = local_proxy(proxy.port, authorization=SECRET)
        with dialed(Route("https", "localhost", port, way, trusting)) as connection:
            connection.sock.sendall(b"GET /secret HTTP/1.1\r\n\r\n")
            assert b"hello" == connection.sock.recv(5)
            assert ("127.0.0.1", proxy.port) == connection.info.peer
            assert way is connection.info.proxy

    expected = (
        f"CONNECT localhost:{port} HTTP/1.1\r\nHost: localhost:{port}\r\nUser-Agent: threadwire\r\n"
        f"Proxy-Authorization: {SECRET.decode()}\r\n\r\n"
    )
    assert [expected.encode()] == proxy.requests


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("a.test", b"a.test:443"),
        ("::1", b"[::1]:443"),
        ("fe80::1%eth0", b"[fe80::1]:443"),
        ("127.0.0.1", b"127.0.0.1:443"),
    ],
)
def test_the_target_of_connect_is_host_and_port(
    scripted_server: ScriptedServer, host: str, expected: bytes
) -> None:
    told = scripted_server.script(Expect(), Send(b"HTTP/1.1 403 No\r\n\r\n"), ExpectClosed())

    with pytest.raises(ProxyError):
        with dialed(Route("https", host, 443, local_proxy(scripted_server.port))):
            pass

    assert told.requests[0].startswith(b"CONNECT " + expected + b" HTTP/1.1\r\nHost: " + expected + b"\r\n")
    assert b"Proxy-Authorization" not in told.requests[0]


@pytest.mark.parametrize(
    ("host", "authorization"),
    [
        ("a.test", b"Basic hunter2\r\nEvil: yes"),
        ("a.test", b"Basic hunter2\0"),
        ("a.test\r\nEvil: yes", None),
    ],
)
def test_nothing_can_break_the_head_apart(
    scripted_server: ScriptedServer, host: str, authorization: bytes | None
) -> None:
    """CVE-2026-1502. Parsed URLs cannot hold such things; a `Proxy` made by hand can."""
    conversation = scripted_server.script(ExpectClosed())

    with pytest.raises(InvalidRequest) as caught:
        with dialed(
            Route("https", host, 443, local_proxy(scripted_server.port, authorization=authorization))
        ):
            pass

    assert conversation.finished.wait(10)
    assert "hunter2" not in str(caught.value) + repr(caught.value.__cause__)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 204 No\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n" + GO_AHEAD,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_2xx_answer_opens_the_tunnel(
    scripted_server: ScriptedServer, tls_authority: TLSAuthority, trusting: TLSSettings, answer: bytes
) -> None:
    """Length and coding in it mean nothing (RFC 9112 section 6.3, rule 2)."""
    scripted_server.script(
        Expect(), Send(answer), StartTLS(tls_authority.server_context()), Send(b"hello"), ExpectClosed()
    )

    with dialed(Route("https", "localhost", 443, local_proxy(scripted_server.port), trusting)) as connection:
        assert b"hello" == connection.sock.recv(5)


@pytest.mark.parametrize("status", [300, 301, 302, 307, 401, 403, 404, 407, 500, 502, 503])
def test_any_other_status_is_the_proxys_refusal(scripted_server: ScriptedServer, status: int) -> None:
    """It is not the origin's answer, its Location is nobody's, and its challenge gets no credentials."""
    conversation = scripted_server.script(
        Expect(),
        Send(
            f"HTTP/1.1 {status} user:hunter2\r\nLocation: http://evil.test/\r\nContent-Length: 2\r\n"
            "WWW-Authenticate: Basic\r\nProxy-Authenticate: Basic\r\n\r\nok".encode()
        ),
        ExpectClosed(),
    )

    with pytest.raises(ProxyError) as caught:
        with dialed(Route("https", "a.test", 443, local_proxy(scripted_server.port, authorization=SECRET))):
            pass

    error: Any = caught.value
    assert status == error.status
    assert f"status {status}" in str(error)
    assert "a.test:443" in str(error)
    assert "hunter2" not in str(error) + repr(error)
    assert SECRET.decode() not in str(error) + repr(error)
    assert 1 == len(conversation.requests)


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (
            (Send(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),),
            "gave no answer",
        ),
        ((Send(GO_AHEAD + b"HTTP/1.1 200 OK\r\n\r\n"),), "bytes of its own"),
        ((Send(GO_AHEAD + b"\x16\x03\x03"),), "bytes of its own"),
        ((Send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),), "bytes of its own"),
        ((Send(b"SSH-2.0-OpenSSH\r\n"),), "gave no answer"),
        ((Send(b"HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n"),), "gave no answer"),
        ((Send(b"HTTP/1.1 200 O"), Close()), "gave no answer"),
        ((Close(),), "the proxy closed it"),
        ((Reset(),), "broke"),
        ((Flood(b"HTTP/1.1 100 Continue\r\n\r\n", 1 << 22),), "gave no answer"),
        ((Send(b"HTTP/1.1 200 OK\r\nA: "), Flood(b"a" * 8192, 1 << 22)), "gave no answer"),
    ],
)
def test_what_is_no_answer_is_an_error(
    scripted_server: ScriptedServer, steps: tuple[Step, ...], reason: str
) -> None:
    scripted_server.script(
        Expect(),
        *steps,
        ExpectClosed(silently=False) if not isinstance(steps[-1], Close | Reset) else Pause(0),
    )

    with pytest.raises(ProxyError, match=reason) as caught:
        with dialed(Route("https", "a.test", 443, local_proxy(scripted_server.port))):
            pass

    assert f"http://127.0.0.1:{scripted_server.port}" in str(caught.value)


def test_bytes_before_the_origins_handshake_are_never_an_answer(
    scripted_server: ScriptedServer, trusting: TLSSettings
) -> None:
    """Whenever they come: what arrives with the proxy's answer is refused, what comes later is no TLS."""
    scripted_server.script(
        Expect(),
        Send(GO_AHEAD),
        Pause(0.05),
        Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ExpectClosed(silently=False),
    )

    with pytest.raises(SSLError, match="does not seem to speak TLS"):
        with dialed(Route("https", "localhost", 443, local_proxy(scripted_server.port), trusting)):
            pass


@pytest.mark.timing
@pytest.mark.parametrize(
    "steps",
    [
        (Hold(),),
        (
            *(step for byte in GO_AHEAD[:20] for step in (Send(bytes([byte]), may_fail=True), Pause(0.05))),
            Hold(),
        ),
    ],
    ids=["silent", "dripping"],
)
def test_a_slow_proxy_ends_with_the_budget(scripted_server: ScriptedServer, steps: tuple[Step, ...]) -> None:
    scripted_server.script(Expect(), *steps)

    started = time.monotonic()
    with pytest.raises(ConnectTimeout) as caught:
        with dialed(Route("https", "a.test", 443, local_proxy(scripted_server.port)), seconds=0.3):
            pass

    assert 0.3 <= time.monotonic() - started < 1.3
    assert ("proxy", 0.3) == (caught.value.phase, caught.value.seconds)


def test_cancelling_wakes_a_wait_for_the_proxy(scripted_server: ScriptedServer) -> None:
    token, error, asked = CancelToken(), KeyError("stopped"), threading.Event()
    scripted_server.script(Expect(), Signal(asked), ExpectClosed())

    with cancel_when(asked, token, error), pytest.raises(KeyError) as caught:
        with dialed(
            Route("https", "a.test", 443, local_proxy(scripted_server.port)), seconds=None, cancel=token
        ):
            pass

    assert error is caught.value


def test_a_proxy_that_cannot_be_reached_is_the_proxys_error(scripted_server: ScriptedServer) -> None:
    with pytest.raises(ProxyError, match=r"cannot be reached.*Connection refused"):
        with dialed(Route("https", "a.test", 443, local_proxy(1))):
            pass
    with pytest.raises(ProxyError, match=r"cannot be reached.*proxy\.invalid") as caught:
        with dialed(Route("https", "a.test", 443, Proxy("http", "proxy.invalid", 3128, SECRET))):
            pass
    assert isinstance(caught.value.__cause__, NameResolutionError)


def test_the_address_filter_is_asked_about_the_proxy() -> None:
    with pytest.raises(AddressNotAllowed):
        with dialed(Route("https", "a.test", 443, local_proxy(1)), address_filter=lambda address: False):
            pass


def test_plain_http_needs_no_tunnel(scripted_server: ScriptedServer) -> None:
    """The request itself goes to the proxy, in absolute form."""
    scripted_server.script(Expect(b"GET http://a.test/ "), Send(b"hello"), ExpectClosed())

    with dialed(Route("http", "a.test", 80, local_proxy(scripted_server.port))) as connection:
        connection.sock.sendall(b"GET http://a.test/ HTTP/1.1\r\n\r\n")
        assert b"hello" == connection.sock.recv(5)
        assert connection.info.tls_version is None


# -- a proxy behind TLS -------------------------------------------------------------------------------------------


def test_tls_to_the_proxy_has_settings_of_its_own(
    scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority
) -> None:
    """CVE-2026-97687: what is accepted of the origin says nothing about the proxy."""
    with ConnectProxy(tls_authority.server_context()) as proxy:
        way = local_proxy(proxy.port, "https", SECRET)
        with pytest.raises(ProxyError, match="not accepted") as caught:
            with dialed(Route("https", "localhost", 443, way, TLSSettings(verify=False))):
                pass

    assert isinstance(caught.value.__cause__, SSLError)
    assert [] == proxy.requests


def test_a_proxys_certificate_must_be_for_the_proxy(
    tls_authority: TLSAuthority, trusting: TLSSettings
) -> None:
    """CVE-2021-28363."""
    with ConnectProxy(tls_authority.server_context("other.test")) as proxy:
        with pytest.raises(ProxyError, match="mismatch"):
            with dialed(
                Route("https", "a.test", 443, local_proxy(proxy.port, "https", tls=trusting), trusting)
            ):
                pass


def test_the_origins_client_certificate_is_never_shown_to_the_proxy(
    scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority, trusting: TLSSettings
) -> None:
    context = tls_authority.server_context()
    context.verify_mode = ssl.CERT_OPTIONAL
    tls_authority.ca.configure_trust(context)
    settings = TLSSettings(tls_authority.bundle, tls_authority.issue_files("client@a.test"))
    scripted_tls_server.script(Send(b"hello"), ExpectClosed())

    with ConnectProxy(context) as proxy:
        way = local_proxy(proxy.port, "https", tls=trusting)
        with dialed(Route("https", "localhost", scripted_tls_server.port, way, settings)) as connection:
            assert b"hello" == connection.sock.recv(5)

    assert [None] == proxy.client_certificates


def test_an_untrusted_origin_behind_a_trusted_proxy_is_refused(
    tls_authority: TLSAuthority, trusting: TLSSettings
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with ScriptedServer(context) as origin, ConnectProxy(tls_authority.server_context()) as proxy:
        origin.script(FailedHandshake())
        way = local_proxy(proxy.port, "https", tls=trusting)
        with pytest.raises(SSLError, match=f"localhost:{origin.port} is not accepted"):
            with dialed(Route("https", "localhost", origin.port, way, trusting)):
                pass


@pytest.mark.timing
def test_a_proxy_that_never_answers_the_handshake_ends_with_the_budget(
    scripted_server: ScriptedServer, trusting: TLSSettings
) -> None:
    scripted_server.script(Hold())
    way = local_proxy(scripted_server.port, "https", tls=trusting)

    with pytest.raises(ConnectTimeout) as caught:
        with dialed(Route("https", "a.test", 443, way), seconds=0.3):
            pass

    assert "proxy" == caught.value.phase


def test_a_refusal_of_a_tls_proxy_leaves_nothing_open(
    scripted_tls_server: ScriptedServer, trusting: TLSSettings
) -> None:
    scripted_tls_server.script(Expect(), Send(b"HTTP/1.1 403 No\r\n\r\n"), ExpectClosed())
    way = local_proxy(scripted_tls_server.port, "https", tls=trusting)

    with pytest.raises(ProxyError, match="status 403"):
        with dialed(Route("https", "a.test", 443, way)):
            pass


def test_plain_http_to_a_tls_proxy_is_protected_as_far_as_the_proxy(
    scripted_tls_server: ScriptedServer, trusting: TLSSettings
) -> None:
    scripted_tls_server.script(Expect(b"GET http://a.test/ "), Send(b"hello"), ExpectClosed())
    way = local_proxy(scripted_tls_server.port, "https", tls=trusting)

    with dialed(Route("http", "a.test", 80, way)) as connection:
        connection.sock.sendall(b"GET http://a.test/ HTTP/1.1\r\n\r\n")
        assert b"hello" == connection.sock.recv(5)
        assert "TLSv1.3" == connection.info.tls_version
