"""The life of `LoopbackServer`: start, stop, TLS, and clients that behave badly."""

from __future__ import annotations

import gc
import hashlib
import http.client
import random
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from client.testing import LoopbackServer, payload, payload_sha256
from tests.leaks import no_leaks as leak_check
from tests.leaks import open_descriptors
from tests.plain_client import ask, talk
from tests.tls_authority import TLSAuthority

MEBIBYTE = 1024 * 1024


@pytest.fixture
def server(no_leaks: None) -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.mark.parametrize(
    "request_line", [b"GET /delay/600", b"GET /drip?interval=600", b"GET /bytes/100000000000", b"GET /sse?events=9&interval=600", b"GET /unfinished"]
)  # fmt: skip
def test_closing_cuts_whatever_is_under_way(no_leaks: None, request_line: bytes) -> None:
    with LoopbackServer() as server:
        sock = socket.create_connection((server.host, server.port), timeout=20)
        sock.sendall(
            request_line + b" HTTP/1.1\r\nHost: x\r\n" + (b"" if b"unfinished" in request_line else b"\r\n")
        )
        while b"unfinished" not in request_line and server.stats.requests == 0:
            time.sleep(0.001)  # nothing tells the client that its request was read
        before = time.monotonic()
    elapsed = time.monotonic() - before

    with sock, pytest.raises((ConnectionError, EOFError)):
        while sock.recv(MEBIBYTE):
            pass
        raise EOFError
    assert elapsed < 5


def test_closing_with_many_idle_connections_leaves_nothing(no_leaks: None) -> None:
    server = LoopbackServer()
    server.start()
    socks = [socket.create_connection((server.host, server.port)) for _ in range(100)]
    for sock in socks:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(65536)
    server.close()
    server.close()  # idempotent

    assert [] == [thread.name for thread in threading.enumerate() if thread.name.startswith("loopback")]
    for sock in socks:
        sock.close()


