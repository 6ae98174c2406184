"""Rows 094, 098 and 103: what tells one connection from another, and how many are remembered."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import client
from tests.scripted_server import Expect, Hold, ScriptedServer, Send, StartTLS, Step
from tests.tls_authority import TLSAuthority

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.fixture
def session() -> Iterator[client.Session]:
    """A session that holds no slot in the end."""
    with client.Session(trust_env=False) as session:
        yield session
    assert 0 == session._transport._slots  # type: ignore[attr-defined]  # the pool


def socks(host: bytes, port: int) -> list[Step]:
    """Be a SOCKS5 server (RFC 1928) that connects to *host*, byte by byte."""
    wanted = b"\x05\x01\x00\x03" + bytes([len(host)]) + host + port.to_bytes(2)
    return [
        Expect(until=b"\x05\x01\x00"),
        Send(b"\x05\x00"),
        Expect(wanted, until=wanted),
        Send(b"\x05\x00\x00\x01" + bytes(6)),
    ]


def test_row_094_behind_socks_each_origin_has_connections_of_its_own(
    scripted_server: ScriptedServer, session: client.Session
) -> None:
    """CVE-2026-6734: undici's pool knew the proxy only, and asked whoever it had last been connected to."""
    a = scripted_server.script(
        *socks(b"a.test", 80), Expect(b"GET /1 "), Send(OK), Expect(b"GET /3 "), Send(OK), Hold()
    )
    b = scripted_server.script(*socks(b"b.test", 80), Expect(b"GET /2 "), Send(OK), Hold())
    c = scripted_server.script(*socks(b"a.test", 81), Expect(b"GET /4 "), Send(OK), Hold())
    proxies = {"all": scripted_server.url.replace("http:", "socks5h:")}

    for url in ("http://a.test/1", "http://b.test/2", "http://a.test/3", "http://a.test:81/4"):
        assert "ok" == session.get(url, proxies=proxies).text

    assert [2, 1, 1] == [sum(b"GET " in sent for sent in peer.requests) for peer in (a, b, c)]


def test_row_094_a_tunnel_leads_to_one_origin_by_one_users_right(
    scripted_server: ScriptedServer, tls_authority: TLSAuthority, session: client.Session
) -> None:
    """Another origin, another user of the proxy, no proxy, other trust: four more connections."""
    session.verify = str(tls_authority.bundle)
    proxy = scripted_server.url
    as_bob = proxy.replace("//", "//bob:pw@")

    def tunnel(host: bytes, *paths: bytes) -> None:
        answers = [step for path in paths for step in (Expect(b"GET " + path + b" "), Send(OK))]
        context = tls_authority.server_context("a.test", "b.test")
        scripted_server.script(
            Expect(b"CONNECT " + host + b":443 "), Send(TUNNEL), StartTLS(context), *answers, Hold()
        )

    tunnel(b"a.test", b"/1", b"/5")
    tunnel(b"b.test", b"/2")
    tunnel(b"a.test", b"/3")
    tunnel(b"a.test", b"/4")
    calls = [
        ("https://a.test/1", {"proxies": {"https": proxy}}),
        ("https://b.test/2", {"proxies": {"https": proxy}}),
        ("https://a.test/3", {"proxies": {"https": as_bob}}),
        ("https://a.test/4", {"proxies": {"https": proxy}, "verify": False}),
        ("https://a.test/5", {"proxies": {"https": proxy}}),
    ]
    for url, arguments in calls:
        assert "ok" == session.get(url, **arguments).text  # type: ignore[arg-type]  # of several types


def test_row_098_the_zone_of_an_address_is_part_of_it(tmp_path: Path) -> None:
    """CVE-2022-27775. Link-local addresses cannot be had on every machine, so a Unix socket stands for the link."""
    path = str(tmp_path / "socket")
    seen: list[list[bytes]] = []

    def serve(listener: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            requests: list[bytes] = []
            seen.append(requests)
            threads.append(threading.Thread(target=converse, args=(connection, requests)))
            threads[-1].start()

    def converse(connection: socket.socket, requests: list[bytes]) -> None:
        with connection:
            while data := connection.recv(65536):
                requests.append(data)
                connection.sendall(OK)

    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen()
        threads = [threading.Thread(target=serve, args=(listener,))]
        threads[0].start()
        with client.Session(trust_env=False, uds=path) as session:
            for zone in ("lo", "eth0", "lo"):
                assert "ok" == session.get(f"http://[fe80::1%25{zone}]/").text
        for thread in threads:
            thread.join(5)

    assert [2, 1] == [len(requests) for requests in seen]
    assert all(b"\r\nHost: [fe80::1]\r\n" in request for requests in seen for request in requests)


def test_row_103_what_is_remembered_of_hosts_is_a_bounded_number_of_connections() -> None:
    """And no address: a name is looked up for each connection, so that one which moved is found."""
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    limits = client.PoolLimits(idle=4)
    with (
        ScriptedServer() as server,
        client.Session(trust_env=False, resolver=resolver, limits=limits) as session,
    ):
        for number in range(40):
            server.script(Expect(), Send(OK), Hold())
            assert "ok" == session.get(f"http://host-{number}.test:{server.port}/").text
        assert len(session._transport._places) <= 4  # type: ignore[attr-defined]  # the pool

        server.script(Expect(), Send(OK), Hold())
        session.get(f"http://host-0.test:{server.port}/")

    assert 41 == len(asked)
