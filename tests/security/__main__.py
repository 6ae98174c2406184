"""Write the tables of docs/security.md anew: ``python -m tests.security``."""

from __future__ import annotations

from tests.security.catalogue import PAGE, page_with_tables

PAGE.write_text(page_with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
