"""What packages and test suites for requests put in place of ours, and what they are then called with."""

from __future__ import annotations

import gzip
import io
import pickle
import ssl
import typing
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookiePolicy, DefaultCookiePolicy
from typing import Any
from unittest import mock

import pytest
import urllib3

import client
from client.adapters import BaseAdapter, HTTPAdapter
from client.cookies import RequestsCookieJar, create_cookie
from client.multipart import MultipartBody
from client.retries import Retry
from client.testing import LoopbackServer, MockResponse, MockTransport
from client.url import parse_url
from client.urllib_cookies import (
    MockRequest,
    extract_cookies_to_jar,
    get_cookie_header,
)
from client.urllib_cookies import (
    MockResponse as HeadersAsResponse,
)
from tests.tls_authority import TLSAuthority


def answer(content: bytes) -> client.Response:
    response = client.Response()
    response.status_code, response._content = 200, content
    return response


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


# -- HTTPAdapter.send -----------------------------------------------------------------------------------------------


def test_a_double_of_the_adapters_send_stands_for_the_network(server: LoopbackServer, no_leaks: None) -> None:
    """On the class, as `responses` puts it there; for sessions of before as well, and no longer than it is there."""
    url = f"{server.url}/bytes/3"
    with client.Session() as session:
        content = session.get(url).content
        with mock.patch.object(HTTPAdapter, "send", autospec=True, return_value=answer(b"mock")) as double:
            assert b"mock" == session.get(url, timeout=7).content
            assert b"mock" == client.get(url).content
        assert content == session.get(url).content
    assert isinstance(double.call_args_list[0].args[0], HTTPAdapter)
    assert 7 == double.call_args_list[0].kwargs["timeout"]


def test_a_double_on_one_adapter_stands_for_its_session_only(server: LoopbackServer) -> None:
    with client.Session() as session:
        adapter = session.get_adapter(server.url)
        with mock.patch.object(adapter, "send", return_value=answer(b"mock")):
            assert b"mock" == session.get(server.url).content
            assert b"mock" != client.get(server.url).content


# -- HTTPAdapter.build_response ---------------------------------------------------------------------------------


class Building(HTTPAdapter):
    """Changes what came before anybody sees it, as caches do."""

    def build_response(self, req: client.PreparedRequest, resp: Any) -> client.Response:
        self.seen = (resp.status, resp.reason, resp.headers.getlist("Content-Type"), resp._original_response)
        resp.headers["X-Built"] = "yes"
        response = super().build_response(req, resp)
        response.from_cache = False  # type: ignore[attr-defined]  # what CacheControl sets
        return response


@pytest.mark.parametrize("path", ["/gzip", "/chunked/100000", "/redirect/2", "/cookies/set?a=b"])
def test_a_subclass_builds_the_response(path: str, server: LoopbackServer, no_leaks: None) -> None:
    adapter = Building()
    with client.Session() as session, client.Session() as plain:
        session.mount("http://", adapter)
        response, expected = session.get(server.url + path), plain.get(server.url + path)

        assert (200, "OK") == adapter.seen[:2]
        assert "yes" == response.headers["x-built"]
        assert expected.content == response.content
        assert [each.status_code for each in expected.history] == [
            each.status_code for each in response.history
        ]
        assert dict(plain.cookies.items()) == dict(session.cookies.items())
        assert response.elapsed.total_seconds() > 0


def test_a_built_response_streams_and_keeps_to_the_limits(server: LoopbackServer, no_leaks: None) -> None:
    with client.Session(max_body=1000) as session:
        session.mount("http://", Building())
        with session.get(f"{server.url}/bytes/900", stream=True) as response:
            assert 900 == sum(map(len, response.iter_content(7)))
        with pytest.raises(client.BodyTooLarge):
            session.get(f"{server.url}/bytes/1001")


