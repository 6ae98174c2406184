"""Rows D1 and D2 of the table of hostile networks: what a server may suggest as the name of a file."""

from __future__ import annotations

import time

import pytest

from client.download_names import clean_name, suggested_name
from client.url import parse_url

NAMES = [
    ("attachment; filename=../../x", "x"),
    ('attachment; filename="../../x"', "x"),
    ("attachment; filename=/etc/x", "x"),
    (r'attachment; filename="..\\\\x"', "x"),
    ("attachment; filename=C:x", "C_x"),
    ("attachment; filename=%2e%2e%2fx", "%2e%2e%2fx"),
    ('attachment; filename="x\x00.txt"', "x.txt"),
    ("attachment; filename*=UTF-8''..%2fx", "x"),
    ("attachment; filename*=UTF-8''%2e%2e%5cx", "x"),
    ("attachment; filename*=UTF-8''x%00%0a.txt", "x.txt"),
    ("attachment; filename=plain; filename*=UTF-8''caf%C3%A9", "café"),
    ("attachment; filename*=ISO-8859-1''caf%E9; filename=plain", "café"),
    ("attachment; filename*=UTF-7''x; filename=plain", "plain"),
    ("attachment; filename=.", "fallback"),
    ("attachment; filename=..", "fallback"),
    ('attachment; filename=""', "fallback"),
    ('attachment; filename="..."', "fallback"),
    ('attachment; filename="dir/"', "fallback"),
    ("attachment; filename=~/.ssh/x", "x"),
    ("attachment; filename=.bashrc", "bashrc"),
    ('attachment; filename=" .bashrc"', "bashrc"),
    ("attachment; filename=CON", "_CON"),
    ("attachment; filename=con.txt", "_con.txt"),
    ("attachment; filename=LPT1", "_LPT1"),
    ('attachment; filename="COM1 .txt"', "_COM1 .txt"),
    ("attachment; filename=CONFIG", "CONFIG"),
    ("attachment; filename*=UTF-8''caf%65%E2%80%8B%CC%81", "caf\u00e9"),
    ("attachment; filename=a:b", "a_b"),
    ("attachment; filename*=UTF-8''evil%E2%80%AEtxt.exe", "eviltxt.exe"),
    ('attachment; filename="a\\"b"', "a_b"),
    ('attachment; filename="a?*<>|b"', "a_____b"),
    ('attachment; filename="a. "', "a"),
    ('attachment; name="a; filename=evil"; filename=good', "good"),
    ('attachment; name="a; filename=evil"', "fallback"),
    ("inline", "fallback"),
    ("", "fallback"),
    (';;;==="""\\\\\\', "fallback"),
]  # fmt: skip


@pytest.mark.parametrize(("disposition", "name"), NAMES)
def test_D1_a_name_of_content_disposition_stays_in_the_folder(disposition: str, name: str) -> None:
    assert name == suggested_name(disposition, parse_url("http://a.test/fallback"))


@pytest.mark.parametrize(
    "text", ["a" * 5000, "ä" * 5000, "a" * 5000 + ".tar.gz", "." * 5000 + "a", "\U0001f600" * 99 + "x.txt"]
)
def test_D1_a_long_name_is_cut_and_keeps_its_suffix(text: str) -> None:
    name = clean_name(text)

    assert 1 <= len(name.encode()) <= 255
    assert not text.endswith(".gz") or name.endswith(".gz")


@pytest.mark.timing
def test_D1_the_parser_is_linear() -> None:
    url = parse_url("http://a.test/x")
    started = time.perf_counter()
    for nasty in (";" * 65536, "; filename=" * 6000, ';filename="' + "\\" * 65535, '; filename="\\"' * 5000):
        suggested_name(nasty, url)

    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/%2e%2e%2fx", "x"), ("/a%5c..%5cb", "b"), ("/", "download"), ("", "download"), ("/a/", "download"),
        ("/a%00b", "ab"), ("/.htaccess", "htaccess"), ("/caf%C3%A9.txt", "café.txt"), ("/%ff.bin", "\ufffd.bin"),
        ("/x?name=../../y#../z", "x"), ("/NUL", "_NUL"), ("/%252e%252e%252fx", "%2e%2e%2fx"),
    ],
)  # fmt: skip
def test_D2_nor_does_a_name_of_the_url_leave_it(path: str, name: str) -> None:
    assert name == suggested_name(None, parse_url(f"http://a.test{path}"))
