"""Upload a large file: alone, and in a form beside other fields. It is never read into memory.

Over plain HTTP the kernel sends it (sendfile). What is sent begins where the file stands, and a redirect or a retry
begins there again.

python examples/file_upload.py [BASE_URL]
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

import client
from client.testing import LoopbackServer

SIZE = 20_000_000  # bytes


def main(base_url: str) -> dict[str, int | bool]:
    told: list[int] = []

    def show(sent: int, _total: int | None) -> None:
        told.append(sent)

    with tempfile.TemporaryDirectory() as folder, client.Session(timeout=30) as session:
        path = Path(folder, "backup.tar")
        path.write_bytes(bytes(range(250)) * (SIZE // 250))
        with path.open("rb") as file:
            alone = session.put(f"{base_url}/backups/1", data=file, progress=show)
        with path.open("rb") as file:
            form = session.post(f"{base_url}/backups", data={"comment": "weekly"}, files={"backup": file})
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for response in (alone, form):
        response.raise_for_status()
    return {
        "sent": told[-1],
        "intact": alone.json()["sha256"] == digest,
        "around the file in the form": form.json()["length"] - SIZE,
    }


if __name__ == "__main__":
    with LoopbackServer() as server:
        print(main(sys.argv[1] if len(sys.argv) > 1 else server.url))
