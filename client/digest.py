"""The sums of Digest authentication, and the grammar of challenges.

Pure functions of what they are given; who answers when is in `client.auth`.  RFC 7616 (Digest), RFC 9110
section 11 (challenges), RFC 8187 (``username*``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from client.percent import quote_plus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Hash: TypeAlias = Callable[[bytes], str]

__all__ = ["Challenge", "choose_challenge", "digest_authorization", "parse_challenges"]

# RFC 9110 section 11.3, in the lists of section 5.6.1:
#   challenge  = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
#   auth-param = token BWS "=" BWS ( token / quoted-string )
# Challenges share one comma-separated list with their parameters: a word that no "=" follows begins the next one.
# Wider: an unquoted value may hold any octet but blank, comma and quote; some servers don't quote a nonce.
# Possessive throughout, so a failed match costs one pass; backtracking made the standard library's expression
# quadratic over commas (CVE-2020-8492).
_GAP: Final = re.compile(r"[ \t,]*+")
_PARAMETER: Final = re.compile(
    r"([^\x00-\x20\x7f-\xff()<>@,;:\\\"/\[\]?={}]++)[ \t]*+=[ \t]*+"
    r"(?:\"((?:[^\"\\]++|\\[^\r\n])*+)\"|([^ \t,\"]++))",
)
_WORD: Final = re.compile(r"[^ \t,]++")
_ESCAPE: Final = re.compile(r"\\(.)")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

#: Items of a challenge field that are looked at; a real one with four algorithms has 40.
MAX_ITEMS: Final = 256

#: Algorithm, lower case and without ``-sess`` -> its name in hashlib. The last two are requests'.
_HASHES: Final = {
    "md5": "md5",
    "sha-256": "sha256",
    "sha-512-256": "sha512_256",
    "sha": "sha1",
    "sha-512": "sha512",
}


class Challenge:
    """One challenge of a WWW-Authenticate field.

    Attributes:
        scheme: Such as ``"digest"``, lower case.
        parameters: By lower-case name, unquoted; of several with one name the first.
    """

    __slots__ = ("parameters", "scheme")

    def __init__(self, scheme: str, parameters: dict[str, str]) -> None:
        """Hold both."""
        self.scheme: str = scheme
        self.parameters: dict[str, str] = parameters

    @property
    def stale(self) -> bool:
        """True if the answer was right but for its nonce."""
        return self.parameters.get("stale", "").lower() == "true"

    def __repr__(self) -> str:
        """Show the scheme; a nonce is part of an answer."""
        return f"<Challenge {self.scheme}>"


def parse_challenges(field: str) -> Iterator[Challenge]:
    """Yield the challenges of a WWW-Authenticate field, or of several joined by commas, in their order.

    What breaks the grammar is passed over; only the first 256 items are read. RFC 9110 section 11.6.1.
    """
    current: Challenge | None = None
    position = 0
    for _ in range(MAX_ITEMS):
        position = _GAP.match(field, position).end()  # type: ignore[union-attr]  # it matches the empty string
        if found := _PARAMETER.match(field, position):
            name, quoted, bare = found.groups()
            if current is not None:
                value = _ESCAPE.sub(r"\1", quoted) if bare is None else bare
                current.parameters.setdefault(name.lower(), value)
        elif found := _WORD.match(field, position):
            if current is not None:
                yield current
            current = Challenge(found[0].lower(), {})
        else:
            break
        position = found.end()
    if current is not None:
        yield current


def choose_challenge(field: str) -> Challenge | None:
    """Return the first Digest challenge that can be answered: servers put what they prefer first.

    Args:
        field: The WWW-Authenticate fields of a response, joined by commas.
    """
    for challenge in parse_challenges(field):
        parameters = challenge.parameters
        if (
            challenge.scheme == "digest"
            and {"realm", "nonce"} <= parameters.keys()
            and not any(map(_CONTROL.search, parameters.values()))
            and (_qop(parameters) or not parameters.get("qop"))
            and _hash_of(parameters) is not None
        ):
            return challenge
    return None


def digest_authorization(
    challenge: Challenge,
    username: str,
    password: str,
    *,
    method: str,
    uri: str,
    nonce_count: int,
    cnonce: str,
) -> str:
    """Return the value of the Authorization field that answers *challenge*.

    Args:
        challenge: From `choose_challenge`.
        username: Sent in the clear, as its hash if the server asks for that.
        password: Goes into the sums only. Both are UTF-8 there, also for a server that does not say so: RFC 7616 knows
            no other charset, and browsers, curl and requests do the same.
        method: Of the request.
        uri: Its request-target, as sent.
        nonce_count: How many requests have used this nonce, this one included.
        cnonce: A random text of the client's choice.

    Raises:
        ValueError: The algorithm is unknown, so the challenge is none of `choose_challenge`.

    RFC 7616 section 3.4.
    """
    parameters = challenge.parameters
    digest = _hash_of(parameters)
    if digest is None:
        raise ValueError("the challenge is not one of choose_challenge: its algorithm is unknown")
    realm, nonce, qop = parameters["realm"], parameters["nonce"], _qop(parameters)
    unicode = parameters.get("charset", "").lower() == "utf-8"
    user, secret = username.encode(), password.encode()

    key = digest(b":".join((user, realm.encode("latin-1"), secret)))  # HA1
    is_session = parameters.get("algorithm", "").lower().endswith("-sess")
    if is_session:
        key = digest(f"{key}:{nonce}:{cnonce}".encode("latin-1"))
    action = digest(f"{method}:{uri}".encode("latin-1"))  # HA2
    count = f"{nonce_count:08x}"
    middle = f"{nonce}:{count}:{cnonce}:{qop}" if qop else nonce
    response = digest(f"{key}:{middle}:{action}".encode("latin-1"))

    fields = [_username(parameters, username, user, unicode, digest), f"realm={_quoted(realm)}"]
    fields += [f"nonce={_quoted(nonce)}", f"uri={_quoted(uri)}", f'response="{response}"']
    if "algorithm" in parameters:
        fields.append(f"algorithm={parameters['algorithm']}")
    if "opaque" in parameters:
        fields.append(f"opaque={_quoted(parameters['opaque'])}")
    if qop:
        fields.append(f"qop={qop}, nc={count}")
    if qop or is_session:
        fields.append(f'cnonce="{cnonce}"')
    return "Digest " + ", ".join(fields)


def _hash_of(parameters: dict[str, str]) -> Hash | None:
    """Return the challenge's hash function, as bytes -> hexadecimal; None if there is none of that name."""
    import hashlib  # here, since most sessions never meet a challenge

    name = _HASHES.get(parameters.get("algorithm", "md5").lower().removesuffix("-sess"))
    if name is None or name not in hashlib.algorithms_available:
        return None
    return lambda data: hashlib.new(name, data, usedforsecurity=False).hexdigest()


def _qop(parameters: dict[str, str]) -> str:
    """Return ``"auth"`` if the server offers it, ``""`` if not; ``auth-int`` alone cannot be answered."""
    return "auth" if "auth" in parameters.get("qop", "").lower().replace(",", " ").split() else ""


def _username(parameters: dict[str, str], username: str, user: bytes, unicode: bool, digest: Hash) -> str:
    """Return the parameter that names the user: hashed, as RFC 8187 text, or quoted; RFC 7616 section 3.4."""
    if parameters.get("userhash", "").lower() == "true":
        hashed = digest(user + b":" + parameters["realm"].encode("latin-1"))
        return f'username="{hashed}", userhash=true'
    if unicode and not username.isascii():
        return f"username*=UTF-8''{quote_plus(username).replace('+', '%20')}"
    return f"username={_quoted(user.decode('latin-1'))}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
