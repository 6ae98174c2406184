"""Bytes received and not yet parsed.

One whole read stays the very object that came in, so that a body goes out as a slice of it, or as itself.
Only what is left over of an unfinished line or head is ever joined to the next read, and that in time linear
in the bytes received, however small the reads are.
"""

from __future__ import annotations

__all__ = ["ReceiveBuffer"]


class ReceiveBuffer:
    """A queue of bytes; readers look at ``data[start:]`` in place and advance ``start``.

    Attributes:
        data: The bytes. Never changed while a reader looks at them, only between calls.
        start: Offset of the first byte not yet consumed.
    """

    __slots__ = ("data", "start")

    def __init__(self) -> None:
        self.data: bytes | bytearray = b""
        self.start: int = 0

    def __bool__(self) -> bool:
        return self.start < len(self.data)

    def __bytes__(self) -> bytes:
        return bytes(self.data[self.start :])

    def append(self, more: bytes) -> None:
        """Add *more* at the end, without a copy if everything before it was consumed."""
        left = len(self.data) - self.start
        if left == 0:
            self.data = more
        elif left <= len(more):
            # Copies at most thrice what has just been received, so the sum over all reads stays linear.
            self.data = bytes(self.data[self.start :]) + more
        else:
            # Small pieces behind a long unfinished head: a bytearray grows in amortised constant time a byte.
            if type(self.data) is not bytearray:
                self.data = bytearray(self.data)
            del self.data[: self.start]
            self.data += more
        self.start = 0

    def take(self, count: int) -> bytes:
        """Remove and return the first *count* bytes, or all if there are fewer."""
        start = self.start
        taken = self.data[start : start + count]
        self.start = start + len(taken)
        return taken if type(taken) is bytes else bytes(taken)
