"""A fork in the middle of a call: it goes on in the parent alone, wherever it was, and the child gets `ForkError`."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import client
from client import Session
from client.exceptions import SessionClosed
from client.timeouts import Timeouts
from client.transport.cancel import CancelToken
from client.transport.pool import ConnectionPool, PoolLimits
from client.transport.stream import ResponseStream
from client.transport.tls import TLSSettings
from tests.scripted_server import Expect, Hold, ScriptedServer, Send, Signal, Wait
from tests.tls_authority import TLSAuthority
from tests.transport.exchanging import OK, a_call, a_request
from tests.transport.family import FORK_ERROR, Family
from tests.transport.relaying_proxy import ConnectProxy

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
DIALLING = ("queue.start", "queue.end", "dns.start", "dns.end", "connect.start", "connect.end")
EXCHANGING = ("send.start", "send.end", "wait.start")
SECURING = ("tls.start", "tls.end")
TUNNELLING = ("proxy.start", "proxy.end")


def posted_once(server: ScriptedServer, at: str, **settings: Any) -> None:
    """Post through a session with *settings*, and fork when its trace is told *at*."""
    conversation = server.script(Expect(body=5), Send(OK), Hold())
    family = Family()

    def trace(event: str, _: Any) -> None:
        if event == at:
            family.fork()

    with Session(trace=trace, **settings) as session:
        assert "ok" == family.run(lambda: session.post(server.url, data=b"whole").text)

    assert FORK_ERROR == family.status
    assert 1 == len(conversation.requests)


@pytest.mark.parametrize("event", [*DIALLING, *EXCHANGING])
def test_a_request_is_sent_once(scripted_server: ScriptedServer, event: str) -> None:
    posted_once(scripted_server, event)


@pytest.mark.parametrize("event", [*DIALLING, *SECURING, *EXCHANGING])
def test_a_request_is_sent_once_over_tls(
    scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority, event: str
) -> None:
    posted_once(scripted_tls_server, event, verify=str(tls_authority.bundle))


@pytest.mark.parametrize("event", [*TUNNELLING, *SECURING, *EXCHANGING])
def test_a_request_is_sent_once_over_tls_inside_tls(
    scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority, event: str
) -> None:
    roots = str(tls_authority.bundle)
    with ConnectProxy(tls_authority.server_context()) as proxy:
        way = client.Proxy(f"https://localhost:{proxy.port}", tls=TLSSettings(roots))
        posted_once(scripted_tls_server, event, verify=roots, proxies={"all": way})


def test_a_connection_that_was_being_made_is_not_the_childs(scripted_server: ScriptedServer) -> None:
    """A child that had used the session meanwhile took it for its own."""
    conversation = scripted_server.script(Expect(body=5), Send(OK), Hold())
    scripted_server.answer(OK)
    family = Family(child=lambda: session.get(scripted_server.url))

    def trace(event: str, _: Any) -> None:
        if event == "connect.end":
            family.fork()

    with Session(trace=trace) as session:
        assert "ok" == family.run(lambda: session.post(scripted_server.url, data=b"whole").text)

    assert FORK_ERROR == family.status
    assert 1 == len(conversation.requests)


def test_the_next_hop_is_the_parents(scripted_server: ScriptedServer) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"
    conversation = scripted_server.script(Expect(), Send(moved), Expect(), Send(OK), Hold())
    family = Family()

    def trace(event: str, _: Any) -> None:
        if event == "redirect":
            family.fork()

    with Session(trace=trace) as session:
        assert "ok" == family.run(lambda: session.get(scripted_server.url).text)

    assert FORK_ERROR == family.status
    assert 2 == len(conversation.requests)


# -- signal handlers ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def forking_when(family: Family, is_time: Callable[[], object]) -> Iterator[None]:
    """Have a signal handler on this thread fork *family* once *is_time*, asked on another thread, has returned."""
    here = threading.get_ident()

    def send() -> None:
        is_time()
        signal.pthread_kill(here, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, family.fork)
    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)


def test_an_answer_that_is_awaited_is_the_parents(scripted_server: ScriptedServer) -> None:
    """Python repeats the interrupted `recv` in both processes; the child's would have taken it."""
    asked, go_on = threading.Event(), threading.Event()
    scripted_server.script(Expect(), Signal(asked), Wait(go_on), Send(OK), Hold())
    family = Family(parent=go_on.set)

    with Session(timeout=5) as session, forking_when(family, asked.wait):
        assert "ok" == family.run(lambda: session.get(scripted_server.url).text)

    assert FORK_ERROR == family.status


