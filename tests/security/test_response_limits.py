"""`client.ResponseLimits`: each limit, set by one argument of a session, holds at its very number on every road.

Rows 025, 042, 085, 086, 087, 119, S1, S5, S7 and S10 show that the defaults hold; here they are moved.
"""

from __future__ import annotations

import copy
import gzip
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import client
from client import protocol
from client.adapters import HTTPAdapter
from client.exceptions import (
    ChunkedEncodingError,
    ContentDecodingError,
    DownloadError,
    ProtocolError,
    ProxyError,
)
from client.response_limits import DEFAULT_RESPONSE_LIMITS
from client.testing import MockResponse, MockTransport
from client.transport import stream as stream_room
from tests.conformance.test_limits import (
    chunk_line_of,
    fields_of,
    head_of,
    informational_of,
    trailer_fields_of,
    trailers_of,
)
from tests.scripted_server import Close, Expect, ExpectClosed, Hold, ScriptedServer, Send
from tests.security.origins import OK, fields, redirect, response

pytestmark = pytest.mark.timeout(10)

# -- roads -----------------------------------------------------------------------------------------------------------


def get(s: client.Session, url: str, folder: Path) -> None:
    s.get(url)


def stream(s: client.Session, url: str, folder: Path) -> None:
    with s.get(url, stream=True) as answer:
        for _ in answer.iter_content(1000):
            pass


def submit(s: client.Session, url: str, folder: Path) -> None:
    s.submit("GET", url).result(8)


def download(s: client.Session, url: str, folder: Path) -> None:
    s.download(url, folder / "file", parts=1)


def mounted(s: client.Session, url: str, folder: Path) -> None:
    s.mount("http://", HTTPAdapter())
    s.get(url)


def pickled(s: client.Session, url: str, folder: Path) -> None:
    with pickle.loads(pickle.dumps(s)) as twin:
        twin.get(url)


ROADS = [get, stream, submit, download, mounted, pickled]
Road = Callable[[client.Session, str, Path], None]


def codings_of(count: int) -> bytes:
    body = b"x"
    for _ in range(count):
        body = gzip.compress(body)
    return response(*[b"Content-Encoding: gzip"] * count, body=body)


#: limit -> its number, an answer that comes to a number of it, and the error of one more.
WITHIN: dict[str, tuple[int, Callable[[int], bytes], type[Exception]]] = {
    "head": (200, head_of, ProtocolError),
    "fields": (3, fields_of, ProtocolError),
    "chunk_line": (16, chunk_line_of, ChunkedEncodingError),
    "trailers": (32, trailers_of, ChunkedEncodingError),
    "informational": (1, informational_of, ProtocolError),
    "codings": (2, codings_of, ContentDecodingError),
}


@pytest.mark.parametrize("road", ROADS, ids=lambda road: road.__name__)
@pytest.mark.parametrize("more", [0, 1], ids=["at the limit", "one more"])
@pytest.mark.parametrize("name", WITHIN)
def test_a_limit_holds_on_every_road(
    scripted_server: ScriptedServer, tmp_path: Path, name: str, more: int, road: Road
) -> None:
    number, build, error = WITHIN[name]
    scripted_server.script(Expect(), Send(build(number + more), may_fail=True), Hold())

    with client.Session(trust_env=False, response_limits=client.ResponseLimits(**{name: number})) as s:
        if more:
            with pytest.raises((error, DownloadError)) as caught:
                road(s, scripted_server.url, tmp_path)
            assert isinstance(caught.value, error) or isinstance(caught.value.__cause__, error)
        else:
            road(s, scripted_server.url, tmp_path)


@pytest.mark.parametrize("more", [0, 1], ids=["at the limit", "one more"])
@pytest.mark.parametrize("name", WITHIN)
def test_a_limit_may_be_wider_than_its_default(scripted_server: ScriptedServer, name: str, more: int) -> None:
    _, build, error = WITHIN[name]
    number = 2 * getattr(DEFAULT_RESPONSE_LIMITS, name)
    scripted_server.script(Expect(), Send(build(number + more), may_fail=True), Hold())

    with client.Session(trust_env=False, response_limits=client.ResponseLimits(**{name: number})) as s:
        if more:
            with pytest.raises(error):
                s.get(scripted_server.url)
        else:
            assert 200 == s.get(scripted_server.url).status_code


