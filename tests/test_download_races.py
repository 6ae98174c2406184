"""Downloads to one name that begin and end in the same moment: one has the file, the others an error, no file is mixed.

Where a test needs a certain moment, a `Folder` stops there: it is the one road of a download to the disk.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from client import download_file, download_traces
from client.download_descriptor import lock
from client.download_file import DownloadFile
from client.download_folder import Folder
from client.download_journal import Journal, claim_of, journal_in, journal_name, new_temporary, written
from tests.leaks import no_leaks


class StoppingFolder(Folder):
    """A folder that calls *before* or *after* around each opening of a temporary, or of what *suffix* says."""

    suffix = ".part"
    before: Callable[[int], object] = staticmethod(lambda flags: None)
    after: Callable[[int], object] = staticmethod(lambda flags: None)

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        if not name.endswith(self.suffix):
            return super().open(name, flags, mode)
        self.before(flags)
        try:
            return super().open(name, flags, mode)
        finally:
            self.after(flags)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(str(tmp_path))
    yield folder
    folder.close()


@pytest.fixture
def stopping(tmp_path: Path) -> Iterator[StoppingFolder]:
    folder = StoppingFolder(str(tmp_path))
    yield folder
    folder.close()


def download(folder: Folder, text: bytes) -> str:
    """Go the way of a download to "out" on disk; return the name of what came of it."""
    try:
        DownloadFile.reopen(folder, "out", "url")
        file = DownloadFile.create(folder, "out")
        try:
            file.write(memoryview(text), 0)
            file.publish(len(text), overwrite=False)
        except BaseException:
            file.discard()
            raise
    except FileExistsError:
        return "FileExistsError"
    return "whole"


def interrupted(folder: Folder, text: bytes) -> None:
    """Leave behind what a download of *text* and two bytes more would, that broke off."""
    file = DownloadFile.create(folder, "out")
    file.write(memoryview(text), 0)
    size = len(text) + 2
    file.keep(lambda temporary: Journal("url", temporary, size, '"v"', [(0, len(text), size)]))


def hand_over(said: threading.Event, awaited: threading.Event) -> None:
    said.set()
    assert awaited.wait(10)


def test_of_many_that_begin_at_once_one_wins_and_nothing_stays(tmp_path: Path) -> None:
    for number in range(60):
        (path := tmp_path / str(number)).mkdir()
        start = threading.Barrier(8, timeout=10)
        outcomes: list[str] = []

        def run(path: Path = path, start: threading.Barrier = start, outcomes: list[str] = outcomes) -> None:
            folder = Folder(str(path))
            try:
                start.wait()
                outcomes.append(download(folder, b"content"))
            finally:
                folder.close()

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert ["FileExistsError"] * 7 + ["whole"] == sorted(outcomes)
        assert {"out": b"content"} == {path.name: path.read_bytes() for path in path.iterdir()}


def test_one_that_has_claimed_the_name_and_made_nothing_yet_is_under_way(
    tmp_path: Path, folder: Folder
) -> None:
    """Another one finds no temporary, and leaves the claim as it is."""
    claimed, looked = threading.Event(), threading.Event()
    first = StoppingFolder(str(tmp_path))
    first.before = lambda _: hand_over(claimed, looked)
    outcomes: list[str] = []
    owner = threading.Thread(target=lambda: outcomes.append(download(first, b"content")))
    owner.start()
    assert claimed.wait(10)

    with pytest.raises(FileExistsError, match="under way"):
        DownloadFile.reopen(folder, "out", "url")
    looked.set()
    owner.join()
    first.close()

    assert ["whole"] == outcomes
    assert {"out": b"content"} == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.parametrize("seen", [b"", written(claim_of(new_temporary(None)))])
def test_a_claim_that_was_looked_at_too_early_is_not_cleared_away_later(
    tmp_path: Path, folder: Folder, stopping: StoppingFolder, seen: bytes
) -> None:
    """It was empty yet, or its temporary not there yet; before it is removed, it becomes one to go on with."""
    journal = tmp_path / journal_name("out")
    journal.touch(0o600)
    journal.write_bytes(seen)

    def go_on(_: int) -> None:
        stopping.after = lambda _: None
        journal.unlink()
        interrupted(folder, b"conte")

    stopping.suffix = ".json"
    stopping.after = go_on
    assert DownloadFile.reopen(stopping, "out", "url") is None
    left = DownloadFile.reopen(folder, "out", "url")

    assert left is not None
    left[0].discard()
    assert [] == list(tmp_path.iterdir())


def test_a_claim_that_is_cleared_away_before_it_is_locked_is_made_anew(
    tmp_path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [1]

    def late(descriptor: int) -> bool | None:
        if others and others.pop():
            assert DownloadFile.reopen(folder, "out", "url") is None
            assert [] == list(tmp_path.iterdir())
        return lock(descriptor)

    monkeypatch.setattr(download_traces, "lock", late)
    file = DownloadFile.create(folder, "out")

    assert 2 == len(list(tmp_path.iterdir()))
    file.discard()
    assert [] == list(tmp_path.iterdir())


def test_a_journal_that_takes_the_place_of_ours_stays(
    tmp_path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours is looked at before it is removed; meanwhile another download finds that it is a rest, and begins."""
    file = DownloadFile.create(folder, "out")
    others: list[DownloadFile] = []

    def late(descriptor: int) -> Journal | None:
        found = journal_in(descriptor)
        monkeypatch.undo()
        others.append(DownloadFile.create(folder, "out"))
        return found

    monkeypatch.setattr(download_traces, "journal_in", late)
    file.discard()

    assert [".json", ".part"] == sorted(path.suffix for path in tmp_path.iterdir())
    others[0].discard()
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("call", [1, 2, 3, 4, 5, 6])
def test_what_nobody_can_look_at_is_let_go(
    tmp_path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """As on NFS, whose files may have gone when they are asked about."""
    interrupted(folder, b"content")
    fstat, calls = os.fstat, itertools.count(1)

    def stale(descriptor: int) -> os.stat_result:
        if next(calls) == call:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return fstat(descriptor)

    monkeypatch.setattr(os, "fstat", stale)
    with no_leaks(), suppress(OSError):
        if found := DownloadFile.reopen(folder, "out", "url"):
            found[0].close()
    assert next(calls) > call

    DownloadFile.create(folder, "out").discard()
    assert [] == list(tmp_path.iterdir())


def test_a_file_that_is_published_between_opening_and_locking_is_not_taken_for_a_rest(
    tmp_path: Path, folder: Folder, stopping: StoppingFolder
) -> None:
    """A lock would be had, of the very file that has its final name by now: going on would write into that."""
    interrupted(folder, b"conte")
    owner = DownloadFile.reopen(folder, "out", "url")
    assert owner is not None
    file = owner[0]

    def publish(_: int) -> None:
        file.write(memoryview(b"nt"), 5)
        file.publish(7, overwrite=False)

    stopping.after = publish
    assert DownloadFile.reopen(stopping, "out", "url") is None
    assert {"out": b"content"} == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_a_journal_of_thousands_of_parts_is_one_to_go_on_with(folder: Folder) -> None:
    size = 5000 << 20
    parts: list[tuple[int, int, int | None]] = [
        (start, start + 1, start + (1 << 20)) for start in range(0, size, 1 << 20)
    ]
    file = DownloadFile.create(folder, "out")
    os.ftruncate(file.descriptor, size)
    file.keep(lambda temporary: Journal("url", temporary, size, '"v"', parts))
    left = DownloadFile.reopen(folder, "out", "url")

    assert left is not None
    assert parts == [tuple(part) for part in left[1].parts]
    left[0].discard()


def test_where_there_are_no_locks_nobody_takes_up_what_may_be_anothers(
    tmp_path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two would write to one temporary, which could be two versions of the file."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    def journal(temporary: str) -> Journal:
        return Journal("url", temporary, 5, '"v"', [(0, 3, 5)])

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(download_file, "JOURNAL_SECONDS", 0.0)
    first = DownloadFile.create(folder, "out")
    first.write(memoryview(b"old"), 0)
    first.save_sometimes(journal)
    assert DownloadFile.reopen(folder, "out", "url") is None
    assert "whole" == download(folder, b"content")
    with pytest.raises(FileExistsError, match="exists already"):
        first.publish(3, overwrite=False)
    first.keep(journal)

    assert {"out": b"content"} == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
