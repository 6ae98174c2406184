"""A call that is carried out in another process: what travels there, what is done there, and what travels back.

The law of the room: bytes travel, pickled by us and not by the executor, so that whatever cannot be pickled or loaded
is told as the error of its own call.  Nothing that an executor may show or log, a repr or a traceback, has a secret in
it.  A process keeps sessions for the next calls of equal settings, so its connections are warm; cookies come with each
call, since equal settings are not yet the same user.
"""

from __future__ import annotations

import os
import pickle
import traceback
from _thread import allocate_lock
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from client.exceptions import InvalidRequest, RequestException, WorkerLost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from client.session import Session

__all__ = ["Errand", "Kind", "Outcome", "answer", "carry_out", "packed"]

#: Sessions that a process keeps idle; of programs that change their settings at every call, only the last ones.
MOST_SESSIONS: Final = 32

#: The method of the session that is called.
Kind = Literal["request", "download"]

_lock = allocate_lock()
#: With their settings; the one that was used last is the last. A call has its session for itself, and the jar in it.
_idle: Final[list[tuple[bytes, Session]]] = []


def _renew_lock() -> None:
    """Replace the lock in the child of a fork, where the thread that held it does not exist."""
    global _lock
    _lock = allocate_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class Errand:
    """One call: the session's settings, its cookies and the arguments, all pickled.

    No two are equal: an executor that takes equal work for the same work, as Dask does, would send one request of two.

    Args:
        settings: A session, as `packed` returns it.
        cookies: The jar that it has by now, likewise.
        kind: Which of its methods to call.
        arguments: For that method, likewise.
    """

    __slots__ = ("arguments", "cookies", "kind", "number", "settings")

    def __init__(self, settings: bytes, cookies: bytes, kind: Kind, arguments: bytes) -> None:
        """Hold what travels."""
        self.number: str = os.urandom(8).hex()
        self.settings: bytes = settings
        self.cookies: bytes = cookies
        self.kind: Kind = kind
        self.arguments: bytes = arguments

    def __repr__(self) -> str:
        """Show nothing of what it holds: executors log the arguments of what failed."""
        return f"<Errand {self.number} {self.kind}>"


class Outcome(NamedTuple):
    """What became of an errand.

    Attributes:
        result: What the method returned or raised, pickled; None if that cannot be pickled or was not called.
        failed: True if it raised.
        began: False if the errand could not be read, so that nothing was sent.
        problem: Where `result` is None, why; else what was raised, in words, for a reader who cannot load it.
    """

    result: bytes | None
    failed: bool
    began: bool
    problem: str

    def __repr__(self) -> str:
        """Show nothing of what it holds: executors show and log results."""
        return f"<Outcome failed={self.failed}>"

    def open(self) -> Any:
        """Return what the method returned, or raise what it raised.

        Raises:
            InvalidRequest: The errand could not be read where it was to be carried out; nothing was sent.
            WorkerLost: The call was carried out, and what it came to cannot be had in this process.
        """
        if not self.began:
            raise InvalidRequest(f"the worker cannot load the call, nothing was sent: {self.problem}")
        if self.result is None:
            raise WorkerLost(f"what the call came to cannot be pickled: {self.problem}")
        try:
            result = pickle.loads(self.result)  # noqa: S301  # from the worker that we gave the work to
        except Exception as error:
            raise WorkerLost(f"what the call came to cannot be loaded here: {self.problem}") from error
        if not self.failed:
            return result
        try:
            raise result
        finally:
            del result  # the traceback holds this frame


def packed(what: Any, name: str) -> bytes:
    """Return *what* as it travels.

    Raises:
        InvalidRequest: It cannot be pickled; *name* says in the message what it is.
    """
    try:
        return pickle.dumps(what, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise InvalidRequest(
            f"{name} cannot be sent to another process: {type(error).__name__}: {error}; functions must stand in "
            "a module under their own name, and bodies be bytes rather than open files or generators"
        ) from error


def carry_out(errand: Errand) -> Outcome:
    """Make the call, on a session of this process for its settings.

    Errors of the call are part of the outcome, so that no executor puts them into its log, arguments and all.
    """
    try:
        arguments: Mapping[str, Any] = pickle.loads(errand.arguments)  # noqa: S301  # as in `Outcome.open`
        cookies = pickle.loads(errand.cookies)  # noqa: S301  # likewise
        session = _taken(errand.settings)
    except Exception as error:  # noqa: BLE001  # a module that is not installed here, another version of a class
        return Outcome(None, failed=True, began=False, problem=_in_words(error))
    failed, problem = False, ""
    try:
        session.cookies = cookies  # what was learnt in another call may have been for another user
        result = _call(session, errand.kind, arguments)
    except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to whoever waits for it
        if not isinstance(error, RequestException):  # of a hook, whose author wants to know where
            error.add_note(f"In process {os.getpid()}:\n{traceback.format_exc()}")
        result, failed, problem = error, True, _in_words(error)
    finally:
        _give_back(errand.settings, session)
    try:
        return Outcome(pickle.dumps(result, pickle.HIGHEST_PROTOCOL), failed, True, problem)
    except Exception as error:  # noqa: BLE001  # whatever an object's own rule raises
        return Outcome(None, failed, began=True, problem=problem or _in_words(error))


def answer() -> None:
    """Do nothing: whoever does it can do more."""


def _call(session: Session, kind: Kind, arguments: Mapping[str, Any]) -> Any:
    if kind == "download":
        from client.download_receipts import download_once

        return download_once(session, **arguments)
    return session.request(**arguments)


def _taken(settings: bytes) -> Session:
    """Return a session for *settings* that nobody else uses: the last one that was given back, or a new one."""
    with _lock:
        for place in reversed(range(len(_idle))):
            if _idle[place][0] == settings:
                return _idle.pop(place)[1]
    session: Session = pickle.loads(settings)  # noqa: S301  # as in `Outcome.open`
    return session


def _give_back(settings: bytes, session: Session) -> None:
    with _lock:
        _idle.append((settings, session))
        surplus = _idle[:-MOST_SESSIONS]
        del _idle[:-MOST_SESSIONS]
    del surplus  # not under the lock: they close their connections


def _in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
