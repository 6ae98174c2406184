"""What must hold for a form, whatever its names, file names, types and contents are.

1. It is an `InvalidRequest`, or a server that is no work of ours (Werkzeug's parser, `urllib.parse.parse_qsl`) reads
   from it the very fields and contents that went in, and no others.
2. No name, file name or header of a part ends its line.

An input is one byte that picks the form of the names, and then name, file name, type, header and content, with lines
``~`` in between.
"""

from __future__ import annotations

import urllib.parse
from typing import Any, Final, NamedTuple

from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder

from client.exceptions import InvalidRequest
from client.multipart import encode_multipart
from client.percent import form_urlencode
from tests.fuzz.inputs import check_time_is_linear, parts, text

__all__ = ["check_multipart"]

#: Always the same: Werkzeug compiles an expression for each, and the content may come near this one.
BOUNDARY: Final = "0f7c"


class Part(NamedTuple):
    """One part as it arrives."""

    disposition: str
    content: bytes


def check_multipart(data: bytes) -> None:
    """Check every invariant for *data*."""
    picked = data[0] if data else 0
    name, file_name, kind, header, content = parts(data[1:], 5)
    form: Any = bytes if picked & 1 else text
    # Werkzeug reads heads as UTF-8; what else may stand in one is another matter.
    kind, header = (part if part.isascii() else b"" for part in (kind, header))
    _check_parts(form(name), form(file_name), None if picked & 2 else form(kind), form(header), content)
    _check_urlencoded(text(name), text(content))
    check_time_is_linear(lambda long: _encoded([(long, b"x")], [(long, (long, b"x"))]), name)


def _encoded(data: Any, files: Any) -> bytes | None:
    try:
        body, _ = encode_multipart(data, files, f"multipart/form-data; boundary={BOUNDARY}")
    except InvalidRequest:
        return None
    assert isinstance(body, bytes)
    return body


def _check_parts(name: Any, file_name: Any, kind: Any, header: Any, content: bytes) -> None:
    if f"--{BOUNDARY}".encode() in content:
        return  # whoever chooses his boundary answers for it
    extra = {"X-Part": header} if header else None
    files = [(name, (file_name, content, kind, extra)), ("end", ("end", b"end", None, extra))]
    for data in ([(name, content)], []):
        body = _encoded(data, files)
        if body is None:
            continue
        field = Part(f'form-data; name="{_escaped(name)}"', content)
        file = Part(f'form-data; name="{_escaped(name)}"; filename="{_escaped(file_name)}"', content)
        end = Part('form-data; name="end"; filename="end"', b"end")
        assert _read(body) == [*([field] if data else []), file, end]


def _read(body: bytes) -> list[Part]:
    """Return what Werkzeug reads; it must understand the names too where no backslash leaves room for opinions."""
    decoder = MultipartDecoder(BOUNDARY.encode())
    decoder.receive_data(body)
    decoder.receive_data(None)
    read: list[Part] = []
    while not isinstance(event := decoder.next_event(), Epilogue):
        if isinstance(event, Field | File):
            disposition = event.headers["Content-Disposition"]
            read.append(Part(disposition, b""))
            if "\\" not in disposition:
                assert disposition.replace("%22", '"').startswith(f'form-data; name="{event.name}"')
        elif isinstance(event, Data):
            read[-1] = read[-1]._replace(content=read[-1].content + event.data)
    assert event.data == b""
    return read


def _escaped(given: str | bytes) -> str:
    """Return *given* as the WHATWG's algorithm writes it."""
    given = given.decode() if isinstance(given, bytes) else given
    return given.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _check_urlencoded(name: str, value: str) -> None:
    try:
        encoded = form_urlencode([(name, value), ("end", "1")], "data")
    except InvalidRequest:
        return
    assert encoded.isascii()
    assert encoded.isprintable()
    assert " " not in encoded
    assert urllib.parse.parse_qsl(encoded, keep_blank_values=True) == [(name, value), ("end", "1")]
