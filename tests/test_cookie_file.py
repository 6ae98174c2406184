"""Jars on disk, in the format of curl and wget: `client.cookie_file`."""

from __future__ import annotations

import http.cookiejar
import os
import pickle
import stat
from pathlib import Path
from time import time
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.cookie_file import load, save
from client.cookies import RequestsCookieJar
from client.set_cookie import Cookie
from client.url import parse_url

TOMORROW = int(time()) + 86_400


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cookies.txt"


def test_what_is_saved_is_loaded(file: Path) -> None:
    jar = RequestsCookieJar()
    jar.store(
        parse_url("https://www.a.test/x/y"),
        [
            b"host=1",
            b"domain=2; Domain=a.test; Path=/",
            b"secure=3; Secure; Max-Age=1000",
            b"hidden=4; HttpOnly",
            b"nameless",
            b"octets=\xff\xa0\x85",  # two of them are line ends for str.splitlines
            b"empty=",
        ],
        time(),
    )
    jar.set("unbound", "5")
    jar.save(file)

    loaded = RequestsCookieJar()
    loaded["before"] = "stays"
    loaded.load(str(file))

    assert "stays" == loaded.pop("before")
    assert set(jar) == set(loaded)


def test_a_loaded_host_only_cookie_is_still_host_only(file: Path) -> None:
    """CVE-2026-54279: after a save and a load, sub-domains got it."""
    jar = RequestsCookieJar()
    jar.store(parse_url("http://a.test/"), [b"c=1"], time())
    jar.save(file)
    loaded = RequestsCookieJar()
    loaded.load(file)

    assert b"c=1" == loaded.header_for(parse_url("http://a.test/"), time())
    assert loaded.header_for(parse_url("http://sub.a.test/"), time()) is None


def test_the_lines_are_those_of_curl(file: Path) -> None:
    save(
        file,
        [
            Cookie("a", "1", domain="a.test", path="/x", secure=True, expires=TOMORROW, host_only=True),
            Cookie("b", "2", domain="b.test", http_only=True),
        ],
    )

    lines = file.read_text().splitlines()
    assert "# Netscape HTTP Cookie File" == lines[0]
    assert [
        f"a.test\tFALSE\t/x\tTRUE\t{TOMORROW}\ta\t1",
        "#HttpOnly_.b.test\tTRUE\t/\tFALSE\t0\tb\t2",
    ] == lines[-2:]


def test_the_standard_library_reads_what_is_saved(file: Path) -> None:
    save(
        file,
        [
            Cookie("a", "1", domain="a.test", host_only=True),
            Cookie("b", "2", domain="b.test", http_only=True),
        ],
    )
    theirs = http.cookiejar.MozillaCookieJar(file)
    theirs.load(ignore_discard=True, ignore_expires=True)  # it takes curl's 0 for 1970, we take its "" for 0

    assert {("a", "1", "a.test"), ("b", "2", ".b.test")} == {(c.name, c.value, c.domain) for c in theirs}


def test_what_the_standard_library_writes_is_loaded(file: Path) -> None:
    theirs = http.cookiejar.MozillaCookieJar(file)
    theirs.set_cookie(
        http.cookiejar.Cookie(
            0, "a", "1", None, False, ".a.test", True, True, "/x", True, True, TOMORROW, False, None, None, {}
        )
    )
    theirs.set_cookie(
        http.cookiejar.Cookie(
            0, "b", None, None, False, "b.test", False, False, "/", True, False, None, True, None, None, {}
        )
    )
    theirs.save(ignore_discard=True)

    assert [
        Cookie("a", "1", domain="a.test", path="/x", secure=True, expires=TOMORROW),
        Cookie("", "b", domain="b.test", host_only=True),
    ] == load(file)


def test_expired_cookies_are_neither_saved_nor_loaded(file: Path) -> None:
    save(file, [Cookie("old", "1", expires=5), Cookie("new", "2")])
    assert "old" not in file.read_text()

    file.write_text("a.test\tFALSE\t/\tFALSE\t5\told\t1\na.test\tFALSE\t/\tFALSE\t0\tnew\t2\n")
    assert ["new"] == [cookie.name for cookie in load(file)]


