"""A callback of an upload forks, and the child goes on: it sends nothing on its parent's connection, and reads nothing.

Each child here ends before its parent goes on, so that whatever it sent would stand in front of the parent's bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client import Session
from tests.scripted_server import Expect, Hold, ScriptedServer, Send
from tests.tls_authority import TLSAuthority
from tests.transport.exchanging import OK
from tests.transport.family import FORK_ERROR, Family

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

SIZE = 3 << 20


def pieces(family: Family) -> Iterator[bytes]:
    yield b"a" * 70_000
    family.fork()
    yield b"b" * 70_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(SIZE))
    return path


def test_a_body_from_an_iterator_goes_on_in_the_parent_alone(scripted_server: ScriptedServer) -> None:
    conversation = scripted_server.script(Expect(until=b"0\r\n\r\n"), Send(OK), Hold())
    family = Family()
    with Session() as session:
        assert "ok" == family.run(lambda: session.put(scripted_server.url, data=pieces(family)).text)

    assert FORK_ERROR == family.status
    body = conversation.requests[0].partition(b"\r\n\r\n")[2]
    chunk = b"%x\r\n" % 70_000
    assert chunk + b"a" * 70_000 + b"\r\n" + chunk + b"b" * 70_000 + b"\r\n0\r\n\r\n" == body


def test_a_file_whose_progress_is_told_goes_on_in_the_parent_alone(
    scripted_server: ScriptedServer, file: Path
) -> None:
    conversation = scripted_server.script(Expect(body=SIZE), Send(OK), Hold())
    family = Family()
    with Session() as session, file.open("rb") as opened:
        response = family.run(
            lambda: session.put(scripted_server.url, data=opened, progress=family.fork).text
        )

    assert "ok" == response
    assert FORK_ERROR == family.status
    assert file.read_bytes() == conversation.requests[0].partition(b"\r\n\r\n")[2]


def test_the_answer_to_what_was_sent_before_is_the_parents(scripted_server: ScriptedServer) -> None:
    """The child would wait for it first, and take it away: the parent then waited for ever."""
    conversation = scripted_server.script(Expect(body=5), Send(OK), Hold())
    family = Family()
    with Session() as session:
        response = family.run(
            lambda: session.post(scripted_server.url, data=b"whole", progress=family.fork).text
        )

    assert "ok" == response
    assert FORK_ERROR == family.status
    assert 1 == len(conversation.requests)


def test_the_word_to_continue_is_the_parents(scripted_server: ScriptedServer) -> None:
    continued = b"HTTP/1.1 100 Continue\r\n\r\n"
    conversation = scripted_server.script(Expect(), Send(continued), Expect(until=b"whole"), Send(OK), Hold())
    family = Family()

    def trace(event: str, _: Any) -> None:
        if event == "continue.start":
            family.fork()

    with Session(trace=trace) as session:
        response = family.run(
            lambda: session.post(scripted_server.url, data=b"whole", headers={"Expect": "100-continue"}).text
        )

    assert "ok" == response
    assert FORK_ERROR == family.status
    assert [b"whole"] == conversation.requests[1:]


@pytest.mark.parametrize("moment", ["the first piece", "a later piece"])
def test_a_file_that_is_read_lacks_nothing_in_the_parent(
    scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority, file: Path, moment: str
) -> None:
    """Both have one position in it: what the child draws, to send or not, its parent never sees."""
    conversation = scripted_tls_server.script(Expect(body=SIZE), Send(OK), Hold())
    family = Family()

    def trace(event: str, _: Any) -> None:
        if event == "send.start" and moment == "the first piece":
            family.fork()

    with Session(verify=str(tls_authority.bundle), trace=trace) as session, file.open("rb") as opened:
        response = family.run(
            lambda: session.put(scripted_tls_server.url, data=opened, progress=family.fork).text
        )

    assert "ok" == response
    assert FORK_ERROR == family.status
    assert file.read_bytes() == conversation.requests[0].partition(b"\r\n\r\n")[2]


def test_a_child_that_comes_back_late_does_not_move_its_parents_position(
    scripted_server: ScriptedServer, file: Path
) -> None:
    """What the parent then wrote to the end of its file stood in the middle."""
    scripted_server.script(Expect(body=SIZE), Send(OK), Hold())
    is_over, end = os.pipe()
    children: list[int] = []

    def progress(*_: Any) -> None:
        if not children:
            children.append(os.fork())
            if children == [0]:
                os.read(is_over, 1)

    with Session() as session, file.open("rb") as opened:
        try:
            session.put(scripted_server.url, data=opened, progress=progress)
        finally:
            if children == [0]:
                os._exit(0)
        os.write(end, b"!")
        os.waitpid(children[0], 0)

        assert SIZE == opened.tell()
    os.close(is_over)
    os.close(end)
