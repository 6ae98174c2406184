"""docker over a Unix socket: its adapter brings a pool of urllib3."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest


class Engine(http.server.BaseHTTPRequestHandler):
    """As much of a daemon as the tests ask for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/_ping" or self.path.endswith("/_ping"):
            self.answer(200, b"OK")
        elif self.path.endswith("/version"):
            self.answer(200, json.dumps({"ApiVersion": "1.45", "MinAPIVersion": "1.24"}).encode())
        elif "/logs" in self.path:
            self.answer(200, b"\x01\x00\x00\x00\x00\x00\x00\x05hello")
        elif self.path.endswith("/json") and "/containers/" in self.path:
            self.answer(200, b'{"Id": "abc", "Config": {"Tty": false}}')
        else:
            self.answer(404, b'{"message": "no such container"}')

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(201, json.dumps({"Id": "abc", "Sent": sent.decode()}).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return "a Unix socket"


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@pytest.fixture
def client(tmp_path: Path) -> Iterator[docker.DockerClient]:
    with Server(str(tmp_path / "socket"), Engine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = docker.DockerClient(base_url=f"unix://{tmp_path}/socket")
        yield client
        client.close()
        server.shutdown()


def test_asking(client: docker.DockerClient) -> None:
    assert client.ping()
    assert "1.45" == client.version()["ApiVersion"]
    assert b"hello" == client.containers.get("abc").logs()


def test_making(client: docker.DockerClient) -> None:
    made = client.api.create_container("image", command="true")
    assert "image" == json.loads(made["Sent"])["Image"]


def test_errors(client: docker.DockerClient) -> None:
    with pytest.raises(docker.errors.NotFound, match="no such container"):
        client.volumes.get("other")
    with pytest.raises(docker.errors.DockerException):
        docker.DockerClient(base_url="unix:///no/such/socket")
