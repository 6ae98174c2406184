"""What a session promises about the network: roads, hand-overs, hooks, events, log lines, and being stopped."""

from __future__ import annotations

import hashlib
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import client
from client.exceptions import ConnectError, ProtocolError, SSLError
from client.retries import Retry
from client.timeouts import Timeouts
from tests.scripted_server import Close, Expect, FailedHandshake, Hold, ScriptedServer, Send
from tests.tls_authority import TLSAuthority
from tests.transport.relaying_proxy import ConnectProxy, SocksProxy

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello"
UPGRADE = {"Connection": "upgrade", "Upgrade": "echo"}


@pytest.fixture
def session() -> Iterator[client.Session]:
    """A session that holds no slot in the end."""
    with client.Session(trust_env=False) as session:
        yield session
    assert 0 == session._transport._slots  # type: ignore[attr-defined]  # the pool


# -- handing the connection over --------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_an_upgraded_connection_is_handed_over_with_what_followed(
    scripted_server: ScriptedServer, session: client.Session, stream: bool
) -> None:
    scripted_server.script(Expect(), Send(SWITCH), Expect(b"ping", until=b"\n"), Send(b"pong"), Hold())

    response = session.get(scripted_server.url, headers=UPGRADE, stream=stream)
    sock, early = response.detach()

    with sock:
        sock.sendall(b"ping\n")
        assert (101, b"hello", b"pong") == (response.status_code, early, sock.recv(4))
        assert sock.gettimeout() is None
    with pytest.raises(ProtocolError):
        response.detach()


def test_a_connect_tunnel_is_handed_over(scripted_server: ScriptedServer, session: client.Session) -> None:
    """RFC 9112 section 3.2.3: the target is host and port."""
    scripted_server.script(Expect(b"ping", until=b"\n"), Send(b"pong"), Hold())

    with ConnectProxy() as proxy:
        response = session.request(
            "CONNECT", scripted_server.url, proxies={"http": f"http://127.0.0.1:{proxy.port}"}
        )
        sock, early = response.detach()
        with sock:
            sock.sendall(b"ping\n")
            assert (200, b"", b"pong") == (response.status_code, early, sock.recv(4))

    target = b"127.0.0.1:%d" % scripted_server.port
    assert [(b"CONNECT", target)] == [tuple(head.split(b" ")[:2]) for head in proxy.requests]


def test_without_a_switch_there_is_nothing_to_hand_over(
    scripted_server: ScriptedServer, session: client.Session
) -> None:
    scripted_server.answer(OK)

    with pytest.raises(ProtocolError):
        session.get(scripted_server.url).detach()


def test_trailers_go_both_ways(scripted_server: ScriptedServer, session: client.Session) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Digest: d\r\n\r\n"
    script = scripted_server.script(Expect(), Expect(until=b"X-Sum: 3\r\n\r\n"), Send(answer), Hold())

    response = session.post(scripted_server.url, data=iter([b"one", b"two"]), trailers={"X-Sum": "3"})

    assert ("ok", "d") == (response.text, response.trailers["x-digest"])
    assert b"3\r\none\r\n3\r\ntwo\r\n0\r\nX-Sum: 3\r\n\r\n" == script.requests[1]


def test_interim_answers_are_told_and_the_final_one_is_returned(scripted_server: ScriptedServer) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
    scripted_server.answer(hints + hints + OK)
    told: list[tuple[int, list[tuple[bytes, bytes]]]] = []

    with client.Session(
        on_informational=lambda status, fields: told.append((status, list(fields))), trust_env=False
    ) as session:
        assert 200 == session.get(scripted_server.url).status_code

    assert [(103, [(b"Link", b"</a.css>")])] * 2 == told


def test_an_answer_during_the_upload_is_returned_though_the_connection_is_reset(
    scripted_server: ScriptedServer, session: client.Session
) -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
    scripted_server.script(Expect(), Send(refusal), Close())  # unread bytes make it a reset

    response = session.post(scripted_server.url, data=b"x" * (8 << 20))

    assert (413, "no") == (response.status_code, response.text)


