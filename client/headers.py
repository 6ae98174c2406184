"""Header fields: case-insensitive mappings for people, checked pairs of bytes for the wire.

The law of the room: what goes to the wire is coerced to bytes once and checked after that, so that no object
with a text of its own choosing gets past; what came from the wire is kept as it came and indexed only when
asked. RFC 9110 section 5 (fields).
"""

from __future__ import annotations

import re
from collections.abc import ItemsView, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, ClassVar, Final

from client.exceptions import InvalidHeader

__all__ = [
    "CaseInsensitiveDict",
    "ResponseHeaders",
    "as_case_insensitive",
    "check_host_field",
    "encode_field",
    "encode_fields",
    "encode_trailers",
    "with_fields",
]

# RFC 9110 section 5.6.2:  token = 1*tchar
_TOKEN: Final = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]++")

# RFC 9110 section 5.5:  field-value = *field-content
# Narrower: no control octet but HTAB; a blank at an end would be lost on the way, so it is a mistake.
_VALUE: Final = re.compile(rb"(?:[!-~\x80-\xff][\t -~\x80-\xff]*+(?<![ \t]))?+")
_NOT_IN_VALUE: Final = re.compile(rb"[^\t -~\x80-\xff]")

# RFC 9110 section 7.2:  Host = uri-host [ ":" port ], as `client.url` writes it
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9._~!$&'()*+,;=%\-]*+)(?::[0-9]*+)?+")

#: Fields that steer framing, routing or trust; useless or dangerous after the body (RFC 9110 section 6.5.1).
_NOT_IN_TRAILERS: Final = frozenset(
    b"authorization cache-control connection content-encoding content-length content-range content-type cookie "
    b"expect host max-forwards proxy-authorization range set-cookie te trailer transfer-encoding".split()
)

#: Names seen before -> their bytes. The same few are sent again and again; never values, which may be
#: secrets.
_known_names: dict[str, bytes] = {}
_MAX_KNOWN_NAMES: Final = 512


