"""Content codings: from the bytes on the wire back to what was encoded (RFC 9110 section 8.4).

The law of the room: a body is complete only when every coding reached its own end, output comes in bounded
steps, and a decoder that has failed once stays failed.  The libraries (zlib, brotli, zstd) are imported when
the first body needs them; their errors leave as `ContentDecodingError`.

    coding        needs                           after the end of the coded data
    gzip, x-gzip  zlib                            further members are joined, padding and junk ignored
    deflate       zlib                            junk ignored
    br            brotli >= 1.2                   junk is an error
    zstd          Python 3.14 or backports.zstd   further frames are joined, junk ignored

Junk is common after gzip (old servers pad, or append a line) and takes nothing from what was decoded: the
framing counted those bytes too. So it is ignored, as in browsers; brotli's library does not tell it apart.
"""

from __future__ import annotations

import os
import re
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from client.exceptions import ContentDecodingError
from client.response_limits import DEFAULT_RESPONSE_LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from importlib.machinery import ModuleSpec

__all__ = ["ACCEPT_ENCODING", "STEP", "Decoder", "decoder_for"]

#: Bytes of output that one step makes at most, whatever the input promises (CVE-2025-66471: a decoder without
#: such a bound turns a read of ten bytes into gigabytes).
STEP: Final = 256 * 1024

#: brotli takes a limit as a hint: it stops after the block that passes it, and its blocks grow up to 256 KiB.
BROTLI_LIMIT: Final = 64 * 1024

#: RFC 9659: a sender must not use a larger zstd window than 8 MiB, so a receiver need not allocate one.
ZSTD_WINDOW_LOG: Final = 23

#: A body may be a row of members or frames, and each costs time even where it holds nothing. So many are free; beyond
#: them each must hold so many bytes on average, or a few KiB of one coding that unpack to a row of empty members of
#: another would keep the processor busy for minutes, without a byte for `max_body` or `max_ratio` to count.
FREE_MEMBERS: Final = 1000
LEAST_IN_MEMBER: Final = 16

#: What one coding hands to the next costs nothing on the wire, and may decode to nothing for ever: a few hundred bytes
#: in five codings hold petabytes of empty blocks. So much of it is free, beyond that so much for each decoded byte.
FREE_INNER_INPUT: Final = 1 << 20
INNER_INPUT_RATIO: Final = 4

#: Bytes that a new member is given first, so that one which ends within them leaves no more to be handed back.
_FIRST_PIECE: Final = 1024

_PADDING: Final = re.compile(rb"\0*+")

ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
ZSTD_SKIPPABLE_MAGIC: Final = b"\x2a\x4d\x18"  # preceded by a byte 0x50 to 0x5f (RFC 8878 section 3.1.2)


