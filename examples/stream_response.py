"""Read an answer as it arrives: into a file in constant memory, and event by event.

python examples/stream_response.py [BASE_URL]
"""

from __future__ import annotations

import hashlib
import sys
import tempfile

import client
from client.testing import LoopbackServer

SIZE = 10_000_000  # bytes


def main(base_url: str) -> dict[str, int | str]:
    digest = hashlib.sha256()
    with client.Session(base_url=base_url, timeout=30) as session:
        with session.get(f"/bytes/{SIZE}", stream=True) as response, tempfile.TemporaryFile() as file:
            response.raise_for_status()
            for piece in response.iter_content(64 * 1024):
                file.write(piece)
                digest.update(piece)
            size = file.tell()  # a body that breaks off has raised before this line

        with session.get("/sse?events=5", stream=True) as response:
            events = [event.data for event in response.iter_sse()]
    return {"size": size, "sha256": digest.hexdigest(), "events": len(events), "last": events[-1]}


if __name__ == "__main__":
    with LoopbackServer() as server:
        print(main(sys.argv[1] if len(sys.argv) > 1 else server.url))
