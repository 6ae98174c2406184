"""Downloads a file again and again, each time in a process that does not get far: for `test_downloads_killed`.

``python -m tests.security.dying_download FATE OVERWRITE RESUME URL FOLDER``: OVERWRITE and RESUME are arguments of
`Session.download`. FATE befalls the first process at its first step in FOLDER, the second one at its second step, and
so on until one has no more steps:

- ``killed``: SIGKILL comes when the step has been made;
- ``full``: the step fails, since the disk is full.

After each, another download is made that nothing befalls. A line for each of them says how the process ended, what size
the file had and what else was left; and the same once the other download was over.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import client
import client.download_file
import client.download_task
import client.downloads
import client.workers

__all__: list[str] = []

#: What changes something in a folder.
STEPS = ("open", "write", "pwrite", "splice", "ftruncate", "fchmod", "link", "unlink", "replace")
#: What needs room on the disk.
NEEDS_ROOM = {"open", "write", "pwrite", "splice", "link", "replace"}
#: Exit status of a process that did not mind its fate.
DONE_ALL_THE_SAME = 99


class Fate:
    """Befalls this process at its step *moment*, counted from 1."""

    def __init__(self, kind: str, moment: int) -> None:
        self.kind = kind
        self.left = moment

    def watched(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return *original*, a step, that meets its fate."""

        def step(*arguments: Any, **options: Any) -> Any:
            only_reads = name == "open" and not arguments[1] & os.O_CREAT
            if only_reads or (name == "splice" and "offset_dst" not in options):
                return original(*arguments, **options)
            self.left -= 1
            if not self.left and self.kind == "full" and name in NEEDS_ROOM:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            result = original(*arguments, **options)
            if not self.left and self.kind == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return step


def main(kind: str, overwrite: str, resume: str, url: str, folder: str) -> None:
    """Let every moment be the last one."""
    client.download_file.JOURNAL_SECONDS = 0.0  # type: ignore[misc]  # so that every step writes one
    target = Path(folder, "out")
    arguments = {"overwrite": overwrite == "True", "resume": resume == "True", "parts": 1}
    moment, status = 0, None
    while status != 0:
        moment += 1
        if arguments["overwrite"]:
            target.write_bytes(b"old")
        status = fetched(url, target, Fate(kind, moment), arguments)
        size = target.stat().st_size if target.exists() else None
        left = sorted({path.suffix for path in target.parent.iterdir()} - {""})
        fetched(url, target, None, arguments)
        there = sorted(path.name for path in target.parent.iterdir())
        sys.stdout.write(
            " ".join(map(str, [status, size, *left, "then", target.stat().st_size, *there])) + "\n"
        )
        sys.stdout.flush()  # before the next fork, which would copy it
        target.unlink()


def fetched(url: str, target: Path, fate: Fate | None, arguments: Any) -> int:
    """Download in a process of its own; return its exit status, negative if a signal ended it."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        for name in STEPS if fate is not None else ():
            assert fate is not None
            setattr(os, name, fate.watched(name, getattr(os, name)))
        with client.Session(trust_env=False, workers=2, timeout=10) as session:
            session.download(url, target, **arguments)
        status = 0 if fate is None or fate.left > 0 else DONE_ALL_THE_SAME
    except OSError as error:
        status = error.errno or 1
    finally:
        os._exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