def test_a_cache_reads_the_bytes_of_the_wire_through_a_file_of_its_own(server: LoopbackServer) -> None:
    """What CacheControl does with the insides of urllib3's response."""

    class Tee:
        def __init__(self, file: Any) -> None:
            self.file, self.kept, self.ended = file, b"", False

        def read(self, amt: int) -> bytes:
            data: bytes = self.file.read(amt)
            self.kept, self.ended = self.kept + data, self.file.closed
            return data

    class Keeps(HTTPAdapter):
        def build_response(self, req: client.PreparedRequest, resp: Any) -> client.Response:
            resp._fp = self.tee = Tee(resp._fp)
            return super().build_response(req, resp)

    adapter = Keeps()
    with client.Session() as session:
        session.mount("http://", adapter)
        response = session.get(f"{server.url}/gzip")
    assert (response.content, True) == (gzip.decompress(adapter.tee.kept), adapter.tee.ended)


def test_urllib3s_answer_becomes_ours() -> None:
    class Headers(dict[str, str]):
        def getlist(self, name: str) -> list[str]:
            return ["a=1", "b=2"] if name == "Set-Cookie" else [self[name]]

    class Raw(io.BytesIO):
        status, reason, headers = 200, "Fine", Headers({"Set-Cookie": "a=1, b=2", "X": "y"})

    request = client.Request("GET", "http://h.test/").prepare()
    response = HTTPAdapter().build_response(request, Raw(b"body"))

    assert (200, "Fine", "y", b"body") == (
        response.status_code, response.reason, response.headers["x"], response.content,
    )  # fmt: skip
    assert {"a": "1", "b": "2"} == response.cookies.get_dict()


# -- what an adapter is called with ---------------------------------------------------------------------------------


class Asked(BaseAdapter):
    def send(self, request: client.PreparedRequest, **kwargs: Any) -> client.Response:  # type: ignore[override]
        self.kwargs = kwargs
        return answer(b"")

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [
        (7, 7),
        ((3, 7), (3, 7)),
        ((7, 7), 7),
        (None, None),
        (client.Timeouts(connect=10, read=60), None),
        (client.Timeouts(read=7), (10, 7)),
    ],
)
def test_an_adapter_gets_the_timeout_in_requests_form(timeout: Any, expected: Any) -> None:
    with client.Session() as session:
        session.mount("http://", adapter := Asked())
        session.get("http://h.test/", timeout=timeout)
    assert expected == adapter.kwargs["timeout"]


@pytest.mark.parametrize(
    "cert", ["both.pem", ("cert.pem", "key.pem"), ("cert.pem", "key.pem", "password"), None]
)
def test_an_adapter_gets_the_certificate_as_it_was_given(cert: Any) -> None:
    with client.Session() as session:
        session.mount("http://", adapter := Asked())
        session.get("http://h.test/", cert=cert)
    assert cert == adapter.kwargs["cert"]


