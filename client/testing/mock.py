"""`MockTransport`: a function answers in the place of the network.

    def handler(request: MockRequest) -> MockResponse:
        assert request.path == "/users/1"
        return MockResponse(json={"id": 1})

    session = client.Session(base_url="https://api.test", transport=MockTransport(handler))

Everything above the transport is real: redirects, retries, cookies, auth, decoding.  A handler that raises
``client.ReadTimeout`` plays a slow server, a body shorter than its Content-Length one that broke off.
"""

from __future__ import annotations

import json as json_module
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from client.headers import ResponseHeaders, encode_fields
from client.testing.offline import HEAD_ONLY, OfflineResponse, sent_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from client.transport.wire import Call, Fields, WireRequest
    from client.url import URL

__all__ = ["MockRequest", "MockResponse", "MockTransport"]


class MockRequest:
    """A request as the handler sees it: what would have gone over the wire.

    Attributes:
        method: As sent.
        url: The whole URL, as str.
        path: Its path, percent-encoded.
        query: Its query, percent-encoded, without ``?``; empty if there is none.
        headers: All fields, as text; names in any case.
        body: The whole body in bytes, empty if there is none; chunks joined.
        trailers: (name, value) pairs of bytes.
    """

    def __init__(self, method: str, url: URL, headers: Fields, body: bytes, trailers: Fields) -> None:
        """Hold the parts of a request that is complete."""
        self.method = method
        self.url: str = str(url)
        self.path: str = url.path
        self.query: str = url.query or ""
        self.headers: ResponseHeaders = ResponseHeaders(headers)
        self.body = body
        self.trailers = trailers

    def json(self) -> Any:
        """Return the body read as JSON.

        Raises:
            ValueError: It is not JSON.
        """
        return json_module.loads(self.body)

    def __repr__(self) -> str:
        """Show method and path; a query may hold what no log should."""
        return f"<MockRequest {self.method} {self.path}>"


class MockResponse:
    """What a handler answers.

    Args:
        status: 200 to 999.
        headers: A mapping or (name, value) pairs; pairs may repeat a field. Unless it has a Content-Length,
            the length of *body* is announced where it is known.
        body: bytes-like, str (sent as UTF-8), or an iterable of bytes: read piece by piece, and what it raises is
            what the reader gets.
        json: A document to send instead of *body*, with its Content-Type.
        reason: The reason phrase.
        trailers: (name, value) pairs behind the body.

    Raises:
        ValueError: *status* is no number or out of range, or both *body* and *json* are given.
        TypeError: *body* is of another type.
        InvalidHeader: A field is not one.
    """

    def __init__(
        self,
        status: int = 200,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes | str | Iterable[bytes] = b"",
        json: Any = None,
        reason: str = "",
        trailers: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Check the parts and encode them for the wire."""
        code: object = status  # whatever a test says
        if not isinstance(code, int) or not 200 <= code <= 999:
            raise ValueError(f"status {status!r}: expected 200 to 999")
        if json is not None and body != b"":
            raise ValueError("body and json: expected one of them")
        self.status = status
        self.reason: bytes = reason.encode("latin-1")
        self.headers: Fields = encode_fields(headers)
        self.trailers: Fields = encode_fields(trailers)
        names = {name.lower() for name, _ in self.headers}
        if json is not None:
            body = json_module.dumps(json).encode()
            if b"content-type" not in names:
                self.headers.append((b"Content-Type", b"application/json"))
        elif isinstance(body, str):
            body = body.encode()
        elif not isinstance(body, bytes):
            if isinstance(body, bytearray | memoryview):
                body = bytes(body)
            elif not hasattr(body, "__iter__") or isinstance(body, Mapping):
                kind = type(body).__name__
                raise TypeError(f"body: expected bytes, str or an iterable of bytes, not {kind}")
        if isinstance(body, bytes):
            if b"content-length" not in names and status not in HEAD_ONLY:
                self.headers.append((b"Content-Length", str(len(body)).encode()))
            body = (body,)
        self.pieces = body


class MockTransport:
    """A `Transport` whose answers come from a function.

    Args:
        handler: Called with each request, on the thread that makes it; several at once with a worker pool.

    Attributes:
        requests: Every request so far, in the order of arrival.

    Raises:
        TypeError: The handler is no function.
    """

    def __init__(self, handler: Callable[[MockRequest], MockResponse]) -> None:
        """Start with no request seen."""
        if not callable(handler):
            raise TypeError(f"the handler must be a function, not {type(handler).__name__}")
        self._handler = handler
        self.requests: list[MockRequest] = []

    def round_trip(self, request: WireRequest, call: Call) -> OfflineResponse:
        """Collect the request's body, ask the handler, and return its answer with the body unread.

        Raises:
            Exception: Whatever the handler raises, as it is.
            TypeError: The handler returned something else than a `MockResponse`.
        """
        body = b"".join(sent_pieces(request, call))
        trailers = request.trailers() if request.trailers is not None else []
        seen = MockRequest(request.method, request.url, request.headers, body, trailers)
        self.requests.append(seen)
        answer = self._handler(seen)
        if not isinstance(answer, MockResponse):
            raise TypeError(f"the handler returned {type(answer).__name__}, expected MockResponse")
        bodyless = request.method == "HEAD" or answer.status in HEAD_ONLY
        return OfflineResponse(
            answer.status,
            answer.reason,
            answer.headers,
            None if bodyless else iter(answer.pieces),
            call,
            trailers=answer.trailers,
        )

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
