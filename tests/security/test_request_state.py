"""Rows 100, 101, 104 and 106: nothing of one request is left over in another, and a slow reader slows the sender."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import client
from client.exceptions import RequestException, UnrewindableBodyError
from tests.scripted_server import Close, Expect, ExpectClosed, Flood, Hold, ScriptedServer, Send, Signal
from tests.security.origins import OK, Origins, fields, redirect, response
from tests.tls_authority import TLSAuthority

pytestmark = pytest.mark.timeout(10)


def test_row_100_a_post_after_a_put_sends_its_own_body(scripted_server: ScriptedServer) -> None:
    seen = scripted_server.script(
        Expect(body=12), Send(OK), Expect(body=2), Send(OK), Expect(), Send(OK), Expect(), Send(OK), Hold()
    )

    with client.Session(trust_env=False) as session:
        session.put(scripted_server.url, data=b"body-of-put!")
        session.post(scripted_server.url, data=b"me")
        session.post(scripted_server.url)
        session.get(scripted_server.url)

    bodies = [request.partition(b"\r\n\r\n")[2] for request in seen.requests]
    assert [b"body-of-put!", b"me", b"", b""] == bodies
    assert b"0" == fields(seen.requests[2])[b"content-length"]
    assert b"content-length" not in fields(seen.requests[3])


def test_row_100_a_prepared_request_can_be_sent_twice(scripted_server: ScriptedServer) -> None:
    seen = scripted_server.script(Expect(body=5), Send(OK), Expect(body=5), Send(OK), Hold())

    with client.Session(trust_env=False) as session:
        prepared = session.prepare_request(client.Request("POST", scripted_server.url, data=b"hello"))
        session.send(prepared)
        session.send(prepared)

    assert seen.requests[0] == seen.requests[1]


@pytest.mark.parametrize("again", ["redirect", "retry", "stale connection"])
def test_row_100_a_file_is_sent_again_from_where_it_stood(
    scripted_server: ScriptedServer, tmp_path: Path, again: str
) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"skipped" + b"hello" * 1000)
    whole = Expect(body=5000)
    answers = {"redirect": redirect("/there", 307), "retry": response(b"Retry-After: 0", status=b"503 No")}
    if again == "stale connection":
        scripted_server.script(Expect(), Send(OK), Expect(body=5000), Close())
        scripted_server.script(whole, Send(OK), Hold())
    else:
        scripted_server.script(whole, Send(answers[again]), whole, Send(OK), Hold())

    with client.Session(trust_env=False) as session, path.open("rb") as file:
        if again == "stale connection":
            session.get(scripted_server.url)
        file.seek(7)
        retry = client.Retry(1, backoff_factor=0)
        assert 200 == session.put(scripted_server.url, data=file, retries=retry).status_code

    bodies = [
        request.partition(b"\r\n\r\n")[2]
        for conversation in scripted_server.conversations
        for request in conversation.requests
        if request.startswith(b"PUT")
    ]
    assert [b"hello" * 1000] * 2 == bodies


@pytest.mark.parametrize("status", [307, 308])
def test_row_100_a_generator_is_never_sent_in_part(scripted_server: ScriptedServer, status: int) -> None:
    scripted_server.script(Expect(until=b"0\r\n\r\n"), Send(redirect("/there", status)), ExpectClosed())

    with client.Session(trust_env=False) as session, pytest.raises(UnrewindableBodyError):
        session.put(scripted_server.url, data=(piece for piece in [b"a", b"b"]))


def test_row_101_a_reader_whose_session_is_aborted_gets_a_clean_error(
    scripted_server: ScriptedServer,
) -> None:
    scripted_server.script(Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), Hold())
    scripted_server.answer(response(body=b"later"))
    caught: list[Exception] = []
    reading = threading.Event()

    with client.Session(trust_env=False) as session:
        answer = session.get(scripted_server.url, stream=True)

        def read() -> None:
            try:
                for _ in answer.iter_content(5):
                    reading.set()
            except Exception as error:  # noqa: BLE001  # whatever it is, it is judged below
                caught.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        assert reading.wait(5)
        session.abort()
        reader.join()
        assert b"later" == session.get(scripted_server.url).content

    assert [True] == [isinstance(error, RequestException) for error in caught]


def test_row_101_a_response_outlives_its_session(scripted_server: ScriptedServer) -> None:
    """As in requests: closing a session closes what is idle; who still reads goes on reading."""
    scripted_server.script(Expect(), Send(OK), Hold())

    with client.Session(trust_env=False) as session:
        answer = session.get(scripted_server.url, stream=True)

    assert b"ok" == answer.content


@pytest.mark.parametrize("offload", [False, True], ids=["own thread", "offload"])
@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 40), b"HTTP/1.1 200 OK\r\n\r\n"],
    ids=["length", "until close"],
)
def test_row_104_a_slow_reader_slows_the_sender(
    scripted_server: ScriptedServer, head: bytes, offload: bool
) -> None:
    """Nobody reads ahead: a gigabyte is offered, and what the kernel's buffers hold is all that leaves."""
    sent: list[int] = []

    class CountedFlood(Flood):
        """Send until the socket blocks for good."""

        def play(self, conversation: Any) -> None:
            conversation.socket.settimeout(0.3)
            count = 0
            try:
                while count < 1 << 30:
                    count += conversation.socket.send(self.piece)
            except OSError:
                sent.append(count)
            full.set()

    full = threading.Event()
    scripted_server.script(Expect(), Send(head), CountedFlood(bytes(65536), 0), Hold())

    with (
        client.Session(trust_env=False, offload=offload) as session,
        session.get(scripted_server.url, stream=True) as answer,
    ):
        assert 10 == len(next(answer.iter_content(10)))
        assert full.wait(8)

    assert 1 == len(sent)
    assert sent[0] < 64 << 20


