"""Whatever ends a download, its descriptors go and its name is free: also on a broken disk, in a forking process, late."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import client
from client import downloads
from client.download_file import DownloadFile
from client.download_folder import Folder
from client.download_journal import Journal
from client.testing import LoopbackServer
from client.workers import RequestFuture
from tests.download_server import RangeServer, Reply, file_of
from tests.leaks import no_leaks

CONTENT = file_of((3 << 20) + 11)


@pytest.fixture
def session() -> Iterator[client.Session]:
    with no_leaks(), client.Session(workers=4, trust_env=False, timeout=10) as session:
        yield session


@pytest.fixture
def origin() -> Iterator[RangeServer]:
    with RangeServer(CONTENT) as origin:
        yield origin


def break_off(session: client.Session, origin: RangeServer, target: Path) -> None:
    """Download half a mebibyte, of which the next call can make something."""
    origin.fault = lambda asked, reply: reply._replace(cut=1 << 19)
    with pytest.raises(client.IncompleteBody):
        session.download(origin.url, target, parts=1)
    origin.fault = None


def make_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing removed or renamed any more, as on a disk that was remounted; even what does not exist."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("unlink", "replace", "link"):
        monkeypatch.setattr(os, name, refuse)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no child has our descriptors here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_that_was_forked_meanwhile_does_not_keep_the_name(tmp_path: Path) -> None:
    """It has the descriptor of the temporary too, and a lock goes with the last descriptor or by a word of ours."""
    folder = Folder(str(tmp_path))
    file = DownloadFile.create(folder, "out")
    file.write(memoryview(b"conte"), 0)
    child = os.fork()
    if not child:
        signal.pause()
    try:
        file.keep(lambda temporary: Journal("url", temporary, 7, '"v"', [(0, 5, 7)]))
        found = DownloadFile.reopen(folder, "out", "url")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert found is not None
    found[0].write(memoryview(b"nt"), 5)
    found[0].publish(7, overwrite=False)
    folder.close()

    assert {"out": b"content"} == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no children")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_that_goes_on_or_leaves_touches_no_file_of_its_parent(
    origin: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a copy of all that the parent knows; but the workers, who write the files, are the parent's alone."""
    monkeypatch.setattr(downloads, "PROGRESS_SECONDS", 0.0)
    parent, children = os.getpid(), list[int]()
    seen = {0, 3 * len(CONTENT)}  # nothing has begun, nothing is left to do

    def progress(done: int, total: int | None) -> None:
        if os.getpid() == parent and done not in seen and len(children) < 10:
            seen.add(done)
            children.append(os.fork())
            if not children[-1]:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(10)  # of a child that waits for its parent's workers
                if len(children) % 2:
                    raise SystemExit

    with no_leaks(), client.Session(workers=1, trust_env=False, timeout=10) as session:
        jobs = [(origin.url, tmp_path / name) for name in "abc"]
        try:
            results = session.download_many(jobs, parts=4, resume=False, progress=progress)
        except (SystemExit, client.ForkError):
            os._exit(7)
        if os.getpid() != parent:
            os._exit(1)
        how = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]

    assert ([], 3) == (results.failed, len(results.done))
    assert {7} == set(how)
    assert ["a", "b", "c"] == sorted(path.name for path in tmp_path.iterdir())


