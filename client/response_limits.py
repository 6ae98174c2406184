"""`ResponseLimits`: everything that bounds what a server may send, but the size of a body.

The one place where these numbers stand, with their defaults. Who keeps to them: the engine and the transport to
those of a message, the decoders to `codings`, the jar to those of cookies. How large a body may get differs from call
to call, so ``max_body=`` and ``max_ratio=`` are arguments of each; so is how many redirects are followed.
"""

from __future__ import annotations

from typing import ClassVar, Final

from client.protocol.limits import Limits

__all__ = ["DEFAULT_RESPONSE_LIMITS", "ResponseLimits"]


class ResponseLimits(Limits):
    """What a server may send before it is refused or left out: ``Session(response_limits=...)``. Immutable.

    The first five count for each message, also for a proxy's answer to CONNECT; a message beyond one is a
    `ProtocolError`, and in chunk lines and trailers a `ChunkedEncodingError`.

    Args:
        head: Bytes of status line and fields, line ends included. Default 65536, at least 1.
        fields: Fields in one head, and in one trailer section. Default 256, at least 1.
        chunk_line: Bytes of one chunk's size with its extensions and line end. Default 4096, at least 1.
        trailers: Bytes of the trailer section with its empty line. Default 65536, at least 2: no trailer.
        informational: 1xx answers before the final one. Default 16; 0 allows none.
        drain: Bytes of a body that nobody reads, such as a redirect's, which are still received to keep its
            connection; a longer one costs it. Default 65536; 0 receives nothing.
        codings: Content codings on one body, ``identity`` and all lines of Content-Encoding counted; more are a
            `ContentDecodingError`. Default 5; 0 allows none.
        cookie: Bytes of one cookie's name and value; a longer one is not kept. Default 4096.
        cookies_per_domain: Cookies kept for one domain; the oldest make way. Default 50; 0 keeps none.
        cookies: Cookies kept in all; the oldest make way. Default 3000; 0 keeps none.
        cookie_header: Bytes of a request's Cookie field that kept cookies may fill; what does not fit is not sent.
            Default 8190; 0 sends none.

    Raises:
        ValueError: A limit is no int (a bool is none here), or is below its least value.
    """

    __slots__ = ("codings", "cookie", "cookie_header", "cookies", "cookies_per_domain", "drain")

    LEAST: ClassVar[dict[str, int]] = Limits.LEAST | dict.fromkeys(
        ("drain", "codings", "cookie", "cookies_per_domain", "cookies", "cookie_header"), 0
    )

    drain: int
    codings: int
    cookie: int
    cookies_per_domain: int
    cookies: int
    cookie_header: int

    def __init__(
        self,
        *,
        head: int = 64 * 1024,
        fields: int = 256,
        chunk_line: int = 4 * 1024,
        trailers: int = 64 * 1024,
        informational: int = 16,
        drain: int = 64 * 1024,
        codings: int = 5,
        # RFC 6265bis sections 5.7 and 6.1.
        cookie: int = 4096,
        cookies_per_domain: int = 50,
        cookies: int = 3000,
        # A server that sets more would make every later request fail with 400 or 431, for its sibling hosts too
        # (CVE-2022-32205); nginx and Apache take 8 KiB a line.
        cookie_header: int = 8190,
    ) -> None:
        """Check and hold them."""
        super().__init__(
            head=head, fields=fields, chunk_line=chunk_line, trailers=trailers, informational=informational
        )
        self._hold(
            drain=drain,
            codings=codings,
            cookie=cookie,
            cookies_per_domain=cookies_per_domain,
            cookies=cookies,
            cookie_header=cookie_header,
        )


#: Of a session that is given no others.
DEFAULT_RESPONSE_LIMITS: Final = ResponseLimits()