@pytest.mark.parametrize(
    "name", ["If-None-Match", "If-Match", "If-Modified-Since", "If-Unmodified-Since", "X-Range"]
)
def test_row_106_validators_of_one_origin_say_nothing_to_another(origins: Origins, name: str) -> None:
    _, at_b = origins.hop()

    with origins.session() as session:
        session.get(origins.url_a, headers={name: '"etag-of-a"'})

    assert b"etag-of-a" not in at_b.requests[0]


def test_row_106_a_range_goes_along_because_downloads_are_resumed_through_mirrors(origins: Origins) -> None:
    """If-Range with it, so that a mirror which has another file sends all of it."""
    _, at_b = origins.hop()

    with origins.session() as session:
        session.get(origins.url_a, headers={"Range": "bytes=5-", "If-Range": '"v1"'})

    assert (b"bytes=5-", b'"v1"') == (
        fields(at_b.requests[0])[b"range"],
        fields(at_b.requests[0])[b"if-range"],
    )


@pytest.mark.parametrize(
    "early", [response(body=b"evil"), b"SSH-2.0-OpenSSH_9.6\r\n", b"220 mail\r\n", b"\r\n"]
)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_row_c12_what_a_server_says_before_it_is_asked_answers_nothing(
    tls_authority: TLSAuthority, early: bytes, tls: bool
) -> None:
    """Not a byte of the request is sent: a mail server would read it as commands."""
    spoken = threading.Event()

    def wait_for_it(event: str, facts: dict[str, Any]) -> None:
        if event == ("tls.end" if tls else "connect.end"):
            assert spoken.wait(5)

    context = tls_authority.server_context() if tls else None
    with (
        ScriptedServer(tls=context) as server,
        client.Session(trust_env=False, verify=str(tls_authority.bundle), trace=wait_for_it) as session,
    ):
        server.script(Send(early), Signal(spoken), ExpectClosed())
        with pytest.raises(client.exceptions.ProtocolError) as caught:
            session.post(server.url, data=b"s3cr3t", retries=None)

    assert 0 == caught.value.bytes_sent
    assert caught.value.response_started


def test_row_c12_a_server_that_only_tickets_its_tls_has_said_nothing(
    tls_authority: TLSAuthority,
) -> None:
    """TLS 1.3 sends session tickets unasked; they are no speech."""
    with (
        ScriptedServer(tls=tls_authority.server_context()) as server,
        client.Session(trust_env=False, verify=str(tls_authority.bundle)) as session,
    ):
        server.answer(OK, OK)
        assert [b"ok", b"ok"] == [session.get(server.url).content for _ in range(2)]
