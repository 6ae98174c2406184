"""Files as request bodies: sent from where they stand, in constant memory, with the length that they yield."""

from __future__ import annotations

import csv
import gzip
import io
import mmap
import os
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import client
from client.body import wire_body
from client.exceptions import (
    ConnectError,
    FileModeWarning,
    InvalidBody,
    InvalidHeader,
    UnrewindableBodyError,
)
from client.file_body import BLOCK, FileBody
from tests.scripted_server import Close, Expect, ScriptedServer, Send
from tests.sent_bodies import sent, streamed

CONTENT = bytes(range(256)) * 1200  # more than one block


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    return path


def test_a_file_is_sent_from_where_it_stands_each_time(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(100)
        body = streamed(file)

        assert (len(CONTENT) - 100, True) == (body.length, body.replayable)
        for _ in range(2):
            pieces = list(body.chunks())
            assert CONTENT[100:] == b"".join(pieces)
            assert BLOCK >= max(map(len, pieces))
            file.seek(7)  # whoever moves it meanwhile does not change what is sent


def _buffered(path: Path) -> Any:
    return path.open("rb")


def _raw(path: Path) -> Any:
    return path.open("rb", buffering=0)


def _mapped(path: Path) -> Any:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _filled(file: Any) -> Any:
    file.write(CONTENT)
    file.seek(0)
    return file


@pytest.mark.parametrize(
    "make",
    [
        _buffered,
        _raw,
        _mapped,
        lambda path: io.BytesIO(CONTENT),
        lambda path: _filled(tempfile.TemporaryFile()),  # noqa: SIM115  # the test closes it
        lambda path: _filled(tempfile.NamedTemporaryFile()),  # noqa: SIM115  # the test closes it
        lambda path: _filled(tempfile.SpooledTemporaryFile(max_size=10)),  # noqa: SIM115  # the test closes it
    ],
)
def test_every_kind_of_file_has_its_length(make: Callable[[Path], Any], path: Path) -> None:
    with make(path) as file:
        body = streamed(file)

        assert (len(CONTENT), True) == (body.length, body.replayable)
        assert CONTENT == b"".join(body.chunks()) == b"".join(body.chunks())


def test_the_length_of_a_compressed_file_is_what_it_yields(path: Path) -> None:
    """fstat knows the size on disk only: requests announces that, and sends more."""
    compressed = path.with_suffix(".gz")
    with gzip.open(compressed, "wb") as file:
        file.write(CONTENT)

    with gzip.open(compressed) as file:
        assert len(CONTENT) == streamed(file).length
        assert CONTENT == sent(file)


def test_a_file_that_cannot_be_put_back_is_refused(path: Path) -> None:
    """Going to the end of a compressed pipe reads it; what would be sent is nothing."""
    read, write = os.pipe()
    os.write(write, gzip.compress(b"content"))
    os.close(write)
    with os.fdopen(read, "rb") as pipe, gzip.GzipFile(fileobj=pipe) as file:
        with pytest.raises(InvalidBody, match=r"data= .* cannot be put back"):
            wire_body(file)


def test_an_empty_file_is_no_chunked_one(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with (tmp_path / "empty").open("rb") as file:
        assert 0 == streamed(file).length
        assert b"" == sent(file)


def test_a_file_at_its_end_is_empty(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(len(CONTENT) + 10)
        assert 0 == streamed(file).length


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs Linux's /proc")
def test_a_file_that_says_it_is_empty_and_is_not_is_chunked() -> None:
    path = Path("/proc/self/cmdline")
    with path.open("rb") as file:
        body = streamed(file)

        assert (None, True) == (body.length, body.replayable)
        assert path.read_bytes() == b"".join(body.chunks()) == b"".join(body.chunks())


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
def test_a_file_without_a_size_is_chunked() -> None:
    """The files of /proc are made as they are read."""
    with Path("/proc/self/stat").open("rb") as file:
        assert streamed(file).length is None
        assert sent(file)


def test_a_pipe_is_chunked_and_read_once() -> None:
    read, write = os.pipe()
    os.write(write, b"content")
    os.close(write)
    with os.fdopen(read, "rb") as file:
        body = streamed(file)

        assert (None, False) == (body.length, body.replayable)
        assert b"content" == b"".join(body.chunks())
        with pytest.raises(UnrewindableBodyError, match="second time"):
            body.chunks()


def test_a_file_that_shrank_or_grew_is_an_error(path: Path) -> None:
    """Its length was announced; the connection must not be left in the middle of a body, nor the file cut."""
    with path.open("rb") as file:
        body = streamed(file)
        os.truncate(path, 10)
        with pytest.raises(InvalidBody, match=f"ended {len(CONTENT) - 10} bytes short of the {len(CONTENT)}"):
            list(body.chunks())
        path.write_bytes(CONTENT + b"x")
        with pytest.raises(InvalidBody, match="more than"):
            list(body.chunks())


def test_no_more_than_announced_is_handed_out(path: Path) -> None:
    with path.open("rb") as file:
        body = streamed(file)
        path.write_bytes(CONTENT * 2)
        taken = 0
        with pytest.raises(InvalidBody):
            for piece in body.chunks():
                taken += len(piece)

    assert taken <= len(CONTENT)


def test_a_file_that_cannot_be_read_is_refused_before_it_is_sent(path: Path) -> None:
    with path.open("rb") as file:
        body = streamed(file)
    with pytest.raises(InvalidBody, match="data= is a closed file"):
        body.chunks()
    with pytest.raises(InvalidBody, match="closed"):
        wire_body(file)
    with path.open("ab") as written, pytest.raises(InvalidBody, match="not open for reading"):
        wire_body(written)


def test_a_file_in_text_mode_is_sent_as_on_disk(tmp_path: Path) -> None:
    """As in requests with a warning; but its bytes, not its text in Latin-1."""
    path = tmp_path / "text"
    path.write_bytes("é\r\nü\r\n".encode())
    with path.open(encoding="utf-8") as file:
        file.readline()
        with pytest.warns(FileModeWarning, match="data= is a file in text mode"):
            body = streamed(file)

        assert len("ü\r\n".encode()) == body.length
        assert "ü\r\n".encode() == b"".join(body.chunks()) == b"".join(body.chunks())


def test_a_pipe_in_text_mode_is_sent_as_it_comes() -> None:
    """Such as `sys.stdin`."""
    read, write = os.pipe()
    os.write(write, "é\r\n".encode())
    os.close(write)
    with os.fdopen(read, encoding="latin-1") as file, pytest.warns(FileModeWarning):
        assert "é\r\n".encode() == sent(file)


@pytest.mark.parametrize("read", [next, lambda file: next(csv.reader(file))])
def test_a_text_file_in_the_middle_of_a_loop_over_its_lines_is_refused(
    read: Callable[[Any], Any], tmp_path: Path
) -> None:
    """It has read ahead and does not say how far, so the file below would be sent from 8 KiB further on."""
    path = tmp_path / "text"
    path.write_text("name\n" + "value\n" * 10_000)
    with path.open() as file:
        read(file)
        with pytest.warns(FileModeWarning), pytest.raises(InvalidBody, match=r"next\(\).*binary mode"):
            wire_body(file)


def test_a_text_file_whose_lines_were_all_read_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("name\nvalue\n")
    with path.open() as file:
        assert ["name\n", "value\n"] == list(file)
        with pytest.warns(FileModeWarning):
            assert b"" == sent(file)


def test_a_pipe_in_text_mode_of_which_something_was_read_is_refused() -> None:
    read, write = os.pipe()
    os.write(write, b"name\nvalue\n")
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as file:
        assert "name\n" == file.readline()
        with pytest.warns(FileModeWarning), pytest.raises(InvalidBody, match="from a pipe"):
            wire_body(file)
        assert "value\n" == file.readline()


def test_a_text_file_in_the_middle_of_its_decoders_state_is_refused(tmp_path: Path) -> None:
    """Without the shift sequence that the caller has read, the rest of the bytes says something else."""
    path = tmp_path / "text"
    path.write_text("\u3042\u3044", encoding="iso-2022-jp")
    with path.open(encoding="iso-2022-jp") as file:
        file.read(1)
        with pytest.warns(FileModeWarning), pytest.raises(InvalidBody, match="middle"):
            wire_body(file)


def test_string_io() -> None:
    text = io.StringIO("aüb")
    text.read(1)

    assert "üb".encode() == sent(text) == sent(text)


def test_a_file_like_object_that_yields_text_is_refused() -> None:
    class Text:
        def read(self, size: int) -> str:
            return "text"

    with pytest.raises(InvalidBody, match="binary mode"):
        sent(Text())


def test_a_non_blocking_file_is_refused() -> None:
    read, write = os.pipe()
    os.set_blocking(read, False)
    with (
        os.fdopen(read, "rb", buffering=0) as file,
        os.fdopen(write, "wb"),
        pytest.raises(InvalidBody, match="non-blocking"),
    ):
        sent(file)


@pytest.mark.parametrize("attribute", ["len", "__len__"])
def test_objects_that_say_how_long_they_are(attribute: str) -> None:
    """requests-toolbelt's encoders have ``len`` and ``read``; older recipes ``__len__``."""

    class Encoder:
        def __init__(self) -> None:
            self.file = io.BytesIO(CONTENT)

        def read(self, size: int = -1) -> bytes:
            return self.file.read(size)

    if attribute == "len":
        Encoder.len = property(lambda self: len(CONTENT))  # type: ignore[attr-defined]
    else:
        Encoder.__len__ = lambda self: len(CONTENT)  # type: ignore[attr-defined]
    body = streamed(Encoder())

    assert (len(CONTENT), False) == (body.length, body.replayable)
    assert CONTENT == b"".join(body.chunks())


def test_a_large_file_takes_constant_memory(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, 64 * 2**20)
    with path.open("rb") as file:
        body = streamed(file)
        tracemalloc.start()
        total = sum(len(piece) for piece in body.chunks())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert 64 * 2**20 == total
    assert peak < 4 * BLOCK


def test_what_a_callable_made_is_closed(path: Path) -> None:
    made: list[Any] = []

    def factory() -> Any:
        made.append(path.open("rb"))
        return made[-1]

    body = streamed(factory)
    chunks = body.chunks()
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]  # it is a generator
    assert CONTENT == b"".join(body.chunks())
    assert [True, True] == [file.closed for file in made]


def test_what_a_callable_made_is_closed_if_the_call_fails_before_it_is_sent(
    path: Path, closed_port: int
) -> None:
    """Of a thousand errors that are kept for later, each would keep a file open."""
    made: list[Any] = []

    def factory() -> Any:
        made.append(path.open("rb"))
        return made[-1]

    url = f"http://127.0.0.1:{closed_port}/"
    with client.Session(trust_env=False) as session:
        kept = list(session.map([("PUT", url)] * 3, data=factory, on_error="return"))
        broken = session.prepare_request(client.Request("PUT", url, data=factory))
        broken.headers["X"] = "a\nb"
        with pytest.raises(InvalidHeader):
            session.send(broken)

    assert [ConnectError] * 3 == [type(error) for error in kept]
    assert [True] * 4 == [file.closed for file in made]


def test_what_a_callable_made_is_closed_if_the_answer_comes_before_it_is_sent(
    path: Path, scripted_server: ScriptedServer
) -> None:
    scripted_server.script(Expect(), Send(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"), Close())
    made: list[Any] = []

    def factory() -> Any:
        made.append(path.open("rb"))
        return made[-1]

    with client.Session(trust_env=False) as session:
        response = session.put(scripted_server.url, data=factory, expect=True)

    assert 401 == response.status_code
    assert [True] == [file.closed for file in made]


def test_a_file_keeps_what_the_transport_needs() -> None:
    file = io.BytesIO(b"abc")
    file.seek(1)
    body = FileBody(file)

    assert (file, file, 1) == (body.source, body.file, body.position)
