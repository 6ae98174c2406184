"""Reading the body of a response that an adapter written for requests has made.

The law of the room: what urllib3 raises comes as the error of ours that requests would raise, known by the names of its
classes, since urllib3 need not be installed; what anybody else raises is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from client.exceptions import (
    ChunkedEncodingError,
    ContentDecodingError,
    ReadTimeout,
    RequestException,
    SSLError,
)
from client.response_body import READ_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["foreign_reader", "kind_of_urllib3"]

#: urllib3's errors while a body is read, by the name of a base class -> ours.
_WHILE_READING: Final[dict[str, type[RequestException]]] = {
    "ReadTimeoutError": ReadTimeout,
    "SSLError": SSLError,
    "DecodeError": ContentDecodingError,
    "HTTPError": ChunkedEncodingError,
}


def foreign_reader(raw: Any) -> Callable[[int], bytes]:
    """Return what reads from the `raw` that such an adapter has set: urllib3's response, or any binary file."""
    if not hasattr(raw, "stream"):
        return raw.read  # type: ignore[no-any-return]
    pieces: Iterator[bytes] | None = None

    def read(_size: int) -> bytes:
        nonlocal pieces
        try:
            if pieces is None:
                pieces = iter(raw.stream(READ_SIZE, decode_content=True))
            return next((piece for piece in pieces if piece), b"")
        except Exception as error:
            kind = kind_of_urllib3(error, _WHILE_READING)
            if kind is None:
                raise
            raise kind(f"the adapter's response cannot be read: {type(error).__name__}") from error

    return read


def kind_of_urllib3(
    error: Exception, kinds: Mapping[str, type[RequestException]]
) -> type[RequestException] | None:
    """Return what *kinds* has for the nearest base class of *error* that is urllib3's, None for nothing."""
    names = [base.__name__ for base in type(error).__mro__ if base.__module__.startswith("urllib3.")]
    return next((kinds[name] for name in names if name in kinds), None)
