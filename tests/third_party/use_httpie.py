"""HTTPie: the command line, with its sessions on disk."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from httpie.context import Environment
from httpie.core import main

from client.testing import LoopbackServer

Http = Callable[..., tuple[int, str]]


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


@pytest.fixture
def http(tmp_path: Path) -> Http:
    """The command; it returns its exit status and what it prints."""

    def run(*arguments: str) -> tuple[int, str]:
        printed = io.TextIOWrapper(io.BytesIO(), "utf-8")
        environment = Environment(
            config_dir=tmp_path,
            stdin=None,
            stdout=printed,
            stderr=printed,
            stdout_isatty=False,
            program_name="http",
        )
        status = main(["http", "--ignore-stdin", *arguments], env=environment)
        printed.flush()
        return int(status), printed.buffer.getvalue().decode()

    return run


def test_a_session_keeps_headers_and_cookies(http: Http, server: LoopbackServer) -> None:
    assert 0 == http("--session=x", "POST", f"{server.url}/echo", "a=1", "X-Y:z")[0]
    assert 0 == http("--session=x", "--follow", f"{server.url}/cookies/set?a=b")[0]

    assert '"a": "b"' in http("--session=x", f"{server.url}/cookies")[1]
    assert '"x-y": "z"' in http("--session=x", f"{server.url}/echo")[1]


def test_auth_uploads_and_downloads(http: Http, server: LoopbackServer, tmp_path: Path) -> None:
    (tmp_path / "up").write_text("content")

    assert 0 == http("-a", "u:p", f"{server.url}/basic-auth/u/p")[0]
    assert "multipart/form-data" in http("--form", "POST", f"{server.url}/echo", f"f@{tmp_path}/up")[1]
    assert 0 == http("--download", "-o", str(tmp_path / "down"), f"{server.url}/bytes/100000")[0]
    assert 100_000 == (tmp_path / "down").stat().st_size


def test_failures_have_their_exit_status(http: Http, server: LoopbackServer) -> None:
    assert 4 == http("--check-status", f"{server.url}/status/404")[0]
    assert 2 == http("--timeout=0.2", f"{server.url}/delay/5")[0]
    assert 1 == http("http://127.0.0.1:1/")[0]
