"""The forms of a job of `Session.map` and `as_completed`, and what many jobs may have in common.

The law of the room: what is no job, one job where many are expected, or an argument that only one of them could read,
is refused by name; nothing is guessed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, TypeAlias

from client.body_pieces import has_buffer
from client.exceptions import InvalidRequest
from client.request import Request
from client.url import URL

__all__ = ["Job", "attach_request", "refuse_read_once", "request_arguments", "several"]

#: A URL, a (method, url) pair, a `Request`, or a mapping of `Session.request`'s arguments.
Job: TypeAlias = "str | bytes | URL | tuple[str, str] | Request | Mapping[str, Any]"

#: What a `Request` is made of.
_REQUEST_PARTS: Final = (
    "method", "url", "headers", "files", "data", "params", "auth", "cookies", "hooks", "json", "trailers",
)  # fmt: skip

#: Arguments of `Session.request` that may be, or hold, what is read to its end.
_READ: Final = ("data", "files", "params", "headers", "cookies", "trailers", "hooks")
#: How deep in them it may stand: ``files=[(name, (filename, file))]``.
_DEEP: Final = 3


def several(jobs: Iterable[Any]) -> Iterable[Any]:
    """Return *jobs*, which must be more than one job by its kind.

    Raises:
        InvalidRequest: It is a single job (a str would be read letter by letter), or nothing to iterate over.
    """
    is_one = isinstance(jobs, str | bytes | bytearray | URL | Request | Mapping)
    is_iterable = isinstance(jobs, Iterable) or hasattr(type(jobs), "__getitem__")  # as `iter` takes them
    if is_one or not is_iterable:
        raise InvalidRequest(
            f"jobs= must be an iterable of jobs, not one {type(jobs).__name__}; a single job goes into a list"
        )
    return jobs


def refuse_read_once(arguments: Mapping[str, Any]) -> None:
    """Refuse what the first of several requests would read to its end, so that the others were sent without it.

    Args:
        arguments: Of `Session.request`, for all of them.

    Raises:
        InvalidRequest: One is or holds a file or an iterator; a callable is neither.
    """
    for name in _READ:
        # The pieces of a streamed body are the request's to draw.
        culprit = _read_once(arguments.get(name), Collection if name == "data" else Iterable, _DEEP)
        if culprit is not None:
            raise InvalidRequest(
                f"{name}= of several requests must not be or hold what only one can read, as a "
                f"{type(culprit).__name__}: pass bytes or a list, or as data= a callable that returns a fresh body"
            )


def _read_once(value: Any, holders: type, depth: int) -> Any:
    """Return the first file or iterator that *value* is or holds, None if there is none; look into *holders*."""
    inner: Any = ()
    if isinstance(value, Mapping):
        inner = value.values()
    elif callable(value):
        return None
    elif hasattr(value, "read") or hasattr(value, "__next__"):
        return value
    elif isinstance(value, holders) and not isinstance(value, str) and not has_buffer(value):
        inner = value
        if iter(inner) is iter(inner):  # the one that it keeps
            return value
    found = (_read_once(one, holders, depth - 1) for one in inner if depth)
    return next((one for one in found if one is not None), None)


def request_arguments(job: Any) -> dict[str, Any]:
    """Return *job* as arguments of `Session.request`: those that it names.

    Raises:
        InvalidRequest: It has none of the forms.
    """
    if isinstance(job, str | bytes | URL):
        return {"url": job}
    if isinstance(job, Request):
        return {"method": job.method, "url": job.url} | {
            name: value
            for name in _REQUEST_PARTS
            # An empty document is one: json={} is sent. Of the others, Request makes what was not given empty.
            if (value := getattr(job, name)) or (name == "json" and value is not None)
        }
    if isinstance(job, tuple) and len(job) == 2:
        return {"method": job[0], "url": job[1]}
    if isinstance(job, Mapping):
        return dict(job)
    raise InvalidRequest(
        f"a job must be a URL, a (method, url) pair, a Request or a dict of arguments, not {type(job).__name__}"
    )


def attach_request(error: Exception, arguments: Mapping[str, Any]) -> None:
    """Set ``error.request`` to what the caller asked for, unless it is set already or the error does not take it.

    Args:
        error: Of a call that perhaps never came to a prepared request, or of the caller's own code.
        arguments: Of `Session.request`.
    """
    parts = {name: arguments[name] for name in _REQUEST_PARTS if name in arguments and name != "hooks"}
    # A class of the caller's may have slots, or a property that raises until it is set.
    with contextlib.suppress(Exception):
        if getattr(error, "request", None) is None:
            error.request = Request(**{"method": "GET", **parts})  # type: ignore[attr-defined]  # any exception
