"""Files on their way out by ``sendfile``: the same bytes, counts and errors as when they are read."""

from __future__ import annotations

import errno
import gzip
import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import client
from client.file_body import SPAN
from client.multipart import MultipartBody, encode_multipart
from client.transport import connection as connection_room
from client.transport.file_span import CAN_SENDFILE
from client.transport.pool import ConnectionPool
from client.transport.tls import TLSSettings
from tests.leaks import no_leaks
from tests.scripted_server import Expect, ExpectClosed, Hold, ScriptedServer, Send, Wait
from tests.transport.exchanging import OK, a_body, a_call, a_request

pytestmark = pytest.mark.skipif(not CAN_SENDFILE, reason="this system has no sendfile")

CONTENT = bytes(range(251)) * 10_000  # more than two spans, of which no two are alike


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def pool() -> Iterator[ConnectionPool]:
    with no_leaks():
        pool = ConnectionPool()
        yield pool
        pool.close()
        assert (0, 0) == (pool._slots, len(pool._open))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What each sendfile took."""
    counts: list[int] = []
    original = os.sendfile

    def sendfile(*arguments: Any) -> int:
        counts.append(original(*arguments))
        return counts[-1]

    monkeypatch.setattr(os, "sendfile", sendfile)
    return counts


def before_each_sendfile(monkeypatch: pytest.MonkeyPatch, action: Callable[[int], object]) -> None:
    """Have *action* called with the number of bytes that this file has sent so far."""
    original, sent = os.sendfile, 0

    def sendfile(*arguments: Any) -> int:
        nonlocal sent
        action(sent)
        count = original(*arguments)
        sent += count
        return count

    monkeypatch.setattr(os, "sendfile", sendfile)


def sent_whole(
    server: ScriptedServer, pool: ConnectionPool, body: Any, expected: bytes, **facts: Any
) -> None:
    conversation = server.script(Expect(body=len(expected)), Send(OK), Hold())

    assert b"ok" == pool.round_trip(a_request(server.url, "PUT", body), a_call(**facts)).read()

    assert expected == conversation.requests[0].partition(b"\r\n\r\n")[2]


def test_a_file_is_sent_by_the_kernel_from_where_it_stands(
    scripted_server: ScriptedServer, pool: ConnectionPool, path: Path, counted: list[int]
) -> None:
    with path.open("rb") as file:
        file.read(10)
        sent_whole(scripted_server, pool, a_body(file), CONTENT[10:])

        assert len(CONTENT) == file.tell()
    assert len(CONTENT) - 10 == sum(counted)
    assert max(counted) <= SPAN


def test_the_connection_spans_again_and_serves_the_next_request(
    scripted_server: ScriptedServer, pool: ConnectionPool, path: Path
) -> None:
    """A socket left without blocking would take the wait for the next answer for a timeout."""
    go_on = threading.Event()
    scripted_server.script(
        Expect(body=len(CONTENT)), Wait(go_on), Send(OK), Expect(), Wait(go_on), Send(OK), Hold()
    )
    with path.open("rb") as file:
        waker = threading.Timer(0.1, go_on.set)
        waker.start()
        assert b"ok" == pool.round_trip(a_request(scripted_server.url, "PUT", a_body(file)), a_call()).read()
        waker.join()

    again = pool.round_trip(a_request(scripted_server.url), a_call())
    assert (b"ok", True) == (again.read(), again.reused)


def test_a_resend_begins_where_the_first_one_did(
    scripted_server: ScriptedServer, path: Path, counted: list[int]
) -> None:
    moved = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
    size = len(CONTENT) - 7
    conversation = scripted_server.script(Expect(body=size), Send(moved), Expect(body=size), Send(OK), Hold())
    with client.Session(trust_env=False) as session, path.open("rb") as file:
        file.seek(7)
        assert b"ok" == session.put(scripted_server.url, data=file).content

    assert [CONTENT[7:]] * 2 == [sent.partition(b"\r\n\r\n")[2] for sent in conversation.requests]
    assert 2 * size == sum(counted)


def test_a_form_has_its_files_sent_by_the_kernel_and_the_rest_around_them(
    scripted_server: ScriptedServer, pool: ConnectionPool, path: Path, counted: list[int]
) -> None:
    small = path.with_name("small")
    small.write_bytes(b"small enough to leave with what is around it")
    with path.open("rb") as first, small.open("rb") as second, path.open("rb") as third:
        third.seek(500_000)
        body, _ = encode_multipart({"field": "value"}, {"a": first, "b": second, "c": third})
        assert isinstance(body, MultipartBody)
        sent_whole(scripted_server, pool, body, b"".join(body.chunks()))

    assert 2 * len(CONTENT) - 500_000 == sum(counted)


def test_a_callables_fresh_file_is_sent_by_the_kernel_and_closed(
    scripted_server: ScriptedServer, pool: ConnectionPool, path: Path, counted: list[int]
) -> None:
    sent_whole(scripted_server, pool, a_body(lambda: path.open("rb")), CONTENT)

    assert len(CONTENT) == sum(counted)


def test_what_was_written_to_the_file_and_not_flushed_is_sent_too(
    scripted_server: ScriptedServer, pool: ConnectionPool, path: Path, counted: list[int]
) -> None:
    with path.open("r+b") as file:
        body = a_body(file)
        file.write(b"changed after the length was asked")
        sent_whole(scripted_server, pool, body, b"changed after the length was asked" + CONTENT[34:])

    assert len(CONTENT) == sum(counted)


class Upper(io.BufferedReader):
    """Reads something else than its file holds."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size).upper()