def test_a_place_in_the_queue_is_the_parents(scripted_server: ScriptedServer) -> None:
    """Nobody in the child would ever give it a connection."""
    go_on = threading.Event()
    scripted_server.script(Expect(), Send(HEAD), Wait(go_on), Send(b"hello"), Expect(), Send(OK), Hold())
    pool = ConnectionPool(PoolLimits(total=1))
    first = pool.round_trip(a_request(scripted_server.url), a_call())

    def leave() -> None:
        go_on.set()
        first.read()

    def somebody_waits() -> None:
        while not pool._waiters:
            threading.Event().wait(0.001)

    family = Family(parent=leave)
    with forking_when(family, somebody_waits):
        second = family.run(
            lambda: (
                pool.round_trip(a_request(scripted_server.url), a_call(timeouts=Timeouts(pool=5)))
                .read()
                .decode()
            )
        )
    pool.close()

    assert "ok" == second
    assert FORK_ERROR == family.status


def test_a_pause_between_two_tries_is_the_parents() -> None:
    """The child would sleep to its end before it heard that there is nothing to wait for."""
    pool, token = ConnectionPool(), CancelToken()

    def somebody_sleeps() -> None:
        while token._target is None:
            threading.Event().wait(0.001)

    def pause() -> str:
        pool.pause(30, a_call(cancel=token))
        return "over"

    family = Family(
        parent=lambda: token.cancel(SessionClosed("the parent's end")), child=lambda: signal.alarm(5)
    )
    with forking_when(family, somebody_sleeps), pytest.raises(SessionClosed, match="the parent's end"):
        family.run(pause)

    assert FORK_ERROR == family.status


class LimitsThatFork(PoolLimits):
    """Forks a family when the pool asks for them, in the middle of its books, where else only a signal would."""

    family: Family

    def __getattribute__(self, name: str) -> Any:
        """As the base."""
        if name == "per_origin":
            object.__getattribute__(self, "family").fork()
        return super().__getattribute__(name)


def test_a_fork_amid_the_pools_books_leaves_the_child_with_books_of_its_own(
    scripted_server: ScriptedServer,
) -> None:
    """The call found nothing where it had just written, and took a slot that nobody gave back."""
    scripted_server.script(Expect(body=5), Send(OK), Hold())
    family = Family()
    with Session() as session:
        pool: Any = session._transport
        pool.limits = LimitsThatFork(1, 1)
        pool.limits.family = family

        def post() -> str:
            try:
                return session.post(scripted_server.url, data=b"whole").text
            finally:
                assert (0 if family.children == [0] else 1) == pool._slots

        assert "ok" == family.run(post)

    assert FORK_ERROR == family.status


# -- what the two processes share -----------------------------------------------------------------------------


def child_does(action: Callable[[], object]) -> int:
    """Return the exit status of a forked child: 0 after *action*, `FORK_ERROR` if it raised that."""
    family = Family()

    def run() -> str:
        family.fork()
        if family.children == [0]:
            action()
        return ""

    family.run(run)
    assert family.status is not None
    return family.status


@contextlib.contextmanager
def half_answered(server: ScriptedServer, **facts: Any) -> Iterator[ResponseStream]:
    """Give a response whose body of five bytes comes at the end of the block, where it must be whole."""
    go_on = threading.Event()
    conversation = server.script(Expect(), Send(HEAD), Wait(go_on), Send(b"hello"), Hold())
    pool = ConnectionPool()
    response = pool.round_trip(a_request(server.url), a_call(**facts))
    yield response
    go_on.set()
    assert b"hello" == response.read()
    pool.close()
    assert len(conversation.requests[0]) == len(conversation.received)


@pytest.fixture(params=["plain", "tls"])
def response(request: pytest.FixtureRequest) -> Iterator[ResponseStream]:
    """A response as `half_answered` gives it."""
    if request.param == "plain":
        server, settings = request.getfixturevalue("scripted_server"), TLSSettings()
    else:
        server = request.getfixturevalue("scripted_tls_server")
        settings = TLSSettings(str(request.getfixturevalue("tls_authority").bundle))
    with half_answered(server, tls=settings) as response:
        yield response


