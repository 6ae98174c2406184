"""`Session.download_many` on an executor of the caller's: a job is one whole file.

The law of the room: the caller's thread hands jobs over and takes outcomes back, at most two jobs a worker ahead; each
job ends in ``done`` or in ``failed``.  Where an executor may run a job again, it leaves a receipt each time; see
`client.download_receipts`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from client.download_receipts import receipt_name, remove_receipts
from client.exceptions import SessionClosed
from client.executors import Elsewhere, carrier_for
from client.jobs import attach_request
from client.progress import Row, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Executor

    from client.executors import Carrier, Ticket
    from client.progress import Progress
    from client.session import Session

__all__ = ["run_downloads"]


def run_downloads(
    session: Session,
    executor: Executor,
    jobs: Iterable[Mapping[str, Any]],
    has_end: bool,
    common: Mapping[str, Any],
    progress: Progress,
    finished: Callable[[Mapping[str, Any], Any], None],
    so_far: Callable[[], str],
) -> None:
    """Have *executor* download all *jobs*.

    Args:
        session: Downloads, or a twin of it in another process.
        executor: Any.
        jobs: Arguments of `Session.download`; drawn as room becomes free.
        has_end: *jobs* is known to end: each that *executor* takes no more comes to that error.
        common: What all of them share, to be looked at in advance.
        progress: As `Session.download_many`; of the files that are done.
        finished: Called with each job and what it came to: a `Download` or the exception.
        so_far: How far the work has come, for the note on a KeyboardInterrupt.

    Raises:
        InvalidRequest: It is no executor, or what has to travel cannot be pickled.
        SessionClosed: The session was closed meanwhile, and *executor* has threads of this process.
        RuntimeError: Called on a thread of *executor*.
        WorkerLost: *executor* takes no more, and of further jobs nobody knows how many there are.
    """
    carrier = carrier_for(session, executor, "download", common, None)
    carrier.refuse_own_worker()
    run = os.urandom(8).hex() if isinstance(carrier, Elsewhere) and carrier.may_run_twice else None
    folders: set[str] = set()  # that hold receipts
    under_way: dict[int, tuple[Mapping[str, Any], str, Ticket]] = {}
    # Of numbers: a ticket's callback that held the ticket would keep its outcome until the garbage collector came by.
    news: SimpleQueue[int] = SimpleQueue()
    taken = jobs if has_end else _while_taken(jobs, carrier)
    numbered = enumerate(_travelling(taken, run, finished))
    received = 0
    try:
        with shown(progress) as show:
            while True:
                for number, (job, arguments) in itertools.islice(
                    numbered, carrier.look_ahead - len(under_way)
                ):
                    ticket = carrier.begin(arguments)
                    under_way[number] = job, arguments["path"], ticket
                    ticket.add_done_callback(partial(_tell, news, number))
                if not under_way:
                    break
                try:
                    number = news.get(timeout=carrier.patience)
                except Empty:
                    if carrier.has_gone():
                        for _, _, ticket in under_way.values():
                            ticket.cancel()
                    continue
                job, _, ticket = under_way.pop(number)
                outcome = _outcome(ticket, job)
                del ticket
                if not isinstance(outcome, Exception):
                    received += outcome.bytes
                    if run is not None:
                        folders.add(str(outcome.path.parent))
                finished(job, outcome)
                if show is not None:
                    show(Row(so_far(), received, None), ())
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            error.add_note(f"{so_far()}; {len(under_way)} files that had been handed over were stopped")
        for _, path, ticket in under_way.values():
            ticket.cancel()
            if run is not None:  # it may be done, and nobody has asked
                folders.update((path, os.path.dirname(path)))  # noqa: PTH120  # a str, as it travels
        raise
    finally:
        if run is not None and folders:
            _remove_receipts(executor, run, folders, wait=not under_way)


def _while_taken(jobs: Iterable[Mapping[str, Any]], carrier: Carrier) -> Iterator[Mapping[str, Any]]:
    """Pass *jobs* on; raise `WorkerLost` for one after the first that was refused."""
    for job in jobs:
        if carrier.refusal is not None:
            raise carrier.refusal
        yield job


def _tell(news: SimpleQueue[int], number: int, _: object) -> None:
    news.put(number)


def _travelling(
    jobs: Iterable[Mapping[str, Any]], run: str | None, finished: Callable[[Mapping[str, Any], Any], None]
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield each job, and its arguments for another process, which may have another working directory."""
    for job in jobs:
        try:
            arguments = {**job, "path": _from_root(os.fspath(job["path"]))}
        except OSError as error:  # there is no working directory
            attach_request(error, {"url": job["url"]})
            finished(job, error)
            continue
        if run is not None and not job.get("overwrite"):
            arguments["receipt"] = receipt_name(run)
        yield job, arguments


def _from_root(path: str) -> str:
    """Return *path* from the root on, and else as it is: ".." after a link, and "/" at the end, mean something.

    Raises:
        FileNotFoundError: It is relative, and the working directory was removed.
    """
    return path if os.path.isabs(path) else os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH117, PTH118  # Path drops the "/"


def _outcome(ticket: Ticket, job: Mapping[str, Any]) -> Any:
    """Return the `Download` or the exception that *ticket* came to."""
    try:
        return ticket.result()
    except SessionClosed:
        raise
    except Exception as error:  # noqa: BLE001  # what is wrong with one job is that job's failure
        attach_request(error, {"url": job["url"]})
        return error


def _remove_receipts(executor: Executor, run: str, folders: set[str], *, wait: bool) -> None:
    """Remove them where the files are, and here, in case that is the same place; *wait* unless workers may be busy."""
    remove_receipts(run, folders)
    with contextlib.suppress(Exception):  # an executor that is shut down: what cannot be removed stays
        removal = executor.submit(remove_receipts, run, sorted(folders))
        if wait:
            removal.result()
