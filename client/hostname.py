"""Host names: what may stand between ``//`` and the port of an http URL, in one canonical form.

The law of the room: refuse, never guess.  A host that two programs could read as two hosts (percent-encoded,
IPv4 that is octal, short or of full-width digits, characters that normalise to ``/ ? # @ :``) is no host here, since
proxies, filters and certificates must all speak of the one that is connected to.
RFC 3986 section 3.2.2; RFC 5891 (IDNA); RFC 5952 (IPv6 text); RFC 6874 (zones).
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["authority", "canonical_ipv6", "canonical_name", "hides_delimiter"]

#: Octets of a name in the DNS, dots included (RFC 1035 section 2.3.4). IDNA, which is quadratic, sees no more.
MAX_NAME: Final = 253

# Wider than RFC 1123: "_", which Docker and many internal names use; a hyphen at any place.
_LABEL = r"[a-z0-9_\-]{1,63}"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*+\.?")
_IPV4_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4: Final = re.compile(rf"{_IPV4_OCTET}(?:\.{_IPV4_OCTET}){{3}}")
# What inet_aton, and so getaddrinfo, reads as a number: decimal, octal, hexadecimal (WHATWG "ends in a number").
_ENDS_IN_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")
_ZONE: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._~\-]{0,63}")

#: Full stops of IDNA (RFC 3490 section 3.1); they become "." and split labels.
_DOTS: Final = re.compile("[\u3002\uff0e\uff61]")
#: IDNA 2008 keeps these, 2003 maps them away: two different hosts (UTS 46 section 7, "deviations").
_DEVIATIONS: Final = re.compile("[\u00df\u03c2\u200c\u200d]")


def canonical_name(text: str) -> str:
    """Return a host name or IPv4 address in lower-case ASCII.

    Args:
        text: The host as written, not bracketed, without port; may be an internationalised name.

    Raises:
        ValueError: It is none; the message says why and shows no more than one label of it.
    """
    if len(text) > MAX_NAME + 1:
        raise ValueError(f"the host is longer than {MAX_NAME} characters")
    name = text.lower() if text.isascii() else _to_ascii(text)
    if not _NAME.fullmatch(name):
        raise ValueError(_why_not(name))
    if len(name.rstrip(".")) > MAX_NAME:
        raise ValueError(f"the host is longer than {MAX_NAME} characters")
    if _ENDS_IN_NUMBER.fullmatch(name) and not _IPV4.fullmatch(name):
        raise ValueError("the host ends in a number but is no IPv4 address of four decimal parts")
    if not text.isascii() and _IPV4.fullmatch(name):
        raise ValueError("the host is an IPv4 address in other characters than ASCII's")
    if "xn--" in name:
        _check_punycode(name)
    return name


def canonical_ipv6(text: str) -> str:
    """Return an IPv6 address in the form of RFC 5952, with its zone after ``%`` if there is one.

    Args:
        text: What stood between the brackets. A zone may follow ``%25`` (RFC 6874) or a bare ``%``.

    Raises:
        ValueError: No IPv6 address, or a zone on an address that is not link-local.
    """
    import ipaddress

    address, percent, zone = text.partition("%")
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError as cause:
        raise ValueError("the host in brackets is no IPv6 address") from cause
    if not percent:
        return parsed.compressed
    zone = zone.removeprefix("25")
    # Elsewhere a zone means nothing, and "[::1%25.example.com]" passes for a name under example.com
    # (CVE-2023-45289).
    if not parsed.is_link_local or not _ZONE.fullmatch(zone):
        raise ValueError("only a link-local IPv6 address has a zone, such as [fe80::1%25eth0]")
    return f"{parsed.compressed}%{zone}"


def authority(host: str, port: int) -> str:
    """Return ``host:port`` of a host without brackets, an IPv6 address in them (RFC 3986 section 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def hides_delimiter(text: str) -> bool:
    """Tell whether a character of *text* normalises to one that ends user information or a host (CVE-2019-9636)."""
    import unicodedata

    strange = "".join(character for character in text if not character.isascii())
    return re.search(r"[/?#@:\\\[\]]", unicodedata.normalize("NFKC", strange)) is not None


def _why_not(name: str) -> str:
    if not name:
        return "no host"
    if strange := re.search(r"[^a-z0-9_.\-]", name):
        return f"{strange[0]!r} in the host"
    if ".." in name or name[0] == ".":
        return "an empty label in the host"
    return "a label of the host is longer than 63 characters"


def _check_punycode(name: str) -> None:
    """Refuse ``xn--`` labels that stand for ASCII or decode to what encodes otherwise (CVE-2026-39821)."""
    for label in name.split("."):
        if label.startswith("xn--"):
            try:
                decoded = label[4:].encode().decode("punycode")
                genuine = not decoded.isascii() and decoded.encode("punycode").decode().lower() == label[4:]
            except (UnicodeError, OverflowError, ValueError):
                genuine = False
            if not genuine:
                raise ValueError(f"the host's label {label!r} is not valid Punycode")


def _to_ascii(text: str) -> str:
    import unicodedata

    dotted = _DOTS.sub(".", text)
    for character in set(dotted):
        # U+2100 normalises to "a/c", U+FF20 to "@": whoever normalises later connects to another host
        # (CVE-2019-9636).
        plain = unicodedata.normalize("NFKC", character)
        if not character.isascii() and re.search(r"[\x00-,./:-@\[-`{-\x7f]", plain):
            raise ValueError(f"{character!r} in the host, which normalises to {plain!r}")
    try:
        import idna
    except ImportError:
        return _to_ascii_2003(dotted)
    try:
        mapped = idna.uts46_remap(dotted, std3_rules=False, transitional=False)
        labels = [label if label.isascii() else idna.alabel(label).decode() for label in mapped.split(".")]
    except idna.IDNAError as cause:
        raise ValueError(f"the host is not valid IDNA: {cause}") from cause
    return ".".join(labels)


def _to_ascii_2003(dotted: str) -> str:
    """Encode with the standard library's IDNA 2003, only where the result is that of IDNA 2008 too.

    That is for letters, marks and digits of Unicode 3.2 that the two map alike.
    """
    import stringprep
    import unicodedata
    from encodings import idna as idna2003

    for character in unicodedata.normalize("NFKC", dotted):
        known = character.isascii() or unicodedata.category(character)[0] in "LMN"
        if not known or _DEVIATIONS.match(character) or stringprep.in_table_a1(character):
            raise ValueError(f"{character!r} in the host needs IDNA 2008: install threadwire[idna]")
    try:
        return ".".join(
            label.lower() if label.isascii() else idna2003.ToASCII(label).decode().lower()
            for label in dotted.split(".")
        )
    except UnicodeError as cause:
        raise ValueError(f"the host is not valid IDNA: {cause}") from cause