# -- roads ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["http+unix", "uds"])
def test_a_unix_socket_is_spoken_to_and_no_proxy(tmp_path: Path, way: str) -> None:
    """Programs that talk to a daemon inherit ``http_proxy`` too; its password is none of the daemon's business."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            accepted, _ = listener.accept()
            with accepted:
                heads.append(accepted.recv(65536))
                accepted.sendall(OK)

        heads: list[bytes] = []
        thread = threading.Thread(target=answer)
        thread.start()
        uds = str(path) if way == "uds" else None
        url = "http://docker/info" if uds else f"http+unix://{str(path).replace('/', '%2F')}/info"
        proxies = {"all": "http://user:hunter2@127.0.0.1:1"}
        with client.Session(uds=uds, trust_env=False, proxies=proxies) as session:
            assert "ok" == session.get(url).text
        thread.join()

    assert heads[0].startswith(b"GET /info HTTP/1.1\r\n")
    assert b"Proxy" not in heads[0]


def test_socks_leads_to_the_origin(scripted_server: ScriptedServer, session: client.Session) -> None:
    scripted_server.answer(OK)

    with SocksProxy(b"user:secret") as proxy:
        session.proxies = {"all": f"socks5h://user:secret@127.0.0.1:{proxy.port}"}
        assert "ok" == session.get(scripted_server.url).text

    assert [(b"user:secret", "127.0.0.1", scripted_server.port)] == proxy.requests


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "https://10.0.0.1/", "http://[::ffff:10.0.0.1]/"])
def test_the_filter_judges_an_address_that_a_proxy_is_to_connect_to(
    scripted_server: ScriptedServer, url: str
) -> None:
    """A name is the proxy's to look up; an address in the URL can be judged here, also on a connection that is open."""
    proxy = f"http://127.0.0.1:{scripted_server.port}"
    scripted_server.answer(OK)

    with client.Session(
        trust_env=False, proxies={"all": proxy}, address_filter=lambda ip: ip != "10.0.0.1"
    ) as session:
        session.get("http://192.0.2.1/")
        with pytest.raises(client.AddressNotAllowed):
            session.get(url)


def test_an_https_proxy_has_tls_settings_of_its_own(
    scripted_server: ScriptedServer, scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority
) -> None:
    """[CVE-2026-97687] ``verify=False`` for the origin trusts no proxy, and trust in the proxy is none in the origin."""
    roots = str(tls_authority.bundle)
    scripted_tls_server.answer(OK)
    scripted_tls_server.script(FailedHandshake())

    with ConnectProxy(tls_authority.server_context()) as proxy:
        url = f"https://localhost:{proxy.port}"
        trusted = client.Proxy(url, tls=client.TLSSettings(roots))
        with client.Session(trust_env=False, verify=False) as session:
            with pytest.raises(client.ProxyError, match="not accepted"):
                session.get(scripted_tls_server.url, proxies={"all": url})
            assert "ok" == session.get(scripted_tls_server.url, proxies={"all": trusted}).text
            with pytest.raises(SSLError):
                session.get(scripted_tls_server.url, proxies={"all": trusted}, verify=True)


def test_tls_settings_for_a_proxy_without_tls_are_refused() -> None:
    with pytest.raises(client.InvalidRequest, match="no TLS"):
        client.Proxy("http://proxy.test", tls=client.TLSSettings())


def test_every_hop_asks_the_resolver_and_the_filter(scripted_server: ScriptedServer) -> None:
    """Row X7: a name that leads to a private network must not become an answer by way of a redirect."""
    port = scripted_server.port
    where = f"http://b.test:{port}/".encode()
    scripted_server.answer(b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % where)
    asked: list[tuple[str, int]] = []
    seen: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"] if host == "a.test" else ["127.0.0.2"]

    def is_allowed(address: str) -> bool:
        seen.append(address)
        return address == "127.0.0.1"

    with (
        client.Session(resolver=resolver, address_filter=is_allowed, trust_env=False) as session,
        pytest.raises(client.AddressNotAllowed),
    ):
        session.get(f"http://a.test:{port}/")

    assert [("a.test", port), ("b.test", port)] == asked
    assert ["127.0.0.1", "127.0.0.2"] == seen


