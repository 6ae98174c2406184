"""Call a REST API from a script: query parameters, JSON both ways, credentials, cookies.

python examples/rest_script.py [BASE_URL]
"""

from __future__ import annotations

import sys
from typing import Any

import client
from client.testing import LoopbackServer


def main(base_url: str) -> dict[str, Any]:
    with client.Session(base_url=base_url, timeout=10) as session:
        session.headers["X-Application"] = "rest-script"

        found = session.get("/search", params={"q": "naïve café", "page": 2})
        found.raise_for_status()

        created = session.post("/notes", json={"title": "Buy milk", "done": False})
        created.raise_for_status()

        private = session.get("/basic-auth/ada/secret", auth=("ada", "secret"))
        private.raise_for_status()

        session.get("/cookies/set?theme=dark")  # sets the cookie and redirects
        cookies = session.get("/cookies").json()

    return {
        "target": found.json()["target"],
        "sent": created.json()["length"],
        "user": private.json()["user"],
        "cookies": cookies["cookies"],
    }


if __name__ == "__main__":
    with LoopbackServer() as server:
        print(main(sys.argv[1] if len(sys.argv) > 1 else server.url))
