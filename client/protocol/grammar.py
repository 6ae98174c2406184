"""The grammar of HTTP/1.1 as regular expressions over bytes, each under the ABNF that it implements.

The law of the room: every repetition is possessive (``*+``, ``++``) or bounded, so that no input, however
hostile, makes a match backtrack, and what is searched for begins at a line or behind what it cannot contain,
so that no run of bytes is scanned twice: time is linear in the bytes looked at. RFC 9112 (messages), RFC 9110
section 5 (fields).
"""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "BARE_LINE_FEED",
    "CHUNK_LINE_LENIENT",
    "CHUNK_LINE_STRICT",
    "CONTROL_FIELD",
    "CONTROL_FIELDS",
    "FIELD",
    "FIELD_BLOCK",
    "FIELD_BLOCK_TO_SEND",
    "FIELD_LINE",
    "FIELD_SECTION",
    "FIELD_TO_SEND",
    "FOLD",
    "HEAD_END",
    "HEAD_END_LENIENT",
    "HOST",
    "NEXT_CHUNK_LINE",
    "PLAIN_CHUNK_LINE",
    "PLAIN_CHUNK_LINE_BYTES",
    "REASON",
    "REQUEST_BEGINNING",
    "REQUEST_HEAD_TO_SEND",
    "REQUEST_LINE",
    "RESPONSE_BEGINNING",
    "RESPONSE_HEAD_TO_SEND",
    "STATUS_LINE",
    "TARGET",
    "TOKEN",
    "TRAILING_BLANKS",
    "VERSION",
]

# RFC 9110 section 5.6.2
#   token = 1*tchar
_TCHAR = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]"
_TOKEN = _TCHAR + rb"++"

# RFC 9110 section 5.5
#   field-value = *field-content,  field-vchar = VCHAR / obs-text
# Narrower than "MAY retain": no control byte but HTAB. NUL, CR and LF split messages (section 5.5); the
# others only serve to smuggle past whoever strips or splits on them.
_TEXT = rb"[\t -~\x80-\xff]"

TOKEN: Final = re.compile(_TOKEN)

# RFC 9112 section 2.2
#   "a recipient MAY recognize a single LF as a line terminator": only where a reader says so.
BARE_LINE_FEED: Final = re.compile(rb"(?<!\r)\n")
HEAD_END: Final = re.compile(rb"\r\n\r\n")
HEAD_END_LENIENT: Final = re.compile(rb"\n\r?\n")

# RFC 9112 section 5.2
#   obs-fold = OWS CRLF RWS
FOLD: Final = re.compile(rb"(?<![ \t])(?:[ \t]*+\r\n[ \t]++)++")

# RFC 9112 section 5
#   field-line = field-name ":" OWS field-value OWS
# Each line is taken with the CRLF before it, so that a block of them fits between a start line and the empty
# line. No blank before the colon (section 5.1). Narrower: no blank behind the value; those who send one meet
# `TRAILING_BLANKS` and are matched again.
_FIELD = rb"\r\n" + _TOKEN + rb":" + _TEXT + rb"*+(?<![ \t])"
FIELD_LINE: Final = re.compile(_FIELD + rb"(?=\r\n)")
FIELD_BLOCK: Final = re.compile(rb"(?:" + _FIELD + rb")*+")
FIELD_SECTION: Final = re.compile(rb"((?:" + _FIELD + rb")*+)\r\n\r\n")
TRAILING_BLANKS: Final = re.compile(rb"(?<![ \t])[ \t]++(?=\r\n)")

#: Takes lines apart that the grammar has passed: one (name, value) a line.
FIELD: Final = re.compile(rb"\r\n([^:\r\n]++):[ \t]*+([^\r]*+)")

# What we send is narrower still: one blank behind the colon, none around the value.
_FIELD_TO_SEND = rb"\r\n" + _TOKEN + rb": (?:[!-~\x80-\xff]" + _TEXT + rb"*+(?<![ \t]))?+"
FIELD_TO_SEND: Final = re.compile(_FIELD_TO_SEND + rb"(?=\r\n|\Z)")
FIELD_BLOCK_TO_SEND: Final = re.compile(rb"(?:" + _FIELD_TO_SEND + rb")*+")

