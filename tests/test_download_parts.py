"""What befalls one part of a download while the others go on."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import client
from client import downloads
from tests.download_server import Asked, RangeServer, Reply, file_of
from tests.leaks import no_leaks

CONTENT = file_of((5 << 20) + 17)
AGAIN = client.Retry(5, backoff_factor=0)


@pytest.fixture
def session() -> Iterator[client.Session]:
    with no_leaks(), client.Session(workers=4, trust_env=False, timeout=10) as session:
        yield session


@pytest.fixture
def origin() -> Iterator[RangeServer]:
    with RangeServer(CONTENT) as origin:
        yield origin


def test_a_part_that_falls_silent_goes_on_elsewhere_where_it_stopped(
    session: client.Session, origin: RangeServer, tmp_path: Path
) -> None:
    """What had come before the silence is on disk, and stays; the other parts don't wait for this one."""
    over = threading.Event()
    stalled: list[Asked] = []

    def stall(asked: Asked, reply: Reply) -> Reply:
        if asked.first and not stalled:
            stalled.append(asked)
            return reply._replace(cut=100_000, until=over)
        return reply

    origin.fault = stall
    session.download(origin.url, tmp_path / "out", parts=3, retries=AGAIN, timeout=(5, 0.3))
    over.set()

    assert (tmp_path / "out").read_bytes() == CONTENT
    assert stalled[0].first is not None
    assert (stalled[0].first + 100_000, stalled[0].last) in origin.ranges


def test_a_part_that_is_redirected_to_another_version_is_not_mixed_in(
    session: client.Session, origin: RangeServer, tmp_path: Path
) -> None:
    """Mirrors behind one name may be out of step."""
    with RangeServer(file_of(len(CONTENT), 2)) as mirror:
        mirror.etag = '"two"'
        origin.fault = lambda asked, reply: (
            Reply("302 Found", {"Location": mirror.url}, b"") if asked.first else reply
        )
        session.download(origin.url, tmp_path / "out", parts=3)

        assert (tmp_path / "out").read_bytes() in (CONTENT, mirror.content)


def test_what_had_come_before_an_error_status_is_of_use_later(
    session: client.Session, origin: RangeServer, tmp_path: Path
) -> None:
    """The signature in a URL runs out, for instance."""
    expired = Reply("403 Forbidden", {}, b"expired")
    origin.fault = lambda asked, reply: expired if asked.number else reply
    with pytest.raises(client.HTTPError):
        session.download(origin.url, tmp_path / "out", parts=3)
    assert not (tmp_path / "out").exists()
    origin.fault = None
    done = session.download(origin.url, tmp_path / "out", parts=3)

    assert done.resumed_from > 0
    assert (tmp_path / "out").read_bytes() == CONTENT


def test_a_hook_may_read_the_answer(session: client.Session, origin: RangeServer, tmp_path: Path) -> None:
    """As one does that logs bodies: what it has read is not lost."""
    read: list[int] = []
    hooks = {"response": lambda response, **_: read.append(len(response.content))}
    session.download(origin.url, tmp_path / "out", parts=3, hooks=hooks)

    assert (tmp_path / "out").read_bytes() == CONTENT
    assert len(CONTENT) == sum(read)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="nothing is reserved here")
def test_a_file_system_that_cannot_reserve_room_has_it_all_the_same(
    session: client.Session, origin: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With musl; with glibc it never says so."""

    def refuse(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    session.download(origin.url, tmp_path / "out", max_size=len(CONTENT))

    assert (tmp_path / "out").read_bytes() == CONTENT


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a folder must be readable")
def test_a_folder_need_not_be_readable(
    session: client.Session, origin: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o333)
    user = os.geteuid()
    if user == 0:  # who may read everything
        os.seteuid(65534)
    try:
        done = session.download(origin.url, "out", parts=2)
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o700)

    assert done.path.read_bytes() == CONTENT
    assert [tmp_path / "out"] == list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc").exists(), reason="a folder in which even root makes no file")
def test_what_the_disk_says_names_the_file_that_was_asked_for(
    session: client.Session, origin: RangeServer
) -> None:
    """Not a temporary or a journal, which nobody has heard of."""
    with pytest.raises(FileNotFoundError) as caught:
        session.download(origin.url, "/proc/out")

    assert "/proc/out" == caught.value.filename


def test_wherever_ctrl_c_comes_everything_is_let_go(
    session: client.Session, origin: RangeServer, tmp_path: Path
) -> None:
    """At each line that the caller's thread comes through: the name is free again, and nothing remains but the file."""
    target, number, interrupts = tmp_path / "out", 0, 0
    while interrupts == number:
        number += 1
        try:
            with interrupted_at(downloads.__file__, number):
                session.download(origin.url, target, parts=2, overwrite=True)
        except KeyboardInterrupt:
            interrupts += 1
        if number % 5 == 0:
            session.download(origin.url, target, overwrite=True)
            assert [target] == list(tmp_path.iterdir())

    assert interrupts > 50
    assert target.read_bytes() == CONTENT


@contextlib.contextmanager
def interrupted_at(file: str, number: int) -> Iterator[None]:
    """Raise KeyboardInterrupt before the line of *file* that is the *number*-th to be run in the block."""
    lines = itertools.count(1)

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename != file:
            return None
        if event == "line" and next(lines) == number:
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def test_a_progress_callback_that_is_slow_holds_it_up_and_no_more(
    session: client.Session, origin: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no time between two calls, each takes longer than that: the ends of the parts are heard all the same."""
    monkeypatch.setattr(downloads, "PROGRESS_SECONDS", 0.0)
    done = session.download(origin.url, tmp_path / "out", parts=4, progress=lambda done, total: None)

    assert len(CONTENT) == done.bytes


def test_the_total_timeout_holds_also_while_all_workers_are_busy(
    session: client.Session, origin: RangeServer, tmp_path: Path
) -> None:
    """It counts from the call on, not from the moment at which a worker has time for it."""
    started, over = threading.Semaphore(0), threading.Event()

    def hold(response: client.Response, **_: Any) -> None:
        started.release()
        over.wait(10)

    busy = [session.submit("GET", origin.url, hooks={"response": hold}) for _ in range(4)]
    try:
        for _ in busy:
            assert started.acquire(timeout=10)
        with pytest.raises(client.TotalTimeout) as caught:
            session.download(origin.url, tmp_path / "out", timeout=client.Timeouts(total=0.3))
        assert not any(future.done() for future in busy)
    finally:
        over.set()
        for future in busy:
            future.result()

    assert 0.3 == caught.value.seconds
    assert [] == list(tmp_path.iterdir())
