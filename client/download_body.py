"""The body of one answer on its way into the file.

The law of the room: a byte is written where the answer says that it belongs, and none beyond its end; and what is left
of a body of which somebody else has read is never taken for all of it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from client.download_plan import StartAgain, check_size, is_coded
from client.exceptions import IncompleteBody, StreamConsumedError
from client.transport.splice import CAN_SPLICE, LEAST_SPLICE, Pipe, splice
from client.transport.stream import ResponseStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.download_file import DownloadFile
    from client.download_plan import Answer, Part
    from client.response import Response
    from client.transport.wire import WireResponse

__all__ = ["BodyWriter"]

#: Bytes received at once: what the processor's cache still holds when they are written.
CHUNK: Final = 1 << 18


class BodyWriter:
    """Writes the body of one answer into its place.

    Args:
        file: Takes the bytes.
        part: Where they go; its position moves with what was written.
        answer: What comes.
        limit: Most bytes of the file, None for no limit.
        came: Called after each write.
    """

    def __init__(
        self, file: DownloadFile, part: Part, answer: Answer, limit: int | None, came: Callable[[], object]
    ) -> None:
        """Write nothing yet."""
        self._file = file
        self._part = part
        self._answer = answer
        self._limit = limit
        self._came = came

    def write(self, response: Response) -> None:
        """Write all of it.

        Raises:
            StartAgain: More comes than was said.
            IncompleteBody: Less came.
            StreamConsumedError: A hook has read some of it.
            BodyTooLarge: The file passes the limit.
            RequestException: What reading raised.
            OSError: What the disk said.
        """
        wire, reader, is_read = response._wire, response._body, response._content is not False
        if not is_read and reader is not None and reader.consumed:
            raise StreamConsumedError("a part of the file was read by a hook, and is lost")
        if wire is None or is_read or is_coded(response.headers):
            for piece in response.iter_content(None):
                self._store(memoryview(piece))
        elif CAN_SPLICE and isinstance(wire, ResponseStream) and self._room() >= LEAST_SPLICE:
            pipe = Pipe()
            try:
                self._copy(wire, pipe)
            finally:
                pipe.close()
        else:
            self._copy(wire, None)
        first, stop, *_ = self._answer
        if stop is not None and self._part.position < stop:
            raise IncompleteBody(
                f"the part ended {stop - self._part.position} bytes early",
                received=self._part.position - first,
                expected=stop - first,
            )

    def _copy(self, wire: WireResponse, pipe: Pipe | None) -> None:
        """Write the body: past this process where *pipe* can take it, else through one buffer."""
        buffer: memoryview | None = None
        while True:
            count = None
            if pipe is not None:
                count = splice(wire, pipe, self._room())  # type: ignore[arg-type]  # with a pipe it is a ResponseStream
            if pipe is None or count is None:
                buffer = buffer or memoryview(bytearray(CHUNK))
                if count := wire.readinto(buffer):
                    self._store(buffer[:count])
            elif count:
                end = self._end_of(count)
                self._file.write_from(pipe, count, self._part.position)
                self._move(end)
            if not count:
                return

    def _store(self, data: memoryview) -> None:
        end = self._end_of(len(data))
        self._file.write(data, self._part.position)
        self._move(end)

    def _room(self) -> int:
        """Return how many bytes may come at most; one more than allowed where only the limit bounds them."""
        stop, position = self._answer.stop, self._part.position
        if stop is not None:
            return stop - position
        return sys.maxsize if self._limit is None else max(0, self._limit - position) + 1

    def _end_of(self, count: int) -> int:
        """Return where the next *count* bytes end, if they may come."""
        end = self._part.position + count
        if self._answer.stop is None:
            check_size(end, self._limit, self._part.position)
        elif end > self._answer.stop:
            raise StartAgain("the server sent more bytes than it said", ranges=False)
        return end

    def _move(self, end: int) -> None:
        self._part.position = end
        self._came()
