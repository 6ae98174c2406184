"""What a redirect's own body does to the connection it came by."""

from __future__ import annotations

import pytest

import client
from client.transport import stream as stream_room
from tests.scripted_server import Expect, Hold, Pause, ScriptedServer, Send

REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 9\r\n\r\n"
ARRIVED = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_a_small_body_that_comes_after_its_head_does_not_cost_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python's own http.server writes head and body apart; so do many frameworks behind a proxy."""
    monkeypatch.setattr(
        stream_room, "_DRAIN_SECONDS", 10.0
    )  # the server may be held up on a machine that is busy
    with ScriptedServer() as server, client.Session() as session:
        server.script(
            Expect(b"GET / "),
            Send(REDIRECT),
            Pause(0.05),
            Send(b"elsewhere"),
            Expect(b"GET /there "),
            Send(ARRIVED),
            Hold(),
        )

        assert "ok" == session.get(server.url).text


def test_a_small_body_that_is_here_already_does_not_cost_the_connection() -> None:
    with ScriptedServer() as server, client.Session() as session:
        server.script(
            Expect(b"GET / "), Send(REDIRECT + b"elsewhere"), Expect(b"GET /there "), Send(ARRIVED), Hold()
        )

        assert "ok" == session.get(server.url).text
