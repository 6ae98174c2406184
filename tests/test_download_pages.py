"""Huge pages under a file in memory: which are asked for, when no more are, and that the file stays what it is."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import client
from client.download_pages import HUGE_PAGE, HugePages, huge_pages
from client.testing import LoopbackServer, payload
from tests.download_server import Asked, RangeServer, Reply, file_of

SHARED_MEMORY = Path("/dev/shm")


class Kernel:
    """Makes pages, each in so many seconds."""

    def __init__(self, seconds: float = 0.0, pages: int = 1000) -> None:
        self.asked: list[int] = []
        self.now = 0.0
        self._seconds = seconds
        self._pages = pages

    def make(self, offset: int) -> bool:
        self.asked.append(offset)
        self.now += self._seconds
        return len(self.asked) <= self._pages

    def clock(self) -> float:
        return self.now


def pages_for(kernel: Kernel, size: int) -> HugePages:
    return HugePages(kernel.make, size, kernel.clock)


def test_each_page_is_asked_for_once_before_its_first_byte() -> None:
    kernel = Kernel()
    pages = pages_for(kernel, 4 * HUGE_PAGE)

    pages.prepare(0, 1)
    pages.prepare(1, HUGE_PAGE)
    assert [0] == kernel.asked
    pages.prepare(HUGE_PAGE - 1, 3 * HUGE_PAGE)
    assert [0, HUGE_PAGE, 2 * HUGE_PAGE] == kernel.asked
    pages.prepare(3 * HUGE_PAGE, 3 * HUGE_PAGE)  # no byte of the fourth
    assert [0, HUGE_PAGE, 2 * HUGE_PAGE] == kernel.asked


@pytest.mark.parametrize(("size", "whole"), [(HUGE_PAGE - 1, 0), (3 * HUGE_PAGE, 3), (4 * HUGE_PAGE - 1, 3)])
def test_only_pages_that_the_file_fills_are_asked_for(size: int, whole: int) -> None:
    kernel = Kernel()
    pages_for(kernel, size).prepare(0, 10 * HUGE_PAGE)
    assert [number * HUGE_PAGE for number in range(whole)] == kernel.asked


def test_nothing_is_asked_for_after_a_page_that_could_not_be_made() -> None:
    kernel = Kernel(pages=1)
    pages = pages_for(kernel, 10 * HUGE_PAGE)

    for number in range(10):
        pages.prepare(number * HUGE_PAGE, (number + 1) * HUGE_PAGE)
    assert [0, HUGE_PAGE] == kernel.asked


@pytest.mark.parametrize(("seconds", "asked"), [(0.0004, 100), (0.002, 4), (0.1, 1)])
def test_nothing_is_asked_for_once_it_cost_more_than_it_saves(seconds: float, asked: int) -> None:
    """A page is worth half a millisecond, and five may be lost."""
    kernel = Kernel(seconds)
    pages_for(kernel, 100 * HUGE_PAGE).prepare(0, 100 * HUGE_PAGE)
    assert asked == len(kernel.asked)


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder on a file system in memory whose files may have huge pages."""
    if not SHARED_MEMORY.is_dir():
        pytest.skip("this system has no /dev/shm")
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        with tempfile.TemporaryFile(dir=folder) as file:
            found = huge_pages(file.fileno(), HUGE_PAGE)
            if found is not None:
                found.prepare(0, 1)
            if os.fstat(file.fileno()).st_blocks * 512 < HUGE_PAGE:
                pytest.skip("this kernel has no huge pages for files, or none is free")
        yield Path(folder)


