"""The grammar of HTTP/1.1 as regular expressions over bytes, each under the ABNF that it implements.

The law of the room: every repetition is possessive (``*+``, ``++``) or bounded, so that no input, however hostile, makes
a match backtrack; time is linear in the bytes looked at. RFC 9112 (messages), RFC 9110 section 5 (fields).
"""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "CHUNK_LINE_LENIENT",
    "CHUNK_LINE_STRICT",
    "CONTENT_LENGTH",
    "FIELD",
    "FIELD_BLOCK",
    "FIELD_BLOCK_TO_SEND",
    "FIELD_LINE",
    "HOST",
    "REASON",
    "REQUEST_HEAD",
    "REQUEST_LINE",
    "RESPONSE_HEAD",
    "STATUS_LINE",
    "TARGET",
    "TOKEN",
    "VERSION",
]

# RFC 9110 section 5.6.2
#   token = 1*tchar
_TCHAR = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]"
_TOKEN = _TCHAR + rb"++"

# RFC 9110 section 5.5
#   field-value = *field-content,  field-vchar = VCHAR / obs-text
# Narrower than "MAY retain": no control byte but HTAB. NUL, CR and LF split messages (section 5.5); the others only
# serve to smuggle past whoever strips or splits on them.
_VCHAR = rb"[!-~\x80-\xff]"
_TEXT = rb"[\t -~\x80-\xff]"

TOKEN: Final = re.compile(_TOKEN)

# RFC 9112 section 5
#   field-line = field-name ":" OWS field-value OWS
# No blank before the colon (section 5.1). Blanks around the value belong to no group of `FIELD`'s caller: it strips the
# trailing ones, which a regular expression could not without backtracking.
_FIELD_LINE = _TOKEN + rb":" + _TEXT + rb"*+\r\n"
FIELD_LINE: Final = re.compile(_FIELD_LINE)
FIELD_BLOCK: Final = re.compile(rb"(?:" + _FIELD_LINE + rb")*+")

#: Takes a block apart that `FIELD_BLOCK` has passed: (name, value with its trailing blanks) for each line.
FIELD: Final = re.compile(rb"([^:]++):[ \t]*+([^\r]*+)\r\n")

# What we send is narrower still: one blank after the colon, none around the value.
FIELD_BLOCK_TO_SEND: Final = re.compile(
    rb"(?:" + _TOKEN + rb": (?:" + _VCHAR + _TEXT + rb"*+(?<![ \t]))?+\r\n)*+"
)

# RFC 9112 section 4
#   status-line = HTTP-version SP status-code SP [ reason-phrase ]
# Wider: the second blank may be missing with the reason; too many servers leave it out (h11, llhttp accept it too).
# Narrower: single blanks (section 4 warns of the lenient split), major version 1, and no status code below 100.
_STATUS_LINE = rb"HTTP/(1\.[0-9]) ([1-9][0-9][0-9])(?: (" + _TEXT + rb"*+))?+\r\n"
STATUS_LINE: Final = re.compile(_STATUS_LINE)
RESPONSE_HEAD: Final = re.compile(_STATUS_LINE + rb"((?:" + _FIELD_LINE + rb")*+)\r\n")
REASON: Final = re.compile(_TEXT + rb"*+")

# RFC 9112 section 3
#   request-line   = method SP request-target SP HTTP-version
#   request-target = visible ASCII; which of its four forms fits is for the application to judge
# Every major version matches here, so that HTTP/2's preface earns 505 and not 400.
TARGET: Final = re.compile(rb"[!-~]++")
VERSION: Final = re.compile(rb"[0-9]\.[0-9]")
_REQUEST_LINE = rb"(" + _TOKEN + rb") ([!-~]++) HTTP/([0-9]\.[0-9])\r\n"
REQUEST_LINE: Final = re.compile(_REQUEST_LINE)
REQUEST_HEAD: Final = re.compile(_REQUEST_LINE + rb"((?:" + _FIELD_LINE + rb")*+)\r\n")

# RFC 9110 section 7.2, RFC 3986 section 3.2.2
#   Host = uri-host [ ":" port ]
# No user information: it is not part of the host, and one that is ignored lets "a@b" be read as either.
HOST: Final = re.compile(
    rb"(?:\[[0-9A-Za-z:.%\-_~]++\]|(?:[-A-Za-z0-9._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*+)(?::[0-9]*+)?+"
)

# RFC 9110 section 8.6
#   Content-Length = 1*DIGIT
# Narrower: 20 digits; what they say must also fit a signed 64-bit integer (`framing.MAX_LENGTH`).
CONTENT_LENGTH: Final = re.compile(rb"[0-9]{1,20}")

# RFC 9112 section 7.1
#   chunk      = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
#   chunk-size = 1*HEXDIG
#   chunk-ext  = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
#   chunk-ext-val = token / quoted-string
# Narrower: 16 digits, leading zeros included; section 7.1 tells recipients to guard the conversion.
# Extensions are checked although they are ignored: whoever ends the line elsewhere than we do sees other chunks.
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]++|\\[\t -~\x80-\xff])*+"'
_BWS = rb"[ \t]*+"
_EXTENSIONS = (
    rb"(?:"
    + _BWS
    + rb";"
    + _BWS
    + _TOKEN
    + rb"(?:"
    + _BWS
    + rb"="
    + _BWS
    + rb"(?:"
    + _TOKEN
    + rb"|"
    + _QUOTED
    + rb"))?+)*+"
)
_CHUNK_SIZE = rb"([0-9A-Fa-f]{1,16}+)(" + _EXTENSIONS + rb")"
CHUNK_LINE_STRICT: Final = re.compile(_CHUNK_SIZE + rb"\r\n")
# Wider, for responses only: blanks at the end of the line; some servers pad the size to a fixed width.
CHUNK_LINE_LENIENT: Final = re.compile(_CHUNK_SIZE + _BWS + rb"\r\n")
