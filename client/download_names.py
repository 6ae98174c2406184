"""Names of files that a server suggests, made harmless; asked for only where the caller names a folder.

The law of the room: whatever comes in, one plain component comes out: no separator, no control or direction character,
no leading dot, no device of Windows, at most 255 bytes.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from client.url import URL

__all__ = ["clean_name", "suggested_name"]

#: Where neither the header nor the URL has a usable name.
FALLBACK: Final = "download"
LONGEST: Final = 255  # bytes, on nearly every file system
LONGEST_SUFFIX: Final = 32  # bytes that are kept where a name is cut

#: Any parameter, RFC 6266 section 4.1: what stands inside another one's quotes is none. Possessive, so that no value
#: makes it go back.
_PARAMETER: Final = re.compile(r';\s*+([^\s;="]++)\s*+=\s*+("(?:[^"\\]|\\.)*+"|[^;"\s]++)')
_EXTENDED: Final = re.compile(r"(utf-8|iso-8859-1)'[^']*+'(.*)", re.IGNORECASE | re.DOTALL)

#: Separators of any system; ``:`` also begins a stream of NTFS.
_SEPARATOR: Final = re.compile(r"[/\\]")
_SPECIAL: Final = re.compile(r'[:*?"<>|]')
_DEVICE: Final = re.compile(
    r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])\s*+(?=\.|$)", re.IGNORECASE
)


def suggested_name(disposition: str | None, url: URL) -> str:
    """Return the name for a file: of Content-Disposition, else of the URL's path, else ``download``.

    Args:
        disposition: Value of the header, or None.
        url: That answered, after redirects.
    """
    for name in (_of_disposition(disposition or ""), unquote(url.path)):
        if cleaned := clean_name(name):
            return cleaned
    return FALLBACK


def clean_name(name: str) -> str:
    """Return the last component of *name* without what could harm; ``""`` if nothing is left."""
    # "Other" in all its kinds: controls, direction overrides, surrogates, code points without meaning.
    name = "".join(character for character in name if unicodedata.category(character)[0] != "C")
    name = unicodedata.normalize("NFC", name)  # now that nothing keeps a letter and its accent apart
    name = _SPECIAL.sub("_", _SEPARATOR.split(name)[-1])
    name = name.lstrip(". ").rstrip(". ")
    if _DEVICE.match(name):
        name = f"_{name}"
    return _shortened(name)


def _of_disposition(value: str) -> str:
    """Return the name in Content-Disposition; the extended form, which can say more, is preferred (RFC 6266)."""
    names: dict[str, str] = {key.lower(): text for key, text in _PARAMETER.findall(value[:8192])}
    extended = _EXTENDED.fullmatch(names.get("filename*", "").strip('"'))
    if extended is not None:
        return unquote(str(extended[2]), "latin-1" if extended[1].lower() != "utf-8" else "utf-8")
    name = names.get("filename", "")
    if name.startswith('"'):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    try:
        return name.encode("latin-1").decode("utf-8")  # what most servers send
    except UnicodeError:
        return name


def _shortened(name: str) -> str:
    """Cut *name* to `LONGEST` bytes of UTF-8, in its middle, so that it keeps its suffix."""
    coded = name.encode()
    if len(coded) <= LONGEST:
        return name
    stem, dot, suffix = name.rpartition(".")
    end = f"{dot}{suffix}".encode() if len(suffix.encode()) < LONGEST_SUFFIX and stem else b""
    return (coded[: LONGEST - len(end)].decode(errors="ignore") + end.decode()).rstrip(". ")