@pytest.mark.parametrize("count", [3, 4])
def test_trailer_fields_are_fields(scripted_server: ScriptedServer, count: int) -> None:
    scripted_server.script(Expect(), Send(trailer_fields_of(count), may_fail=True), Hold())

    with client.Session(trust_env=False, response_limits=client.ResponseLimits(fields=3)) as s:
        if count > 3:
            with pytest.raises(ChunkedEncodingError):
                s.get(scripted_server.url)
        else:
            assert 200 == s.get(scripted_server.url).status_code


@pytest.mark.parametrize("size", [200, 201])
def test_a_proxys_answer_to_connect_has_the_same_limits(scripted_server: ScriptedServer, size: int) -> None:
    """The head ends with Content-Length, which a 2xx to CONNECT ignores; then the origin is no TLS server."""
    scripted_server.script(Expect(b"CONNECT "), Send(head_of(size), may_fail=True), Close())
    proxies = {"https": scripted_server.url}

    with client.Session(
        trust_env=False, proxies=proxies, response_limits=client.ResponseLimits(head=200)
    ) as s:
        with pytest.raises(client.ConnectionError) as caught:
            s.get("https://origin.test/")

    assert (size > 200) == (isinstance(caught.value, ProxyError) and "200 bytes" in str(caught.value))


# -- a body that nobody reads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drain", "size", "kept"),
    [(100, 100, True), (100, 101, False), (0, 1, False), (0, 0, True), (1 << 20, 1 << 19, True)],
)
def test_a_redirects_body_costs_its_connection_beyond_drain(
    monkeypatch: pytest.MonkeyPatch, drain: int, size: int, kept: bool
) -> None:
    """What came in one piece with the head is there anyway, so here nothing of a body that costs it comes."""
    monkeypatch.setattr(
        stream_room, "_DRAIN_SECONDS", 10.0
    )  # the server may be held up on a machine that is busy
    hop = redirect("/there").replace(b"Content-Length: 0\r\n\r\n", b"Content-Length: %d\r\n\r\n" % size)
    with ScriptedServer() as server:
        if kept:
            server.script(Expect(), Send(hop), Send(b"x" * size), Expect(), Send(OK), Hold())
        else:
            server.script(Expect(), Send(hop), ExpectClosed())
            server.answer(OK)
        with client.Session(trust_env=False, response_limits=client.ResponseLimits(drain=drain)) as s:
            assert b"ok" == s.get(server.url).content


# -- cookies ---------------------------------------------------------------------------------------------------------


def cookies_after(server: ScriptedServer, *values: bytes, **limits: int) -> list[str]:
    server.answer(response(*[b"Set-Cookie: " + value for value in values]))
    with client.Session(trust_env=False, response_limits=client.ResponseLimits(**limits)) as s:
        s.get(server.url)
        return s.cookies.keys()


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({"cookie": 5}, ["a", "b"]),
        ({"cookie": 6}, ["a", "b", "long"]),
        ({"cookies_per_domain": 2}, ["b", "long"]),
        ({"cookies": 1}, ["long"]),
        ({"cookies": 0}, []),
        ({"cookies_per_domain": 0}, []),
        ({"cookie": 0}, []),
        ({}, ["a", "b", "long"]),
    ],
)
def test_cookies_are_kept_within_limits(
    scripted_server: ScriptedServer, limits: dict[str, int], kept: list[str]
) -> None:
    assert kept == cookies_after(scripted_server, b"a=1", b"b=1", b"long=12", **limits)


@pytest.mark.parametrize(("size", "sent"), [(12, b"aaaa=1; bb=2"), (11, b"aaaa=1"), (5, b"bb=2"), (0, None)])
def test_kept_cookies_fill_no_more_of_a_request(
    scripted_server: ScriptedServer, size: int, sent: bytes | None
) -> None:
    seen = scripted_server.answer(response(b"Set-Cookie: aaaa=1", b"Set-Cookie: bb=2"), OK)

    with client.Session(trust_env=False, response_limits=client.ResponseLimits(cookie_header=size)) as s:
        s.get(scripted_server.url)
        s.get(scripted_server.url)

    assert sent == fields(seen.requests[1]).get(b"cookie")