def test_local_address_and_socket_options_are_used(scripted_server: ScriptedServer) -> None:
    scripted_server.answer(OK)
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]

    with client.Session(local_address="127.0.0.3", socket_options=options, trust_env=False) as session:
        response = session.get(scripted_server.url, stream=True)
        wire: Any = response._wire

        assert "127.0.0.3" == wire.info.local[0]
        assert 1 == wire.connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        response.close()


# -- TLS --------------------------------------------------------------------------------------------------------


def test_tls_settings_are_given_as_verify(
    scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority
) -> None:
    """For what ``verify=`` and ``cert=`` have no word: a pin, and another name than the URL's."""
    scripted_tls_server.answer(OK)
    url = f"https://127.0.0.1:{scripted_tls_server.port}"
    named = client.TLSSettings(str(tls_authority.bundle), server_name="localhost")

    with client.Session(verify=named, trust_env=False) as session:
        assert "ok" == session.get(url).text


@pytest.mark.parametrize("matches", [True, False])
def test_a_pin_is_demanded(tls_authority: TLSAuthority, matches: bool) -> None:
    context = tls_authority.server_context()
    with ScriptedServer(tls=context) as server, client.Session(trust_env=False) as session:
        server.script(Expect(), Send(OK), Hold())
        with session.get(server.url, verify=str(tls_authority.bundle), stream=True) as response:
            wire: Any = response._wire
            certificate = wire.connection.sock.getpeercert(True)
        digest = hashlib.sha256(certificate if matches else b"another").hexdigest()
        pinned = client.TLSSettings(str(tls_authority.bundle), fingerprint=digest)
        if matches:
            server.answer(OK)
            assert "ok" == session.get(server.url, verify=pinned).text
        else:
            server.script(Hold())
            with pytest.raises(SSLError, match=r"fingerprint|SHA-256"):
                session.get(server.url, verify=pinned)


# -- sending again ----------------------------------------------------------------------------------------------


def test_on_retry_hears_of_the_unasked_for_resend_too(scripted_server: ScriptedServer) -> None:
    scripted_server.script(Expect(), Send(OK), Expect(), Close())
    scripted_server.answer(OK)
    attempts: list[client.Attempt] = []

    with client.Session(on_retry=attempts.append, trust_env=False) as session:
        session.get(scripted_server.url)
        response = session.get(scripted_server.url)

    assert tuple(attempts) == response.attempts
    assert ["RemoteDisconnected"] == [type(attempt.error).__name__ for attempt in attempts]


@pytest.mark.parametrize("failing_piece", [1, 2])
def test_an_error_of_the_body_itself_sends_nothing_twice(
    scripted_server: ScriptedServer, session: client.Session, closed_port: int, failing_piece: int
) -> None:
    """A body that makes calls of its own raises our errors; they say nothing about the connection it goes to.

    Here a reused one, a POST, and retries: taken for our own the error would read "never left".
    """
    scripted_server.script(Expect(), Send(OK), Hold())
    session.get(scripted_server.url)
    nowhere = f"http://127.0.0.1:{closed_port}"
    begun = []

    def pieces() -> Iterator[bytes]:
        begun.append(1)
        if failing_piece == 2:
            yield b"half an order"
        yield session.get(nowhere).content

    with pytest.raises(ConnectError) as caught:
        session.post(scripted_server.url, data=pieces, retries=Retry(3, backoff_factor=0))

    assert [1] == begun
    assert caught.value.request is not None
    assert "GET" == caught.value.request.method


# -- seen from outside --------------------------------------------------------------------------------------------


