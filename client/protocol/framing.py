"""Where a message body ends, decided from the fields that say so. RFC 9112 section 6.3.

The answer is one number: a length in bytes, `CHUNKED` or `UNTIL_CLOSE`. All rules about these fields live here, for both
roles and both directions; they raise `LocalProtocolError`, which `next_event` turns into the peer's fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from .errors import LocalProtocolError, excerpt
from .grammar import CONTENT_LENGTH

__all__ = [
    "CHUNKED",
    "FORBIDDEN_TRAILERS",
    "MAX_LENGTH",
    "UNTIL_CLOSE",
    "comma_list",
    "content_length",
    "expects_continue",
    "framing_fault",
    "is_chunked",
    "request_body",
    "response_body",
    "response_has_no_body",
]

Control: TypeAlias = "Mapping[bytes, list[bytes]]"

#: Body lengths that are no number of bytes.
CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2

#: Of a Content-Length and of one chunk, in bytes: what a signed 64-bit integer holds.
MAX_LENGTH: Final = 2**63 - 1

# RFC 9110 section 6.5.1: a field that frames, routes, modifies the request, authenticates or says how to process the
# content must not arrive behind the content, where whoever checks it has long finished.
FORBIDDEN_TRAILERS: Final = frozenset(
    b"content-length transfer-encoding connection keep-alive proxy-connection te trailer upgrade host"
    b" cache-control expect max-forwards pragma range if-match if-none-match if-modified-since if-unmodified-since"
    b" if-range authorization authentication-info proxy-authorization proxy-authenticate"
    b" proxy-authentication-info www-authenticate cookie set-cookie age expires date location retry-after vary"
    b" warning content-encoding content-type content-range".split()
)


def comma_list(control: Control, name: bytes) -> list[bytes]:
    """Return the non-empty members of a comma-separated field, lower-cased, over all its lines."""
    values = control.get(name)
    if values is None:
        return []
    members = [member.strip(b" \t") for member in b",".join(values).lower().split(b",")]
    return [member for member in members if member]


def expects_continue(control: Control, http_version: bytes) -> bool:
    """Tell whether a request awaits 100 (Continue); one from HTTP/1.0 never does (RFC 9110 section 10.1.1)."""
    return (
        b"expect" in control and http_version >= b"1.1" and b"100-continue" in comma_list(control, b"expect")
    )


def content_length(control: Control, *, lists: bool) -> int | None:
    """Return what Content-Length says, in bytes; None without that field.

    Args:
        control: The control fields of one head.
        lists: Accept several equal values, as lines or as one list (RFC 9110 section 8.6: MAY, for recipients).

    Raises:
        LocalProtocolError: Not a number, more than `MAX_LENGTH`, several values that differ, several at all.
    """
    values = control.get(b"content-length")
    if values is None:
        return None
    if len(values) > 1 or b"," in values[0]:
        members = {member.strip(b" \t") for member in b",".join(values).split(b",")}
        if not lists or len(members) != 1:
            raise LocalProtocolError(f"conflicting Content-Length headers: {excerpt(b', '.join(values))}")
        value = members.pop()
    else:
        value = values[0]
    if CONTENT_LENGTH.fullmatch(value) is None or (length := int(value)) > MAX_LENGTH:
        raise LocalProtocolError(f"bad Content-Length {excerpt(value)}: expected digits, at most 2**63 - 1")
    return length


def is_chunked(control: Control) -> bool:
    """Tell whether Transfer-Encoding says chunked.

    Raises:
        LocalProtocolError: It says anything else (hint 501), or it stands there twice. RFC 9112 section 6.1.
    """
    values = control.get(b"transfer-encoding")
    if values is None:
        return False
    if len(values) > 1:
        raise LocalProtocolError("multiple Transfer-Encoding headers", error_status_hint=501)
    if values[0].lower() != b"chunked":
        raise LocalProtocolError(
            f"only Transfer-Encoding: chunked is supported, not {excerpt(values[0])}", error_status_hint=501
        )
    return True


def request_body(control: Control, http_version: bytes) -> int:
    """Return the body length of a request, ours or the peer's.

    Raises:
        LocalProtocolError: Both Content-Length and Transfer-Encoding, Transfer-Encoding in HTTP/1.0 (RFC 9112
            section 6.1), or either of them malformed.
    """
    chunked = is_chunked(control)
    length = content_length(control, lists=False)
    if not chunked:
        return length or 0
    if length is not None:
        raise LocalProtocolError(
            "both Content-Length and Transfer-Encoding: the message could be read in two ways"
        )
    if http_version < b"1.1":
        raise LocalProtocolError("Transfer-Encoding in an HTTP/1.0 request")
    return CHUNKED


def response_has_no_body(status_code: int, request_method: bytes | None) -> bool:
    """Tell whether a final response ends with its head, whatever its fields say. RFC 9112 section 6.3, rules 1 and 2."""
    return (
        status_code == 204
        or status_code == 304
        or request_method == b"HEAD"
        or (request_method == b"CONNECT" and status_code < 300)
    )


def response_body(control: Control, status_code: int, request_method: bytes | None) -> int:
    """Return the body length of a final response, ours or the peer's.

    Raises:
        LocalProtocolError: Both Content-Length and Transfer-Encoding, or either of them malformed. The successful
            answer to CONNECT is exempt: a client must ignore both there (RFC 9112 section 6.3, rule 2).
    """
    if request_method == b"CONNECT" and status_code < 300:
        return 0
    chunked = is_chunked(control)
    length = content_length(control, lists=True)
    if chunked and length is not None:
        raise LocalProtocolError(
            "both Content-Length and Transfer-Encoding: the message could be read in two ways"
        )
    if response_has_no_body(status_code, request_method):
        return 0
    if chunked:
        return CHUNKED
    return UNTIL_CLOSE if length is None else length


def framing_fault(control: Control, status_code: int, http_version: bytes) -> bool:
    """Tell whether a response has framing fields that it must not have, so that others may see its end elsewhere.

    204 with a body announced and 205 with one (RFC 9110 sections 15.3.5, 15.3.6), Transfer-Encoding in 204 or in HTTP/1.0
    (RFC 9112 section 6.1). ``Content-Length: 0`` in a 204 is wrong too, but common and harmless.
    """
    if b"transfer-encoding" in control and (http_version < b"1.1" or status_code in (204, 205)):
        return True
    return status_code in (204, 205) and control.get(b"content-length", [b"0"]) != [b"0"]
