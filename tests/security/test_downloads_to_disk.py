"""Rows D1 to D11 of the table of hostile networks: what a server, or another user of the machine, does to the disk.

Whatever happens, no file outside the folder is touched, none that was there is changed unasked, and the final name
exists only when the file is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import client
from client.download_names import clean_name
from tests.download_server import Asked, RangeServer, Reply, file_of
from tests.leaks import no_leaks

MEBIBYTE = 1 << 20
CONTENT = file_of(3 * MEBIBYTE + 11)


@pytest.fixture
def session() -> Iterator[client.Session]:
    with no_leaks(), client.Session(workers=4, trust_env=False, timeout=10) as session:
        yield session


@pytest.fixture
def origin() -> Iterator[RangeServer]:
    with RangeServer(CONTENT) as origin:
        yield origin


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in a folder, so that an escape from the inner one shows in the outer."""
    inner = tmp_path / "inner"
    inner.mkdir()
    return inner


def test_D1_on_a_real_disk(session: client.Session, origin: RangeServer, folder: Path) -> None:
    """The header counts only where the caller named a folder."""
    origin.fault = lambda asked, reply: reply._replace(
        headers={**reply.headers, "Content-Disposition": "attachment; filename=../../../.bashrc"}
    )
    assert folder / "bashrc" == session.download(origin.url, folder).path
    assert folder / "mine" == session.download(origin.url, folder / "mine").path

    assert ["bashrc", "mine"] == sorted(path.name for path in folder.iterdir())
    assert ["inner"] == [path.name for path in folder.parent.iterdir()]


def test_D3_what_is_there_stays_unless_told_otherwise(
    session: client.Session, origin: RangeServer, folder: Path
) -> None:
    target = folder / "out"
    target.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        session.download(origin.url, target)
    assert (b"precious", []) == (target.read_bytes(), origin.asked)  # found before a byte was fetched

    session.download(origin.url, target, overwrite=True)
    assert target.read_bytes() == CONTENT


def test_D3_also_what_appears_meanwhile(session: client.Session, origin: RangeServer, folder: Path) -> None:
    target = folder / "out"

    def appear(asked: Asked, reply: Reply) -> Reply:
        target.write_bytes(b"precious")
        return reply

    origin.fault = appear
    with pytest.raises(FileExistsError):
        session.download(origin.url, target, resume=False)

    assert b"precious" == target.read_bytes()
    assert [target] == list(folder.iterdir())


@pytest.mark.parametrize("dangling", [True, False])
def test_D4_a_link_is_never_written_through(
    session: client.Session, origin: RangeServer, folder: Path, dangling: bool
) -> None:
    victim = folder.parent / "victim"
    if not dangling:
        victim.write_bytes(b"precious")
    target = folder / "out"
    target.symlink_to(victim)
    with pytest.raises(FileExistsError):
        session.download(origin.url, target)
    assert target.is_symlink()

    session.download(origin.url, target, overwrite=True)  # replaces the link itself
    assert not target.is_symlink()
    assert target.read_bytes() == CONTENT
    assert victim.exists() != dangling
    assert dangling or victim.read_bytes() == b"precious"


def test_D4_a_link_that_takes_the_folders_place_leads_nowhere(
    session: client.Session, origin: RangeServer, folder: Path
) -> None:
    """The folder was opened before the first byte came, and everything happens in that very folder."""
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    moved = folder.parent / "moved"

    def swap(asked: Asked, reply: Reply) -> Reply:
        if not moved.exists():
            folder.rename(moved)
            folder.symlink_to(elsewhere)
        return reply

    origin.fault = swap
    session.download(origin.url, folder / "out")

    assert [] == list(elsewhere.iterdir())
    assert (moved / "out").read_bytes() == CONTENT


