"""Header fields: the sequence that events carry, and the two ways to make one, from a caller and from the wire.

The few fields that the engine itself obeys are picked out in the same pass (`Headers.control`). RFC 9110
section 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias, final, overload

from .errors import LocalProtocolError, excerpt
from .grammar import CONTROL_FIELD, CONTROL_FIELDS, FIELD, FIELD_BLOCK_TO_SEND, FIELD_TO_SEND, TOKEN

if TYPE_CHECKING:
    import re

__all__ = [
    "NO_HEADERS",
    "BytesLike",
    "HeaderFields",
    "Headers",
    "Text",
    "field_lines",
    "headers_from_caller",
    "headers_from_wire",
    "illegal_value",
    "is_section",
    "lower_coding",
    "mentions_secret",
    "merge_equal_lengths",
    "replace_field",
    "to_bytes",
    "trailers_from_caller",
    "without_fields",
]

BytesLike: TypeAlias = "bytes | bytearray | memoryview"
Text: TypeAlias = "str | BytesLike"
HeaderFields: TypeAlias = "Headers | Iterable[tuple[Text, Text]]"

#: Shown by `repr` and in errors as a length only: a log is no place for them.
SECRET_FIELDS: Final = frozenset(
    (b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"authentication-info")
)

#: Valid names as callers spell them, each with the beginning of its line, and its lower-case form if it is a
#: control field, else an empty one. Names are worth remembering, since a program spells alike; values never
#: are, since they are secrets. Bounded.
NAMES: Final[dict[bytes, tuple[bytes, bytes]]] = {}
MAX_NAMES: Final = 1024
MAX_NAME_BYTES: Final = 64


@final
class Headers(Sequence[tuple[bytes, bytes]]):
    """The header fields of one message, in order: an immutable sequence of (lower-case name, value), both bytes.

    It compares equal to any sequence of the same pairs. `raw_items` gives the names as they were spelled.

    Args:
        lines: Field lines that the grammar has passed, each with the CRLF before it. They are taken apart on
            demand.
        control: The fields that steer the protocol: lower-case name, and the lower-case values of all its
            lines, joined by commas (RFC 9110 section 5.3).

    Attributes:
        lines: As given.
        control: As given.
    """

    __slots__ = ("_raw", "control", "lines")

    def __init__(self, lines: bytes, control: Mapping[bytes, bytes]) -> None:
        self.lines: bytes = lines
        self.control: Mapping[bytes, bytes] = control
        self._raw: list[tuple[bytes, bytes]] | None = None

    def raw_items(self) -> list[tuple[bytes, bytes]]:
        """Return the fields as (name as spelled on the wire or by the caller, value); the list is the caller's own."""
        return self._items().copy()

    def _items(self) -> list[tuple[bytes, bytes]]:
        if self._raw is None:
            self._raw = FIELD.findall(self.lines)
        return self._raw

    def __len__(self) -> int:
        return self.lines.count(b"\n")

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter([(name.lower(), value) for name, value in self._items()])

    @overload
    def __getitem__(self, index: int) -> tuple[bytes, bytes]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[bytes, bytes]]: ...
    def __getitem__(self, index: int | slice) -> tuple[bytes, bytes] | list[tuple[bytes, bytes]]:
        return list(self)[index]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Iterable):
            return NotImplemented
        return list(self) == list(other)

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # equal to lists, which have no hash either

    def __repr__(self) -> str:
        shown = [
            f"({name!r}, <{len(value)} bytes>)" if mentions_secret(name) else f"({name!r}, {value!r})"
            for name, value in self
        ]
        return f"<Headers([{', '.join(shown)}])>"


NO_HEADERS: Final = Headers(b"", {})


def to_bytes(text: Text) -> bytes:
    """Return *text* as bytes: ASCII str or any bytes-like object.

    Raises:
        LocalProtocolError: A str with a character outside ASCII.
        TypeError: Neither str nor bytes-like.
    """
    if type(text) is bytes:
        return text
    if isinstance(text, str):
        try:
            text = text.encode("ascii")
        except UnicodeEncodeError:
            raise LocalProtocolError("a str must be ASCII here; encode it to bytes yourself") from None
    return memoryview(text).tobytes()  # also of what a subclass of str makes of itself


def headers_from_wire(lines: bytes) -> Headers:
    """Wrap *lines*, which the grammar has passed, each with the CRLF before it."""
    fields = CONTROL_FIELD.findall(lines.lower())
    control = dict(fields)
    if len(control) < len(fields):
        for name in control:
            control[name] = b", ".join([value for other, value in fields if other == name])
    return Headers(lines, control)


