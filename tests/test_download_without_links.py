"""The last step of a download on a file system without hard links, such as FAT: still whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import client
from client import rename_new
from client.download_file import DownloadFile
from client.download_folder import Folder
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


def can_rename_new(folder: Path) -> bool:
    """Say whether this system and the file system of *folder* have a rename that replaces nothing."""
    (folder / "probe").touch()
    opened = Folder(str(folder))
    try:
        return opened.rename_new("probe", "renamed")
    finally:
        opened.close()
        for name in ("probe", "renamed"):
            (folder / name).unlink(missing_ok=True)


@pytest.fixture(params=["rename", "reservation"])
def last_step(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is left without links: a rename that replaces nothing or, where there is none either, a reservation."""
    if request.param == "reservation":
        monkeypatch.setattr("client.download_folder.rename_new", lambda *_: False)
    elif not can_rename_new(tmp_path):
        pytest.skip("this system or file system has no rename that replaces nothing")
    return str(request.param)


class Killed(BaseException):
    """Nothing that a process does after it comes about."""


class MortalFolder(Folder):
    """A folder of a process that is killed before its step of that number: no later one comes about."""

    steps_left = 1 << 30

    def _step(self) -> None:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise Killed

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        self._step()
        return super().open(name, flags, mode)

    def remove(self, name: str) -> None:
        self._step()
        super().remove(name)

    def replace(self, name: str, new: str) -> None:
        self._step()
        super().replace(name, new)

    def link(self, name: str, new: str) -> None:
        self._step()
        super().link(name, new)

    def rename_new(self, name: str, new: str) -> bool:
        self._step()
        return super().rename_new(name, new)


def download_on_disk(folder: Folder, text: bytes) -> None:
    """Go the way of a download to "out" on disk."""
    DownloadFile.reopen(folder, "out", "url")
    file = DownloadFile.create(folder, "out")
    try:
        file.write(memoryview(text), 0)
        file.publish(len(text), overwrite=False)
    except BaseException:
        file.discard()
        raise


@pytest.mark.parametrize("number", NO_LINKS)
def test_the_file_gets_its_name_all_the_same(
    session: client.Session,
    server: LoopbackServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    last_step: str,
    number: int,
) -> None:
    without_links(monkeypatch, number)
    session.download(f"{server.url}/bytes/100000", tmp_path / "out")

    assert b"".join(payload(0, 100_000)) == (tmp_path / "out").read_bytes()
    assert ["out"] == [path.name for path in tmp_path.iterdir()]


def test_a_name_that_is_taken_meanwhile_stays_its_owners(
    session: client.Session,
    server: LoopbackServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    last_step: str,
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
    monkeypatch.setattr("client.download_folder.rename_new", lambda *_: False)
    replace = os.replace

    def fail(source: Any, target: Any, **folders: Any) -> None:
        if target == "out":
            raise OSError(errno.EIO, "the stick was pulled")
        replace(source, target, **folders)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="the stick was pulled"):
        session.download(f"{server.url}/bytes/100000", tmp_path / "out", resume=False)

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("has_links", [True, False])
def test_a_kill_at_any_step_leaves_no_file_of_that_name_or_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_links: bool
) -> None:
    """And the next download to the same name leaves nothing but the file."""
    if not has_links:
        if not can_rename_new(tmp_path):
            pytest.skip("this system or file system has no rename that replaces nothing")
        without_links(monkeypatch, errno.EPERM)
    for steps in count():
        path = tmp_path / str(steps)
        path.mkdir()
        folder, survivor = MortalFolder(str(path)), Folder(str(path))
        folder.steps_left = steps
        try:
            download_on_disk(folder, b"content")
            was_killed = False
        except Killed:
            was_killed = True
        left = [file.read_bytes() for file in path.iterdir() if file.name == "out"]
        try:
            download_on_disk(survivor, b"content")
        except FileExistsError:
            DownloadFile.sweep(survivor, "out")
        folder.close()
        survivor.close()

        assert left in ([], [b"content"])
        assert {"out": b"content"} == {file.name: file.read_bytes() for file in path.iterdir()}
        if not was_killed:
            break

    assert steps > 5


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
def test_a_system_call_that_cannot_be_done_here_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """NFS, say, has links and no such rename."""
    monkeypatch.setattr(rename_new, "_rename", lambda: lambda *_: number)

    assert not can_rename_new(tmp_path)


def test_what_else_the_system_says_is_an_error(tmp_path: Path) -> None:
    if not can_rename_new(tmp_path):
        pytest.skip("this system or file system has no rename that replaces nothing")
    folder = Folder(str(tmp_path))
    try:
        with pytest.raises(FileNotFoundError):
            folder.rename_new("missing", "out")
    finally:
        folder.close()


@pytest.mark.parametrize("links", [True, False])
def test_ctypes_is_loaded_only_where_there_are_no_links(
    server: LoopbackServer, tmp_path: Path, *, links: bool
) -> None:
    script = (
        "import errno, os, sys, client\n"
        "def link(*_, **__): raise OSError(errno.EPERM, 'no links')\n"
        f"if not {links}: os.link = link\n"
        f"with client.Session(trust_env=False) as session: session.download({server.url + '/bytes/9'!r}, {str(tmp_path / 'out')!r})\n"
        "print('ctypes' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert str(not links) == done.stdout.strip()


@pytest.mark.parametrize("missing", ["_ctypes", "ctypes"])
def test_a_python_without_ctypes_saves_it_all_the_same(
    server: LoopbackServer, tmp_path: Path, missing: str
) -> None:
    script = (
        f"import errno, os, sys, client; sys.modules[{missing!r}] = None\n"
        "def link(*_, **__): raise OSError(errno.EPERM, 'no links')\n"
        "os.link = link\n"
        f"with client.Session(trust_env=False) as session: session.download({server.url + '/bytes/9'!r}, {str(tmp_path / 'out')!r})"
    )
    subprocess.run([sys.executable, "-c", script], timeout=60, check=True)

    assert b"".join(payload(0, 9)) == (tmp_path / "out").read_bytes()
