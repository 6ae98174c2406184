"""What bodies of all kinds have in common: pieces of bytes, and a length that is announced and kept."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any, TypeVar

from client.exceptions import InvalidBody

__all__ = ["as_bytes", "declared_length", "has_buffer", "of_length", "other_length"]

_Piece = TypeVar("_Piece", bound=Sized)


def as_bytes(piece: Any, argument: str) -> bytes:
    """Return *piece* as bytes.

    Args:
        piece: str (UTF-8) or bytes-like.
        argument: What the caller's argument is called, for messages.

    Raises:
        InvalidBody: It is something else, or a str that UTF-8 cannot encode.
    """
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


def has_buffer(data: Any) -> bool:
    """Say whether *data* is bytes-like: of NumPy's, array's and others' kinds as well."""
    try:
        memoryview(data).release()
    except TypeError:
        return False
    return True


def of_length(pieces: Iterator[_Piece], length: int | None, argument: str) -> Iterator[_Piece]:
    """Pass *pieces* on; raise where they turn out not to be *length* bytes, before too much is sent."""
    return pieces if length is None else _counted(pieces, length, argument)


def other_length(left: int, length: int | None, argument: str) -> InvalidBody:
    """Build the error for a body of which *left* bytes are missing at its end, or too many if negative."""
    if left < 0:
        return InvalidBody(f"{argument}= yields more than the {length} bytes that were announced")
    return InvalidBody(f"{argument}= ended {left} bytes short of the {length} that were announced")


def declared_length(file: Any, position: int) -> int | None:
    """Return what ``len(file)`` or ``file.len`` says (requests-toolbelt's encoders have the latter)."""
    for read_length in (lambda: len(file), lambda: file.len):
        try:
            length = read_length()
        except (AttributeError, TypeError, ValueError, OverflowError, NotImplementedError):
            continue
        if isinstance(length, int):
            return max(0, length - position)
    return None


def _counted(pieces: Iterator[_Piece], length: int, argument: str) -> Iterator[_Piece]:
    left = length
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise other_length(left, length, argument)
        yield piece
    if left:
        raise other_length(left, length, argument)
