"""Reading the rest of a body into one object, without a copy where its length is known.

The law of the room: only what has arrived takes memory; what a peer announces reserves addresses, up to a bound.
"""

from __future__ import annotations

from io import BufferedReader, BytesIO, RawIOBase
from typing import TYPE_CHECKING, Any, Final

from client.exceptions import ChunkedEncodingError, SSLError, Timeout
from client.transport.connection import RECEIVE_SIZE

if TYPE_CHECKING:
    from client.transport.stream import ResponseStream

__all__ = ["read_rest"]

#: A body, or a chunk, of a known length between these is read into one object of that length. Only what has arrived
#: takes memory of it, but no peer may reserve addresses without limit.
LEAST_EXACT: Final = 65536
MOST_EXACT: Final = 64 << 20
REMAINDER: Final = 512  # of the length by this goes through a buffer of this size

#: Bytes from which it pays to ask for huge pages.
LEAST_HUGE: Final = 4 << 20

#: A buffer for a whole body grows by at most this many bytes at a time: they are still in the processor's cache
#: when they are received into.
LARGEST_STEP: Final = 1 << 20


def read_rest(stream: ResponseStream) -> bytes:
    """Read to the end of the body: into one object of its length where that is known, else a growing buffer.

    Raises:
        IncompleteBody, ChunkedEncodingError, SSLError, ReadTimeout, TotalTimeout, ForkError: As `ResponseStream.read`;
            what had come is in ``partial``.
    """
    run = 0 if stream._finished else stream.connection.engine.passthrough_available()
    if LEAST_EXACT <= run <= MOST_EXACT:
        # What arrives goes straight into the bytes object that is returned, whose memory nobody has cleared before.
        receiver = Receiver(stream)
        whole = BufferedReader(receiver, REMAINDER).read(len(stream._buffer) + run)
        if receiver.error is not None:
            receiver.error.__dict__.setdefault("partial", whole)
            raise receiver.error
        if stream._finished:  # else it was one chunk of several
            return whole
    else:
        whole, stream._buffer = bytes(stream._buffer), b""
    return read_growing(stream, whole)


def read_growing(stream: ResponseStream, whole: bytes) -> bytes:
    """Read to the end of the body behind *whole*, into a buffer that at most doubles, whatever is announced."""
    collected = BytesIO()
    collected.write(whole)
    filled = room = len(whole)
    try:
        while True:
            if room - filled < RECEIVE_SIZE:
                room = filled + min(max(RECEIVE_SIZE, filled), LARGEST_STEP)
                collected.seek(room - 1)
                collected.write(b"\0")
            with collected.getbuffer() as view, view[filled:] as rest:
                count = stream.readinto(rest)
            if not count:
                break
            filled += count
    except (ChunkedEncodingError, SSLError, Timeout) as error:
        error.__dict__.setdefault("partial", collected.getvalue()[:filled])
        raise
    collected.truncate(filled)
    return collected.getvalue()


class Receiver(RawIOBase):
    """What `io.BufferedReader` reads a body from; it would lose what came before an error, so that ends the file."""

    def __init__(self, stream: ResponseStream) -> None:
        """Read nothing yet."""
        self._stream = stream
        self._is_first = True
        self.error: ChunkedEncodingError | SSLError | Timeout | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Receive into *buffer*, a view that is released: its memory is gone before a traceback is."""
        try:
            if self._is_first and len(buffer) >= LEAST_HUGE:
                from client.transport.huge_pages import advise

                advise(buffer)
            self._is_first = False
            return self._stream.readinto(buffer)
        except (ChunkedEncodingError, SSLError, Timeout) as error:
            self.error = error
            return 0
        finally:
            buffer.release()
