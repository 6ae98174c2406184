"""The bytes that ``/bytes/N`` and ``/chunked/N`` serve, so that a test can tell right bytes from wrong ones.

They repeat themselves after `PERIOD` bytes, a prime: blocks of any power of two all differ, so a download
that swaps, repeats or drops one has another SHA-256.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BLOCK_SIZE", "payload", "payload_sha256"]

BLOCK_SIZE: Final = 256 * 1024  # bytes; the calls around a block cost nothing beside its copy
PERIOD: Final = 1_048_573  # bytes; the largest prime below 2**20


def payload(start: int, stop: int) -> Iterator[memoryview]:
    """Yield the bytes from offset *start* up to *stop* in views of at most `BLOCK_SIZE` bytes.

    Every view is a window of one block made at first use: bodies of any size cost no memory and no copy.
    """
    block = _block()
    while start < stop:
        offset = start % PERIOD
        count = min(BLOCK_SIZE, stop - start)
        yield block[offset : offset + count]
        start += count


@cache
def payload_sha256(size: int) -> str:
    """Return the SHA-256, in hex, of the *size* bytes that ``/bytes/size`` and ``/chunked/size`` serve."""
    digest = hashlib.sha256()
    for block in payload(0, size):
        digest.update(block)
    return digest.hexdigest()


@cache
def _block() -> memoryview:
    """Return one period and the start of the next, so that a window never wraps."""
    period = hashlib.shake_128(b"threadwire loopback payload").digest(PERIOD)
    return memoryview(period + period[:BLOCK_SIZE])
