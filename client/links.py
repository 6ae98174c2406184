"""The Link header (RFC 8288): what `Response.links` shows.

The law of the room: linear, forgiving, one pass; a broken link is skipped up to the next comma and the others
stay readable.
"""

from __future__ import annotations

import re
from typing import Final

from client.parameters import parameters

__all__ = ["parse_links"]

_SEPARATORS: Final = re.compile(r"[\s,]*+")

#: A target has no brackets of its own (RFC 3986), so a comma inside it is part of it.
_TARGET: Final = re.compile(r"<([^<>]*+)>")


def parse_links(value: str) -> list[dict[str, str]]:
    """Read a Link field.

    Args:
        value: The field's value, several lines joined by a comma.

    Returns:
        One dict for each link, in order: ``url`` (as sent, may be relative) and its parameters by
        lower-case name.
    """
    links = []
    position = 0
    while position >= 0:
        position = _SEPARATORS.match(value, position).end()  # type: ignore[union-attr]  # it matches the empty string
        if match := _TARGET.match(value, position):
            found, position = parameters(value, match.end())
            if "rel" in found:
                found["rel"] = found["rel"].strip("'")  # no relation has quotes, but servers write rel='next'
            links.append({**found, "url": match[1].strip()})
        else:
            position = value.find(",", position)
    return links
