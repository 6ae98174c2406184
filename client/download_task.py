"""One file on its way to the disk: what its workers do, part by part.

The law of the room: each part is written by one worker, inside its own slice; what an answer means is decided in
`client.download_plan`, what happens in the folder in `client.download_file`.  The worker that completes the last part
checks the whole and gives it its name.
"""

from __future__ import annotations

import errno
import os
from _thread import allocate_lock
from hashlib import sha256
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Final, Literal

from client.download_body import BodyWriter
from client.download_file import DownloadFile
from client.download_folder import Folder, check_target
from client.download_journal import Journal
from client.download_names import suggested_name
from client.download_plan import (
    Answer,
    Part,
    StartAgain,
    Version,
    check_size,
    expected_digest,
    first_part,
    is_coded,
    judge,
    positions,
    range_fields,
    split,
    version_of,
)
from client.exceptions import (
    BodyTooLarge,
    ChecksumMismatch,
    DownloadError,
    RequestException,
    TotalTimeout,
)
from client.headers import CaseInsensitiveDict
from client.retries import Attempt
from client.timeouts import DEFAULT_TIMEOUTS, NOT_GIVEN, Timeouts, timeout_error
from client.url import parse_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.response import Response
    from client.retries import Retry
    from client.session import Session
    from client.transport.cancel import CancelToken

__all__ = ["DownloadTask"]

#: Times that a file may turn out to be another one while it is fetched.
MOST_STARTS: Final = 4


