"""The head of a response: status, header fields, and the facts about how it came.

The law of the room: nothing is computed before someone asks.  A session fills in a handful of attributes; every
view of the header fields (text, cookies, links, ...) is made on first use, and can be assigned to, as in requests.
"""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003  # see `ResponseHead`
from datetime import timedelta
from time import time
from typing import TYPE_CHECKING, Any, Final, Literal

from client.exceptions import HTTPError, InvalidRequest
from client.headers import ResponseHeaders
from client.links import parse_links
from client.prepared import PreparedRequest  # noqa: TC001  # as above
from client.text import allow_codec, charset_of, detect, text_codec
from client.transport.wire import WireResponse  # noqa: TC001  # as above
from client.url import parse_url

if TYPE_CHECKING:
    from client.cookies import RequestsCookieJar
    from client.response import Response

__all__ = ["REDIRECT_STATI", "ResponseHead"]

#: Statuses that redirect where a Location comes with them (requests' name and list).
REDIRECT_STATI: Final = (301, 302, 303, 307, 308)


class ResponseHead:
    """What can be known of an answer before its body is read; `client.Response` adds the body.

    Attributes:
        status_code: The status, such as 200.
        request: The `PreparedRequest` that this answers.
        attempts: One entry for each earlier try of the same call, oldest first.
        connection: The adapter that made the response, None if there is none (requests' name).
    """

    status_code: int = None  # type: ignore[assignment]  # as in requests: None until one is set
    request: PreparedRequest = None  # type: ignore[assignment]  # as above
    attempts: Sequence[Any] = ()
    connection: Any = None

    # Class-level defaults, so that a new response costs only what it sets itself. Their types are there at run time,
    # for what looks at a subclass that way (attrs, `typing.get_type_hints`).
    _wire: WireResponse | None = None
    _fields: Sequence[tuple[bytes, bytes]] | None = None
    _headers: Any = None
    _cookies: Any = None
    _history: list[Any] | None = None
    _reason: str | None = None
    _url: str | None = None
    _encoding: str | Literal[False] | None = False  # False: not asked for yet
    _elapsed: float | timedelta = 0.0
    _timings: dict[str, float] | None = None
    _trailers: ResponseHeaders | None = None
    _next: PreparedRequest | None = None
    _http_version: str = "1.1"

    @property
    def headers(self) -> ResponseHeaders:
        """The header fields: names are case-insensitive, several lines of one name are joined by ``", "``.

        `ResponseHeaders.get_list` and `raw_items` show them as they were sent (RFC 9110 section 5.2).
        """
        if self._headers is None:
            self._headers = ResponseHeaders(self._raw_fields())
        return self._headers  # type: ignore[no-any-return]  # or what the caller has put in its place

    @headers.setter
    def headers(self, value: Any) -> None:
        self._headers = value
        self._encoding = False

    @property
    def reason(self) -> str | None:
        """The reason phrase, such as ``"Not Found"``; may be empty, None if none was ever set."""
        if self._reason is None and self._wire is not None:
            raw = self._wire.reason
            self._reason = raw.decode(detect(raw))
        return self._reason

    @reason.setter
    def reason(self, value: str | bytes | None) -> None:
        self._reason = value.decode(detect(value)) if isinstance(value, bytes) else value

    @property
    def http_version(self) -> str:
        """The version that the peer spoke: ``"1.1"`` or ``"1.0"``."""
        if self._wire is not None:
            return self._wire.http_version.decode("ascii")
        return self._http_version

    @http_version.setter
    def http_version(self, value: str) -> None:
        self._http_version = value

    @property
    def url(self) -> str:
        """The URL that answered, after redirects, with its fragment and without user information."""
        if self._url is None and self.request is not None:
            return self.request.url  # type: ignore[return-value]  # one that was sent has a URL
        return self._url

    @url.setter
    def url(self, value: str) -> None:
        self._url = value

    @property
    def encoding(self) -> str | None:
        """The charset that `text` is decoded with; assign to it to choose another.

        Until then it is the charset parameter of Content-Type where that names a text codec of Python, and None
        otherwise: then the body itself tells (see `apparent_encoding`). Nothing is guessed from the media type.
        """
        if self._encoding is False:
            if self._headers is None:  # building the dict for one field costs more than all the rest
                content_type = (self._raw_field(b"content-type") or b"").decode("latin-1")
            else:
                content_type = self._headers.get("content-type", "")
            charset = charset_of(content_type)
            self._encoding = charset if text_codec(charset) else None
        return self._encoding

    @encoding.setter
    def encoding(self, value: str | None) -> None:
        allow_codec(value)
        self._encoding = value

    @property
    def cookies(self) -> RequestsCookieJar:
        """The cookies that this very answer sets (RFC 6265bis section 5.6)."""
        if self._cookies is None:
            from client.cookies import RequestsCookieJar

            self._cookies = RequestsCookieJar()
            values = [value for name, value in self._raw_fields() if name.lower() == b"set-cookie"]
            if values:
                self._cookies.store(parse_url(self.url), values, time())
        jar: RequestsCookieJar = self._cookies
        return jar

    @cookies.setter
    def cookies(self, value: RequestsCookieJar) -> None:
        self._cookies = value

    @property
    def elapsed(self) -> timedelta:
        """The time from sending the request until the head of the answer was parsed."""
        if isinstance(self._elapsed, float):
            self._elapsed = timedelta(seconds=self._elapsed)
        return self._elapsed

    @elapsed.setter
    def elapsed(self, value: timedelta) -> None:
        self._elapsed = value

    @property
    def timings(self) -> dict[str, float]:
        """Seconds by phase: queue, dns, connect, tls, send, wait, receive; 0 for what did not happen."""
        if self._timings is None:
            return self._wire.timings if self._wire is not None else {}
        return self._timings

    @timings.setter
    def timings(self, value: dict[str, float]) -> None:
        self._timings = value

    @property
    def trailers(self) -> ResponseHeaders:
        """The trailer fields, empty until the body is complete (RFC 9110 section 6.5)."""
        if self._trailers is None:
            return ResponseHeaders(self._wire.trailers if self._wire is not None else [])
        return self._trailers

    @trailers.setter
    def trailers(self, value: ResponseHeaders) -> None:
        self._trailers = value

    @property
    def history(self) -> list[Response]:
        """The redirects that led here, oldest first."""
        if self._history is None:
            self._history = []
        return self._history

    @history.setter
    def history(self, value: list[Response]) -> None:
        self._history = value

    @property
    def links(self) -> dict[str, dict[str, str]]:
        """The Link header (RFC 8288): one entry for each relation type, or for the URL of a link without one.

        ``response.links["next"]["url"]`` is as the server sent it, so it may be relative.
        """
        links: dict[str, dict[str, str]] = {}
        for link in parse_links(self.headers.get("link", "")):
            for key in link.get("rel", "").split() or [link["url"]]:
                links[key] = link
        return links

    @property
    def next(self) -> PreparedRequest | None:
        """The request that would follow this redirect; None if it is none or was followed."""
        return self._next

    @property
    def is_redirect(self) -> bool:
        """True if this is a redirect that a session could follow."""
        return self.status_code in REDIRECT_STATI and "location" in self.headers

    @property
    def is_permanent_redirect(self) -> bool:
        """True if this is a redirect that says for good (301, 308)."""
        return self.status_code in {301, 308} and "location" in self.headers

    @property
    def ok(self) -> bool:
        """True if the status is below 400; not a check that it is 200."""
        return not 400 <= self.status_code < 600

    def raise_for_status(self) -> None:
        """Raise if the status is 4xx or 5xx.

        Raises:
            HTTPError: With this response as ``response``; its message shows the URL without user information,
                query and fragment, and the reason with its control characters escaped.
        """
        if 400 <= self.status_code < 600:
            fault = "Client" if self.status_code < 500 else "Server"
            reason = _printable(str(self.reason))
            message = f"{self.status_code} {fault} Error: {reason} for url: {self._redacted_url()}"
            raise HTTPError(message, response=self)

    def _raw_fields(self) -> Sequence[tuple[bytes, bytes]]:
        if self._wire is None:
            return _foreign_fields(self._headers, getattr(self, "_raw", None))
        if self._fields is None:
            self._fields = self._wire.headers
        return self._fields

    def _locations(self) -> list[bytes]:
        """Return the values of the Location fields, as a hook or the caller may have changed them in `headers`."""
        headers = self._headers
        if headers is None:
            return [value for name, value in self._raw_fields() if name.lower() == b"location"]
        if hasattr(headers, "get_list"):
            return [_octets(value) for value in headers.get_list("location")]
        return [_octets(value) for name, value in headers.items() if name.lower() == "location"]

    def _has_field(self, name: bytes) -> bool:
        """Say whether there is a field of that lower-case name."""
        return self._raw_field(name) is not None if self._wire is None else self._wire.has_field(name)

    def _raw_field(self, wanted: bytes) -> bytes | None:
        """Return the first field of that lower-case name without building `headers`."""
        length = len(wanted)
        for name, value in self._raw_fields():
            if len(name) == length and name.lower() == wanted:
                return value
        return None

    def _redacted_url(self) -> str:
        try:
            return parse_url(self.url).redacted
        except InvalidRequest:  # a double's, which nobody had to parse
            return "(not a URL)"


