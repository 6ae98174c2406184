"""Bad input of all kinds: each has its own class of error, and none leaves anything behind.

A message says what was seen, what was expected and where; sockets, threads and slots are counted for each row.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

import client
from client import exceptions
from tests.leaks import no_leaks, slots_of
from tests.scripted_server import Expect, ExpectClosed, HalfClose, ScriptedServer, Send

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def attempt(session: client.Session, arguments: dict[str, Any]) -> exceptions.RequestException:
    """Make the call, and return the error that it must end with."""
    with pytest.raises(exceptions.RequestException) as caught:
        session.request(**{"method": "GET", "url": "http://127.0.0.1:1/", **arguments})
    return caught.value


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"url": None}, "URLRequired", "No URL"),
        ({"url": ""}, "MissingSchema", "no scheme"),
        ({"url": "example.com/path"}, "MissingSchema", "no scheme"),
        ({"url": "http://"}, "InvalidURL", "host"),
        ({"url": "http://a b/"}, "InvalidURL", "host"),
        ({"url": "http://a.test:99999/"}, "InvalidURL", "port"),
        ({"url": "http://[::1/"}, "InvalidURL", "Invalid URL"),
        ({"url": "http://a.test/\r\nX: y"}, "InvalidURL", "control character"),
        ({"url": 42}, "MissingSchema", "no scheme"),
        ({"url": "ftp://a.test/file"}, "InvalidSchema", "ftp://a.test"),
        ({"url": "file:///etc/passwd"}, "InvalidSchema", "No connection adapters"),
        ({"method": "GET / HTTP/1.1\r\nX: y"}, "InvalidMethod", "token"),
        ({"method": ""}, "InvalidMethod", "token"),
        ({"method": None}, "InvalidMethod", "str"),
        ({"method": ["GET"]}, "InvalidMethod", "str"),
        ({"headers": {"X": "a\r\nY: b"}}, "InvalidHeader", "control character"),
        ({"headers": {"X": "a\nb"}}, "InvalidHeader", "control character"),
        ({"headers": {"X": b"a\x00b"}}, "InvalidHeader", "control character"),
        ({"headers": {"X ": "a"}}, "InvalidHeader", "token"),
        ({"headers": {"X\r\nY": "a"}}, "InvalidHeader", "token"),
        ({"headers": {"X": 1}}, "InvalidHeader", "str or bytes"),
        ({"headers": {1: "a"}}, "InvalidHeader", "name must be str or bytes"),
        ({"timeout": 1e7}, "InvalidTimeout", "23 days"),
        ({"headers": "X: y"}, "InvalidRequest", "mapping"),
        ({"timeout": -1}, "InvalidTimeout", "more than 0"),
        ({"timeout": 0}, "InvalidTimeout", "more than 0"),
        ({"timeout": "soon"}, "InvalidTimeout", "number of seconds"),
        ({"timeout": (1, 2, 3)}, "InvalidTimeout", "(connect, read)"),
        ({"json": {"a": float("nan")}}, "InvalidJSONError", "JSON"),
        ({"json": object()}, "InvalidJSONError", "JSON"),
        ({"data": 42}, "InvalidBody", "data="),
        ({"files": 42}, "InvalidBody", "files="),
        ({"params": 42}, "InvalidURL", "params="),
        ({"auth": 42}, "InvalidRequest", "auth="),
        ({"cookies": 42}, "InvalidRequest", "cookies="),
        ({"cookies": {"a": "b\r\nc"}}, "InvalidHeader", "cookie"),
        ({"proxies": {"http": "gopher://p.test"}}, "InvalidProxyURL", "gopher"),
        ({"proxies": 42}, "InvalidRequest", "proxies="),
        ({"proxies": {"http": 42}}, "InvalidRequest", "proxies="),
        ({"proxies": {42: "http://p.test"}}, "InvalidRequest", "proxies="),
        ({"expect": "y"}, "InvalidRequest", "expect='y': expected True, False or a number of bytes"),
        ({"expect": -1}, "InvalidRequest", "expect="),
        ({"progress": "x"}, "InvalidRequest", "progress='x': expected a function or None"),
        ({"max_body": "x"}, "InvalidRequest", "max_body='x': expected a number of bytes or None"),
        ({"max_body": -1}, "InvalidRequest", "max_body="),
        ({"max_body": True}, "InvalidRequest", "max_body="),
        ({"max_ratio": float("nan")}, "InvalidRequest", "max_ratio=nan: expected a number above 0 or None"),
        ({"max_ratio": 0}, "InvalidRequest", "max_ratio="),
        ({"idempotent": "no"}, "InvalidRequest", "idempotent="),
        ({"retries": -1}, "InvalidRequest", "retries="),
        ({"retries": "many"}, "InvalidRequest", "retries="),
        ({"verify": "/no/such/file.pem", "url": "https://127.0.0.1:1/"}, None, "/no/such/file.pem"),
    ],
    ids=lambda value: repr(value)[:25] if isinstance(value, dict) else "",
)
def test_bad_arguments_are_refused_before_anything_is_sent(
    arguments: dict[str, Any], kind: str | None, message: str
) -> None:
    """Port 1 is closed, so an argument that got through would show as a `ConnectError`."""
    with no_leaks():
        with client.Session(trust_env=False) as session:
            error = attempt(session, arguments)
        assert 0 == slots_of(session)

    assert kind in (type(error).__name__, None)
    assert isinstance(error, ValueError)
    assert message in str(error)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_redirects", "x"),
        ("max_redirects", -1),
        ("max_redirects", None),
        ("max_body", "x"),
        ("max_ratio", "x"),
        ("proxies", 42),
        ("headers", 42),
        ("redirect_headers", "X-Api-Key"),
        ("redirect_headers", 42),
        ("redirect_headers", [42]),
        ("trace", "x"),
        ("on_retry", "x"),
        ("on_informational", "x"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_where_it_is_made(name: str, value: Any) -> None:
    with pytest.raises(exceptions.InvalidRequest, match=name):
        client.Session(**{name: value})
    with client.Session() as session:
        before = getattr(session, name)
        with pytest.raises(exceptions.InvalidRequest, match=name):
            setattr(session, name, value)
        assert getattr(session, name) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("headers", [("Authorization", "Bearer s3cret")]),
        ("proxies", "http://ada:s3cret@proxy.test"),
        ("hooks", "s3cret"),
        ("adapters", 42),
        ("adapters", {b"http://": client.adapters.HTTPAdapter()}),
        ("adapters", {"http://": "s3cret"}),
    ],
)
def test_a_refused_setting_that_may_hold_a_secret_is_not_shown(name: str, value: Any) -> None:
    with client.Session() as session, pytest.raises(exceptions.InvalidRequest) as caught:
        setattr(session, name, value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("request_", [None, "http://a.test/", {"url": "http://a.test/"}])
def test_only_requests_are_prepared(request_: Any) -> None:
    with client.Session() as session, pytest.raises(exceptions.InvalidRequest, match="must be a Request"):
        session.prepare_request(request_)


@pytest.mark.parametrize(
    ("prefix", "adapter"), [("http://", "x"), (b"http://", client.adapters.HTTPAdapter()), ([], None)]
)
def test_only_adapters_are_mounted(prefix: Any, adapter: Any) -> None:
    with client.Session() as session, pytest.raises(exceptions.InvalidRequest, match=r"prefix|adapters"):
        session.mount(prefix, adapter)


@pytest.mark.parametrize("arguments", [{"transport": 42}, {"socket_options": 42}, {"workers": "x"}], ids=repr)
def test_so_is_what_a_session_is_made_with(arguments: dict[str, Any]) -> None:
    with pytest.raises(exceptions.InvalidRequest, match=next(iter(arguments))):
        client.Session(**arguments)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("method", 42, "InvalidMethod"),
        ("method", None, "InvalidMethod"),
        ("method", "G T", "InvalidMethod"),
        ("method", b"G\nT", "InvalidMethod"),
        ("url", "no URL", "MissingSchema"),
        ("headers", 42, "InvalidHeader"),
        ("headers", {42: "x"}, "InvalidHeader"),
        ("headers", {"X": "a\nb"}, "InvalidHeader"),
        ("body", 42, "InvalidBody"),
        ("trailers", 42, "InvalidHeader"),
    ],
)
def test_a_prepared_request_is_checked_as_it_was_left(name: str, value: Any, kind: str) -> None:
    """Here too port 1 would show whatever got through."""
    with no_leaks(), client.Session(trust_env=False) as session:
        prepared = session.prepare_request(client.Request("GET", "http://127.0.0.1:1/"))
        with pytest.raises(exceptions.InvalidRequest) as caught:
            setattr(prepared, name, value)
            session.send(prepared)

    assert kind == type(caught.value).__name__


def test_a_method_of_bytes_is_the_method_that_it_spells(scripted_server: ScriptedServer) -> None:
    """Or a redirect would not know a POST when it sees one."""
    away = b"HTTP/1.1 303 Go\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
    script = scripted_server.answer(away, OK)
    with client.Session(trust_env=False) as session:
        prepared = session.prepare_request(client.Request("GET", scripted_server.url))
        prepared.method = b"POST"  # type: ignore[assignment]  # what requests' users do
        session.send(prepared)

    assert [b"POST / ", b"GET /there "] == [request[: request.index(b"HTTP/")] for request in script.requests]


def test_a_closed_port() -> None:
    with no_leaks(), client.Session(trust_env=False) as session:
        error = attempt(session, {})

    assert type(error) is exceptions.ConnectError
    assert isinstance(error, ConnectionError)
    assert re.search(r"127\.0\.0\.1:1\b.*refused", str(error))
    assert error.request is not None


def test_a_name_without_an_address() -> None:
    with (
        no_leaks(except_threads=("client-resolver", "threadwire-resolver", "resolver")),
        client.Session(trust_env=False) as session,
    ):
        error = attempt(session, {"url": "http://no-such-host.invalid/"})

    assert type(error) is exceptions.NameResolutionError
    assert "no-such-host.invalid" in str(error)


@pytest.mark.parametrize(
    ("sent", "kind", "message"),
    [
        (b"", "RemoteDisconnected", "before it answered"),
        (b"HTTP/1.1 200 OK\r\nCont", "RemoteDisconnected", "in the middle of the response head"),
        (b"garbage\r\n\r\n", "ProtocolError", "garbage"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "IncompleteBody", "after 4 bytes, expected 9 bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "IncompleteBody", "its end marker"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "ChunkedEncodingError", "xyz"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", "ContentDecodingError", "gzip"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", "ProtocolError", "65536"),
        (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n", "RedirectError", "scheme"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n", "RedirectError", "Location"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)  # fmt: skip
def test_bad_answers(sent: bytes, kind: str, message: str) -> None:
    with no_leaks(), ScriptedServer() as server:
        server.script(Expect(), Send(sent, may_fail=True), HalfClose(), ExpectClosed())
        with client.Session(trust_env=False) as session:
            error = attempt(session, {"url": server.url})
            pool: Any = session._transport
            assert pool._slots == len(pool._idle), "a slot is in use by nobody"

    assert kind == type(error).__name__
    assert message in str(error)
    assert error.request is not None
    assert f"{server.url}/" == error.request.url


def test_no_error_shows_credentials_or_the_query() -> None:
    secret = "http://ada:s3cret@127.0.0.1:1/path?token=s3cret#s3cret"
    with client.Session(trust_env=False) as session:
        error = attempt(session, {"url": secret, "headers": {"Authorization": "Bearer s3cret"}})

    assert "s3cret" not in str(error) + repr(error) + repr(error.request) + repr(session)
