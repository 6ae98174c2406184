"""The arguments of `Session.download`, and the forms of a job of `Session.download_many`.

The law of the room: what makes no sense is refused before anything is opened or sent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypedDict

from client.download_results import FailedDownload
from client.exceptions import InvalidHeader, InvalidRequest
from client.headers import CaseInsensitiveDict
from client.jobs import refuse_read_once
from client.setting_checks import check

if TYPE_CHECKING:
    from client.retries import Retry
    from client.timeouts import TimeoutTypes
    from client.transport.tls import CertTypes, VerifyTypes
    from client.transport.wire import Proxy

__all__ = ["DownloadArguments", "DownloadJob", "arguments_of", "check_arguments"]


class DownloadArguments(TypedDict, total=False):
    """What `Session.download` takes beside URL, path and ``progress``."""

    parts: int | Literal["auto"]
    """How many connections: ``"auto"`` (default) one for 8 MiB, at most 8; a number is honoured down to 1 MiB each.

    At most 10,000. What an earlier call left keeps its parts.
    """
    resume: bool
    """Go on with what an earlier call left, and leave what came if this one fails. Default True."""
    checksum: str | None
    """``"sha256:<hex>"``: what the file must have; ``"sha256"``: only compute it. Default None."""
    overwrite: bool
    """Replace an existing file (or link, never what it points to), and keep its mode. Default False."""
    max_size: int | None
    """Most bytes of the file; more raises `BodyTooLarge`. Up to it, room is reserved. Default: the session's limit."""
    params: Any
    """Added to the URL's query."""
    headers: Mapping[str, str | bytes | None] | None
    """Header fields; not Range or If-Range."""
    cookies: Any
    """Cookies for these requests."""
    auth: Any
    """(user, password), an object of `client.auth`, or a callable on the prepared request."""
    timeout: TimeoutTypes
    """As everywhere; ``Timeouts(total=...)`` limits the whole download."""
    allow_redirects: bool
    """Follow redirects. Default True."""
    proxies: Mapping[str, str | Proxy | None] | None
    """Scheme, ``"all"`` or ``"scheme://host"`` to a proxy URL."""
    verify: VerifyTypes | None
    """Whom to trust under TLS."""
    cert: CertTypes
    """Client certificate."""
    retries: int | Retry | None
    """Further attempts, for each request and for each part's body; a part goes on where it broke off."""
    hooks: Mapping[str, Any] | None
    """Called with each response."""


#: A (url, path) pair, a mapping of `Session.download`'s arguments, or a `FailedDownload`.
DownloadJob: TypeAlias = "tuple[str, str | os.PathLike[str]] | Mapping[str, Any] | FailedDownload"

_NAMES: Final = frozenset({"url", "path", "_receipt", *DownloadArguments.__annotations__})


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Look at the arguments of `Session.download` as far as they are given.

    Raises:
        TypeError: There is no such argument.
        InvalidRequest: A value makes no sense. What a request takes as well is looked at when it is made.
    """
    for name, value in arguments.items():
        if name not in _NAMES:
            raise TypeError(f"download() got an unexpected keyword argument {name!r}")
        if name in ("max_size", "overwrite", "resume"):
            check(name, value)
    if "path" in arguments:
        path = arguments["path"]
        given = path.__fspath__() if hasattr(path, "__fspath__") else path
        if not isinstance(given, str):
            raise InvalidRequest(f"path= must be a str or an os.PathLike of str, not {type(path).__name__}")
        if not given or "\0" in given:
            raise InvalidRequest(f"path={given!r:.80}: expected the path of a file or of a folder")
        try:
            os.fsencode(given)
        except UnicodeEncodeError as error:
            raise InvalidRequest(f"path={given!r:.80}: no path of this system ({error.reason})") from None
    refuse_read_once(arguments)  # each part has a request of its own
    try:
        headers = CaseInsensitiveDict(arguments.get("headers") or {})
    except (AttributeError, TypeError, ValueError):
        raise InvalidHeader("headers= must be a mapping or (name, value) pairs of str") from None
    names: list[Any] = list(headers)  # a request takes bytes as well
    if {"range", "if-range"} & {_text(name).lower() for name in names}:
        raise InvalidRequest("a download asks for ranges itself: leave Range and If-Range out of headers=")


def arguments_of(job: Any) -> Mapping[str, Any]:
    """Return *job* as arguments of `Session.download`.

    Raises:
        InvalidRequest: It has none of the forms.
    """
    if isinstance(job, FailedDownload):
        return job.job
    if isinstance(job, tuple) and len(job) == 2:
        return {"url": job[0], "path": job[1]}
    if isinstance(job, Mapping) and "url" in job and "path" in job:
        return job
    raise InvalidRequest(
        "a job must be a (url, path) pair or a dict with url, path and arguments of download()"
    )


def _text(name: Any) -> Any:
    return name.decode("latin-1") if isinstance(name, bytes) else name
