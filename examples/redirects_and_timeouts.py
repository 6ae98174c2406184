"""Decide how far to follow and how long to wait.

python examples/redirects_and_timeouts.py [BASE_URL]
"""

from __future__ import annotations

import sys

import client
from client.testing import LoopbackServer


def main(base_url: str) -> list[str]:
    seen = []
    with client.Session(base_url=base_url, timeout=10, max_redirects=5) as session:
        response = session.get("/redirect/3")
        seen.append(f"{len(response.history)} redirects to {response.json()['target']}")

        response = session.get("/redirect/3", allow_redirects=False)
        seen.append(f"{response.status_code} to {response.headers['Location']}")

        try:
            session.get("/redirect/6")
        except client.TooManyRedirects:
            seen.append("more than 5 redirects")

        try:  # (connect, read): no byte came for 0.2 seconds
            session.get("/delay/5", timeout=(3, 0.2))
        except client.ReadTimeout as error:
            seen.append(f"silent for {error.seconds} s in phase {error.phase}")

        try:  # each byte comes in time, the last one would not: only a total ends that
            session.get("/drip?bytes=1000&interval=0.05", timeout=client.Timeouts(total=0.3))
        except client.TotalTimeout as error:
            seen.append(f"not done after {error.seconds} s")
    return seen


if __name__ == "__main__":
    with LoopbackServer() as server:
        print(*main(sys.argv[1] if len(sys.argv) > 1 else server.url), sep="\n")
