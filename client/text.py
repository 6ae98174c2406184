"""From bytes to str: which charset a body is in, and its decoding at once or piece by piece.

The law of the room: the declared charset, else a byte order mark, else UTF-8 if the bytes are UTF-8, else
Latin-1; decoding never fails.  A charset comes from the peer, so it is looked up in a closed list: looking
any name up would import modules by that name, reach codecs that are no text (``rot13``, ``zlib``) or take
quadratic time (``idna``, CVE-2022-45061), and Python remembers every name it was ever asked for.
"""

from __future__ import annotations

import codecs
import encodings
import encodings.aliases
import re
from itertools import chain
from typing import TYPE_CHECKING, Final

from client.parameters import parameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "allow_codec",
    "charset_of",
    "decode",
    "decode_pieces",
    "detect",
    "get_encoding_from_headers",
    "get_encodings_from_content",
    "text_codec",
]

#: Codecs with an alias that are not text, plus UTF-7, which hides ASCII from filters and which the WHATWG
#: Encoding Standard forbids.
_REFUSED: Final = frozenset(
    {"base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec", "utf_7"}
)

#: Text codecs of the standard library that have no alias.
_WITHOUT_ALIAS: Final = (
    "cp720",
    "cp737",
    "cp856",
    "cp874",
    "cp875",
    "cp1006",
    "koi8_t",
    "koi8_u",
    "utf_8_sig",
)

_CODECS: Final[dict[str, str]] = {
    label: codec
    for label, codec in (
        *encodings.aliases.aliases.items(),
        *((codec, codec) for codec in encodings.aliases.aliases.values()),
        *((codec, codec) for codec in _WITHOUT_ALIAS),
    )
    if codec not in _REFUSED
}

#: Names that are the standard library's, text or not: what is not in the list above is left out on purpose.
_STANDARD: Final = frozenset(encodings.aliases.aliases) | frozenset(encodings.aliases.aliases.values()) | {
    "idna", "palmos", "punycode", "raw_unicode_escape", "undefined", "unicode_escape", "oem",
}  # fmt: skip

#: The UTF-32 mark begins with the UTF-16 one, so it is asked for first.
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

#: Codecs whose byte order the mark tells -> the mark of big-endian. Without one it is little-endian (WHATWG
#: Encoding Standard; servers that leave it out do so on such machines).
_NEEDS_BYTE_ORDER: Final = {"utf-16": codecs.BOM_UTF16_BE, "utf-32": codecs.BOM_UTF32_BE}


#: Where HTML and XML say their charset. All quantifiers are bounded: the text is the peer's.
_META: Final = re.compile(r"""<meta\b[^>]{0,1000}?charset=["']?([A-Za-z0-9_.:\-]{1,40})""", re.IGNORECASE)
_XML: Final = re.compile(r"""<\?xml\b[^>]{0,1000}?encoding=["']?([A-Za-z0-9_.:\-]{1,40})""")


def charset_of(content_type: str) -> str | None:
    """Return the charset parameter of a Content-Type value, as sent; None if there is none or it is empty."""
    if "charset" not in content_type.lower():
        return None
    found, _ = parameters(content_type, max(content_type.find(";"), 0))
    return found.get("charset", "").strip("'") or None  # some servers write charset='utf-8'


def get_encoding_from_headers(headers: Mapping[str, str]) -> str | None:
    """Return the charset parameter of the Content-Type among *headers*; None if there is none.

    requests' function, but nothing is guessed from the media type.
    """
    return charset_of(headers.get("content-type") or "")


def get_encodings_from_content(content: str) -> list[str]:
    """Return the charsets that a text says it is in: of its ``<meta>`` elements, then of its XML declaration.

    Args:
        content: HTML or XML, decoded somehow; ASCII is enough to find them.

    requests' function; a `Response` does not look into its body for a charset, its user may::

        response.encoding = get_encodings_from_content(response.text)[0]
    """
    return _META.findall(content) + _XML.findall(content[:2000])


