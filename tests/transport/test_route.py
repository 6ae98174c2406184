"""Which requests may share a connection: those whose routes are equal."""

from __future__ import annotations

import pytest

from client.transport.dialer import Route
from client.transport.tls import TLSSettings
from client.transport.wire import Proxy

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
