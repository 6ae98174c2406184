"""SOCKS5, byte for byte, by RFC 1928 and RFC 1929."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator

import pytest

from client.exceptions import (
    AddressNotAllowed,
    ConnectTimeout,
    InvalidRequest,
    NameResolutionError,
    ProxyError,
)
from client.transport.cancel import CancelToken
from client.transport.dialer import Route
from client.transport.tls import TLSSettings
from client.transport.wire import Proxy
from tests.scripted_server import Close, Expect, ExpectClosed, Hold, Pause, ScriptedServer, Send, Signal, Step
from tests.tls_authority import TLSAuthority
from tests.transport.dialing import cancel_when, dialed
from tests.transport.relaying_proxy import SocksProxy

pytestmark = pytest.mark.usefixtures("no_leaks")


def local_proxy(port: int, scheme: str = "socks5h", credentials: bytes | None = None) -> Proxy:
    return Proxy(scheme, "127.0.0.1", port, credentials)


def slowly(data: bytes) -> Iterator[Step]:
    """Send *data* so that each byte is a segment of its own."""
    for value in data:
        yield from (Send(bytes([value])), Pause(0.005))


@pytest.mark.parametrize(
    ("scheme", "told"), [("socks5h", "localhost"), ("socks5", "127.0.0.1")], ids=["socks5h", "socks5"]
)
def test_the_h_of_socks5h_has_the_proxy_resolve_the_name(
    scripted_server: ScriptedServer, scheme: str, told: str
) -> None:
    scripted_server.script(Send(b"hello"), ExpectClosed())

    with SocksProxy() as proxy:
        route = Route("http", "localhost", scripted_server.port, local_proxy(proxy.port, scheme))
        with dialed(route, resolver=lambda host, port: ["127.0.0.1"]) as connection:
            assert b"hello" == connection.sock.recv(5)

    assert [(None, told, scripted_server.port)] == proxy.requests


def test_every_address_is_tried_until_the_proxy_can_connect_to_one(
    scripted_server: ScriptedServer,
) -> None:
    """A proxy connection serves one request (RFC 1928 section 6), so each address takes a new one."""
    scripted_server.script(Send(b"hello"), ExpectClosed())
    found = ["127.9.9.9", "10.0.0.1", "::1", "127.0.0.1"]

    with SocksProxy(refused={"127.9.9.9", "::1"}) as proxy:
        route = Route("http", "a.test", scripted_server.port, local_proxy(proxy.port, "socks5"))
        with dialed(
            route, resolver=lambda host, port: found, address_filter=lambda ip: ip != "10.0.0.1"
        ) as connection:
            assert b"hello" == connection.sock.recv(5)

    assert ["127.9.9.9", "::1", "127.0.0.1"] == [host for _, host, _ in proxy.requests]


def test_when_no_address_can_be_reached_the_error_has_each_reason() -> None:
    with SocksProxy(reply=5) as proxy:
        route = Route("http", "a.test", 80, local_proxy(proxy.port, "socks5"))
        with pytest.raises(
            ProxyError,
            match=r"'a.test'.*127\.0\.0\.1:80: connection refused.*127\.0\.0\.2:80: connection refused",
        ):
            with dialed(route, resolver=lambda host, port: ["127.0.0.1", "127.0.0.2"]):
                pass

    assert 2 == len(proxy.requests)


def test_a_proxy_that_does_not_know_us_is_asked_once() -> None:
    """Whatever the address: and a wrong password once more could lock the account."""
    with SocksProxy(credentials=b"user:hunter2") as proxy:
        way = local_proxy(proxy.port, "socks5", credentials=b"user:wrong")
        with pytest.raises(ProxyError, match="does not accept the credentials"):
            with dialed(
                Route("http", "a.test", 80, way), resolver=lambda host, port: ["127.0.0.1", "127.0.0.2"]
            ):
                pass

    assert 1 == proxy.accepted


def test_https_goes_through_it_to_the_origin(
    scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority
) -> None:
    """PYSEC-2026-3844: a tunnel of another kind is no reason to leave TLS out."""
    scripted_tls_server.script(Send(b"hello"), ExpectClosed())
    settings = TLSSettings(tls_authority.bundle)

    with SocksProxy() as proxy:
        route = Route("https", "localhost", scripted_tls_server.port, local_proxy(proxy.port), settings)
        with dialed(route) as connection:
            assert b"hello" == connection.sock.recv(5)
            assert "TLSv1.3" == connection.info.tls_version


def test_credentials_are_given_when_asked_for(scripted_server: ScriptedServer) -> None:
    scripted_server.script(Send(b"hello"), ExpectClosed())

    with SocksProxy(credentials=b"user:hunter:2") as proxy:
        way = local_proxy(proxy.port, credentials=b"user:hunter:2")
        with dialed(Route("http", "127.0.0.1", scripted_server.port, way)) as connection:
            assert b"hello" == connection.sock.recv(5)

    assert [(b"user:hunter:2", "127.0.0.1", scripted_server.port)] == proxy.requests


@pytest.mark.parametrize(
    ("credentials", "reason"),
    [(None, "ways to authenticate"), (b"user:wrong", "does not accept the credentials")],
)
def test_wrong_credentials_are_an_error_that_does_not_show_them(
    credentials: bytes | None, reason: str
) -> None:
    with SocksProxy(credentials=b"user:hunter2") as proxy:
        with pytest.raises(ProxyError, match=reason) as caught:
            with dialed(Route("http", "a.test", 80, local_proxy(proxy.port, credentials=credentials))):
                pass

    assert "wrong" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize("credentials", [b"x" * 256 + b":", b"user:" + b"x" * 256])
def test_credentials_that_do_not_fit_are_an_error(credentials: bytes) -> None:
    with SocksProxy(credentials=credentials) as proxy:
        with pytest.raises(ProxyError, match="255 bytes"):
            with dialed(Route("http", "a.test", 80, local_proxy(proxy.port, credentials=credentials))):
                pass


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (1, "general server failure"),
        (2, "connection not allowed by ruleset"),
        (5, "connection refused"),
        (99, "reply 99"),
    ],
)
def test_a_refusal_has_its_reason(reply: int, reason: str) -> None:
    with SocksProxy(reply=reply) as proxy:
        with pytest.raises(ProxyError, match=rf"cannot connect to a\.test:80: {reason}"):
            with dialed(Route("http", "a.test", 80, local_proxy(proxy.port))):
                pass


def test_a_refusal_needs_no_address() -> None:
    """Tailscale's proxy leaves its type 0, which no address has; the reason must be told all the same."""
    with SocksProxy(reply=4, bound=bytes(7)) as proxy:
        with pytest.raises(ProxyError, match=r"cannot connect to a\.test:80: host unreachable"):
            with dialed(Route("http", "a.test", 80, local_proxy(proxy.port))):
                pass


