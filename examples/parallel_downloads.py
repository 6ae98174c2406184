"""Fetch many URLs on the session's worker pool and check each, in order and as they come.

python examples/parallel_downloads.py [BASE_URL]
"""

from __future__ import annotations

import hashlib
import sys
import time

import client
from client.testing import LoopbackServer

SIZE = 256 * 1024  # bytes


def main(base_url: str) -> dict[str, int]:
    urls = [f"{base_url}/bytes/{SIZE + number}" for number in range(40)]
    checksums = set()
    started = time.perf_counter()
    with client.Session(workers=8, timeout=30) as session:
        # Results come in the order of the jobs; a bounded number is under way, however many jobs there are.
        for response in session.map(urls):
            response.raise_for_status()
            checksums.add(hashlib.sha256(response.content).hexdigest())
        seconds = time.perf_counter() - started
        print(f"{len(urls)} files in {seconds:.2f} s", file=sys.stderr)

        # One call in the background, its result when it is needed.
        future = session.submit("GET", urls[0])
        first = len(future.result().content)
    return {"files": len(urls), "different": len(checksums), "first": first}


if __name__ == "__main__":
    with LoopbackServer() as server:
        print(main(sys.argv[1] if len(sys.argv) > 1 else server.url))
