"""Files as request bodies: where one begins and how long it is, and whether the kernel can send it.

The law of the room: a file is put back to where it stood; what another reader has taken of it is never left out without
a word; and it is sent as the bytes that it yields, not as those that its descriptor has, wherever the two may differ.
"""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING, Any, Final

from client.body_pieces import as_bytes, declared_length, of_length, other_length
from client.exceptions import FileModeWarning, InvalidBody, UnrewindableBodyError
from client.transport.file_span import LEAST_SPAN, FileSpan

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FileBody"]

#: Bytes read from a file at a time: what the transport writes in one call.
BLOCK: Final = 256 * 1024

#: Bytes of a file that are handed to the transport at a time where the kernel sends them.
SPAN: Final = 1 << 20


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
        return of_length(self._pieces(), self.length, self._argument)

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
            yield as_bytes(piece, self._argument)
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
            raise other_length(left, self.length, self._argument)


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
        return declared_length(file, 0), False
    try:
        file.seek(0, io.SEEK_END)
    except (AttributeError, OSError, ValueError, EOFError):
        return declared_length(file, position), False
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
