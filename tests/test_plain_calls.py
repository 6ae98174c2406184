"""Calls that bring little take shorter ways through a session; nobody can tell but by the clock."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import client
from client.testing import MockResponse, MockTransport

NAMES = st.sampled_from(
    ["Accept", "ACCEPT", "User-Agent", "X-A", "x-a", "X-a", "X-B", "Host", "Content-Length", "Cookie", "Te"]
)
VALUES = st.one_of(
    st.text(alphabet="abc ,;=\u00e9", max_size=6), st.sampled_from(["5", "h.test", "a\r\nb", "\u4e00", " x"]),
    st.none(), st.binary(max_size=3),
)  # fmt: skip
PARAMS = st.one_of(
    st.none(), st.just(""), st.just("raw=%20"), st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
    st.just({"a": ["1", None, "2"]}), st.just([("b", b"\xff")]), st.just({}),
)  # fmt: skip


def outcome(session: client.Session, headers: Any, params: Any, **body: Any) -> Any:
    """Return what such a call would send, or the class and text of its error."""
    try:
        prepared = session.prepare_request(
            client.Request("POST", "http://h.test/p?q=1#f", headers=headers, params=params, **body)
        )
        return prepared.url, prepared.wire_fields(), prepared.wire_body(), list(prepared.headers.items())
    except client.RequestException as error:
        return type(error), str(error)


@given(
    st.dictionaries(NAMES, VALUES, max_size=4), PARAMS, st.sampled_from([{}, {"data": b"abc"}, {"json": [1]}])
)
def test_headers_and_params_of_a_call_come_to_the_same_by_both_ways(
    headers: dict[str, Any], params: Any, body: dict[str, Any]
) -> None:
    """A dict may take the short way; for a mapping of another class there is only the long one."""
    with client.Session() as session:
        assert outcome(session, MappingProxyType(headers), params, **body) == outcome(
            session, headers, params, **body
        )


# -- whatever a session is told in the meantime counts for the next call ------------------------------------------------


def mocked(**settings: Any) -> tuple[client.Session, MockTransport]:
    transport = MockTransport(lambda request: MockResponse(json=dict(request.headers)))
    session = client.Session(transport=transport, **settings)
    session.get("http://h.test/")
    session.post("http://h.test/")
    return session, transport


def test_a_header_that_is_set_later_is_sent() -> None:
    session, transport = mocked()
    session.headers["X-A"] = "1"
    session.get("http://h.test/")

    assert "1" == transport.requests[-1].headers["X-A"]

    del session.headers["X-A"]
    session.post("http://h.test/")

    assert "X-A" not in transport.requests[-1].headers


@pytest.mark.parametrize("verb", ["get", "post"])
def test_params_hooks_auth_and_cookies_that_are_set_later_count(verb: str) -> None:
    session, transport = mocked()
    seen = []
    session.params["a"] = "b"
    session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
    session.auth = ("user", "secret")
    session.cookies.set("c", "d")
    getattr(session, verb)("http://h.test/")

    sent = transport.requests[-1]
    assert "http://h.test/?a=b" == sent.url
    assert sent.headers["Authorization"].startswith("Basic ")
    assert "c=d" == sent.headers["Cookie"]
    assert [200] == seen


def test_a_base_url_that_is_set_later_counts() -> None:
    session, transport = mocked()
    session.base_url = "http://other.test/api/"
    session.get("things")

    assert "http://other.test/api/things" == transport.requests[-1].url


def test_stream_that_is_set_later_counts() -> None:
    session, _ = mocked()
    session.stream = True

    assert session.get("http://h.test/")._content is False


@pytest.mark.parametrize("verb", ["get", "post"])
@pytest.mark.parametrize("seam", ["request", "send"])
def test_a_seam_that_is_replaced_later_is_used(verb: str, seam: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the session, and on its class."""
    session, transport = mocked()
    calls = []
    genuine = getattr(session, seam)

    def replaced(*arguments: Any, **keywords: Any) -> Any:
        calls.append(seam)
        return genuine(*arguments, **keywords)

    setattr(session, seam, replaced)
    getattr(session, verb)("http://h.test/")

    assert [seam] == calls

    session, transport = mocked()
    monkeypatch.setattr(client.Session, seam, lambda self, *arguments, **keywords: calls.append("class"))
    getattr(session, verb)("http://h.test/")

    assert [seam, "class"] == calls
    assert 2 == len(transport.requests)


def test_a_seam_that_a_subclass_replaces_before_it_begins_is_used() -> None:
    urls = []

    class Early(client.Session):
        def __init__(self, **settings: Any) -> None:
            self.send = self.noted  # type: ignore[method-assign]  # what a double does
            super().__init__(**settings)

        def noted(self, request: client.PreparedRequest, **keywords: Any) -> client.Response:
            urls.append(request.url)
            return client.Session.send(self, request, **keywords)

    session = Early(transport=MockTransport(lambda request: MockResponse()))
    for _ in range(3):
        session.get("http://h.test/")

    assert ["http://h.test/"] * 3 == urls


