"""Passwords from ``~/.netrc``.

The file is read once, by `Netrc.from_environment`; the rest is pure.  A caller's own credentials always win:
an entry is used only for a request without an Authorization field, and only for the host and, if the URL
names one, the user it was written for.  Look-ups go by the host that the URL parser found, never by the text
of the URL (CVE-2024-47081).

Not the standard library's module: of several users at one host it keeps the last, and its errors quote the
file.
"""

from __future__ import annotations

import re
import stat
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

from client.auth import basic_authorization
from client.exceptions import RequestsWarning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from client.request import PreparedRequest
    from client.url import URL

__all__ = ["Netrc"]

#: Bytes of a file that are read at most; it holds a line or two for each host.
MAX_FILE: Final = 1 << 20

# A token is a run of non-blanks, or stands in quotes; a backslash takes the next character as it is (as in
# curl and the standard library). Possessive: linear also where a quote is never closed.
_TOKEN: Final = re.compile(
    r'[ \t\r\n]*+(?:"((?:[^"\\]++|\\.)*+)"|((?!")(?:[^ \t\r\n\\]++|\\.)++))', re.DOTALL
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_REST_OF_LINE: Final = re.compile(r"[^\n]*+\n?")
_MACRO: Final = re.compile(r".*?(?:\n[ \t\r]*\n|\Z)", re.DOTALL)  # up to the next empty line
_VALUES: Final = frozenset({"login", "user", "account", "password"})


class _Entry:
    """What stands behind one ``machine`` or, with host None, ``default``."""

    __slots__ = ("host", "login", "password")

    def __init__(self) -> None:
        self.host: str | None = None
        self.login: str | None = None
        self.password: str | None = None


class Netrc:
    """The entries of one file, in order.

    Args:
        text: Content of the file.

    Raises:
        ValueError: It breaks the format; the message names a line and shows nothing of it.
    """

    __slots__ = ("_entries",)

    def __init__(self, text: str = "") -> None:
        """Read *text*."""
        self._entries = list(_parse(text))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Netrc:
        """Read the file that *environ* leads to: ``NETRC``, else ``~/.netrc``, else ``~/_netrc``.

        No file is the same as an empty one. One that cannot be read or breaks the format is too, with a
        `RequestsWarning` that names the file and the line and shows none of the content.
        """
        named = environ.get("NETRC")
        candidates = [named] if named else ["~/.netrc", "~/_netrc"]
        for candidate in candidates:
            path = Path(candidate)
            try:
                path = path.expanduser()
                status = path.stat()
            except (OSError, RuntimeError):  # RuntimeError: there is no home
                continue
            try:
                if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE:
                    raise ValueError(f"it is no regular file of at most {MAX_FILE} bytes")
                return cls(_decoded(path.read_bytes()))
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                warnings.warn(f"{path} is not used: {reason}", RequestsWarning, stacklevel=2)
                break
        return cls()

    def credentials_for(self, url: URL) -> tuple[str, str] | None:
        """Return (user, password) for *url*, None if the file has none.

        The first entry of the host counts that has a password and, if the URL names a user, this user. The
        ``default`` entry counts only for hosts that have none of their own. A URL with a password needs none.
        """
        if url.password is not None or url.scheme not in {"http", "https"}:
            return None
        host = _canonical(url.host)
        entries = [entry for entry in self._entries if entry.host == host]
        for entry in entries or (entry for entry in self._entries if entry.host is None):
            if entry.login is None or entry.password is None:
                continue
            if url.username is None or url.username == entry.login:
                return entry.login, entry.password
        return None

    def authorize(self, request: PreparedRequest, url: URL) -> None:
        """Set the Authorization of *request* for *url*, unless it has one or the file has no entry."""
        if "Authorization" not in request.headers and (credentials := self.credentials_for(url)) is not None:
            request.headers["Authorization"] = basic_authorization(*credentials)

    def __bool__(self) -> bool:
        return bool(self._entries)

    def __repr__(self) -> str:
        """Show how many entries there are, and nothing of them."""
        return f"<Netrc of {len(self._entries)} entries>"


def _parse(text: str) -> Iterator[_Entry]:
    """Yield the entries of *text*; the grammar is that of ftp(1), with quotes."""
    entry: _Entry | None = None
    position = 0
    while found := _TOKEN.match(text, position):
        position = found.end()
        word = found[1] if found[2] is None else found[2]
        if word.startswith("#"):
            position = _REST_OF_LINE.match(text, position).end()  # type: ignore[union-attr]  # matches ""
        elif word == "macdef":
            position = _MACRO.match(text, position).end()  # type: ignore[union-attr]  # matches ""
        elif word in {"default", "machine"}:
            if entry is not None:
                yield entry
            entry = _Entry()
            if word == "machine":
                host, position = _value(text, position, word)
                entry.host = _canonical(host)
        elif entry is not None and word in _VALUES:
            value, position = _value(text, position, word)
            if word == "password":
                entry.password = value
            elif word != "account":
                entry.login = value
        else:
            raise _malformed(text, position, "a word that is none of machine, default, login, password, ...")
    if text[position:].strip(" \t\r\n"):
        raise _malformed(text, position, "a quote that is not closed, or a stray backslash")
    if entry is not None:
        yield entry


def _value(text: str, position: int, word: str) -> tuple[str, int]:
    """Return what stands after *word*, unquoted, and where it ends."""
    found = _TOKEN.match(text, position)
    if found is None:
        raise _malformed(text, position, f"a value is missing after {word!r}")
    return _ESCAPE.sub(r"\1", found[1] if found[2] is None else found[2]), found.end()


def _malformed(text: str, position: int, seen: str) -> ValueError:
    return ValueError(f"line {text.count(chr(10), 0, position) + 1}: {seen}")


def _canonical(host: str) -> str:
    return host.removesuffix(".").lower()


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
