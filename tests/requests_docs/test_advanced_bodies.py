"""Advanced: body content workflow, keep-alive, streaming requests, chunk-encoded requests."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator

import pytest

import client as requests
from client.testing import LoopbackServer
from tests.scripted_server import Expect, ScriptedServer, Send

LINES = b'{"a": 1}\r\n\r\n{"a": 2}\nlast'


def test_the_body_is_left_until_it_is_wanted(server: LoopbackServer) -> None:
    response = requests.get(f"{server.url}/bytes/100000", stream=True)
    if int(response.headers["content-length"]) > 10:
        assert 100_000 == len(response.content)
    assert 100_000 == len(response.content)


def test_a_streamed_response_is_a_context_manager(no_leaks: None, server: LoopbackServer) -> None:
    with requests.Session() as session, session.get(f"{server.url}/bytes/10000000", stream=True) as response:
        assert 10 == len(next(response.iter_content(10)))


def test_a_connection_is_kept_once_the_body_is_read(server: LoopbackServer) -> None:
    with requests.Session() as session:
        for _ in range(3):
            session.get(f"{server.url}/bytes/1000", stream=True).content  # noqa: B018  # reads it
    assert 1 == server.stats.connections


def test_a_body_is_streamed_once(server: LoopbackServer) -> None:
    response = requests.get(f"{server.url}/bytes/1000", stream=True)
    assert 1000 == sum(map(len, response.iter_content(100)))
    with pytest.raises(requests.exceptions.StreamConsumedError):
        response.content  # noqa: B018  # the read that raises


def test_raw_is_copied_to_a_file(server: LoopbackServer) -> None:
    file = io.BytesIO()
    with requests.get(f"{server.url}/bytes/70000", stream=True) as response:
        shutil.copyfileobj(response.raw, file)

    assert 70_000 == file.tell()


def test_iteration_goes_over_what_is_read_as_well(server: LoopbackServer) -> None:
    response = requests.get(f"{server.url}/bytes/1000")

    assert response.content == b"".join(response) == b"".join(response.iter_content(7))


@pytest.mark.parametrize("chunk_size", [1, 2, 512, None])
def test_lines_are_lines_however_they_are_cut(
    scripted_server: ScriptedServer, chunk_size: int | None
) -> None:
    scripted_server.script(
        Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LINES)), Send(LINES, piece=1)
    )
    response = requests.get(scripted_server.url, stream=True)
    lines = [
        line for line in response.iter_lines(chunk_size=chunk_size) if line
    ]  # keep-alive lines are empty

    assert [{"a": 1}, {"a": 2}] == [json.loads(line) for line in lines[:2]]
    assert b"last" == lines[2]


def test_lines_as_text(server: LoopbackServer) -> None:
    response = requests.get(f"{server.url}/sse?events=2", stream=True)
    if response.encoding is None:
        response.encoding = "utf-8"

    assert all(isinstance(line, str) for line in response.iter_lines(decode_unicode=True))


def test_a_generator_is_sent_chunk_by_chunk(scripted_server: ScriptedServer) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"hi"
        yield b"there"

    script = scripted_server.script(
        Expect(until=b"0\r\n\r\n"), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    )
    requests.post(scripted_server.url, data=pieces())

    assert script.requests[0].endswith(b"\r\n\r\n2\r\nhi\r\n5\r\nthere\r\n0\r\n\r\n")


def test_a_chunked_response_is_delivered_as_it_comes(server: LoopbackServer) -> None:
    response = requests.get(f"{server.url}/chunked/5000", stream=True)

    assert 5000 == sum(map(len, response.iter_content(chunk_size=None)))
