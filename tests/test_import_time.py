"""What ``import client`` may load: a command-line tool pays for every module, used or not."""

from __future__ import annotations

import subprocess
import sys

from tests.scripted_server import ScriptedServer

#: Loaded on first use, or never.
HEAVY = {
    "asyncio",
    "certifi",
    "concurrent.futures",
    "dataclasses",
    "email",
    "http",
    "inspect",
    "logging",
    "ssl",
    "urllib.request",
}
#: Never, whatever is done: their parsers are lenient where this library is strict.
NEVER = {"email", "http.client", "http.cookiejar"}


def modules_loaded_by(code: str) -> set[str]:
    """Run *code* in a fresh interpreter, and return what that loads beyond what the interpreter itself has."""
    script = f"import sys; before = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before))"
    finished = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=50
    )
    assert finished.returncode == 0, finished.stderr
    return set(finished.stdout.split())


def test_the_import_is_light() -> None:
    loaded = modules_loaded_by("import client")

    assert "client" in loaded
    assert set() == loaded & HEAVY


def test_a_real_get_needs_no_http_of_the_standard_library(scripted_server: ScriptedServer) -> None:
    scripted_server.answer(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nhi")

    loaded = modules_loaded_by(f"import client; assert client.get({scripted_server.url!r}).text == 'hi'")

    assert set() == loaded & NEVER


def test_plain_http_needs_no_tls(scripted_server: ScriptedServer) -> None:
    scripted_server.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    loaded = modules_loaded_by(f"import client; assert client.get({scripted_server.url!r}).text == 'hi'")

    assert set() == loaded & {"ssl", "certifi"}