@pytest.mark.parametrize("keywords", [{}, {"params": {"a": "b"}}, {"headers": {"X-B": "c"}}])
def test_a_setting_that_is_a_property_of_a_subclass_is_asked_for_each_call(keywords: dict[str, Any]) -> None:
    """A token that is renewed, or one for each thread: nobody sets anything, and it is another."""
    token, password = ["1"], [""]

    class Renewed(client.Session):
        @property
        def headers(self) -> Any:
            return client.structures.CaseInsensitiveDict({"X-Token": token[-1]})

        @headers.setter
        def headers(self, headers: Any) -> None:
            assert headers

    class Signed(client.Session):
        @property
        def auth(self) -> Any:
            return ("user", password[-1]) if password[-1] else None

        @auth.setter
        def auth(self, auth: Any) -> None:
            assert auth is None

    class Limited(client.Session):
        @property
        def max_body(self) -> int | None:
            return len(password[-1]) or None

        @max_body.setter
        def max_body(self, max_body: int | None) -> None:
            assert max_body is None

    transport = MockTransport(lambda request: MockResponse(body="much more"))
    renewed, signed, limited = (kind(transport=transport) for kind in (Renewed, Signed, Limited))
    for _ in range(2):
        renewed.get("http://h.test/", **keywords)
        signed.get("http://h.test/", **keywords)
        limited.get("http://h.test/", **keywords)
    token.append("2")
    password.append("secret")
    renewed.get("http://h.test/", **keywords)
    signed.get("http://h.test/", **keywords)

    assert "2" == transport.requests[-2].headers["X-Token"]
    assert "Basic dXNlcjpzZWNyZXQ=" == transport.requests[-1].headers["Authorization"]
    with pytest.raises(client.BodyTooLarge):
        limited.get("http://h.test/", **keywords)


@pytest.mark.parametrize("wrong", ["a\r\nb", 5])
def test_a_wrong_header_of_a_session_counts_only_where_it_is_sent(wrong: Any) -> None:
    session, transport = mocked()
    session.headers["X-A"] = wrong
    session.get("http://h.test/", headers={"x-a": "right"})
    session.get("http://h.test/", headers={"X-A": None})

    assert ["right", None] == [sent.headers.get("X-A") for sent in transport.requests[-2:]]
    for verb in (session.get, session.post):
        with pytest.raises(client.InvalidHeader, match="X-A"):
            verb("http://h.test/")


def test_a_wrong_header_that_its_namesake_replaces_is_not_sent_and_stops_nothing() -> None:
    session, transport = mocked()
    session.get("http://h.test/", headers={"X-A": "a\r\nb", "x-a": "right"})

    assert "right" == transport.requests[-1].headers["X-A"]


@pytest.mark.parametrize(
    "keywords", [{}, {"params": {"a": "b"}}, {"headers": {"X-B": "c"}}, {"headers": {"x-a": "2"}}]
)
def test_a_header_name_as_bytes_is_the_name_as_str_on_every_way(keywords: dict[str, Any]) -> None:
    session, transport = mocked()
    session.headers["X-A"] = "1"
    session.headers[b"x-A"] = "2"  # type: ignore[index]  # what else it is
    session.headers[b"hOst"] = "virtual.test"  # type: ignore[index]  # as above
    session.headers[b"Content-Length"] = "7"  # type: ignore[index]  # as above
    session.post("http://h.test/", data=b"abc", **keywords)

    headers = transport.requests[-1].headers

    assert [["2"], ["virtual.test"], ["3"]] == [
        headers.get_list(name) for name in ("x-a", "host", "content-length")
    ]


def test_a_subclass_gets_the_calls_of_its_verbs() -> None:
    urls = []

    class Recorder(client.Session):
        def request(self, method: str, url: Any, *arguments: Any, **keywords: Any) -> client.Response:
            urls.append((method, url))
            return super().request(method, url, *arguments, **keywords)

    session = Recorder(transport=MockTransport(lambda request: MockResponse()))
    for _ in range(2):
        session.get("http://h.test/g")
        session.post("http://h.test/p", json={})

    assert [("GET", "http://h.test/g"), ("POST", "http://h.test/p")] * 2 == urls


def test_user_information_in_a_url_becomes_basic_auth_on_every_way() -> None:
    session, transport = mocked()
    session.get("http://user:secret@h.test/")
    session.post("http://user:secret@h.test/", json={})

    assert ["Basic dXNlcjpzZWNyZXQ="] * 2 == [
        sent.headers["Authorization"] for sent in transport.requests[-2:]
    ]
    assert ["http://h.test/"] * 2 == [sent.url for sent in transport.requests[-2:]]
