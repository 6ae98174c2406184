"""CacheControl: its adapter reads the bytes of the wire through a file of its own, and keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from cachecontrol import CacheControl
from cachecontrol.caches import FileCache, SeparateBodyFileCache
from cachecontrol.heuristics import ExpiresAfter

from client.testing import LoopbackServer
from tests.scripted_server import Expect, ScriptedServer, Send


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


@pytest.mark.parametrize(
    "path", ["/echo", "/gzip", "/deflate", "/bytes/200000", "/chunked/5", "/cookies/set?a=b"]
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_second_answer_comes_from_the_cache(path: str, stream: bool, server: LoopbackServer) -> None:
    with CacheControl(requests.Session(), heuristic=ExpiresAfter(days=1)) as session:
        first, second = (session.get(server.url + path, stream=stream).content for _ in range(2))
        again = session.get(server.url + path)

    assert (first, first, True) == (second, again.content, again.from_cache)


def test_an_entity_tag_is_asked_for() -> None:
    head = b'HTTP/1.1 %s\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\nETag: "x"\r\n'
    with ScriptedServer() as scripted, CacheControl(requests.Session()) as session:
        seen = scripted.script(
            Expect(), Send(head % b"200 OK" + b"Content-Length: 4\r\n\r\nbody"),
            Expect(), Send(head % b"304 Not Modified" + b"\r\n"),
        )  # fmt: skip
        answers = [session.get(scripted.url) for _ in range(2)]

    assert b'If-None-Match: "x"' in seen.requests[1]
    assert [(200, "body", False), (200, "body", True)] == [
        (answer.status_code, answer.text, answer.from_cache) for answer in answers
    ]


@pytest.mark.parametrize("kind", [FileCache, SeparateBodyFileCache])
def test_on_disk(kind: type, server: LoopbackServer, tmp_path: Path) -> None:
    for _ in range(2):
        with CacheControl(requests.Session(), kind(tmp_path), heuristic=ExpiresAfter(days=1)) as session:
            response = session.get(f"{server.url}/echo")
            assert "GET" == response.json()["method"]
    assert (True, 1) == (response.from_cache, server.stats.requests)


def test_a_body_that_breaks_off_is_not_kept() -> None:
    head = b"HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\nCache-Control: max-age=9999999999\r\n"
    with ScriptedServer() as scripted, CacheControl(requests.Session()) as session:
        scripted.script(Expect(), Send(head + b"Content-Length: 9\r\n\r\nbroken"))
        scripted.script(Expect(), Send(head + b"Content-Length: 5\r\n\r\nwhole"))
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            session.get(scripted.url)
        assert ["whole", "whole"] == [session.get(scripted.url).text for _ in range(2)]
