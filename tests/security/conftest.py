"""Fixtures of the attacks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.security.origins import Origins, two_origins


@pytest.fixture
def origins() -> Iterator[Origins]:
    """Two origins that play exact bytes; a connection without a script fails the test."""
    with two_origins() as both:
        yield both