class DownloadTask:
    """One file: first `first` on a worker, `fetch` for each further part on others, at last `settle`.

    Args:
        session: Sends the requests.
        announce: Called on a worker, once, with the parts that others may fetch beside it.
        url, path, parts, resume, checksum, overwrite, max_size: As `Session.download`.
        arguments: Further ones, of `Session.request`.

    Attributes:
        path: Where the file goes; None until its name is known.
        parts: All parts, as far as planned.
        size: Bytes in all; None while unknown.
        resumed_from: Bytes that an earlier download had left.
        sha256: Of the whole file, in hex, if the caller asked for it.
        version: What is known of the version of the file.
        seconds: From the first request to the final name.
        limits: The timeouts that are in force.
    """

    def __init__(
        self,
        session: Session,
        announce: Callable[[DownloadTask, list[Part]], None],
        url: Any,
        path: str | os.PathLike[str],
        *,
        parts: int | Literal["auto"] = "auto",
        resume: bool = True,
        checksum: str | None = None,
        overwrite: bool = False,
        max_size: int | None = None,
        _receipt: str | None = None,
        **arguments: Any,
    ) -> None:
        """Check the arguments; nothing is opened or sent yet."""
        first_part(parts)
        self._session = session
        self._announce = announce
        self._wanted_parts = parts
        self._resume = resume
        self._expected = expected_digest(checksum)
        self._wants_digest = checksum is not None
        self._overwrite = overwrite
        self._receipt = _receipt
        self._max_size = session.max_body if max_size is None else max_size
        self._headers = CaseInsensitiveDict(arguments.pop("headers", None) or {})
        limits = Timeouts.of(arguments.pop("timeout", NOT_GIVEN))
        self.limits: Timeouts = limits.or_else(Timeouts.of(session.timeout)).or_else(DEFAULT_TIMEOUTS)
        self._arguments = arguments
        self._url = url
        self._retry = session._options_for(retries=arguments.get("retries", NOT_GIVEN)).retries
        prepared = session._prepare(
            "GET", url, arguments.get("params"), None, None, None, None, None, None, None, None
        )
        self._url_key = sha256(str(prepared.url).partition("#")[0].encode()).hexdigest()
        self._given = os.fspath(path)
        is_folder = Path(self._given).is_dir()
        if os.path.basename(self._given) in ("", ".", "..") and not is_folder:  # noqa: PTH119  # Path drops "/." at the end
            raise FileNotFoundError(errno.ENOENT, "there is no such folder", self._given)
        self._name = "" if is_folder else Path(self._given).name
        self._folder: Folder | None = None
        self._file: DownloadFile | None = None
        self._ranges = True
        self._starts = 0
        self._started = 0.0
        self._counting = allocate_lock()
        self._judging = allocate_lock()  # two answers may tell what the first one did not
        self._open_parts = 0
        self.parts: list[Part] = []
        self.path: str | None = self._given if self._name else None
        self.size: int | None = None
        self.resumed_from: int = 0
        self.sha256: str | None = None
        self.version: Version = Version()
        self.seconds: float = 0.0
        self.is_done: bool = False

    @property
    def received(self) -> int:
        """Bytes on disk."""
        return positions(self.parts)

    # -- on a worker ----------------------------------------------------------------------------------------------

    def first(self, token: CancelToken) -> None:
        """Find out what there is to do, announce the parts for other workers, and fetch the first.

        Raises:
            StartAgain: See `settle`.
            RequestException: What a request raised, or `DownloadError`.
            OSError: What the disk said; `FileExistsError` for a target that is there.
        """
        self._started = self._started or monotonic()
        if self._folder is None:
            self._folder = Folder(str(Path(self._given).parent) if self._name else self._given)
        begun: tuple[Response, Answer] | None = None
        journal = self._reopen() if self._name else None
        if journal is None:
            begun = self._ask(first_part(self._wanted_parts) if self._ranges else Part(0, None), token)
            try:
                journal = self._learn_name(*begun)
                if journal is None:
                    self._begin(*begun)
            except BaseException:
                begun[0].close()
                raise
        if journal is not None:
            if begun is not None:  # it told the name, and has done its work
                begun[0].close()
                begun = None
            self._go_on(journal)
        pending = [part for part in self.parts if not part.is_complete or begun is not None]
        self._open_parts = max(1, len(pending))
        self._announce(self, pending[1:])
        self._fetch(pending[0] if pending else self.parts[0], token, begun)

    def fetch(self, part: Part, token: CancelToken) -> None:
        """Fetch a part that was announced. Raises as `first`."""
        self._fetch(part, token, None)

    def _reopen(self) -> Journal | None:
        """Take up what an earlier download left behind, if there is something and the name is free.

        Raises:
            FileExistsError: It is not.
        """
        assert self._folder is not None
        try:
            check_target(self._folder, self._name, overwrite=self._overwrite)
        except FileExistsError:
            DownloadFile.sweep(self._folder, self._name)
            raise
        if self._starts:
            return None
        found = DownloadFile.reopen(self._folder, self._name, self._url_key if self._resume else None)
        if found is None:
            return None
        self._file, journal = found
        return journal

    def _learn_name(self, response: Response, answer: Answer) -> Journal | None:
        """Name the file by the answer where the caller named only a folder; return the journal of that name."""
        if self._name:
            return None
        assert self._folder is not None
        self._name = suggested_name(response.headers.get("Content-Disposition"), parse_url(response.url))
        self.path = str(Path(self._given, self._name))
        journal = self._reopen()
        found = version_of(response.headers)
        if journal is not None and (
            journal.validator != found.validator
            or journal.version.is_another(found)
            or answer.size not in (None, journal.size)
        ):
            assert self._file is not None
            self._file.discard()
            self._file = journal = None
        return journal

    def _go_on(self, journal: Journal) -> None:
        """Plan what is missing of an earlier download."""
        assert self._file is not None
        self.size, self.version = journal.size, journal.version
        self.parts = [Part(start, stop, position) for start, position, stop in journal.parts]
        if all(part.is_complete for part in self.parts):
            # All had come but the name. One byte is asked for, so that somebody says that it is still that file.
            last = max(self.parts, key=lambda part: part.position)
            last.position = max(last.start, last.position - 1)
        self.resumed_from = positions(self.parts)
        check_size(self.resumed_from if self.size is None else self.size, self._max_size, self.resumed_from)
        self._file.expect(self.size)  # without room for it: it may be another version now, and smaller

    def _begin(self, response: Response, answer: Answer) -> None:
        """Make the temporary and plan the parts, now that it is known what comes."""
        assert self._folder is not None
        if self._file is None:
            self._file = DownloadFile.create(self._folder, self._name, self._receipt)
        self.size = answer.size
        self.version = _usable_version(response)
        self._expect(self.size)
        if answer.whole or answer.size is None or answer.stop is None:
            self.parts = [Part(0, answer.stop)]
        else:
            self.parts = split(answer.size, answer.stop, self._wanted_parts)

    def _expect(self, size: int | None) -> None:
        assert self._file is not None
        # Room is never reserved by the word of the peer alone.
        self._file.expect(size, reserve=self._max_size is not None)

    def _fetch(self, part: Part, token: CancelToken, begun: tuple[Response, Answer] | None) -> None:
        """Fill *part* by as many requests as it takes; complete the file if it is the last one."""
        retry = self._retry
        while begun is not None or not part.is_complete:
            response, answer = begun or self._ask(part, token)
            begun = None
            try:
                self._take(response, answer, part)
            except RequestException as error:
                error.request = error.request or response.request
                retry = self._after(error, retry, token)
            finally:
                response.close()
        with self._counting:
            self._open_parts -= 1
            is_last = self._open_parts == 0
        if is_last:
            self._complete(token)

    def _ask(self, part: Part, token: CancelToken) -> tuple[Response, Answer]:
        """Send the request for what is missing of *part*; return the answer and what it means."""
        if self.parts and (self.version.validator is None or not self._ranges):
            part.position = 0  # what comes may be another version of the file: nothing of the old one is kept
            part.stop = None
        fields = range_fields(part, self.version.validator)
        headers = self._headers.copy()
        # None: those that the session sends with every request are not for this one.
        headers.update({"Range": None, "If-Range": None, **fields})
        response = self._session.request(
            "GET",
            self._url,
            headers=headers,
            timeout=self._timeouts(),
            stream=True,
            max_body=self._max_size,
            _cancel=token,
            **self._arguments,
        )
        try:
            if response.status_code != 416 or "Range" not in fields:
                response.raise_for_status()
            with self._judging:
                answer = judge(
                    response.status_code, response.headers, part, size=self.size, version=self.version
                )
                if not answer.whole:
                    self.version = self.version.joined(version_of(response.headers))
            if answer.size != self.size:  # not each time: to count what is there goes through all parts
                check_size(answer.size or 0, self._max_size, self.received)
            if self.parts:
                self._fit(response, answer, part)
        except BaseException as error:
            if isinstance(error, (DownloadError, BodyTooLarge)):
                error.request, error.response = response.request, response
            response.close()
            raise
        return response, answer

    def _fit(self, response: Response, answer: Answer, part: Part) -> None:
        """Make a later answer part of the plan."""
        if not answer.whole:
            if self.size is None:
                self.size = part.stop = answer.size
            return
        if len(self.parts) > 1:
            changed = _usable_version(response).validator != self.version.validator
            raise StartAgain("the server sent the whole file for a part of it", ranges=changed)
        assert self._file is not None
        self._file.truncate()
        self._expect(answer.size)
        self.size, self.version = answer.size, _usable_version(response)
        self.resumed_from = part.position = 0
        part.stop = answer.stop

    def _take(self, response: Response, answer: Answer, part: Part) -> None:
        """Write the body of one answer into its place."""
        assert self._file is not None
        if answer.stop == part.position and not answer.whole:  # 416: it had all come before
            part.stop = self.size = part.position
            return
        BodyWriter(self._file, part, answer, self._max_size, self._came).write(response)
        if answer.stop is None:
            self.size = part.stop = part.position

    def _came(self) -> None:
        assert self._file is not None
        self._file.save_sometimes(self._journal)

    def _after(self, error: RequestException, retry: Retry | None, token: CancelToken) -> Retry:
        """Wait for the next try after a body that broke off; raise *error* if there is none."""
        attempt = Attempt("GET", _redacted(error), error=error)
        decision = retry and retry.next(
            attempt, idempotent=True, replayable=True, now=time(), random=_random, remaining=self._remaining()
        )
        if not decision:
            raise error
        if self._session.on_retry is not None:
            self._session.on_retry(attempt)
        token.sleep(decision[1])
        return decision[0]

    def _complete(self, token: CancelToken) -> None:
        """Check the whole and give it its name."""
        assert self._file is not None
        assert self.size is not None
        if self._wants_digest:
            self.sha256 = self._file.digest(token.check)
            if self._expected is not None and self._expected != self.sha256:
                raise ChecksumMismatch(
                    f"{self.path}: expected SHA-256 {self._expected}, the file has {self.sha256}",
                    expected=self._expected,
                    found=self.sha256,
                )
        self._file.publish(self.size, overwrite=self._overwrite, receipt=self._receipt)
        self.seconds = monotonic() - self._started
        self.is_done = True

    # -- when no worker is at it any more ------------------------------------------------------------------------

    def settle(self, failure: BaseException | None) -> BaseException | None:
        """Leave the folder in order after all workers have let go.

        Args:
            failure: What the first of them that failed raised, None if none did.

        Returns:
            The error that the download ends with. None: it is done, or, with `is_done` false, `first` is to be called
            again, from the beginning.
        """
        if isinstance(failure, StartAgain):
            failure = self._start_again(failure)
            if failure is None:
                return None
        if isinstance(failure, TotalTimeout) and isinstance(total := self.limits.total, float):
            failure = timeout_error("total", total, "total")  # the last request knew only what was left of it
        try:
            if self._file is not None and self._file.descriptor >= 0 and failure is not None:
                if isinstance(failure, (DownloadError, BodyTooLarge)):  # going on would lead to the same end
                    self._file.discard()
                else:
                    self._file.keep(self._journal)
        finally:
            if self._folder is not None:
                self._folder.close()
        return failure

    def _start_again(self, reason: StartAgain) -> BaseException | None:
        """Forget what has come; return what keeps us from another start, None if nothing does."""
        self._starts += 1
        self.parts, self.size, self.version, self.resumed_from = [], None, Version(), 0
        # One answer is always one version, also of a server whose ETags are different each time.
        self._ranges = reason.ranges and self._starts == 1
        if self._starts == MOST_STARTS:
            return DownloadError(f"gave up after {MOST_STARTS} starts: {reason}")
        if self._file is not None:
            try:
                self._file.truncate()
            except OSError as error:
                return error
        return None

    # -- small things -----------------------------------------------------------------------------------------------

    def _journal(self, temporary: str) -> Journal | None:
        """Return what a later download needs to go on from here; None if none could."""
        may_go_on = self._resume and self.version.validator is not None and self._ranges
        if not may_go_on or not positions(self.parts):
            return None
        parts = [(part.start, part.position, part.stop) for part in self.parts]
        return Journal(self._url_key, temporary, self.size, parts=parts, **self.version._asdict())

    def _remaining(self) -> float | None:
        total: float | None = self.limits.total  # type: ignore[assignment]  # complete limits
        return None if total is None else max(0.0, self._started + total - monotonic())

    def _timeouts(self) -> Timeouts:
        """Return the limits of one request, which has what is left of the download's total."""
        left = self._remaining()
        if left is None:
            return self.limits
        return Timeouts(total=max(left, 1e-6)).or_else(self.limits)


def _usable_version(response: Response) -> Version:
    """Return the version, without a validator if what comes is coded: ranges are of other bytes than those on disk."""
    version = version_of(response.headers)
    return version._replace(validator=None) if is_coded(response.headers) else version


def _redacted(error: RequestException) -> str:
    url = getattr(error.request, "url", None)
    return "" if url is None else parse_url(url).redacted


def _random() -> float:
    """Return a number of [0, 1), for the jitter of a delay."""
    return int.from_bytes(os.urandom(7)) / (1 << 56)
