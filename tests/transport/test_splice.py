"""From socket to file past this process: the same bytes and the same errors as on the usual road."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import client
from client.testing import LoopbackServer, payload
from client.transport.splice import CAN_SPLICE, Pipe, splice
from tests.leaks import no_leaks
from tests.scripted_server import Close, Expect, Hold, Reset, ScriptedServer, Send, Wait

pytestmark = pytest.mark.skipif(not CAN_SPLICE, reason="splice is Linux's")

SIZE = 1 << 20
BODY = b"".join(payload(0, SIZE))


@pytest.fixture
def session() -> Iterator[client.Session]:
    with no_leaks(), client.Session(trust_env=False, timeout=10) as session:
        yield session


def spliced(response: client.Response, path: Path) -> tuple[int, int]:
    """Save the body; return how many bytes went past us, and how many through us."""
    wire: Any = response._wire
    past = through = 0
    pipe = Pipe()
    try:
        with path.open("wb") as file:
            while True:
                offset = past + through
                count = splice(wire, pipe, 1 << 30)
                if count is not None:
                    pipe.empty(file.fileno(), offset, count)
                    past += count
                else:
                    data = wire.read(65536)
                    file.seek(offset)
                    file.write(data)
                    count = len(data)
                    through += count
                if not count:
                    return past, through
    finally:
        pipe.close()


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX-Sum: 7\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"Content-Length: %d" % SIZE, BODY),
        (b"Transfer-Encoding: chunked", chunked(BODY, 300_000)),
        (b"Transfer-Encoding: chunked", chunked(BODY, 700)),
        (b"Connection: close", BODY),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_every_framing_gives_the_same_bytes(
    session: client.Session,
    scripted_server: ScriptedServer,
    tmp_path: Path,
    head: bytes,
    body: bytes,
    together: bool,
) -> None:
    start = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n"
    read_head = threading.Event()
    sends = [Send(start + body)] if together else [Send(start), Wait(read_head), Send(body)]
    scripted_server.script(Expect(), *sends, Close() if b"close" in head else Hold())
    with session.get(scripted_server.url, stream=True) as response:
        read_head.set()
        past, through = spliced(response, tmp_path / "out")

    assert SIZE == past + through
    assert BODY == (tmp_path / "out").read_bytes()
    assert past > 0 or b"2bc\r\n" in body  # chunks of 700 bytes are too short for it
    assert b"chunked" not in head or "7" == response.trailers["x-sum"]


def test_the_connection_serves_the_next_request(session: client.Session, tmp_path: Path) -> None:
    with LoopbackServer() as server:
        for number in range(3):
            with session.get(f"{server.url}/bytes/{SIZE + number}", stream=True) as response:
                spliced(response, tmp_path / "out")
            assert SIZE + number == (tmp_path / "out").stat().st_size

        assert 1 == server.stats.connections


def test_what_follows_the_body_is_not_taken_for_it(
    session: client.Session, scripted_server: ScriptedServer, tmp_path: Path
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE
    scripted_server.script(Expect(), Send(head + BODY + b"HTTP/1.1 200 OK\r\n\r\n", may_fail=True), Hold())
    with session.get(scripted_server.url, stream=True) as response:
        spliced(response, tmp_path / "out")

    assert BODY == (tmp_path / "out").read_bytes()


@pytest.mark.parametrize("end", [Close(), Reset()])
@pytest.mark.parametrize("framing", [b"Content-Length: %d" % (SIZE + 1), b"Transfer-Encoding: chunked"])
def test_a_body_cut_short_is_an_error(
    session: client.Session, scripted_server: ScriptedServer, tmp_path: Path, end: Any, framing: bytes
) -> None:
    body = BODY if b"Length" in framing else b"%x\r\n%b\r\n" % (len(BODY), BODY)
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + body), end)
    with session.get(scripted_server.url, stream=True) as response, pytest.raises(client.IncompleteBody):
        spliced(response, tmp_path / "out")


def test_the_read_timeout_holds(
    session: client.Session, scripted_server: ScriptedServer, tmp_path: Path
) -> None:
    scripted_server.script(
        Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + BODY), Hold()
    )
    with (
        session.get(scripted_server.url, stream=True, timeout=1) as response,
        pytest.raises(client.ReadTimeout) as caught,
    ):
        spliced(response, tmp_path / "out")

    assert 1 == caught.value.seconds


def test_cancelling_wakes_it(
    session: client.Session, scripted_server: ScriptedServer, tmp_path: Path
) -> None:
    scripted_server.script(
        Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + BODY), Hold()
    )
    with session.get(scripted_server.url, stream=True) as response:
        waker = threading.Timer(0.1, session.abort)
        waker.start()
        with pytest.raises(client.SessionClosed):
            spliced(response, tmp_path / "out")
        waker.join()


def test_a_file_system_without_splice_is_written_to_all_the_same(
    session: client.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel refuses a file that was opened for appending in the same way, with EINVAL."""
    refused = []
    original: Any = os.splice

    def no_files(source: int, target: int, count: int, **offsets: int) -> int:
        if offsets:
            refused.append(count)
            raise OSError(22, "Invalid argument")
        return int(original(source, target, count))

    monkeypatch.setattr(os, "splice", no_files)
    with LoopbackServer() as server, session.get(f"{server.url}/bytes/{SIZE}", stream=True) as response:
        spliced(response, tmp_path / "out")

    assert refused
    assert BODY == (tmp_path / "out").read_bytes()


FULL = """
import sys, client
with client.Session(trust_env=False) as session:
    try:
        session.download(sys.argv[1], sys.argv[2], parts=1)
    except OSError as error:
        print(type(error).__name__, error.errno)
    print(len(session.get(sys.argv[1]).content))
"""


def test_what_the_disk_says_is_not_taken_for_the_network(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))

    with LoopbackServer() as server:
        command = [sys.executable, "-c", FULL, f"{server.url}/bytes/{SIZE}", str(tmp_path / "out")]
        output = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=limit).stdout

    assert f"OSError 27\n{SIZE}\n" == output


def test_a_socket_that_bytes_gather_in_is_afterwards_what_it_was(tmp_path: Path) -> None:
    """Else the next head on the connection, some hundred bytes, would be waited for until the read timeout."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as ours,
        listener.accept()[0] as theirs,
        contextlib.closing(Pipe()) as pipe,
        (tmp_path / "out").open("wb") as file,
    ):
        theirs.sendall(b"few")
        assert 3 == pipe.fill(ours, 1 << 20)
        assert 1 == ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)
        pipe.empty(file.fileno(), 0, 3)
        theirs.shutdown(socket.SHUT_WR)
        assert 0 == pipe.fill(ours, 1 << 20)

    assert b"few" == (tmp_path / "out").read_bytes()