def _printable(text: str) -> str:
    """Escape what would steer a terminal: a reason is the peer's, and may hold the controls above 0x7f."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def _foreign_fields(headers: Any, raw: Any) -> list[tuple[bytes, bytes]]:
    """Return the fields of a response that came by no connection of ours: an adapter's, a double's, a pickled one's.

    What its `headers` say now. Only Set-Cookie cannot be read from there where a mapping holds several, joined by
    commas; then it is *raw* that has them: urllib3's response, or the message of `http.client` inside it.
    """
    if headers is None:
        return []
    set_cookies = next(
        (
            values
            for source, method, *default in (
                (headers, "get_list"),
                (getattr(raw, "headers", None), "getlist"),
                (getattr(getattr(raw, "_original_response", None), "msg", None), "get_all", ()),
            )
            if hasattr(source, method) and (values := getattr(source, method)("Set-Cookie", *default))
        ),
        None,
    )
    fields = [
        (name, value) for name, value in headers.items() if not set_cookies or name.lower() != "set-cookie"
    ]
    fields += [("Set-Cookie", value) for value in set_cookies or ()]
    return [(_octets(name), _octets(value)) for name, value in fields]


def _octets(text: Any) -> bytes:
    if isinstance(text, bytes):
        return text
    try:
        return str(text).encode("latin-1")
    except UnicodeEncodeError:  # no wire brought it
        return str(text).encode(errors="replace")
