"""Where a message body ends, decided from the fields that say so. RFC 9112 section 6.3.

The answer is one number: a length in bytes, `CHUNKED` or `UNTIL_CLOSE`. All rules about these fields live
here, for both roles and both directions; they raise `LocalProtocolError`, which `next_event` turns into the
peer's fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from .errors import LocalProtocolError, excerpt

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CHUNKED",
    "FORBIDDEN_TRAILERS",
    "MAX_LENGTH",
    "NO_CONTENT_STATUS_CODES",
    "UNTIL_CLOSE",
    "check_framing",
    "comma_list",
    "framing_fault",
    "has_close",
    "request_body",
    "response_body",
]

Control: TypeAlias = "Mapping[bytes, bytes]"

#: Body lengths that are no number of bytes.
CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2

#: Of a Content-Length and of one chunk, in bytes: what a signed 64-bit integer holds.
MAX_LENGTH: Final = 2**63 - 1
#: Leading zeros included: reading a number of a thousand digits takes long.
MAX_LENGTH_DIGITS: Final = 20

BODILESS_STATUS_CODES: Final = frozenset((204, 304))
#: What must not announce content, whoever asks; 205 would have a place for it (RFC 9110 sections 15.3.5, 15.3.6).
NO_CONTENT_STATUS_CODES: Final = frozenset((204, 205))

# RFC 9110 section 6.5.1: a field that frames, routes, modifies the request, authenticates or says how to
# process the content must not arrive behind the content, where whoever checks it has long finished.
FORBIDDEN_TRAILERS: Final = frozenset(
    b"content-length transfer-encoding connection keep-alive proxy-connection te trailer upgrade host "
    b"cache-control expect max-forwards pragma range if-match if-none-match if-modified-since if-unmodified-since "
    b"if-range authorization authentication-info proxy-authorization proxy-authenticate "
    b"proxy-authentication-info www-authenticate cookie set-cookie age expires date location retry-after vary "
    b"warning content-encoding content-type content-range".split()
)


def comma_list(control: Control, name: bytes) -> list[bytes]:
    """Return the non-empty members of a comma-separated field, lower-cased, over all its lines."""
    if name not in control:
        return []
    members = [member.strip(b" \t") for member in control[name].split(b",")]
    return [member for member in members if member]


def has_close(control: Control) -> bool:
    """Tell whether Connection has the option close. RFC 9112 section 9.6."""
    return b"close" in comma_list(control, b"connection")


def content_length(control: Control) -> int:
    """Return what Content-Length, which *control* has, says: a number of bytes.

    Raises:
        LocalProtocolError: Several values, not a number, more than `MAX_LENGTH`.
    """
    value = control[b"content-length"]
    if value.isdigit() and len(value) <= MAX_LENGTH_DIGITS and (length := int(value)) <= MAX_LENGTH:
        return length
    raise LocalProtocolError(f"bad Content-Length {excerpt(value)}: expected one number, at most 2**63 - 1")


def check_chunked(control: Control) -> None:
    """Check that Transfer-Encoding, which *control* has, says chunked. RFC 9112 section 6.1.

    Raises:
        LocalProtocolError: It says anything else, or it stands there twice (hint 501).
    """
    value = control[b"transfer-encoding"]
    if value != b"chunked":
        raise LocalProtocolError(
            f"only Transfer-Encoding: chunked is supported, not {excerpt(value)}", error_status_hint=501
        )


def check_framing(control: Control) -> None:
    """Check the fields that frame a message, each by itself.

    Raises:
        LocalProtocolError: As `content_length` and `check_chunked`.
    """
    if b"content-length" in control:
        content_length(control)
    if b"transfer-encoding" in control:
        check_chunked(control)


def request_body(control: Control, http_version: bytes) -> int:
    """Return the body length of a request, ours or the peer's.

    Raises:
        LocalProtocolError: Both Content-Length and Transfer-Encoding, Transfer-Encoding in HTTP/1.0 (RFC 9112
            section 6.1), or either of them malformed.
    """
    if b"transfer-encoding" in control:
        check_chunked(control)
        _check_not_both(control)
        if http_version < b"1.1":
            raise LocalProtocolError("Transfer-Encoding in an HTTP/1.0 request")
        return CHUNKED
    return content_length(control) if b"content-length" in control else 0


def response_body(control: Control, status_code: int, request_method: bytes | None) -> int:
    """Return the body length of a final response, ours or the peer's. RFC 9112 section 6.3.

    Raises:
        LocalProtocolError: Both Content-Length and Transfer-Encoding, or either of them malformed. The
            successful answer to CONNECT is exempt: a client must ignore both there (rule 2).
    """
    if request_method == b"CONNECT" and status_code < 300:
        return 0
    if b"transfer-encoding" in control:
        check_chunked(control)
        _check_not_both(control)
        length = CHUNKED
    elif b"content-length" in control:
        length = content_length(control)
    else:
        length = UNTIL_CLOSE
    if status_code in BODILESS_STATUS_CODES or request_method == b"HEAD":
        return 0
    return length


def _check_not_both(control: Control) -> None:
    if b"content-length" in control:
        raise LocalProtocolError(
            "both Content-Length and Transfer-Encoding: two readers may see two messages"
        )


def framing_fault(control: Control, status_code: int, http_version: bytes) -> bool:
    """Tell whether a response has framing fields that it must not have, so that others may see its end elsewhere.

    204 with a body announced and 205 with one (RFC 9110 sections 15.3.5, 15.3.6), Transfer-Encoding in 204 or
    in HTTP/1.0 (RFC 9112 section 6.1). ``Content-Length: 0`` in a 204 is wrong too, but common and harmless.
    """
    if b"transfer-encoding" in control and http_version < b"1.1":
        return True
    return status_code in NO_CONTENT_STATUS_CODES and (
        b"transfer-encoding" in control or control.get(b"content-length", b"0") != b"0"
    )