def test_a_disk_that_becomes_read_only_keeps_no_name_from_a_later_download(
    session: client.Session, origin: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stops: a download that begins, one that goes on, one that has to go, and one that starts again."""
    with monkeypatch.context() as patch:

        def wrong(asked: Any, reply: Reply) -> Reply:
            make_read_only(patch)
            return reply

        origin.fault = wrong
        with pytest.raises(client.ChecksumMismatch):
            session.download(origin.url, tmp_path / "out", checksum=f"sha256:{'0' * 64}")
    break_off(session, origin, tmp_path / "out")
    with monkeypatch.context() as patch:
        make_read_only(patch)
        with pytest.raises(OSError, match="Read-only"):
            session.download(origin.url, tmp_path / "out")
        with pytest.raises(OSError, match="Read-only"):
            session.download(origin.url, tmp_path / "out", resume=False)
        with pytest.raises(OSError, match="Read-only"):
            session.download(origin.url, tmp_path / "new")
    done = session.download(origin.url, tmp_path / "out")

    assert 1 << 19 == done.resumed_from
    assert {"out": CONTENT} == {
        path.name: path.read_bytes() for path in tmp_path.iterdir() if not path.name.startswith(".")
    }


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_that_has_its_name_is_done_whatever_is_left_beside_it(
    session: client.Session,
    origin: RangeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    overwrite: bool,
) -> None:
    name = "replace" if overwrite else "link"
    step = getattr(os, name)
    with monkeypatch.context() as patch:

        def last_step(*arguments: Any, **options: Any) -> None:
            step(*arguments, **options)
            if arguments[1] == "out":
                make_read_only(patch)

        patch.setattr(os, name, last_step)
        done = session.download(origin.url, tmp_path / "out", overwrite=overwrite)
    assert CONTENT == done.path.read_bytes()
    session.download(origin.url, tmp_path / "out", overwrite=True)

    assert {"out": CONTENT} == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_a_disk_that_breaks_before_another_start_is_the_error(
    session: client.Session, origin: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def change(asked: Any, reply: Reply) -> Reply:
        if asked.number != 1:
            return reply
        monkeypatch.setattr(os, "ftruncate", refuse)
        return reply._replace(headers={**reply.headers, "ETag": '"two"'})

    origin.fault = change
    with pytest.raises(OSError, match="Input/output error") as caught:
        session.download(origin.url, tmp_path / "out", parts=2)

    assert str(tmp_path / "out") == caught.value.filename
    assert [] == list(tmp_path.iterdir())


def test_a_worker_that_lets_go_late_leaves_the_folder_in_order(
    session: client.Session, origin: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C does not wait for ever for a worker that is held up, by a slow disk or, as here, by a hook."""
    monkeypatch.setattr(downloads, "PATIENCE", 0.1)
    let_go, held = threading.Event(), threading.Event()

    def hold(response: client.Response, **_: Any) -> None:
        if response.status_code == 206 and "bytes 0-" not in response.headers["Content-Range"]:
            held.set()
            assert let_go.wait(10)

    def interrupt(*_: object) -> None:
        if held.is_set():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.download(origin.url, tmp_path / "out", parts=2, hooks={"response": hold}, progress=interrupt)
    let_go.set()
    session.close()
    with client.Session(trust_env=False, timeout=10) as second:
        done = second.download(origin.url, tmp_path / "out")

    assert done.resumed_from > 0
    assert {"out": CONTENT} == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_another_ctrl_c_stops_no_stopping(
    session: client.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came while the first one stopped the workers; what they had not been told yet kept its names and descriptors."""
    cancel, stopped = RequestFuture.cancel, list[RequestFuture[Any]]()

    def press_again(future: RequestFuture[Any]) -> bool:
        stopped.append(future)
        if len(stopped) == 2:
            signal.raise_signal(signal.SIGINT)
        return cancel(future)

    def interrupt(done: int, total: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    monkeypatch.setattr(RequestFuture, "cancel", press_again)
    with LoopbackServer() as server:
        jobs = [(f"{server.url}/drip?bytes=100000", tmp_path / name) for name in "abcd"]
        with pytest.raises(KeyboardInterrupt):
            session.download_many(jobs, progress=interrupt)
        for thread in threading.enumerate():
            if thread.name == "threadwire-stopping":
                thread.join(10)
        session.close()

    assert len(jobs) == len(stopped)
    assert [] == list(tmp_path.iterdir())  # no validator: nothing could be gone on with


def test_a_folder_that_was_let_go_is_not_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").touch()
    folder = Folder(str(tmp_path))
    folder.close()
    folder.close()

    for use in (folder.stat, folder.remove, lambda name: folder.open(name, os.O_RDONLY)):
        with pytest.raises(OSError, match="Bad file descriptor"):
            use("out")


class FullFolder(Folder):
    """On a disk that has no room for one more file while the temporary has *full* bytes."""

    full = 1 << 20

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        found = self.stat(f"{name.removesuffix('new')}part")
        if flags & os.O_CREAT and name.endswith(".new") and (found is None or found.st_size >= self.full):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
        return super().open(name, flags, mode)


def test_what_came_is_kept_where_the_disk_has_no_room_for_the_first_journal(tmp_path: Path) -> None:
    """It takes the place of the last bytes."""
    whole = 2 * FullFolder.full
    folder = FullFolder(str(tmp_path))
    file = DownloadFile.create(folder, "out")
    file.write(memoryview(bytes(FullFolder.full)), 0)
    parts: list[tuple[int, int, int | None]] = [
        (0, 1000, FullFolder.full - 10), (FullFolder.full - 10, FullFolder.full, whole - 10), (whole - 10, whole - 10, whole)
    ]  # fmt: skip
    file.keep(lambda temporary: Journal("url", temporary, whole, '"v"', parts))
    found = DownloadFile.reopen(folder, "out", "url")

    assert found is not None
    assert [1000, FullFolder.full - 10, whole - 10] == [position for _, position, _ in found[1].parts]
    found[0].discard()
    folder.close()
    assert [] == list(tmp_path.iterdir())


def test_nothing_is_kept_of_less_than_a_journal_takes(tmp_path: Path) -> None:
    folder = FullFolder(str(tmp_path))
    folder.full = 0
    file = DownloadFile.create(folder, "out")
    file.write(memoryview(b"conte"), 0)
    file.keep(lambda temporary: Journal("url", temporary, 7, '"v"', [(0, 5, 7)]))
    folder.close()
    assert [] == list(tmp_path.iterdir())


def test_an_older_journal_is_better_than_half_a_new_one(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    file = DownloadFile.create(folder, "out")
    file.write(memoryview(b"con"), 0)
    file.keep(lambda temporary: Journal("url", temporary, 7, '"v"', [(0, 3, 7)]))
    folder.close()
    full = FullFolder(str(tmp_path))
    full.full = 0
    found = DownloadFile.reopen(full, "out", "url")
    assert found is not None
    found[0].write(memoryview(b"te"), 3)
    found[0].keep(lambda temporary: Journal("url", temporary, 7, '"v"', [(0, 5, 7)]))
    found = DownloadFile.reopen(full, "out", "url")

    assert found is not None
    assert [(0, 3, 7)] == [tuple(part) for part in found[1].parts]
    found[0].discard()
    full.close()


def test_a_killed_download_whose_name_is_taken_leaves_nothing_that_is_of_no_use(tmp_path: Path) -> None:
    """It had not come to its first journal, so nobody can go on with it."""
    folder = Folder(str(tmp_path))
    killed = DownloadFile.create(folder, "out")
    killed.write(memoryview(b"conte"), 0)
    killed.close()
    (tmp_path / "out").write_bytes(b"other")
    DownloadFile.sweep(folder, "out")
    folder.close()

    assert [tmp_path / "out"] == list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["new/", "new/.", "new/..", "new/./"])
def test_a_folder_that_is_not_there_is_no_name_of_a_file(
    session: client.Session, tmp_path: Path, path: str
) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        session.download("http://a.test/", f"{tmp_path}/{path}")

    assert [] == list(tmp_path.iterdir())