@pytest.mark.parametrize(
    "bound",
    [
        b"\x01\x7f\x00\x00\x01\x00\x50",
        b"\x03\x06a.test\x00\x50",
        b"\x03\xff" + b"x" * 255 + b"\x00\x50",
        b"\x04" + bytes(16) + b"\x00\x50",
    ],
    ids=["ipv4", "name", "long name", "ipv6"],
)
def test_what_follows_the_answer_is_the_origins(scripted_server: ScriptedServer, bound: bytes) -> None:
    """A byte too many or too few, and the origin's answer begins in the wrong place."""
    scripted_server.script(Send(b"hello"), ExpectClosed())

    with SocksProxy(bound=bound) as proxy:
        with dialed(Route("http", "127.0.0.1", scripted_server.port, local_proxy(proxy.port))) as connection:
            assert b"hello" == connection.sock.recv(5)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("a.test", b"\x03\x06a.test\x00\x50"),
        ("192.0.2.1", b"\x01\xc0\x00\x02\x01\x00\x50"),
        ("2001:db8::1", b"\x04\x20\x01\x0d\xb8" + bytes(11) + b"\x01\x00\x50"),
        ("fe80::1%lo", b"\x04\xfe\x80" + bytes(13) + b"\x01\x00\x50"),
    ],
)
def test_the_request_by_the_byte(scripted_server: ScriptedServer, host: str, expected: bytes) -> None:
    told = scripted_server.script(
        Expect(until=b"\x05\x01\x00"),
        Send(b"\x05\x00"),
        Expect(b"\x05\x01\x00", until=b"\x00\x50"),
        Send(b"\x05\x01\x00\x01" + bytes(6)),
        ExpectClosed(),
    )

    with pytest.raises(ProxyError):
        with dialed(Route("http", host, 80, local_proxy(scripted_server.port))):
            pass

    assert [b"\x05\x01\x00", b"\x05\x01\x00" + expected] == told.requests


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ((Send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ExpectClosed(silently=False)), "does not speak SOCKS5"),
        ((Send(b"\x04\x00"), ExpectClosed()), "does not speak SOCKS5"),
        ((Send(b"\x05\x02"), ExpectClosed()), "ways to authenticate"),
        ((Send(b"\x05"), Close()), "broke"),
        ((Close(),), "broke"),
        (
            (Send(b"\x05\x00"), Expect(until=b"\x00\x50"), Send(b"\x04\x00\x00\x01"), ExpectClosed()),
            "speak SOCKS5",
        ),
        ((Send(b"\x05\x00"), Expect(until=b"\x00\x50"), Send(b"\x05\x00\x00\x01\x7f"), Close()), "broke"),
        (
            (Send(b"\x05\x00"), Expect(until=b"\x00\x50"), Send(b"\x05\x00\x00\x09"), ExpectClosed()),
            "address type 9",
        ),
    ],
)
def test_what_is_no_socks_is_an_error(
    scripted_server: ScriptedServer, steps: tuple[Step, ...], reason: str
) -> None:
    scripted_server.script(Expect(until=b"\x05\x01\x00"), *steps)

    with pytest.raises(ProxyError, match=reason):
        with dialed(Route("http", "a.test", 80, local_proxy(scripted_server.port))):
            pass


