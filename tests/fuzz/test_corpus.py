"""Replays the fuzzers' corpus without the fuzzer, so that nothing they found comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.invariants import check_client_role, check_server_role

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("path", sorted(CORPUS.glob("client/*")), ids=lambda path: path.name)
def test_client_role(path: Path) -> None:
    check_client_role(path.read_bytes())


@pytest.mark.parametrize("path", sorted(CORPUS.glob("server/*")), ids=lambda path: path.name)
def test_server_role(path: Path) -> None:
    check_server_role(path.read_bytes())