def test_each_phase_tells_the_trace(scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority) -> None:
    scripted_tls_server.answer(OK, OK)
    events: list[str] = []

    with client.Session(
        trace=lambda event, facts: events.append(event), verify=str(tls_authority.bundle), trust_env=False
    ) as session:
        session.get(scripted_tls_server.url)
        first = events.copy()
        session.get(scripted_tls_server.url)

    phases = ["queue", "dns", "connect", "tls", "send", "wait", "receive"]
    assert [f"{phase}.{mark}" for phase in phases for mark in ("start", "end")] == first
    assert [f"{phase}.{mark}" for phase in phases[4:] for mark in ("start", "end")] == events[len(first) :]


@pytest.mark.parametrize(
    ("steps", "last"),
    [
        ([Expect(), Close()], "wait.failed"),
        ([Expect(), Send(OK[:-1]), Close()], "receive.failed"),
    ],
)
def test_a_phase_that_fails_tells_the_trace(
    scripted_server: ScriptedServer, steps: list[Any], last: str
) -> None:
    scripted_server.script(*steps)
    events: list[str] = []

    with (
        client.Session(trace=lambda event, facts: events.append(event), trust_env=False) as session,
        pytest.raises(client.RequestException),
    ):
        session.get(scripted_server.url)

    assert last == events[-1]


def test_calls_are_logged_without_secrets(
    scripted_server: ScriptedServer, session: client.Session, caplog: pytest.LogCaptureFixture
) -> None:
    scripted_server.script(Expect(), Send(OK), Expect(), Close())
    scripted_server.answer(OK)
    url = scripted_server.url.replace("://", "://user:hunter2@") + "/path?token=hunter2"

    with caplog.at_level(logging.DEBUG, logger="client"):
        session.get(url)
        session.get(url)

    assert {"client.exchange", "client.pool"} == {record.name for record in caplog.records}
    assert "/path -> 200 in" in caplog.text
    assert "again" in caplog.text
    assert "hunter2" not in caplog.text


def test_the_life_of_each_connection_is_logged(
    scripted_server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Made, reused, closed and why: what one wants to know where connections come and go."""
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    first = scripted_server.script(Expect(), Send(OK), Expect(), Send(OK), Close())
    scripted_server.script(Expect(), Send(closing), Hold())
    scripted_server.script(Expect(), Close())
    scripted_server.script(Expect(), Send(OK[:-1]), Hold())
    scripted_server.script(Expect(), Send(OK), Hold())
    url = scripted_server.url

    with caplog.at_level(logging.DEBUG, logger="client"), client.Session(trust_env=False) as session:
        session.get(url)
        session.get(url)
        assert first.finished.wait(5)
        session.get(url)
        with pytest.raises(client.ConnectionError):
            session.get(url)
        session.get(url, stream=True).close()
        session.get(url)

    told = [record.getMessage() for record in caplog.records if record.name == "client.pool"]
    ports = [text.split("from port ")[1].split()[0] for text in told if text.startswith("made")]
    assert 1 == caplog.text.count(f"on a connection that was open, from port {ports[0]}")
    assert [
        (ports[0], "the server closed it, or spoke unasked, meanwhile"),
        (ports[1], "it serves no other request"),
        (ports[2], "RemoteDisconnected"),
        (ports[3], "its response was not read to the end"),
        (ports[4], "the session was closed"),
    ] == [tuple(text.split("from port ")[1].split(": ")) for text in told if text.startswith("closed")]


def test_who_does_not_log_does_not_import_logging() -> None:
    program = """if True:
        import sys
        from client.testing import MockTransport, MockResponse
        before = "logging" in sys.modules
        import client
        with client.Session(transport=MockTransport(lambda request: MockResponse())) as session:
            session.get("http://a.test/")
        print(before, "logging" in sys.modules)
    """
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    before, after = printed.stdout.split()
    assert before == after


def test_timeouts_name_the_phase_from_a_session(
    scripted_server: ScriptedServer, session: client.Session
) -> None:
    scripted_server.script(Expect(), Hold())

    with pytest.raises(client.ReadTimeout) as caught:
        session.get(scripted_server.url, timeout=Timeouts(read=0.05))

    assert ("read", 0.05) == (caught.value.phase, caught.value.seconds)
