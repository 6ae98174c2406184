"""Random roads, budgets and cancellations at once: every failure has its class, and everything is closed.

Each way through the dialer is tested by itself elsewhere; here they meet, and are cut at any point.
"""

from __future__ import annotations

import collections
import contextlib
import random
import socket
import threading
from collections.abc import Iterator

import pytest

from client.exceptions import ConnectError, ConnectTimeout
from client.testing import LoopbackServer
from client.transport.cancel import CancelToken
from client.transport.dialer import NetworkOptions, Route, dial
from client.transport.tls import TLSSettings
from client.transport.wire import Proxy
from tests.tls_authority import TLSAuthority
from tests.transport.dialing import black_hole, budget_of
from tests.transport.relaying_proxy import ConnectProxy, SocksProxy

THREADS = 8
DIALS = 60  # of each thread

BUDGETS = (0.002, 0.01, 0.05, 10.0)
ANSWERS: tuple[list[str], ...] = (
    ["127.0.0.1"],
    ["::1", "127.0.0.1"],
    ["127.0.0.2", "127.0.0.1"],
    ["no address"],
    [],
)


class Stopped(Exception):
    """What a cancelled dial must raise."""


@contextlib.contextmanager
def every_road(authority: TLSAuthority) -> Iterator[list[Route]]:
    """Start a server and a proxy of each kind, and give the routes to and through them."""
    trusting = TLSSettings(authority.bundle)
    with (
        LoopbackServer() as plain,
        LoopbackServer(tls=authority.server_context()) as secure,
        ConnectProxy() as proxy,
        ConnectProxy(authority.server_context()) as tls_proxy,
        SocksProxy() as socks_proxy,
        black_hole() as (_, nowhere),
        socket.create_server(("127.0.0.1", 0)) as silent,
    ):
        plain_port, tls_port = (int(server.url.rpartition(":")[2]) for server in (plain, secure))
        ways = [
            None,
            Proxy("http", "127.0.0.1", proxy.port),
            Proxy("https", "127.0.0.1", tls_proxy.port, tls=trusting),
            Proxy("https", "127.0.0.1", tls_proxy.port),  # not trusted
            Proxy("http", "127.0.0.1", nowhere),
            Proxy("http", "127.0.0.1", silent.getsockname()[1]),
            Proxy("socks5", "127.0.0.1", socks_proxy.port),
            Proxy("socks5h", "127.0.0.1", socks_proxy.port),
        ]
        yield [
            *(Route("https", "localhost", tls_port, way, trusting) for way in ways),
            Route("http", "localhost", plain_port),
            Route("http", "127.0.0.1", nowhere),
            Route("https", "localhost", tls_port, None, TLSSettings()),
            Route("https", "localhost", plain_port, None, trusting),
        ]


def outcome_of(route: Route, chance: random.Random) -> str:
    """Dial *route*; return how that ended."""
    token = CancelToken()
    answer = chance.choice(ANSWERS)
    options = NetworkOptions(resolver=chance.choice([None, lambda host, port: answer]))
    stopper = threading.Timer(chance.random() * 0.02, token.cancel, (Stopped(),))
    if chance.random() < 0.5:
        stopper.start()
    budget = budget_of(chance.choice(BUDGETS) if stopper.ident else chance.choice(BUDGETS[:3]))
    try:
        dial(route, options, budget, token).sock.close()
    except (ConnectError, Stopped) as error:
        return type(error).__name__
    finally:
        stopper.cancel()
        if stopper.ident:
            stopper.join()
    return "connected"


@pytest.mark.usefixtures("no_leaks")
def test_nothing_is_left_of_dials_that_are_cut_anywhere(tls_authority: TLSAuthority) -> None:
    outcomes: collections.Counter[str] = collections.Counter()
    surprises: list[BaseException] = []
    TLSSettings().context()  # 27 ms that would leave the shorter budgets nothing to cut

    def run(seed: int, routes: list[Route]) -> None:
        chance = random.Random(seed)
        try:
            for _ in range(DIALS):
                outcomes[outcome_of(chance.choice(routes), chance)] += 1
        except BaseException as error:  # noqa: BLE001  # told by the test
            surprises.append(error)

    with every_road(tls_authority) as routes:
        threads = [threading.Thread(target=run, args=(seed, routes)) for seed in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert [] == surprises
    assert THREADS * DIALS == sum(outcomes.values())
    assert {"connected", "Stopped", ConnectTimeout.__name__} <= set(outcomes)
