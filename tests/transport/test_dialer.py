"""From a host to a connected socket, over any of its addresses, and nothing left behind on the way."""

from __future__ import annotations

import contextlib
import errno
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client.exceptions import (
    ConnectError,
    ConnectTimeout,
    NameResolutionError,
    TotalTimeout,
)
from client.timeouts import Deadline, Timeouts
from client.transport import race
from client.transport.cancel import CancelToken
from client.transport.dialer import NetworkOptions, Route, dial
from client.transport.resolver import Address
from client.transport.wire import Proxy
from tests.scripted_server import Close, ExpectClosed, ScriptedServer, Send
from tests.transport.dialing import black_hole, budget_of, cancel_when, dialed, found, welcomed

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture(autouse=True)
def no_memory_of_families() -> None:
    race._families.clear()


# -- one address ------------------------------------------------------------------------------------------------


def test_the_socket_is_connected_blocking_and_without_delay(scripted_server: ScriptedServer) -> None:
    scripted_server.script(Send(b"hello"), ExpectClosed())

    with dialed(Route("http", "127.0.0.1", scripted_server.port)) as connection:
        assert b"hello" == connection.sock.recv(5, socket.MSG_WAITALL)
        assert 0 != connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert ("127.0.0.1", scripted_server.port) == connection.info.peer
        assert connection.sock.getsockname() == connection.info.local
        assert connection.info.tls_version is None


def test_the_socket_has_no_timeout_of_its_own(scripted_server: ScriptedServer) -> None:
    scripted_server.script(Send(b"hello"), ExpectClosed())

    connection = dial(Route("http", "127.0.0.1", scripted_server.port), NetworkOptions(), budget_of(5))

    with connection.sock as sock:
        assert sock.gettimeout() is None
        assert b"hello" == sock.recv(5, socket.MSG_WAITALL)


def test_a_refusal_names_host_port_address_and_reason(closed_port: int) -> None:

    with (
        pytest.raises(ConnectError) as caught,
        dialed(Route("http", "localhost", closed_port), resolver=found("127.0.0.1")),
    ):
        pass

    assert f"cannot connect to localhost:{closed_port}: 127.0.0.1: Connection refused" == str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert (False, 0) == (caught.value.reused, caught.value.bytes_sent)


def test_an_ipv6_address_is_named_in_brackets(closed_port: int) -> None:
    route = Route("http", "::1", closed_port, Proxy("http", "2001:db8::1", 3128))
    assert f"<Route http://[::1]:{route.port} by <Proxy http://[2001:db8::1]:3128>>" == repr(route)

    with pytest.raises(ConnectError, match=rf"cannot connect to \[::1\]:{route.port}: ::1: "):
        with dialed(Route("http", "::1", route.port)):
            pass


def test_a_name_without_address_is_no_connection() -> None:
    with pytest.raises(NameResolutionError), dialed(Route("http", "no-such-host.invalid", 80)):
        pass


@pytest.mark.timing
def test_an_address_that_never_answers_ends_with_the_budget() -> None:
    with black_hole() as (host, port):
        started = time.monotonic()
        with pytest.raises(ConnectTimeout) as caught, dialed(Route("http", host, port), seconds=0.3):
            pass

    assert 0.3 <= time.monotonic() - started < 1.3
    assert ("connect", 0.3) == (caught.value.phase, caught.value.seconds)


def test_the_total_deadline_takes_the_budgets_place_where_it_is_nearer() -> None:
    limits = Timeouts(connect=5, read=5, write=5, pool=5, total=0.1)
    with black_hole() as (host, port):
        with pytest.raises(TotalTimeout):
            dial(Route("http", host, port), NetworkOptions(), Deadline(limits).budget("connect"))


