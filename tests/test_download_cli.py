"""``threadwire download``: several files, connections, checksums, going on, and curl's exit status."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from client import cli
from client.testing import LoopbackServer, payload, payload_sha256
from tests.download_server import RangeServer, file_of

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


def test_several_urls_go_to_a_folder_under_their_own_names(
    server: LoopbackServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = cli.main(
        ["download", f"{server.url}/bytes/1000", f"{server.url}/bytes/3000", "-o", str(tmp_path)]
    )

    assert 0 == status
    assert {f"{tmp_path}/1000: 1000 B", f"{tmp_path}/3000: 2.9 KiB"} == set(
        capsys.readouterr().err.splitlines()
    )
    assert b"".join(payload(0, 3000)) == (tmp_path / "3000").read_bytes()


def test_several_urls_need_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == cli.main(["download", "http://a.test/1", "http://a.test/2", "-o", str(tmp_path / "file")])
    assert "need a folder" in capsys.readouterr().err


def test_standard_output_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file named ``-`` is what nobody means who writes it."""
    monkeypatch.chdir(tmp_path)

    assert 2 == cli.main(["download", "http://a.test/1", "-o", "-"])
    assert "'get' writes to standard output" in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())


def test_connections_and_checksum(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = file_of(5 * MEBIBYTE)
    with RangeServer(content) as origin:
        status = cli.main(
            ["download", origin.url, "-o", str(tmp_path / "out"), "-x", "5", "--checksum", "sha256"]
        )

    assert (0, 5) == (status, len(origin.asked))
    assert content == (tmp_path / "out").read_bytes()


def test_what_fails_is_one_line_each_and_the_first_ones_status(
    server: LoopbackServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    urls = [f"{server.url}/status/404", f"{server.url}/bytes/7"]
    status = cli.main(["download", *urls, "-o", str(tmp_path)])
    lines = capsys.readouterr().err.splitlines()

    assert 22 == status
    assert [f"{tmp_path}/7: 7 B"] == lines[:1]
    assert ["threadwire: 404 Client Error"] == [line[:28] for line in lines[1:]]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["SERVER/bytes/5", "--checksum", "sha256:" + "0" * 64], 18),
        (["SERVER/bytes/5", "--checksum", "md5"], 2),
        (["SERVER/bytes/5", "-x", "0"], 2),
        (["SERVER/status/204"], 18),
        (["SERVER/drip?bytes=1000", "--total", "0.2"], 28),
        (["http://127.0.0.1:1/"], 7),
    ],
)
def test_curls_exit_status(
    server: LoopbackServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
) -> None:
    given = [argument.replace("SERVER", server.url) for argument in arguments]

    assert status == cli.main(["download", *given, "-o", str(tmp_path / "out")]), capsys.readouterr().err
    assert capsys.readouterr().err.startswith("threadwire: ")
    assert [] == list(tmp_path.iterdir())


def test_of_several_the_one_that_failed_is_named(
    server: LoopbackServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """But for what may be secret in its URL."""
    slow = f"{server.url.replace('://', '://user:pass@')}/drip?bytes=1000"
    urls = [slow, f"{server.url}/bytes/5", "nonsense"]

    assert 28 == cli.main(["download", *urls[:2], "-o", str(tmp_path), "--total", "0.2"])
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"threadwire: {server.url}/drip: ")
    assert 3 == cli.main(["download", "nonsense", f"{server.url}/bytes/6", "-o", str(tmp_path)])
    assert "threadwire: Invalid URL 'nonsense'" in capsys.readouterr().err


def test_without_standard_error_nothing_is_said(server: LoopbackServer, tmp_path: Path) -> None:
    """Least of all on standard output."""
    code = "import sys; sys.stderr = None; from client.cli import main; sys.exit(main(sys.argv[1:]))"
    command = ["download", f"{server.url}/bytes/5", f"{server.url}/status/404", "-o", str(tmp_path)]
    run = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, timeout=30, check=False)

    assert (22, b"", b"") == (run.returncode, run.stdout, run.stderr)


def test_a_standard_error_that_takes_nothing_changes_no_status(
    server: LoopbackServer, tmp_path: Path
) -> None:
    """A log on a disk that is full, a pipe whose reader has gone: the file is there all the same."""
    reader, writer = os.pipe()
    os.close(reader)
    command = ["-m", "client", "download", f"{server.url}/bytes/5", "-o", str(tmp_path)]
    with os.fdopen(writer, "wb") as nobody:
        run = subprocess.run([sys.executable, *command], stderr=nobody, timeout=30, check=False)

    assert (0, 5) == (run.returncode, (tmp_path / "5").stat().st_size)


@pytest.mark.parametrize("resume", [True, False])
def test_it_goes_on_where_it_stopped_unless_told_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], resume: bool
) -> None:
    content = file_of(MEBIBYTE)
    command = ["download", "-o", str(tmp_path / "out"), *([] if resume else ["--no-resume"])]
    with RangeServer(content, lambda asked, reply: reply._replace(cut=600_000)) as origin:
        assert 18 == cli.main([*command, origin.url])
        assert resume == bool(list(tmp_path.iterdir()))
        origin.fault = None
        assert 0 == cli.main([*command, origin.url])

    assert resume == ("585.9 KiB of it from before" in capsys.readouterr().err)
    assert content == (tmp_path / "out").read_bytes()


def test_ctrl_c_is_one_line_that_says_how_far_it_came(server: LoopbackServer, tmp_path: Path) -> None:
    urls = [f"{server.url}/bytes/5", f"{server.url}/drip?bytes=9999"]
    waiting = threading.Event()
    with subprocess.Popen(
        [sys.executable, "-m", "client", "download", *urls, "-o", tmp_path], stderr=subprocess.PIPE, text=True
    ) as process:
        while not (tmp_path / "5").exists():
            assert process.poll() is None
            waiting.wait(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)

    assert 130 == process.returncode
    # The file has its name a moment before the command counts it.
    assert re.fullmatch(r"threadwire: interrupted: [01] done, 0 failed; stopped after .*\n", errors), errors


def test_the_checksum_of_the_command_line_is_that_of_the_file(server: LoopbackServer, tmp_path: Path) -> None:
    checksum = f"sha256:{payload_sha256(5000).upper()}"

    assert 0 == cli.main(
        ["download", f"{server.url}/bytes/5000", "-o", str(tmp_path), "--checksum", checksum]
    )
