"""Header fields: the sequence that events carry, and the two ways to make one, from a caller and from the wire.

Names are validated once and remembered in a bounded table (`FIELD_NAMES`); values never are, since they hold secrets.
The fields that steer the protocol are picked out in the same pass (`Headers.control`). RFC 9110 section 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Final, TypeAlias, overload

from .errors import LocalProtocolError, excerpt
from .grammar import FIELD, FIELD_BLOCK_TO_SEND, TOKEN

__all__ = [
    "NO_HEADERS",
    "BytesLike",
    "HeaderFields",
    "Headers",
    "headers_from_caller",
    "headers_from_wire",
    "replace_field",
    "encode_fields",
    "to_bytes",
    "without_fields",
]

BytesLike: TypeAlias = "bytes | bytearray | memoryview"
Text: TypeAlias = "str | BytesLike"
HeaderFields: TypeAlias = "Headers | Iterable[tuple[Text, Text]]"

#: The fields that the engine itself obeys; everything else is cargo.
CONTROL_FIELDS: Final = frozenset(
    {b"content-length", b"transfer-encoding", b"connection", b"host", b"expect", b"upgrade"}
)
#: Shown by `repr` as a length only: a log is no place for them.
SECRET_FIELDS: Final = frozenset(
    {b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"authentication-info"}
)
NO_CONTROL: Final[Mapping[bytes, list[bytes]]] = {}


class _FieldNames(dict[bytes, bytes]):
    """Valid field names as they were spelled, each with its lower-case form; filled on demand, bounded."""

    MAX_NAMES: Final = 1024
    MAX_NAME_BYTES: Final = 64

    def __missing__(self, name: bytes) -> bytes:
        if TOKEN.fullmatch(name) is None:
            raise LocalProtocolError(
                f"illegal header name {excerpt(name)}: a name is one or more token characters"
            )
        lower = name.lower()
        if len(self) < self.MAX_NAMES and len(name) <= self.MAX_NAME_BYTES:
            self[name] = lower
        return lower


FIELD_NAMES: Final = _FieldNames()


class Headers(Sequence[tuple[bytes, bytes]]):
    """The header fields of one message, in order: an immutable sequence of (lower-case name, value), both bytes.

    It compares equal to any sequence of the same pairs. `raw_items` gives the names as they were spelled.

    Attributes:
        control: For each field that steers the protocol, its lower-case name and its values in order.
    """

    __slots__ = ("_lower", "_raw", "control")

    def __init__(
        self, raw: list[tuple[bytes, bytes]], lower: list[bytes], control: Mapping[bytes, list[bytes]]
    ) -> None:
        self._raw = raw
        self._lower = lower
        self.control = control

    def raw_items(self) -> list[tuple[bytes, bytes]]:
        """Return the fields as (name as spelled on the wire or by the caller, value); the list is the caller's own."""
        return self._raw.copy()

    def __len__(self) -> int:
        return len(self._raw)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return zip(self._lower, [value for _, value in self._raw], strict=True)

    @overload
    def __getitem__(self, index: int) -> tuple[bytes, bytes]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[bytes, bytes]]: ...
    def __getitem__(self, index: int | slice) -> tuple[bytes, bytes] | list[tuple[bytes, bytes]]:
        if isinstance(index, slice):
            return list(self)[index]
        return (self._lower[index], self._raw[index][1])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Iterable):
            return NotImplemented
        return list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have no hash either

    def __repr__(self) -> str:
        shown = ", ".join(
            f"({name!r}, <{len(value)} bytes>)" if name in SECRET_FIELDS else f"({name!r}, {value!r})"
            for name, value in self
        )
        return f"<Headers([{shown}])>"


NO_HEADERS: Final = Headers([], [], NO_CONTROL)


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
            raise LocalProtocolError(
                "illegal text: a str must be ASCII; encode it to bytes yourself"
            ) from None
    return memoryview(text).tobytes()


def headers_from_caller(fields: HeaderFields) -> Headers:
    """Normalise and validate what a caller wants to send.

    Raises:
        LocalProtocolError: A name that is no token; a value with a control character, or with a blank at either end.
        TypeError: A name or value that is neither str nor bytes-like.
    """
    if isinstance(fields, Headers):
        return fields
    raw = []
    for name, value in fields:
        if type(name) is not bytes:
            name = to_bytes(name)
        if type(value) is not bytes:
            value = to_bytes(value)
        raw.append((name, value))
    names = FIELD_NAMES
    lower = [names[name] for name, _ in raw]
    block = encode_fields(raw)
    # The count: a value with a CRLF and a well-formed line behind it would pass the grammar as one field more.
    if FIELD_BLOCK_TO_SEND.fullmatch(block) is None or block.count(b"\r\n") != len(raw):
        raise _illegal_value(raw)
    return Headers(raw, lower, _control_fields(lower, raw))


def headers_from_wire(block: bytes) -> Headers:
    """Take apart a block of field lines that `grammar.FIELD_BLOCK` has passed."""
    raw: list[tuple[bytes, bytes]] = FIELD.findall(block)
    if b" \r\n" in block or b"\t\r\n" in block:
        raw = [(name, value.rstrip(b" \t")) for name, value in raw]
    names = FIELD_NAMES
    lower = [names[name] for name, _ in raw]
    return Headers(raw, lower, _control_fields(lower, raw))


def replace_field(headers: Headers, name: bytes, values: Iterable[bytes]) -> Headers:
    """Return *headers* without its fields *name* (spelled in title case), and with one for each of *values* at the end."""
    kept = without_fields(headers, {name.lower()}).raw_items()
    return headers_from_caller([*kept, *((name, value) for value in values)])


def without_fields(headers: Headers, names: Set[bytes]) -> Headers:
    """Return *headers* without the fields whose lower-case names are in *names*."""
    if names.isdisjoint(headers._lower):
        return headers
    return headers_from_caller(
        [item for name, item in zip(headers._lower, headers._raw, strict=True) if name not in names]
    )


def encode_fields(raw: list[tuple[bytes, bytes]]) -> bytes:
    """Return *raw* as field lines, each with its CRLF."""
    return b"".join([b"%b: %b\r\n" % item for item in raw])


def _control_fields(lower: list[bytes], raw: list[tuple[bytes, bytes]]) -> Mapping[bytes, list[bytes]]:
    if CONTROL_FIELDS.isdisjoint(lower):
        return NO_CONTROL
    control: dict[bytes, list[bytes]] = {}
    for name, item in zip(lower, raw, strict=True):
        if name in CONTROL_FIELDS:
            if name in control:
                control[name].append(item[1])
            else:
                control[name] = [item[1]]
    return control


def _illegal_value(raw: list[tuple[bytes, bytes]]) -> LocalProtocolError:
    for name, value in raw:
        line = encode_fields([(name, value)])
        if FIELD_BLOCK_TO_SEND.fullmatch(line) is None or line.count(b"\r\n") != 1:
            break
    shown = f"<{len(value)} bytes>" if FIELD_NAMES[name] in SECRET_FIELDS else excerpt(value)
    return LocalProtocolError(
        f"illegal value of header {excerpt(name)}: {shown}: no control characters, no blanks at either end"
    )
