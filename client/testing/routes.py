"""What `LoopbackServer` answers to which path; no sockets, no framing.

``/echo`` and every path not listed here answer JSON: method, target, http_version, headers, and of the body
length, sha256 and trailers.

    /bytes/N            N bytes of `payload`, with ETag, Last-Modified, ranges (206, 416) and If-Range
    /chunked/N          the same bytes, chunked
    /redirect/N         N redirects, then /echo      ?status=302  ?to=URL instead of /echo
    /delay/S            /echo, S seconds late
    /drip               a body, byte by byte          ?bytes=10    ?interval=0.1 (seconds)
    /status/N           that status, 200 to 999
    /gzip  /deflate     /echo in that content coding
    /cookies            the cookies of the request, as JSON
    /cookies/set        a redirect to /cookies; each part of the query is a Set-Cookie: ?name=value;Path=/&...
    /basic-auth/U/P     401 unless the credentials are U and P
    /sse                server-sent events            ?events=3    ?interval=0 (seconds)

A route is a function from `ReceivedRequest` to `Answer`; `BadRequest` is answered by its status.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs, quote, unquote

from client.testing.payload import payload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Answer", "BadRequest", "BodyFacts", "ReceivedRequest", "answer"]

LAST_MODIFIED: Final = "Wed, 01 Jan 2025 00:00:00 GMT"
URL_CHARACTERS: Final = "%/:?#[]@!$&'()*+,;="  # what `quote` leaves beside letters, digits and "-._~"
EMPTY: Final = frozenset({204, 205, 304})  # RFC 9110 sections 15.3.5, 15.3.6, 15.4.5

# At most 18 digits: more is no size, and int() of thousands of digits is slow.
WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,18}")
SECONDS: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?")
# RFC 9110 section 14.1.2; a list of ranges is ignored, as section 14.2 allows.
ONE_RANGE: Final = re.compile(
    r"bytes=(?:(?P<first>[0-9]{1,18})-(?P<last>[0-9]{1,18})?|-(?P<suffix>[0-9]{1,18}))"
)


class BadRequest(Exception):
    """The request is not one that the route can answer.

    Attributes:
        status: What to answer, 400 to 499.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        """Hold the message, which becomes the body, and the status."""
        super().__init__(message)
        self.status = status


class BodyFacts(NamedTuple):
    """What is kept of a request's body: enough to prove that it arrived, however large it was."""

    length: int
    sha256: str
    trailers: dict[str, str]


class ReceivedRequest:
    """One request as a route sees it.

    Args:
        method: As sent.
        target: The request-target as sent.
        http_version: ``"1.1"`` or ``"1.0"``.
        headers: Lower-case names; the values of a repeated field joined by ``", "``.
        receive_body: Reads the body off the wire; called at most once.
        pause: Waits that many seconds; raises when the server is told to stop.
    """

    def __init__(
        self,
        method: str,
        target: str,
        http_version: str,
        headers: dict[str, str],
        *,
        receive_body: Callable[[], BodyFacts],
        pause: Callable[[float], None],
    ) -> None:
        """Split the target into path segments and query."""
        self.method = method
        self.target = target
        self.http_version = http_version
        self.headers = headers
        self.pause = pause
        self._receive_body = receive_body
        self._body: BodyFacts | None = None
        # Absolute-form is what a proxy is asked (RFC 9112 section 3.2.2); an origin answers it the same.
        path_and_query = re.sub(r"\Ahttps?://[^/?]*", "", target, flags=re.IGNORECASE)
        path, _, query = path_and_query.partition("?")
        self.query: str = query
        self.segments: list[str] = path.split("/")[1:]

    @property
    def body(self) -> BodyFacts:
        """The facts of the body; the first access receives it."""
        if self._body is None:
            self._body = self._receive_body()
        return self._body

    def argument(self, name: str, default: str) -> str:
        """Return the first value of *name* in the query, decoded."""
        return parse_qs(self.query).get(name, [default])[0]

    def segment(self, position: int) -> str:
        """Return one segment of the path, decoded.

        Raises:
            BadRequest: The path is too short.
        """
        if position >= len(self.segments):
            raise BadRequest("the path lacks a segment")
        return unquote(self.segments[position])


class Answer(NamedTuple):
    """A response whose framing is left to the server: Content-Length if *length* is known, else chunked."""

    status: int
    headers: list[tuple[str, str]]
    pieces: Iterable[bytes | memoryview]
    length: int | None


def answer(request: ReceivedRequest) -> Answer:
    """Find the route for *request* and return what it answers."""
    if (
        request.method == "CONNECT"
    ):  # any 2xx would turn the connection into a tunnel (RFC 9110 section 9.3.6)
        return json_answer({"error": "this server is no proxy"}, 501)
    route = ROUTES.get(request.segments[0] if request.segments else "", _echo)
    try:
        return route(request)
    except BadRequest as error:
        return json_answer({"error": str(error)}, error.status)


