"""Ports of this machine that a test may count on: nobody listens there, and the kernel gives them to nobody else."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

__all__ = ["reserved_ports"]


@contextlib.contextmanager
def reserved_ports(count: int) -> Iterator[list[int]]:
    """Give *count* ports on which connections are refused until a server that is started meanwhile listens there.

    A port that was only found free would soon be another's: of a test beside this one, or of a connection, even of
    one to that very port, which TCP would then connect to itself. So a socket stays bound to each. With SO_REUSEADDR
    on both sides, as all servers set it, that hinders nobody who asks for this port by its number.
    """
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            holder = stack.enter_context(socket.socket())
            holder.bind(("", 0))  # before the option: the kernel must not share somebody else's reserved port
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            ports.append(int(holder.getsockname()[1]))
        yield ports
