"""What `Session.map` hands to the workers: told once, whenever it asks; stopped before it begins; never lost."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError

import pytest

import client
from client.transport.cancel import CancelToken
from client.workers import WorkerPool, WorkerTicket


@pytest.mark.parametrize("error", [None, ValueError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("is_late", [False, True])
def test_the_consumer_is_told_once(error: BaseException | None, is_late: bool) -> None:
    told: list[WorkerTicket] = []
    ticket, is_over = WorkerTicket(), threading.Event()

    def call(token: CancelToken) -> str:
        if error is not None:
            raise error
        return "result"

    def tell(ticket: WorkerTicket) -> None:
        told.append(ticket)
        is_over.set()

    pool = WorkerPool(1)
    try:
        if not is_late:
            ticket.add_done_callback(tell)
        pool.hand_over(call, ticket)
        if is_late:
            pool.submit(lambda token: None).result()  # after the other: there is one worker
            assert ticket.done()
            ticket.add_done_callback(tell)
        assert is_over.wait(5)
    finally:
        pool.close()

    assert [ticket] == told
    assert not ticket.cancel(), "it is over"
    if error is None:
        assert "result" == ticket.result()
    else:
        with pytest.raises(type(error)) as caught:
            ticket.result()
        assert caught.value is error


def test_one_that_was_cancelled_or_outlived_the_pool_never_begins() -> None:
    begun: list[str] = []
    pool = WorkerPool(1)
    pool.submit(lambda token: token.sleep(60))  # until the pool is closed
    cancelled, closed = WorkerTicket(), WorkerTicket()
    for ticket in (cancelled, closed):
        pool.hand_over(lambda token: begun.append("begun"), ticket)

    assert cancelled.cancel()
    pool.close()

    with pytest.raises(CancelledError):
        cancelled.result()
    with pytest.raises(client.SessionClosed):
        closed.result()
    assert not begun
    with pytest.raises(client.SessionClosed):
        pool.hand_over(lambda token: None, WorkerTicket())


def test_a_stop_may_come_while_the_same_thread_stops() -> None:
    """The garbage collector ends a `map` that nobody has any more, and may do so wherever something is allocated."""

    class Blocked:
        def abort(self, error: BaseException) -> None:
            second.append(token.cancel(CancelledError("collected")))

    second: list[bool] = []
    token = CancelToken()
    token.attach(Blocked())
    stopping = threading.Thread(target=token.cancel, args=(client.SessionClosed("closed"),), daemon=True)
    stopping.start()
    stopping.join(10)

    assert [False] == second
    assert isinstance(token.error, client.SessionClosed)
