"""Rows 105 and 131 to 133: what happened to others' downloads, in bytes on a socket and files on a disk.

What a hostile disk or network may do to ours beyond that is `test_downloads_to_disk.py`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

import client
from tests.leaks import no_leaks
from tests.scripted_server import Close, Expect, Hold, Reset, ScriptedServer, Send

FIRST = b'HTTP/1.1 200 OK\r\nETag: "one"\r\nContent-Length: 10\r\nAccept-Ranges: bytes\r\n\r\n'
WHOLE = b'HTTP/1.1 200 OK\r\nETag: "two"\r\nContent-Length: 10\r\n\r\nABCDEFGHIJ'
PART = (
    b'HTTP/1.1 206 Partial Content\r\nETag: "%b"\r\nContent-Range: bytes %b\r\nContent-Length: %d\r\n\r\n%b'
)


@pytest.fixture
def session() -> Iterator[client.Session]:
    with no_leaks(), client.Session(workers=2, trust_env=False, timeout=10) as session:
        yield session


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in a folder, so that an escape from the inner one shows in the outer."""
    inner = tmp_path / "inner"
    inner.mkdir()
    return inner


def part(content_range: bytes, body: bytes, etag: bytes = b"one") -> bytes:
    return PART % (etag, content_range, len(body), body)


@pytest.mark.parametrize(
    ("answer", "again", "content"),
    [
        (part(b"5-9/10", b"fghij"), None, b"abcdefghij"),
        (WHOLE, None, b"ABCDEFGHIJ"),
        (part(b"4-9/10", b"efghij"), WHOLE, b"ABCDEFGHIJ"),
        (part(b"6-9/10", b"ghij"), WHOLE, b"ABCDEFGHIJ"),
        (part(b"0-9/10", b"ABCDEFGHIJ"), WHOLE, b"ABCDEFGHIJ"),
        (part(b"5-9/11", b"fghij"), WHOLE, b"ABCDEFGHIJ"),
        (part(b"5-9/*", b"fghij"), WHOLE, b"ABCDEFGHIJ"),
        (part(b"5-9/10", b"FGHIJ", b"two"), WHOLE, b"ABCDEFGHIJ"),
        (part(b"5-9/10", b"fghijk"), WHOLE, b"ABCDEFGHIJ"),
        (b"HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\nfghij", WHOLE, b"ABCDEFGHIJ"),
        (b"HTTP/1.1 416 No\r\nContent-Range: bytes */10\r\nContent-Length: 0\r\n\r\n", WHOLE, b"ABCDEFGHIJ"),
    ],
    ids=lambda value: value[-40:].decode() if isinstance(value, bytes) else None,
)
def test_row_105_what_is_no_continuation_is_never_appended(
    scripted_server: ScriptedServer,
    session: client.Session,
    folder: Path,
    answer: bytes,
    again: bytes | None,
    content: bytes,
) -> None:
    """Ten bytes are announced and five come; then another server is in its place, perhaps."""
    target = folder / "out"
    scripted_server.script(Expect(b"GET "), Send(FIRST + b"abcde"), Close())
    with pytest.raises(client.IncompleteBody):
        session.download(scripted_server.url, target, parts=1)

    asked = scripted_server.script(Expect(b"GET "), Send(answer), Close())
    if again is not None:
        scripted_server.script(Expect(b"GET "), Send(again), Close())
    session.download(scripted_server.url, target, parts=1)

    assert b"\r\nRange: bytes=5-9\r\n" in asked.requests[0]
    assert b'\r\nIf-Range: "one"\r\n' in asked.requests[0]
    assert content == target.read_bytes()
    assert [target] == list(folder.iterdir())


def test_row_131_a_temporary_whose_name_was_guessed_is_not_written_to(
    scripted_server: ScriptedServer, session: client.Session, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random names make it hopeless; should the random numbers be known, the file must still be new."""
    victim = folder.parent / "victim"
    victim.write_bytes(b"precious")
    known = bytes(16)
    for suffix in ("part", "new", "mode"):
        (folder / f".threadwire-{known.hex()}.{suffix}").symlink_to(victim)
    monkeypatch.setattr("client.download_file.os.urandom", lambda count: known[:count])
    scripted_server.script(Expect(b"GET "), Send(WHOLE, may_fail=True), Hold())

    with pytest.raises(FileExistsError):
        session.download(scripted_server.url, folder / "out")

    assert b"precious" == victim.read_bytes()
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    "name", ["../escaped", "..%2fescaped", "%2e%2e/escaped", "/tmp/escaped", "..\\escaped", "a/../../escaped"]
)
@pytest.mark.parametrize("form", ['attachment; filename="{}"', "attachment; filename*=UTF-8''{}"])
def test_row_132_a_name_of_the_servers_choice_overwrites_nothing_and_leads_nowhere(
    scripted_server: ScriptedServer, session: client.Session, folder: Path, name: str, form: str
) -> None:
    """Once it is a new file within the folder; once it is there, it stays as it is."""
    disposition = b"Content-Disposition: " + form.format(name).encode() + b"\r\n"
    answer = WHOLE.replace(b"Content-Length", disposition + b"Content-Length")
    scripted_server.script(Expect(b"GET "), Send(answer), Close())
    scripted_server.script(Expect(b"GET "), Send(answer, may_fail=True), Hold())

    path = session.download(scripted_server.url, folder).path
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        session.download(scripted_server.url, folder)

    assert folder == path.parent
    assert b"precious" == path.read_bytes()
    assert [folder] == list(folder.parent.iterdir())
    assert [path] == list(folder.iterdir())


def test_row_133_a_file_that_is_replaced_keeps_its_mode(
    scripted_server: ScriptedServer, session: client.Session, folder: Path
) -> None:
    """A rename must not open a private file to others."""
    target = folder / "out"
    target.write_bytes(b"old")
    target.chmod(0o600)
    before = os.umask(0o000)
    try:
        scripted_server.script(Expect(b"GET "), Send(WHOLE), Close())
        session.download(scripted_server.url, target, overwrite=True)
    finally:
        os.umask(before)

    assert (0o600, b"ABCDEFGHIJ") == (stat.S_IMODE(target.stat().st_mode), target.read_bytes())


def test_row_133_a_download_that_fails_removes_what_is_its_own_only(
    scripted_server: ScriptedServer, session: client.Session, folder: Path
) -> None:
    """Not the file that it would have replaced, and nothing that merely looks like a temporary."""
    target, other = folder / "out", folder / f".threadwire-{'0' * 32}.part"
    target.write_bytes(b"old")
    other.write_bytes(b"somebody else's")
    scripted_server.script(Expect(b"GET "), Send(FIRST + b"abcde"), Reset())

    with pytest.raises(client.RequestException):
        session.download(scripted_server.url, target, overwrite=True, resume=False)

    assert (b"old", b"somebody else's") == (target.read_bytes(), other.read_bytes())
    assert {target, other} == set(folder.iterdir())
