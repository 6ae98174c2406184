"""requests-toolbelt: uploads, downloads, sessions, adapters, auth."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests_toolbelt import MultipartEncoder, MultipartEncoderMonitor, StreamingIterator, sessions, threaded
from requests_toolbelt.adapters import socket_options, source
from requests_toolbelt.auth.guess import GuessAuth
from requests_toolbelt.downloadutils import stream, tee
from requests_toolbelt.utils import dump

from client.testing import LoopbackServer


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


def test_multipart_encoder_and_monitor(server: LoopbackServer) -> None:
    seen: list[int] = []
    encoder = MultipartEncoder({"a": "1", "file": ("x.txt", io.BytesIO(b"z" * 100_000), "text/plain")})
    monitor = MultipartEncoderMonitor(encoder, lambda each: seen.append(each.bytes_read))

    headers = {"Content-Type": monitor.content_type}
    answer = requests.post(f"{server.url}/echo", data=monitor, headers=headers).json()

    assert [monitor.len] * 2 == [answer["length"], seen[-1]]


def test_streaming_iterator(server: LoopbackServer) -> None:
    body = StreamingIterator(6, iter([b"abc", b"def"]))
    assert 6 == requests.post(f"{server.url}/echo", data=body).json()["length"]


def test_base_url_session_and_dump(server: LoopbackServer) -> None:
    with sessions.BaseUrlSession(base_url=f"{server.url}/") as session:
        response = session.get("redirect/1")
    text = dump.dump_all(response)
    assert b"GET /redirect/1 HTTP/1.1" in text
    assert b"GET /echo HTTP/1.1" in text


def test_downloads(server: LoopbackServer, tmp_path: Path) -> None:
    response = requests.get(f"{server.url}/bytes/5000", stream=True)
    assert 5000 == Path(stream.stream_response_to_file(response, path=str(tmp_path / "file"))).stat().st_size

    copy = io.BytesIO()
    response = requests.get(f"{server.url}/bytes/5000", stream=True)
    assert copy.getvalue() != b"".join(tee.tee(response, copy))
    assert 5000 == len(copy.getvalue())


def test_threads(server: LoopbackServer) -> None:
    responses, errors = threaded.map([{"method": "GET", "url": f"{server.url}/echo"}] * 5)
    assert (5, 0) == (len(list(responses)), len(list(errors)))


def test_guess_auth(server: LoopbackServer) -> None:
    assert 200 == requests.get(f"{server.url}/basic-auth/u/p", auth=GuessAuth("u", "p")).status_code


@pytest.mark.parametrize(
    "make",
    [
        lambda: source.SourceAddressAdapter("127.0.0.1"),
        lambda: socket_options.TCPKeepAliveAdapter(idle=30),
    ],
)
def test_adapters(make: Any, server: LoopbackServer) -> None:
    with requests.Session() as session:
        session.mount("http://", make())
        assert session.get(f"{server.url}/echo").ok