def test_a_client_certificate_reaches_the_server_through_an_adapter(
    tls_authority: TLSAuthority, no_leaks: None
) -> None:
    class Passing(HTTPAdapter):
        def send(self, request: client.PreparedRequest, *args: Any, **kwargs: Any) -> client.Response:
            return super().send(request, *args, **kwargs)

    context = tls_authority.server_context("localhost", "127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(tls_authority.bundle)
    chain, key = map(str, tls_authority.issue_files("client"))
    with LoopbackServer(tls=context) as server, client.Session() as session:
        session.mount("https://", Passing())
        assert session.get(f"{server.url}/echo", verify=str(tls_authority.bundle), cert=(chain, key)).ok


def test_any_dict_may_be_assigned_to_adapters() -> None:
    with client.Session() as session:
        session.adapters = {"http://": (adapter := Asked())}  # type: ignore[assignment]  # requests' own tests do
        session.mount("http://h.test/", Asked())
        assert ["http://h.test/", "http://"] == list(session.adapters)
        assert adapter is session.get_adapter("http://other.test/")


# -- Session.request ----------------------------------------------------------------------------------------------


def test_an_overridden_request_may_have_another_order_of_arguments() -> None:
    """That of requests-oauthlib has ``data`` where ours has ``params``."""

    class Other(client.Session):
        def request(  # type: ignore[override]  # as said
            self, method: str, url: str, data: Any = None, headers: Any = None, **kwargs: Any
        ) -> client.Response:
            return super().request(method, url, data=data, headers=headers, **kwargs)

    with Other(transport=MockTransport(lambda request: MockResponse(json=request.url))) as session:
        assert "http://h.test/?a=b" == session.get("http://h.test/", params={"a": "b"}).json()
        assert "http://h.test/?a=b" == session.get("http://h.test/", {"a": "b"}).json()
        assert "http://h.test/" == session.get("http://h.test/", data={"a": "b"}).json()


# -- Retry, Timeout: urllib3's ------------------------------------------------------------------------------------


def test_retry_answers_as_urllib3s_does() -> None:
    retry = Retry(2, status_forcelist=[503], raise_on_status=True)
    response = MockResponse(503)

    assert retry.is_retry("GET", 503)
    assert not retry.is_retry("GET", 500)
    assert not retry.is_retry("POST", 503)
    left = retry.increment("GET", "http://u:secret@h.test/?token=secret", response)
    assert (1, 503) == (left.total, left.history[0].status)
    with pytest.raises(client.RetryError) as caught:
        left.increment("GET", "http://h.test/", response).increment("GET", "http://h.test/?secret", response)
    assert "secret" not in str(caught.value) + repr(left.history)
    with pytest.raises(client.RetryError, match="no attempt is left"):
        Retry(0).increment("GET", "http://h.test/", error=client.ReadTimeout("late"))


class Urllib3Timeout:
    """Of urllib3's ``Timeout`` what is documented."""

    def __init__(self, connect: Any, read: float | None, total: float | None = None) -> None:
        self.connect_timeout, self.total, self._read, self._started = connect, total, read, False

    def clone(self) -> Urllib3Timeout:
        return Urllib3Timeout(self.connect_timeout, self._read, self.total)

    def start_connect(self) -> None:
        self._started = True

    @property
    def read_timeout(self) -> float | None:
        if self.total is not None and not self._started:
            raise RuntimeError("TimeoutStateError")
        return self._read


def test_urllib3s_word_for_no_timeout_leaves_the_sessions_in_force() -> None:
    """python-jenkins passes it on where its caller gives none."""
    word = urllib3.util.timeout._DEFAULT_TIMEOUT

    assert client.Timeouts() == client.Timeouts.of(word)
    assert client.Timeouts(connect=3) == client.Timeouts.of((3, word))


@pytest.mark.parametrize(
    ("timeout", "connect", "read"),
    [
        (Urllib3Timeout(1, 2), 1, 2),
        (Urllib3Timeout(5, 5, total=5), 5, 5),
        (Urllib3Timeout("default", None), None, None),
    ],
)
def test_urllib3s_timeout_is_taken(timeout: Any, connect: float | None, read: float | None) -> None:
    limits = client.Timeouts.of(timeout)
    assert (connect, read, read) == (limits.connect, limits.read, limits.write)


# -- cookies, the way urllib asks ---------------------------------------------------------------------------------


def test_a_jar_works_in_urllib(server: LoopbackServer) -> None:
    jar = RequestsCookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))  # type: ignore[arg-type]  # the claim
    with opener.open(f"{server.url}/cookies/set?a=b") as response:
        assert b'"a": "b"' in response.read()
    assert "b" == jar["a"]


