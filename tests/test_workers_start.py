"""Starting a worker's thread may fail, or be interrupted: the pool counts only on threads that it has."""

from __future__ import annotations

import threading

import pytest

from client.workers import WorkerPool


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("is_started", [False, True], ids=["before it runs", "once it runs"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("can't start new thread")])
def test_a_thread_whose_start_was_cut_off_is_not_counted_on(
    is_started: bool, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`close` joined a thread that had never run, which is a RuntimeError, and so did the end of the program."""
    start = threading.Thread.start

    def cut_off(thread: threading.Thread) -> None:
        if is_started:
            start(thread)
        raise error

    pool = WorkerPool(2)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cut_off)
        for _ in range(3):
            with pytest.raises(type(error)):
                pool.submit(lambda token: "never")

    assert "done" == pool.submit(lambda token: "done").result(10)
    pool.close()
    assert "<WorkerPool size=2 running=0 queued=0>" == repr(pool)
