"""Request bodies: whatever the caller has, as bytes or as a `client.transport.wire.Body`.

The law of the room: nothing is read before it is sent, but for what its length asks; a length that was
announced is kept or the exchange fails; a body that is used up says so instead of being empty the second
time. RFC 9112 section 6 (message body), issue 2215 of requests (an empty file is not a chunked one).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

from client.body_pieces import as_bytes, declared_length, has_buffer, of_length
from client.exceptions import InvalidBody, InvalidJSONError, UnrewindableBodyError
from client.file_body import FileBody
from client.percent import form_urlencode

if TYPE_CHECKING:
    from client.transport.file_span import FileSpan
    from client.transport.wire import Body

__all__ = ["CallableBody", "IterableBody", "encode_body", "encode_json", "used_up", "wire_body"]

FORM: Final = b"application/x-www-form-urlencoded"
JSON: Final = b"application/json"

#: What is no body when it is empty; requests' rule.
_MAY_BE_EMPTY: Final = (str, bytes, bytearray, list, tuple, Mapping)


class IterableBody:
    """Pieces from an iterable, sent as they come.

    Args:
        pieces: An iterable of bytes-like objects or str (sent as UTF-8). An iterator can be sent once, any
            other iterable again.
        length: Bytes in all if the caller announced them; None sends chunked.
        argument: What the caller's argument is called, for messages.
    """

    __slots__ = ("_argument", "_used", "length", "replayable", "source")

    def __init__(self, pieces: Iterable[Any], length: int | None = None, argument: str = "data") -> None:
        self.source: Iterable[Any] = pieces
        self.length: int | None = length
        self.replayable: bool = not hasattr(pieces, "__next__")
        self._argument = argument
        self._used = False

    def chunks(self) -> Iterator[bytes]:
        """Yield the pieces; empty ones are left out, since an empty chunk would end the body.

        Raises:
            UnrewindableBodyError: An iterator that was used before.
            InvalidBody: A piece is neither bytes-like nor str; the pieces are not ``length`` bytes in all.
        """
        if self._used and not self.replayable:
            raise UnrewindableBodyError(
                f"{self._argument}= is an iterator that was used up by the first attempt; "
                "pass bytes, a seekable file, or a callable that returns a fresh body"
            )
        self._used = True
        return of_length(self._pieces(), self.length, self._argument)

    def _pieces(self) -> Iterator[bytes]:
        for piece in self.source:
            if encoded := piece if type(piece) is bytes else as_bytes(piece, self._argument):
                yield encoded


class CallableBody:
    """A body that a function makes anew for each attempt, and that is closed after it.

    Args:
        factory: Called without arguments; returns bytes, str, a binary file or an iterable of pieces.
        argument: What the caller's argument is called, for messages.
    """

    __slots__ = ("_argument", "_length", "_made", "source")

    replayable: Final = True

    def __init__(self, factory: Callable[[], Any], argument: str = "data") -> None:
        self.source: Callable[[], Any] = factory
        self._argument = argument
        #: What the factory made last, and whether it still is to be sent.
        self._made: tuple[Any, bytes | Body | None, bool] = (None, None, False)
        self._length: int | Literal["unasked"] | None = "unasked"

    @property
    def length(self) -> int | None:
        """Bytes in all, as the first body says for which the factory is called now; None sends chunked."""
        if self._length == "unasked":
            body = self._make()
            self._length = len(body or b"") if isinstance(body, bytes | None) else body.length
        return self._length

    @length.setter
    def length(self, length: int) -> None:
        self._length = length

    def chunks(self) -> Iterator[bytes]:
        """Yield a fresh body.

        Raises:
            UnrewindableBodyError: The factory returned the same file or iterator as before.
            InvalidBody: It returned something that is no body, or not ``length`` bytes.
        """
        return self._fresh(lambda body: body.chunks())

    def spans(self) -> Iterator[bytes | FileSpan]:
        """As `chunks`, but of a file as `FileBody.spans`."""
        return self._fresh(lambda body: getattr(body, "spans", body.chunks)())

    def _fresh(self, pieces_of: Callable[[Body], Iterator[Any]]) -> Iterator[Any]:
        length = self.length
        body = self._make()
        made, *_ = self._made
        self._made = (made, None, False)
        try:
            if body is not None:
                pieces = iter((body,)) if isinstance(body, bytes) else pieces_of(body)
                yield from of_length(pieces, length, self._argument)
        finally:
            _close(made)

    def close_unsent(self) -> None:
        """Close what was made when its length was asked, if that was not sent; the factory is called again for it."""
        made, _, unsent = self._made
        if unsent:
            self._made = (made, None, False)
            _close(made)

    def _make(self) -> bytes | Body | None:
        before, body, unsent = self._made
        if unsent:
            return body
        made = self.source()
        if made is before and (hasattr(made, "read") or hasattr(made, "__next__")):
            raise UnrewindableBodyError(
                f"{self._argument}= is a callable that returned the same object again"
            )
        if callable(made) and not hasattr(made, "read"):
            raise InvalidBody(f"{self._argument}= is a callable that returned another callable")
        body = wire_body(made, self._argument)
        self._made = (made, body, True)
        return body


def _close(made: Any) -> None:
    if hasattr(made, "close"):
        made.close()


def encode_body(data: Any, json: Any) -> tuple[Any, bytes | None]:
    """Turn the body arguments of a request, but for ``files=``, into one body and its Content-Type.

    Args:
        data: A mapping or list of pairs (sent as a form), str (UTF-8), bytes, a binary file, an iterable of
            pieces, a callable that returns one of these, or None.
        json: Anything that `json.dumps` takes; ignored where *data* is not empty, as requests documents.

    Returns:
        (body, content type): the body as str, bytes or `Body`, None if there is none; `wire_body` takes it.

    Raises:
        InvalidBody: *data* is of another type.
        InvalidJSONError: *json* cannot be written as JSON.
    """
    if data is None or (isinstance(data, _MAY_BE_EMPTY) and not data):
        return (None, None) if json is None else (encode_json(json), JSON)
    if isinstance(data, (Mapping, list, tuple)):
        return form_urlencode(data, "data", InvalidBody), FORM
    return str.__str__(data) if isinstance(data, str) else wire_body(data), None


def used_up() -> IterableBody:
    """Return the body of a request whose stream is gone: sending it raises `UnrewindableBodyError`."""
    body = IterableBody(iter(()))
    body.chunks()
    return body


def encode_json(document: Any) -> bytes:
    """Return *document* as JSON in UTF-8 (RFC 8259).

    Raises:
        InvalidJSONError: It holds NaN or an infinity, which JSON has not, or an object without JSON form.
    """
    try:
        return _json_encoder()(document).encode()
    except (ValueError, TypeError, RecursionError) as cause:
        raise InvalidJSONError(f"json= cannot be written as JSON: {cause}") from cause


@cache
def _json_encoder() -> Callable[[Any], str]:
    """Return what writes JSON; made once, which `json.dumps` does only where it is asked for nothing special."""
    import json

    return json.JSONEncoder(allow_nan=False).encode


def wire_body(data: Any, argument: str = "data") -> bytes | Body | None:
    """Return *data* as bytes or a `Body`; None stays None.

    Args:
        data: str (UTF-8), bytes-like, a file, an iterable of pieces, a callable, or a `Body`.
        argument: What the caller's argument is called, for messages.

    Raises:
        InvalidBody: *data* is something else.
    """
    if data is None or type(data) is bytes:
        return data
    if isinstance(data, str | bytes | bytearray | memoryview):
        return as_bytes(data, argument)
    if hasattr(data, "chunks") and isinstance(getattr(data, "replayable", None), bool):
        body: Body = data
        return body
    if isinstance(data, io.StringIO):
        position, text = data.tell(), data.read()
        data.seek(position)  # so that preparing the same request again finds it
        return as_bytes(text, argument)
    if hasattr(data, "read"):
        return FileBody(data, argument)
    if has_buffer(data):
        return as_bytes(data, argument)
    if hasattr(data, "__iter__") and not isinstance(data, Mapping):
        # len() of a collection counts pieces; of any other iterable it is the size of the body, as in requests.
        counts_pieces = isinstance(data, (Sequence, AbstractSet, MappingView))
        return IterableBody(data, None if counts_pieces else declared_length(data, 0), argument)
    if callable(data):
        return CallableBody(data, argument)
    raise InvalidBody(
        f"{argument}= must be a dict, pairs, str, bytes, a binary file, an iterable of bytes or a callable, "
        f"not {type(data).__name__}"
    )
