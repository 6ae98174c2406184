"""No attack of the catalogue is forgotten, and docs/security.md says what the tests prove, no more and no less."""

from __future__ import annotations

import pytest

from tests.security.catalogue import (
    DIFFERENT,
    NOT_APPLICABLE,
    PAGE,
    PROVED_ELSEWHERE,
    ROWS,
    SAME_AS,
    SEEN_IN,
    elsewhere,
    page_with_tables,
    proofs,
)


@pytest.mark.parametrize("row", ROWS)
def test_every_row_is_a_test_or_says_why_not(row: str) -> None:
    """A test of another room, or of another row, is beside one that bears this number and not in its place."""
    assert bool(proofs().get(row)) is (row not in NOT_APPLICABLE)
    assert row in proofs() or not (elsewhere(row) or SAME_AS.get(row))


def test_every_test_bears_a_number_of_the_catalogue() -> None:
    assert set() == proofs().keys() - set(ROWS)


@pytest.mark.parametrize("table", [NOT_APPLICABLE, DIFFERENT, PROVED_ELSEWHERE, SAME_AS, SEEN_IN])
def test_no_table_speaks_of_a_row_that_is_none(table: dict[str, object]) -> None:
    assert set() == table.keys() - set(ROWS)


def test_rows_that_are_named_as_the_same_are_proved_themselves() -> None:
    named = {other for others in SAME_AS.values() for other in others}

    assert set() == {row for row in named if not proofs().get(row)}


def test_the_page_is_what_the_tests_say() -> None:
    """`python -m tests.security` writes it anew."""
    page = PAGE.read_text(encoding="utf-8")

    assert page == page_with_tables(page), "run: python -m tests.security"