GOOD = f"a.test\tFALSE\t/\tFALSE\t{TOMORROW}\tgood\t1"


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "a.test\tFALSE\t/\tFALSE\t0\tname",
        "a.test\tFALSE\t/\tFALSE\t0\tname\tvalue\tmore",
        "a.test\tFALSE\t/\tFALSE\tsoon\tname\tvalue",
        "a.test\tFALSE\t/\tFALSE\t-1\tname\tvalue",
        f"a.test\tFALSE\t/\tFALSE\t{'9' * 5000}\tname\tvalue",
        "a.test\tFALSE\t/\tFALSE\t٣\tname\tvalue",
        "a.test\tFALSE\tpath\tFALSE\t0\tname\tvalue",
        "a.test\tFALSE\t/\tFALSE\t0\tna=me\tvalue",
        "a.test\tFALSE\t/\tFALSE\t0\tname\tval\x01ue",
        "a.test\tFALSE\t/\tFALSE\t0\tname\tval;ue",
        "a.test\tFALSE\t/\tFALSE\t0\tname\tval\rue",
        "a.test\tFALSE\t/\tFALSE\t0\t\t",
        "\x00" * 50,
    ],
)
def test_a_bad_line_costs_no_other_cookie(file: Path, line: str) -> None:
    """CVE-2026-86412: one such cookie made the whole jar unloadable."""
    file.write_text(f"{line}\n{GOOD}\n", encoding="utf-8", newline="")

    assert ["good"] == [cookie.name for cookie in load(file)]


@pytest.mark.parametrize("content", ["", "\n\n", "# a comment\n#another\n"])
def test_a_file_without_cookies_is_an_empty_jar(file: Path, content: str) -> None:
    file.write_text(content)

    assert [] == load(file)


def test_line_ends_of_windows_and_fractions_of_a_second_are_read(file: Path) -> None:
    file.write_bytes(GOOD.replace(str(TOMORROW), f"{TOMORROW}.75").encode() + b"\r\n")

    assert [("good", "1", TOMORROW)] == [(cookie.name, cookie.value, cookie.expires) for cookie in load(file)]


def test_another_kind_of_file_is_refused_by_name(file: Path) -> None:
    file.write_text('{"cookies": []}')

    with pytest.raises(ValueError, match=r"cookies\.txt' is not a cookies\.txt: none of its 1 lines"):
        load(file)


def test_loading_runs_no_code(file: Path, tmp_path: Path) -> None:
    """CVE-2026-34993: a jar that unpickles runs what the file says."""

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "went off"),)

    file.write_bytes(pickle.dumps(Bomb()))

    with pytest.raises(ValueError, match="not a cookies"):
        RequestsCookieJar().load(file)
    assert not (tmp_path / "went off").exists()


def test_a_file_that_is_not_there_is_an_os_error(file: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RequestsCookieJar().load(file)
    with pytest.raises(FileNotFoundError):
        RequestsCookieJar().save(file / "below" / "nothing")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("mode", [None, 0o644, 0o666])
def test_only_the_owner_can_read_what_is_saved(file: Path, mode: int | None) -> None:
    if mode is not None:
        file.touch()
        file.chmod(mode)

    save(file, [Cookie("a", "1")])

    assert 0o600 == stat.S_IMODE(file.stat().st_mode)


def test_a_failed_save_leaves_the_old_file_and_nothing_else(file: Path) -> None:
    save(file, [Cookie("a", "1")])
    before = file.read_bytes()

    class Full(Cookie):
        __slots__ = ()

        def is_expired(self, now: float | None = None) -> NoReturn:
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        save(file, [Full("b", "2")])
    assert before == file.read_bytes()
    assert [file] == list(file.parent.iterdir())


def test_a_rename_that_fails_leaves_nothing_behind(file: Path) -> None:
    file.mkdir()

    with pytest.raises(OSError):
        save(file, [Cookie("a", "1")])
    assert [file] == list(file.parent.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_a_symbolic_link_is_replaced_and_not_followed(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    file.symlink_to(other)

    save(file, [Cookie("a", "1")])

    assert "mine" == other.read_text()
    assert not file.is_symlink()


TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters=";\x7f"), max_size=20)


@given(
    st.builds(
        Cookie,
        TEXT.map(lambda text: text.replace("=", "") or "n"),
        TEXT,
        domain=st.sampled_from(["", "a.test", "b.a.test", "127.0.0.1", "::1"]),
        path=TEXT.map(lambda text: f"/{text}"),
        secure=st.booleans(),
        expires=st.none() | st.integers(TOMORROW, 10**12),
        host_only=st.just(True),
        http_only=st.booleans(),
    )
)
def test_every_cookie_survives_the_file(tmp_path_factory: pytest.TempPathFactory, cookie: Cookie) -> None:
    file = tmp_path_factory.getbasetemp() / "any cookies.txt"
    save(file, [cookie])

    assert [cookie] == load(file)
