"""docs/rfc-compliance.md names tests; this keeps the promise that they exist, and that no row is forgotten there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.conformance.test_sender_refusals import REFUSALS
from tests.conformance.test_verdicts import ROWS

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "rfc-compliance.md"

ROW_IDS = {row.id for row in ROWS} | {refusal.id for refusal in REFUSALS}


def named_on_the_page() -> tuple[set[str], set[str]]:
    """Return the row ids and the test names in the last column of every table."""
    rows: set[str] = set()
    functions: set[str] = set()
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|") or line.startswith(("| §", "|--")):
            continue
        tests = line.split("|")[-2]
        functions.update(re.findall(r"`(\w+)`", tests))
        rows.update(re.sub(r"`\w+`", "", tests).split())
    return rows, functions


def test_every_row_on_the_page_exists() -> None:
    rows, _ = named_on_the_page()

    assert set() == rows - ROW_IDS


def test_every_test_on_the_page_exists() -> None:
    _, functions = named_on_the_page()
    defined = {
        node.name
        for path in HERE.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }

    assert set() == functions - defined


def test_every_row_is_on_the_page() -> None:
    rows, _ = named_on_the_page()

    assert set() == {row for row in ROW_IDS if not row.endswith("-server")} - rows