class CaseInsensitiveDict(MutableMapping[str, Any]):
    """A mapping whose keys are looked up without regard to case and listed as they were last set.

    Behaves as requests documents its own. ``version`` is ours: it counts the changes, so that what was
    computed from the mapping can be kept until the next one.

    Args:
        data: A mapping or an iterable of (key, value) pairs.
        kwargs: Further items.
    """

    __slots__ = ("_store", "version")

    _store: dict[str, tuple[str, Any]]
    version: int

    def __init__(
        self, data: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None, **kwargs: Any
    ) -> None:
        self._store = {}
        self.version = 0
        self.update({} if data is None else data, **kwargs)

    def __setitem__(self, key: str, value: Any) -> None:
        """Set *key*; its case is what is listed from now on."""
        self._store[key.lower()] = (key, value)
        self.version += 1

    def __getitem__(self, key: str) -> Any:
        """Return the value of *key*, in any case."""
        return self._store[key.lower()][1]

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of *key*, in any case, or *default*."""
        found = self._store.get(key.lower())  # the inherited one raises and catches, ten times as slow
        return default if found is None else found[1]

    def __delitem__(self, key: str) -> None:
        """Remove *key*, in any case."""
        del self._store[key.lower()]
        self.version += 1

    def __contains__(self, key: object) -> bool:
        """Tell whether *key* is there, in any case."""
        return isinstance(key, str) and key.lower() in self._store

    def __iter__(self) -> Iterator[str]:
        """Yield the keys as they were last set; those of this moment, so that another thread may go on setting."""
        return iter([key for key, _ in self._store.copy().values()])

    def items(self) -> ItemsView[str, Any]:
        """Return the (key, value) pairs of this moment."""
        return ItemsView(self.copy())

    def __len__(self) -> int:
        """Count the keys."""
        return len(self._store)

    def __eq__(self, other: object) -> bool:
        """Compare with any mapping, keys without regard to case."""
        if not isinstance(other, Mapping):
            return NotImplemented
        if not isinstance(other, CaseInsensitiveDict):
            other = CaseInsensitiveDict(other)
        return dict(self.lower_items()) == dict(other.lower_items())

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # as of every mutable mapping

    def __repr__(self) -> str:
        """Show the items as a dict would."""
        return str(dict(self.items()))

    def lower_items(self) -> Iterator[tuple[str, Any]]:
        """Yield (key in lower case, value) pairs."""
        return ((lower, value) for lower, (_, value) in self._store.items())

    def copy(self) -> CaseInsensitiveDict:
        """Return a new `CaseInsensitiveDict` with the same items."""
        twin = CaseInsensitiveDict()
        twin._store = self._store.copy()
        return twin

    def __copy__(self) -> CaseInsensitiveDict:
        """As `copy`; the default would share the items."""
        return self.copy()


class ResponseHeaders(CaseInsensitiveDict):
    """The fields of a response: text by name, with several fields of one name joined by ``", "``.

    Args:
        raw: (name, value) pairs as they came. Nothing is decoded before the first look-up.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self._raw = raw
        self.version = 0

    def __getattr__(self, name: str) -> Any:
        """Build the index: Python comes here while the slot ``_store`` is empty."""
        if name != "_store":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        store: dict[str, tuple[str, str]] = {}
        repeated: dict[str, list[str]] = {}
        for raw_name, raw_value in self._raw:
            # Latin-1 maps every octet to one character, so that nothing is lost or fails (RFC 9110 section
            # 5.5).
            key, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            lower = key.lower()
            if lower in store:
                repeated.setdefault(lower, [store[lower][1]]).append(value)
            else:
                store[lower] = (key, value)
        for lower, values in repeated.items():
            store[lower] = (store[lower][0], ", ".join(values))
        self._store = store
        return store

    def get_list(self, name: str) -> list[str]:
        """Return the values of all fields called *name*, in order; ``[]`` if there is none.

        Never splits at commas: ``Set-Cookie`` and dates contain them. An item that was assigned since is one
        value.
        """
        wanted = name.lower().encode("latin-1", "replace")
        values = [value.decode("latin-1") for key, value in self._raw if key.lower() == wanted]
        current = self.get(name)
        if current is None:
            return []
        return values if ", ".join(values) == current else [current]

    def copy(self) -> ResponseHeaders:
        """Return new `ResponseHeaders` with the same fields and items."""
        twin = ResponseHeaders(self._raw)
        twin._store = self._store.copy()
        return twin

    def raw_items(self) -> list[tuple[bytes, bytes]]:
        """Return the (name, value) pairs of bytes as they came; assignments to items don't show here."""
        return list(self._raw)


def as_case_insensitive(headers: Any) -> CaseInsensitiveDict:
    """Return *headers*, a mapping or (name, value) pairs or None, as a `CaseInsensitiveDict`; otherwise unchecked.

    Raises:
        InvalidHeader: It is neither, or a name is not str.
    """
    try:
        return headers if isinstance(headers, CaseInsensitiveDict) else CaseInsensitiveDict(headers)
    except (AttributeError, TypeError, ValueError):
        raise InvalidHeader("headers must be a mapping of str to str or bytes") from None


