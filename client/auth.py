"""Answering "who are you": Basic, Digest, Bearer, and whatever a caller brings.

An auth object takes one of two forms.  A callable gets the `PreparedRequest` and returns it with its header
set.  An object with ``auth_flow(request)`` is a generator that yields a request, gets the response, and may
yield another one: the way to answer a challenge or to refresh a token.  The exchange drives it; nothing here
sends anything.

Auth belongs to the origin it was given for.  The exchange drops it on a redirect to another one.
"""

from __future__ import annotations

import os
from _thread import allocate_lock
from binascii import b2a_base64
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from client.digest import Challenge, choose_challenge, digest_authorization
from client.exceptions import InvalidHeader
from client.url import parse_url

if TYPE_CHECKING:
    from collections.abc import Generator

    from client.request import PreparedRequest
    from client.response import Response

    Flow: TypeAlias = Generator[PreparedRequest, Response, None]

__all__ = [
    "AuthBase",
    "HTTPBasicAuth",
    "HTTPBearerAuth",
    "HTTPDigestAuth",
    "HTTPProxyAuth",
    "basic_authorization",
]

#: One for all objects, held for microseconds; so a fork has one lock to make new.
_lock = allocate_lock()


def _renew_lock() -> None:
    """Replace the lock in the child of a fork, where the thread that held it does not exist."""
    global _lock
    _lock = allocate_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)

#: Origins whose challenge one `HTTPDigestAuth` remembers; the oldest gives way.
MAX_CHALLENGES: Final = 100


class AuthBase:
    """The base of auth classes; a subclass defines ``__call__`` or ``auth_flow``."""

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Set what the request needs and return it.

        Raises:
            NotImplementedError: The subclass does not define it.
        """
        raise NotImplementedError("Auth hooks must be callable.")

    def __repr__(self) -> str:
        """Show the class alone: reprs end up in logs."""
        return f"<{type(self).__name__}>"


# -- what is known beforehand -------------------------------------------------------------------------------


def basic_authorization(username: str | bytes, password: str | bytes) -> str:
    """Return the value of Authorization or Proxy-Authorization for Basic; RFC 7617.

    str is sent as Latin-1, as requests and curl do, or as UTF-8 where it does not fit; for UTF-8 in any case
    pass bytes.

    Raises:
        TypeError: Neither str nor bytes.
        InvalidHeader: A lone surrogate, which has no octets.
    """
    credentials = b":".join((_octets(username), _octets(password)))
    return "Basic " + b2a_base64(credentials, newline=False).decode("ascii")


def _octets(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise TypeError(f"user name and password must be str or bytes, not {type(text).__name__}")
    for charset in ("latin-1", "utf-8"):
        try:
            return text.encode(charset)
        except UnicodeEncodeError:
            continue
    raise InvalidHeader("user name or password holds a lone surrogate, which no charset can encode")


class HTTPBasicAuth(AuthBase):
    """Basic authentication; see `basic_authorization` for the charset.

    Args:
        username: Sent with every request, readable for whoever reads the connection.
        password: Likewise.
    """

    def __init__(self, username: str | bytes, password: str | bytes) -> None:
        """Hold the credentials."""
        self.username = username
        self.password = password

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Set the Authorization field."""
        r.headers["Authorization"] = basic_authorization(self.username, self.password)
        return r

    def __eq__(self, other: object) -> bool:
        return (self.username, self.password) == (
            getattr(other, "username", None),
            getattr(other, "password", None),
        )

    def __hash__(self) -> int:
        return hash((self.username, self.password))


class HTTPProxyAuth(HTTPBasicAuth):
    """Basic authentication for a plain HTTP proxy; credentials in the proxy's URL work for every kind."""

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Set the Proxy-Authorization field."""
        r.headers["Proxy-Authorization"] = basic_authorization(self.username, self.password)
        return r


class HTTPBearerAuth(AuthBase):
    """A bearer token; RFC 6750.

    Args:
        token: As given out by the server, without ``Bearer``.

    Raises:
        TypeError: Not a str; None, as of a variable that is not set, would be sent as a word.
    """

    def __init__(self, token: str) -> None:
        """Hold the token."""
        if not isinstance(token, str):
            raise TypeError(f"the token must be str, not {type(token).__name__}")
        self.token = token

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Set the Authorization field."""
        r.headers["Authorization"] = f"Bearer {self.token}"
        return r

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HTTPBearerAuth) and self.token == other.token

    def __hash__(self) -> int:
        return hash(self.token)