def test_a_server_can_be_started_again_but_not_twice(no_leaks: None) -> None:
    server = LoopbackServer()
    for _ in range(2):
        with server:
            assert talk(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises(RuntimeError, match="running"):
                server.start()
    assert (2, 2) == server.stats


def test_a_taken_port_leaves_nothing_behind(server: LoopbackServer) -> None:
    with leak_check(), pytest.raises(OSError), LoopbackServer(port=server.port):
        pass


def test_ipv6_has_brackets_in_the_url() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback on this machine")
    with LoopbackServer(host="::1") as server:
        assert f"http://[::1]:{server.port}" == server.url
        assert talk(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")


def test_tls(no_leaks: None, tls_authority: TLSAuthority) -> None:
    with LoopbackServer(tls=tls_authority.server_context(), host="localhost") as server:
        assert f"https://localhost:{server.port}" == server.url
        connection = http.client.HTTPSConnection(
            "localhost", server.port, timeout=20, context=tls_authority.client_context()
        )
        reply = ask(connection, "/bytes/1000000")
        echo = ask(connection, "/echo", "PUT", body=b"".join(payload(0, 1_000_000))).document
        connection.close()

    assert payload_sha256(1_000_000) == hashlib.sha256(reply.body).hexdigest()
    assert payload_sha256(1_000_000) == echo["sha256"]
    assert (1, 2) == server.stats


def test_tls_says_goodbye_before_it_closes(no_leaks: None, tls_authority: TLSAuthority) -> None:
    """Without close_notify a client can't tell the end of a close-delimited body from a cut."""
    with LoopbackServer(tls=tls_authority.server_context()) as server:
        plain = socket.create_connection((server.host, server.port), timeout=20)
        with tls_authority.client_context().wrap_socket(
            plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False
        ) as sock:
            sock.sendall(b"GET /chunked/5 HTTP/1.0\r\n\r\n")
            received = bytearray()
            while data := sock.recv(65536):
                received += data

    assert b"".join(payload(0, 5)) == received.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("tls", [False, True])
def test_an_answer_arrives_though_the_client_sends_more_than_is_read(
    no_leaks: None, tls_authority: TLSAuthority, tls: bool
) -> None:
    """A close with unread bytes is a reset, and a reset would take the answer out of the client's buffer."""
    with LoopbackServer(tls=tls_authority.server_context() if tls else None) as server:
        sock = socket.create_connection((server.host, server.port), timeout=20)
        if tls:
            sock = tls_authority.client_context().wrap_socket(sock, server_hostname="127.0.0.1")
        with sock:
            sock.sendall(
                b"GET /bytes/300000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + b"x" * 500_000
            )
            received = b"".join(iter(lambda: sock.recv(65536), b""))

    assert b"".join(payload(0, 300_000)) == received.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("sent", [b"", b"\x16", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_failed_handshake_costs_only_its_connection(
    no_leaks: None, tls_authority: TLSAuthority, sent: bytes
) -> None:
    with LoopbackServer(tls=tls_authority.server_context()) as server:
        with socket.create_connection((server.host, server.port), timeout=20) as sock:
            sock.sendall(sent)
        waiting = socket.create_connection((server.host, server.port), timeout=20)  # never speaks
        connection = http.client.HTTPSConnection(
            "127.0.0.1", server.port, timeout=20, context=tls_authority.client_context()
        )
        assert 200 == ask(connection, "/").status
        connection.close()
    waiting.close()


def test_a_client_that_resets_before_its_handshake_leaves_no_socket_behind(
    no_leaks: None, tls_authority: TLSAuthority
) -> None:
    """Not even to the garbage collector, whose ResourceWarning would fail a user's test."""
    with LoopbackServer(tls=tls_authority.server_context()) as server:
        for _ in range(100):
            with socket.create_connection((server.host, server.port)) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gc.collect()


def test_running_out_of_descriptors_is_survived(server: LoopbackServer) -> None:
    """The server waits until some are free again, and serves whoever came meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(open_descriptors()) + 20, hard))
        while True:
            try:
                taken.append(socket.socket())
            except OSError:
                break
        waiting = taken.pop()
        waiting.settimeout(20)
        waiting.connect((server.host, server.port))  # the kernel accepts, the server can't
        waiting.sendall(b"GET / HTTP/1.0\r\n\r\n")
        for sock in taken:
            sock.close()
        assert waiting.recv(12) == b"HTTP/1.1 200"
        waiting.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_running_out_of_threads_costs_one_connection(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert b"" == talk(server, b"")
    assert talk(server, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


RUDE = [
    b"GET /bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /drip?interval=0.001&bytes=1000 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /delay/0.05 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    b"GET / HT",
    b"junk\r\n\r\n",
]


def test_clients_that_hang_up_at_any_time_leave_nothing_behind(server: LoopbackServer) -> None:
    """Half of them by a reset; an exception in a server thread would be a warning, and so fail this test."""
    rng = random.Random(1)
    for _ in range(200):
        with socket.create_connection((server.host, server.port)) as sock:
            sock.sendall(rng.choice(RUDE))
            if rng.random() < 0.5:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert talk(server, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_closing_in_the_middle_of_everything_leaves_nothing_behind(no_leaks: None) -> None:
    rng = random.Random(2)
    for _ in range(20):
        with LoopbackServer() as server:
            socks = [socket.create_connection((server.host, server.port)) for _ in range(10)]
            for sock in socks:
                sock.sendall(rng.choice(RUDE))
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("loopback")]
        for sock in socks:
            sock.close()


def test_damaged_requests_never_break_the_server(server: LoopbackServer) -> None:
    good = b"POST /echo?x=1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n"
    rng = random.Random(3)
    for _ in range(500):
        damaged = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        status = talk(server, bytes(damaged))[9:12]
        assert status in (b"", b"200", b"302", b"400", b"404", b"501", b"505"), bytes(damaged)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "DELETE", "CONNECT"])
@pytest.mark.parametrize(
    "target", [b"//", b"*", b"?", b"/bytes/", b"/bytes/1/2/3", b"/bytes/0", b"/chunked/0", b"/redirect/1?to=%00%ff", b"/redirect/0", b"/cookies/set?=", b"/cookies/set?a=b&&;;,", b"/drip?bytes=0", b"/sse?events=0", b"/basic-auth/%ff/%f0", b"http://", b"HTTPS://x?y", b"/status/205"]
)  # fmt: skip
def test_no_target_breaks_the_server(server: LoopbackServer, method: str, target: bytes) -> None:
    fields = b"Range: bytes=0-\r\nAuthorization: Basic \xff\xfe=\r\nCookie: \xff=\xff;;=; \r\n"
    reply = talk(server, method.encode() + b" " + target + b" HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")

    assert reply.startswith(b"HTTP/1.1 ")
    assert not reply.startswith(b"HTTP/1.1 5") or method == "CONNECT"


SERVER_THAT_TELLS_ITS_MEMORY = """
import re, sys
from pathlib import Path
from client.testing import LoopbackServer
with LoopbackServer() as server:
    print(server.port, flush=True)
    sys.stdin.readline()
    # Not ru_maxrss: that starts with the memory of the process that forked this one.
    print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1], flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/status is Linux's")
def test_memory_does_not_grow_with_the_body() -> None:
    """Half a gibibyte passes in chunks through a process that needs less than 64 MiB for all it does."""
    count, block = 256, b"100000\r\n" + b"x" * MEBIBYTE + b"\r\n"
    with subprocess.Popen(
        [sys.executable, "-c", SERVER_THAT_TELLS_ITS_MEMORY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with socket.create_connection(("127.0.0.1", int(process.stdout.readline())), timeout=30) as sock:
            sock.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(count):
                sock.sendall(block)
            sock.sendall(b"0\r\n\r\n")
            assert f'"length": {count * MEBIBYTE}'.encode() in sock.recv(65536)
            sock.sendall(b"GET /chunked/%d HTTP/1.0\r\n\r\n" % (count * MEBIBYTE))
            received = 0
            while data := sock.recv(MEBIBYTE):
                received += len(data)
        process.stdin.write("\n")
        process.stdin.flush()
        kibibytes = int(process.stdout.readline())

    assert received > count * MEBIBYTE
    assert kibibytes < 64 * 1024
