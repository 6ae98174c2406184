"""What must hold for a `Session`, whatever bytes its servers send, cut in any way.

1. Nothing but a `RequestException` leaves a call, and no view of a response raises anything else.
2. Neither the cut nor the road (all at once, or streamed and read in one of several ways) changes what arrives: the
   answer, its history, the requests that were sent, the cookies that were kept.
3. What is sent is one well-formed request at a time, and no credential ever leaves its origin.
4. No error's text steers a terminal or shows a secret; no connection and no slot is left behind.

An input is a byte that picks the scene, one that seeds the cuts, and what the servers send: connections apart by
``CONNECTION``, the answers of one connection by ``ANSWER``. The n-th connection that the session opens, wherever to,
plays the n-th script; there is no network.
"""

from __future__ import annotations

import base64
import contextlib
import pickle
import random
import re
import socket
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, cast
from unittest import mock

import client
from client import exchange, prepared, response_head
from client.auth import HTTPDigestAuth
from client.exceptions import ConnectError
from client.transport import pool
from client.transport.dialer import Dialed, Route
from client.transport.wire import ConnectionInfo
from tests.fuzz.inputs import check_readable, sampled

__all__ = ["ANSWER", "CONNECTION", "check_session"]

CONNECTION: Final = b"\n~~\n"
ANSWER: Final = b"\n~\n"

#: More than that fills the socket's buffer, and neither side would get any further.
LONGEST: Final = 64 * 1024
NOW: Final = 1_800_000_000.0
#: Few enough to be read byte by byte.
MAX_BODY: Final = 50_000

PASSWORD: Final = "Pw-7c1e55"
SECRETS: Final = (
    PASSWORD.encode(),
    base64.b64encode(f"user:{PASSWORD}".encode()),
    b"Key-93ab01",
    b"Sid-55f0aa",
)
AUTHORIZATION: Final = re.compile(rb"\r\nauthorization:", re.IGNORECASE)

HEAD: Final = re.compile(
    rb"(GET|HEAD|POST) (/[!-~]*) HTTP/1\.1\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t -~\x80-\xff]*\r\n)+)\r\n"
)
#: Different each time: what the client makes up for Digest.
MADE_UP: Final = re.compile(rb'(?:cnonce|response)="[^"]*"')

#: The two that count as one origin, in this direction.
UPGRADE: Final = (("http", "a.test", 80), ("https", "a.test", 443))

BROKEN_BODY: Final = (
    client.IncompleteBody,
    client.ChunkedEncodingError,
    client.ContentDecodingError,
    client.BodyTooLarge,
)

METHODS: Final = ("GET", "POST", "HEAD", "GET")
HOMES: Final = ("http://a.test/at/home?q=1", "https://a.test/at/home?q=1#f")


class Scene(NamedTuple):
    """What is asked for, and how its body is read on the second road."""

    method: str
    url: str
    digest: bool
    read_size: int | None


class Outcome(NamedTuple):
    """What became of a call: what the caller saw, what the servers saw, what the session kept."""

    answer: tuple[object, ...]
    requests: list[tuple[tuple[str, str, int], bytes]]
    cookies: list[tuple[str, str, str, str, str]]