# -- what needs a challenge ---------------------------------------------------------------------------------


class _Known:
    """A challenge that was answered: how often, and with which client nonce."""

    __slots__ = ("challenge", "cnonce", "count")

    def __init__(self, challenge: Challenge) -> None:
        self.challenge = challenge
        # One for the life of the nonce: a "-sess" key is made of both, and computed once (RFC 7616 section 3.4.2).
        self.cnonce = os.urandom(16).hex()
        self.count = 0


class HTTPDigestAuth(AuthBase):
    """Digest authentication (RFC 7616): MD5, SHA-256 and SHA-512/256, each with ``-sess``; qop ``auth`` or none.

    After the first challenge of an origin further requests carry an answer at once. What was learnt from one
    origin is never shown to another (CVE-2026-11856). Threads may share an object.

    Args:
        username: Sent in the clear, unless the server asks for its hash.
        password: Never sent.

    Raises:
        TypeError: Not str.
        InvalidHeader: The user name holds a control character, or one of them a lone surrogate. Found here, since it
            would otherwise show only when a server has asked for it.
    """

    def __init__(self, username: str, password: str) -> None:
        """Hold the credentials; nothing is known yet."""
        if not all(isinstance(text, str) for text in (username, password)):
            raise TypeError(
                "user name and password of Digest must be str: they are sent in more forms than one"
            )
        if any(ord(char) < 0x20 or char == "\x7f" for char in username):
            raise InvalidHeader(
                "the user name of Digest holds a control character, which no header field can carry"
            )
        try:
            f"{username}{password}".encode()
        except UnicodeEncodeError:
            message = "the user name or password of Digest holds a lone surrogate, which UTF-8 cannot encode"
            raise InvalidHeader(message) from None
        self.username = username
        self.password = password
        self._known: dict[tuple[str, str, int], _Known] = {}

    def auth_flow(self, request: PreparedRequest) -> Flow:
        """Send, answer the challenge if there is one, and once more if the server calls the nonce stale."""
        response = yield self(request)
        for answered in (False, True):
            if response.status_code != 401:
                return
            challenge = choose_challenge(response.headers.get("WWW-Authenticate", ""))
            if challenge is None or (answered and not challenge.stale):
                break
            self._learn(request, challenge)
            response = yield self(request.copy())
        if response.status_code == 401:
            # The password is wrong. To go on sending it with every request would lock the account the sooner.
            with _lock:
                self._known.pop(_origin(request), None)

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Set the Authorization field if the origin's challenge is known."""
        with _lock:
            known = self._known.get(_origin(r))
            if known is None:
                return r
            known.count += 1
            count = known.count
        r.headers["Authorization"] = digest_authorization(
            known.challenge,
            self.username,
            self.password,
            method=r.method or "GET",
            uri=r.path_url,
            nonce_count=count,
            cnonce=known.cnonce,
        )
        return r

    def _learn(self, request: PreparedRequest, challenge: Challenge) -> None:
        with _lock:
            known = self._known.pop(_origin(request), None)
            if known is None or known.challenge.parameters["nonce"] != challenge.parameters["nonce"]:
                known = _Known(challenge)
            # Else the count goes on, or the server would see a replay: threads may all be asked with one nonce.
            known.challenge = challenge
            while len(self._known) >= MAX_CHALLENGES:
                del self._known[next(iter(self._known))]
            self._known[_origin(request)] = known

    def __getstate__(self) -> dict[str, Any]:
        return {"username": self.username, "password": self.password}

    def __setstate__(self, state: dict[str, Any]) -> None:
        HTTPDigestAuth.__init__(self, state["username"], state["password"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HTTPDigestAuth) and (self.username, self.password) == (
            other.username,
            other.password,
        )

    def __hash__(self) -> int:
        return hash((self.username, self.password))


def _origin(request: PreparedRequest) -> tuple[str, str, int]:
    return parse_url(request.url).origin
