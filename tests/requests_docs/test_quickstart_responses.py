"""Quickstart: response content, binary, JSON and raw; status codes; response headers."""

from __future__ import annotations

import codecs
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import client as requests
from client.testing import LoopbackServer
from tests.scripted_server import Expect, ScriptedServer, Send


def answer(server: ScriptedServer, headers: str, body: bytes) -> str:
    """Have *server* answer one request so; return where."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    server.script(Expect(), Send(head.encode() + body))
    return server.url


def test_text_is_decoded_by_the_declared_charset(scripted_server: ScriptedServer) -> None:
    url = answer(scripted_server, "Content-Type: text/html; charset=koi8-r\r\n", "мир".encode("koi8-r"))
    response = requests.get(url)

    assert ("koi8-r", "мир") == (response.encoding, response.text)


def test_encoding_can_be_changed_and_text_follows(scripted_server: ScriptedServer) -> None:
    response = requests.get(
        answer(scripted_server, "Content-Type: text/plain; charset=utf-8\r\n", b"\xc3\xa4")
    )

    assert "ä" == response.text
    response.encoding = "ISO-8859-1"
    assert "Ã¤" == response.text


class Shouting(codecs.IncrementalDecoder):
    def decode(self, data: Any, final: bool = False) -> str:
        return bytes(data).decode().upper()


def test_a_codec_of_the_program_itself_can_be_assigned(scripted_server: ScriptedServer) -> None:
    def decode(data: Any, errors: str = "strict", /) -> tuple[str, int]:
        return bytes(data).decode().upper(), len(data)

    def lookup(name: str) -> codecs.CodecInfo | None:
        found = codecs.CodecInfo(codecs.utf_8_encode, decode, incrementaldecoder=Shouting, name="shouting")
        return found if name == "shouting" else None

    codecs.register(lookup)
    try:
        declared = requests.get(
            answer(scripted_server, "Content-Type: text/x; charset=shouting\r\n", b"text")
        )
        assert (None, "text") == (declared.encoding, declared.text)  # not because a server says so
        declared.encoding = "shouting"
        assert "TEXT" == declared.text == "".join(declared.iter_content(3, decode_unicode=True))
    finally:
        codecs.unregister(lookup)


def test_encoding_can_be_found_in_the_body(scripted_server: ScriptedServer) -> None:
    body = '<meta charset="cp1251"><p>мир'.encode("cp1251")
    response = requests.get(answer(scripted_server, "Content-Type: text/html\r\n", body))
    response.encoding = requests.utils.get_encodings_from_content(response.text)[0]

    assert response.text.endswith("мир")


def test_content_is_bytes_and_codings_are_undone(server: LoopbackServer) -> None:
    for coding in ("gzip", "deflate"):
        response = requests.get(f"{server.url}/{coding}")
        assert coding == response.headers["Content-Encoding"]
        assert "GET" == json.load(BytesIO(response.content))["method"]


def test_json(server: LoopbackServer) -> None:
    assert "GET" == requests.get(server.url).json()["method"]


@pytest.mark.parametrize("path", ["/status/204", "/bytes/10"])
def test_json_of_what_is_no_json_raises(server: LoopbackServer, path: str) -> None:
    response = requests.get(server.url + path)
    with pytest.raises(requests.exceptions.JSONDecodeError) as caught:
        response.json()

    assert isinstance(caught.value, requests.exceptions.RequestException | ValueError)
    assert isinstance(caught.value, json.JSONDecodeError)
    assert isinstance(caught.value, requests.JSONDecodeError)


def test_json_of_an_error_is_still_json(server: LoopbackServer) -> None:
    response = requests.get(f"{server.url}/status/500")

    assert {"status": 500} == response.json()
    with pytest.raises(requests.HTTPError):
        response.raise_for_status()


def test_raw_is_what_came_over_the_wire(server: LoopbackServer) -> None:
    with requests.get(f"{server.url}/gzip", stream=True) as response:
        assert b"\x1f\x8b" == response.raw.read(2)
        assert response.raw.headers["Content-Encoding"] == "gzip"


def test_a_download_is_streamed_to_a_file(server: LoopbackServer, tmp_path: Path) -> None:
    response = requests.get(f"{server.url}/bytes/300000", stream=True)
    with (tmp_path / "file").open("wb") as file:
        for chunk in response.iter_content(chunk_size=128):
            assert len(chunk) <= 128
            file.write(chunk)

    assert requests.get(f"{server.url}/bytes/300000").content == (tmp_path / "file").read_bytes()


def test_status_codes_and_their_names(server: LoopbackServer) -> None:
    response = requests.get(server.url)

    assert response.status_code == requests.codes.ok == requests.codes["ok"] == 200
    assert response.raise_for_status() is None  # type: ignore[func-returns-value]  # requests shows that it is None
    assert (307, 418, 200) == (
        requests.codes["temporary_redirect"],
        requests.codes.teapot,
        requests.codes["\\o/"],
    )


def test_a_bad_status_can_be_raised(server: LoopbackServer) -> None:
    response = requests.get(f"{server.url}/status/404")
    assert not response
    with pytest.raises(requests.exceptions.HTTPError, match="404 Client Error") as caught:
        response.raise_for_status()

    assert caught.value.response is response
    assert caught.value.request is response.request


def test_response_headers_are_found_in_any_case_and_joined(scripted_server: ScriptedServer) -> None:
    response = requests.get(answer(scripted_server, "X-One: a\r\nx-one: b\r\n", b""))
    headers: Any = response.headers

    assert "a, b" == headers["X-ONE"] == headers.get("x-one")
    assert isinstance(headers, requests.structures.CaseInsensitiveDict)
