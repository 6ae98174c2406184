"""The last step of a download on a file system without hard links, such as FAT: still whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import client
from client.testing import LoopbackServer, payload

#: What `os.link` says there: Linux, macOS, Windows.
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EINVAL)


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def session() -> Iterator[client.Session]:
    with client.Session(workers=2, trust_env=False, timeout=10) as session:
        yield session


def without_links(monkeypatch: pytest.MonkeyPatch, number: int, meanwhile: Path | None = None) -> None:
    """Have `os.link` fail with *number*; somebody may take the name *meanwhile*."""

    def link(*_: Any, **__: Any) -> None:
        if meanwhile is not None:
            meanwhile.write_bytes(b"theirs")
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)


@pytest.mark.parametrize("number", NO_LINKS)
def test_the_file_gets_its_name_all_the_same(
    session: client.Session,
    server: LoopbackServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    without_links(monkeypatch, number)
    session.download(f"{server.url}/bytes/100000", tmp_path / "out")

    assert b"".join(payload(0, 100_000)) == (tmp_path / "out").read_bytes()
    assert ["out"] == [path.name for path in tmp_path.iterdir()]


def test_a_name_that_is_taken_meanwhile_stays_its_owners(
    session: client.Session, server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename alone would replace what came between the look and the step."""
    without_links(monkeypatch, errno.EPERM, meanwhile=tmp_path / "out")
    with pytest.raises(FileExistsError, match="exists already") as raised:
        session.download(f"{server.url}/bytes/100000", tmp_path / "out", resume=False)

    assert str(tmp_path / "out") == raised.value.filename
    assert b"theirs" == (tmp_path / "out").read_bytes()
    assert ["out"] == [path.name for path in tmp_path.iterdir()]


def test_a_rename_that_fails_leaves_no_empty_file_of_that_name(
    session: client.Session, server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_links(monkeypatch, errno.EPERM)
    replace = os.replace

    def fail(source: Any, target: Any, **folders: Any) -> None:
        if target == "out":
            raise OSError(errno.EIO, "the stick was pulled")
        replace(source, target, **folders)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="the stick was pulled"):
        session.download(f"{server.url}/bytes/100000", tmp_path / "out", resume=False)

    assert [] == list(tmp_path.iterdir())
