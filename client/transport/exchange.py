"""One exchange on one connection: the request goes out, and the head of the final response comes back.

The body is left to whoever gets the `ResponseStream`, which owns the connection until that is complete.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from client.exceptions import ConnectionError, Timeout  # requests' name
from client.transport.stream import ResponseStream
from client.transport.upload import send

if TYPE_CHECKING:
    from client.transport.connection import HTTPConnection
    from client.transport.owner import Owner
    from client.transport.wire import Call, WireRequest

__all__ = ["exchange"]


def exchange(
    connection: HTTPConnection,
    request: WireRequest,
    call: Call,
    owner: Owner,
    started_at: float,
    acquired_at: float,
) -> ResponseStream:
    """Send *request* on *connection* and wait for the final response's head.

    Args:
        connection: Ours alone, between two cycles. On an error it is the caller's again, to discard.
        request: What to send.
        call: Limits and hooks.
        owner: Gets the connection in the end.
        started_at: Monotonic seconds at which the call began to look for a connection.
        acquired_at: And at which it had one; the same where one was waiting for it.

    Raises:
        ConnectionError, Timeout: With ``reused``, ``bytes_sent`` and ``response_started`` set.
        InvalidRequest: The request cannot be framed.
    """
    answer = ResponseStream()
    answer.connection = connection
    answer.call = call
    answer.owner = owner
    answer.reused = connection.reused
    sent, phase, trace = 0, "send", call.trace
    try:
        if call.cancel is not None:
            call.cancel.attach(connection)
        if trace is not None:
            trace(
                "send.start",
                {"method": request.method, "url": request.url.redacted, "reused": connection.reused},
            )
        sent = send(connection, request, call, answer)
        sent_at = monotonic()
        if trace is not None:
            trace("send.end", {"bytes": sent, "seconds": sent_at - acquired_at})
            trace("wait.start", {})
            phase = "wait"
        head = answer.head or answer.wait()
        head_at = monotonic()
        if trace is not None:
            trace("wait.end", {"status": head.status_code, "seconds": head_at - sent_at})
            trace("receive.start", {})
    except BaseException as error:
        if isinstance(error, (ConnectionError, Timeout)):
            error.reused = connection.reused
            error.bytes_sent = error.bytes_sent or sent
            error.response_started = answer.started
        if trace is not None:
            trace(f"{phase}.failed", {"error": error})
        raise
    connection.reused = True
    answer.stamps = (started_at, acquired_at, sent_at, head_at)
    answer.begin(head, may_have_switched=head.status_code == 101 or request.method == "CONNECT")
    return answer
