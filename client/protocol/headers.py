"""Header fields: the sequence that events carry, and the two ways to make one, from a caller and from the wire.

The few fields that the engine itself obeys are picked out in the same pass (`Headers.control`). RFC 9110 section 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Final, TypeAlias, final, overload

from .errors import LocalProtocolError, RemoteProtocolError, excerpt
from .grammar import FIELD, FIELD_BLOCK_TO_SEND, TOKEN

__all__ = [
    "CONTROL_FIELDS",
    "NO_HEADERS",
    "BytesLike",
    "HeaderFields",
    "Headers",
    "Text",
    "encode_fields",
    "headers_from_caller",
    "headers_from_wire",
    "lower_coding",
    "mentions_secret",
    "merge_equal_lengths",
    "replace_field",
    "to_bytes",
    "without_fields",
]

BytesLike: TypeAlias = "bytes | bytearray | memoryview"
Text: TypeAlias = "str | BytesLike"
HeaderFields: TypeAlias = "Headers | Iterable[tuple[Text, Text]]"

#: The fields that the engine itself obeys; everything else is cargo.
CONTROL_FIELDS: Final = frozenset(
    (b"content-length", b"transfer-encoding", b"connection", b"host", b"expect", b"upgrade")
)
#: Shown by `repr` and in errors as a length only: a log is no place for them.
SECRET_FIELDS: Final = frozenset(
    (b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"authentication-info")
)

#: For valid names as they were spelled: the lower-case name of a control field, or empty. Names are worth remembering,
#: since peers spell alike; values never are, since they are secrets. Bounded.
CONTROL_NAMES: Final[dict[bytes, bytes]] = {}
MAX_NAMES: Final = 1024
MAX_NAME_BYTES: Final = 64


@final
class Headers(Sequence[tuple[bytes, bytes]]):
    """The header fields of one message, in order: an immutable sequence of (lower-case name, value), both bytes.

    It compares equal to any sequence of the same pairs. `raw_items` gives the names as they were spelled.

    Attributes:
        control: The fields that steer the protocol: lower-case name, and value, or the values of all its lines joined
            by commas (RFC 9110 section 5.3).
        lines: The fields as they go on the wire, each with its CRLF; None if they were never laid out.
    """

    __slots__ = ("_raw", "control", "lines")

    def __init__(self, raw: list[tuple[bytes, bytes]], lines: bytes | None = None) -> None:
        self._raw = raw
        self.lines = lines
        control: dict[bytes, bytes] = {}
        for name, value in raw:
            try:
                control_name = CONTROL_NAMES[name]
            except KeyError:
                control_name = learn_name(name)
            if control_name:
                if control_name in control:
                    value = b"%b, %b" % (control[control_name], value)
                control[control_name] = value
        self.control: Mapping[bytes, bytes] = control

    def raw_items(self) -> list[tuple[bytes, bytes]]:
        """Return the fields as (name as spelled on the wire or by the caller, value); the list is the caller's own."""
        return self._raw.copy()

    def first_name(self) -> bytes:
        """Return the lower-case name of the first field; there must be one."""
        return self._raw[0][0].lower()

    def __len__(self) -> int:
        return len(self._raw)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter([(name.lower(), value) for name, value in self._raw])

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

    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have no hash either

    def __repr__(self) -> str:
        shown = [
            f"({name!r}, <{len(value)} bytes>)" if mentions_secret(name) else f"({name!r}, {value!r})"
            for name, value in self
        ]
        return f"<Headers([{', '.join(shown)}])>"


NO_HEADERS: Final = Headers([], b"")


def learn_name(name: bytes) -> bytes:
    """Return what `CONTROL_NAMES` says of *name*, which is not in it; add it while there is room.

    Raises:
        LocalProtocolError: *name* is no token.
    """
    if TOKEN.fullmatch(name) is None:
        raise LocalProtocolError(
            f"illegal header name {excerpt(name)}: expected one or more token characters"
        )
    lower = name.lower()
    control_name = lower if lower in CONTROL_FIELDS else b""
    if len(CONTROL_NAMES) < MAX_NAMES and len(name) <= MAX_NAME_BYTES:
        CONTROL_NAMES[name] = control_name
    return control_name


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
            return text.encode("ascii")
        except UnicodeEncodeError:
            raise LocalProtocolError("a str must be ASCII here; encode it to bytes yourself") from None
    return memoryview(text).tobytes()


