"""What the constructors of events take, make of it, and refuse."""

from __future__ import annotations

import http
from typing import Any

import pytest

from client.protocol import (
    ConnectionClosed,
    Data,
    EndOfMessage,
    Headers,
    InformationalResponse,
    LocalProtocolError,
    ProtocolError,
    Request,
    Response,
    events,
    headers,
)

HOST = [("Host", "example.com")]


def test_text_may_be_str_or_any_bytes_and_is_bytes() -> None:
    request = Request(
        method=bytearray(b"GET"),
        target=memoryview(b"/"),
        headers=((name, bytearray(b"example.com")) for name in ["HOST"]),
        http_version="1.1",
    )

    assert (b"GET", b"/", b"1.1") == (request.method, request.target, request.http_version)
    assert [(b"host", b"example.com")] == request.headers
    assert [(b"HOST", b"example.com")] == request.headers.raw_items()
    assert {bytes} == {type(part) for item in request.headers for part in item}
    assert bytes is type(Response(status_code=200, headers=[], reason="OK").reason)


def test_events_take_keywords_only_but_for_data() -> None:
    with pytest.raises(TypeError):
        Request(b"GET", HOST, b"/")  # type: ignore[call-arg]  # that is the test

    assert b"x" == Data(b"x").data


@pytest.mark.parametrize("wrong", [None, 5, ["x"], object()])
def test_text_of_a_wrong_type_is_a_type_error(wrong: Any) -> None:
    for arguments in (
        {"method": wrong, "target": "/", "headers": HOST},
        {"method": "GET", "target": wrong, "headers": HOST},
        {"method": "GET", "target": "/", "headers": HOST, "http_version": wrong},
        {"method": "GET", "target": "/", "headers": [("Host", wrong)]},
        {"method": "GET", "target": "/", "headers": [(wrong, "x")]},
    ):
        with pytest.raises(TypeError):
            Request(**arguments)


def test_status_codes_are_integers_in_their_range() -> None:
    assert "status_code=200)" in repr(Response(status_code=http.HTTPStatus.OK, headers=[]))
    with pytest.raises(LocalProtocolError, match="status code must be integer"):
        Response(status_code="200", headers=[])  # type: ignore[arg-type]  # that is the test
    with pytest.raises(LocalProtocolError, match=r"range \[200, 1000\), not 199"):
        Response(status_code=199, headers=[])
    with pytest.raises(LocalProtocolError, match=r"range \[100, 200\), not 200"):
        InformationalResponse(status_code=200, headers=[])


def test_equal_events_are_of_one_class_and_have_equal_fields() -> None:
    request = Request(method="GET", target="/", headers=HOST)

    assert request == Request(method=b"GET", target=b"/", headers=[(b"host", b"example.com")])
    assert request != Request(method="GET", target="/x", headers=HOST)
    assert Data(b"x") == Data(b"x", chunk_start=False, chunk_end=False)
    assert Data(b"x") != Data(b"x", chunk_start=True)
    assert ConnectionClosed() == ConnectionClosed()
    assert EndOfMessage() != ConnectionClosed()
    with pytest.raises(TypeError):
        hash(request)


def test_events_print_their_fields() -> None:
    request = Request(method="GET", target="/", headers=HOST)

    assert (
        "Request(method=b'GET', headers=<Headers([(b'host', b'example.com')])>, target=b'/', http_version=b'1.1')"
        == repr(request)
    )
    assert "ConnectionClosed()" == repr(ConnectionClosed())


def test_no_credential_is_printed() -> None:
    names = ["Authorization", "Proxy-Authorization", "Cookie", "SET-COOKIE"]
    request = Request(method="GET", target="/", headers=[*HOST, *((name, "s3cret") for name in names)])

    assert "s3cret" not in repr(request)
    assert 4 == repr(request).count("<6 bytes>")
    with pytest.raises(LocalProtocolError) as refused:
        Request(method="GET", target="/", headers=[*HOST, ("Cookie", "s3cret\n")])
    assert "s3cret" not in str(refused.value)


def test_heads_cannot_be_changed() -> None:
    request = Request(method="GET", target="/", headers=HOST)

    with pytest.raises(AttributeError, match="method is read-only"):
        request.method = b"HEAD"  # type: ignore[misc]  # what is tested
    with pytest.raises(AttributeError, match="method is read-only"):
        del request.method


