"""Quickstart and advanced: POST a multipart-encoded file, several files, streaming uploads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import client as requests


def test_a_file_is_posted_under_its_name(echo: str, tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text("a;b")
    with path.open("rb") as file:
        (seen,) = requests.post(echo, files={"file": file}).json()["files"]

    assert ("file", "report.csv", "a;b") == (seen["field"], seen["name"], seen["content"])


def test_name_type_and_headers_of_a_part_can_be_set(echo: str, tmp_path: Path) -> None:
    path = tmp_path / "report.xls"
    path.write_text("cells")
    with path.open("rb") as file:
        files = {"file": ("other.xls", file, "application/vnd.ms-excel", {"Expires": "0"})}
        (seen,) = requests.post(echo, files=files).json()["files"]

    assert ("other.xls", "application/vnd.ms-excel", "cells") == (seen["name"], seen["type"], seen["content"])
    assert "0" == seen["headers"]["Expires"]


def test_a_string_can_be_received_as_a_file(echo: str) -> None:
    (seen,) = requests.post(echo, files={"file": ("report.csv", "some,data\nanother,row\n")}).json()["files"]

    assert ("report.csv", "some,data\nanother,row\n") == (seen["name"], seen["content"])


def test_files_go_with_form_fields(echo: str) -> None:
    seen = requests.post(
        echo, files={"file": ("a.txt", b"text")}, data={"field": "value", "many": ["1", "2"]}
    ).json()

    assert {"field": ["value"], "many": ["1", "2"]} == seen["form"]
    assert ["a.txt"] == [file["name"] for file in seen["files"]]


def test_several_files_in_one_field(echo: str, tmp_path: Path) -> None:
    for name in ("foo.png", "bar.png"):
        (tmp_path / name).write_text(name)
    with (tmp_path / "foo.png").open("rb") as foo, (tmp_path / "bar.png").open("rb") as bar:
        files = [("images", ("foo.png", foo, "image/png")), ("images", ("bar.png", bar, "image/png"))]
        seen = requests.post(echo, files=files).json()["files"]

    assert [("images", "foo.png", "image/png", "foo.png"), ("images", "bar.png", "image/png", "bar.png")] == [
        (file["field"], file["name"], file["type"], file["content"]) for file in seen
    ]


def test_a_file_object_is_streamed_with_its_length(echo: str, tmp_path: Path) -> None:
    path = tmp_path / "massive-body"
    path.write_text("x" * 100_000)
    with path.open("rb") as file:
        seen = requests.post(echo, data=file).json()

    assert ("x" * 100_000, "100000") == (seen["data"], seen["headers"]["Content-Length"])


def test_a_generator_is_sent_chunked(server: Any) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"hi"
        yield b"there"

    seen = requests.post(server.url, data=pieces()).json()

    assert (7, "chunked") == (seen["length"], seen["headers"]["transfer-encoding"])
    assert "content-length" not in seen["headers"]
