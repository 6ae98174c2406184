"""Names are looked up on threads that nobody has to wait for."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from client.exceptions import ConnectTimeout, NameResolutionError
from client.transport import resolver as resolver_module
from client.transport.cancel import CancelToken
from client.transport.resolver import MAX_AWAITED, MAX_THREADS, Resolver, resolve
from client.transport.waiter import Waiter
from tests.transport.dialing import budget_of, cancel_when


def addresses_of(
    host: str,
    resolver: Resolver | None = None,
    seconds: float | None = 10.0,
    cancel: CancelToken | None = None,
) -> list[str]:
    with Waiter(budget_of(seconds), cancel) as waiter:
        return [address.text for address in resolve(host, 80, resolver, waiter)]


class BlockedResolver:
    """Answers no question until it is released."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_asked = threading.Event()
        self.released = threading.Event()

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        self.is_asked.set()
        self.released.wait(30)
        return ["127.0.0.1"]


@pytest.fixture
def blocked_resolver(no_leaks: None) -> Iterator[BlockedResolver]:
    resolver = BlockedResolver()
    yield resolver
    resolver.released.set()


def resolver_threads() -> int:
    return sum(thread.name == "client-resolver" for thread in threading.enumerate())


@pytest.mark.parametrize("literal", ["127.0.0.1", "::1", "::ffff:192.0.2.1"])
def test_an_ip_address_is_never_looked_up(literal: str) -> None:
    asked: list[str] = []

    assert [literal] == addresses_of(literal, lambda host, port: asked)
    assert [] == asked
    assert 0 == resolver_threads()


def test_a_zone_becomes_the_index_of_its_interface() -> None:
    with Waiter(budget_of()) as waiter:
        (address,) = resolve("fe80::1%lo", 80, None, waiter)

    assert socket.if_nametoindex("lo") == address.sockaddr[3]


def test_a_zone_that_is_not_here_is_a_failure() -> None:
    with pytest.raises(NameResolutionError, match="fe80::1%no-such-interface"):
        addresses_of("fe80::1%no-such-interface")


def test_the_operating_system_is_asked(no_leaks: None) -> None:
    assert "127.0.0.1" in addresses_of("localhost")


@pytest.mark.parametrize(
    "host", ["no-such-host.invalid", "x" * 64 + ".test", "a..test", "\u00e9\u00e9.invalid", "a\0b"]
)
def test_a_failure_names_the_host(host: str, no_leaks: None) -> None:
    with pytest.raises(NameResolutionError) as caught:
        addresses_of(host)

    assert repr(host) in str(caught.value)
    assert caught.value.__cause__ is not None


def test_a_resolver_takes_the_place_of_the_operating_system(no_leaks: None) -> None:
    asked: list[tuple[str, int]] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["192.0.2.2", "2001:db8::1", "192.0.2.2", "192.0.2.1"]

    assert ["192.0.2.2", "2001:db8::1", "192.0.2.1"] == addresses_of("a.test", resolver)
    assert [("a.test", 80)] == asked


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([], "no address"),
        (["b.test"], "'b.test', which is no IP address"),
        ("192.0.2.1", "'1', which is no IP address"),
        ([b"192.0.2.1"], "TypeError"),
        (None, "TypeError"),
    ],
)
def test_a_resolvers_answer_that_is_no_address_is_refused(answer: list[str], reason: str) -> None:
    with pytest.raises(NameResolutionError, match=reason) as caught:
        addresses_of("a.test", lambda host, port: answer)

    assert "'a.test'" in str(caught.value)


def test_what_a_resolver_raises_is_the_cause() -> None:
    error = LookupError("not in the table")

    def resolver(host: str, port: int) -> list[str]:
        raise error

    with pytest.raises(NameResolutionError, match=r"'a\.test'.*not in the table") as caught:
        addresses_of("a.test", resolver)

    assert error is caught.value.__cause__


@pytest.mark.timing
@pytest.mark.parametrize(
    "raised", [SystemExit(3), KeyboardInterrupt()], ids=["SystemExit", "KeyboardInterrupt"]
)
def test_no_resolver_can_take_its_thread_along(raised: BaseException, no_leaks: None) -> None:
    """Four that did left the process without a look-up, and their callers waiting for the timeout."""

    def resolver(host: str, port: int) -> list[str]:
        raise raised

    for _ in range(MAX_AWAITED + 1):
        with pytest.raises(NameResolutionError) as caught:
            addresses_of("a.test", resolver)
        assert raised is caught.value.__cause__
    assert ["192.0.2.1"] == addresses_of("a.test", lambda host, port: ["192.0.2.1"])


