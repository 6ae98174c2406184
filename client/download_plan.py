"""What to ask for, and what an answer means: the decisions of a download, without I/O.

The law of the room: bytes of two versions of a file are never mixed.  A part is asked for with ``If-Range``, and what
comes back is used only if its Content-Range says that it is the very bytes that were asked for, of the same file
(RFC 9110 sections 13.1.5, 14.4 and 15.3.7).  Whatever else comes means `StartAgain`.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from client.exceptions import BodyTooLarge, DownloadError, InvalidRequest
from client.http_dates import parse_date

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "Answer",
    "Part",
    "StartAgain",
    "Version",
    "check_size",
    "expected_digest",
    "first_part",
    "is_coded",
    "judge",
    "positions",
    "range_fields",
    "split",
    "version_of",
]

MEBIBYTE: Final = 1 << 20
#: ``parts="auto"``: so many bytes are worth a connection of their own, and so many connections are enough.
AUTO_PART: Final = 8 * MEBIBYTE
AUTO_PARTS: Final = 8
#: ``parts=n`` is honoured down to this: a smaller part costs more in round trips than it gains.
LEAST_PART: Final = MEBIBYTE
#: ... and up to this: the journal of so many has half a MiB.
MOST_PARTS: Final = 10_000

_CONTENT_RANGE: Final = re.compile(r"bytes[ \t]+([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)
_UNSATISFIED: Final = re.compile(r"bytes[ \t]+\*/([0-9]{1,18})", re.IGNORECASE)
_STRONG_ETAG: Final = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')


class StartAgain(Exception):
    """What has arrived cannot be completed: the file changed, or the server's ranges are not to be relied on.

    Attributes:
        ranges: Whether the new start may ask for ranges again.
    """

    def __init__(self, message: str, *, ranges: bool) -> None:
        """Hold the reason and the consequence."""
        super().__init__(message)
        self.ranges = ranges


class Part:
    """A slice of the file that one worker fills from its start on.

    Attributes:
        start: Offset of its first byte.
        position: Offset of the next byte to come; all before it are on disk.
        stop: Offset after its last byte; None while the length of the file is unknown.
    """

    __slots__ = ("position", "start", "stop")

    def __init__(self, start: int, stop: int | None, position: int | None = None) -> None:
        """Begin at *start*, or go on at *position*."""
        self.start: int = start
        self.position: int = start if position is None else position
        self.stop: int | None = stop

    @property
    def is_complete(self) -> bool:
        """True once every byte has come."""
        return self.position == self.stop

    def __repr__(self) -> str:
        """Show the three offsets."""
        return f"<Part {self.start}..{self.position}..{self.stop}>"


class Version(NamedTuple):
    """What is known of the version of a file.

    Attributes:
        validator: What tells it from every other: a strong ETag, else Last-Modified, else None. ``If-Range`` has it.
        etag: The ETag field of the answers, strong or weak; None if they have none.
        modified: Their Last-Modified, whatever it is worth; None if they have none.
    """

    validator: str | None = None
    etag: str | None = None
    modified: str | None = None

    def is_another(self, other: Version) -> bool:
        """Say whether the fields of the two differ; one that is missing says nothing."""
        if self.etag is not None and other.etag is not None:
            if self.etag != other.etag:
                return True
            # It says more than a date, which may differ from server to server.
            if _STRONG_ETAG.fullmatch(self.etag):
                return False
        return None not in (self.modified, other.modified) and self.modified != other.modified

    def joined(self, other: Version) -> Version:
        """Return what is known now that another answer of this version has come."""
        return Version(self.validator, self.etag or other.etag, self.modified or other.modified)


class Answer(NamedTuple):
    """What a response brings.

    Attributes:
        first: Offset of its first byte; 0 for the whole file.
        stop: Offset after its last byte; None if only the end of the body tells.
        size: Of the whole file; None if nobody knows yet.
        whole: True if it is the whole file from its beginning, whatever was asked for.
    """

    first: int
    stop: int | None
    size: int | None
    whole: bool


def first_part(parts: Any) -> Part:
    """Return what the first request asks for: so much that it is worth asking whatever the size turns out to be.

    Raises:
        InvalidRequest: *parts* is neither ``"auto"`` nor a number of at least 1.
    """
    if parts == "auto":
        return Part(0, AUTO_PART)
    if not isinstance(parts, int) or isinstance(parts, bool) or parts < 1:
        raise InvalidRequest(f'parts={parts!r}: expected "auto" or a number of parts, at least 1')
    return Part(0, None if parts == 1 else LEAST_PART)


def split(size: int, covered: int, parts: int | Literal["auto"]) -> list[Part]:
    """Divide a file into parts of about the same size, the first of which takes in the first answer.

    Args:
        size: Bytes of the file.
        covered: Bytes that the first answer brings, from the beginning.
        parts: As the caller gave it.
    """
    count = (
        min(AUTO_PARTS, -(-size // AUTO_PART))
        if parts == "auto"
        else min(parts, size // LEAST_PART, MOST_PARTS)
    )
    count = max(1, count)
    begin = size if count == 1 else max(covered, -(-size // count))
    cuts = [0, begin]
    others = count - 1 if begin < size else 0
    cuts += [begin + (size - begin) * number // others for number in range(1, others + 1)]
    return [Part(start, stop) for start, stop in pairwise(cuts)]


def version_of(headers: Mapping[str, Any]) -> Version:
    """Return what an answer says of the version of the file.

    Last-Modified is a validator only if the answer was made at least a second later, since the file may have changed
    again within that second (RFC 9110 section 8.8.2.2).
    """
    etag, modified = headers.get("ETag") or None, headers.get("Last-Modified") or None
    validator = None
    if etag is not None and _STRONG_ETAG.fullmatch(etag):
        validator = etag
    elif modified is not None:
        modified_at, sent_at = parse_date(modified), parse_date(headers.get("Date", ""))
        if modified_at is not None and sent_at is not None and sent_at - modified_at >= 1:
            validator = modified
    return Version(validator, etag, modified)


def range_fields(part: Part, validator: str | None) -> dict[str, str]:
    """Return the header fields that ask for what is missing of *part*.

    Codings are refused: ranges of a coded file would be ranges of other bytes. Without a beginning and an end it is a
    request like any other, which every server answers.
    """
    fields = {"Accept-Encoding": "identity"}
    if part.position or part.stop is not None:
        last = "" if part.stop is None else part.stop - 1
        fields["Range"] = f"bytes={part.position}-{last}"
        if validator is not None:
            fields["If-Range"] = validator
    return fields


def judge(
    status: int, headers: Mapping[str, Any], part: Part, *, size: int | None, version: Version
) -> Answer:
    """Say what an answer to `range_fields` brings.

    Args:
        status: Of the answer; not 4xx or 5xx, except 416.
        headers: Of the answer.
        part: What was asked for.
        size: Of the file, as far as known.
        version: Of the file, as far as known.

    Returns:
        What it brings; ``first == stop`` if there was nothing left to bring.

    Raises:
        StartAgain: It does not fit what is known.
        DownloadError: It is no answer that brings a file.
    """
    if status == 206:
        return _judge_part(headers, part, size, version)
    if status in (200, 203):
        length = _whole_number(headers.get("Content-Length"))
        open_end = is_coded(headers) or "Transfer-Encoding" in headers
        return Answer(0, None if open_end else length, None if open_end else length, whole=True)
    if status == 416:
        _refuse_another(version, headers)
        unsatisfied = _UNSATISFIED.fullmatch(headers.get("Content-Range", ""))
        if unsatisfied is not None and int(unsatisfied[1]) == part.position and size in (None, part.position):
            return Answer(part.position, part.position, part.position, whole=False)
        raise StartAgain("the server has no such range (416)", ranges=False)
    raise DownloadError(f"status {status} brings no file")


def _judge_part(headers: Mapping[str, Any], part: Part, size: int | None, version: Version) -> Answer:
    asked_for = range_fields(part, None).get("Range")
    content_range = headers.get("Content-Range", "")
    found = _CONTENT_RANGE.fullmatch(content_range)
    is_multipart = headers.get("Content-Type", "").lstrip().lower().startswith("multipart/byteranges")
    if asked_for is None or found is None or found[3] == "*" or is_coded(headers) or is_multipart:
        raise StartAgain(f"206 with Content-Range {content_range!r:.80}, which is not usable", ranges=False)
    first, stop, total = int(found[1]), int(found[2]) + 1, int(found[3])
    beyond = part.stop is not None and stop > part.stop
    length = _whole_number(headers.get("Content-Length"))
    if first != part.position or not first < stop <= total or beyond or length not in (None, stop - first):
        raise StartAgain(f"asked for {asked_for!r}, got {content_range!r:.80}", ranges=False)
    if size is not None and total != size:
        raise StartAgain(f"the file had {size} bytes and now has {total}", ranges=True)
    _refuse_another(version, headers)
    if version.validator is None and version_of(headers).validator is None and stop < total:
        raise StartAgain("the server gives no strong ETag or Last-Modified to know the file by", ranges=False)
    return Answer(first, stop, total, whole=False)


def _refuse_another(version: Version, headers: Mapping[str, Any]) -> None:
    """Raise `StartAgain` where an answer is of another version: many servers know ranges and not If-Range."""
    if version.is_another(version_of(headers)):
        raise StartAgain("the file was changed meanwhile", ranges=True)


def check_size(size: int, limit: int | None, received: int) -> None:
    """Compare with ``max_size=``.

    Args:
        size: Bytes that the file has at least.
        limit: Most that it may have, None for no limit.
        received: Bytes of it that are on disk.

    Raises:
        BodyTooLarge: It has more.
    """
    if limit is not None and size > limit:
        message = f"the file has {size} bytes or more, which passes max_size={limit}"
        raise BodyTooLarge(message, limit=limit, received=received)


def expected_digest(checksum: Any) -> str | None:
    """Return the digits of ``sha256:<hex>``; None if none are given.

    Raises:
        InvalidRequest: It has another form.
    """
    if checksum in (None, "sha256"):
        return None
    name, _, digits = checksum.lower().partition(":") if isinstance(checksum, str) else ("", "", "")
    if name != "sha256" or len(digits) != 64 or set(digits) - set("0123456789abcdef"):
        raise InvalidRequest(f'checksum={checksum!r}: expected "sha256:" and 64 hex digits, or "sha256"')
    return digits


def positions(parts: Sequence[Part]) -> int:
    """Return how many bytes of all *parts* are on disk."""
    return sum(part.position - part.start for part in parts)


def is_coded(headers: Mapping[str, Any]) -> bool:
    """Say whether there is a content coding: then the bytes that come are not those of the file."""
    return headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity")


def _whole_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 19 else None
