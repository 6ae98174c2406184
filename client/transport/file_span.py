"""A run of bytes in a file that the kernel can send itself, without a copy through this process.

The law of the room: a span stands for its bytes wherever only their number matters, so the engine frames it as it
frames bytes; and it is sent whole or with an error, whatever becomes of the file meanwhile.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from client.exceptions import InvalidBody

if TYPE_CHECKING:
    import socket

__all__ = ["CAN_SENDFILE", "LEAST_SPAN", "FileSpan"]

CAN_SENDFILE: Final = hasattr(os, "sendfile") and hasattr(os, "pread")

#: A shorter run of bytes costs less when it is read, and leaves together with what stands before and after it.
LEAST_SPAN: Final = 65536


class FileSpan:
    """Bytes of a regular file: *length* of them, from *offset* on.

    Args:
        descriptor: The file, open for reading. Whoever made the span keeps it open until the span is sent.
        offset: Of the first byte; the file's own position is neither used nor changed.
        length: How many bytes, at least 1.
    """

    __slots__ = ("_descriptor", "_length", "_offset")

    def __init__(self, descriptor: int, offset: int, length: int) -> None:
        """Name the bytes; nothing is read."""
        self._descriptor = descriptor
        self._offset = offset
        self._length = length

    def __len__(self) -> int:
        """Return the number of bytes."""
        return self._length

    def send(self, sock: socket.socket, start: int, count: int) -> int:
        """Let the kernel send the bytes from the *start*-th on; return how many it took, at least 1.

        Args:
            sock: A plain socket whose descriptor does not block.
            start: How many bytes of the span are sent already.
            count: How many to offer from there, at least 1 and no more than are left.

        Raises:
            InvalidBody: The file ends before the span does.
            BlockingIOError: The kernel takes nothing now.
            OSError: The connection broke, or no file of this kind can be sent so; `read` tells which.
        """
        taken = os.sendfile(sock.fileno(), self._descriptor, self._offset + start, count)
        if not taken:
            raise self._cut(start)
        return taken

    def read(self, start: int) -> bytes:
        """Return the rest of the bytes, from the *start*-th on.

        Raises:
            InvalidBody: The file ends before the span does.
            OSError: The file cannot be read.
        """
        pieces, position = [], start
        while position < self._length:
            piece = os.pread(self._descriptor, self._length - position, self._offset + position)
            if not piece:
                raise self._cut(position)
            pieces.append(piece)
            position += len(piece)
        return b"".join(pieces)

    def _cut(self, start: int) -> InvalidBody:
        return InvalidBody(
            f"the file became shorter while it was sent: it ends at byte {self._offset + start}, "
            f"{self._length - start} bytes early"
        )
