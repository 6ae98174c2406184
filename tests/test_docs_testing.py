"""The code in docs/testing.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

import client

PAGE = Path(__file__).parent.parent / "docs" / "testing.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@Request.application
def app(request: Request) -> Response:
    """Stand for the reader's own application."""
    return Response(request.get_data())


def test_the_page_has_its_five_blocks() -> None:
    assert 5 == len(BLOCKS)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_runs(no_leaks: None, number: int) -> None:
    namespace: dict[str, Any] = {"client": client, "app": app}
    for block in BLOCKS[: number + 1]:  # a page is read from the top: a later block uses earlier imports
        exec(compile(block, str(PAGE), "exec"), namespace)  # our own documentation