def test_headers_are_a_sequence_of_pairs() -> None:
    headers = Request(method="GET", target="/", headers=[*HOST, ("X-A", "1"), ("x-a", "2")]).headers

    assert isinstance(headers, Headers)
    assert 3 == len(headers)
    assert (b"x-a", b"2") == headers[-1]
    assert [(b"x-a", b"1"), (b"x-a", b"2")] == headers[1:]
    assert (b"x-a", b"1") in headers
    assert headers == tuple(headers)
    assert headers != 5
    headers.raw_items().clear()
    assert 3 == len(headers)


def test_headers_of_one_event_serve_for_the_next() -> None:
    headers = Request(method="GET", target="/", headers=HOST).headers

    assert headers == Request(method="GET", target="/2", headers=headers).headers


@pytest.mark.parametrize(
    "event",
    [
        lambda: Response(status_code=200, headers=[], reason="O\nK"),
        lambda: Response(status_code=200, headers=[("X", "y\r\nZ: evil")]),
        lambda: Response(status_code=200, headers=[], http_version="1.1\n"),
        lambda: Request(method="G T", target="/", headers=HOST),
        lambda: Request(method="GET", target="/ x", headers=HOST),
        lambda: Request(method="GET", target="/", headers=[*HOST, ("X:", "y")]),
        lambda: Request(method="GET", target="/", headers=[*HOST, ("X", "y\r\nZ: evil")]),
        lambda: Request(method="GET", target="/", headers=[*HOST, ("X", "\xe9")]),
        lambda: EndOfMessage(headers=[("X", "y\r\nZ: evil")]),
        lambda: EndOfMessage(headers=[("Content-Length", "5")]),
    ],
)
def test_what_violates_the_grammar_is_refused(event: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r"illegal|forbidden|ASCII"):
        event()


def test_the_base_of_the_errors_is_abstract() -> None:
    with pytest.raises(TypeError):
        ProtocolError("neither ours nor theirs")
    assert 400 == LocalProtocolError("ours").error_status_hint
    assert 431 == LocalProtocolError("ours", error_status_hint=431).error_status_hint


@pytest.mark.parametrize(
    "evil", ["\r\n", "y\r\n", "\r\nZ: evil", "y\r", " y", "y ", "\r\n\r\nGET / HTTP/1.1", "\r\nz"]
)
@pytest.mark.parametrize("behind", [False, True], ids=["before Host", "behind Host"])
def test_a_value_is_refused_wherever_it_stands(evil: str, behind: bool) -> None:
    """Fields are put in order with Host first; what is put in order must have been judged as it came."""
    headers = [*HOST, ("X", evil)] if behind else [("X", evil), *HOST]

    with pytest.raises(LocalProtocolError):
        Request(method="GET", target="/", headers=headers)


def test_a_str_is_judged_by_what_it_encodes_to() -> None:
    """A subclass may encode itself as it likes, but into bytes, and into legal ones."""

    class Sly(str):
        __slots__ = ()
        encoded: Any

        def encode(self, *_: object) -> Any:
            return self.encoded

    class Liar(Sly):
        encoded = b"y\r\nZ: evil"

    class Loop(Sly):
        encoded = "y"

    with pytest.raises(LocalProtocolError):
        Request(method="GET", target="/", headers=[*HOST, ("X", Liar("y"))])
    with pytest.raises(TypeError):
        Request(method="GET", target="/", headers=[*HOST, ("X", Loop("y"))])


def test_a_field_may_be_bytes_and_str() -> None:
    request = Request(method="GET", target="/", headers=[(b"Host", "h"), (b"X", "y")])

    assert [(b"Host", b"h"), (b"X", b"y")] == request.headers.raw_items()


def test_what_is_remembered_of_names_and_hosts_is_bounded_and_the_rest_counts_as_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program that talks to a million hosts, or spells a million names, must not fill the memory with them."""
    monkeypatch.setattr(headers, "NAMES", {})
    monkeypatch.setattr(headers, "MAX_NAMES", 2)
    monkeypatch.setattr(events, "_hosts", set())
    monkeypatch.setattr(events, "MAX_HOSTS", 2)

    for number in range(5):
        fields = [(b"Host", b"h%d" % number), (b"X-%d" % number, b"y")]
        assert fields == Request(method="GET", target="/", headers=fields).headers.raw_items()

    assert (2, 2) == (len(headers.NAMES), len(events._hosts))
    with pytest.raises(LocalProtocolError):
        Request(method="GET", target="/", headers=[(b"Host", b"a b")])
