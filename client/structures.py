"""requests' name for where its mapping of header fields lives."""

from __future__ import annotations

from client.headers import CaseInsensitiveDict

__all__ = ["CaseInsensitiveDict"]
