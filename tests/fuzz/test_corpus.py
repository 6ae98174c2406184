"""Replays the fuzzers' corpus without the fuzzer, so that nothing they found comes back."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.fuzz.targets import CORPUS, TARGETS


@pytest.mark.parametrize(
    "path", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_an_input_of_the_corpus(path: Path) -> None:
    target = TARGETS[path.parent.name]
    getattr(importlib.import_module(f"tests.fuzz.{target.room}"), target.check)(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_has_seeds(name: str) -> None:
    assert any((CORPUS / name).iterdir())