def test_auth_written_for_requests_keeps_the_cookies_of_a_challenge() -> None:
    request = client.Request("GET", "http://h.test/", cookies={"a": "1"}).prepare()
    raw = mock.Mock()
    raw.headers.getlist.return_value = ["b=2; Path=/"]

    extract_cookies_to_jar(request._cookies, request, raw)
    assert "a=1; b=2" == get_cookie_header(request._cookies, request)
    extract_cookies_to_jar(None, request, raw)
    bare = client.Request("GET", "http://h.test/").prepare()
    extract_cookies_to_jar(bare._cookies, bare, raw)
    bare.prepare_cookies(bare._cookies)
    assert "b=2" == bare.headers["Cookie"]

    headers = mock.Mock()
    headers.get_all.return_value = None
    jar = RequestsCookieJar()
    jar.extract_cookies(HeadersAsResponse(headers), MockRequest(request))
    assert None is get_cookie_header(jar, request)
    headers.get_all.return_value = ["c=3", "d=4; Domain=other.test", "e=5; Max-Age=0"]
    made = jar.make_cookies(HeadersAsResponse(headers), MockRequest(request))
    assert (["c"], 0) == ([cookie.name for cookie in made], len(jar))
    asked = MockRequest(client.Request("GET", "http://h.test/").prepare())
    request._cookies.add_cookie_header(asked)
    assert ({"Cookie": "a=1; b=2"}, True) == (asked.get_new_headers(), asked.has_header("cookie".title()))


def test_a_subclass_of_response_can_be_looked_at_as_attrs_does() -> None:
    """requests-cache does, and copies the attributes that requests lists."""

    class Cached(client.Response):
        created: int = 0

    assert {"created", "request", "status_code"} <= typing.get_type_hints(Cached).keys()
    response = client.Session(transport=MockTransport(lambda _: MockResponse(body="text"))).get(
        "http://h.test/"
    )
    copied = {name: getattr(response, name) for name in Cached.__attrs__}
    assert (200, b"text", response.request) == (copied["status_code"], copied["_content"], copied["request"])
    # How requests-futures brings something home from another process.
    response.__attrs__ = [*response.__attrs__, "data"]  # type: ignore[misc]  # the idea
    response.data = "set by a hook"  # type: ignore[attr-defined]  # as above
    assert "set by a hook" == pickle.loads(pickle.dumps(response)).data


class BlockAll(CookiePolicy):
    """What the internet says to those who ask how to turn cookies off."""

    def refuse(self, *_args: Any) -> bool:
        return False

    return_ok = set_ok = domain_return_ok = path_return_ok = refuse  # type: ignore[assignment]
    netscape, rfc2965, hide_cookie2 = True, False, False


