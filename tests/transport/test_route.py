"""Which requests may share a connection: those whose routes are equal; and where a request goes, and with what."""

from __future__ import annotations

from typing import Any

import pytest

from client.exceptions import InvalidRequest
from client.transport.dialer import Route
from client.transport.pool import ConnectionPool
from client.transport.tls import TLSSettings
from client.transport.wire import Proxy
from tests.transport.exchanging import a_request

PROXY = Proxy("http", "proxy.test", 3128, b"Basic c2VjcmV0")
ROUTE = Route("https", "a.test", 443, PROXY, TLSSettings())


@pytest.mark.parametrize(
    "other",
    [
        Route("http", "a.test", 443, PROXY),
        Route("https", "b.test", 443, PROXY),
        Route("https", "a.test", 444, PROXY),
        Route("https", "a.test", 443),
        Route("https", "a.test", 443, Proxy("http", "proxy.test", 3128)),
        Route("https", "a.test", 443, Proxy("http", "proxy.test", 3128, b"Basic b3RoZXI=")),
        Route("https", "a.test", 443, PROXY, TLSSettings(verify=False)),
        Route("https", "a.test", 443, PROXY, TLSSettings(cert="client.pem")),
        Route("https", "a.test", 443, PROXY, TLSSettings(server_name="b.test")),
        Route("https", "a.test", 443, uds="/run/server"),
    ],
    ids=repr,
)
def test_every_part_of_a_route_tells_it_apart(other: Route) -> None:
    assert ROUTE != other
    assert Route("https", "fe80::1%lo", 443) != Route("https", "fe80::1%eth0", 443)


def test_equal_routes_are_one_key() -> None:
    """Settings for TLS say nothing about a connection that has none."""
    assert {ROUTE} == {ROUTE, Route("https", "a.test", 443, PROXY)}
    assert Route("http", "a.test", 80) == Route("http", "a.test", 80, None, TLSSettings(verify=False))


def test_no_repr_shows_credentials() -> None:
    assert "<Route https://a.test:443 by <Proxy http://proxy.test:3128>>" == repr(ROUTE)


@pytest.mark.parametrize("uds", ["", b""])
def test_an_empty_path_of_a_unix_socket_is_refused(uds: Any) -> None:
    """A setting that was left empty sent to the URL's host, over the network, what was meant for a local socket."""
    with pytest.raises(InvalidRequest, match="uds="):
        ConnectionPool(uds=uds)


def test_a_proxy_gets_its_own_credentials_in_the_place_of_a_callers_field() -> None:
    """Two fields of that name are none that a proxy can read (RFC 9110 section 5.3)."""
    request = a_request("http://a.test/x")
    request.headers.append((b"proxy-authorization", b"Basic b3RoZXI="))

    _, fields = request.for_proxy(Proxy("http", "proxy.test", 80, b"Basic bWU6cHc="))

    assert [(b"Host", b"a.test"), (b"Proxy-Authorization", b"Basic bWU6cHc=")] == fields
    _, unchanged = request.for_proxy(Proxy("http", "proxy.test", 80))
    assert (b"proxy-authorization", b"Basic b3RoZXI=") in unchanged