class ScriptedSocket:
    """Our end of a connection; the n-th request is answered with the n-th answer, and the last is followed by EOF.

    A real socket is below, since the pool polls its descriptor.
    """

    def __init__(self, answers: list[bytes], cuts: random.Random | None) -> None:
        self._near, self._far = socket.socketpair()
        self._answers = answers
        self._cuts = cuts
        self._unread = 0
        self._request = b""
        self.requests: list[bytes] = []

    def send(self, data: bytes | memoryview, flags: int = 0) -> int:
        self._request += bytes(data)
        head, blank, body = self._request.partition(b"\r\n\r\n")
        length = re.search(rb"\r\nContent-Length: ([0-9]+)", head)
        if blank and len(body) >= (int(length[1]) if length else 0):
            self.requests.append(self._request)
            self._request = b""
            self._answer()
        return len(data)

    def sendmsg(self, parts: list[bytes], ancillary: object = (), flags: int = 0) -> int:
        return self.send(b"".join(parts))

    def _answer(self) -> None:
        if self._answers:
            answer = self._answers.pop(0)[:LONGEST]
            self._far.sendall(answer)
            self._unread += len(answer)
        if not self._answers:
            self._far.shutdown(socket.SHUT_WR)

    def _size(self, size: int, flags: int) -> int:
        if not self._unread and not flags:  # or the client would wait for an answer that never comes
            self._far.shutdown(socket.SHUT_WR)
        return size if self._cuts is None else min(size, self._cuts.choice((1, 2, 7, 300)))

    def recv(self, size: int, flags: int = 0) -> bytes:
        data = self._near.recv(self._size(size, flags), flags)
        self._unread -= 0 if flags & socket.MSG_PEEK else len(data)
        return data

    def recv_into(self, buffer: memoryview, size: int) -> int:
        count = self._near.recv_into(buffer, self._size(size, 0))
        self._unread -= count
        return count

    def fileno(self) -> int:
        return self._near.fileno()

    def setsockopt(self, *arguments: Any) -> None:
        self._near.setsockopt(*arguments)

    def settimeout(self, seconds: float | None) -> None:
        """In the place of the kernel's timeouts, since libFuzzer has a timer."""
        self._near.settimeout(seconds)

    def close(self) -> None:
        self._near.close()
        self._far.close()


class Network:
    """Every host there is: the n-th connection is the n-th script's, whatever it leads to."""

    def __init__(self, scripts: list[bytes], cuts: random.Random | None) -> None:
        self._scripts = list(scripts)
        self._cuts = cuts
        self.connections: list[tuple[tuple[str, str, int], ScriptedSocket]] = []
        self.requests: list[tuple[tuple[str, str, int], bytes]] = []

    def dial(self, route: Route, *_: object) -> Dialed:
        if not self._scripts:
            raise ConnectError("no script is left")
        sock = ScriptedSocket(self._scripts.pop(0).split(ANSWER), self._cuts)
        origin = (route.scheme, route.host, route.port)
        sock.requests = _Log(self.requests, origin)
        self.connections.append((origin, sock))
        return Dialed(cast("socket.socket", sock), ConnectionInfo())


class _Log(list[bytes]):
    """Writes down for the whole network, in order, what one connection sent."""

    def __init__(self, log: list[tuple[tuple[str, str, int], bytes]], origin: tuple[str, str, int]) -> None:
        super().__init__()
        self._log, self._origin = log, origin

    def append(self, request: bytes) -> None:
        self._log.append((self._origin, request))


def check_session(data: bytes) -> None:
    """Check every invariant for *data*."""
    picked, seed, wire = data[0] if data else 0, data[1:2], data[2:]
    scene = Scene(
        METHODS[picked & 3], HOMES[picked >> 2 & 1], bool(picked & 8), (None, 1, 7, 4096)[picked >> 4 & 3]
    )
    scripts = wire.split(CONNECTION)
    whole = _outcome(scene, scripts, None, stream=False)
    cut = _outcome(scene, scripts, random.Random(seed), stream=True)
    for outcome in (whole, cut):
        _check_requests(outcome.requests, wire)
    if scene.digest and whole.answer[0] in BROKEN_BODY:
        return  # perhaps that of the challenge, which is read only where the answer's would be as well
    assert whole.answer == cut.answer, "the cut or the road changes the answer"
    assert whole.requests == cut.requests, "the cut or the road changes what is sent"
    assert whole.cookies == cut.cookies, "the cut or the road changes what is kept"


