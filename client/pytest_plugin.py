"""Fixtures for pytest; the topmost ``conftest.py`` says ``pytest_plugins = ["client.pytest_plugin"]``.

The law of the room: one fixture a resource, and what it opens is closed when the test ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from client.testing import LoopbackServer

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["http_server"]


@pytest.fixture
def http_server() -> Iterator[LoopbackServer]:
    """Yield a running `LoopbackServer` on a free port of 127.0.0.1; it stops when the test ends."""
    with LoopbackServer() as server:
        yield server
