"""What the callers do: requests of every kind, drawn by chance, each judged by what must come of it."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any, Final

import client
from client import Retry, Timeouts
from client.exceptions import (
    DownloadError,
    ForkError,
    InvalidRequest,
    InvalidSchema,
    RequestException,
    SSLError,
)
from client.transport.pool import PoolLimits
from tests.download_server import file_of
from tests.faults.origin import body_of
from tests.soak.hostile import HONEST_SIZE, PAGES
from tests.soak.network import FILE_SEED, FILE_SIZE, Addresses

__all__ = ["Caller", "Ledger", "new_session"]

#: Short, so that a fault costs a moment and a round can come to rest.
TIMEOUTS: Final = Timeouts(connect=2, read=0.5, write=0.5, pool=3, total=3)
LIMITS: Final = PoolLimits(total=48, per_origin=12, idle=24)
SIZES: Final = (0, 1, 300, 300, 300, 3000, 40_000, 200_000)
FRAMINGS: Final = ("length", "length", "length", "chunked", "chunked", "close", "rude", "late")
CHILD_SECONDS: Final = 20
FILE: Final = file_of(FILE_SIZE, FILE_SEED)


def new_session(bundle: str, **settings: Any) -> client.Session:
    """Return a session as all of the soak are."""
    return client.Session(
        trust_env=False,
        verify=bundle,
        timeout=TIMEOUTS,
        limits=LIMITS,
        max_redirects=5,
        workers=8,
        **settings,
    )


class Ledger:
    """What the callers of a run found, together.

    Attributes:
        requests: How many, by kind.
        errors: How many, by class.
        wrong: The first violations of an invariant.
        repeatable: Nonces of this round that may arrive more than once.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.repeatable: set[str] = set()
        self._lock = threading.Lock()

    def count(self, kind: str) -> None:
        """Count a request."""
        with self._lock:
            self.requests[kind] += 1

    def may_repeat(self, nonce: str) -> None:
        """Note that a request with *nonce* may arrive more than once."""
        with self._lock:
            self.repeatable.add(nonce)

    def note(self, error: BaseException) -> None:
        """Count a failure; one that is not typed, or blames our own request, is wrong."""
        with self._lock:
            self.errors[type(error).__name__] += 1
        allowed = isinstance(error, (RequestException, CancelledError))
        if not allowed or (isinstance(error, InvalidRequest) and not isinstance(error, InvalidSchema)):
            self.accuse(f"a failure that is none of ours: {error!r}")

    def accuse(self, what: str) -> None:
        """Note a violation."""
        with self._lock:
            if len(self.wrong) < 20:
                self.wrong.append(what)