def test_a_page_is_there_and_what_the_file_holds_stays(in_memory: Path) -> None:
    content = os.urandom(HUGE_PAGE + 5000)
    with tempfile.TemporaryFile(dir=in_memory) as file:
        os.pwrite(file.fileno(), content, 3000)
        for start in range(0, 3 * HUGE_PAGE, HUGE_PAGE):  # anew each time, since a busy machine is slow
            pages = huge_pages(file.fileno(), 4 * HUGE_PAGE)
            assert pages is not None
            pages.prepare(start, start + 1)

        assert 3 * HUGE_PAGE == os.fstat(file.fileno()).st_blocks * 512
        assert bytes(3000) + content == os.pread(file.fileno(), 3000 + len(content), 0)
        assert not any(file.read()[3000 + len(content) :])
        assert 4 * HUGE_PAGE > os.fstat(file.fileno()).st_size  # never beyond what is expected


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("extra", [{}, {"max_size": 20 << 20}, {"checksum": "sha256"}])
@pytest.mark.parametrize("size", [HUGE_PAGE, 3 * HUGE_PAGE + 1, 5 * HUGE_PAGE - 1])
def test_a_download_into_memory_is_whole(
    in_memory: Path, server: LoopbackServer, size: int, parts: int, extra: Any
) -> None:
    path = in_memory / "file"
    with client.Session() as session:
        done = session.download(f"{server.url}/bytes/{size}", path, parts=parts, **extra)

    assert size == done.bytes == path.stat().st_size
    assert b"".join(payload(0, size)) == path.read_bytes()
    assert [path] == list(in_memory.iterdir())


def test_a_file_that_shrinks_on_its_way_has_its_own_length(in_memory: Path) -> None:
    """Room for the longer one was made; the shorter one comes whole, from the beginning."""
    long, short = file_of(3 * HUGE_PAGE), file_of(HUGE_PAGE + 7, seed=2)

    def shrink(asked: Asked, reply: Reply) -> Reply:
        if asked.number:
            return reply
        origin.content, origin.etag = short, '"two"'
        return reply._replace(cut=2 * HUGE_PAGE + 9)

    with RangeServer(long, shrink) as origin, client.Session(retries=2) as session:
        session.download(origin.url, in_memory / "file", parts=1)

    assert short == (in_memory / "file").read_bytes()


def test_more_than_the_file_system_holds_is_refused_before_it_is_filled(in_memory: Path) -> None:
    space = os.statvfs(in_memory)
    with RangeServer(b"", lambda *_: Reply("200 OK", {"Content-Length": str(size)}, b"", cut=0)) as origin:
        size = 2 * space.f_blocks * space.f_frsize
        before = os.statvfs(in_memory).f_bfree
        with client.Session() as session, pytest.raises(OSError, match="No space left"):
            session.download(origin.url, in_memory / "file", max_size=2 * size)

        assert before - os.statvfs(in_memory).f_bfree < 1000  # blocks; others may be at work there
    assert [] == list(in_memory.iterdir())


def test_on_a_disk_nothing_is_asked_for(tmp_path: Path) -> None:
    if not os.major(tmp_path.stat().st_dev):
        pytest.skip("the folder for tests is on no disk")
    with tempfile.TemporaryFile(dir=tmp_path) as file:
        assert huge_pages(file.fileno(), 1 << 30) is None


def test_a_file_of_less_than_a_page_does_not_load_ctypes(server: LoopbackServer, in_memory: Path) -> None:
    url = f"{server.url}/bytes/{HUGE_PAGE - 1}"
    script = f"import sys, client; client.Session().download({url!r}, {str(in_memory / 'file')!r}); print('ctypes' in sys.modules)"
    assert "False" == output_of(script)


def test_a_python_without_ctypes_downloads_all_the_same(server: LoopbackServer, in_memory: Path) -> None:
    url = f"{server.url}/bytes/{HUGE_PAGE}"
    script = (
        "import sys; sys.modules['ctypes'] = None\n"
        f"import client; print(client.Session().download({url!r}, {str(in_memory / 'file')!r}).bytes)"
    )
    assert str(HUGE_PAGE) == output_of(script)


def output_of(script: str) -> str:
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return result.stdout.strip()
