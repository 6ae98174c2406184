"""Passwords from a netrc file: `client.netrc`."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.exceptions import RequestsWarning
from client.netrc import Netrc
from client.request import Request
from client.url import parse_url

FILE = """
# comment with machine and password in it
machine a.test login alice password in-wonderland
machine a.test login bob password builder

machine B.Test.
    user bert
    account ernie
    password "with \\"quotes\\" and blanks"

machine loginonly.test login nobody
macdef init
    machine trap.test login x password y

machine after-macro.test login m password #hash#
default login anonymous password guest
"""


def credentials(url: str, text: str = FILE) -> tuple[str, str] | None:
    return Netrc(text).credentials_for(parse_url(url))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a.test/", ("alice", "in-wonderland")),
        ("https://a.test:8443/x", ("alice", "in-wonderland")),
        ("http://A.TEST./", ("alice", "in-wonderland")),
        ("http://bob@a.test/", ("bob", "builder")),
        ("http://carol@a.test/", None),  # CVE-2024-11053 and its like: never another user's password
        ("http://alice:own@a.test/", None),  # the URL's own password counts
        ("http://b.test/", ("bert", 'with "quotes" and blanks')),
        ("http://loginonly.test/", None),  # and never default's, which is for hosts without an entry
        ("http://after-macro.test/", ("m", "#hash#")),
        ("http://trap.test/", ("anonymous", "guest")),
        ("http://anonymous@elsewhere.test/", ("anonymous", "guest")),
        ("http://other@elsewhere.test/", None),
        ("http://sub.a.test/", ("anonymous", "guest")),
        ("http+unix://%2Frun%2Fx.sock/", None),
    ],
)
def test_host_and_user_decide_whose_password_goes(url: str, expected: tuple[str, str] | None) -> None:
    assert expected == credentials(url)


def test_the_host_is_that_of_the_parsed_url() -> None:
    """CVE-2024-47081: requests cut the text at the first colon and found a.test here."""
    assert credentials("http://a.test:@b.test/") is None
    assert ("u", "p") == credentials("http://b.test/?@a.test", "machine b.test login u password p")
    assert credentials("http://b.test/#@a.test", "machine a.test login u password p") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("machine a.test login u password p", ("u", "p")),
        ("machine a.test\r\nlogin u\r\npassword p\r\n", ("u", "p")),
        ("machine\ta.test\n\n\nlogin\n u password\tp", ("u", "p")),
        ('machine "a.test" login "u v" password "p\\\\q"', ("u v", "p\\q")),
        ("machine a.test login u password p\\ q\\\\", ("u", "p q\\")),
        ('machine a.test login u password ""', ("u", "")),
        ("machine a.test password p login u", ("u", "p")),
        ("machine a.test login u password p # mine\n", ("u", "p")),
        ("#machine a.test login x password y\nmachine a.test login u password p", ("u", "p")),
        ("machine a.test login ü password ö", ("ü", "ö")),
        ("default login u password p", ("u", "p")),
        ("macdef x\nmachine a.test login x password y\n\nmachine a.test login u password p", ("u", "p")),
        ("macdef x\nmachine a.test login x password y", None),
        ("machine a.test:80 login u password p", None),
        ("machine http://a.test login u password p", None),
        ("", None),
        ("machine a.test", None),
        ("machine a.test password p", None),
    ],
)
def test_the_grammar_of_ftp(text: str, expected: tuple[str, str] | None) -> None:
    assert expected == credentials("http://a.test/", text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("machine", 1),
        ("machine a.test login", 1),
        ("machine a.test\nlogin u\npassword", 3),
        ("machine a.test\nsecret u", 2),
        ("login secret", 1),
        ('machine a.test\nlogin u password "secret', 2),
        ("machine a.test login u password secret\\", 1),
        ('{"secret": 1}', 1),
    ],
)
def test_what_breaks_the_grammar_is_named_by_line_and_not_quoted(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=f"^line {line}: ") as caught:
        Netrc(text)

    assert "secret" not in str(caught.value)


def test_a_repr_shows_a_count() -> None:
    assert "<Netrc of 6 entries>" == repr(Netrc(FILE))


# -- which file -------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def entry(user: str) -> str:
    return f"machine a.test login {user} password p"


def user_of(netrc: Netrc) -> str | None:
    found = netrc.credentials_for(parse_url("http://a.test/"))
    return found and found[0]


def test_the_environment_names_the_file(home: Path) -> None:
    (home / ".netrc").write_text(entry("home"))
    (home / "named").write_text(entry("named"))

    assert "home" == user_of(Netrc.from_environment({}))
    assert "home" == user_of(Netrc.from_environment({"NETRC": ""}))
    assert "named" == user_of(Netrc.from_environment({"NETRC": str(home / "named")}))
    assert "named" == user_of(Netrc.from_environment({"NETRC": "~/named"}))


def test_windows_has_another_name_for_it(home: Path) -> None:
    (home / "_netrc").write_text(entry("windows"))
    assert "windows" == user_of(Netrc.from_environment({}))

    (home / ".netrc").write_text(entry("posix"))
    assert "posix" == user_of(Netrc.from_environment({}))


def test_no_file_is_an_empty_one(home: Path) -> None:
    assert not Netrc.from_environment({})
    assert not Netrc.from_environment({"NETRC": str(home / "absent")})


def test_a_named_file_that_is_absent_is_not_replaced_by_the_home_directorys(home: Path) -> None:
    (home / ".netrc").write_text(entry("home"))

    assert user_of(Netrc.from_environment({"NETRC": str(home / "absent")})) is None


def test_a_malformed_file_is_a_warning_without_content(home: Path) -> None:
    (home / ".netrc").write_text("machine a.test login u password p\nhunter2")

    with pytest.warns(RequestsWarning, match=r"\.netrc is not used: line 2: ") as caught:
        netrc = Netrc.from_environment({})

    assert not netrc
    assert all("hunter2" not in str(warning.message) for warning in caught)


def test_octets_that_are_not_utf_8_are_latin_1(home: Path) -> None:
    (home / ".netrc").write_bytes(entry("jürgen").encode("latin-1"))
    assert "jürgen" == user_of(Netrc.from_environment({}))

    (home / ".netrc").write_bytes(b"\xef\xbb\xbf" + entry("jürgen").encode())  # an editor's byte order mark
    assert "jürgen" == user_of(Netrc.from_environment({}))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_folder_is_refused_without_waiting(home: Path) -> None:
    os.mkfifo(home / "pipe")

    for path in (home / "pipe", home):
        with pytest.warns(RequestsWarning, match="no regular file"):
            assert not Netrc.from_environment({"NETRC": str(path)})


def test_a_file_that_is_no_netrc_by_its_size_is_refused(home: Path) -> None:
    (home / ".netrc").write_bytes(b"#" * (1 << 20) + b"\n")

    with pytest.warns(RequestsWarning, match="at most 1048576 bytes"):
        assert not Netrc.from_environment({})


def test_a_file_that_may_not_be_read_is_a_warning(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:  # not by its mode: root, as whom containers run, reads everything
        raise PermissionError(13, "Permission denied", str(path))

    (home / ".netrc").write_text(entry("u"))
    monkeypatch.setattr(Path, "read_bytes", refuse)

    with pytest.warns(RequestsWarning, match="Permission denied"):
        assert not Netrc.from_environment({})


# -- the caller comes first -------------------------------------------------------------------------------


def test_a_request_gets_the_password_of_its_host() -> None:
    request = Request("GET", "http://a.test/").prepare()
    Netrc(entry("u")).authorize(request, parse_url("http://a.test/"))

    assert "Basic dTpw" == request.headers["Authorization"]


@pytest.mark.parametrize("name", ["Authorization", "aUTHORIZATION"])
def test_an_authorization_of_the_callers_is_never_replaced(name: str) -> None:
    """requests does, and breaks every bearer token of whoever has a netrc (psf/requests 3929)."""
    request = Request("GET", "http://a.test/", headers={name: "Bearer mine"}).prepare()
    Netrc(entry("u")).authorize(request, parse_url("http://a.test/"))

    assert "Bearer mine" == request.headers["Authorization"]


def test_a_stranger_gets_nothing() -> None:
    request = Request("GET", "http://b.test/").prepare()
    Netrc(entry("u")).authorize(request, parse_url("http://b.test/"))

    assert "Authorization" not in request.headers


# -- any text ---------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    ["machine", "default", "login", "password", "macdef", "a.test", '"', "\\", "#", " ", "\n"]
)


@given(st.text(max_size=80) | st.lists(WORDS, max_size=20).map(" ".join))
def test_no_text_raises_anything_but_a_value_error(text: str) -> None:
    try:
        netrc = Netrc(text)
    except ValueError:
        return
    netrc.credentials_for(parse_url("http://a.test/"))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_every_password_can_be_written_in_quotes(password: str) -> None:
    quoted = '"' + password.replace("\\", "\\\\").replace('"', '\\"') + '"'

    assert ("u", password) == credentials(
        "http://a.test/", f"machine a.test login u password {quoted}\ndefault"
    )


@pytest.mark.parametrize(
    "piece", ['"', "\\", " ", "\n", "a", "#", "# \n", "macdef \n", 'login "', "default "]
)
def test_a_long_file_takes_linear_time(piece: str) -> None:
    started = process_time()
    with suppress(ValueError):
        Netrc("machine a.test login " + piece * (1_048_576 // len(piece)))

    assert process_time() - started < 2
