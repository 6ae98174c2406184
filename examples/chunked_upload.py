"""Upload what is made on the way, from a generator: chunked, piece by piece, in constant memory.

python examples/chunked_upload.py [BASE_URL]
"""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING

import client
from client.testing import LoopbackServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 200_000


def main(base_url: str) -> dict[str, int | bool]:
    digest = hashlib.sha256()
    sent = 0

    def report() -> Iterator[bytes]:
        nonlocal sent
        for start in range(0, ROWS, 1000):
            piece = b"".join(b"%d,%d\n" % (row, row * row) for row in range(start, start + 1000))
            digest.update(piece)
            sent += len(piece)
            yield piece

    response = client.put(
        f"{base_url}/reports/squares.csv",
        data=report(),
        headers={"Content-Type": "text/csv"},
        timeout=30,
    )
    response.raise_for_status()
    stored = response.json()
    return {"sent": sent, "stored": stored["length"], "intact": stored["sha256"] == digest.hexdigest()}


if __name__ == "__main__":
    with LoopbackServer() as server:
        print(main(sys.argv[1] if len(sys.argv) > 1 else server.url))
