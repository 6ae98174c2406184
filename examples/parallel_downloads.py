"""Fetch many URLs on the session's worker pool, in order and as they come, and save files in parallel parts.

python examples/parallel_downloads.py [BASE_URL]
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from pathlib import Path

import client
from client.testing import LoopbackServer

SIZE = 256 * 1024  # bytes


def main(base_url: str) -> dict[str, int]:
    urls = [f"{base_url}/bytes/{SIZE + number}" for number in range(40)]
    checksums = set()
    started = time.perf_counter()
    with client.Session(workers=8, timeout=30) as session:
        # Results come in the order of the jobs; a bounded number is under way, however many jobs there are.
        for response in session.map(urls, per_host=6, progress=True):
            response.raise_for_status()
            checksums.add(hashlib.sha256(response.content).hexdigest())
        seconds = time.perf_counter() - started
        print(f"{len(urls)} files in {seconds:.2f} s", file=sys.stderr)

        # One call in the background, its result when it is needed.
        future = session.submit("GET", urls[0])
        first = len(future.result().content)

        # To disk: in parts side by side, and whole or not at all. A second call would go on where this one broke off.
        with tempfile.TemporaryDirectory() as folder:
            done = session.download(f"{base_url}/bytes/{64 * SIZE}", Path(folder, "large"), retries=3)
            print(f"{done.bytes} bytes in {done.parts} parts", file=sys.stderr)
            results = session.download_many(((url, folder) for url in urls), timeout=10)
            saved = len(results.done)
    return {
        "files": len(urls),
        "different": len(checksums),
        "first": first,
        "parts": done.parts,
        "saved": saved,
    }


if __name__ == "__main__":
    with LoopbackServer() as server:
        print(main(sys.argv[1] if len(sys.argv) > 1 else server.url))
