"""`Session.download` on real sockets and a real disk: parts, faults in each of them, and going on where it stopped."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import client
from client.testing import LoopbackServer, payload_sha256
from tests.download_server import Asked, RangeServer, Reply, file_of
from tests.leaks import no_leaks

MEBIBYTE = 1 << 20
CONTENT = file_of(5 * MEBIBYTE + 17)
AGAIN = client.Retry(5, backoff_factor=0)


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def session() -> Iterator[client.Session]:
    with no_leaks(), client.Session(workers=4, trust_env=False, timeout=10) as session:
        yield session


@pytest.fixture
def origin() -> Iterator[RangeServer]:
    with RangeServer(CONTENT) as origin:
        yield origin


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "size", [0, 1, 5, 65536, MEBIBYTE, 8 * MEBIBYTE, 8 * MEBIBYTE + 1, 20 * MEBIBYTE + 3]
)
@pytest.mark.parametrize("parts", ["auto", 1, 3])
def test_every_size_in_any_number_of_parts(
    session: client.Session, server: LoopbackServer, tmp_path: Path, size: int, parts: Any
) -> None:
    done = session.download(
        f"{server.url}/bytes/{size}", tmp_path / "out", parts=parts, checksum=f"sha256:{payload_sha256(size)}"
    )

    assert payload_sha256(size) == sha256(tmp_path / "out") == done.sha256
    assert (tmp_path / "out", size, 0) == (done.path, done.bytes, done.resumed_from)
    assert [tmp_path / "out"] == list(tmp_path.iterdir())


def test_the_first_request_is_a_part_and_no_other_is_made_twice(
    session: client.Session, origin: RangeServer, tmp_path: Path
) -> None:
    done = session.download(origin.url, tmp_path / "out", parts=4)

    first, *others = origin.ranges
    assert (0, MEBIBYTE - 1) == first
    covered = sorted([first, *others], key=lambda asked: asked[0] or 0)
    assert [asked[0] for asked in covered] == [0, *[(asked[1] or 0) + 1 for asked in covered[:-1]]]
    assert len(CONTENT) - 1 == covered[-1][1]
    assert (4, '"one"') == (done.parts, done.validator)
    assert {'"one"'} == {asked.headers.get("if-range") for asked in origin.asked[1:]}
    assert {"identity"} == {asked.headers["accept-encoding"] for asked in origin.asked}


def test_a_small_file_is_one_request(session: client.Session, server: LoopbackServer, tmp_path: Path) -> None:
    before = server.stats.requests
    session.download(f"{server.url}/bytes/1000", tmp_path / "out")

    assert 1 == server.stats.requests - before


def test_bodies_of_unknown_length_and_coded_ones(
    session: client.Session, server: LoopbackServer, tmp_path: Path
) -> None:
    chunked = session.download(f"{server.url}/chunked/300000", tmp_path / "chunked", checksum="sha256")
    decoded = session.download(f"{server.url}/gzip", tmp_path / "decoded")

    assert payload_sha256(300_000) == chunked.sha256
    assert decoded.path.read_bytes().startswith(b'{"method": "GET"')


def test_under_tls(server: LoopbackServer, tls_authority: Any, tmp_path: Path) -> None:
    size = 3 * MEBIBYTE + 1
    with (
        LoopbackServer(tls=tls_authority.server_context()) as secure,
        client.Session(verify=str(tls_authority.bundle), trust_env=False) as session,
    ):
        done = session.download(f"{secure.url}/bytes/{size}", tmp_path / "out", parts=3, checksum="sha256")

    assert payload_sha256(size) == done.sha256


def test_through_redirects_and_with_all_settings(
    session: client.Session, server: LoopbackServer, tmp_path: Path
) -> None:
    url = f"{server.url}/redirect/2?to=/basic-auth/ada/secret"
    done = session.download(
        url, tmp_path / "out", auth=("ada", "secret"), headers={"X-A": "1"}, params={"b": "c"}
    )

    assert b'"user": "ada"' in done.path.read_bytes()


def test_one_worker_is_enough(server: LoopbackServer, tmp_path: Path) -> None:
    with no_leaks(), client.Session(workers=1, trust_env=False) as session:
        done = session.download(
            f"{server.url}/bytes/{9 * MEBIBYTE}", tmp_path / "out", parts=8, checksum="sha256"
        )

    assert (8, payload_sha256(9 * MEBIBYTE)) == (done.parts, done.sha256)


def test_waiting_on_a_worker_of_the_same_session_is_refused(server: LoopbackServer, tmp_path: Path) -> None:
    with client.Session(workers=1, trust_env=False) as session:

        def hook(response: client.Response, **_: Any) -> None:
            session.download(f"{server.url}/bytes/5", tmp_path / "out")

        future = session.submit("GET", f"{server.url}/bytes/1", hooks={"response": hook})
        with pytest.raises(RuntimeError, match="worker"):
            future.result()


def test_progress_is_told_on_the_callers_thread(
    session: client.Session, server: LoopbackServer, tmp_path: Path
) -> None:
    told: list[tuple[int, int | None]] = []
    threads = set()

    def progress(done: int, total: int | None) -> None:
        told.append((done, total))
        threads.add(threading.current_thread())

    size = 6 * MEBIBYTE
    session.download(f"{server.url}/bytes/{size}", tmp_path / "out", parts=4, progress=progress)

    assert (size, size) == told[-1]
    assert sorted(told) == told
    assert {threading.current_thread()} == threads


# -- what servers do wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("parts", [1, 4])
def test_cuts_at_random_offsets_are_made_good(
    session: client.Session, origin: RangeServer, tmp_path: Path, seed: int, parts: int
) -> None:
    """Each part goes on where it broke off: no byte that is on disk is asked for again."""
    chance = random.Random(seed)

    def cut(asked: Asked, reply: Reply) -> Reply:
        if chance.random() < 0.5:
            return reply._replace(cut=chance.randrange(len(reply.body)), reset=chance.random() < 0.3)
        return reply

    origin.fault = cut
    done = session.download(
        origin.url, tmp_path / "out", parts=parts, retries=client.Retry(40, backoff_factor=0)
    )

    assert (tmp_path / "out").read_bytes() == CONTENT
    assert len(CONTENT) == done.bytes


def test_a_part_asks_only_for_what_is_missing(
    session: client.Session, origin: RangeServer, tmp_path: Path
) -> None:
    origin.fault = lambda asked, reply: reply._replace(cut=1_000_000) if asked.number == 0 else reply
    session.download(origin.url, tmp_path / "out", parts=1, retries=AGAIN)

    assert [(None, None), (1_000_000, len(CONTENT) - 1)] == origin.ranges
    assert (tmp_path / "out").read_bytes() == CONTENT


def ignores_ranges(asked: Asked, reply: Reply) -> Reply:
    return Reply("200 OK", {"ETag": '"one"'}, CONTENT)


def ignores_later_ranges(asked: Asked, reply: Reply) -> Reply:
    return reply if asked.number == 0 else Reply("200 OK", {"ETag": '"one"'}, CONTENT)


def is_one_byte_off(asked: Asked, reply: Reply) -> Reply:
    if not asked.first:
        return reply
    wrong = f"bytes {asked.first - 1}-{asked.last}/{len(CONTENT)}"
    return reply._replace(headers={**reply.headers, "Content-Range": wrong})


def sends_another_range(asked: Asked, reply: Reply) -> Reply:
    if not asked.first:
        return reply
    return reply._replace(
        headers={**reply.headers, "Content-Range": f"bytes 0-9/{len(CONTENT)}"}, body=CONTENT[:10]
    )


def refuses_ranges(asked: Asked, reply: Reply) -> Reply:
    return reply if asked.first is None else Reply("416 Range Not Satisfiable", {}, b"")


def sends_multipart(asked: Asked, reply: Reply) -> Reply:
    if asked.first is None:
        return reply
    return Reply("206 Partial Content", {"Content-Type": "multipart/byteranges; boundary=x"}, b"--x--")


def hides_the_total(asked: Asked, reply: Reply) -> Reply:
    if asked.first is None:
        return reply
    return reply._replace(headers={**reply.headers, "Content-Range": f"bytes {asked.first}-{asked.last}/*"})


def has_no_validator(asked: Asked, reply: Reply) -> Reply:
    return reply._replace(headers={name: value for name, value in reply.headers.items() if name != "ETag"})


def sends_less_at_a_time(asked: Asked, reply: Reply) -> Reply:
    if asked.first is None:
        return reply
    stop = asked.first + max(1, len(reply.body) // 2)
    changed = {**reply.headers, "Content-Range": f"bytes {asked.first}-{stop - 1}/{len(CONTENT)}"}
    return reply._replace(headers=changed, body=CONTENT[asked.first : stop])


FAULTS = [
    ignores_ranges, ignores_later_ranges, is_one_byte_off, sends_another_range, refuses_ranges, sends_multipart,
    hides_the_total, has_no_validator, sends_less_at_a_time,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("parts", ["auto", 1, 4])
def test_servers_that_do_ranges_badly_still_give_the_file(
    session: client.Session, origin: RangeServer, tmp_path: Path, fault: Any, parts: Any
) -> None:
    origin.fault = fault
    done = session.download(origin.url, tmp_path / "out", parts=parts)

    assert (tmp_path / "out").read_bytes() == CONTENT
    assert len(CONTENT) == done.bytes
    assert [tmp_path / "out"] == list(tmp_path.iterdir())


@pytest.mark.parametrize("fault", FAULTS)
def test_and_also_where_they_break_off_as_well(
    session: client.Session, origin: RangeServer, tmp_path: Path, fault: Callable[[Asked, Reply], Reply]
) -> None:
    def both(asked: Asked, reply: Reply) -> Reply:
        reply = fault(asked, reply)
        return reply._replace(cut=len(reply.body) // 2) if asked.number in (0, 1, 3) and reply.body else reply

    origin.fault = both
    session.download(origin.url, tmp_path / "out", parts=4, retries=AGAIN)

    assert (tmp_path / "out").read_bytes() == CONTENT


def test_a_file_that_changes_in_the_middle_is_fetched_anew(
    session: client.Session, origin: RangeServer, tmp_path: Path
) -> None:
    other = file_of(4 * MEBIBYTE, seed=7)

    def change(asked: Asked, reply: Reply) -> Reply:
        if asked.number == 2:
            origin.content, origin.etag = other, '"two"'
            return origin.honest(asked)
        return reply

    origin.fault = change
    done = session.download(origin.url, tmp_path / "out", parts=4)

    assert (tmp_path / "out").read_bytes() == other
    assert '"two"' == done.validator


def test_of_a_file_that_changes_all_the_time_one_answer_is_taken(
    session: client.Session, origin: RangeServer, tmp_path: Path
) -> None:
    """So do servers behind a balancer whose ETags hold the number of an inode."""

    def change(asked: Asked, reply: Reply) -> Reply:
        origin.etag = f'"{asked.number}"'
        return origin.honest(asked)

    origin.fault = change
    done = session.download(origin.url, tmp_path / "out", parts=4)

    assert done.path.read_bytes() == CONTENT
    assert (None, None) in origin.ranges
    assert [done.path] == list(tmp_path.iterdir())


def test_a_server_that_sends_no_file_whatever_is_asked_is_given_up(
    session: client.Session, origin: RangeServer, tmp_path: Path
) -> None:
    origin.fault = lambda asked, reply: Reply(
        "206 Partial Content", {"Content-Range": "bytes 5-9/90"}, b"12345"
    )
    with pytest.raises(client.DownloadError, match="gave up after 4 starts"):
        session.download(origin.url, tmp_path / "out", parts=4)

    assert [] == list(tmp_path.iterdir())


def test_another_file_of_the_same_validator_is_found_by_its_checksum(
    session: client.Session, origin: RangeServer, tmp_path: Path
) -> None:
    with pytest.raises(client.ChecksumMismatch) as caught:
        session.download(origin.url, tmp_path / "out", checksum="sha256:" + "0" * 64)

    assert ("0" * 64, hashlib.sha256(CONTENT).hexdigest()) == (caught.value.expected, caught.value.found)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("status", [404, 500])
def test_an_http_error_is_raised_and_nothing_is_made(
    session: client.Session, server: LoopbackServer, tmp_path: Path, status: int
) -> None:
    with pytest.raises(client.HTTPError, match=str(status)):
        session.download(f"{server.url}/status/{status}", tmp_path / "out")

    assert [] == list(tmp_path.iterdir())


def test_the_total_timeout_is_that_of_the_whole_download(
    session: client.Session, server: LoopbackServer, tmp_path: Path
) -> None:
    with pytest.raises(client.TotalTimeout) as caught:
        session.download(
            f"{server.url}/drip?bytes=1000", tmp_path / "out", timeout=client.Timeouts(total=0.3)
        )

    assert 0.3 == caught.value.seconds
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        {"parts": 0}, {"checksum": "md5:0"}, {"checksum": "sha256:xyz"}, {"headers": {"range": "bytes=0-1"}},
        {"headers": {"If-Range": '"x"'}}, {"headers": {b"range": b"bytes=0-1"}}, {"headers": 5}, {"max_size": -1}, {"max_size": "9"}, {"overwrite": "no"},
        {"resume": None}, {"progress": 5}, {"path": None}, {"path": b"out"}, {"path": ""}, {"path": "a\0b"},
        {"path": "a\ud800b"}, {"url": "http://127.0.0.1:1/a\ud800b"},
    ],
)  # fmt: skip
def test_arguments_that_make_no_sense_are_refused(
    session: client.Session, origin: RangeServer, tmp_path: Path, arguments: Any
) -> None:
    with pytest.raises(client.InvalidRequest):
        session.download(**{"url": origin.url, "path": tmp_path / "out", **arguments})

    assert ([], []) == (origin.asked, list(tmp_path.iterdir()))


@pytest.mark.parametrize("name", ["data", "json", "stream", "method", "max_body", "nonsense"])
def test_what_is_no_argument_of_a_download_is_refused(
    session: client.Session, tmp_path: Path, name: str
) -> None:
    arguments: Any = {name: None}
    for call in (
        lambda: session.download("http://127.0.0.1:1/", tmp_path / "out", **arguments),
        lambda: session.download_many([], **arguments),
    ):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
            call()


def test_a_folder_that_is_not_there_is_not_taken_for_a_file(
    session: client.Session, origin: RangeServer, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        session.download(origin.url, f"{tmp_path}/folder/")

    assert [] == list(tmp_path.iterdir())


# -- going on ---------------------------------------------------------------------------------------------------


def broken_off(session: client.Session, origin: RangeServer, path: Path, parts: int = 4) -> None:
    """Leave a download behind of which about half has come."""
    origin.fault = lambda asked, reply: reply._replace(cut=len(reply.body) // 2)
    with pytest.raises(client.RequestException):
        session.download(origin.url, path, parts=parts)
    origin.fault = None
    origin.asked.clear()


@pytest.mark.parametrize("parts", [1, 4])
def test_a_second_call_goes_on_where_the_first_stopped(
    session: client.Session, origin: RangeServer, tmp_path: Path, parts: int
) -> None:
    path = tmp_path / "out"
    broken_off(session, origin, path, parts)
    left = sorted(path.name for path in tmp_path.iterdir())
    done = session.download(origin.url, path, checksum="sha256", headers={"X-Run": "2"})
    second = [asked for asked in origin.asked if "x-run" in asked.headers]  # one of the first may arrive late

    assert [".json", ".part"] == sorted(Path(name).suffix for name in left)
    assert done.resumed_from > 0
    assert len(CONTENT) - done.resumed_from == sum(
        (asked.last or 0) + 1 - (asked.first or 0) for asked in second
    )
    assert {'"one"'} == {asked.headers["if-range"] for asked in second}
    assert path.read_bytes() == CONTENT
    assert [path] == list(tmp_path.iterdir())


def test_it_goes_on_in_a_folder_as_well(session: client.Session, origin: RangeServer, tmp_path: Path) -> None:
    broken_off(session, origin, tmp_path)
    done = session.download(origin.url, tmp_path, parts=4)

    assert done.resumed_from > 0
    assert (tmp_path / "file", CONTENT) == (done.path, done.path.read_bytes())


def test_but_not_with_another_version(session: client.Session, origin: RangeServer, tmp_path: Path) -> None:
    path = tmp_path / "out"
    broken_off(session, origin, path)
    origin.content, origin.etag = file_of(3 * MEBIBYTE, seed=9), '"two"'
    done = session.download(origin.url, path)

    assert (0, '"two"') == (done.resumed_from, done.validator)
    assert path.read_bytes() == origin.content
    assert [path] == list(tmp_path.iterdir())


def test_nor_with_another_url(session: client.Session, origin: RangeServer, tmp_path: Path) -> None:
    path = tmp_path / "out"
    broken_off(session, origin, path)
    done = session.download(origin.url + "?other", path)

    assert 0 == done.resumed_from
    assert path.read_bytes() == CONTENT


def test_nor_if_told_not_to(session: client.Session, origin: RangeServer, tmp_path: Path) -> None:
    path = tmp_path / "out"
    broken_off(session, origin, path)
    assert 0 == session.download(origin.url, path, resume=False).resumed_from

    origin.fault = lambda asked, reply: reply._replace(cut=9)
    with pytest.raises(client.IncompleteBody):
        session.download(origin.url, tmp_path / "other", resume=False)
    assert not (tmp_path / "other").exists()


def test_what_had_come_whole_is_not_fetched_again(
    session: client.Session, origin: RangeServer, tmp_path: Path
) -> None:
    """The final name was taken at the last moment: the second call asks whether it is still that file, and gives it."""
    path = tmp_path / "out"

    def take_the_name(asked: Asked, reply: Reply) -> Reply:
        path.write_bytes(b"somebody else's")
        return reply

    origin.fault = take_the_name
    with pytest.raises(FileExistsError):
        session.download(origin.url, path)
    origin.asked.clear()
    done = session.download(origin.url, path, overwrite=True)

    assert [(len(CONTENT) - 1, len(CONTENT) - 1)] == origin.ranges
    assert len(CONTENT) - 1 == done.resumed_from
    assert path.read_bytes() == CONTENT
