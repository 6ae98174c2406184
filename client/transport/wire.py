"""The seam between the floors: one request in, one final response out.

A `Transport` does one transaction.  It follows no redirect, answers no challenge, keeps no cookie, decodes no
content coding and reads no meaning into the status (the sentence is Go's, for its RoundTripper).  The pool, a
mock, a WSGI application and a mounted adapter all stand behind these few classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from client.hostname import authority

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from client.timeouts import Deadline
    from client.transport.cancel import CancelToken
    from client.transport.tls import TLSSettings
    from client.url import URL

__all__ = ["Body", "Call", "ConnectionInfo", "Fields", "Proxy", "Transport", "WireRequest", "WireResponse"]

#: Header or trailer fields as they are on the wire: (name, value) pairs of bytes, in order.
Fields: TypeAlias = "list[tuple[bytes, bytes]]"


class Body(Protocol):
    """A request body that is not plain bytes.

    It may have a method ``spans()`` beside `chunks`, which does the same but yields a `FileSpan` for bytes that the
    kernel can send straight from their file.

    Attributes:
        length: Bytes in all, sent as Content-Length; None sends it chunked.
        replayable: True if `chunks` can be called again for a resend.
    """

    @property
    def length(self) -> int | None: ...  # noqa: D102  # see Attributes
    @property
    def replayable(self) -> bool: ...  # noqa: D102  # see Attributes

    def chunks(self) -> Iterator[bytes]:
        """Return the body's pieces from its start.

        Raises:
            UnrewindableBodyError: The body was used up by an earlier call and cannot start again.
        """
        ...


class WireRequest:
    """One request, ready for the wire.

    Args:
        method: The method, as sent.
        url: Where to; its ``target`` is the request-target.
        headers: Complete fields, Host and framing included.
        body: bytes, a `Body`, or None for no body.
        trailers: Called once the body is sent, returns the trailer fields; None for none.
    """

    __slots__ = ("body", "headers", "method", "trailers", "url")

    def __init__(
        self,
        method: str,
        url: URL,
        headers: list[tuple[bytes, bytes]],
        body: bytes | Body | None = None,
        trailers: Callable[[], list[tuple[bytes, bytes]]] | None = None,
    ) -> None:
        """Hold the five parts; the transport changes none of them."""
        self.method: str = method
        self.url: URL = url
        self.headers: list[tuple[bytes, bytes]] = headers
        self.body: bytes | Body | None = body
        self.trailers: Callable[[], list[tuple[bytes, bytes]]] | None = trailers

    def for_proxy(self, proxy: Proxy) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        """Return request-target and fields as they go through *proxy*.

        A plain http request goes in absolute-form with the proxy's credentials (RFC 9112 section 3.2.2); inside
        a tunnel, or behind SOCKS, it is the same as without.
        """
        url = self.url
        if url.scheme != "http" or proxy.scheme not in ("http", "https"):
            return url.target, self.headers
        target = b"http://" + url.host_header + url.target
        if proxy.authorization is None:
            return target, self.headers
        # In the place of one that the caller wrote, as in requests: two would be none that a proxy can read.
        fields = [field for field in self.headers if field[0].lower() != b"proxy-authorization"]
        return target, [*fields, (b"Proxy-Authorization", proxy.authorization)]


class Proxy:
    """A proxy to go through; part of what tells connections apart.

    Args:
        scheme: ``"http"``, ``"https"``, ``"socks5"`` or ``"socks5h"``.
        host: Name or IP address, without brackets.
        port: TCP port.
        authorization: Value of Proxy-Authorization, or None. For SOCKS, ``username:password``.
        tls: Settings for TLS to an https proxy; never those of the origin.
    """

    __slots__ = ("authorization", "host", "port", "scheme", "tls")

    def __init__(
        self,
        scheme: str,
        host: str,
        port: int,
        authorization: bytes | None = None,
        tls: TLSSettings | None = None,
    ) -> None:
        """Hold the five parts."""
        self.scheme: str = scheme
        self.host: str = host
        self.port: int = port
        self.authorization: bytes | None = authorization
        self.tls: TLSSettings | None = tls

    def _key(self) -> tuple[Any, ...]:
        return (self.scheme, self.host, self.port, self.authorization, self.tls)

    def __eq__(self, other: object) -> bool:
        """Compare all parts: other credentials make another connection."""
        return isinstance(other, Proxy) and self._key() == other._key()

    def __hash__(self) -> int:
        """Hash all parts."""
        return hash(self._key())

    def __repr__(self) -> str:
        """Show where it is, never its credentials."""
        return f"<Proxy {self.scheme}://{authority(self.host, self.port)}>"


class Call:
    """What one call brings besides its request.

    Args:
        deadline: What each wait may take.
        tls: TLS settings for the origin.
        proxy: The proxy to use for this hop, None to connect directly.
        cancel: The stop switch, None if nobody holds one.
        fresh: True refuses a pooled connection: the last one turned out to be dead.
        began: When the call's first request set out (monotonic seconds), set before a further one follows it.
        expect: Send ``Expect: 100-continue`` and wait for the go-ahead before the body.
        on_informational: Called with (status, fields) of each 1xx answer.
        on_sent: Called with the bytes of body sent so far, after each piece.
        trace: Called with (event name, facts) as the call goes on; None costs nothing.
    """

    __slots__ = (
        "began",
        "cancel",
        "deadline",
        "expect",
        "fresh",
        "on_informational",
        "on_sent",
        "proxy",
        "tls",
        "trace",
    )

    def __init__(
        self,
        deadline: Deadline,
        tls: TLSSettings,
        *,
        proxy: Proxy | None = None,
        cancel: CancelToken | None = None,
        fresh: bool = False,
        began: float | None = None,
        expect: bool = False,
        on_informational: Callable[[int, Sequence[tuple[bytes, bytes]]], None] | None = None,
        on_sent: Callable[[int], object] | None = None,
        trace: Callable[[str, dict[str, Any]], None] | None = None,
    ) -> None:
        """Hold the facts; one `Call` serves all hops of a call, with ``proxy`` set anew for each."""
        self.deadline: Deadline = deadline
        self.tls: TLSSettings = tls
        self.proxy: Proxy | None = proxy
        self.cancel: CancelToken | None = cancel
        self.fresh: bool = fresh
        self.began: float | None = began
        self.expect: bool = expect
        self.on_informational: Callable[[int, Sequence[tuple[bytes, bytes]]], None] | None = on_informational
        self.on_sent: Callable[[int], object] | None = on_sent
        self.trace: Callable[[str, dict[str, Any]], None] | None = trace

    def check(self) -> None:
        """For work that waits for nobody: see whether the call is still to go on.

        Raises:
            TotalTimeout: The total deadline has passed.
            BaseException: The call was cancelled.
        """
        if self.cancel is not None:
            self.cancel.check()
        self.deadline.remaining("read", "read")


class ConnectionInfo:
    """Facts of the connection that an answer came by.

    Attributes:
        peer: Address at the other end, as `socket.getpeername` gives it; None without a socket.
        local: Our own address; None without a socket.
        tls_version: Such as ``"TLSv1.3"``; None for plain TCP.
        cipher: Name of the cipher; None for plain TCP.
        proxy: The proxy in between, or None.
        dns: Seconds of the name look-up when the connection was made.
        connect: Seconds until TCP stood, all addresses tried and proxy included.
        tls: Seconds of the TLS handshake.
    """

    __slots__ = ("cipher", "connect", "dns", "local", "peer", "proxy", "tls", "tls_version")

    def __init__(
        self,
        *,
        peer: Any = None,
        local: Any = None,
        tls_version: str | None = None,
        cipher: str | None = None,
        proxy: Proxy | None = None,
        dns: float = 0.0,
        connect: float = 0.0,
        tls: float = 0.0,
    ) -> None:
        """Hold the facts."""
        self.peer: Any = peer
        self.local: Any = local
        self.tls_version: str | None = tls_version
        self.cipher: str | None = cipher
        self.proxy: Proxy | None = proxy
        self.dns: float = dns
        self.connect: float = connect
        self.tls: float = tls


#: For answers that came by no connection: a mock, a WSGI application.
NO_CONNECTION: Final = ConnectionInfo()


class WireResponse(Protocol):
    """One final response whose body is still to be read; its reader owns the connection until the end.

    Attributes:
        status: 200 to 999 (101 after a switch of protocols).
        reason: The reason phrase, may be empty.
        http_version: ``b"1.1"`` or ``b"1.0"``.
        headers: Fields in order, names as the peer wrote them.
        info: Facts of the connection.
        reused: True if the connection had served an earlier request.
        timings: Seconds by phase, filled as the exchange goes on: queue dns connect tls send wait receive.
    """

    status: int
    reused: bool

    @property
    def reason(self) -> bytes: ...  # noqa: D102  # see Attributes
    @property
    def http_version(self) -> bytes: ...  # noqa: D102  # see Attributes
    @property
    def info(self) -> ConnectionInfo: ...  # noqa: D102  # see Attributes
    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]: ...  # noqa: D102  # see Attributes
    @property
    def timings(self) -> dict[str, float]: ...  # noqa: D102  # see Attributes

    def has_field(self, name: bytes) -> bool:
        """Say whether a header field of that lower-case name is there; cheaper than a look at ``headers``."""
        ...

    def read(self, size: int | None = None) -> bytes:
        """Return the next bytes of the body, as they are on the wire but for chunking.

        Args:
            size: None: everything that is left. Otherwise at most *size* bytes and at least one;
                ``b""`` means that the body is complete.

        Raises:
            IncompleteBody: The peer closed first.
            ChunkedEncodingError: The framing is broken.
            ReadTimeout, TotalTimeout: Too late.
        """
        ...

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill *buffer* from its start; return the count of bytes, 0 when the body is complete."""
        ...

    @property
    def trailers(self) -> list[tuple[bytes, bytes]]:
        """Trailer fields; empty until the body is complete."""
        ...

    def close(self) -> None:
        """Give the connection up, or back where the body is complete. Idempotent; never blocks.

        Wakes whoever waits in a read on another thread.
        """
        ...

    def drain(self) -> None:
        """As `close`, but may wait a moment for the rest of a short body; it can still be read afterwards."""
        ...

    def detach(self) -> tuple[socket.socket, bytes]:
        """Hand over the socket and the bytes read past the head, after 101 or CONNECT."""
        ...


class Transport(Protocol):
    """Whatever can do one transaction."""

    def round_trip(self, request: WireRequest, call: Call) -> WireResponse:
        """Send *request* and return its final response with the body unread.

        Raises:
            ConnectionError, Timeout: With ``reused``, ``bytes_sent`` and ``response_started`` set, so that
                the caller can decide about sending again.
            InvalidRequest: Refused before a byte was sent.
        """
        ...

    def close(self) -> None:
        """Close what is idle; what is in use closes when its user lets go."""
        ...
