"""Request bodies: whatever the caller has, as bytes or as a `client.transport.wire.Body`.

The law of the room: nothing is read before it is sent, but for what its length asks; a length that was
announced is kept or the exchange fails; a body that is used up says so instead of being empty the second
time. RFC 9112 section 6 (message body), issue 2215 of requests (an empty file is not a chunked one).
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView, Sequence, Sized
from collections.abc import Set as AbstractSet
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from client.exceptions import FileModeWarning, InvalidBody, InvalidJSONError, UnrewindableBodyError
from client.percent import form_urlencode
from client.transport.file_span import LEAST_SPAN, FileSpan

if TYPE_CHECKING:
    from client.transport.wire import Body

__all__ = ["CallableBody", "FileBody", "IterableBody", "encode_body", "encode_json", "used_up", "wire_body"]

FORM: Final = b"application/x-www-form-urlencoded"
JSON: Final = b"application/json"

#: What is no body when it is empty; requests' rule.
_MAY_BE_EMPTY: Final = (str, bytes, bytearray, list, tuple, Mapping)

#: Bytes read from a file at a time: what the transport writes in one call.
BLOCK: Final = 256 * 1024

#: Bytes of a file that are handed to the transport at a time where the kernel sends them.
SPAN: Final = 1 << 20


_Piece = TypeVar("_Piece", bound=Sized)


class FileBody:
    """The rest of a binary file, from where it stands now.

    Args:
        file: Anything with ``read(size) -> bytes``. With ``tell`` and ``seek`` it can be sent again.
        argument: What the caller's argument is called, for messages.

    Attributes:
        source: What the caller gave.
        file: What is read: *source*, or the binary file below a text file.
        position: Where the body begins in it; None if it does not say.
        length: Bytes from there to its end; None if that cannot be told without reading.
        replayable: True if the file can be put back to ``position``.

    Raises:
        InvalidBody: The file is closed, or not open for reading; or a text file that has read ahead of what it handed
            out and cannot be put back.
    """

    __slots__ = ("_argument", "_used", "file", "length", "position", "replayable", "source")

    def __init__(self, file: Any, argument: str = "data") -> None:
        self._argument = argument
        self._used = False
        self.source: Any = file
        self._refuse_closed()
        self.file: Any = _binary(file, argument)
        if hasattr(self.file, "readable") and not self.file.readable():
            raise InvalidBody(f"{argument}= is a file that is not open for reading")
        self.position: int | None = _position(self.file)
        self.length: int | None
        self.replayable: bool
        self.length, self.replayable = _remaining(self.file, self.position, argument)

    def chunks(self) -> Iterator[bytes]:
        """Yield the file's bytes from ``position``, at most 256 KiB at a time.

        Raises:
            UnrewindableBodyError: It was read before and cannot be put back.
            InvalidBody: The file yields text, or more or fewer bytes than ``length``.
        """
        self._start()
        return _of_length(self._pieces(), self.length, self._argument)

    def spans(self) -> Iterator[bytes | FileSpan]:
        """As `chunks`, but a regular file of 64 KiB or more is named and not read. Afterwards it stands as if it were.

        Raises:
            UnrewindableBodyError, InvalidBody: As `chunks`.
        """
        if self.position is None or (self.length or 0) < LEAST_SPAN or not _is_on_disk(self.source):
            return self.chunks()
        self._start()
        return self._spans(self.position, self.position + (self.length or 0))

    def _start(self) -> None:
        self._refuse_closed()
        if self.replayable:
            self.file.seek(self.position)
        elif self._used:
            raise UnrewindableBodyError(f"{self._argument}= is a file that cannot be read a second time")
        self._used = True

    def _refuse_closed(self) -> None:
        if getattr(self.source, "closed", False) is True:
            raise InvalidBody(f"{self._argument}= is a closed file")

    def _pieces(self) -> Iterator[bytes]:
        # Read to its end, not to its length: a file that grew meanwhile must not pass for complete.
        while piece := self.file.read(BLOCK):
            if isinstance(piece, str):
                raise InvalidBody(f"{self._argument}= is a file that yields text; open it in binary mode")
            yield _as_bytes(piece, self._argument)
        if piece is None:
            raise InvalidBody(f"{self._argument}= is a non-blocking file that has no data now")

    def _spans(self, offset: int, end: int) -> Iterator[FileSpan]:
        process = os.getpid()
        self.file.flush()  # what was written to a file in mode "r+b" since its length was asked
        # Its number could be another file's once the caller has closed it.
        descriptor = os.dup(self.file.fileno())
        try:
            while offset < end:
                self._refuse_other_end(descriptor, end)
                count = min(SPAN, end - offset)
                yield FileSpan(descriptor, offset, count)
                offset += count
            self._refuse_other_end(descriptor, end)
        finally:
            os.close(descriptor)
            # A forked child has its parent's position in the file, which is not where the child has come to.
            if not self.file.closed and os.getpid() == process:
                self.file.seek(offset)

    def _refuse_other_end(self, descriptor: int, end: int) -> None:
        """Refuse a file that does not end at *end* any more: one that grew must not pass for complete."""
        left = end - os.fstat(descriptor).st_size
        if left:
            raise _other_length(left, self.length, self._argument)


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
        return _of_length(self._pieces(), self.length, self._argument)

    def _pieces(self) -> Iterator[bytes]:
        for piece in self.source:
            if encoded := piece if type(piece) is bytes else _as_bytes(piece, self._argument):
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
                yield from _of_length(pieces, length, self._argument)
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
        return _as_bytes(data, argument)
    if hasattr(data, "chunks") and isinstance(getattr(data, "replayable", None), bool):
        body: Body = data
        return body
    if isinstance(data, io.StringIO):
        position, text = data.tell(), data.read()
        data.seek(position)  # so that preparing the same request again finds it
        return _as_bytes(text, argument)
    if hasattr(data, "read"):
        return FileBody(data, argument)
    if _has_buffer(data):
        return _as_bytes(data, argument)
    if hasattr(data, "__iter__") and not isinstance(data, Mapping):
        # len() of a collection counts pieces; of any other iterable it is the size of the body, as in requests.
        counts_pieces = isinstance(data, (Sequence, AbstractSet, MappingView))
        return IterableBody(data, None if counts_pieces else _declared_length(data, 0), argument)
    if callable(data):
        return CallableBody(data, argument)
    raise InvalidBody(
        f"{argument}= must be a dict, pairs, str, bytes, a binary file, an iterable of bytes or a callable, "
        f"not {type(data).__name__}"
    )


def _as_bytes(piece: Any, argument: str) -> bytes:
    if type(piece) is bytes:
        return piece
    if isinstance(piece, str):
        try:
            return str.encode(piece)
        except UnicodeEncodeError:
            raise InvalidBody(f"{argument}= holds a lone surrogate, which UTF-8 cannot encode") from None
    try:
        return memoryview(piece).tobytes()
    except TypeError:
        raise InvalidBody(f"{argument}= must yield bytes or str, not {type(piece).__name__}") from None


def _has_buffer(data: Any) -> bool:
    try:
        memoryview(data).release()
    except TypeError:
        return False
    return True


def _of_length(pieces: Iterator[_Piece], length: int | None, argument: str) -> Iterator[_Piece]:
    """Pass *pieces* on; raise where they turn out not to be *length* bytes, before too much is sent."""
    return pieces if length is None else _counted(pieces, length, argument)


def _counted(pieces: Iterator[_Piece], length: int, argument: str) -> Iterator[_Piece]:
    left = length
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise _other_length(left, length, argument)
        yield piece
    if left:
        raise _other_length(left, length, argument)


def _other_length(left: int, length: int | None, argument: str) -> InvalidBody:
    """Build the error for a body of which *left* bytes are missing at its end, or too many if negative."""
    if left < 0:
        return InvalidBody(f"{argument}= yields more than the {length} bytes that were announced")
    return InvalidBody(f"{argument}= ended {left} bytes short of the {length} that were announced")


def _is_on_disk(file: Any) -> bool:
    """Say whether reading *file* yields what its descriptor has on disk: nothing decoded, counted or made up."""
    # Exact types: a subclass, a wrapper, or one method set on the object itself may yield something else.
    raw = file.raw if type(file) in (io.BufferedReader, io.BufferedRandom) else file
    return (
        type(raw) is io.FileIO
        and not {*vars(file), *vars(raw)} - {"name"}
        and stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
    )


def _binary(file: Any, argument: str) -> Any:
    """Return *file*, or the binary file below a text file with its position taken over."""
    below = getattr(file, "buffer", None)
    if below is None or not hasattr(file, "encoding"):
        return file
    import warnings

    warnings.warn(
        f"{argument}= is a file in text mode: its bytes are sent as they are on disk; open it in binary mode",
        FileModeWarning,
        stacklevel=2,
    )
    try:
        position = file.tell()
        file.seek(position)
    except OSError:  # a pipe, or a file in the middle of a loop over its lines
        if _has_read_ahead(file):
            raise InvalidBody(
                f"{argument}= is a text file that has read ahead of what it handed out (by next(), by csv.reader, or "
                "from a pipe), which would be missing; open it in binary mode"
            ) from None
        return below
    if position >> 64:  # TextIOWrapper keeps its decoder's state above the 64 bits of the byte offset
        raise InvalidBody(
            f"{argument}= is a text file that was read into the middle of a character's encoding"
        )
    return below


def _has_read_ahead(file: Any) -> bool:
    """Say whether a text file may hold characters that were read from the binary file below and not handed out."""
    try:
        # Changes nothing, and is refused once something was read.
        file.reconfigure(encoding=file.encoding, errors=file.errors)
    except (AttributeError, OSError):
        return True
    return False


def _position(file: Any) -> int | None:
    try:
        position = file.tell()
    except (AttributeError, OSError, ValueError):
        return None
    return position if isinstance(position, int) else None


def _remaining(file: Any, position: int | None, argument: str) -> tuple[int | None, bool]:
    """Return (bytes from *position* to the end or None, whether the file can be put back there).

    By seeking, not by fstat: of a GzipFile that would be the size on disk and not of what it yields.
    """
    if position is None:
        return _declared_length(file, 0), False
    try:
        file.seek(0, io.SEEK_END)
    except (AttributeError, OSError, ValueError, EOFError):
        return _declared_length(file, position), False
    try:
        end = file.tell()
        file.seek(position)
    except (OSError, ValueError, OverflowError) as cause:
        # A GzipFile that reads from a pipe; to go on would send an empty body.
        raise InvalidBody(f"{argument}= is a file that went to its end and cannot be put back") from cause
    if end <= position and file.read(1):  # a file of /proc, whose size is 0 whatever it holds
        file.seek(position)
        return None, True
    return max(0, end - position), True


def _declared_length(file: Any, position: int) -> int | None:
    """Return what ``len(file)`` or ``file.len`` says (requests-toolbelt's encoders have the latter)."""
    for read_length in (lambda: len(file), lambda: file.len):
        try:
            length = read_length()
        except (AttributeError, TypeError, ValueError, OverflowError, NotImplementedError):
            continue
        if isinstance(length, int):
            return max(0, length - position)
    return None
