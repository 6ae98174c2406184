"""`PreparedRequest`: a checked request, as it goes to the wire.

The law of the room: all arguments are checked here, before a socket is touched; a prepared request may be edited
until it is sent, so the framing fields are settled last, in `PreparedRequest.wire_fields`, from the body as it is then.
Steps and names are those that requests documents. RFC 9110 section 9.1 (methods), RFC 9112 section 6 (framing).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from time import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

from client.body import CallableBody, IterableBody, encode_body, used_up, wire_body
from client.exceptions import InvalidHeader, InvalidMethod, InvalidRequest, UnrewindableBodyError
from client.file_body import FileBody
from client.headers import (
    CaseInsensitiveDict,
    as_case_insensitive,
    check_host_field,
    encode_field,
    encode_fields,
    encode_trailers,
)
from client.hooks import Hooked, Hooks, checked_mapping, functions_of
from client.transport.wire import WireRequest
from client.url import URL, parse_url

if TYPE_CHECKING:
    from client.netrc import Netrc
    from client.transport.wire import Body

__all__ = ["USUAL_METHODS", "PreparedRequest", "checked_method"]

#: Methods whose requests have content by definition: without any, they say so (RFC 9110 section 8.6).
_WITH_CONTENT: Final = frozenset({"POST", "PUT", "PATCH"})
#: Those that need no check.
USUAL_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CHUNKED: Final = (b"Transfer-Encoding", b"chunked")
_METHOD: Final = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]++")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")


class PreparedRequest(Hooked):
    """A checked request, as it will be sent; every part may still be edited.

    Attributes:
        method: Upper case; None before `prepare_method`.
        body: What is sent: str (UTF-8), bytes, a binary file, an iterable, a callable or a `Body`; None for
            none.
        trailers: Fields to send after the body, or a callable that returns them; None for none.
    """

    # Class-level defaults, so that a request costs only what it sets itself.
    method: str | None = None
    body: Any = None
    trailers: Any = None
    _url: URL | None = None
    _headers: CaseInsensitiveDict | None = None
    #: Encoded fields of the session while nobody asked for `headers`; see `client.defaults.quick_request`.
    _fields: list[tuple[bytes, bytes]] | None = None
    #: (headers, their version, what `encode_fields` made of them then).
    _encoded: tuple[CaseInsensitiveDict, int, list[tuple[bytes, bytes]]] | None = None
    #: (body, what `wire_body` made of it): a stream's state lives in the latter.
    _wire: tuple[Any, bytes | Body | None] = (None, None)
    #: The call's own cookies, and whether the Cookie field was made of a jar, not written by the caller.
    _own_cookies: Any = None
    _has_jar_cookies: bool = False
    #: False for a request that leaves the origin of its session's ``base_url``.
    _at_home: bool = True
    #: Credentials for other origins; None if the caller gave his own, or reads none.
    _netrc: Netrc | None = None
    #: The call that it is sent by, for a mounted adapter: its `CallOptions` and `Call`.
    _under_way: Any = None
    #: An auth object with an `auth_flow`, for whoever drives the exchange.
    _auth: Any = None
    _hooks: Hooks | None = None

    # -- the steps of preparing, in their order ------------------------------------------------------------

    def prepare(
        self,
        method: str | bytes | None = None,
        url: Any = None,
        headers: Mapping[str, Any] | None = None,
        files: Any = None,
        data: Any = None,
        params: Any = None,
        auth: Any = None,
        cookies: Any = None,
        hooks: Mapping[str, Any] | None = None,
        json: Any = None,
        *,
        trailers: Any = None,
    ) -> None:
        """Check and encode all parts; the arguments are those of `Request`.

        Raises:
            InvalidMethod, InvalidURL, MissingSchema, URLRequired, InvalidHeader, InvalidBody,
                InvalidJSONError: An argument is wrong; nothing was sent. All are `InvalidRequest` or
                    `InvalidJSONError`.
        """
        self.prepare_method(method)
        self.prepare_url(url, params)
        self.prepare_headers(headers)
        self.prepare_cookies(cookies)
        if trailers is not None and not isinstance(trailers, Mapping) and not callable(trailers):
            raise InvalidRequest(f"trailers= must be a mapping or a callable, not {type(trailers).__name__}")
        self.trailers = trailers or None
        self.prepare_body(data, files, json)
        # After the body: a signature covers it. Before the hooks: an auth object may add one of its own.
        self.prepare_auth(auth, url)
        self.prepare_hooks(hooks)

    def prepare_method(self, method: Any) -> None:
        """Set the method, in upper case.

        Raises:
            InvalidMethod: No token (RFC 9110 section 9.1).
        """
        self.method = checked_method(method).upper()

    def prepare_url(self, url: Any, params: Any) -> None:
        """Set the URL with *params* added to its query.

        Raises:
            InvalidURL, MissingSchema, URLRequired: See `parse_url` and `URL.with_params`.
        """
        self._url = parse_url(url).with_params(params)

    def prepare_headers(self, headers: Mapping[str, Any] | None) -> None:
        """Set the header fields.

        Raises:
            InvalidHeader: See `client.headers.encode_field`; or one name stands twice, in two spellings.
        """
        if headers is not None and not hasattr(headers, "items"):
            raise InvalidHeader(f"headers= must be a mapping, not {type(headers).__name__}")
        checked = CaseInsensitiveDict()
        fields = []
        for name, value in headers.items() if headers else ():
            field = encode_field(name, value)
            key = field[0].decode()
            if key in checked:
                raise InvalidHeader(f"Header {key!r} is given twice; join its values with a comma")
            checked[key] = field[1] if isinstance(value, bytes) else field[1].decode("latin-1")
            fields.append(field)
        self.headers = checked
        self._encoded = (checked, checked.version, fields)

    def prepare_body(self, data: Any, files: Any, json: Any = None) -> None:
        """Set the body, its Content-Type unless there is one, and its framing.

        Raises:
            InvalidBody, InvalidJSONError, InvalidHeader: See `encode_body` and `encode_multipart`.
        """
        if files:
            from client.multipart import encode_multipart

            given = self._field("Content-Type") or None
            encoded: tuple[Any, bytes | None] = encode_multipart(data, files, given)
        else:
            encoded = encode_body(data, json)
        body, content_type = encoded
        wire = wire_body(body)
        if wire is None or isinstance(wire, bytes):
            self.body = body
        else:
            if wire.length is None:
                self._take_announced_length(wire)
            # A stream is shown as the object that the caller gave, as in requests.
            self.body = body.source if isinstance(body, (FileBody, IterableBody, CallableBody)) else body
        self._wire = (self.body, wire)
        if content_type is not None and not self._field("Content-Type"):
            self._add_field(b"Content-Type", content_type)
        if self._headers is not None:
            self._frame(self._headers)

    def prepare_content_length(self, body: Any) -> None:
        """Set the framing fields for *body*, which becomes the body; auth objects call this after a change."""
        self.body = body
        self._frame(self.headers)

    def prepare_auth(self, auth: Any, url: Any = "") -> None:
        """Apply *auth*, or else the URL's user information as Basic.

        Args:
            auth: (user, password), a callable that takes this request and returns it, or an object with an
                ``auth_flow``, which is left to whoever sends the request.
            url: Not used; requests' signature.

        Raises:
            InvalidRequest: *auth* is something else, or returned something else.
        """
        if auth is None and self._url is not None and (self._url.username or self._url.password):
            auth = (self._url.username or "", self._url.password or "")
        if not auth:
            return
        if isinstance(auth, tuple | list) and len(auth) == 2:
            from client.auth import HTTPBasicAuth

            if not all(isinstance(part, str | bytes) for part in auth):
                raise InvalidRequest("auth= must be a pair of str or bytes")
            auth = HTTPBasicAuth(*auth)
        if hasattr(auth, "auth_flow"):
            self._auth = auth
            return
        if not callable(auth):
            raise InvalidRequest(f"auth= must be (user, password) or a callable, not {type(auth).__name__}")
        result = auth(self)
        if not isinstance(result, PreparedRequest):
            raise InvalidRequest(f"auth= must return the request it was given, not {type(result).__name__}")
        if result is not self:
            self.__dict__.update(result.__dict__)
        if self._headers is not None:
            self._frame(self._headers)

    def prepare_cookies(self, cookies: Any) -> None:
        """Set the Cookie field from *cookies*, a mapping or a jar, unless the caller wrote one.

        Raises:
            InvalidHeader: A name or value cannot stand in a header.
        """
        if cookies is None or self._url is None:
            return
        from client.cookies import RequestsCookieJar, cookiejar_from_dict

        try:
            jar = cookies if isinstance(cookies, RequestsCookieJar) else cookiejar_from_dict(cookies)
        except TypeError as cause:
            raise InvalidRequest(f"cookies= must be a mapping or a jar: {cause}") from cause
        self._own_cookies = jar
        value = jar.header_for(self._url, time())
        if value is not None and self._field("Cookie") is None:
            self._add_field(b"Cookie", value)
            self._has_jar_cookies = True

    def prepare_hooks(self, hooks: Mapping[str, Any] | None) -> None:
        """Add *hooks*: event -> a callable or several."""
        self.register_hooks(hooks)

    # -- parts ---------------------------------------------------------------------------------------------

    @property
    def url(self) -> str | None:
        """The URL without user information; None before `prepare_url`. Assigning checks it as `parse_url` does."""
        return None if self._url is None else str(self._url)

    @url.setter
    def url(self, url: Any) -> None:
        self._url = None if url is None else parse_url(url)

    @property
    def _cookies(self) -> Any:
        """The call's own cookies, a jar, under the name by which auth plugins for requests add to them."""
        if self._own_cookies is None:
            self.prepare_cookies({})
        return self._own_cookies

    @_cookies.setter
    def _cookies(self, jar: Any) -> None:
        self._own_cookies = jar

    @property
    def hooks(self) -> Hooks:
        """As in `Request`."""
        if self._hooks is None:
            self._hooks = {"response": []}
        return self._hooks

    @hooks.setter
    def hooks(self, hooks: Hooks) -> None:
        for hook in checked_mapping(hooks).values():
            functions_of(hook)
        self._hooks = hooks  # as it is, a function alone included: requests shows what was assigned

    @property
    def path_url(self) -> str:
        """Path and query, as in the request line."""
        return "/" if self._url is None else self._url.target.decode()

    @property
    def headers(self) -> CaseInsensitiveDict:
        """The header fields but for Host; edit them as a dict. They are checked again when they are sent."""
        if self._headers is None:
            self._headers = headers = CaseInsensitiveDict()
            for name, value in self._fields or ():
                headers[name.decode("latin-1")] = value.decode("latin-1")
            self._frame(headers)
            self._fields = None
        return self._headers

    @headers.setter
    def headers(self, headers: Mapping[str, Any]) -> None:
        self._headers = as_case_insensitive(headers)
        self._fields = None

    def copy(self) -> PreparedRequest:
        """Return a copy whose URL, headers and hooks can be changed on their own; the body is shared."""
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        if self._headers is not None:
            twin.headers = self._headers.copy()
        twin.hooks = {event: functions_of(hook) for event, hook in self.hooks.items()}
        return twin

    __copy__ = copy  # the default would take the state for pickling, which has no stream

    def __getstate__(self) -> dict[str, Any]:
        """Pickle all but streams and local functions, which say so if they are to be used, and an auth's dialogue.

        An error carries its request, and must reach another process in any case.
        """
        if self._headers is None and self.trailers is None and self._wire[0] is self.body:
            self.headers  # noqa: B018  # worked out now: what it says of the body's length is lost with a stream
        state = self.__dict__.copy()
        state.pop("_auth", None)
        state.pop("_under_way", None)
        state.pop("_netrc", None)
        if not isinstance(self.body, str | bytes | None):
            state["body"] = gone = used_up()
            state["_wire"] = (gone, gone)
        if callable(self.trailers):
            state["trailers"] = _lost
        state["_hooks"] = {
            event: [
                _lost if "<" in getattr(each, "__qualname__", "") else each for each in functions_of(hook)
            ]
            for event, hook in self.hooks.items()
        }
        return state

    def __repr__(self) -> str:
        """Show the method."""
        return f"<PreparedRequest [{self.method}]>"

    # -- for the wire --------------------------------------------------------------------------------------

    def for_wire(self) -> WireRequest:
        """Return this request as a transport takes it.

        Raises:
            InvalidRequest: It has no URL, or see `wire_fields`, `wire_body` and `wire_trailers`.
        """
        fields = self.wire_fields()  # which asks for the URL
        return WireRequest(
            self.method,  # type: ignore[arg-type]  # set, since the URL is
            self._url,  # type: ignore[arg-type]  # as above
            fields,
            None if self.body is None else self.wire_body(),
            None if self.trailers is None else self.wire_trailers(),
        )

    def wire_fields(self) -> list[tuple[bytes, bytes]]:
        """Return the fields to send, Host first and the framing of `body` as it is now included.

        Raises:
            InvalidHeader: A field is not valid, see `client.headers.encode_field`; Host is no host, or a name
                stands twice; Transfer-Encoding is anything but ``chunked``.
            InvalidBody: `body` was set to something that is no body.
        """
        url = self._url
        if url is None:
            raise InvalidRequest("The request has no URL; prepare it first")
        if self._headers is None and self.trailers is None:
            fields = [(b"Host", url.host_header), *(self._fields or ())]
            if self.body is not None or self.method in _WITH_CONTENT:
                framing = self._framing()
                if framing is not None:
                    fields.append(framing)
            return fields
        headers = self.headers
        self._frame(headers)
        encoded = self._encoded
        if encoded is None or encoded[0] is not headers or encoded[1] != headers.version:
            encoded = self._encoded = (headers, headers.version, encode_fields(headers))
        fields = encoded[2].copy()
        names = [name.lower() for name, _ in fields]
        if len(set(names)) != len(names) or {b"content-length", b"transfer-encoding"}.issubset(names):
            # The dict tells "A" from b"A", and asks a str subclass for its lower case; the wire does neither.
            raise InvalidHeader("A header stands twice, or Content-Length beside Transfer-Encoding")
        if b"host" not in names:
            return [(b"Host", url.host_header), *fields]
        host = fields.pop(names.index(b"host"))
        check_host_field(host[1])
        return [host, *fields]

    def wire_body(self) -> bytes | Body | None:
        """Return `body` as the transport takes it.

        Raises:
            InvalidBody: `body` was set to something that is no body.
        """
        given, wire = self._wire
        if given is not self.body:
            wire = wire_body(self.body, "body")
            self._wire = (self.body, wire)
        return wire

    def wire_trailers(self) -> Callable[[], list[tuple[bytes, bytes]]] | None:
        """Return what yields the trailer fields once the body is sent; None for none.

        Raises:
            InvalidHeader: A field is not valid or not allowed there (RFC 9110 section 6.5.1); for a callable
                that is found out when it is called.
        """
        trailers = self.trailers
        if trailers is None:
            return None
        if callable(trailers):
            return lambda: encode_trailers(trailers())
        fields = encode_trailers(trailers)
        return lambda: fields

    def _framing(self) -> tuple[bytes, bytes] | None:
        """Return the field that says how long the body is (RFC 9112 section 6); None if none is needed."""
        body = self.wire_body()
        if body is None:
            return (b"Content-Length", b"0") if self.method in _WITH_CONTENT else None
        length = len(body) if isinstance(body, bytes) else body.length
        return _CHUNKED if length is None else (b"Content-Length", b"%d" % length)

    def _frame(self, headers: CaseInsensitiveDict) -> None:
        """Make the framing fields in *headers* agree with the body, whatever was written there."""
        framing = self._framing()
        coding = self._field("Transfer-Encoding") if "Transfer-Encoding" in headers else None
        if coding is not None and coding.lower() != "chunked":
            raise InvalidHeader("Header 'Transfer-Encoding' can only be 'chunked': no other is sent")
        asked_for = coding is not None and self.body is not None
        if framing == _CHUNKED or asked_for or self.trailers is not None:
            headers.pop("Content-Length", None)
            headers.setdefault("Transfer-Encoding", "chunked")
        else:
            if coding is not None:
                del headers["Transfer-Encoding"]
            length = "0" if framing is None else framing[1].decode()
            announced = headers.get("Content-Length")
            if announced != length and (framing is not None or announced is not None):
                headers["Content-Length"] = length
        if isinstance(self.trailers, Mapping) and "Trailer" not in headers:
            headers["Trailer"] = ", ".join(name.decode() for name, _ in encode_trailers(self.trailers))

    def _take_announced_length(self, body: Any) -> None:
        """Give a stream of unknown length the one that the caller wrote into Content-Length."""
        announced = self._field("Content-Length")
        if announced is None:
            return
        if not _LENGTH.fullmatch(announced):
            raise InvalidHeader("Header 'Content-Length' is no decimal number")
        body.length = int(announced)

    def _field(self, name: str) -> str | None:
        """Return one header without building the dict, checked."""
        if self._headers is not None:
            value = self._headers.get(name)
            return None if value is None else encode_field(name, value)[1].decode("latin-1")
        wanted = name.lower().encode()
        for key, value in self._fields or ():
            if len(key) == len(wanted) and key.lower() == wanted:
                return value.decode("latin-1")
        return None

    def _add_field(self, name: bytes, value: bytes) -> None:
        if self._headers is not None:
            self._headers[name.decode()] = value.decode("latin-1")
        else:
            self._fields = [*(self._fields or ()), (name, value)]


def checked_method(method: Any) -> str:
    """Return *method* as str.

    Raises:
        InvalidMethod: It is no token (RFC 9110 section 9.1).
    """
    if type(method) is str and method in USUAL_METHODS:
        return method
    if isinstance(method, bytes):
        method = method.decode("latin-1")
    if not isinstance(method, str):
        raise InvalidMethod(f"method= must be str, not {type(method).__name__}")
    text = str.__str__(method)
    if not _METHOD.fullmatch(text):
        raise InvalidMethod(f"method= must be a token (RFC 9110 section 9.1), not {text[:50]!r}")
    return text


def _lost(*_: object, **__: object) -> NoReturn:
    """Stand for a callable that pickle cannot take along."""
    raise UnrewindableBodyError(
        "a callable of this request (trailers= or a hook) was lost when it was pickled"
    )