def test_a_look_up_ends_with_the_budget(blocked_resolver: BlockedResolver) -> None:
    started = time.monotonic()
    with pytest.raises(ConnectTimeout) as caught:
        addresses_of("a.test", blocked_resolver, seconds=0.3)

    assert 0.3 <= time.monotonic() - started < 1.3
    assert ("dns", 0.3) == (caught.value.phase, caught.value.seconds)


def test_four_look_ups_are_under_way_and_others_wait_for_their_turn(
    blocked_resolver: BlockedResolver,
) -> None:
    hosts = [f"{number}.test" for number in range(MAX_AWAITED + 3)]
    with ThreadPoolExecutor(len(hosts)) as callers:
        calls = [callers.submit(addresses_of, host, blocked_resolver) for host in hosts]
        while len(resolver_module._threads.waiting) < 3 or len(blocked_resolver.asked) < MAX_AWAITED:
            assert not any(call.done() for call in calls)
        assert MAX_AWAITED == resolver_threads()

        blocked_resolver.released.set()

        assert [["127.0.0.1"]] * len(hosts) == [call.result(10) for call in calls]
    assert sorted(hosts) == sorted(blocked_resolver.asked)


@pytest.mark.parametrize("count", [MAX_AWAITED, 3 * MAX_AWAITED])
def test_names_that_nobody_answers_hold_up_no_other(
    count: int, blocked_resolver: BlockedResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A domain whose name server is down, and the operating system's patience is longer than the callers'."""
    system = socket.getaddrinfo

    def getaddrinfo(host: bytes, *rest: Any, **options: Any) -> Any:
        if host.endswith(b".stuck.test"):
            return blocked_resolver(host.decode(), 80)
        return system(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for number in range(count):
        with pytest.raises(ConnectTimeout):
            addresses_of(f"{number}.stuck.test", seconds=0.02)

    assert "127.0.0.1" in addresses_of("localhost")
    assert count == len(blocked_resolver.asked)


def test_who_waits_for_a_turn_gets_that_of_a_caller_who_gives_up(blocked_resolver: BlockedResolver) -> None:
    with ThreadPoolExecutor(MAX_AWAITED) as callers:
        stuck = [callers.submit(addresses_of, "a.test", blocked_resolver, 0.5) for _ in range(MAX_AWAITED)]
        while len(blocked_resolver.asked) < MAX_AWAITED:
            assert not any(call.done() for call in stuck)

        assert ["192.0.2.1"] == addresses_of("b.test", lambda host, port: ["192.0.2.1"])

        assert {ConnectTimeout} == {type(call.exception(10)) for call in stuck}


def test_a_caller_that_is_cancelled_gives_up_its_turn_too(blocked_resolver: BlockedResolver) -> None:
    for _ in range(MAX_AWAITED):
        blocked_resolver.is_asked.clear()
        token = CancelToken()
        with cancel_when(blocked_resolver.is_asked, token, KeyError("stopped")), pytest.raises(KeyError):
            addresses_of("a.test", blocked_resolver, seconds=None, cancel=token)

    assert ["192.0.2.1"] == addresses_of("b.test", lambda host, port: ["192.0.2.1"])


def test_resolvers_that_look_names_up_themselves_do_not_wait_for_one_another(no_leaks: None) -> None:
    """A resolver that asks a name server by HTTPS needs the address of that server first."""
    count = 2 * MAX_AWAITED
    all_ask = threading.Barrier(MAX_AWAITED)

    def resolver(host: str, port: int) -> list[str]:
        if host != "inner.test":
            all_ask.wait(10)
            return addresses_of("inner.test", resolver)
        return ["192.0.2.1"]

    with ThreadPoolExecutor(count) as callers:
        calls = [callers.submit(addresses_of, f"{number}.test", resolver) for number in range(count)]

        assert [["192.0.2.1"]] * count == [call.result(20) for call in calls]


def test_look_ups_that_hang_are_bounded_and_names_go_on_once_they_end(
    blocked_resolver: BlockedResolver,
) -> None:
    for number in range(MAX_THREADS + 3):
        with pytest.raises(ConnectTimeout) as caught:
            addresses_of(f"{number}.test", blocked_resolver, seconds=0.02)
        assert "dns" == caught.value.phase
    assert MAX_THREADS == resolver_threads()

    blocked_resolver.released.set()

    assert ["127.0.0.1"] == addresses_of("last.test", blocked_resolver)
    asked = [f"{number}.test" for number in range(MAX_THREADS)]
    assert [*asked, "last.test"] == blocked_resolver.asked, "what nobody awaits any more is not asked"


def test_what_nobody_awaits_is_not_kept(blocked_resolver: BlockedResolver) -> None:
    """A name server that is down for an hour would else fill the memory with dead calls."""
    for number in range(MAX_THREADS + 20):
        with pytest.raises(ConnectTimeout):
            addresses_of(f"{number}.test", blocked_resolver, seconds=0.01)

    assert 0 == len(resolver_module._threads.waiting)
    blocked_resolver.released.set()
    for thread in threading.enumerate():
        if thread.name == "client-resolver":
            thread.join(10)
    assert (0, 0) == (len(resolver_module._threads.awaited), len(resolver_module._threads.abandoned))


@pytest.mark.parametrize("comes", ["before the thread is started", "after it"])
def test_ctrl_c_while_a_thread_is_started_costs_none(comes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each took one of all threads for ever: after as many, no name was looked up any more."""
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        if comes == "after it":
            start(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        for number in range(MAX_THREADS):
            with pytest.raises(KeyboardInterrupt):
                addresses_of(f"{number}.test", lambda host, port: ["192.0.2.1"])

    assert ["192.0.2.2"] == addresses_of("last.test", lambda host, port: ["192.0.2.2"])
    assert 0 == len(resolver_module._threads.waiting)


def test_without_a_thread_there_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(NameResolutionError, match="can't start new thread"):
            addresses_of("a.test", lambda host, port: ["192.0.2.1"])

    assert ["192.0.2.1"] == addresses_of("a.test", lambda host, port: ["192.0.2.1"])


def test_cancelling_wakes_the_caller(blocked_resolver: BlockedResolver) -> None:
    token, error = CancelToken(), KeyError("stopped")

    with cancel_when(blocked_resolver.is_asked, token, error), pytest.raises(KeyError) as caught:
        addresses_of("a.test", blocked_resolver, seconds=None, cancel=token)

    assert error is caught.value


def test_a_wake_up_after_the_end_goes_nowhere() -> None:
    """An abandoned look-up ends later than its caller, whose descriptors may be somebody else's by then."""
    with Waiter(budget_of()) as waiter:
        pass

    waiter.wake()


def test_many_wake_ups_do_not_block() -> None:
    with Waiter(budget_of()) as waiter:
        for _ in range(10_000):
            waiter.wake()
        while waiter.wait("dns", 0):
            pass

        assert [] == waiter.wait("dns", 0.01)


SCRIPT_OF_AN_EXIT = """
import threading
from client.exceptions import ConnectTimeout
from client.transport.resolver import resolve
from client.transport.waiter import Waiter
from tests.transport.dialing import budget_of
try:
    with Waiter(budget_of(0.1)) as waiter:
        resolve("a.test", 80, lambda host, port: threading.Event().wait(), waiter)
except ConnectTimeout:
    print("abandoned")
"""


def test_an_abandoned_look_up_does_not_hold_up_the_exit() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT_OF_AN_EXIT], capture_output=True, text=True, timeout=30, check=True
    )

    assert ("abandoned\n", "") == (done.stdout, done.stderr)


SCRIPT_OF_A_FORK = """
import os, threading
from client.exceptions import ConnectTimeout
from client.transport.resolver import MAX_THREADS, resolve
from client.transport.waiter import Waiter
from tests.transport.dialing import budget_of
for _ in range(MAX_THREADS + 1):
    try:
        with Waiter(budget_of(0.02)) as waiter:
            resolve("a.test", 80, lambda host, port: threading.Event().wait(), waiter)
    except ConnectTimeout:
        pass
child = os.fork()
if child == 0:
    with Waiter(budget_of(5)) as waiter:
        print(resolve("b.test", 80, lambda host, port: ["192.0.2.7"], waiter)[0].text, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def test_a_forked_child_has_threads_of_its_own() -> None:
    """The parent's are all taken and stay behind; waiting for one of them would be for ever."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT_OF_A_FORK],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip

    assert ("192.0.2.7\n", "") == (done.stdout, done.stderr)