def test_answers_may_come_byte_by_byte(scripted_server: ScriptedServer) -> None:
    scripted_server.script(
        Expect(until=b"\x05\x01\x00"),
        *slowly(b"\x05\x00"),
        Expect(until=b"\x00\x50"),
        *slowly(b"\x05\x00\x00\x03\x06a.test\x00\x50"),
        Send(b"hello"),
        ExpectClosed(),
    )

    with dialed(Route("http", "a.test", 80, local_proxy(scripted_server.port))) as connection:
        assert b"hello" == connection.sock.recv(5)


def test_without_its_extra_it_says_what_to_install(
    scripted_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    scripted_server.script(ExpectClosed())

    with pytest.raises(InvalidRequest, match=r"pip install threadwire\[socks\]"):
        with dialed(Route("http", "a.test", 80, local_proxy(scripted_server.port))):
            pass


def test_the_address_filter_is_asked_about_an_origin_that_we_resolve() -> None:
    with SocksProxy() as proxy:
        with pytest.raises(AddressNotAllowed, match=r"10\.0\.0\.1"):
            with dialed(
                Route("http", "a.test", 80, local_proxy(proxy.port, "socks5")),
                resolver=lambda host, port: ["10.0.0.1"],
                address_filter=lambda address: address == "127.0.0.1",
            ):
                pass

    assert [] == proxy.requests


def test_a_name_that_we_cannot_resolve_is_not_the_proxys_error() -> None:
    with SocksProxy() as proxy:
        with pytest.raises(NameResolutionError, match=r"no-such-host\.invalid"):
            with dialed(Route("http", "no-such-host.invalid", 80, local_proxy(proxy.port, "socks5"))):
                pass


@pytest.mark.timing
def test_a_silent_proxy_ends_with_the_budget(scripted_server: ScriptedServer) -> None:
    scripted_server.script(Hold())

    started = time.monotonic()
    with pytest.raises(ConnectTimeout) as caught:
        with dialed(Route("http", "a.test", 80, local_proxy(scripted_server.port)), seconds=0.3):
            pass

    assert 0.3 <= time.monotonic() - started < 1.3
    assert "proxy" == caught.value.phase


def test_cancelling_wakes_a_wait_for_the_proxy(scripted_server: ScriptedServer) -> None:
    token, error, asked = CancelToken(), KeyError("stopped"), threading.Event()
    scripted_server.script(Expect(until=b"\x05\x01\x00"), Signal(asked), ExpectClosed())

    with cancel_when(asked, token, error), pytest.raises(KeyError) as caught:
        with dialed(
            Route("http", "a.test", 80, local_proxy(scripted_server.port)), seconds=None, cancel=token
        ):
            pass

    assert error is caught.value