def _outcome(scene: Scene, scripts: list[bytes], cuts: random.Random | None, *, stream: bool) -> Outcome:
    network = Network(scripts, cuts)
    auth = HTTPDigestAuth("user", PASSWORD) if scene.digest else ("user", PASSWORD)
    with _no_time_passes(), mock.patch.object(pool, "dial", network.dial):
        session = client.Session(trust_env=False, max_redirects=6, max_body=MAX_BODY, workers=1)
        try:
            response = session.request(
                scene.method,
                scene.url,
                data=b"body" if scene.method == "POST" else None,
                headers={"X-Api-Key": "Key-93ab01"},
                cookies={"sid": "Sid-55f0aa"},
                auth=auth,
                stream=stream,
            )
            content = _read(response, scene.read_size) if stream else response.content
            answer = _seen(response, content)
        except client.RequestException as error:
            _check_error(error, b"".join(scripts))
            answer = (type(error),)
        cookies = [(c.name, c.value, c.domain, c.path, str(c.expires)) for c in session.cookies]
        session.close()
        transport = cast("pool.ConnectionPool", session._transport)
        assert not transport._open, "a connection is still in the books"
        assert not transport._slots, "a slot is still taken"
    assert all(sock.fileno() == -1 for _, sock in network.connections), "a socket is still open"
    requests = [(origin, MADE_UP.sub(b"", request)) for origin, request in network.requests]
    return Outcome(answer, requests, cookies)


@contextlib.contextmanager
def _no_time_passes() -> Iterator[None]:
    """Stop the clock of cookies, so that no run of the two is later than the other."""
    with contextlib.ExitStack() as stack:
        for module in (exchange, prepared, response_head):
            stack.enter_context(mock.patch.object(module, "time", _now))
        yield


def _now() -> float:
    return NOW


def _read(response: client.Response, size: int | None) -> bytes:
    if size == 4096:
        with response.open() as reader:
            return reader.read()
    return b"".join(response.iter_content(size))


def _seen(response: client.Response, content: bytes) -> tuple[object, ...]:
    """Return what does not depend on the road; look at every view, none of which may raise."""
    if response._content is False:
        response._content = content
    assert response.content == content
    views: list[object] = [response.text, response.encoding, response.apparent_encoding, response.reason]
    views += [sorted(response.links), [(c.name, c.value) for c in response.cookies], response.ok]
    views += [list(response.iter_lines()), list(response.iter_sse()), list(response.headers.items())]
    views += [response.url, response.http_version, response.is_redirect, response.trailers.raw_items()]
    views += [(hop.status_code, hop.url) for hop in response.history]
    for view in (response.json, response.raise_for_status):
        try:
            views.append(repr(view()))
        except client.RequestException as error:
            check_readable(error)
            views.append(type(error))
    if sampled(content, 8):
        copy = pickle.loads(pickle.dumps(response))
        assert (copy.content, copy.status_code, copy.text) == (content, response.status_code, response.text)
    return (response.status_code, content, *views)


def _check_error(error: client.RequestException, wire: bytes) -> None:
    check_readable(error)
    shown = f"{error} {error!r}"
    for secret in SECRETS:
        assert secret in wire or secret.decode() not in shown, "an error shows a secret"


def _check_requests(requests: list[tuple[tuple[str, str, int], bytes]], wire: bytes) -> None:
    home = True
    before = requests[0][0] if requests else None
    for origin, request in requests:
        match = HEAD.match(request)
        assert match, f"not a well-formed request: {request!r}"
        names = [line.partition(b":")[0].lower() for line in match[3].split(b"\r\n")[:-1]]
        assert len(set(names)) == len(names), f"a field stands twice: {request!r}"
        assert names[0] == b"host"
        body = request[match.end() :]
        assert body == (b"body" if body else b"")
        assert bool(body) == (b"\r\nContent-Length: 4\r\n" in match[0])
        home = home and (origin == before or (before, origin) == UPGRADE)
        before = origin
        if not home:
            assert not AUTHORIZATION.search(request), f"credentials for {origin}"
            assert all(secret in wire or secret not in request for secret in SECRETS), f"a secret at {origin}"
