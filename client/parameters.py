"""Parameters of header fields: ``; name=value; name="quoted value"`` (RFC 9110 section 5.6.6).

The law of the room: one pass, one anchored regex that never backs up, so 64 KiB of quotes, commas and
backslashes cost no more than 64 KiB of text.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["parameters"]

# RFC 9110 section 5.6.6
#   parameters      = *( OWS ";" OWS [ parameter ] )
#   parameter       = parameter-name "=" parameter-value
#   parameter-value = ( token / quoted-string )
# Wider: blanks round "=", a name without a value, and any value without blank, quote, comma or semicolon;
# servers send all of these.
_PARAMETER: Final = re.compile(
    r"""[ \t]*+;[ \t]*+
        (?: ([!#$%&'*+.^_`|~0-9A-Za-z-]++) [ \t]*+
            (?: = [ \t]*+ (?: "((?:[^"\\]++|\\.)*+)" | ([^;,"\s]*+) ) )?+
        )?+""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


def parameters(text: str, start: int = 0) -> tuple[dict[str, str], int]:
    """Read the parameters that stand at *start*.

    Args:
        text: A field value.
        start: Index of the blank or semicolon behind what the parameters belong to.

    Returns:
        Values by lower-case name, the first of each name (RFC 8288 section 3.3 asks so for ``rel``), ``""``
        where there is none; and the index of the first character that belongs to no parameter.
    """
    found: dict[str, str] = {}
    while match := _PARAMETER.match(text, start):
        name, quoted, token = match.groups()
        if name:
            value = _ESCAPE.sub(r"\1", quoted) if quoted is not None else token or ""
            found.setdefault(name.lower(), value)
        start = match.end()
    return found, start