def headers_from_caller(fields: HeaderFields) -> Headers:
    """Normalise and validate what a caller wants to send.

    Raises:
        LocalProtocolError: A name that is no token; a value with a control character, or with a blank at either end.
        TypeError: A name or value that is neither str nor bytes-like.
    """
    if type(fields) is Headers:
        return fields
    raw = [
        (name if type(name) is bytes else to_bytes(name), value if type(value) is bytes else to_bytes(value))
        for name, value in fields
    ]
    lines = encode_fields(raw)
    headers = Headers(raw, lines)  # checks the names, so that a name ends at the first colon of its line
    # The count: a value with a well-formed line behind a CRLF would pass the grammar, as one line more.
    if FIELD_BLOCK_TO_SEND.fullmatch(lines) is None or lines.count(b"\n") != len(raw):
        raise _illegal_value(raw)
    return headers


def encode_fields(raw: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return *raw* as field lines, each with its CRLF."""
    return b"".join([b"%b: %b\r\n" % item for item in raw])


def headers_from_wire(block: bytes, max_fields: int) -> Headers:
    """Take apart a block of field lines that the grammar of a head, or `grammar.FIELD_BLOCK`, has passed.

    Raises:
        RemoteProtocolError: More than *max_fields*.
    """
    raw = FIELD.findall(block)
    if len(raw) > max_fields:
        raise RemoteProtocolError(f"{len(raw)} fields, more than {max_fields}", error_status_hint=431)
    return Headers(raw)


def without_fields(headers: Headers, names: Set[bytes]) -> Headers:
    """Return *headers* without the fields whose lower-case names are in *names*."""
    raw = headers.raw_items()
    kept = [item for item in raw if item[0].lower() not in names]
    return headers if len(kept) == len(raw) else Headers(kept)


def replace_field(headers: Headers, name: bytes, values: list[bytes]) -> Headers:
    """Return *headers* without its fields *name*, spelled in title case, and with one for each of *values* at the end."""
    kept = without_fields(headers, {name.lower()}).raw_items()
    return headers_from_caller(kept + [(name, value) for value in values])


def merge_equal_lengths(headers: Headers) -> Headers:
    """Return *headers* with one Content-Length where several, or a list, say the same.

    RFC 9110 section 8.6 allows a recipient to. Values that differ stay as they are, and are refused as a length.
    """
    members = {member.strip(b" \t") for member in headers.control[b"content-length"].split(b",")}
    return headers if len(members) > 1 else _with_one(headers, b"content-length", members.pop())


def lower_coding(headers: Headers) -> Headers:
    """Return *headers* with Transfer-Encoding in lower case: codings have no case (RFC 9112 section 7)."""
    coding = headers.control[b"transfer-encoding"]
    return headers if coding == coding.lower() else _with_one(headers, b"transfer-encoding", coding.lower())


def mentions_secret(line: bytes) -> bool:
    """Tell whether *line*, which need not be a field line, names a field that must not be shown."""
    line = line.lower()
    return any(name in line for name in SECRET_FIELDS)


def _with_one(headers: Headers, name: bytes, value: bytes) -> Headers:
    """Return *headers* with *value* in the first line of *name*, and without its other lines."""
    raw = headers.raw_items()
    lines = [index for index, item in enumerate(raw) if item[0].lower() == name]
    raw[lines[0]] = (raw[lines[0]][0], value)
    return Headers([item for index, item in enumerate(raw) if index not in lines[1:]])


def _illegal_value(raw: list[tuple[bytes, bytes]]) -> LocalProtocolError:
    """Say which value in *raw* is illegal; the names are not."""
    for name, value in raw:
        line = encode_fields([(name, value)])
        if FIELD_BLOCK_TO_SEND.fullmatch(line) is None or line.count(b"\n") != 1:
            break
    shown = f"<{len(value)} bytes>" if mentions_secret(name) else excerpt(value)
    return LocalProtocolError(
        f"illegal value of header {excerpt(name)}: {shown}: no control characters, no blanks at either end"
    )