class Decoder:
    """Undoes the codings of one body.

    Args:
        codings: In the order of Content-Encoding, that is, as they were applied.
    """

    __slots__ = ("_codings", "_failed")

    def __init__(self, codings: Sequence[_Coding]) -> None:
        """Start at the beginning of the body."""
        self._codings = tuple(reversed(codings))
        self._failed = False

    @property
    def eof(self) -> bool:
        """True if the body may end here: every coding reached its end, or none has seen a byte."""
        return all(coding.complete for coding in self._codings)

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what *data* decodes to, lazily, in pieces of 1 to `STEP` bytes.

        Exhaust the iterator before the next call; each piece is made only when it is asked for.

        Raises:
            ContentDecodingError: The data is broken, or was before.
        """
        if self._failed:
            raise ContentDecodingError("the decoder failed before; the rest of this body cannot be read")
        try:
            yield from self._through(data, 0)
        except ContentDecodingError:
            self._failed = True
            raise

    def finish(self) -> None:
        """Check that the body may end here.

        Raises:
            ContentDecodingError: The coded data was cut short, although the framing is complete.
        """
        for coding in self._codings:
            if self._failed or not coding.complete:
                self._failed = True
                raise ContentDecodingError(f"{coding.name}: the body ended before the coded data did")

    def _through(self, data: bytes, depth: int) -> Iterator[bytes]:
        # A coding keeps what it has not decoded yet, so at most one step of each coding is in memory.
        coding = self._codings[depth]
        if depth and coding.given + len(data) > FREE_INNER_INPUT + INNER_INPUT_RATIO * coding.produced:
            raise ContentDecodingError(
                f"{coding.name}: {coding.given} bytes of it, inside another coding, decode to {coding.produced}"
            )
        pieces = coding.decode(data)
        if depth + 1 == len(self._codings):
            yield from pieces
        else:
            for piece in pieces:
                yield from self._through(piece, depth + 1)


def decoder_for(
    content_encoding: Iterable[str], max_codings: int = DEFAULT_RESPONSE_LIMITS.codings
) -> Decoder | None:
    """Return a decoder for a body, or None to deliver its bytes as they are.

    Args:
        content_encoding: The value of each Content-Encoding line, in order; names are case-insensitive.
        max_codings: How many may be stacked, ``identity`` and all lines counted (CVE-2025-66418).

    None means ``identity``, or that one of the codings is unknown or not installed: then the bytes are
    delivered with all codings on, as requests does, and the header says which.

    Raises:
        ContentDecodingError: More codings than that.
    """
    names = [
        name
        for value in content_encoding
        for token in value.split(",")
        if (name := token.strip(" \t").lower())
    ]
    if len(names) > max_codings:
        raise ContentDecodingError(f"{len(names)} content codings; at most {max_codings} are decoded")
    codings = []
    for name in names:
        if name == "identity":
            continue
        kind = CODINGS.get(name)
        if kind is None or not kind.load():
            return None
        codings.append(kind())
    return Decoder(codings) if codings else None


class _Coding(ABC):
    """One content coding: a row of members (gzip) or frames (zstd), often a single one.

    Attributes:
        given, produced: Bytes so far, before and after decoding.
    """

    name = ""
    library: Any = None
    error: type[Exception] = Exception

    def __init__(self) -> None:
        self._input = b""
        self._at = 0  # what of it has been used
        self._member: Any = None  # the library's decompressor, None between members
        self._is_new = False  # the member has been given nothing yet
        self._members = 0
        self.given = 0
        self.produced = 0
        self._over = False  # what follows is junk

    @classmethod
    @abstractmethod
    def load(cls) -> bool:
        """Import the library on first use; return False if it is not installed or too old."""

    @property
    def complete(self) -> bool:
        if self._members == 0:
            return not self._input
        return self._member is None  # what is left over may be the beginning of a member, or junk

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield the pieces that *data* and what was left before decode to.

        Raises:
            ContentDecodingError: The data is broken, or a row of members that hold next to nothing.
        """
        self._input = self._input[self._at :] + data
        self._at = 0
        self.given += len(data)
        while self._member is not None or self._begin():
            before = self._at
            try:
                output = self._step()
            except self.error as error:
                self._input, self._at = b"", 0
                raise ContentDecodingError(f"{self.name}: {error}") from error
            if output:
                self.produced += len(output)
                yield output
            elif self._member is not None and self._at in (before, len(self._input)):
                return  # nothing came out and the end is not reached: more input is needed

    def _begin(self) -> bool:
        """Start the next member if `_input` holds enough to tell that there is one."""
        if not self._over and self._at < len(self._input):
            self._member = self._next_member()
        if self._over:
            self._input, self._at = b"", 0
        if self._member is None:
            return False
        self._is_new = True
        self._members += 1
        if self._members > FREE_MEMBERS + self.produced // LEAST_IN_MEMBER:
            raise ContentDecodingError(
                f"{self.name}: more than {FREE_MEMBERS} members, and {self.produced} bytes in all of them"
            )
        return True

    def _piece(self) -> memoryview:
        """Return the input for the next step; it counts as used."""
        end = min(self._at + _FIRST_PIECE, len(self._input)) if self._is_new else len(self._input)
        piece = memoryview(self._input)[self._at : end]
        self._at, self._is_new = end, False
        return piece

    @abstractmethod
    def _next_member(self) -> Any:
        """Return a decompressor; None if more input must tell, or with `_over` set if this is the end."""

    @abstractmethod
    def _step(self) -> bytes:
        """Decode at most `STEP` bytes of `_piece`; go back to what was not used, drop the member at its end."""


class _Zlib(_Coding):
    """What zlib reads: it hands unread input back, which must be given again."""

    @classmethod
    def load(cls) -> bool:
        if _Zlib.library is None:
            import zlib

            _Zlib.library = zlib
            _Zlib.error = zlib.error
        return True

    def _step(self) -> bytes:
        output: bytes = self._member.decompress(self._piece(), STEP)
        if self._member.eof:
            self._at -= len(self._member.unused_data)
            self._member = None
        else:
            self._at -= len(self._member.unconsumed_tail)
        return output


class _Gzip(_Zlib):
    """RFC 1952; zlib itself checks header, CRC and length of each member."""

    name = "gzip"

    def _next_member(self) -> Any:
        if self._members:
            # gzip(1) pads to blocks
            self._at = _PADDING.match(self._input, self._at).end()  # type: ignore[union-attr]  # matches b""
            if len(self._input) - self._at < 2:
                self._over = self._input[self._at :] not in {b"", b"\x1f"}
                return None
            if not self._input.startswith(b"\x1f\x8b", self._at):
                self._over = True
                return None
        return self.library.decompressobj(wbits=31)


