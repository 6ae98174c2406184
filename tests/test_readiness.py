"""`client.transport.readiness.glance`: a look at a socket that never waits, with and without other threads."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from client.transport.readiness import glance, readable_poll

pytestmark = pytest.mark.skipif(not hasattr(select, "poll"), reason="Windows has no poll")


@contextlib.contextmanager
def another_thread() -> Iterator[None]:
    """Have one more thread run for a while."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("company", [contextlib.nullcontext, another_thread])
def test_a_glance_sees_bytes_and_the_end_of_a_connection_and_nothing_else(company: type) -> None:
    with (
        company(),
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        peer, _ = server.accept()
        with peer:
            look = glance(client.fileno(), readable_poll(client.fileno()))
            assert [bool(look()), bool(look())] == [False, False]
            peer.send(b"x")
            client.recv(1, socket.MSG_PEEK)  # it has come
            assert [bool(look()), bool(look())] == [True, True]
            client.recv(1)
            assert not look()
        client.recv(1, socket.MSG_PEEK)  # the end has come
        assert look()


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="only Linux keeps the lock")
def test_beside_another_thread_a_glance_is_the_systems_own_poll() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        waits = readable_poll(server.fileno())
        with another_thread():
            kept = glance(server.fileno(), waits)
        assert isinstance(kept, partial)
        assert kept.func is not waits
        assert not kept()
