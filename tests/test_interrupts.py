"""Ctrl-C in each phase of a call ends the process at once, by KeyboardInterrupt and with nothing else to say."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

PATIENCE = 20.0  # seconds; every wait of the children is meant to take longer

PRELUDE = """
import socket, threading, client
never, begun = threading.Event(), threading.Event()
server = socket.create_server(("127.0.0.1", 0))
url = "http://127.0.0.1:%d/" % server.getsockname()[1]

def serve(answer):
    def accept():
        while True:
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(answer)
            kept.append(connection)
    threading.Thread(target=accept, daemon=True).start()

kept = []
HALF = b"HTTP/1.1 200 OK\\r\\nContent-Length: 1000000\\r\\n\\r\\nabc"

def endless():
    while True:
        yield bytes(65536)

def stuck():
    print("ready", flush=True)
    begun.set()
    never.wait()
    yield b""

print_ready = lambda *_: print("ready", flush=True)
"""

# The child says "ready" in the phase it is named for, or right before it; then the signal comes.
PHASES = {
    "name look-up": "client.Session(resolver=lambda *_: (print_ready(), never.wait())).get('http://a.test/')",
    "TLS handshake": "client.Session(trace=lambda event, _: event == 'tls.start' and print_ready())"
    ".get(url.replace('http', 'https'))",
    "uploading": "client.post(url, data=endless(), progress=lambda sent, _: sent == 65536 and print_ready())",
    "in the body's iterator": "client.post(url, data=stuck())",
    "waiting": "print_ready(); client.get(url)",
    "waiting without limit": "print_ready(); client.get(url, timeout=None)",
    "reading": "serve(HALF); client.get(url, progress=print_ready)",
    "streaming": "serve(HALF); response = client.get(url, stream=True); print_ready(); response.content",
    "waiting for a connection": """
        serve(HALF)
        session = client.Session(workers=1, limits=client.PoolLimits(per_origin=1))
        kept.append(session.get(url, stream=True))
        print_ready()
        session.get(url)
        """,
    "before another try": """
        slow = client.Retry(9, backoff_factor=1000, backoff_max=1000)
        client.Session(retries=slow, on_retry=print_ready).get("http://127.0.0.1:1/")
        """,
    "offloaded": "print_ready(); client.Session(offload=True).get(url)",
    "in map": "print_ready(); list(client.Session(workers=2).map([url] * 20))",
    "in as_completed": "print_ready(); list(client.Session(workers=2).as_completed([url] * 20))",
    "in result": """
        session = client.Session(workers=1)
        futures = [session.submit("GET", url) for _ in range(5)]
        print_ready()
        futures[0].result()
        """,
    "while others work": """
        session = client.Session(workers=1)
        futures = [session.submit("GET", url) for _ in range(5)]
        print_ready()
        never.wait()
        """,
    "in close": """
        session = client.Session(workers=1)
        session.submit("POST", url, data=stuck())
        begun.wait()
        session.close()
        """,
}


@pytest.mark.parametrize("phase", PHASES)
def test_ctrl_c_ends_the_program(phase: str) -> None:
    code = PRELUDE + textwrap.dedent(PHASES[phase])
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        try:
            assert "ready\n" == child.stdout.readline()
            child.send_signal(signal.SIGINT)
            try:
                _, said = child.communicate(timeout=PATIENCE / 2)
            except subprocess.TimeoutExpired:
                # About one signal of 700 comes after Python last looked for signals and before the system call that
                # it then waits in; only another one wakes it. Nobody but Python can close that gap.
                child.send_signal(signal.SIGINT)
                _, said = child.communicate(timeout=PATIENCE / 2)
        finally:
            child.kill()

    assert -signal.SIGINT == child.returncode
    assert "KeyboardInterrupt" == said.splitlines()[-1], said
    assert "ignored" not in said
