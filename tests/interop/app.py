"""One site, as a WSGI and as an ASGI application and for aiohttp, and as a CGI program for the servers that run none.

``/bytes/N`` (with ranges), ``/gzip/N``, and POST ``/echo``, which answers the SHA-256 of the body as it arrived.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import sys
from array import array
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["aiohttp_app", "asgi", "wsgi"]


def pattern(count: int) -> bytes:
    """As `tests.nginx.pattern`; this file runs alone."""
    return array("I", range(-(-count // 4))).tobytes()[:count]


def answer(path: str, wanted: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body for a request with this path, Range field and body."""
    kind, _, count = path.strip("/").partition("/")
    if kind == "echo":
        return 200, {"Content-Type": "text/plain"}, hashlib.sha256(body).hexdigest().encode()
    content = pattern(int(count))
    if kind == "gzip":
        return 200, {"Content-Encoding": "gzip"}, gzip.compress(content, 1)
    part = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted)
    if part is None:
        return 200, {}, content
    first, last = int(part[1]), int(part[2])
    return 206, {"Content-Range": f"bytes {first}-{last}/{len(content)}"}, content[first : last + 1]


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """For gunicorn and waitress; what they leave of a chunked body ends with the stream."""
    length = environ.get("CONTENT_LENGTH")
    stream = environ["wsgi.input"]
    body = (
        stream.read(int(length)) if length else stream.read() if "HTTP_TRANSFER_ENCODING" in environ else b""
    )
    status, headers, content = answer(environ["PATH_INFO"], environ.get("HTTP_RANGE", ""), body)
    start_response(f"{status} Fine", [*headers.items(), ("Content-Length", str(len(content)))])
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else content]


async def asgi(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    """For uvicorn."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    wanted = dict(scope["headers"]).get(b"range", b"").decode()
    status, headers, content = answer(scope["path"], wanted, body)
    fields = [(name.encode(), value.encode()) for name, value in headers.items()]
    fields.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": content})


def aiohttp_app() -> Any:
    """For aiohttp's own server."""
    from aiohttp import web

    async def handle(request: Any) -> Any:
        wanted = request.headers.get("Range", "")
        status, headers, content = answer(request.path, wanted, await request.read())
        return web.Response(status=status, headers=headers, body=content)

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", handle)
    return app


def cgi() -> None:
    """For Apache and lighttpd: the digest of what comes in."""
    digest = hashlib.sha256(sys.stdin.buffer.read()).hexdigest()
    sys.stdout.write(f"Content-Type: text/plain\r\nContent-Length: {len(digest)}\r\n\r\n{digest}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["aiohttp"]:
        import ssl

        from aiohttp import web

        context = None
        if len(sys.argv) > 3:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(sys.argv[3], sys.argv[4])
        web.run_app(aiohttp_app(), host="127.0.0.1", port=int(sys.argv[2]), ssl_context=context, print=None)
    else:
        cgi()
