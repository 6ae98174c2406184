"""Build an SDK: a typed class over one session with base_url, auth, retries and its own errors.

python examples/sdk.py [BASE_URL]
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import client
from client.testing import LoopbackServer


class APIError(Exception):
    """The service refused with *status*; 0 if it was not reached."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Receipt(NamedTuple):
    """What the service says that it stored."""

    length: int
    sha256: str


class StorageAPI:
    """The service; tests hand in another transport."""

    def __init__(self, base_url: str, user: str, password: str, *, transport: Any = None) -> None:
        credentials = (user, password)
        self._session = client.Session(base_url=base_url, auth=credentials, retries=3, transport=transport)

    def store(self, name: str, data: bytes) -> Receipt:
        """Store *data* under *name*; raise `APIError` if that fails."""
        stored = self._call("PUT", f"/files/{name}", data=data).json()
        return Receipt(stored["length"], stored["sha256"])

    def _call(self, method: str, path: str, **options: Any) -> client.Response:
        try:
            response = self._session.request(method, path, **options)
        except client.RequestException as error:
            raise APIError(f"{method} {path}: {error}") from error
        if not response.ok:
            raise APIError(f"{method} {path}: refused with {response.status_code}", response.status_code)
        return response


def main(base_url: str) -> Receipt:
    return StorageAPI(base_url, "ada", "secret").store("notes.txt", b"hello")


if __name__ == "__main__":
    with LoopbackServer() as server:
        print(main(sys.argv[1] if len(sys.argv) > 1 else server.url))
