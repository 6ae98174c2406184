"""Fixtures for pytest; whoever has the package installed has them.

The law of the room: one fixture a resource, and what it opens is closed when the test ends.  pytest loads this
file in every run, also of suites that never use it, so it imports what it needs only when a fixture is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from client.testing import LoopbackServer

__all__ = ["http_server"]


@pytest.fixture
def http_server() -> Iterator[LoopbackServer]:
    """Yield a running `LoopbackServer` on a free port of 127.0.0.1; it stops when the test ends."""
    from client.testing import LoopbackServer

    with LoopbackServer() as server:
        yield server
