"""Row D7, the worst of it: a download that comes to its end at each single thing that it does in its folder.

Whatever it leaves there, the next download to the same name finds it: in the end the file is there, whole, and nothing
beside it.
"""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import client
from client.transport.splice import CAN_SPLICE
from tests.download_server import Asked, RangeServer, Reply, file_of

pytestmark = pytest.mark.skipif(not CAN_SPLICE, reason="the steps that are counted are Linux's")

CONTENT = file_of(300_001)
WHOLE = str(len(CONTENT))


@pytest.fixture
def origin() -> Iterator[RangeServer]:
    with RangeServer(CONTENT) as origin:
        yield origin


def outcomes(
    kind: str, origin: RangeServer, folder: Path, *, overwrite: bool, resume: bool
) -> tuple[list[tuple[str, str, set[str]]], list[str]]:
    """Return what `tests.security.dying_download` says of each process, and of each that came after it."""
    command = [sys.executable, "-m", "tests.security.dying_download", kind, str(overwrite), str(resume)]
    done = subprocess.run(
        [*command, origin.url, folder], capture_output=True, text=True, check=False, timeout=60
    )
    assert "" == done.stderr
    first, then = zip(*(line.split(" then ") for line in done.stdout.splitlines()), strict=True)
    return [(words[0], words[1], set(words[2:])) for words in map(str.split, first)], list(then)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("resume", [False, True])
def test_D7_whenever_it_is_killed_the_next_one_takes_up_or_removes_all_that_is_left(
    origin: RangeServer, tmp_path: Path, overwrite: bool, resume: bool
) -> None:
    first, then = outcomes("killed", origin, tmp_path, overwrite=overwrite, resume=resume)
    *killed, last = first
    old = "3" if overwrite else "None"

    assert ("0", WHOLE, set()) == last
    assert {"-9"} == {status for status, _, _ in killed}
    assert {old, WHOLE} == {size for _, size, _ in killed}
    assert {f"{WHOLE} out"} == set(then)
    # At least: the journal, its text, the temporary, the data, the mode, the name, the end of the journal.
    assert len(killed) >= 7
    assert not [left for _, _, left in killed if left and ".json" not in left]  # by which it is found


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("resume", [False, True])
def test_D7_whenever_the_disk_is_full_it_is_an_error_and_no_file_or_the_file(
    origin: RangeServer, tmp_path: Path, overwrite: bool, resume: bool
) -> None:
    """A journal is done without, so that some of the steps may fail."""
    first, then = outcomes("full", origin, tmp_path, overwrite=overwrite, resume=resume)
    old = "3" if overwrite else "None"

    assert {str(errno.ENOSPC), "99", "0"} == {status for status, _, _ in first}
    assert {old} == {size for status, size, _ in first if status == str(errno.ENOSPC)}
    assert {WHOLE} == {size for status, size, _ in first if status != str(errno.ENOSPC)}
    assert resume or not [left for _, _, left in first if left]
    assert {f"{WHOLE} out"} == set(then)


@pytest.mark.parametrize("overwrite", [False, True])
def test_D10_the_name_of_a_download_that_lives_is_taken(tmp_path: Path, overwrite: bool) -> None:
    """From its first byte on, whatever the second one asks for: what it left is not yet left behind."""
    go_on = threading.Event()

    def slow(asked: Asked, reply: Reply) -> Reply:
        return reply if "/second" in asked.target else reply._replace(cut=1000, until=go_on)

    with (
        RangeServer(CONTENT, slow) as origin,
        client.Session(trust_env=False, workers=4, timeout=20) as session,
    ):
        first = threading.Thread(target=session.download_many, args=([(origin.url, tmp_path / "out")],))
        first.start()
        while not list(tmp_path.glob("*.part")):
            assert first.is_alive()
            go_on.wait(0.005)
        with pytest.raises(FileExistsError, match="under way"):
            session.download(origin.url.replace("/file", "/second"), tmp_path / "out", overwrite=overwrite)
        assert 1 == len(list(tmp_path.glob("*.part")))
        go_on.set()
        first.join()
        done = session.download(origin.url.replace("/file", "/second"), tmp_path / "out", overwrite=overwrite)

    assert CONTENT == done.path.read_bytes()
    assert [done.path] == list(tmp_path.iterdir())