def encode_fields(items: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> list[tuple[bytes, bytes]]:
    """Return *items* as checked fields for the wire, in order.

    Args:
        items: A mapping or (name, value) pairs; names and values are str (Latin-1) or bytes.

    Raises:
        InvalidHeader: See `encode_field`. The message never shows a value.
    """
    pairs = items.items() if isinstance(items, Mapping) else items
    try:
        return [encode_field(name, value) for name, value in pairs]
    except InvalidHeader:
        raise
    except (TypeError, ValueError) as cause:  # what unpacking raises
        raise InvalidHeader("Header fields must be a mapping or (name, value) pairs") from cause


def with_fields(
    fields: list[tuple[bytes, bytes]], given: Any, unless: frozenset[bytes]
) -> list[tuple[bytes, bytes]] | None:
    """Return *fields* with those of *given* in the place of their namesakes, or behind the others; a new list.

    Args:
        fields: Encoded fields, each name once.
        given: A dict of str to str, for which this does what a `CaseInsensitiveDict` would.
        unless: Lower-case names that are not for this function.

    Returns:
        None if *given* is anything else, or has a name of *unless* or a field that is not valid, which its
        namesake behind it may replace.
    """
    if type(given) is not dict:
        return None
    merged = fields.copy()
    places = {name.lower(): place for place, (name, _) in enumerate(fields)}
    for name, value in given.items():
        if type(name) is not str or type(value) is not str:
            return None
        try:
            field = encode_field(name, value)
        except InvalidHeader:
            return None
        key = field[0].lower()
        if key in unless:
            return None
        place = places.setdefault(key, len(merged))
        merged[place : place + 1] = [field]
    return merged


def encode_field(name: Any, value: Any) -> tuple[bytes, bytes]:
    """Return one checked field for the wire.

    Raises:
        InvalidHeader: *name* is no token (RFC 9110 section 5.6.2); *value* is neither str nor bytes, holds a
            control character, has blanks at an end, or a character that is not in Latin-1.
    """
    encoded_name = _known_names.get(name) if type(name) is str else None
    if encoded_name is None:
        encoded_name = _encode_name(name)
    if type(value) is str:
        try:
            encoded = value.encode("latin-1")
        except UnicodeEncodeError as cause:
            raise _not_latin_1(name, value, cause) from None
    else:
        encoded = _encode_other(name, value)
    if not _VALUE.fullmatch(encoded):
        raise InvalidHeader(f"Header {encoded_name.decode()!r}: its value {_why_not(encoded)}")
    return encoded_name, encoded


def encode_trailers(items: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> list[tuple[bytes, bytes]]:
    """As `encode_fields`, for fields that follow the body.

    Raises:
        InvalidHeader: Also for a name that is not allowed there (RFC 9110 section 6.5.1).
    """
    fields = encode_fields(items)
    for name, _ in fields:
        if name.lower() in _NOT_IN_TRAILERS:
            raise InvalidHeader(f"trailers= must not hold {name.decode()!r} (RFC 9110 section 6.5.1)")
    return fields


def check_host_field(value: bytes) -> None:
    """Refuse a Host field that is no host with optional port (RFC 9110 section 7.2).

    Raises:
        InvalidHeader: As it says.
    """
    if not _HOST.fullmatch(value):
        raise InvalidHeader(
            f"Header 'Host' must be a host with an optional port, not {value.decode('latin-1')!r}"
        )


def _encode_name(name: Any) -> bytes:
    if isinstance(name, str):
        # The content of a subclass, whatever its own methods say; Latin-1 only for the sake of the message.
        encoded = str.encode(name, "latin-1", "replace")
    elif isinstance(name, bytes):
        encoded = b"".join((name,))
    else:
        raise InvalidHeader(f"A header name must be str or bytes, not {type(name).__name__}")
    if not _TOKEN.fullmatch(encoded):
        # Up to what is wrong: a whole line that was given as a name has the value in it.
        good = match.end() if (match := _TOKEN.match(encoded)) else 0
        shown = f"{encoded[: good + 1].decode('latin-1')[:100]!r}{'...' * (len(encoded) > good + 1)}"
        raise InvalidHeader(f"Header name {shown} is not a token (RFC 9110 section 5.6.2)")
    if type(name) is str and len(_known_names) < _MAX_KNOWN_NAMES:
        _known_names[name] = encoded
    return encoded


def _encode_other(name: Any, value: Any) -> bytes:
    if isinstance(value, bytes):
        return b"".join((value,))
    if isinstance(value, str):
        try:
            return str.encode(value, "latin-1")
        except UnicodeEncodeError as cause:
            raise _not_latin_1(name, value, cause) from None
    raise InvalidHeader(f"Header {name!r}: its value must be str or bytes, not {type(value).__name__}")


def _not_latin_1(name: Any, value: str, cause: UnicodeEncodeError) -> InvalidHeader:
    strange = str.__getitem__(value, cause.start)
    return InvalidHeader(
        f"Header {name!r}: its value holds {strange!r} at offset {cause.start}, which Latin-1 cannot encode; "
        "pass bytes to choose the encoding"
    )


def _why_not(value: bytes) -> str:
    if strange := _NOT_IN_VALUE.search(value):
        return f"holds the control character {strange[0].decode('latin-1')!r} at offset {strange.start()}"
    return "begins or ends with a blank"