def send_and_end(sock: socket.socket) -> None:
    """Do all the harm that a connection's socket lets one do."""
    for harm in (
        lambda: sock.send(b"harm"),
        lambda: os.write(sock.fileno(), b"harm"),
        lambda: socket.socket.shutdown(sock, socket.SHUT_RDWR),
        getattr(sock, "unwrap", bool),
    ):
        with contextlib.suppress(OSError, AttributeError, ValueError):
            harm()


def test_nothing_that_a_child_does_to_a_connection_reaches_the_peer(response: ResponseStream) -> None:
    assert 0 == child_does(lambda: send_and_end(response.connection.sock))


def test_an_end_that_is_only_the_childs_is_not_the_bodys(scripted_server: ScriptedServer) -> None:
    """Where closing ends the body, its copy would have passed for whole."""
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\n\r\nbody"), Hold())
    pool = ConnectionPool()
    response = pool.round_trip(a_request(scripted_server.url), a_call())

    assert FORK_ERROR == child_does(response.read)

    assert b"body" == response.read(4)
    response.close()


def test_a_child_does_not_make_its_parents_descriptor_wait(response: ResponseStream) -> None:
    """Leaving `sendfile` in the child did: its parent's then waited for ever, past each limit."""
    descriptor = response.connection.sock.fileno()
    was_blocking = os.get_blocking(descriptor)

    for flag in (False, True):
        os.set_blocking(descriptor, not flag)
        assert 0 == child_does(lambda flag=flag: os.set_blocking(descriptor, flag))  # type: ignore[misc]  # no Callable
        assert os.get_blocking(descriptor) is not flag
    os.set_blocking(descriptor, was_blocking)


LIMITED = """
import os, resource, sys
import client

lower = os.pipe()
with client.Session(trust_env=False) as session, session.get(sys.argv[1], stream=True) as response:
    sock = response._wire.connection.sock
    for descriptor in lower:
        os.close(descriptor)
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (sock.fileno() if sys.argv[2] == "room" else 0, most))
    child = os.fork()
    if not child:
        try:
            assert -1 == sock.fileno()
            response.content
        except client.ForkError:
            os._exit(7)
        finally:
            os._exit(1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    print(response.text)
"""


@pytest.mark.parametrize("left", ["room", "nothing"])
def test_a_child_that_cannot_replace_a_descriptor_closes_it(
    scripted_server: ScriptedServer, left: str
) -> None:
    """There is none left for what should stand there, or its number is above a limit that was lowered since.

    A process of its own has that limit: in this one, servers on other threads would fall to it.
    """
    go_on = threading.Event()
    scripted_server.script(Expect(), Send(HEAD), Wait(go_on), Send(b"hello"), Hold())
    command = [sys.executable, "-c", LIMITED, scripted_server.url, left]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert f"{FORK_ERROR}\n" == process.stdout.readline()
        go_on.set()
        assert "hello\n" == process.stdout.read()


def test_a_socket_that_was_handed_over_is_the_childs_as_well(scripted_server: ScriptedServer) -> None:
    """It is the caller's own, who may have forked to serve it."""
    conversation = scripted_server.script(Expect(), Send(SWITCHED), Expect(until=b"child"), Hold())
    pool = ConnectionPool()
    request = a_request(scripted_server.url)
    request.headers += [(b"Connection", b"upgrade"), (b"Upgrade", b"echo")]
    sock, _ = pool.round_trip(request, a_call()).detach()

    with sock:
        assert 0 == child_does(lambda: sock.sendall(b"child"))
        sock.sendall(b"parent")

    assert conversation.finished.wait(10)
    assert b"child" == conversation.requests[1]


IMPORTING = """
import os, signal, sys, threading
import client.transport.forked

entered, forking = threading.Event(), threading.Event()

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[2]:  # which the other one imports
            entered.set()
            forking.wait(10)

sys.meta_path.insert(0, Slow())
os.register_at_fork(before=forking.set)
thread = threading.Thread(target=__import__, args=(sys.argv[1],))
thread.start()
entered.wait(10)
child = os.fork()
if not child:
    signal.alarm(10)
    __import__(sys.argv[1])
    os._exit(7)
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(
    ("module", "inner"), [("ctypes", "_ctypes"), ("client.downloads", "client.download_arguments")]
)
def test_a_child_does_not_wait_for_an_import_that_ends_in_the_parent(module: str, inner: str) -> None:
    """Its lock is held by a thread that does not exist there; a call loads some of its modules when it needs them."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORTING, module, inner],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "7" == done.stdout.strip()
