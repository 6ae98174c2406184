"""Exit statuses of the command line where two of curl's are near each other: resets, and proxies."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from client import cli
from client.testing import LoopbackServer
from tests.scripted_server import Close, Expect, Reset, ScriptedServer, Send, Step
from tests.tls_authority import TLSAuthority

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"
SOCKS_REFUSAL = b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"", 52), (OK, 52), (OK + b"Content-Length: 9\r\n\r\nab", 18), (CHUNKED, 18)],
    ids=["no answer", "head", "body", "chunk"],
)
@pytest.mark.parametrize("is_reset", [False, True])
def test_a_connection_that_is_closed_is_told_from_one_that_is_reset(
    scripted_server: ScriptedServer, sent: bytes, status: int, is_reset: bool
) -> None:
    end: Step = Reset() if is_reset else Close()
    scripted_server.script(Expect(), *([Send(sent)] if sent else []), end)

    assert (56 if is_reset else status) == cli.main(["get", scripted_server.url])


@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"", 52), (OK, 52), (OK + b"Content-Length: 9\r\n\r\nab", 18), (CHUNKED, 18)],
    ids=["no answer", "head", "body", "chunk"],
)
def test_so_is_one_that_is_closed_without_a_word_of_tls(
    scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority, sent: bytes, status: int
) -> None:
    scripted_tls_server.script(Expect(), *([Send(sent)] if sent else []), Close())

    assert status == cli.main(["get", "--cacert", str(tls_authority.bundle), scripted_tls_server.url])


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_cannot_be_reached(
    scheme: str, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*arguments: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{closed_port}")
    assert 7 == cli.main(["get", f"{scheme}://example.invalid/"])

    monkeypatch.setattr(socket, "getaddrinfo", unknown)  # no query leaves this machine
    monkeypatch.setenv(f"{scheme}_proxy", "http://proxy.invalid:3128")
    assert 5 == cli.main(["get", f"{scheme}://example.invalid/"])


@pytest.mark.parametrize(
    ("kind", "steps", "status"),
    [
        ("http", [Expect(), Send(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")], 22),
        ("http", [Expect(), Send(b"HTTP/1.1 302 No\r\nContent-Length: 0\r\n\r\n")], 97),
        ("http", [Expect()], 97),
        ("socks5h", [Expect(until=b"\x00"), Send(b"\x05\x00"), Expect(until=b"\x01\xbb"), Send(SOCKS_REFUSAL)], 97),
    ],
)  # fmt: skip
def test_a_proxy_that_does_not_connect_us(
    scripted_server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    steps: list[Step],
    status: int,
) -> None:
    scripted_server.script(*steps, Close())
    monkeypatch.setenv("https_proxy", scripted_server.url.replace("http:", f"{kind}:"))

    assert status == cli.main(["get", "https://example.invalid/"])


def test_a_proxy_whose_certificate_is_not_accepted(
    tls_authority: TLSAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LoopbackServer(tls=tls_authority.server_context()) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert 60 == cli.main(["get", "http://example.invalid/"])


def test_a_connection_that_is_reset_during_the_handshake(scripted_server: ScriptedServer) -> None:
    scripted_server.script(Expect(until=b"\x16\x03"), Reset())

    assert 35 == cli.main(["get", scripted_server.url.replace("http:", "https:")])


@pytest.mark.parametrize(("content", "status"), [(None, 77), (b"no certificate", 77), (b"", 77)])
def test_certificates_that_cannot_be_read(tmp_path: Path, content: bytes | None, status: int) -> None:
    file = tmp_path / "roots.pem"
    if content is not None:
        file.write_bytes(content)

    assert status == cli.main(["get", "--cacert", str(file), "https://127.0.0.1:1/"])


def test_an_empty_name_of_certificates_is_not_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """As of a variable that is not set: the roots that are trusted then are not those that were meant."""
    assert 2 == cli.main(["get", "--cacert", "", "https://127.0.0.1:1/"])
    assert "verify=" in capsys.readouterr().err


@pytest.mark.parametrize("location", [b"http://[", b"http://a.test:99999/", b"//"])
def test_a_redirect_to_no_url(scripted_server: ScriptedServer, location: bytes) -> None:
    answer = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
    scripted_server.script(Expect(), Send(answer), Close())

    assert 3 == cli.main(["get", scripted_server.url])


@pytest.mark.parametrize("proxy", ["http://[", "127.0.0.1:99999", "gopher://127.0.0.1:1"])
def test_a_proxy_that_is_none(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("http_proxy", proxy)

    assert 5 == cli.main(["get", "http://a.test/"])
