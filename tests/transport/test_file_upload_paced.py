"""How much of a file each ``sendfile`` is offered: one packet, where the kernel paces packets and the network is fast.

The client runs in a process of its own, since in this one the server's threads would count as the user's.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.file_body import SPAN
from client.transport.file_span import CAN_SENDFILE
from tests.scripted_server import Expect, Hold, ScriptedServer, Send, Wait

pytestmark = pytest.mark.skipif(not CAN_SENDFILE, reason="this system has no sendfile")

SIZE = 24 * SPAN
PACKET = 60 * 1024
SLOW = 8 * SPAN
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CLIENT = """if True:
    import os, socket, sys, threading
    import client

    url, path, congestion_control, *buffer = sys.argv[1:]
    original = os.sendfile

    def sendfile(out, file, offset, count):
        taken = 0
        try:
            taken = original(out, file, offset, count)
        finally:
            print(count, taken, flush=True)
        return taken

    os.sendfile = sendfile
    options = [(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion_control.encode())]
    options += [(socket.SOL_SOCKET, socket.SO_SNDBUF, int(size)) for size in buffer]
    with client.Session(socket_options=options) as session, open(path, "rb") as file:
        session.put(url, data=file).raise_for_status()
"""
THREAD = "threading.Thread(target=threading.Event().wait, daemon=True).start()"
WITH_A_THREAD = CLIENT.replace("os.sendfile = sendfile", f"os.sendfile = sendfile; {THREAD}")


def has(congestion_control: str) -> bool:
    with socket.socket() as fresh, contextlib.suppress(AttributeError, OSError):
        fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion_control.encode())
        return True
    return False


needs_bbr = pytest.mark.skipif(
    not has("bbr"), reason="this kernel has no BBR, or keeps it for the administrator"
)
needs_reno = pytest.mark.skipif(not has("reno"), reason="only Linux lets a program choose")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    with path.open("wb") as file:
        for number in range(SIZE // SPAN):
            file.write(bytes([number + 1]) * SPAN)
    return path


@contextlib.contextmanager
def uploading(program: str, *arguments: str) -> Iterator[Iterator[tuple[int, int]]]:
    """Run the client; yield what each of its calls was offered and took. It must succeed."""
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield (
                (int(offered), int(taken))
                for offered, _, taken in (line.partition(" ") for line in child.stdout)
            )
            assert 0 == child.wait(10)
        finally:
            child.kill()


def follow(calls: Iterator[tuple[int, int]], most: int) -> Iterator[None]:
    """Check each call: offered *most*, or for 8 MiB after the buffer was full all. Yield when it is full."""
    sent, full_at = 0, -SLOW
    for offered, taken in calls:
        rest = SPAN - sent % SPAN
        assert offered == (rest if sent - full_at < SLOW else min(most, rest))
        sent += taken
        if taken < offered:
            full_at = sent
            yield
    assert sent == SIZE


def upload(server: ScriptedServer, path: Path, program: str, congestion_control: str, most: int) -> None:
    """Send the file to a server that reads at once, in calls that are offered *most*."""
    conversation = server.script(Expect(body=SIZE), Send(OK), Hold())
    with uploading(program, server.url, str(path), congestion_control) as calls:
        for _ in follow(calls, most):
            pass
    assert path.read_bytes() == conversation.requests[0].partition(b"\r\n\r\n")[2]


@needs_bbr
def test_a_paced_connection_is_offered_a_packet_at_a_time(
    scripted_server: ScriptedServer, path: Path
) -> None:
    upload(scripted_server, path, CLIENT, "bbr", PACKET)


@needs_reno
def test_what_does_not_pace_is_offered_all(scripted_server: ScriptedServer, path: Path) -> None:
    upload(scripted_server, path, CLIENT, "reno", SPAN)


@needs_bbr
def test_beside_other_threads_all_is_offered(scripted_server: ScriptedServer, path: Path) -> None:
    """Each call may have to wait for Python's lock."""
    upload(scripted_server, path, WITH_A_THREAD, "bbr", SPAN)


@needs_bbr
def test_a_network_that_is_slower_is_offered_all(scripted_server: ScriptedServer, path: Path) -> None:
    """Seen from the kernel's buffer being full."""
    is_full = threading.Event()
    conversation = scripted_server.script(
        Expect(), Wait(is_full), Expect(until=b"", body=SIZE), Send(OK), Hold()
    )
    with uploading(CLIENT, scripted_server.url, str(path), "bbr", str(SPAN // 4)) as calls:
        for _ in follow(calls, PACKET):
            is_full.set()
    assert is_full.is_set()
    assert path.read_bytes() == conversation.requests[1]
