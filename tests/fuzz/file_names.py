"""What must hold for the name of a file that a server suggests, in Content-Disposition or by its URL.

One plain component, on any system: no separator, drive, stream, device or direction character, not hidden, not too
long, and the same when it is cleaned again.

An input is the header's value and a URL's path, with a line ``~`` in between.
"""

from __future__ import annotations

import ntpath
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

from client.download_names import clean_name, suggested_name
from client.exceptions import InvalidRequest
from client.url import URL, parse_url
from tests.fuzz.inputs import check_time_is_linear, parts, text

__all__ = ["check_file_name"]

ROOT = parse_url("http://h.test/")


def check_file_name(data: bytes) -> None:
    """Check every invariant for *data*."""
    header, path = parts(data, 2)
    disposition = header.decode("latin-1")
    _check_name(suggested_name(disposition, ROOT))
    _check_name(suggested_name(None, _at(text(path))))
    for name in (text(header), disposition):
        if cleaned := clean_name(name):
            _check_name(cleaned)
    check_time_is_linear(lambda long: suggested_name(long.decode("latin-1"), ROOT), header)
    check_time_is_linear(lambda long: clean_name(text(long)), path)


def _at(path: str) -> URL:
    try:
        return parse_url(f"http://h.test/{path}")
    except InvalidRequest:
        return ROOT


def _check_name(name: str) -> None:
    assert name, "no name at all"
    assert name == PurePosixPath(name).name, f"{name!r} is no single component"
    windows = PureWindowsPath(name)
    assert name == windows.name, f"{name!r} is no single component for Windows"
    assert not _is_device(windows), f"{name!r} is a device of Windows"
    assert not windows.drive
    assert not any(character in '/\\:*?"<>|' for character in name)
    assert not any(unicodedata.category(character)[0] == "C" for character in name), (
        f"{name!r} hides something"
    )
    assert name[0] not in ". ", f"{name!r} is hidden"
    assert name[-1] not in ". ", f"Windows cuts {name!r}"
    assert len(name.encode()) <= 255
    assert clean_name(name) == name, f"{name!r} becomes {clean_name(name)!r} the second time"


def _is_device(path: PureWindowsPath) -> bool:
    """Say whether Windows takes *path* for a device; from Python 3.13 on another function knows."""
    is_reserved = getattr(ntpath, "isreserved", None)
    return bool(path.is_reserved() if is_reserved is None else is_reserved(path))
