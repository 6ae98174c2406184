"""What `LoopbackServer` answers, as the standard library's client and raw sockets see it."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import socket
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from client.testing import LoopbackServer, payload, payload_sha256
from tests.plain_client import ask, talk

MEBIBYTE = 1024 * 1024


@pytest.fixture
def server(no_leaks: None) -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def connection(server: LoopbackServer) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    yield connection
    connection.close()


@pytest.mark.parametrize("target", ["/", "/echo", "/anything/else?a=1&b=%20"])
def test_a_path_without_a_meaning_echoes_the_request(
    connection: http.client.HTTPConnection, target: str
) -> None:
    reply = ask(connection, target, "PUT", body=b"hello", headers={"X-Twice": "a"})

    assert 200 == reply.status
    echo = reply.document
    assert ("PUT", target, "1.1") == (echo["method"], echo["target"], echo["http_version"])
    assert "a" == echo["headers"]["x-twice"]
    assert (5, hashlib.sha256(b"hello").hexdigest()) == (echo["length"], echo["sha256"])
    assert str(len(reply.body)) == reply.headers["Content-Length"]


def test_repeated_fields_are_joined_and_trailers_are_shown(server: LoopbackServer) -> None:
    reply = talk(
        server,
        b"POST / HTTP/1.1\r\nHost: x\r\nA: 1\r\nA: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0\r\nX-Checksum: 900150983cd24fb0\r\n\r\n",
    )

    echo = json.loads(reply.partition(b"\r\n\r\n")[2])
    assert "1, 2" == echo["headers"]["a"]
    assert {"x-checksum": "900150983cd24fb0"} == echo["trailers"]
    assert 3 == echo["length"]


def test_bytes_are_those_that_payload_promises(connection: http.client.HTTPConnection) -> None:
    size = 3 * MEBIBYTE + 17
    reply = ask(connection, f"/bytes/{size}")

    assert b"".join(payload(0, size)) == reply.body
    assert payload_sha256(size) == hashlib.sha256(reply.body).hexdigest()
    assert str(size) == reply.headers["Content-Length"]


def test_no_two_blocks_of_the_payload_are_alike() -> None:
    """A download that swaps or repeats a block must have another checksum."""
    data = b"".join(payload(0, 8 * MEBIBYTE))
    blocks = [data[start : start + 65536] for start in range(0, len(data), 65536)]

    assert len(blocks) == len(set(blocks))


def test_the_payload_can_be_entered_anywhere() -> None:
    whole = b"".join(payload(0, 3 * MEBIBYTE))

    for start, stop in ((0, 1), (1_048_570, 1_048_580), (1_048_573, 2_500_000), (7, 7)):
        assert whole[start:stop] == b"".join(payload(start, stop))


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [("bytes=0-0", 0, 1), ("bytes=10-", 10, 1000), ("bytes=-3", 997, 1000), ("bytes=990-5000", 990, 1000), ("bytes=-5000", 0, 1000)],
)  # fmt: skip
def test_a_range_is_answered_with_206(
    connection: http.client.HTTPConnection, asked: str, start: int, stop: int
) -> None:
    reply = ask(connection, "/bytes/1000", headers={"Range": asked})

    assert 206 == reply.status
    assert f"bytes {start}-{stop - 1}/1000" == reply.headers["Content-Range"]
    assert b"".join(payload(start, stop)) == reply.body


@pytest.mark.parametrize("asked", ["bytes=1000-", "bytes=-0"])
def test_a_range_behind_the_end_is_answered_with_416(
    connection: http.client.HTTPConnection, asked: str
) -> None:
    reply = ask(connection, "/bytes/1000", headers={"Range": asked})

    assert (416, "bytes */1000") == (reply.status, reply.headers["Content-Range"])


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=0-1", "bytes=a-b", "bytes=9-3"])
def test_a_range_that_the_server_does_not_know_is_ignored(
    connection: http.client.HTTPConnection, asked: str
) -> None:
    """RFC 9110 section 14.2; an invalid one, last before first, is to be ignored as well (section 14.1.1)."""
    assert (200, b"".join(payload(0, 10))) == ask(connection, "/bytes/10", headers={"Range": asked})[::2]


def test_if_range_decides_between_the_part_and_the_whole(connection: http.client.HTTPConnection) -> None:
    whole = ask(connection, "/bytes/100")

    def status(if_range: str) -> int:
        return ask(connection, "/bytes/100", headers={"Range": "bytes=5-9", "If-Range": if_range}).status

    assert 206 == status(whole.headers["ETag"])
    assert 206 == status(whole.headers["Last-Modified"])
    assert 200 == status('"another"')
    assert 200 == status("Wed, 01 Jan 2020 00:00:00 GMT")


@pytest.mark.parametrize(
    "target", ["/bytes/5000000", "/echo", "/chunked/10", "/gzip", "/drip", "/sse", "/status/404"]
)
def test_head_has_the_head_of_get_and_no_body(connection: http.client.HTTPConnection, target: str) -> None:
    head = ask(connection, target, "HEAD")
    again = ask(connection, "/bytes/3")

    assert b"" == head.body
    assert b"".join(payload(0, 3)) == again.body  # nothing of a body is left on the connection
    if target.startswith("/bytes"):
        assert "5000000" == head.headers["Content-Length"]


def test_chunked_is_chunked_and_ends_by_closing_for_http_1_0(server: LoopbackServer) -> None:
    modern = talk(server, b"GET /chunked/5 HTTP/1.1\r\nHost: x\r\n\r\n")
    old = talk(server, b"GET /chunked/5 HTTP/1.0\r\n\r\n", half_close=False)

    five = b"".join(payload(0, 5))
    assert b"5\r\n" + five + b"\r\n0\r\n\r\n" == modern.partition(b"\r\n\r\n")[2]
    assert five == old.partition(b"\r\n\r\n")[2]
    assert b"transfer-encoding" not in old.lower()


def test_redirects_count_down_to_the_echo(connection: http.client.HTTPConnection) -> None:
    target, hops = "/redirect/3?status=307", []
    while (reply := ask(connection, target)).status == 307:
        target = reply.headers["Location"]
        hops.append(target)

    assert ["/redirect/2?status=307", "/redirect/1?status=307", "/echo"] == hops
    assert "/echo" == reply.document["target"]


def test_a_redirect_can_lead_elsewhere_and_cannot_split_the_head(
    connection: http.client.HTTPConnection,
) -> None:
    elsewhere = ask(connection, "/redirect/1?status=301&to=http%3A%2F%2Fexample.com%2F%3Fa%3Db")
    split = ask(connection, "/redirect/1?to=/%0d%0aX-Injected:%201")

    assert (301, "http://example.com/?a=b") == (elsewhere.status, elsewhere.headers["Location"])
    assert "/%0D%0AX-Injected:%201" == split.headers["Location"]
    assert "X-Injected" not in split.headers


@pytest.mark.parametrize("status", [200, 204, 205, 304, 404, 418, 503, 999])
def test_a_status_on_demand_leaves_the_connection_usable(
    connection: http.client.HTTPConnection, server: LoopbackServer, status: int
) -> None:
    assert status == ask(connection, f"/status/{status}").status
    assert 200 == ask(connection, "/echo").status
    assert (1, 2) == server.stats


@pytest.mark.parametrize(
    "target",
    [
        "/status/99",
        "/status/1000",
        "/status/100",
        "/status/",
        "/status",
        "/bytes/-1",
        "/bytes/x",
        "/bytes/" + "9" * 19,
        "/bytes/٣",
        "/delay/x",
        "/delay/1e9",
        "/redirect/1?status=200",
        "/drip?bytes=x",
        "/basic-auth/user",
    ],
)
def test_a_path_that_makes_no_sense_is_400_and_says_why(
    connection: http.client.HTTPConnection, target: str
) -> None:
    reply = ask(connection, target.replace("٣", "%D9%A3"))

    assert 400 == reply.status
    assert reply.document["error"]


def test_coded_bodies_decode_to_the_echo(connection: http.client.HTTPConnection) -> None:
    zipped = ask(connection, "/gzip")
    deflated = ask(connection, "/deflate")

    assert ("gzip", "deflate") == (zipped.headers["Content-Encoding"], deflated.headers["Content-Encoding"])
    assert "/gzip" == json.loads(gzip.decompress(zipped.body))["target"]
    assert "/deflate" == json.loads(zlib.decompress(deflated.body))["target"]


def test_cookies_are_set_from_the_query_and_echoed(connection: http.client.HTTPConnection) -> None:
    reply = ask(connection, "/cookies/set?a=1;Path=/;HttpOnly&b=x%3By")
    echoed = ask(connection, "/cookies", headers={"Cookie": "a=1; b=x%3By; c"})

    assert ["a=1;Path=/;HttpOnly", "b=x%3By"] == reply.headers.get_all("Set-Cookie")
    assert (302, "/cookies") == (reply.status, reply.headers["Location"])
    assert {"cookies": {"a": "1", "b": "x%3By"}} == echoed.document


def test_basic_auth_lets_in_whom_the_path_names(connection: http.client.HTTPConnection) -> None:
    def status(credentials: str | None) -> int:
        headers = {} if credentials is None else {"Authorization": credentials}
        return ask(connection, "/basic-auth/us%20er/p%3Aw", headers=headers).status

    assert 200 == status("Basic dXMgZXI6cDp3")
    assert 200 == status("bAsIc dXMgZXI6cDp3")
    assert 401 == status("Basic d3Jvbmc6d3Jvbmc=")
    assert 401 == status("Bearer dXMgZXI6cDp3")
    assert 401 == status(None)


def test_events_are_sent_as_an_event_stream(connection: http.client.HTTPConnection) -> None:
    reply = ask(connection, "/sse?events=2")

    assert "text/event-stream" == reply.headers["Content-Type"]
    assert (
        b'id: 0\nevent: tick\ndata: {"number": 0}\n\nid: 1\nevent: tick\ndata: {"number": 1}\n\n'
        == reply.body
    )


def test_a_drip_arrives_byte_by_byte(server: LoopbackServer) -> None:
    """The first byte must be there while the last is not yet sent: read it, then look how many follow at once."""
    with socket.create_connection((server.host, server.port), timeout=20) as sock:
        sock.sendall(b"GET /drip?bytes=100&interval=30 HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while not received.partition(b"\r\n\r\n")[2]:
            received += sock.recv(65536)

    assert b"*" == received.partition(b"\r\n\r\n")[2]
    assert b"Content-Length: 100\r\n" in received


def test_large_bodies_pass_both_ways(connection: http.client.HTTPConnection) -> None:
    size = 64 * MEBIBYTE
    connection.request("PUT", "/echo", body=map(bytes, payload(0, size)), encode_chunked=True)
    up = json.loads(connection.getresponse().read())
    connection.request("GET", f"/bytes/{size}")
    digest, response = hashlib.sha256(), connection.getresponse()
    while data := response.read(256 * 1024):
        digest.update(data)

    assert (size, payload_sha256(size)) == (up["length"], up["sha256"])
    assert payload_sha256(size) == digest.hexdigest()


def test_pipelined_requests_are_answered_in_order(server: LoopbackServer) -> None:
    one = b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
    replies = talk(server, b"".join(one % number for number in range(20)))

    targets = [json.loads(line)["target"] for line in replies.splitlines() if line.startswith(b"{")]
    assert [f"/{number}" for number in range(20)] == targets
    assert (1, 20) == server.stats


def test_100_continue_comes_before_the_body_is_sent(server: LoopbackServer) -> None:
    with socket.create_connection((server.host, server.port), timeout=20) as sock:
        sock.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        interim = sock.recv(65536)
        sock.sendall(b"hi")
        final = sock.recv(65536)

    assert interim.startswith(b"HTTP/1.1 100 ")
    assert 2 == json.loads(final.partition(b"\r\n\r\n")[2])["length"]


def test_an_error_comes_instead_of_100_continue_and_ends_the_connection(server: LoopbackServer) -> None:
    """The client has not sent its body and need not: RFC 9110 section 10.1.1."""
    reply = talk(
        server,
        b"PUT /status/417 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
        half_close=False,
    )

    assert reply.startswith(b"HTTP/1.1 417 ")
    assert b"connection: close" in reply.lower()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"HEAD / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: br\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 300_000, 431),
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", 501),
    ],
)  # fmt: skip
def test_a_bad_request_is_answered_and_costs_only_its_connection(
    server: LoopbackServer, sent: bytes, status: int
) -> None:
    reply = talk(server, sent)

    assert f"HTTP/1.1 {status} ".encode() == reply[:13]
    assert talk(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_an_upgrade_is_declined_by_an_ordinary_answer(server: LoopbackServer) -> None:
    request = b"GET /%d HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    reply = talk(server, request % 1 + request % 2)

    assert 2 == reply.count(b"HTTP/1.1 200 ")


def test_an_absolute_target_is_answered_as_its_path(server: LoopbackServer) -> None:
    reply = talk(server, b"GET http://example.com/status/418 HTTP/1.1\r\nHost: example.com\r\n\r\n")

    assert reply.startswith(b"HTTP/1.1 418 ")


def test_a_client_that_leaves_in_the_middle_of_its_upload_costs_nothing(server: LoopbackServer) -> None:
    with socket.create_connection((server.host, server.port)) as sock:
        sock.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nonly this")
    with socket.create_connection((server.host, server.port)) as sock:
        sock.sendall(b"GET /bytes/1000000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.recv(10)

    assert talk(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert 3 == server.stats.requests


def test_many_connections_at_once(server: LoopbackServer) -> None:
    def fetch(number: int) -> bool:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
        try:
            barrier.wait(20)
            return all(
                payload_sha256(100_000) == hashlib.sha256(ask(connection, "/bytes/100000").body).hexdigest()
                for _ in range(5)
            )
        finally:
            connection.close()

    barrier = threading.Barrier(50)
    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(fetch, range(50)))
    assert (50, 250) == server.stats
