"""The other side of the soak: origins, faulty relays and hostile servers, in a process of their own.

Apart from us, so that memory, sockets and threads of this process are the client's; and anew for every round, so that
what a server remembers does not pile up.
"""

from __future__ import annotations

import contextlib
import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.download_server import RangeServer, file_of
from tests.faults.origin import NonceOrigin
from tests.faults.relay import (
    CLEAN,
    CLIENT,
    SERVER,
    BlackHole,
    Cut,
    Delay,
    Drip,
    Fault,
    FaultyRelay,
    HalfClose,
    Refuse,
    Reset,
    Sender,
)
from tests.ports import reserved_ports
from tests.soak.hostile import HostileServer

__all__ = ["FILE_SEED", "FILE_SIZE", "Addresses", "Network", "Report"]

FILE_SIZE = 3 << 20
FILE_SEED = 7
PATIENCE = 60.0  # seconds for the other process to begin or to end


@dataclass(frozen=True, slots=True)
class Addresses:
    """Base URLs; one that is to be chosen more often is there more often.

    Attributes:
        clean: Origins that nothing stands before.
        faulty: Origins behind relays, and a port where nobody listens.
        hostile: Hostile servers; the last one speaks plain HTTP where TLS is expected.
        files: Servers of one file, the second behind a relay.
    """

    clean: list[str]
    faulty: list[str]
    hostile: list[str]
    files: list[str]


@dataclass(frozen=True, slots=True)
class Report:
    """What the origins saw.

    Attributes:
        repeated: Nonces that arrived more than once.
        mangled: What was no request, or another body than its nonce says.
        arrived: How many requests arrived.
        struck: Connections by fault.
    """

    repeated: set[str] = field(default_factory=set)
    mangled: list[bytes] = field(default_factory=list)
    arrived: int = 0
    struck: dict[str, int] = field(default_factory=dict)


def fault_of(seed: str) -> Fault:
    """Choose what happens to a connection: the same for the same *seed* in every run."""
    dice = random.Random(seed)
    if dice.random() < 0.5:
        return CLEAN
    senders: tuple[Sender, Sender] = (CLIENT, SERVER)
    sender = dice.choice(senders)
    after = dice.choice((0, 1, 50, 150, 400, 2000, 20_000, 100_000, 1_000_000))
    return dice.choice(
        (
            Refuse(),
            BlackHole(sender, after),
            Delay(sender, 0.02),
            Drip(sender, 4000, 0.005),
            Cut(sender, after),
            Cut(sender, after),
            Reset(sender, after),
            Reset(sender, after),
            HalfClose(sender, after),
        )
    )


def faults(seed: str) -> Callable[[int], Fault]:
    """Return what chooses the fault of a relay's connection by its number."""
    return lambda number: fault_of(f"{seed}/{number}")


class Network:
    """The other process, while the with block lasts.

    Args:
        seed: What the faults are drawn by.
        certificate: Files of the servers' certificate chain and key.

    Attributes:
        addresses: Where everything is.
        report: Filled when the block is left.
    """

    def __init__(self, seed: str, certificate: tuple[Path, Path]) -> None:
        context = get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, seed, certificate), daemon=True)
        self._process.start()
        theirs.close()
        self.addresses: Addresses = self._receive()
        self.report = Report()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._ours.send("stop")
                self.report = self._receive()
            else:
                self._process.kill()
        finally:
            self._ours.close()
            self._process.join(PATIENCE)
            self._process.close()

    def _receive(self) -> Any:
        if not self._ours.poll(PATIENCE):
            raise TimeoutError("the other process says nothing")
        return self._ours.recv()


def serve(pipe: Connection, seed: str, certificate: tuple[Path, Path]) -> None:
    """Open everything, send the addresses, wait for a word, send the report: what the other process does."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    with contextlib.ExitStack() as stack:
        plain, secure = stack.enter_context(NonceOrigin()), stack.enter_context(NonceOrigin(tls))
        files = stack.enter_context(RangeServer(file_of(FILE_SIZE, FILE_SEED)))
        file_port = int(files.url.split(":")[2].split("/")[0])
        relays = [
            stack.enter_context(FaultyRelay(port, faults(f"{seed}/{name}")))
            for name, port in enumerate((plain.port, plain.port, secure.port, file_port))
        ]
        hostile, secure_hostile = (
            stack.enter_context(HostileServer()),
            stack.enter_context(HostileServer(tls)),
        )
        (nowhere,) = stack.enter_context(reserved_ports(1))
        pipe.send(
            Addresses(
                clean=[f"http://127.0.0.1:{plain.port}", f"https://localhost:{secure.port}"],
                faulty=[
                    *[f"http://127.0.0.1:{relays[0].port}", f"http://127.0.0.1:{relays[1].port}"] * 4,
                    *[f"https://localhost:{relays[2].port}"] * 4,
                    f"http://127.0.0.1:{nowhere}",
                ],
                hostile=[
                    *[f"http://127.0.0.1:{hostile.port}", f"https://localhost:{secure_hostile.port}"] * 4,
                    f"https://localhost:{hostile.port}",
                ],
                files=[files.url, f"http://127.0.0.1:{relays[3].port}/file"],
            )
        )
        try:
            pipe.recv()
        except EOFError:  # the run has ended in the middle of a round, and has said why
            return
        struck: dict[str, int] = {}
        for relay in relays:
            for name, count in relay.struck.items():
                struck[name] = struck.get(name, 0) + count
        arrived = [*plain.arrived.items(), *secure.arrived.items()]
        pipe.send(
            Report(
                {nonce for nonce, times in arrived if times > 1},
                [*plain.mangled[:5], *secure.mangled[:5]],
                sum(times for _, times in arrived),
                struck,
            )
        )