def headers_from_caller(fields: HeaderFields) -> tuple[Headers, int]:
    """Normalise and lay out what a caller wants to send, and count it: what `is_section` then passes is what was meant.

    Raises:
        LocalProtocolError: A name that is no token; a str that is not ASCII.
        TypeError: A name or value that is neither str nor bytes-like.
    """
    raw: list[tuple[Any, Any]] = fields.raw_items() if type(fields) is Headers else list(fields)
    control: dict[bytes, bytes] = {}
    pieces: list[bytes] = []
    for name, value in raw:
        if type(name) is not bytes:
            return headers_from_caller([(to_bytes(name), to_bytes(value)) for name, value in raw])
        try:
            beginning, control_name = NAMES[name]
        except KeyError:
            beginning, control_name = _learn_name(name)
        pieces.append(beginning)
        pieces.append(value)
        if control_name:
            value = (value if type(value) is bytes else to_bytes(value)).lower()
            if control_name in control:
                value = b"%b, %b" % (control[control_name], value)
            control[control_name] = value
            if control_name == b"transfer-encoding":  # codings have no case (RFC 9112 section 7)
                pieces[-1] = to_bytes(pieces[-1]).lower()
    try:
        lines = b"".join(pieces)
    except TypeError:  # a value is no bytes yet
        return headers_from_caller([(name, to_bytes(value)) for name, value in raw])
    return Headers(lines, control), len(raw)


def field_lines(raw: Iterable[tuple[Any, Any]]) -> bytes:
    """Return *raw*, pairs of bytes, as field lines, each with the CRLF before it."""
    return b"".join([b"\r\n%b: %b" % item for item in raw])


def is_section(lines: bytes, pattern: re.Pattern[bytes], line_ends: int) -> bool:
    """Tell whether *lines* is what *pattern* says, in as many lines as were put into it.

    The names in it are tokens, so each ends at the first colon of its line; the count tells that no value
    brought a line of its own, which the pattern alone would take for one more field.
    """
    return pattern.fullmatch(lines) is not None and lines.count(b"\n") == line_ends


def trailers_from_caller(fields: HeaderFields) -> Headers:
    """Normalise and validate the trailers that a caller wants to send.

    Raises:
        LocalProtocolError: As `headers_from_caller`; a value with a control character, or with a blank at
            either end.
        TypeError: A name or value that is neither str nor bytes-like.
    """
    trailers, count = headers_from_caller(fields)
    if not is_section(trailers.lines, FIELD_BLOCK_TO_SEND, count):
        raise illegal_value(trailers)
    return trailers


def without_fields(headers: Headers, names: AbstractSet[bytes]) -> Headers:
    """Return *headers* without the fields whose lower-case names are in *names*."""
    raw = headers.raw_items()
    kept = [item for item in raw if item[0].lower() not in names]
    return headers if len(kept) == len(raw) else headers_from_wire(field_lines(kept))


def replace_field(headers: Headers, name: bytes, values: list[bytes]) -> Headers:
    """Return *headers* with one field *name*, in title case, for each of *values* at the end, and no other."""
    kept = without_fields(headers, {name.lower()}).raw_items()
    return headers_from_wire(field_lines(kept + [(name, value) for value in values]))


def merge_equal_lengths(headers: Headers) -> Headers:
    """Return *headers* with one Content-Length where several, or a list, say the same.

    RFC 9110 section 8.6 allows a recipient to. Values that differ stay as they are, and are refused as a
    length.
    """
    members = {member.strip(b" \t") for member in headers.control[b"content-length"].split(b",")}
    return headers if len(members) > 1 else _with_one(headers, b"content-length", members.pop())


def lower_coding(headers: Headers) -> Headers:
    """Return *headers*, off the wire, with Transfer-Encoding in lower case, as `headers_from_caller` does."""
    coding = headers.control[b"transfer-encoding"]
    if (b"transfer-encoding", coding) in headers:
        return headers
    return _with_one(headers, b"transfer-encoding", coding)


def mentions_secret(line: bytes) -> bool:
    """Tell whether *line*, which need not be a field line, names a field that must not be shown."""
    line = line.lower()
    return any(name in line for name in SECRET_FIELDS)


def _with_one(headers: Headers, name: bytes, value: bytes) -> Headers:
    """Return *headers* with *value* in the first line of *name*, and without its other lines."""
    raw = headers.raw_items()
    lines = [index for index, item in enumerate(raw) if item[0].lower() == name]
    raw[lines[0]] = (raw[lines[0]][0], value)
    return headers_from_wire(field_lines([item for index, item in enumerate(raw) if index not in lines[1:]]))


def illegal_value(headers: Headers) -> LocalProtocolError:
    """Say which value in *headers*, laid out with valid names but illegal, is to blame."""
    start = 0
    while match := FIELD_TO_SEND.match(headers.lines, start):
        start = match.end()
    line = headers.lines[start + 2 :].partition(b"\r\n")[0]
    name, _, value = line.partition(b": ")
    if start == len(headers.lines):
        return LocalProtocolError("illegal value of a header: it has a line end in it")
    shown = f"<{len(value)} bytes>" if mentions_secret(name) else excerpt(value)
    return LocalProtocolError(
        f"illegal value of header {excerpt(name)}: {shown}: no control characters, no blanks at either end"
    )


def _learn_name(name: bytes) -> tuple[bytes, bytes]:
    """Return what `NAMES` says of *name*, which is not in it; add it while there is room.

    Raises:
        LocalProtocolError: *name* is no token.
    """
    if TOKEN.fullmatch(name) is None:
        raise LocalProtocolError(f"illegal header name {excerpt(name)}: expected token characters")
    lower = name.lower()
    known = (b"\r\n%b: " % name, lower if lower in CONTROL_FIELDS else b"")
    if len(NAMES) < MAX_NAMES and len(name) <= MAX_NAME_BYTES:
        NAMES[name] = known
    return known
