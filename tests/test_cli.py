"""The command line as a user has it: bodies on standard output, one line for an error, curl's exit status."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import client
from client import cli
from client.testing import LoopbackServer, payload, payload_sha256
from tests.scripted_server import Close, Expect, ScriptedServer, Send
from tests.tls_authority import TLSAuthority

MEBIBYTE = 1024 * 1024


class Run(NamedTuple):
    status: int
    output: bytes
    errors: str


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Run]:
    """Call `cli.main` with some arguments."""

    def run(*arguments: str) -> Run:
        status = cli.main(arguments)
        sys.stdout.flush()
        output, errors = capfdbinary.readouterr()
        return Run(status, output, errors.decode())

    return run


def one_line(errors: str) -> bool:
    return errors.startswith("threadwire: ") and errors.count("\n") == 1 and errors.endswith("\n")


def test_get_prints_the_body_and_nothing_else(run: Callable[..., Run], server: LoopbackServer) -> None:
    assert Run(0, b"".join(payload(0, MEBIBYTE)), "") == run("get", f"{server.url}/bytes/{MEBIBYTE}")


def test_get_sends_what_the_options_say(run: Callable[..., Run], server: LoopbackServer) -> None:
    options = ["-H", "X-A: 1", "--header", "X-A:2", "-u", "ada:se:cret", "--timeout", "5", "--total", "9"]
    reply = run("get", *options, f"{server.url}/basic-auth/ada/se%3Acret")
    echo = json.loads(run("get", *options, f"{server.url}/x?y=1").output)

    assert (0, "ada") == (reply.status, json.loads(reply.output)["user"])
    assert ("GET", "/x?y=1", "1, 2") == (echo["method"], echo["target"], echo["headers"]["x-a"])


def test_include_prints_the_head_before_the_body(run: Callable[..., Run], server: LoopbackServer) -> None:
    head, _, body = run("get", "-i", f"{server.url}/bytes/5").output.partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'\r\nETag: "bytes-5"\r\n' in head
    assert b"".join(payload(0, 5)) == body


def test_redirects_are_followed_unless_told_otherwise(
    run: Callable[..., Run], server: LoopbackServer
) -> None:
    followed = run("get", f"{server.url}/redirect/2")
    shown = run("get", "-i", "--no-redirects", f"{server.url}/redirect/2")

    assert "/echo" == json.loads(followed.output)["target"]
    assert shown.output.startswith(b"HTTP/1.1 302 ")
    assert 0 == shown.status


@pytest.mark.parametrize(
    ("options", "body", "media_type"),
    [
        ([], b"", None),
        (["-d", "a=1&b=é"], "a=1&b=é".encode(), None),
        (["-d", os.fsdecode(b"\xff\xfe")], b"\xff\xfe", None),
        (["--json", '{"a": 1}'], b'{"a": 1}', "application/json"),
        (["--json", '{"a": 1}', "-H", "content-type: application/x"], b'{"a": 1}', "application/x"),
        (["--data", "@FILE"], b"from a file", None),
        (["--json", "@FILE"], b"from a file", "application/json"),
    ],
)
def test_post_sends_the_body_that_it_is_given(
    run: Callable[..., Run],
    server: LoopbackServer,
    tmp_path: Path,
    options: list[str],
    body: bytes,
    media_type: str | None,
) -> None:
    (tmp_path / "file").write_bytes(b"from a file")
    arguments = [option.replace("FILE", str(tmp_path / "file")) for option in options]

    echo = json.loads(run("post", f"{server.url}/echo", *arguments).output)

    assert "POST" == echo["method"]
    assert (len(body), hashlib.sha256(body).hexdigest()) == (echo["length"], echo["sha256"])
    assert media_type == echo["headers"].get("content-type")


def test_post_streams_standard_input(
    run: Callable[..., Run], server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"".join(payload(0, 3 * MEBIBYTE))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    echo = json.loads(run("post", f"{server.url}/echo", "-d", "@-").output)

    assert payload_sha256(3 * MEBIBYTE) == echo["sha256"]


def test_download_saves_the_body(run: Callable[..., Run], server: LoopbackServer, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    done = run("download", f"{server.url}/bytes/{5 * MEBIBYTE}", "-o", str(path))

    assert Run(0, b"", f"{path}: 5.0 MiB\n") == done
    assert payload_sha256(5 * MEBIBYTE) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [path] == list(tmp_path.iterdir())


def test_download_does_not_touch_a_file_that_is_there(
    run: Callable[..., Run], server: LoopbackServer, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"precious")
    done = run("download", f"{server.url}/bytes/5", "-o", str(path))

    assert (23, b"precious") == (done.status, path.read_bytes())
    assert f"threadwire: {path}: exists already\n" == done.errors


def test_a_download_that_breaks_off_leaves_no_file(
    run: Callable[..., Run], scripted_server: ScriptedServer, tmp_path: Path
) -> None:
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), Close())
    done = run("download", scripted_server.url, "-o", str(tmp_path / "file"))

    assert 18 == done.status
    assert one_line(done.errors)
    assert [] == list(tmp_path.iterdir())


def test_a_download_that_is_refused_leaves_no_file(
    run: Callable[..., Run], server: LoopbackServer, tmp_path: Path
) -> None:
    done = run("download", f"{server.url}/status/404", "-o", str(tmp_path / "file"))

    assert (22, True) == (done.status, one_line(done.errors))
    assert [] == list(tmp_path.iterdir())


def test_an_http_error_prints_the_body_and_exits_with_22(
    run: Callable[..., Run], server: LoopbackServer
) -> None:
    done = run("get", f"{server.url}/status/503")

    assert (22, b'{"status": 503}\n') == (done.status, done.output)
    assert one_line(done.errors)
    assert "503" in done.errors


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["get", "--timeout", "0.1", "SERVER/delay/9"], 28),
        (["get", "--total", "0.1", "SERVER/drip?bytes=99"], 28),
        (["get", "http://127.0.0.1:1/"], 7),
        (["get", "SERVERS/"], 35),
        (["get", "ftp://example.com/"], 1),
        (["get", "example.com"], 3),
        (["get", "http://a@b@c/"], 3),
        (["get", "--timeout", "-1", "SERVER/"], 2),
        (["get", "-H", "X: a\nb", "SERVER/"], 2),
        (["post", "-d", "@/no/such/file", "SERVER/"], 2),
        (["get", "SERVER/redirect/99"], 47),
        (["download", "SERVER/bytes/5", "-o", "/no/such/folder/file"], 23),
    ],
)
def test_what_goes_wrong_is_one_line_and_curls_exit_status(
    run: Callable[..., Run], server: LoopbackServer, arguments: list[str], status: int
) -> None:
    over_tls = server.url.replace("http:", "https:")  # which it does not speak
    given = (argument.replace("SERVERS", over_tls).replace("SERVER", server.url) for argument in arguments)
    done = run(*given)

    assert (status, True) == (done.status, one_line(done.errors)), done.errors


def test_a_name_without_an_address_is_6(run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*arguments: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)  # no query leaves this machine
    done = run("get", "http://name.invalid/")

    assert (6, True) == (done.status, one_line(done.errors))


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"", 52),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 8),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", 18),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 56),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", 61),
    ],
)
def test_a_broken_answer_has_its_own_exit_status(
    run: Callable[..., Run], scripted_server: ScriptedServer, answer: bytes, status: int
) -> None:
    scripted_server.script(Expect(), Send(answer), Close())
    done = run("get", scripted_server.url)

    assert (status, True) == (done.status, one_line(done.errors)), done.errors


def test_a_servers_words_do_not_reach_the_terminal_as_commands(
    run: Callable[..., Run], scripted_server: ScriptedServer
) -> None:
    """U+009B begins a control sequence as ESC [ does, and a reason phrase may hold it (RFC 9112 section 4)."""
    scripted_server.script(Expect(), Send(b"HTTP/1.1 404 No\x9b2Jt\r\nContent-Length: 0\r\n\r\n"), Close())
    done = run("get", scripted_server.url)

    assert "404 Client Error: No" in done.errors
    assert "\x9b" not in done.errors


def test_a_certificate_that_nobody_trusts_is_60_and_cacert_trusts_it(
    run: Callable[..., Run], tls_authority: TLSAuthority
) -> None:
    with LoopbackServer(tls=tls_authority.server_context()) as server:
        refused = run("get", f"{server.url}/bytes/3")
        trusted = run("get", "--cacert", str(tls_authority.bundle), f"{server.url}/bytes/3")

    assert (60, True) == (refused.status, one_line(refused.errors))
    assert Run(0, b"".join(payload(0, 3)), "") == trusted


def test_no_message_shows_a_password_or_a_query(run: Callable[..., Run], server: LoopbackServer) -> None:
    url = server.url.replace("//", "//ada:hunter2@")
    for target in ("/status/404?token=hunter2", "/delay/9?token=hunter2"):
        errors = run("get", "--timeout", "0.1", url + target).errors
        assert errors
        assert "hunter2" not in errors


def test_every_error_of_the_library_has_an_exit_status() -> None:
    def kinds(kind: type[client.RequestException]) -> Iterator[type[client.RequestException]]:
        yield kind
        for child in kind.__subclasses__():
            yield from kinds(child)

    for kind in kinds(client.RequestException):
        error = kind("a", "b", 0) if issubclass(kind, json.JSONDecodeError) else kind("a")
        assert 1 <= cli.exit_code(error) <= 97, kind


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fetch", "http://x/"],
        ["get"],
        ["download", "http://x/"],
        ["post", "-d", "a", "--json", "b", "http://x/"],
        ["get", "-H", "no colon", "http://x/"],
        ["get", "-u", "no-colon", "http://x/"],
        ["get", "--timeout", "soon", "http://x/"],
    ],
)
def test_arguments_that_make_no_command_are_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)

    assert 2 == caught.value.code
    assert "usage: threadwire" in capsys.readouterr().err


def test_output_that_nobody_reads_ends_the_command_quietly(server: LoopbackServer) -> None:
    """As `threadwire get URL | head -c 1` has it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "client", "get", f"{server.url}/bytes/{64 * MEBIBYTE}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.read(1)
    process.stdout.close()
    with process:
        assert process.stderr is not None
        errors = process.stderr.read()

    assert (23, b"") == (process.returncode, errors)


@pytest.mark.parametrize(
    ("redirection", "problem"),
    [(">/dev/full", "No space left on device"), (">&-", "standard output is closed")],
)
def test_output_that_cannot_be_written_is_one_line(
    server: LoopbackServer, redirection: str, problem: str
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full is Linux's")
    command = f"exec {shlex.quote(sys.executable)} -m client get {server.url}/bytes/10 {redirection}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=50)

    assert (23, f"threadwire: output: {problem}\n") == (done.returncode, done.stderr)


def test_ctrl_c_ends_the_command_with_one_line(server: LoopbackServer) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "client", "get", f"{server.url}/drip?bytes=1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert b"*" == process.stdout.read(1)  # it is in the middle of the body
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)

    assert (130, b"threadwire: interrupted\n") == (process.returncode, errors)


@pytest.mark.parametrize("modules", range(1, 91, 10))
def test_ctrl_c_while_it_is_loaded_ends_the_command_without_a_word(
    server: LoopbackServer, modules: int
) -> None:
    """Half of the short commands' time goes there; Python would show a traceback of the module that it was at."""
    command = [sys.executable, "-X", "importtime", "-m", "client", "get", f"{server.url}/drip?bytes=1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "client.exceptions" not in process.stderr.readline():
            assert process.poll() is None
        for _ in range(modules):
            process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    said = [line for line in errors.splitlines() if not line.startswith("import time:")]

    assert 130 == process.returncode
    assert said in ([], ["threadwire: interrupted"])


def test_ctrl_c_when_all_is_done_changes_nothing_or_ends_it_at_once(server: LoopbackServer) -> None:
    command = [sys.executable, "-m", "client", "get", f"{server.url}/bytes/5"]
    for _ in range(5):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.read(5)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)

        # The signal itself: Python has put its handlers away already. A shell calls that 130 as well.
        assert process.returncode in (0, 130, -signal.SIGINT)
        assert errors in (b"", b"threadwire: interrupted\n")


def test_ctrl_c_during_a_finaliser_which_python_swallows_comes_again() -> None:
    program = """
import os, signal, sys, threading, time
from client import __main__, cli

class Closing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.monotonic()  # where Python runs the handler

def download():
    Closing()
    threading.Event().wait(20)

cli.main = download
sys.exit(__main__.main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=30)

    assert (130, b"") == (done.returncode, done.stderr)


def test_where_ctrl_c_is_ignored_it_stays_so(server: LoopbackServer) -> None:
    """So a shell starts what runs in the background."""
    command = f"trap '' INT; exec {shlex.quote(sys.executable)} -m client get '{server.url}/drip?bytes=5'"
    with subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"*" == process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()

    assert (0, b"****") == (process.returncode, rest)


def test_the_demo_holds_and_says_so(run: Callable[..., Run]) -> None:
    done = run("demo")
    lines = done.output.decode().splitlines()

    assert (0, "") == (done.status, done.errors)
    rows = [line for line in lines if re.search(r"\d\.\d{3} +ok ", line)]
    assert 7 == len(rows), lines
    assert b"\r" not in done.output  # no progress bar where there is no terminal
    assert "75 requests" in lines[-1]


def test_the_demo_fails_if_the_content_is_wrong(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verdict that cannot be "FAILED" proves nothing: expect another checksum than the one that comes."""
    monkeypatch.setattr("client.demo.payload_sha256", lambda size: "0" * 64)
    done = run("demo")

    assert 1 == done.status
    assert 3 == len([line for line in done.output.decode().splitlines() if "FAILED  " in line])


@pytest.mark.parametrize("with_rich", [True, False])
def test_a_terminal_gets_a_progress_bar(tmp_path: Path, server: LoopbackServer, with_rich: bool) -> None:
    pty = pytest.importorskip("pty", reason="pseudo terminals are POSIX")
    if not with_rich:
        (tmp_path / "rich.py").write_text("raise ImportError\n")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "client", "download", f"{server.url}/drip?bytes=6", "-o", tmp_path / "out"],
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "TERM": "xterm", "COLUMNS": "100"},
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 65536):
                shown += data
        except OSError:  # how Linux says that the other end of a terminal is closed
            pass
        os.close(ours)

    assert 0 == process.returncode
    assert b"out" in shown
    assert (b"\xe2\x94\x81" in shown) == with_rich  # the stroke that rich draws its bars with
    assert b"/out: 6 B" in shown.replace(b"\r\n", b"")


def test_a_closed_port_is_refused_not_waited_for(run: Callable[..., Run], closed_port: int) -> None:
    assert 7 == run("get", f"http://127.0.0.1:{closed_port}/").status
