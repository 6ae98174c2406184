"""Cookies in a ``cookies.txt``, the format of Netscape, curl and wget.

One line a cookie, seven fields separated by tabs: domain, whether sub-domains get it too, path, Secure,
    expiry
(seconds since 1970, 0 for the end of the session), name, value.  ``#HttpOnly_`` before the domain marks what
scripts must not see; any other line that begins with ``#`` is a comment.  It is text, never a pickle: loading
a file runs no code (CVE-2026-34993).

This is the jar's only room with I/O, and the only one that asks the clock.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Final

from client.exceptions import InvalidHeader
from client.set_cookie import Cookie, has_subdomains

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

__all__ = ["load", "save"]

_HEADER: Final = "# Netscape HTTP Cookie File\n# Kept by threadwire. Do not edit while it is in use.\n\n"
_HTTP_ONLY: Final = "#HttpOnly_"
# Some browsers' exports have fractions; the standard library writes nothing for the end of the session.
_EXPIRY: Final = re.compile(r"(?:[0-9]{1,15}(?:\.[0-9]*)?)?")


def save(path: str | PathLike[str], cookies: Iterable[Cookie]) -> None:
    """Write *cookies* to the file *path*, session cookies included, expired ones not.

    The file appears whole or not at all, and only its owner can read it (mode 0600). The format has no field for
    SameSite.

    Raises:
        OSError: It cannot be written; an earlier file is untouched.
    """
    now = time()
    text = _HEADER + "".join(_line(cookie) for cookie in cookies if not cookie.is_expired(now))
    target = Path(path)
    # A name that nobody can have made before us, mode 0600, and in the folder: a rename is atomic only there.
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(text.encode("latin-1"))
            file.flush()
            os.fsync(file.fileno())
            file.close()  # Windows renames no open file
            temporary.replace(target)
        except BaseException:
            file.close()
            temporary.unlink()
            raise


def load(path: str | PathLike[str]) -> list[Cookie]:
    """Return the cookies in the file *path* that have not expired.

    A line that is no cookie is left out, so that one bad line costs nobody his session (CVE-2026-86412).

    Raises:
        OSError: The file cannot be read.
        ValueError: It has lines, and none of them is a cookie: this is another kind of file.
    """
    # Not splitlines(): a value may hold octets that Unicode counts as line ends.
    lines = Path(path).read_bytes().decode("latin-1").split("\n")
    lines = [line.removesuffix("\r") for line in lines]
    lines = [line for line in lines if line and (line[0] != "#" or line.startswith(_HTTP_ONLY))]
    cookies = [cookie for line in lines if (cookie := _cookie(line)) is not None]
    if lines and not cookies:
        raise ValueError(
            f"{os.fspath(path)!r} is not a cookies.txt: none of its {len(lines)} lines is a cookie"
        )
    now = time()
    return [cookie for cookie in cookies if not cookie.is_expired(now)]


def _line(cookie: Cookie) -> str:
    prefix = _HTTP_ONLY if cookie.http_only else ""
    dot = "." if cookie.domain_specified else ""  # other readers tell by it, we by the second field
    fields = (
        f"{prefix}{dot}{cookie.domain}",
        _flag(cookie.domain_specified),
        cookie.path,
        _flag(cookie.secure),
        str(cookie.expires or 0),
        cookie.name,
        cookie.value,
    )
    return "\t".join(fields) + "\n"


def _flag(value: bool) -> str:
    return "TRUE" if value else "FALSE"


def _cookie(line: str) -> Cookie | None:
    fields = line.removeprefix(_HTTP_ONLY).split("\t")
    if len(fields) != 7:
        return None
    domain, subdomains, path, secure, expiry, name, value = fields
    if not path.startswith("/") or not _EXPIRY.fullmatch(expiry):
        return None
    try:
        return Cookie(
            name,
            value,
            domain=domain,
            path=path,
            secure=secure.upper() == "TRUE",
            expires=int(float(expiry or 0)) or None,
            host_only=subdomains.upper() != "TRUE" or not has_subdomains(domain),
            http_only=line.startswith(_HTTP_ONLY),
        )
    except InvalidHeader:
        return None