class _Deflate(_Zlib):
    """RFC 1950 as the standard says, or bare RFC 1951 as some servers send (RFC 9110 section 8.4.1.2)."""

    name = "deflate"

    def _next_member(self) -> Any:
        if self._members:
            self._over = True
            return None
        if len(self._input) < 2:
            return None
        # A zlib header says method 8 and is a multiple of 31 (RFC 1950 section 2.2). Raw data whose first
        # byte ends in 8 would be a stored block with padding bits set, which no encoder writes.
        first, second = self._input[0], self._input[1]
        wrapped = first & 0x0F == 8 and first >> 4 <= 7 and (first << 8 | second) % 31 == 0
        return self.library.decompressobj(wbits=15 if wrapped else -15)


class _Zstd(_Coding):
    """RFC 8878."""

    name = "zstd"

    @classmethod
    def load(cls) -> bool:
        if cls.library is None:
            try:
                if sys.version_info >= (3, 14):
                    from compression import zstd
                else:
                    from backports import zstd
            except ImportError:
                return False
            cls.library = zstd
            cls.error = zstd.ZstdError
        return True

    def _next_member(self) -> Any:
        if self._members:
            head = self._input[self._at : self._at + 4]
            skippable = head[:1] and 0x50 <= head[0] <= 0x5F and ZSTD_SKIPPABLE_MAGIC.startswith(head[1:])
            if not (skippable or ZSTD_MAGIC.startswith(head)):
                self._over = True
                return None
            if len(head) < 4:
                return None
        options = {self.library.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG}
        return self.library.ZstdDecompressor(options=options)

    def _step(self) -> bytes:
        output: bytes = self._member.decompress(self._piece(), STEP)
        if self._member.eof:
            self._at -= len(self._member.unused_data)
            self._member = None
        return output


class _Brotli(_Coding):
    """RFC 7932."""

    name = "br"

    @classmethod
    def load(cls) -> bool:
        if cls.library is None:
            try:
                import brotli  # type: ignore[import-untyped]  # the package ships no stubs

                brotli.Decompressor().process(b"", output_buffer_limit=1)
            except (ImportError, TypeError):  # TypeError: before 1.2 the output had no limit (CVE-2025-6176)
                return False
            cls.library = brotli
            cls.error = brotli.error
        return True

    def _next_member(self) -> Any:
        if self._members:
            raise ContentDecodingError("br: data after the end of the stream")  # as the library, in one read
        return self.library.Decompressor()

    def _step(self) -> bytes:
        output: bytes = self._member.process(bytes(self._piece()), output_buffer_limit=BROTLI_LIMIT)
        if not output and self._member.is_finished():
            self._member = None
        return output


CODINGS: Final[dict[str, type[_Coding]]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,  # RFC 9110 section 8.4.1.3
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}


def _installed() -> str:
    """Say what can be decoded without importing it: the value of Accept-Encoding."""
    names = ["gzip", "deflate"]
    brotli = _find("brotli")
    if brotli and brotli.origin and _distribution_version(brotli.origin, "brotli") >= (1, 2):
        names.append("br")
    if _find("_zstd" if sys.version_info >= (3, 14) else "backports.zstd"):
        names.append("zstd")
    return ", ".join(names)


def _find(name: str) -> ModuleSpec | None:
    """Find a module without importing it; importlib.util would cost more than the search."""
    path: Sequence[str] | None = None
    if "." in name:
        package = _find(name.rpartition(".")[0])
        if package is None:
            return None
        path = package.submodule_search_locations
    for finder in sys.meta_path:
        if hasattr(finder, "find_spec") and (spec := finder.find_spec(name, path)):
            return spec
    return None


def _distribution_version(file: str, name: str) -> tuple[int, ...]:
    """Read the version of *name* from its metadata directory beside *file*; importlib.metadata imports email."""
    try:
        entries = os.listdir(os.path.dirname(file))  # noqa: PTH120, PTH208  # pathlib is slow to import
    except OSError:
        return ()
    for entry in entries:
        project, _, rest = entry.partition("-")
        if project.lower() == name and rest.endswith((".dist-info", ".egg-info")):
            return tuple(int(digits) for digits in rest.split("-")[0].split(".")[:2] if digits.isdigit())
    return ()


#: The value of Accept-Encoding that names what is installed, such as ``"gzip, deflate, br, zstd"``.
ACCEPT_ENCODING: Final = _installed()