class Decoding(io.RawIOBase):
    """Has a descriptor, and yields something else."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb", buffering=0)

    def fileno(self) -> int:
        return self.file.fileno()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self.file.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        data = self.file.read(len(buffer)).swapcase()
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.file.close()
        super().close()


def _patched(path: Path) -> Any:
    file: Any = path.open("rb")
    read = file.read
    file.read = lambda size: read(size).lower()
    return file


def _compressed(path: Path) -> Any:
    path.write_bytes(gzip.compress(CONTENT))
    return gzip.open(path)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (_compressed, CONTENT),
        (_patched, CONTENT.lower()),
        (lambda path: Upper(io.FileIO(path)), CONTENT.upper()),
        (lambda path: io.BufferedReader(Decoding(path)), CONTENT.swapcase()),
        (lambda path: io.BytesIO(CONTENT), CONTENT),
        (lambda path: io.BufferedReader(io.BytesIO(CONTENT)), CONTENT),
    ],
    ids=["gzip", "patched", "subclass", "decoding raw file", "BytesIO", "buffered BytesIO"],
)
def test_what_is_no_file_on_disk_is_read(
    scripted_server: ScriptedServer,
    pool: ConnectionPool,
    path: Path,
    counted: list[int],
    make: Callable[[Path], Any],
    expected: bytes,
) -> None:
    """Its descriptor, where it has one, would give other bytes than it yields."""
    with make(path) as file:
        sent_whole(scripted_server, pool, a_body(file), expected)

    assert [] == counted


def test_a_text_file_is_read_as_it_is_on_disk(
    scripted_server: ScriptedServer, pool: ConnectionPool, path: Path, counted: list[int]
) -> None:
    with path.open(encoding="latin-1", newline="") as file, pytest.warns(client.FileModeWarning):
        sent_whole(scripted_server, pool, a_body(file), CONTENT)

    assert [] == counted


def test_a_small_file_is_read(
    scripted_server: ScriptedServer, pool: ConnectionPool, path: Path, counted: list[int]
) -> None:
    path.write_bytes(b"little")
    with path.open("rb") as file:
        sent_whole(scripted_server, pool, a_body(file), b"little")

    assert [] == counted


def test_under_tls_a_file_is_read(
    scripted_tls_server: ScriptedServer, tls_authority: Any, path: Path, counted: list[int]
) -> None:
    """The kernel would send it past the encryption."""
    pool = ConnectionPool()
    with path.open("rb") as file:
        sent_whole(
            scripted_tls_server, pool, a_body(file), CONTENT, tls=TLSSettings(str(tls_authority.bundle))
        )
    pool.close()

    assert [] == counted


def test_with_trailers_it_is_a_chunk_for_each_span(
    scripted_server: ScriptedServer, pool: ConnectionPool, path: Path, counted: list[int]
) -> None:
    """Trailers need chunks (RFC 9112 section 7.1.2); a span is framed by the number of its bytes."""
    conversation = scripted_server.script(Expect(until=b"0\r\nX-Sum: 7\r\n\r\n"), Send(OK), Hold())
    with path.open("rb") as file:
        body = a_body(file)
        request = a_request(scripted_server.url, "PUT", body, trailers=lambda: [(b"X-Sum", b"7")])
        request.headers[-1:] = [(b"Transfer-Encoding", b"chunked")]
        pool.round_trip(request, a_call()).read()

    spans = [CONTENT[start : start + SPAN] for start in range(0, len(CONTENT), SPAN)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(span), span) for span in spans)
    assert framed + b"0\r\nX-Sum: 7\r\n\r\n" == conversation.requests[0].partition(b"\r\n\r\n")[2]
    assert len(CONTENT) == sum(counted)


def test_progress_is_told_span_by_span(
    scripted_server: ScriptedServer, pool: ConnectionPool, path: Path
) -> None:
    told: list[int] = []
    with path.open("rb") as file:
        sent_whole(scripted_server, pool, a_body(file), CONTENT, on_sent=told.append)

    assert [*range(SPAN, len(CONTENT), SPAN), len(CONTENT)] == told


@pytest.mark.parametrize("size", [100, SPAN + 5, len(CONTENT) + 1])
def test_a_file_that_changes_its_size_meanwhile_never_passes_for_whole(
    scripted_server: ScriptedServer, pool: ConnectionPool, path: Path, size: int
) -> None:
    """One that shrank must not be filled up, one that grew must not be cut; the connection is given up."""
    conversation = scripted_server.script(ExpectClosed(silently=False))
    with path.open("rb") as file:
        body = a_body(file)
        with pytest.raises(client.InvalidBody, match=r"data= (yields more|ended .* short)"):
            pool.round_trip(
                a_request(scripted_server.url, "PUT", body), a_call(on_sent=lambda _: os.truncate(path, size))
            )

    assert len(bytes(conversation.received).partition(b"\r\n\r\n")[2]) < len(CONTENT)


def test_a_file_that_shrinks_under_the_kernels_hands_is_an_error(
    scripted_server: ScriptedServer, pool: ConnectionPool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted_server.script(ExpectClosed(silently=False))
    before_each_sendfile(monkeypatch, lambda sent: os.truncate(path, 2 * SPAN) if sent == 2 * SPAN else None)
    with path.open("rb") as file:
        with pytest.raises(
            client.InvalidBody, match=f"shorter while it was sent: it ends at byte {2 * SPAN},"
        ):
            pool.round_trip(a_request(scripted_server.url, "PUT", a_body(file)), a_call())


def test_a_file_closed_meanwhile_is_sent_to_its_end(
    scripted_server: ScriptedServer, pool: ConnectionPool, path: Path, tmp_path: Path
) -> None:
    """Its descriptor's number is another file's at once: none of that may be sent."""
    other = tmp_path / "other"
    other.write_bytes(b"secret" * len(CONTENT))
    number = os.open(path, os.O_RDONLY)
    file = open(number, "rb", closefd=False)  # noqa: SIM115  # closed in the middle

    with other.open("rb") as another:

        def swap(done: int) -> None:
            file.close()
            os.dup2(another.fileno(), number)  # in one step, lest another thread gets the number

        sent_whole(scripted_server, pool, a_body(file), CONTENT, on_sent=swap)
    os.close(number)


@pytest.mark.parametrize("is_kernel_timed", [True, False])
def test_a_kind_of_file_that_the_kernel_refuses_is_read(
    scripted_server: ScriptedServer,
    pool: ConnectionPool,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_kernel_timed: bool,
) -> None:
    """Some file systems know no sendfile; what was sent of a span before that is not sent again."""
    monkeypatch.setattr(
        connection_room, "_HAS_KERNEL_TIMEOUTS", connection_room._HAS_KERNEL_TIMEOUTS and is_kernel_timed
    )

    original = os.sendfile

    def refuse(out: int, file: int, offset: int, count: int) -> int:
        if offset >= 1000:
            raise OSError(errno.EINVAL, "Invalid argument")
        return original(out, file, offset, min(count, 1000))

    monkeypatch.setattr(os, "sendfile", refuse)
    with path.open("rb") as file:
        sent_whole(scripted_server, pool, a_body(file), CONTENT)


def test_a_file_that_cannot_be_read_is_not_taken_for_a_broken_connection(
    scripted_server: ScriptedServer, pool: ConnectionPool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on the usual road, it is the disk's own error; a connection error might be retried."""

    def broken(*arguments: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "sendfile", broken)
    monkeypatch.setattr(os, "pread", broken)
    scripted_server.script(ExpectClosed(silently=False))
    with path.open("rb") as file, pytest.raises(OSError, match="Input/output error") as caught:
        pool.round_trip(a_request(scripted_server.url, "PUT", a_body(file)), a_call())

    assert not isinstance(caught.value, client.RequestException)


def test_without_kernel_timeouts_it_is_the_same(
    scripted_server: ScriptedServer,
    pool: ConnectionPool,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    counted: list[int],
) -> None:
    """As on macOS, where a limit on a wait is the socket's own timeout."""
    monkeypatch.setattr(connection_room, "_HAS_KERNEL_TIMEOUTS", False)
    with path.open("rb") as file:
        sent_whole(scripted_server, pool, a_body(file), CONTENT)

    assert len(CONTENT) == sum(counted)


def test_an_unnamed_temporary_file_is_sent_by_the_kernel(
    scripted_server: ScriptedServer, pool: ConnectionPool, counted: list[int]
) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(CONTENT)
        file.seek(1)
        sent_whole(scripted_server, pool, a_body(file), CONTENT[1:])

    assert len(CONTENT) - 1 == sum(counted)
