"""From a plain socket into a file without a copy through this process (Linux).

The law of the room: the engine is told of every byte, so the framing is checked as on any other road; and a pipe
belongs to one download and goes with it, since after an error it may still hold bytes of it.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from typing import TYPE_CHECKING, Final

from client.transport.readiness import readable_poll

if TYPE_CHECKING:
    from client.transport.stream import ResponseStream

__all__ = ["CAN_SPLICE", "LEAST_SPLICE", "Pipe", "splice"]

CAN_SPLICE: Final = sys.platform == "linux" and hasattr(os, "splice")

#: Bytes that a pipe holds, if the system lets it; one of the usual 64 KiB would need sixteen times the calls.
CAPACITY: Final = 1 << 20
#: Linux's number of F_SETPIPE_SZ, which `fcntl` does not name in every build.
_SET_SIZE: Final = 1031

#: Bytes that are worth waking up for, and for how many milliseconds they may gather.
GATHERED: Final = 1 << 19
GATHERING: Final = 5

#: A shorter run of body bytes is read in the usual way.
LEAST_SPLICE: Final = 65536


class Pipe:
    """The kernel's buffer between socket and file. Close it, whatever happens."""

    __slots__ = ("_capacity", "_read", "_write")

    def __init__(self) -> None:
        """Open it.

        Raises:
            OSError: There are no descriptors left.
        """
        import fcntl

        self._read, self._write = os.pipe()
        try:
            self._capacity = fcntl.fcntl(self._write, _SET_SIZE, CAPACITY)
        except OSError:  # the user's share of pipe memory is used up
            self._capacity = LEAST_SPLICE

    def fill(self, sock: socket.socket, size: int) -> int:
        """Take at most *size* bytes from *sock*, waiting for the first; return their count, 0 at the end.

        Raises:
            OSError: As `socket.socket.recv`.
        """
        size = min(size, self._capacity)
        _let_gather(sock, min(size, GATHERED))
        return os.splice(sock.fileno(), self._write, size)

    def empty(self, descriptor: int, offset: int, count: int) -> None:
        """Write the *count* bytes that the pipe holds to the file at *offset*.

        Raises:
            OSError: What the disk says.
        """
        while count:
            try:
                written = os.splice(self._read, descriptor, count, offset_dst=offset)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                # A file system without splice.
                written = os.pwrite(descriptor, data := os.read(self._read, count), offset)
                if written < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            offset += written
            count -= written

    def close(self) -> None:
        """Close both ends, and lose what is between them."""
        os.close(self._read)
        os.close(self._write)


def _let_gather(sock: socket.socket, size: int) -> None:
    """Wait until *size* bytes are there, the peer has closed or a moment has passed.

    Whoever is faster than the network, as nearly everybody is, would else wake for each few packets: with a slow
    server, a quarter of the CPU time. No limit of the caller's is touched: a wait that fails is made again.
    """
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
    except OSError:  # the call that follows finds out why
        return
    try:
        readable_poll(sock.fileno())(GATHERING)
    finally:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


def splice(stream: ResponseStream, pipe: Pipe, size: int) -> int | None:
    """Move the next bytes of a body into a pipe.

    Args:
        stream: The response.
        pipe: Empty.
        size: How many bytes at most.

    Returns:
        Their count; 0 if the body is complete; None if the next bytes cannot be had in this way (they are here already,
        or are more than body, or come through TLS or a descriptor that does not block), so that
        `ResponseStream.readinto` must read them.

    Raises:
        IncompleteBody, ChunkedEncodingError, ReadTimeout, TotalTimeout, ForkError: As `ResponseStream.read`.
    """
    connection = stream.connection
    if stream._buffer or stream._finished or connection.is_tls or not connection.is_kernel_timed:
        return None
    run = min(size, connection.engine.passthrough_available())
    if run < LEAST_SPLICE:
        return None
    return stream.receive_into(pipe, run)
