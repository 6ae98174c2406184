"""TLS that fails in the middle of a body: an error of its own kind, with what had come."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

import client
from tests.scripted_server import Conversation, Expect, ExpectClosed, ScriptedServer, Send
from tests.tls_authority import TLSAuthority

HEAD = b"HTTP/1.1 200 OK\r\n"


@dataclass(frozen=True, slots=True)
class SendUnencrypted:
    """Send *data* past the TLS layer, as anybody on the path can."""

    data: bytes

    def play(self, conversation: Conversation) -> None:
        os.write(conversation.socket.fileno(), self.data)


@pytest.mark.parametrize("framing", [b"", b"Content-Length: 500000\r\n"], ids=["close", "length"])
@pytest.mark.parametrize("got", [b"hel", b"hello" * 50_000], ids=["little", "much"])
def test_a_record_that_was_broken_on_the_way_ends_the_body_with_what_had_come(
    scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority, framing: bytes, got: bytes
) -> None:
    """The error is a `ConnectError` by its class, so its fields must tell that this is no case of nothing sent."""
    scripted_tls_server.script(
        Expect(), Send(HEAD + framing + b"\r\n" + got), SendUnencrypted(b"not a record"), ExpectClosed()
    )
    with client.Session(trust_env=False, verify=str(tls_authority.bundle)) as session:
        with pytest.raises(client.exceptions.SSLError) as caught:
            session.post(scripted_tls_server.url, data=b"")

        assert (got, True) == (caught.value.partial, caught.value.response_started)
        assert caught.value.response is not None
        assert 200 == caught.value.response.status_code