def test_a_socket_that_met_itself_is_no_connection() -> None:
    """On the loopback a port with no listener may be picked as our own, and TCP then connects it to itself."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())

        with pytest.raises(OSError, match="refused") as caught:
            race._check_connected(sock, 0)

    assert errno.ECONNREFUSED == caught.value.errno


# -- several addresses ------------------------------------------------------------------------------------------


def test_the_next_address_is_tried_when_one_refuses(scripted_server: ScriptedServer) -> None:
    with welcomed(
        scripted_server,
        Route("http", "a.test", scripted_server.port),
        resolver=found("127.0.0.2", "127.0.0.1"),
    ) as connection:
        assert "127.0.0.1" == connection.info.peer[0]


def test_an_address_that_never_answers_costs_a_quarter_of_a_second(scripted_server: ScriptedServer) -> None:
    """RFC 8305 section 5. The losing attempt is closed: `no_leaks` counts."""
    with black_hole("127.0.0.2", scripted_server.port):
        with welcomed(
            scripted_server,
            Route("http", "a.test", scripted_server.port),
            resolver=found("127.0.0.2", "127.0.0.1"),
        ) as connection:
            assert "127.0.0.1" == connection.info.peer[0]
            assert race.ATTEMPT_DELAY <= connection.info.connect


@pytest.mark.timing
def test_refusals_do_not_wait_for_the_stagger(closed_port: int) -> None:
    started = time.monotonic()
    with pytest.raises(ConnectError):
        with dialed(
            Route("http", "a.test", closed_port), resolver=found(*(f"127.0.0.{n}" for n in range(2, 12)))
        ):
            pass

    assert time.monotonic() - started < 1


@pytest.mark.timing
def test_an_attempt_that_fails_at_once_beside_a_slow_one_does_not_wait_either(
    scripted_server: ScriptedServer,
) -> None:
    """An unreachable network, or an address that the filter refuses, is known before the attempt is under way."""
    refused = [f"192.0.2.{number}" for number in range(1, 9)]
    with black_hole("127.0.0.2", scripted_server.port):
        with welcomed(
            scripted_server,
            Route("http", "a.test", scripted_server.port),
            resolver=found("127.0.0.2", *refused, "127.0.0.1"),
            address_filter=lambda address: address not in refused,
        ) as connection:
            assert "127.0.0.1" == connection.info.peer[0]
            assert race.ATTEMPT_DELAY <= connection.info.connect < race.ATTEMPT_DELAY + 1


def test_a_slow_address_still_wins_if_all_others_refuse(closed_port: int) -> None:
    """The first attempt goes on while later ones fail."""
    with black_hole("127.0.0.2", closed_port):
        with pytest.raises(ConnectTimeout):
            with dialed(
                Route("http", "a.test", closed_port), resolver=found("127.0.0.2", "127.0.0.3"), seconds=0.5
            ):
                pass


def test_the_error_has_the_reason_of_each_address(closed_port: int) -> None:
    with pytest.raises(ConnectError) as caught:
        with dialed(Route("http", "a.test", closed_port), resolver=found("127.0.0.2", "127.0.0.3")):
            pass

    assert "127.0.0.2: Connection refused; 127.0.0.3: Connection refused" in str(caught.value)


def addresses(*texts: str) -> list[Address]:
    return [Address(socket.AF_INET6 if ":" in text else socket.AF_INET, (text, 80)) for text in texts]


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (None, ["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"]),
        (socket.AF_INET6, ["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"]),
        (socket.AF_INET, ["10.0.0.1", "::1", "10.0.0.2", "::2", "::3"]),
        (socket.AF_UNIX, ["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"]),
    ],
)
def test_families_take_turns(first: int | None, expected: list[str]) -> None:
    """RFC 8305 section 4: a broken family must not use up the time before the other gets its chance."""
    given = addresses("::1", "::2", "::3", "10.0.0.1", "10.0.0.2")

    assert expected == [address.text for address in race.alternate(given, first)]


def test_the_family_that_won_goes_first_the_next_time(scripted_server: ScriptedServer) -> None:
    tried: list[str] = []

    def allow(address: str) -> bool:
        tried.append(address)
        return True

    route = Route("http", "a.test", scripted_server.port)

    for _ in range(2):
        with welcomed(
            scripted_server,
            route,
            resolver=found("::1", "127.0.0.1"),
            address_filter=allow,
        ):
            pass

    assert ["::1", "127.0.0.1", "127.0.0.1"] == tried


def test_the_memory_of_families_is_bounded() -> None:
    for number in range(race._MEMORY_SIZE + 10):
        race._remember_family(f"{number}.test", socket.AF_INET)

    assert race._MEMORY_SIZE == len(race._families)
    assert race._preferred_family("0.test") is None
    assert socket.AF_INET == race._preferred_family(f"{race._MEMORY_SIZE}.test")


# -- Unix sockets -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def unix_listener(path: Path, backlog: int = 8) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(backlog)
        yield listener


def test_a_unix_socket_is_connected_to(tmp_path: Path) -> None:
    with unix_listener(tmp_path / "server") as listener:
        with dialed(Route("http", "a.test", 80, uds=str(tmp_path / "server"))) as connection:
            accepted, _ = listener.accept()
            with accepted:
                accepted.sendall(b"hello")
                assert b"hello" == connection.sock.recv(5)
            assert str(tmp_path / "server") == connection.info.peer


def test_a_unix_socket_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match="no-server: No such file or directory"):
        with dialed(Route("http", "a.test", 80, uds=str(tmp_path / "no-server"))):
            pass


def test_a_path_longer_than_a_unix_socket_can_have_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match="too long"):
        with dialed(Route("http", "a.test", 80, uds=str(tmp_path / ("x" * 200)))):
            pass


def test_a_unix_socket_with_a_full_queue_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "server"
    with unix_listener(path, backlog=0), socket.socket(socket.AF_UNIX) as filler:
        filler.connect(str(path))
        with pytest.raises(ConnectTimeout) as caught:
            with dialed(Route("http", "a.test", 80, uds=str(path)), seconds=0.2):
                pass

    assert "connect" == caught.value.phase


# -- the stop switch --------------------------------------------------------------------------------------------


def test_cancelling_wakes_a_connect() -> None:
    token, error, connecting = CancelToken(), KeyError("stopped"), threading.Event()

    def trace(event: str, facts: dict[str, Any]) -> None:
        if event == "connect.start":
            connecting.set()

    with black_hole() as (host, port), cancel_when(connecting, token, error):
        with pytest.raises(KeyError) as caught:
            with dialed(Route("http", host, port), seconds=None, cancel=token, trace=trace):
                pass

    assert error is caught.value


def test_a_call_that_was_cancelled_before_opens_no_connection(scripted_server: ScriptedServer) -> None:
    token, error = CancelToken(), KeyError("stopped")
    token.cancel(error)

    with pytest.raises(KeyError):
        with dialed(Route("http", "127.0.0.1", scripted_server.port), cancel=token):
            pass


def test_the_switch_is_let_go_of_when_the_dial_is_over(scripted_server: ScriptedServer) -> None:
    scripted_server.script(Send(b"hello"), Close())
    token = CancelToken()

    with dialed(Route("http", "127.0.0.1", scripted_server.port), cancel=token) as connection:
        token.cancel(KeyError("later"))

        assert b"hello" == connection.sock.recv(5)


def test_ctrl_c_leaves_nothing_behind() -> None:
    """Raised by a signal handler in the middle of the wait, as by the interpreter's own."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with black_hole() as (host, port):
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(KeyboardInterrupt):
                with dialed(Route("http", host, port)):
                    pass
    finally:
        signal.signal(signal.SIGALRM, before)


