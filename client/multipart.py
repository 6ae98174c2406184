"""multipart/form-data: form fields and files in one body, streamed from where they lie.

The law of the room: a file is never read into memory; its length is known before, or the body goes out
chunked; no name, file name or header of a part can end its line.  RFC 7578; names are escaped as the WHATWG
HTML standard says ("multipart/form-data encoding algorithm"), which is what browsers send.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from os import urandom
from os.path import basename
from typing import TYPE_CHECKING, Any, Final, TypeVar

from client.body import wire_body
from client.exceptions import InvalidBody, InvalidHeader, UnrewindableBodyError
from client.file_body import FileBody
from client.headers import encode_field, encode_fields
from client.parameters import parameters
from client.percent import form_fields

if TYPE_CHECKING:
    from client.transport.file_span import FileSpan

__all__ = ["MultipartBody", "encode_multipart"]

# RFC 2046 section 5.1.1:  boundary = 0*69<bchars> bcharsnospace.  Narrower: what needs no quotes.
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'+_\-.]{1,70}")


_Piece = TypeVar("_Piece")


class MultipartBody:
    """A multipart body that is sent piece by piece.

    Args:
        parts: (head, content) pairs: the part's fields up to and including the blank line, and its content.
        boundary: What separates the parts; must occur in none of them.

    Attributes:
        boundary: As given.
        length: Bytes in all; None if the length of a part is not known.
        replayable: True if every part can be sent again.
    """

    __slots__ = ("_parts", "_used", "boundary", "length", "replayable")

    def __init__(self, parts: list[tuple[bytes, bytes | FileBody]], boundary: str) -> None:
        self._parts = parts
        self._used = False
        self.boundary: str = boundary
        framing = len(boundary) + 4  # "--" boundary CRLF, and for the closing line "--" boundary "--" CRLF
        length: int | None = framing + 2
        for head, content in parts:
            size = len(content) if isinstance(content, bytes) else content.length
            length = None if length is None or size is None else length + framing + len(head) + size + 2
        self.length: int | None = length
        self.replayable: bool = all(isinstance(content, bytes) or content.replayable for _, content in parts)

    def chunks(self) -> Iterator[bytes]:
        """Yield the body from its start.

        Raises:
            UnrewindableBodyError: A part was used up before.
            InvalidBody: A file turned out shorter or longer than it was.
        """
        self._start()
        return self._pieces(FileBody.chunks)

    def spans(self) -> Iterator[bytes | FileSpan]:
        """As `chunks`, but of each file as `FileBody.spans`."""
        self._start()
        return self._pieces(FileBody.spans)

    def _start(self) -> None:
        if self._used and not self.replayable:
            # Before anything is sent; the part itself would only say so in the middle of the body.
            raise UnrewindableBodyError("files= holds a file that cannot be read a second time")
        self._used = True

    def read(self) -> bytes:
        """Return the whole body: for whoever signs it, and for a test that looks at it.

        Raises:
            UnrewindableBodyError, InvalidBody: As `chunks`.
        """
        return b"".join(self.chunks())

    def _pieces(self, content_of: Callable[[FileBody], Iterator[_Piece]]) -> Iterator[bytes | _Piece]:
        delimiter = b"--%b\r\n" % self.boundary.encode()
        pending: list[bytes] = []  # what is in memory leaves together
        for head, content in self._parts:
            pending += (delimiter, head)
            if isinstance(content, bytes):
                pending += (content, b"\r\n")
            else:
                yield b"".join(pending)
                yield from content_of(content)
                pending = [b"\r\n"]
        yield b"".join((*pending, b"--%b--\r\n" % self.boundary.encode()))


def encode_multipart(
    data: Any, files: Any, content_type: str | None = None
) -> tuple[bytes | MultipartBody, bytes]:
    """Return the body for form fields and files, and its Content-Type.

    Args:
        data: The other fields: a mapping or pairs as for a form, sent first; None for none.
        files: A mapping or list of pairs of field name to: str, bytes or binary file; or a tuple (filename,
            content), (filename, content, content type), (filename, content, content type, header mapping). A
            filename of None makes a plain field; without a tuple it is the base name of the file, or else the
            field's name. A content of None is left out.
        content_type: The caller's own Content-Type; its boundary is used.

    Returns:
        (body, content type): bytes if all parts are in memory, else a `MultipartBody`.

    Raises:
        InvalidBody: An argument of another shape, or *data* is a str or a stream, which has no fields.
        InvalidHeader: A header of a part holds CR, LF, NUL or another control character; a name or filename
            holds NUL; *content_type* has no usable boundary.
    """
    if isinstance(data, str | bytes | bytearray) and not data:
        data = None
    if data is not None and not isinstance(data, (Mapping, list, tuple)):
        raise InvalidBody(f"data= must be a dict or pairs where files= is given, not {type(data).__name__}")
    parts: list[tuple[bytes, bytes | FileBody]] = []
    for name, value in form_fields(data or {}, "data", InvalidBody):
        text = value if isinstance(value, str | bytes | bytearray | memoryview) else str(value)
        parts.append((_part_head(_text(name, "data"), None, None, None), _content(text, "data")))
    for name, entry in _named_files(files):
        filename, value, part_type, headers = _file_entry(name, entry)
        if value is not None:
            head = _part_head(_text(name, "files"), filename, part_type, headers)
            parts.append((head, _content(value, "files")))
    body = MultipartBody(parts, _boundary(content_type))
    made_type = f"multipart/form-data; boundary={body.boundary}".encode()
    if all(isinstance(content, bytes) for _, content in parts):
        return b"".join(body.chunks()), made_type
    return body, made_type


def _named_files(files: Any) -> Iterable[tuple[Any, Any]]:
    pairs = files.items() if isinstance(files, Mapping) else files
    if isinstance(pairs, str | bytes) or not hasattr(pairs, "__iter__") or hasattr(pairs, "read"):
        raise InvalidBody(f"files= must be a dict or list of pairs, not {type(files).__name__}")
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InvalidBody(f"files= must hold (name, file) pairs; it holds a {type(pair).__name__}")
        yield pair[0], pair[1]


def _file_entry(name: Any, entry: Any) -> tuple[str | None, Any, Any, Any]:
    """Return (filename, content, content type, headers) of one of the documented forms."""
    if not isinstance(entry, tuple | list):
        return _guess_filename(entry) or _text(name, "files"), entry, None, None
    if not 2 <= len(entry) <= 4:
        raise InvalidBody(
            f"files= has a tuple of {len(entry)} for {name!r}; "
            "known are (filename, content[, content type[, headers]])"
        )
    filename, value, part_type, headers = (*entry, None, None)[:4]
    return None if filename is None else _text(filename, "files"), value, part_type, headers


def _guess_filename(file: Any) -> str | None:
    name = getattr(file, "name", None)
    if isinstance(name, bytes):
        name = name.decode("utf-8", "replace")
    if not isinstance(name, str) or (name[:1] == "<" and name[-1:] == ">"):  # "<stdin>", "<fdopen>"
        return None
    return basename(name) or None  # noqa: PTH119  # pathlib is slow to import


def _part_head(name: str, filename: str | None, content_type: Any, headers: Any) -> bytes:
    disposition = f'form-data; name="{_escape(name)}"'
    if filename is not None:
        disposition += f'; filename="{_escape(filename)}"'
    if headers is not None and not isinstance(headers, Mapping):
        raise InvalidBody(
            f"files= has {type(headers).__name__} as the headers of {name!r}, which must be a mapping"
        )
    fields = [(b"Content-Disposition", disposition.encode())]
    if content_type is not None:
        fields.append(encode_field("Content-Type", content_type))
    taken = {key.lower() for key, _ in fields}
    fields += (field for field in encode_fields(headers or {}) if field[0].lower() not in taken)
    return b"".join(b"%b: %b\r\n" % field for field in fields) + b"\r\n"


def _escape(text: str) -> str:
    if "\0" in text:
        raise InvalidHeader("files= has a name or filename that holds NUL")
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _text(value: Any, argument: str) -> str:
    """Return a field's name or a filename as encodable text; its content, whatever a subclass says of itself."""
    try:
        if isinstance(value, bytes):
            return value.decode()
        text = str.__str__(value) if isinstance(value, str) else str(value)
        text.encode()
    except UnicodeError:
        raise InvalidBody(f"{argument}= has a name or filename that is not encodable as UTF-8") from None
    return text


def _content(value: Any, argument: str) -> bytes | FileBody:
    if isinstance(value, str | bytes | bytearray | memoryview) or hasattr(value, "read"):
        content = wire_body(value, argument)
        if isinstance(content, bytes | FileBody):
            return content
    raise InvalidBody(f"{argument}= must hold str, bytes or binary files, not {type(value).__name__}")


def _boundary(content_type: str | None) -> str:
    if content_type is None:
        # Not from `random`: who can predict it can forge parts from within a file (CVE-2025-22150).
        return urandom(16).hex()
    found, end = parameters(content_type, len(content_type.partition(";")[0]))
    boundary = found.get("boundary", "")
    # Once and without escapes, or a server could read another one than we send.
    spelled = re.findall(r"boundary[ \t]*=\"?([^;\"]*)", content_type, re.IGNORECASE)
    if end != len(content_type) or not _BOUNDARY.fullmatch(boundary) or spelled != [boundary]:
        raise InvalidHeader(
            "Header 'Content-Type' has no usable boundary for files=; leave the header out, and it is made for you"
        )
    return boundary
