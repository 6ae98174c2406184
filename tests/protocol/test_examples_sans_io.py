"""The two examples of the engine alone do what they say: against each other, on raw sockets, and with curl."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from client import protocol

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


client_example = load("sans_io_client")
server_example = load("sans_io_server")


@pytest.fixture
def port() -> Iterator[int]:
    """A port on which the example serves, each client in its thread, until the test is over."""
    threads = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                thread = threading.Thread(target=server_example.serve_client, args=(sock,))
                threads.append(thread)
                thread.start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    acceptor.join()
    for thread in threads:
        thread.join()


def answer_to(port: int, request: bytes) -> bytes:
    """Send *request*, then nothing more; return all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(request)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while data := sock.recv(65536):
            answer += data
        return answer


def test_the_client_gets_from_the_server(port: int) -> None:
    assert (200, b"GET /a?b=c\n") == client_example.fetch(f"http://127.0.0.1:{port}/a?b=c")


def test_pipelined_requests_are_answered_in_order_on_one_connection(port: int) -> None:
    get = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"

    answer = answer_to(port, get % 1 + get % 2 + b"HEAD /3 HTTP/1.1\r\nHost: h\r\n\r\n" + get % 4)

    assert 4 == answer.count(b"HTTP/1.1 200")
    assert answer.index(b"GET /1\n") < answer.index(b"GET /2\n") < answer.index(b"GET /4\n")
    assert b"HEAD /3" not in answer


def test_an_http_1_0_client_is_answered_and_closed(port: int) -> None:
    answer = answer_to(port, b"GET / HTTP/1.0\r\n\r\n")

    assert b"\r\nConnection: close\r\n" in answer
    assert answer.endswith(b"GET /\n")


@pytest.mark.parametrize(
    ("request_bytes", "status_code"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n" + b"a" * 1_200_000, 413),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab", 400),
    ],
)
def test_what_cannot_be_served_is_refused_with_a_status(
    port: int, request_bytes: bytes, status_code: int
) -> None:
    answer = answer_to(port, request_bytes)

    assert answer.startswith(b"HTTP/1.1 %d " % status_code)
    assert b"\r\nConnection: close\r\n" in answer


def test_a_waiting_client_may_go_on(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert b"HTTP/1.1 100 \r\n\r\n" == sock.recv(65536)
        sock.sendall(b"ok")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")


def test_the_client_notices_a_server_that_closes_early() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(65536)
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(protocol.RemoteProtocolError, match="received 3 bytes, expected 5"):
            client_example.fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_talks_to_the_server(port: int) -> None:
    """A plain request, one with a chunked body that waits for 100, HEAD, and two on one connection."""
    url = f"http://127.0.0.1:{port}"
    chunked = ["-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue", "--data-binary", "hello"]

    assert b"GET /a\n" == curl(f"{url}/a")
    assert b"POST /b\nhello" == curl(*chunked, f"{url}/b")
    assert b"Content-Length: 8\r\n" in curl("--head", f"{url}/c")
    assert b"GET /1\nGET /2\n" == curl(f"{url}/[1-2]")


def curl(*arguments: str) -> bytes:
    return subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "10", "--noproxy", "*", *arguments],
        check=True,
        capture_output=True,
    ).stdout