#: The fields that the engine itself obeys; everything else is cargo.
CONTROL_FIELDS: Final = (
    b"connection",
    b"content-length",
    b"expect",
    b"host",
    b"transfer-encoding",
    b"upgrade",
)
#: Picks them out of lines that the grammar has passed, and that were lower-cased. It begins with one literal
#: byte, which is searched for fastest.
CONTROL_FIELD: Final = re.compile(rb"\n(" + b"|".join(CONTROL_FIELDS) + rb"):[ \t]*+([^\r]*+)")

# RFC 9112 section 4
#   status-line = HTTP-version SP status-code SP [ reason-phrase ]
# Wider: the second blank may be missing with the reason; too many servers leave it out (h11, llhttp accept it
# too). Narrower: single blanks (section 4 warns of the lenient split), major version 1, and no status code
# below 100.
_STATUS_LINE = rb"HTTP/(1\.[0-9]) ([1-9][0-9][0-9])(?: (" + _TEXT + rb"*+))?+"
STATUS_LINE: Final = re.compile(_STATUS_LINE + rb"(?=\r\n)")
RESPONSE_BEGINNING: Final = re.compile(rb"HTTP/1\.|(?:HTTP/1|HTTP/|HTTP|HTT|HT|H)\Z")
RESPONSE_HEAD_TO_SEND: Final = re.compile(
    rb"HTTP/1\.1 [1-9][0-9][0-9] " + _TEXT + rb"*+(?:" + _FIELD_TO_SEND + rb")*+\r\n\r\n"
)
REASON: Final = re.compile(_TEXT + rb"*+")

# RFC 9112 section 3
#   request-line   = method SP request-target SP HTTP-version
#   request-target = visible ASCII; which of its four forms fits is for the application to judge
# Every major version matches here, so that HTTP/2's preface earns 505 and not 400.
TARGET: Final = re.compile(rb"[!-~]++")
VERSION: Final = re.compile(rb"[0-9]\.[0-9]")
_REQUEST_LINE = rb"(" + _TOKEN + rb") ([!-~]++) HTTP/([0-9]\.[0-9])"
REQUEST_LINE: Final = re.compile(_REQUEST_LINE + rb"(?=\r\n)")
REQUEST_BEGINNING: Final = re.compile(_TCHAR)
REQUEST_HEAD_TO_SEND: Final = re.compile(
    _TOKEN + rb" [!-~]++ HTTP/1\.1(?:" + _FIELD_TO_SEND + rb")*+\r\n\r\n"
)

# RFC 9110 section 7.2, RFC 3986 section 3.2.2
#   Host = uri-host [ ":" port ]
# No user information: it is not part of the host, and one that is ignored lets "a@b" be read as either.
_REG_NAME = rb"[-A-Za-z0-9._~!$&'()*+,;=]*+(?:%[0-9A-Fa-f]{2}[-A-Za-z0-9._~!$&'()*+,;=]*+)*+"
HOST: Final = re.compile(rb"(?:\[[0-9A-Za-z:.%\-_~]++\]|" + _REG_NAME + rb")(?::[0-9]*+)?+")

# RFC 9112 section 7.1
#   chunk      = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
#   chunk-size = 1*HEXDIG
#   chunk-ext  = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
#   chunk-ext-val = token / quoted-string
# Narrower: 16 digits, leading zeros included; section 7.1 tells recipients to guard the conversion.
# Extensions are checked although they are ignored: whoever ends the line elsewhere than we do sees other
# chunks.
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]++|\\[\t -~\x80-\xff])*+"'
_BWS = rb"[ \t]*+"
_EXTENSION_VALUE = _BWS + rb"=" + _BWS + rb"(?:" + _TOKEN + rb"|" + _QUOTED + rb")"
_EXTENSIONS = rb"(?:" + _BWS + rb";" + _BWS + _TOKEN + rb"(?:" + _EXTENSION_VALUE + rb")?+)*+"
_CHUNK_SIZE = rb"([0-9A-Fa-f]{1,16}+)" + _EXTENSIONS
#: A line without extensions, of a size that needs no check; the same with the end of the chunk before it.
PLAIN_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15}+)\r\n")
PLAIN_CHUNK_LINE_BYTES: Final = 17
NEXT_CHUNK_LINE: Final = re.compile(rb"\r\n([0-9A-Fa-f]{1,15}+)\r\n")
CHUNK_LINE_STRICT: Final = re.compile(_CHUNK_SIZE + rb"\r\n")
# Wider, for responses only: blanks at the end of the line; some servers pad the size to a fixed width.
CHUNK_LINE_LENIENT: Final = re.compile(_CHUNK_SIZE + _BWS + rb"\r\n")