def test_without_a_free_descriptor_the_error_is_ours() -> None:
    """And it comes from each place that opens one."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = max(int(entry.name) for entry in Path("/dev/fd").iterdir()) + 1
    try:
        for spare in range(8):
            resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + spare, limits[1]))
            with pytest.raises(ConnectError):
                with dialed(Route("http", "127.0.0.1", 1)):
                    pass
            with pytest.raises(ConnectError):
                with dialed(Route("http", "localhost", 1, uds="/no/such/server")):
                    pass
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


# -- what is told -----------------------------------------------------------------------------------------------


def test_each_step_is_traced_and_timed(scripted_server: ScriptedServer) -> None:
    events: list[tuple[str, dict[str, Any]]] = []

    with welcomed(
        scripted_server,
        Route("http", "a.test", scripted_server.port),
        resolver=found("127.0.0.1"),
        trace=lambda event, facts: events.append((event, facts)),
    ) as connection:
        assert 0 < connection.info.dns
        assert 0 < connection.info.connect
        assert 0 == connection.info.tls

    assert ["dns.start", "dns.end", "connect.start", "connect.end"] == [event for event, _ in events]
    assert {"host", "port", "addresses", "seconds"} == set(events[-1][1])


def test_a_step_that_fails_is_traced_too(closed_port: int) -> None:
    events: list[str] = []

    with pytest.raises(ConnectError):
        with dialed(Route("http", "127.0.0.1", closed_port), trace=lambda event, facts: events.append(event)):
            pass

    assert ["dns.start", "dns.end", "connect.start", "connect.failed"] == events


@pytest.mark.parametrize("event", ["dns.start", "connect.end", "connect.start"])
def test_a_trace_that_raises_leaves_no_socket_behind(scripted_server: ScriptedServer, event: str) -> None:
    if event == "connect.end":
        scripted_server.script(ExpectClosed())

    def trace(name: str, facts: dict[str, Any]) -> None:
        if name == event:
            raise LookupError(name)

    with pytest.raises(LookupError):
        with dialed(Route("http", "127.0.0.1", scripted_server.port), trace=trace):
            pass