def test_another_jar_of_the_session_has_its_limits() -> None:
    limits = client.ResponseLimits(cookies=7)
    session = client.Session(response_limits=limits, cookies={"a": "1"})
    assert 7 == session.cookies.limits.cookies

    session.cookies = {"b": "2"}
    assert 7 == session.cookies.limits.cookies
    assert 7 == session.cookies.copy().limits.cookies
    assert 7 == pickle.loads(pickle.dumps(session)).cookies.limits.cookies


def test_a_jar_with_limits_of_its_own_keeps_them_in_a_session_that_is_given_none() -> None:
    jar = client.cookies.RequestsCookieJar()
    jar.limits = client.ResponseLimits(cookies=7)

    assert 7 == client.Session(cookies=jar).cookies.limits.cookies


# -- the object ------------------------------------------------------------------------------------------------------

NAMES = list(client.ResponseLimits.LEAST)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-1, True, False, "100", 1.5, None, float("inf")])
def test_what_is_no_limit_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"ResponseLimits\({name}={value!r}\): expected a whole number"):
        client.ResponseLimits(**{name: value})


@pytest.mark.parametrize("name", NAMES)
def test_the_least_of_each_limit_is_the_least(name: str) -> None:
    least = client.ResponseLimits.LEAST[name]

    assert least == getattr(client.ResponseLimits(**{name: least}), name)
    with pytest.raises(ValueError, match=f"at least {least}"):
        client.ResponseLimits(**{name: least - 1})


def test_limits_never_change() -> None:
    limits = client.ResponseLimits(head=1000)
    with pytest.raises(AttributeError):
        limits.head = 5
    with pytest.raises(AttributeError):
        limits.other = 5
    with pytest.raises(AttributeError):
        del limits.head
    with pytest.raises(AttributeError):
        client.Session(response_limits=limits).response_limits = limits  # type: ignore[misc]  # read-only

    assert 1000 == limits.head


def test_equal_limits_are_equal_wherever_they_come_from() -> None:
    limits = client.ResponseLimits(head=1000, cookies=5)

    for twin in (pickle.loads(pickle.dumps(limits)), copy.copy(limits), copy.deepcopy(limits)):
        assert limits == twin
        assert hash(limits) == hash(twin)
        assert repr(limits) == repr(twin)
    assert limits != client.ResponseLimits(head=1000)
    assert limits != 5
    assert protocol.Limits() != client.ResponseLimits()  # one of them says nothing of cookies
    assert "head=1000" in repr(limits)


def test_the_defaults_are_those_of_the_engine() -> None:
    engine, session = protocol.Limits(), client.Session().response_limits
    for name in protocol.Limits.LEAST:
        assert getattr(engine, name) == getattr(session, name), name


@pytest.mark.parametrize("value", [5, "64k", {"head": 5}, protocol.Limits(), client.PoolLimits()])
def test_limits_of_another_kind_are_refused(value: Any) -> None:
    """An engine's `Limits` would leave out cookies and codings."""
    with pytest.raises(client.InvalidRequest, match="expected a ResponseLimits"):
        client.Session(response_limits=value)


def test_a_transport_of_another_kind_obeys_codings_and_cookies() -> None:
    transport = MockTransport(
        lambda request: MockResponse(
            headers={"Content-Encoding": "gzip, gzip", "Set-Cookie": "a=1"},
            body=gzip.compress(gzip.compress(b"x")),
        )
    )
    limits = client.ResponseLimits(codings=1, cookies=0)
    with client.Session(transport=transport, response_limits=limits) as s:
        with pytest.raises(ContentDecodingError):
            s.get("http://h.test/")
        assert [] == s.cookies.keys()


def head_too_long(session: client.Session, url: str) -> str:
    """Return the name of what a call raises; run in another process."""
    try:
        with session:
            session.get(url)
    except client.RequestException as error:
        return type(error).__name__
    return "nothing"


@pytest.fixture
def other_process() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        yield executor


@pytest.mark.timeout(30)
def test_limits_travel_to_another_process(
    scripted_server: ScriptedServer, other_process: ProcessPoolExecutor
) -> None:
    scripted_server.script(Expect(), Send(head_of(201), may_fail=True), Hold())
    session = client.Session(trust_env=False, response_limits=client.ResponseLimits(head=200))

    assert "ProtocolError" == other_process.submit(head_too_long, session, scripted_server.url).result(20)