@pytest.mark.parametrize(
    ("policy", "kept", "sent"),
    [
        (None, {"a": "1", "b": "2"}, "a=1; b=2"),
        (BlockAll(), {}, None),
        (DefaultCookiePolicy(), {"a": "1", "b": "2"}, "a=1; b=2"),
        (DefaultCookiePolicy(allowed_domains=[]), {}, None),
        (DefaultCookiePolicy(allowed_domains=["h.test"]), {"a": "1"}, "a=1"),
        (DefaultCookiePolicy(blocked_domains=[".other.test"]), {"a": "1", "b": "2"}, "a=1; b=2"),
    ],
)
def test_a_policy_refuses_cookies(policy: Any, kept: dict[str, str], sent: str | None) -> None:
    answers = [
        MockResponse(headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Domain=h.test")]),
        MockResponse(),
    ]
    with client.Session(transport=MockTransport(lambda _: answers.pop(0))) as session:
        session.cookies.set_policy(policy)
        session.get("http://h.test/")
        assert kept == session.cookies.get_dict()
        assert sent == session.get("http://h.test/").request.headers.get("Cookie")


def test_a_policy_refuses_what_is_in_the_jar_and_goes_where_that_goes() -> None:
    policy = DefaultCookiePolicy(blocked_domains=[".h.test"])
    jar = RequestsCookieJar(policy=policy)
    jar.set("a", "1", domain="h.test")
    jar.set("b", "2", domain="i.test")
    jar.set("c", "3")

    copied = pickle.loads(pickle.dumps(jar))
    for each in (jar, jar.copy(), copied):
        cookies = [each.header_for(parse_url(f"https://{host}.test/"), 0.0) for host in "hi"]
        assert [b"c=3", b"b=2; c=3"] == cookies
    assert policy is jar.copy().get_policy()
    assert (".h.test",) == copied.get_policy().blocked_domains()
    jar.set_policy(None)
    assert None is jar.get_policy()


def test_no_policy_allows_what_the_rfc_forbids() -> None:
    class AllowAll(DefaultCookiePolicy):
        def allow(self, *_args: Any) -> bool:
            return True

        return_ok = set_ok = domain_return_ok = path_return_ok = allow  # type: ignore[assignment]

    jar = RequestsCookieJar(AllowAll())
    jar.set("a", "1", secure=True)
    jar.store(parse_url("http://h.test/"), [b"b=2; Domain=other.test", b"c=3; Secure"], 0.0)

    assert {"a": "1"} == jar.get_dict()
    assert None is jar.header_for(parse_url("http://h.test/"), 0.0)


def test_the_attributes_of_a_cookie_are_where_others_look_for_them() -> None:
    jar = RequestsCookieJar()
    jar.store(parse_url("http://h.test/"), [b"a=1; HttpOnly; SameSite=Lax", b"b=2"], 0.0)

    assert [{"HttpOnly": None, "SameSite": "Lax"}, {}] == [cookie._rest for cookie in jar]
    long_ago, far_off = create_cookie("a", "1", expires=1), create_cookie("a", "1", expires=1 << 40)
    assert (True, False, False) == (long_ago.is_expired(), far_off.is_expired(), long_ago.is_expired(0))


# -- bodies ---------------------------------------------------------------------------------------------------------


def test_a_body_of_files_can_be_looked_at_and_is_sent_all_the_same() -> None:
    file = io.BytesIO(b"content")
    request = client.Request("POST", "http://h.test/", files={"f": file}).prepare()

    assert isinstance(request.body, MultipartBody)
    assert b"content" in request.body.read()
    with client.Session(transport=MockTransport(lambda asked: MockResponse(body=asked.body))) as session:
        assert request.body.read() == session.send(request).content


def test_an_empty_content_type_is_none() -> None:
    request = client.Request(
        "POST", "http://h.test/", files={"f": b"x"}, headers={"Content-Type": ""}
    ).prepare()

    assert request.headers["Content-Type"].startswith("multipart/form-data; boundary=")


def test_what_raises_before_the_first_piece_comes_as_ours() -> None:
    class ProtocolError(Exception):
        __module__ = "urllib3.exceptions"

    class HTTPError(ProtocolError):
        __module__ = "urllib3.exceptions"

    response = client.Response()
    response.raw = mock.Mock()
    response.raw.stream.side_effect = HTTPError()
    with pytest.raises(client.ChunkedEncodingError):
        next(response.iter_content(10))


def test_whether_the_body_was_read_is_told_under_requests_name() -> None:
    """Azure's SDK asks before it takes `content`; Google's sets it beside `_content`."""
    transport = MockTransport(lambda _: MockResponse(body=b"body"))
    session = client.Session(transport=transport)

    assert session.get("http://h.test/")._content_consumed
    streamed = session.get("http://h.test/", stream=True)
    assert not streamed._content_consumed
    streamed.raw.read(1)
    assert not streamed._content_consumed
    list(streamed.iter_content())
    assert streamed._content_consumed
    made = client.Response()
    made._content, made._content_consumed = b"made", True
    assert (b"made", True) == (made.content, made._content_consumed)


def test_the_functions_call_a_session_by_the_names_of_its_arguments() -> None:
    """As those of requests do: doubles look for them there."""
    with mock.patch.object(client.Session, "request") as double:
        client.post("http://h.test/", data="d", timeout=1)

    assert () == double.call_args.args
    assert {
        "method": "POST",
        "url": "http://h.test/",
        "data": "d",
        "json": None,
        "timeout": 1,
    } == double.call_args.kwargs
