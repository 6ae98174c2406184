"""Which addresses may be connected to, from where, and with which socket options."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from client.exceptions import AddressNotAllowed, ConnectError, InvalidRequest
from client.transport.dialer import NetworkOptions, Route
from tests.scripted_server import ScriptedServer
from tests.transport.dialing import dialed, found, welcomed

pytestmark = pytest.mark.usefixtures("no_leaks")


def test_a_refused_address_does_not_even_see_a_connection(scripted_server: ScriptedServer) -> None:
    """The server has no script: it would report any connection."""
    with pytest.raises(AddressNotAllowed, match=r"127\.0\.0\.1"):
        with dialed(Route("http", "localhost", scripted_server.port), address_filter=lambda address: False):
            pass


def test_a_name_with_a_forbidden_and_a_permitted_address_leads_to_the_permitted(
    scripted_server: ScriptedServer,
) -> None:
    with welcomed(
        scripted_server,
        Route("http", "a.test", scripted_server.port),
        resolver=found("127.0.0.2", "127.0.0.1"),
        address_filter=lambda address: address == "127.0.0.1",
    ) as connection:
        assert "127.0.0.1" == connection.info.peer[0]


def test_the_filter_sees_ipv4_inside_ipv6_as_ipv4(scripted_server: ScriptedServer) -> None:
    """A filter that forbids 127.0.0.0/8 would let ``::ffff:127.0.0.1`` pass, which is the same machine."""
    seen: list[str] = []

    def refuse(address: str) -> bool:
        seen.append(address)
        return False

    with pytest.raises(AddressNotAllowed):
        with dialed(
            Route("http", "::ffff:127.0.0.1", scripted_server.port),
            address_filter=refuse,
        ):
            pass

    assert ["127.0.0.1"] == seen


def test_what_the_filter_raises_is_raised(scripted_server: ScriptedServer) -> None:
    with pytest.raises(ZeroDivisionError):
        with dialed(
            Route("http", "127.0.0.1", scripted_server.port), address_filter=lambda address: 1 / 0 > 0
        ):
            pass


def test_the_filter_is_asked_about_a_unix_socket_too(tmp_path: Path) -> None:
    path = str(tmp_path / "server")
    with pytest.raises(AddressNotAllowed, match="server"):
        with dialed(Route("http+unix", "", 0, uds=path), address_filter=lambda address: address != path):
            pass


def test_connections_come_from_the_local_address(scripted_server: ScriptedServer) -> None:
    with welcomed(
        scripted_server,
        Route("http", "a.test", scripted_server.port),
        resolver=found("::1", "127.0.0.1"),
        local_address="127.0.0.9",
    ) as connection:
        assert "127.0.0.9" == connection.info.local[0] == connection.sock.getsockname()[0]


def test_a_host_without_an_address_of_the_local_family_is_out_of_reach() -> None:
    with pytest.raises(ConnectError, match=r"::1.*from.*127\.0\.0\.9"):
        with dialed(Route("http", "::1", 80), local_address="127.0.0.9"):
            pass


def test_a_local_address_that_is_none_of_ours_fails() -> None:
    with pytest.raises(ConnectError, match="assign requested address"):
        with dialed(Route("http", "127.0.0.1", 80), local_address="192.0.2.1"):
            pass


def test_a_local_address_must_be_an_ip_address() -> None:
    with pytest.raises(InvalidRequest, match=r"local_address='a\.test'"):
        NetworkOptions(local_address="a.test")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("resolver", "8.8.8.8"),
        ("address_filter", ["10.0.0.0/8"]),
        ("local_address", ("127.0.0.1", 0)),
        ("socket_options", [("SOL_SOCKET", 1, 2)]),
        ("socket_options", [(1, 2)]),
        ("socket_options", [7]),
    ],
)
def test_an_option_of_another_form_is_refused_before_the_first_call(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match=name):
        NetworkOptions(**{name: value})


@pytest.mark.parametrize(
    ("written", "seen"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("::ffff:0.0.0.0", "127.0.0.1")]
)
def test_the_filter_sees_where_an_unspecified_address_leads(written: str, seen: str) -> None:
    """Linux connects to the loopback: a filter that forbids 127.0.0.0/8 must not be passed by http://0.0.0.0/."""
    asked: list[str] = []
    with pytest.raises(AddressNotAllowed):
        with dialed(Route("http", written, 80), address_filter=asked.append):
            pass

    assert [seen] == asked


def test_a_socket_path_with_a_nul_is_refused() -> None:
    """The system would connect to the path before it."""
    with pytest.raises(InvalidRequest, match="NUL"):
        with dialed(Route("http", "a.test", 80, uds="/tmp/a\0b")):
            pass


def test_socket_options_are_set(scripted_server: ScriptedServer) -> None:
    with welcomed(
        scripted_server,
        Route("http", "127.0.0.1", scripted_server.port),
        socket_options=[(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)],
    ) as connection:
        assert 0 != connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_socket_option_that_the_system_refuses_is_an_error() -> None:
    with pytest.raises(ConnectError, match="Protocol not available"):
        with dialed(Route("http", "127.0.0.1", 80), socket_options=[(socket.SOL_SOCKET, 9999, 1)]):
            pass
