"""`Request`: what the caller asks for, under the names that requests documents.

The law of the room: nothing is checked here; `client.prepared` does that, when the request is prepared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from client.hooks import Hooked, Hooks
from client.prepared import PreparedRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PreparedRequest", "Request"]


class Request(Hooked):
    """What the caller asks for, not checked yet; `prepare` or `Session.prepare_request` does that.

    Args:
        method: HTTP method, str or bytes.
        url: str, bytes or `URL`.
        headers: Mapping of names to str or bytes.
        files: As `client.multipart.encode_multipart` takes them.
        data, json: As `client.body.encode_body` takes them.
        params: As `URL.with_params` takes them.
        auth: (user, password), or an auth object of `client.auth`, or any callable on the prepared request.
        cookies: Mapping of names to values, or a cookie jar.
        hooks: Mapping of event to a callable or several.
        trailers: Fields to send after the body: a mapping, or a callable that returns one when the body is
            sent.
    """

    def __init__(
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
        self.hooks: Hooks = {"response": []}
        self.register_hooks(hooks)
        self.method = method
        self.url = url
        self.headers: Mapping[str, Any] = {} if headers is None else headers
        self.files: Any = [] if files is None else files
        self.data: Any = [] if data is None else data
        self.json = json
        self.params: Any = {} if params is None else params
        self.auth = auth
        self.cookies = cookies
        self.trailers = trailers

    def prepare(self) -> PreparedRequest:
        """Return the `PreparedRequest` for this request alone, without anything of a session.

        Raises:
            InvalidRequest: See `PreparedRequest.prepare`.
        """
        prepared = PreparedRequest()
        prepared.prepare(
            method=self.method,
            url=self.url,
            headers=self.headers,
            files=self.files,
            data=self.data,
            json=self.json,
            params=self.params,
            auth=self.auth,
            cookies=self.cookies,
            hooks=self.hooks,
            trailers=self.trailers,
        )
        return prepared

    def __repr__(self) -> str:
        """Show the method."""
        return f"<Request [{self.method!s}]>"
