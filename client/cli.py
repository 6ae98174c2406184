"""The command line: ``python -m client`` or, once installed, ``threadwire``.

    threadwire get URL           print what it answers
    threadwire post URL          send --data or --json, print what it answers
    threadwire download URL... -o PATH      save files: in parts, side by side, and on where it stopped
    threadwire demo              the main job, against a server of its own

The law of the room: bodies go to standard output, everything else to standard error, an error is one line, and the
exit status is the one that curl has for it.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from client import demo
from client.exceptions import (
    BodyTooLarge,
    ChunkedEncodingError,
    ConnectError,
    ConnectionError,
    ContentDecodingError,
    DownloadError,
    HTTPError,
    IncompleteBody,
    InvalidBody,
    InvalidProxyURL,
    InvalidRequest,
    InvalidSchema,
    InvalidURL,
    MissingSchema,
    NameResolutionError,
    ProtocolError,
    ProxyError,
    RedirectError,
    RemoteDisconnected,
    RequestException,
    SSLError,
    Timeout,
    TooManyRedirects,
)
from client.headers import CaseInsensitiveDict
from client.progress import size_text
from client.session import Session
from client.timeouts import Timeouts
from client.url import parse_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from client.response import Response

__all__ = ["main"]

USAGE: Final = 2
HTTP_ERROR: Final = 22
CANNOT_WRITE: Final = 23
UNTRUSTED: Final = 60
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it

#: curl's exit codes (curl(1), "EXIT CODES") for an error of one class with a cause of another; the first row that fits.
EXIT_CODES: Final[tuple[tuple[type[RequestException], type[object], int], ...]] = (
    (Timeout, object, 28),
    (InvalidSchema, object, 1),
    (MissingSchema, object, 3),
    (InvalidProxyURL, object, 5),
    (InvalidURL, object, 3),
    (RedirectError, InvalidURL, 3),
    (InvalidBody, object, USAGE),
    (InvalidRequest, OSError, 77),  # certificates to trust that cannot be read
    (InvalidRequest, object, USAGE),
    (NameResolutionError, object, 6),
    (ProxyError, NameResolutionError, 5),
    (ProxyError, ConnectError, 7),
    (ProxyError, object, 97),
    (SSLError, object, 35),
    # A connection that was made, and broke during the TLS handshake.
    (ConnectError, ConnectionResetError, 35),
    (ConnectError, BrokenPipeError, 35),
    (ConnectError, object, 7),
    # Not closed by the peer but reset, as the system or TLS says.
    (RemoteDisconnected, OSError, 56),
    (RemoteDisconnected, object, 52),
    (ProtocolError, object, 8),
    (ConnectionError, object, 56),
    (IncompleteBody, OSError, 56),
    (IncompleteBody, object, 18),
    (ChunkedEncodingError, object, 56),
    (ContentDecodingError, object, 61),
    (DownloadError, object, 18),
    (BodyTooLarge, object, 63),
    (TooManyRedirects, object, 47),
    (HTTPError, object, HTTP_ERROR),
    (RequestException, object, 1),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What follows the program's name; None takes the process's own.

    Returns:
        The exit status: 0, or curl's code for what went wrong.

    Raises:
        SystemExit: The arguments make no command (status 2), or ask for help (status 0).
    """
    try:
        options = parser().parse_args(arguments)
        if options.command == "demo":
            return demo.main()
        return _download(options) if options.command == "download" else _call(options)
    except KeyboardInterrupt as interrupt:
        how_far = getattr(interrupt, "__notes__", ())
        return _complain(": ".join(["interrupted", *how_far]), INTERRUPTED)
    except BrokenPipeError:  # whoever read our output, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter flushes into it
        return CANNOT_WRITE
    except OSError as error:
        return _report(error)


def exit_code(error: BaseException) -> int:
    """Return curl's exit code for *error*, by `EXIT_CODES`, and by what a proxy's status or a certificate adds."""
    if isinstance(error, ProxyError) and (error.status or 0) >= 400:  # to CONNECT; a SOCKS reply is one byte
        return HTTP_ERROR
    if isinstance(error, ProxyError) and isinstance(error.__cause__, SSLError):  # with the proxy itself
        error = error.__cause__
    cause = error.__cause__
    if isinstance(error, SSLError) and hasattr(cause, "verify_code"):  # ssl's error for a certificate
        return UNTRUSTED
    if isinstance(error, (IncompleteBody, RemoteDisconnected)) and _is_silent_end(error):
        cause = None
    fitting = (code for kind, of, code in EXIT_CODES if isinstance(error, kind) and isinstance(cause, of))
    return next(fitting, CANNOT_WRITE)


def parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    top = argparse.ArgumentParser(prog="threadwire", description="A strict, threaded HTTP/1.1 client.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    call = argparse.ArgumentParser(add_help=False)
    call.add_argument("-H", "--header", action="append", default=[], type=_header, metavar="'NAME: VALUE'")
    call.add_argument("-u", "--user", type=_user, metavar="NAME:PASSWORD", help="Basic authentication")
    call.add_argument("--timeout", type=float, metavar="SECONDS", help="longest wait for the peer (60)")
    call.add_argument("--total", type=float, metavar="SECONDS", help="the whole call (no limit)")
    call.add_argument("--cacert", metavar="FILE", help="trust these certificates instead of certifi's")
    call.add_argument("--no-redirects", action="store_true", help="show a redirect instead of following it")
    shown = argparse.ArgumentParser(add_help=False)
    shown.add_argument("url", metavar="URL")
    shown.add_argument("-i", "--include", action="store_true", help="print status and header fields as well")

    commands.add_parser("get", parents=[call, shown], help="print what URL answers")
    post = commands.add_parser("post", parents=[call, shown], help="send a body, print what URL answers")
    body = post.add_mutually_exclusive_group()
    body.add_argument("-d", "--data", metavar="TEXT|@FILE", help="the body as it is; @- is standard input")
    body.add_argument("--json", metavar="TEXT|@FILE", help="the same, sent as application/json")
    download = commands.add_parser("download", parents=[call], help="save what each URL answers")
    download.add_argument("url", metavar="URL", nargs="+")
    download.add_argument(
        "-o", "--output", required=True, metavar="PATH", help="a file that does not exist yet, or a folder"
    )
    download.add_argument("-x", "--connections", type=int, metavar="N", help="for each file, and in all")
    download.add_argument("--checksum", metavar="sha256:HEX", help="what the file must have")
    download.add_argument(
        "--no-resume", action="store_true", help="begin anew, and leave nothing after a failure"
    )
    commands.add_parser("demo", help="do the main job against a server of its own")
    return top


def _call(options: argparse.Namespace) -> int:
    settings = _settings(options)
    method, body = "GET", None
    if options.command == "post":
        method, body = "POST", options.data if options.json is None else options.json
        if options.json is not None:
            settings["headers"].setdefault("Content-Type", "application/json")
    with (
        _opened(body) as data,
        Session() as session,
        session.request(method, options.url, data=data, stream=True, **settings) as response,
    ):
        _show(response, include=options.include)
        response.raise_for_status()
    return 0


def _download(options: argparse.Namespace) -> int:
    """Save each URL; the exit status is that of the first failure."""
    if options.output == "-":  # for curl it is standard output
        raise InvalidRequest("-: a download needs a file or a folder; 'get' writes to standard output")
    if len(options.url) > 1 and not Path(options.output).is_dir():
        raise InvalidRequest(f"{options.output}: several URLs need a folder to save in")
    settings = _settings(options)
    settings["resume"] = not options.no_resume
    if options.connections is not None:
        settings["parts"] = options.connections
    if options.checksum is not None:
        settings["checksum"] = options.checksum
    with Session(workers=options.connections) as session:
        results = session.download_many(
            ((url, options.output) for url in options.url), progress=True, **settings
        )
    for done in results.done:
        resumed = f", {size_text(done.resumed_from)} of it from before" if done.resumed_from else ""
        _say(f"{done.path}: {size_text(done.bytes)}{resumed}")
    several = len(options.url) > 1
    codes = [_report(failed.error, failed.url if several else None) for failed in results.failed]
    return codes[0] if codes else 0


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the options of every call say, as arguments of a session's methods."""
    headers = CaseInsensitiveDict()
    for name, value in options.header:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    timeouts = {"connect": options.timeout, "read": options.timeout, "write": options.timeout}
    limits = {name: seconds for name, seconds in timeouts.items() if seconds is not None}
    return {
        "headers": headers,
        "auth": options.user,
        "timeout": Timeouts(**limits, total=options.total),
        "verify": True if options.cacert is None else options.cacert,
        "allow_redirects": not options.no_redirects,
    }


@contextlib.contextmanager
def _opened(body: str | None) -> Iterator[bytes | BinaryIO | None]:
    """Yield what ``--data`` or ``--json`` names; a file is sent as it is read."""
    if body is None or not body.startswith("@"):
        yield None if body is None else os.fsencode(body)  # the very bytes of the command line
    elif body == "@-":
        yield sys.stdin.buffer
    else:
        try:
            file = Path(body[1:]).open("rb")  # noqa: SIM115  # only opening it may fail here
        except OSError as error:
            raise InvalidBody(f"{body[1:]}: {error.strerror}") from error
        with file:
            yield file


def _show(response: Response, *, include: bool) -> None:
    """Copy *response* to standard output as it comes."""
    if sys.stdout is None:  # the shell closed it: `>&-`
        raise OSError(errno.EBADF, "standard output is closed")
    output = sys.stdout.buffer
    if include:
        fields = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
        line = f"HTTP/{response.http_version} {response.status_code} {response.reason}\r\n{fields}\r\n"
        output.write(line.encode("latin-1"))
    for piece in response.iter_content(None):
        output.write(piece)
        output.flush()


def _is_silent_end(error: BaseException) -> bool:
    """Say whether TLS was closed without a word: an error for the system, but no reset."""
    while error.__cause__ is not None:
        error = error.__cause__
    return getattr(error, "reason", None) == "UNEXPECTED_EOF_WHILE_READING"


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{name!r}: expected 'NAME: VALUE'")
    return name, value.strip()


def _user(text: str) -> tuple[str, str]:
    name, colon, password = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError("expected NAME:PASSWORD")
    return name, password


def _report(error: BaseException, url: str | None = None) -> int:
    """Print one line about *error*, with *url* if the error does not name it; return the exit status for it."""
    if isinstance(error, OSError) and not isinstance(error, RequestException):
        problem, code = f"{error.filename or 'output'}: {error.strerror or error}", CANNOT_WRITE
    else:
        problem, code = str(error), exit_code(error)
    if url is not None and not isinstance(error, InvalidRequest):  # whose URL may be none
        shown = parse_url(url).redacted
        problem = problem if shown in problem else f"{shown}: {problem}"
    return _complain(problem, code)


def _complain(problem: object, code: int) -> int:
    _say(f"threadwire: {' '.join(str(problem).split())}")
    return code


def _say(line: str) -> None:
    """Print a line to standard error, if there is one: with `2>&-`, print() would take standard output for it.

    That nobody takes it (a full disk, a pipe that was closed) makes no failure of what was done.
    """
    if sys.stderr is not None:
        # A server's words may be in it, and must not move the cursor.
        shown = "".join(character if character.isprintable() else "?" for character in line)
        with contextlib.suppress(OSError):
            print(shown, file=sys.stderr)