def test_D4_a_link_in_place_of_our_journal_or_temporary_is_not_followed(
    session: client.Session, origin: RangeServer, folder: Path
) -> None:
    target, victim = folder / "out", folder.parent / "victim"
    victim.write_bytes(b"precious")
    origin.fault = lambda asked, reply: reply._replace(cut=len(reply.body) // 2)
    with pytest.raises(client.IncompleteBody):
        session.download(origin.url, target, parts=1)
    origin.fault = None
    temporary = next(path for path in folder.iterdir() if path.suffix == ".part")
    temporary.unlink()
    temporary.symlink_to(victim)
    session.download(origin.url, target)

    assert (b"precious", CONTENT) == (victim.read_bytes(), target.read_bytes())


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
@pytest.mark.parametrize("overwrite", [True, False])
def test_D5_what_is_no_file_is_refused_without_waiting(
    session: client.Session, origin: RangeServer, folder: Path, kind: str, overwrite: bool
) -> None:
    target = folder / "out"
    if kind == "fifo":
        os.mkfifo(target)
    elif kind == "folder":  # named by the server, so that it is not meant as the place to save in
        target.mkdir()
        origin.fault = lambda asked, reply: reply._replace(
            headers={**reply.headers, "Content-Disposition": "attachment; filename=out"}
        )
    else:
        target = Path("/dev/null")
    with pytest.raises(FileExistsError):
        session.download(origin.url, folder if kind == "folder" else target, overwrite=overwrite)

    assert not stat.S_ISREG(target.stat().st_mode)


def test_D6_a_temporary_is_ours_alone_until_it_is_whole(
    session: client.Session, origin: RangeServer, folder: Path
) -> None:
    seen: list[tuple[str, int]] = []

    def look(asked: Asked, reply: Reply) -> Reply:
        seen.extend((path.name, stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir())
        return reply

    origin.fault = look
    before = os.umask(0o027)
    try:
        session.download(origin.url, folder / "first", parts=3)
        session.download(origin.url, folder / "second", parts=3)
    finally:
        os.umask(before)

    temporaries = {name: mode for name, mode in seen if name.endswith(".part")}
    assert {0o600} == set(temporaries.values())
    assert 2 == len(temporaries)
    assert all(len(name) == len(".threadwire-") + 32 + len(".part") for name in temporaries)  # 128 bits
    assert 0o640 == stat.S_IMODE((folder / "first").stat().st_mode)


def test_D6_a_replaced_file_keeps_its_mode(
    session: client.Session, origin: RangeServer, folder: Path
) -> None:
    """Row 133: a rename must not open a private file to others."""
    target = folder / "out"
    target.write_bytes(b"")
    target.chmod(0o600)
    session.download(origin.url, target, overwrite=True)

    assert 0o600 == stat.S_IMODE(target.stat().st_mode)


@pytest.mark.parametrize(
    "spoil", ["writable", "hardlink", "escape", "nonsense", "huge", "gap", "field", "blank", "float"]
)
def test_D6_a_journal_that_others_could_have_written_is_not_believed(
    session: client.Session, origin: RangeServer, folder: Path, spoil: str
) -> None:
    target, victim = folder / "out", folder.parent / "victim"
    victim.write_bytes(b"precious")
    origin.fault = lambda asked, reply: reply._replace(cut=len(reply.body) // 2)
    with pytest.raises(client.IncompleteBody):
        session.download(origin.url, target, parts=1)
    origin.fault = None
    journal = next(path for path in folder.iterdir() if path.suffix == ".json")
    temporary = next(path for path in folder.iterdir() if path.suffix == ".part")
    text = journal.read_text()
    if spoil == "writable":
        journal.chmod(0o666)
    elif spoil == "hardlink":
        temporary.unlink()
        temporary.hardlink_to(victim)
    elif spoil == "escape":
        journal.write_text(text.replace(temporary.name, "../victim"))
    elif spoil == "huge":
        journal.write_text("[" * 200_000)
    elif spoil == "gap":
        journal.write_text(text.replace("[[0, ", "[[5, "))
    elif spoil == "blank":
        journal.write_text(text.replace(json.dumps(origin.etag), '"  "'))
    elif spoil == "float":
        journal.write_text(text.replace(f"{len(CONTENT)}, ", f"{len(CONTENT)}.0, "))
    elif spoil == "field":
        journal.write_text(text.replace(origin.etag.strip('"'), "one\\r\\nHost: b"))
    else:
        journal.write_text(text[: len(text) // 2])
    done = session.download(origin.url, target)

    assert (0, CONTENT, b"precious") == (done.resumed_from, target.read_bytes(), victim.read_bytes())


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("resume", [True, False])
def test_D7_a_body_cut_short_never_has_the_final_name(
    session: client.Session, origin: RangeServer, folder: Path, reset: bool, resume: bool
) -> None:
    origin.fault = lambda asked, reply: reply._replace(cut=len(reply.body) - 1, reset=reset)
    with pytest.raises(client.RequestException):
        session.download(origin.url, folder / "out", parts=1, resume=resume)

    assert not (folder / "out").exists()
    assert resume or [] == list(folder.iterdir())


def test_D7_a_wrong_checksum_leaves_nothing(
    session: client.Session, origin: RangeServer, folder: Path
) -> None:
    keep = folder / "other.part"
    keep.write_bytes(b"somebody else's")
    with pytest.raises(client.ChecksumMismatch):
        session.download(origin.url, folder / "out", checksum="sha256:" + "a" * 64)

    assert [keep] == list(folder.iterdir())


def in_a_process(script: str, *arguments: Any, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


FETCH = """
import sys, client, client.download_file
client.download_file.JOURNAL_SECONDS = 0.0
with client.Session(workers=4, trust_env=False) as session:
    try:
        print(session.download(sys.argv[1], sys.argv[2], parts=int(sys.argv[3])).resumed_from)
    except OSError as error:
        print(type(error).__name__, error.errno)
"""


@pytest.mark.parametrize("parts", [1, 3])
def test_D7_a_full_disk_is_an_error_and_no_file(origin: RangeServer, folder: Path, parts: int) -> None:
    """RLIMIT_FSIZE stands for the disk: a write past it fails as on a full one."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MEBIBYTE, 2 * MEBIBYTE))

    with in_a_process(FETCH, origin.url, folder / "out", parts, preexec_fn=limit) as process:
        output, _ = process.communicate(timeout=30)

    assert "OSError 27\n" == output  # EFBIG
    assert not (folder / "out").exists()


@pytest.mark.parametrize("parts", [1, 3])
def test_D7_killed_at_any_moment_it_goes_on_to_the_same_file(
    origin: RangeServer, folder: Path, parts: int
) -> None:
    """``kill -9`` at ten random moments, then one run to the end: whole, or not under the final name."""
    chance = random.Random(parts)
    slow = threading.Event()

    def trickle(asked: Asked, reply: Reply) -> Reply:
        slow.wait(0.01)
        length = min(len(reply.body), 300_000)
        return reply._replace(cut=length) if asked.number % 2 else reply

    target = folder / "out"
    origin.fault = trickle
    for _ in range(10):
        with in_a_process(FETCH, origin.url, target, parts) as process:
            before = len(origin.asked)
            give_up_at = time.monotonic() + 20
            while len(origin.asked) == before and process.poll() is None and time.monotonic() < give_up_at:
                slow.wait(0.002)  # it has begun, which takes longer than all the rest
            slow.wait(chance.random() * 0.04)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=30)
        assert not target.exists() or target.read_bytes() == CONTENT
        target.unlink(missing_ok=True)
    origin.fault = lambda asked, reply: reply._replace(cut=len(reply.body) // 2)
    for _ in range(2):
        with in_a_process(FETCH, origin.url, target, parts) as process:
            process.communicate(timeout=30)
        assert not target.exists()
    origin.fault = None
    with in_a_process(FETCH, origin.url, target, parts) as process:
        output, _ = process.communicate(timeout=30)

    assert hashlib.sha256(CONTENT).digest() == hashlib.sha256(target.read_bytes()).digest()
    assert int(output) > 0  # bytes that were not fetched again


def resumed(session: client.Session, origin: RangeServer, folder: Path, fault: Any) -> client.Download:
    """Break a download off in its middle, then go on against *fault*."""
    origin.fault = lambda asked, reply: reply._replace(cut=len(reply.body) // 2)
    with pytest.raises(client.IncompleteBody):
        session.download(origin.url, folder / "out", parts=1)
    origin.asked.clear()
    origin.fault = fault
    return session.download(origin.url, folder / "out", parts=1)


def whole(asked: Asked, reply: Reply) -> Reply:
    return Reply("200 OK", {"ETag": '"two"'}, CONTENT[::-1])


def changed(asked: Asked, reply: Reply) -> Reply:
    return reply._replace(headers={**reply.headers, "ETag": '"two"'}) if asked.first else whole(asked, reply)


def with_field(name: str, value: str) -> Any:
    def fault(asked: Asked, reply: Reply) -> Reply:
        return reply._replace(headers={**reply.headers, name: value}) if asked.first else reply

    return fault


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (whole, CONTENT[::-1]),
        (changed, CONTENT[::-1]),
        (with_field("Content-Range", f"bytes 0-9/{len(CONTENT)}"), CONTENT),
        (with_field("Content-Range", "bytes 0-*/*"), CONTENT),
        (with_field("Content-Type", "multipart/byteranges; boundary=x"), CONTENT),
        (with_field("Content-Encoding", "gzip"), CONTENT),
    ],
)
def test_D8_what_does_not_fit_is_never_appended(
    session: client.Session, origin: RangeServer, folder: Path, fault: Any, expected: bytes
) -> None:
    """Row 105 too. A multipart type alone does no harm where Content-Range names the very bytes."""
    resumed(session, origin, folder, fault)

    assert (folder / "out").read_bytes() == expected
    assert '"one"' == origin.asked[0].headers["if-range"]
    assert "identity" == origin.asked[0].headers["accept-encoding"]


def test_D9_more_bytes_than_the_range_are_not_written(
    session: client.Session, origin: RangeServer, folder: Path
) -> None:
    def more(asked: Asked, reply: Reply) -> Reply:
        """Name the right range and send 4 KiB more than it has: only chunks can."""
        if asked.first is None:
            return reply
        body = reply.body + b"\xee" * 4096
        headers = {**reply.headers, "Transfer-Encoding": "chunked", "Content-Length": ""}
        return reply._replace(headers=headers, body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))

    origin.fault = more
    session.download(origin.url, folder / "out", parts=3)

    assert (folder / "out").read_bytes() == CONTENT


@pytest.mark.parametrize("total", [len(CONTENT) - 1, len(CONTENT) + 1, 10**17])
def test_D9_another_total_is_another_file(
    session: client.Session, origin: RangeServer, folder: Path, total: int
) -> None:
    def lie(asked: Asked, reply: Reply) -> Reply:
        if not asked.first:
            return reply
        changed = f"bytes {asked.first}-{asked.last}/{total}"
        return reply._replace(headers={**reply.headers, "Content-Range": changed})

    origin.fault = lie
    session.download(origin.url, folder / "out", parts=3)

    assert (folder / "out").read_bytes() == CONTENT
    assert (None, None) in origin.ranges  # in the end it was one answer, without ranges


def test_D10_of_two_downloads_to_one_name_one_wins(
    session: client.Session, origin: RangeServer, folder: Path
) -> None:
    target = folder / "out"
    together = threading.Barrier(2, timeout=10)
    origin.fault = lambda asked, reply: reply if asked.number > 1 else (together.wait(), reply)[1]
    outcomes: list[object] = []

    def fetch() -> None:
        try:
            outcomes.append(session.download(origin.url, target, parts=1))
        except FileExistsError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ["Download", "FileExistsError"] == sorted(type(outcome).__name__ for outcome in outcomes)
    assert target.read_bytes() == CONTENT


def test_D10_names_that_the_file_system_takes_for_one_do_not_mix(
    session: client.Session, origin: RangeServer, folder: Path
) -> None:
    """Suggested names are composed (NFC), so that both spellings are one name everywhere."""
    assert clean_name("cafe\u0301") == clean_name("caf\u00e9") == "caf\u00e9"
    for spelling in ("caf%C3%A9", "cafe%CC%81"):
        origin.url = origin.url.rpartition("/")[0] + f"/{spelling}"
        if spelling == "caf%C3%A9":
            session.download(origin.url, folder)
        else:
            with pytest.raises(FileExistsError):
                session.download(origin.url, folder)

    assert ["café"] == [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("max_size", [None, 1000])
def test_D11_a_huge_length_reserves_nothing(
    session: client.Session, origin: RangeServer, folder: Path, max_size: int | None
) -> None:
    """Only what ``max_size`` allows is ever reserved, and without it nothing."""
    claim = 10**15
    origin.fault = lambda asked, reply: Reply(
        "200 OK", {"Content-Length": str(claim)}, CONTENT[:5000], cut=5000
    )
    with pytest.raises(client.BodyTooLarge if max_size else client.IncompleteBody):
        session.download(origin.url, folder / "out", max_size=max_size)

    assert [] == list(folder.iterdir())


def test_D11_a_body_without_a_length_ends_at_max_size(
    session: client.Session, origin: RangeServer, folder: Path
) -> None:
    origin.fault = lambda asked, reply: Reply(
        "200 OK", {"Connection": "close", "Content-Length": ""}, CONTENT, cut=len(CONTENT)
    )
    with pytest.raises(client.BodyTooLarge):
        session.download(origin.url, folder / "out", max_size=MEBIBYTE)

    assert [] == list(folder.iterdir())