def json_answer(document: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """Answer with *document*, or with no body where *status* has none."""
    body = b"" if status in EMPTY else json.dumps(document).encode() + b"\n"
    return Answer(status, [("Content-Type", "application/json"), *headers], [body], len(body))


def _echo(request: ReceivedRequest) -> Answer:
    return json_answer(_echo_document(request))


def _echo_document(request: ReceivedRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "target": request.target,
        "http_version": request.http_version,
        "headers": request.headers,
        **request.body._asdict(),
    }


def _bytes(request: ReceivedRequest) -> Answer:
    size = _whole_number(request.segment(1))
    etag = f'"bytes-{size}"'
    headers = [
        ("Content-Type", "application/octet-stream"),
        ("Accept-Ranges", "bytes"),
        ("ETag", etag),
        ("Last-Modified", LAST_MODIFIED),
    ]
    asked = _asked_range(request, size, etag)
    if asked is None:
        return Answer(200, headers, payload(0, size), size)
    start, stop = asked
    if start >= stop:
        length = ("Content-Range", f"bytes */{size}")
        return json_answer({"error": f"no such range of {size} bytes"}, 416, [length])
    headers.append(("Content-Range", f"bytes {start}-{stop - 1}/{size}"))
    return Answer(206, headers, payload(start, stop), stop - start)


def _asked_range(request: ReceivedRequest, size: int, etag: str) -> tuple[int, int] | None:
    """Return the offsets between which a part is asked for, empty if there is none; None: the whole."""
    asked = ONE_RANGE.fullmatch(request.headers.get("range", ""))
    # RFC 9110 section 13.1.5: another representation than the one the client has a part of is sent whole.
    unchanged = request.headers.get("if-range", etag) in (etag, LAST_MODIFIED)
    if asked is None or not unchanged or request.method != "GET":
        return None
    if asked["suffix"] is not None:
        return max(0, size - int(asked["suffix"])), size
    first, last = int(asked["first"]), int(asked["last"] or size)
    if asked["last"] is not None and last < first:  # invalid, so ignored: RFC 9110 section 14.2
        return None
    return first, min(last + 1, size)


def _chunked(request: ReceivedRequest) -> Answer:
    size = _whole_number(request.segment(1))
    return Answer(200, [("Content-Type", "application/octet-stream")], payload(0, size), None)


def _redirect(request: ReceivedRequest) -> Answer:
    left = _whole_number(request.segment(1))
    status = _whole_number(request.argument("status", "302"))
    if status not in (301, 302, 303, 307, 308):
        raise BadRequest(f"status {status} is no redirect")
    target = request.argument("to", "/echo") if left <= 1 else f"/redirect/{left - 1}"
    if left > 1 and request.query:
        target += f"?{request.query}"
    return json_answer({"redirects left": left}, status, [("Location", quote(target, safe=URL_CHARACTERS))])


def _delay(request: ReceivedRequest) -> Answer:
    request.pause(_seconds(request.segment(1)))
    return _echo(request)


def _drip(request: ReceivedRequest) -> Answer:
    size = _whole_number(request.argument("bytes", "10"))
    interval = _seconds(request.argument("interval", "0.1"))

    def pieces() -> Iterator[bytes]:
        for position in range(size):
            if position:
                request.pause(interval)
            yield b"*"

    return Answer(200, [("Content-Type", "application/octet-stream")], pieces(), size)


def _status(request: ReceivedRequest) -> Answer:
    status = _whole_number(request.segment(1))
    if not 200 <= status <= 999:
        raise BadRequest(f"{status} is no status of a final response")
    challenge = [("WWW-Authenticate", 'Basic realm="loopback"')] if status == 401 else []
    return json_answer({"status": status}, status, challenge)


def _gzip(request: ReceivedRequest) -> Answer:
    return _coded(request, "gzip", gzip.compress)


def _deflate(request: ReceivedRequest) -> Answer:
    return _coded(request, "deflate", zlib.compress)  # the zlib format: RFC 9110 section 8.4.1.2


def _coded(request: ReceivedRequest, coding: str, compress: Callable[[bytes], bytes]) -> Answer:
    body = compress(json.dumps(_echo_document(request)).encode())
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Encoding", coding),
        ("Vary", "Accept-Encoding"),
    ]
    return Answer(200, headers, [body], len(body))


def _cookies(request: ReceivedRequest) -> Answer:
    if request.segments[1:] == ["set"]:
        # The query is not decoded: what the engine let through as a target cannot end a header field.
        cookies = [("Set-Cookie", cookie) for cookie in request.query.split("&") if cookie]
        return json_answer({"cookies set": len(cookies)}, 302, [*cookies, ("Location", "/cookies")])
    pairs = [pair.strip().partition("=") for pair in request.headers.get("cookie", "").split(";")]
    return json_answer({"cookies": {name: value for name, equals, value in pairs if equals}})


def _basic_auth(request: ReceivedRequest) -> Answer:
    user, password = request.segment(1), request.segment(2)
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic" or sent.strip() != credentials:
        challenge = ("WWW-Authenticate", 'Basic realm="loopback", charset="UTF-8"')
        return json_answer({"authenticated": False}, 401, [challenge])
    return json_answer({"authenticated": True, "user": user})


def _sse(request: ReceivedRequest) -> Answer:
    count = _whole_number(request.argument("events", "3"))
    interval = _seconds(request.argument("interval", "0"))

    def events() -> Iterator[bytes]:
        for number in range(count):
            if number:
                request.pause(interval)
            yield f'id: {number}\nevent: tick\ndata: {{"number": {number}}}\n\n'.encode()

    return Answer(200, [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")], events(), None)


ROUTES: Final[dict[str, Callable[[ReceivedRequest], Answer]]] = {
    "echo": _echo,
    "bytes": _bytes,
    "chunked": _chunked,
    "redirect": _redirect,
    "delay": _delay,
    "drip": _drip,
    "status": _status,
    "gzip": _gzip,
    "deflate": _deflate,
    "cookies": _cookies,
    "basic-auth": _basic_auth,
    "sse": _sse,
}


def _whole_number(text: str) -> int:
    if not WHOLE_NUMBER.fullmatch(text):
        raise BadRequest(f"{text[:40]!r} is no number of at most 18 digits")
    return int(text)


def _seconds(text: str) -> float:
    if not SECONDS.fullmatch(text):
        raise BadRequest(f"{text[:40]!r} is no number of seconds")
    return float(text)