def text_codec(charset: str | None) -> str | None:
    """Return Python's name of the text codec for *charset*, or None if there is no such codec."""
    if not charset or len(charset) > 40:
        return None
    codec = _CODECS.get(encodings.normalize_encoding(charset).lower())
    try:
        return codec and codecs.lookup(codec).name
    except LookupError:  # mbcs and oem exist on Windows only
        return None


def allow_codec(charset: str | None) -> None:
    """Let *charset*, which the caller has assigned, be used if the program has registered a codec of this name.

    requests documents it. A name that a response declares never gets here.

    Raises:
        TypeError: Neither str nor None.
    """
    if charset is not None and not isinstance(charset, str):
        raise TypeError(f"an encoding must be str or None, not {type(charset).__name__}")
    key = encodings.normalize_encoding(charset or "").lower()
    if not charset or key in _CODECS or key in _STANDARD:
        return
    try:
        found = codecs.lookup(charset)
    except (LookupError, ValueError):
        return
    _CODECS[key] = found.name


def detect(content: bytes) -> str:
    """Return the codec of undeclared text.

    The one that a byte order mark says, ``"utf-8"`` if *content* decodes so, else ``"iso-8859-1"``.
    """
    if marked := _marked(content):
        return marked
    try:
        content.decode()
    except UnicodeDecodeError:
        return "iso-8859-1"
    return "utf-8"


def decode(content: bytes, charset: str | None) -> str:
    """Decode a whole body; what is invalid becomes U+FFFD, a byte order mark is dropped.

    Args:
        content: The body.
        charset: The declared charset; None or an unknown one is detected.
    """
    codec = text_codec(charset) or _marked(content)
    if codec is None:
        try:
            return content.decode()
        except UnicodeDecodeError:
            return content.decode("iso-8859-1")
    return content.decode(_with_byte_order(codec, content), "replace").removeprefix("\ufeff")


def decode_pieces(pieces: Iterable[bytes], charset: str | None) -> Iterator[str]:
    """Decode a body that arrives in pieces, wherever they were cut.

    Args:
        pieces: The body.
        charset: The declared charset; None or an unknown one means UTF-8, since waiting for the whole body to
            detect it would not be streaming. What is invalid becomes U+FFFD, a byte order mark is dropped. How many
            of them an unending escape sequence of ISO 2022 becomes is the one thing that depends on the cuts.
    """
    codec = text_codec(charset) or "utf-8"
    if codec in _NEEDS_BYTE_ORDER:
        start, pieces = b"", iter(pieces)
        while len(start) < 4 and (piece := next(pieces, None)) is not None:
            start += piece
        codec = _with_byte_order(codec, start)
        pieces = chain((start,), pieces)
    if codecs.lookup(codec).incrementaldecoder is None:  # the program's own, see `allow_codec`
        codec = "utf-8"
    decoder = codecs.getincrementaldecoder(codec)("replace")
    first = True
    for piece in pieces:
        before = decoder.getstate()
        try:
            text = decoder.decode(piece)
        except UnicodeError:
            # CPython has no room for an escape sequence of ISO 2022 that does not end, and says so by this.
            decoder.setstate(before)
            text = decoder.decode(piece, final=True)
        if text:
            yield from _without_mark(text, first=first)
            first = False
    if text := decoder.decode(b"", final=True):
        yield from _without_mark(text, first=first)


def _marked(content: bytes) -> str | None:
    return next((codec for mark, codec in _BYTE_ORDER_MARKS if content.startswith(mark)), None)


def _with_byte_order(codec: str, start: bytes) -> str:
    """Say which byte order is meant: Python's own rule differs between machines, and fails in mid-stream."""
    if codec not in _NEEDS_BYTE_ORDER:
        return codec
    return f"{codec}-be" if start.startswith(_NEEDS_BYTE_ORDER[codec]) else f"{codec}-le"


def _without_mark(text: str, *, first: bool) -> tuple[str, ...]:
    text = text.removeprefix("\ufeff") if first else text
    return (text,) if text else ()