class Caller:
    """One thread's work in one round.

    Args:
        name: Of seed, round and thread: what its choices are drawn by.
        sessions: Shared by all callers.
        addresses: Where to.
        ledger: Takes what comes of it.
        bundle: Path of the roots to trust.

    Attributes:
        doing: What is under way, for the watchdog.
        since: Monotonic seconds at which that began.
    """

    def __init__(
        self, name: str, sessions: list[client.Session], addresses: Addresses, ledger: Ledger, bundle: str
    ) -> None:
        self.doing = ""
        self.since = time.monotonic()
        self._prefix = name.replace("/", "-")
        self._dice = random.Random(name)
        self._sessions = sessions
        self._addresses = addresses
        self._ledger = ledger
        self._bundle = bundle
        self._number = 0
        self._kinds: dict[Callable[[], None], int] = {
            self.plain: 40,
            self.hostile: 20,
            self.upload: 4,
            self.download: 1,
            self.many: 3,
            self.throw_away: 3,
            self.fork: 1,
        }

    def run(self, stop: threading.Event) -> None:
        """Do one thing after another until *stop* is set."""
        kinds, weights = list(self._kinds), list(self._kinds.values())
        while not stop.is_set():
            kind = self._dice.choices(kinds, weights)[0]
            self.doing, self.since = kind.__name__, time.monotonic()
            try:
                kind()
            except BaseException as error:  # noqa: BLE001  # which ones may come is what is judged
                self._ledger.note(error)
        self.doing = ""

    # -- kinds of work ------------------------------------------------------------------------------------------------

    def plain(self) -> None:
        """Send one request through the faults: read, streamed, read in part, dropped or cancelled."""
        dice, session = self._dice, self._session()
        how = dice.choice(
            ("read", "read", "post", "post", "idempotent", "stream", "partly", "drop", "cancel")
        )
        nonce, url, size = self._target(self._addresses.faulty)
        arguments: dict[str, Any] = {"headers": {"X-Nonce": nonce}}
        method = "POST" if how in {"post", "idempotent"} else "GET"
        if method == "POST":
            arguments["data"] = self._body(nonce, dice.choice((10, 10, 5000, 150_000)))
            arguments["idempotent"] = True if how == "idempotent" else None
        if dice.random() < 0.3:
            arguments["retries"] = Retry(2, backoff_factor=0.01)
        if how != "post":
            self._ledger.may_repeat(nonce)
        if how == "cancel":
            future = session.submit(method, url, **arguments)
            threading.Event().wait(dice.random() * 0.01)
            future.cancel()
            self._judge(nonce, size, future.result(CHILD_SECONDS))
            return
        response = session.request(method, url, stream=how in {"stream", "partly", "drop"}, **arguments)
        if how == "partly":
            with response:
                self._judge(nonce, -1, response, next(iter(response.iter_content(100)), b""))
        elif how == "stream":
            self._judge(nonce, size, response, b"".join(response.iter_content(7000)))
        elif how != "drop":
            self._judge(nonce, size, response)

    def hostile(self) -> None:
        """Ask for a page that is an attack."""
        dice = self._dice
        name, host = dice.choice(list(PAGES)), dice.choice(self._addresses.hostile)
        page, nonce = PAGES[name], self._nonce("hostile")
        errors = (SSLError,) if host == self._addresses.hostile[-1] else page.errors
        try:
            response = self._session().request(
                page.method, f"{host}/{name}", headers={"X-Nonce": nonce}, **page.arguments
            )
        except RequestException as error:
            self._ledger.note(error)
            if not isinstance(error, (*errors, client.Timeout, client.ConnectionError)):
                self._ledger.accuse(f"page {name!r} of {host} came to {error!r}")
        else:
            if not errors:
                self._judge(nonce, HONEST_SIZE, response)
            elif page.method == "GET":
                self._ledger.accuse(f"page {name!r} of {host} was taken for an answer: {response!r}")

    def upload(self) -> None:
        """Send a large body in one of its forms."""
        nonce, url, size = self._target(self._addresses.faulty + self._addresses.clean)
        self._ledger.count("upload")
        body = self._body(nonce, self._dice.choice((500_000, 2_000_000)))
        self._judge(nonce, size, self._session().post(url, data=body, headers={"X-Nonce": nonce}))

    def download(self) -> None:
        """Save a file in parts."""
        self._ledger.count("download")
        with tempfile.TemporaryDirectory(prefix="soak-") as folder:
            path = Path(folder, "file")
            try:
                self._session().download(
                    self._dice.choice(self._addresses.files),
                    path,
                    parts=self._dice.choice((1, 2, 3)),
                    retries=3,
                )
            except DownloadError as error:
                self._ledger.note(error)
                if path.exists():
                    self._ledger.accuse("a download that failed has its name")
            else:
                if FILE != path.read_bytes():
                    self._ledger.accuse("a download differs from its file")

    def many(self) -> None:
        """Send a row of requests on the session's workers."""
        jobs, asked = [], []
        for _ in range(10):
            nonce, url, size = self._target(self._addresses.faulty)
            self._ledger.may_repeat(nonce)
            jobs.append({"url": url, "headers": {"X-Nonce": nonce}})
            asked.append((nonce, size))
        results = self._session().map(jobs, on_error="return")
        if self._dice.random() < 0.2:
            results.close()  # type: ignore[attr-defined]  # a generator
            return
        for (nonce, size), result in zip(asked, results, strict=True):
            if isinstance(result, BaseException):
                self._ledger.note(result)
            else:
                self._judge(nonce, size, result)

    def throw_away(self) -> None:
        """Use a session of our own, and end it in the middle."""
        dice = self._dice
        session = new_session(self._bundle, offload=dice.random() < 0.3)
        asked = []
        for _ in range(6):
            nonce, url, size = self._target(self._addresses.faulty + self._addresses.clean)
            self._ledger.may_repeat(nonce)
            asked.append((nonce, size, session.submit("GET", url, headers={"X-Nonce": nonce})))
        threading.Event().wait(dice.random() * 0.05)
        end = dice.choice((session.close, session.abort, None))
        if end is not None:
            end()
        for nonce, size, future in asked:
            try:
                self._judge(nonce, size, future.result(CHILD_SECONDS))
            except (RequestException, CancelledError) as error:
                self._ledger.note(error)
        session.close()
        pool: Any = session._transport
        if (pool._slots, pool._open, pool._places) != (0, set(), {}):
            self._ledger.accuse(f"a closed session keeps something: {pool!r}")

    def fork(self) -> None:
        """Have a child use the session, and not touch what belongs to us."""
        if not hasattr(os, "fork"):
            return
        nonce, url, _ = self._target(self._addresses.clean[:1])
        self._ledger.may_repeat(nonce)
        session, size = self._sessions[0], 200_000
        url = f"{url.rpartition('/')[0]}/{size}?length"
        with session.get(url, headers={"X-Nonce": nonce}, stream=True) as held:
            child = os.fork()
            if child == 0:
                _live_as_child(session, url, f"{nonce}-child", held)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if status:
                self._ledger.accuse(
                    f"a forked child ended with {status}: {CHILD_ENDS.get(status, 'it hung')}"
                )
            self._judge(nonce, size, held, b"".join(held.iter_content(7000)))

    # -- parts of it --------------------------------------------------------------------------------------------------

    def _session(self) -> client.Session:
        return self._dice.choice(self._sessions)

    def _nonce(self, kind: str) -> str:
        self._ledger.count(kind)
        self._number += 1
        return f"{self._prefix}-{self._number}"

    def _target(self, bases: list[str]) -> tuple[str, str, int]:
        """Return a nonce, a URL, and how long the body of its answer will be."""
        size = self._dice.choice(SIZES)
        url = f"{self._dice.choice(bases)}/{size}?{self._dice.choice(FRAMINGS)}"
        return self._nonce("request"), url, size

    def _body(self, nonce: str, size: int) -> Any:
        """Return a request body as bytes, or as something that makes pieces of it as often as it is asked to."""
        body = body_of(nonce, size)

        def pieces() -> Iterator[bytes]:
            return (body[at : at + 40_000] for at in range(0, size, 40_000))

        return body if self._dice.random() < 0.6 else pieces

    def _judge(self, nonce: str, size: int, response: client.Response, body: bytes | None = None) -> None:
        """The answer must be this request's, and whole; *size* -1: its beginning."""
        if response.status_code == 408:
            # Unasked for, and read where the connection was found silent the moment before (RFC 9110 section 15.5.9).
            self._ledger.count("late 408")
            return
        body = response.content if body is None else body
        expected = body_of(nonce, max(size, len(body)) if size < 0 else size)
        if response.headers.get("Connection") == "close" and response.url.startswith("http:"):
            # Without TLS, a cut is how such a body ends (RFC 9112 section 8).
            expected = expected[: len(body)]
        if (response.headers.get("X-Nonce"), body) != (nonce, expected):
            seen = f"{response.status_code} {dict(response.headers)} with {len(body)} bytes {body[:60]!r}"
            self._ledger.accuse(f"{nonce} wants {size} bytes and got {seen}")


CHILD_ENDS: Final = {1: "it raised", 2: "another's answer", 3: "it read its parent's connection"}


def _live_as_child(session: client.Session, url: str, nonce: str, held: client.Response) -> None:
    """Do what a forked child may do, and end this process. Nothing here takes a lock that the parent had."""
    status = 1
    try:
        # Not faulthandler's timer: in a child, starting one waits for the thread of the parent's.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(CHILD_SECONDS)
        try:
            answer = session.get(url, headers={"X-Nonce": nonce})
            status = (
                0
                if answer.headers["X-Nonce"] == nonce and answer.content[1:-1].startswith(nonce.encode())
                else 2
            )
        except (client.Timeout, client.ConnectionError):
            status = 0  # the machine is slow
        try:
            held.content  # noqa: B018  # reads the body
            status = 3
        except ForkError:
            pass
    finally:
        os._exit(status)
