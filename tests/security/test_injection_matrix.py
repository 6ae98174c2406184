"""The injection matrix: every control character, through every argument that ends up on the wire (catalogue row E6).

A has no script, so a connection fails the test, unless the test says what A may see.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import client
from client import protocol
from client.auth import HTTPBearerAuth, HTTPDigestAuth
from client.cookies import cookiejar_from_dict
from client.exceptions import InvalidRequest
from client.headers import CaseInsensitiveDict
from tests.security.origins import Origins
from tests.security.test_injection import LINE_ENDS, LyingBytes, LyingText, refused, sent

pytestmark = pytest.mark.timeout(10)

CONTROLS = [chr(code) for code in (*range(0x20), 0x7F)]

CONTAINERS: dict[str, Any] = {
    "dict": dict,
    "pairs": list,
    "tuple": tuple,
    "generator": lambda pairs: (pair for pair in pairs),
    "CaseInsensitiveDict": CaseInsensitiveDict,
}
KINDS: dict[str, Any] = {
    "str": str,
    "bytes": str.encode,
    "subclass of str": LyingText,
    "subclass of bytes": lambda text: LyingBytes(text.encode()),
}


@pytest.mark.parametrize("container", ["dict", "pairs", "tuple", "generator"])
@pytest.mark.parametrize("kind", KINDS)
def test_row_e6_no_header_value_takes_a_control_character(
    origins: Origins, kind: str, container: str
) -> None:
    """HTAB may stand inside a value; nothing else below 0x20 may, nor DEL."""
    make, pack = KINDS[kind], CONTAINERS[container]
    for control in CONTROLS:
        if control != "\t":
            refused(origins, headers=pack([(make("X-Y"), make(f"a{control}b"))]))


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("kind", ["str", "bytes", "subclass of str"])
def test_row_e6_no_header_name_takes_a_control_character(origins: Origins, kind: str, container: str) -> None:
    make, pack = KINDS[kind], CONTAINERS[container]
    for control in (*CONTROLS, " ", ":"):
        if container == "CaseInsensitiveDict" and kind == "bytes":
            continue  # its keys are str
        refused(origins, headers=pack([(make(f"a{control}b"), make("v"))]))


def test_row_e6_a_name_that_reads_differently_is_sent_as_it_was_read(origins: Origins) -> None:
    request = sent(origins, headers={LyingBytes(b"a\r\nX: y"): "v"})

    assert b"\r\nharmless: v\r\n" in request
    assert b"X: y" not in request


@pytest.mark.parametrize("kind", KINDS)
def test_row_e6_no_trailer_takes_a_control_character(origins: Origins, kind: str) -> None:
    make = KINDS[kind]
    for control, half in itertools.product(CONTROLS, ("name", "value")):
        if control == "\t" and half == "value":
            continue
        text = f"a{control}b"
        trailers = {make(text): make("v")} if half == "name" else {make("X-Y"): make(text)}
        refused(origins, method="POST", data=iter([b"x"]), trailers=trailers)


@pytest.mark.parametrize("kind", ["str", "bytes", "subclass of str"])
@pytest.mark.parametrize("place", ["path", "query", "host", "userinfo", "fragment", "scheme"])
def test_row_e6_no_url_takes_a_control_character(origins: Origins, kind: str, place: str) -> None:
    forms = {
        "path": "http://{1}/a{0}b",
        "query": "http://{1}/?a{0}b",
        "host": "http://a{0}b/",
        "userinfo": "http://u{0}:p@{1}/",
        "fragment": "http://{1}/#a{0}b",
        "scheme": "ht{0}tp://{1}/",
    }
    for control in CONTROLS:
        refused(origins, url=KINDS[kind](forms[place].format(control, f"127.0.0.1:{origins.a.port}")))


@pytest.mark.parametrize("kind", ["str", "subclass of str"])
def test_row_e6_no_method_takes_a_control_character(origins: Origins, kind: str) -> None:
    for control in (*CONTROLS, " "):
        refused(origins, method=KINDS[kind](f"GET{control}"))


@pytest.mark.parametrize("half", ["name", "value"])
@pytest.mark.parametrize("kind", ["str", "bytes", "subclass of str"])
def test_row_e6_parameters_are_escaped(origins: Origins, kind: str, half: str) -> None:
    text = KINDS[kind]("".join(CONTROLS) + " HTTP/1.1\r\nX: y")
    request = sent(origins, params={text: "v"} if half == "name" else {"n": text})

    target = request.partition(b"\r\n")[0].removeprefix(b"GET ").removesuffix(b" HTTP/1.1")
    assert b" " not in target
    assert b"%0D%0AX" in target
    assert b"\r\nX" not in request


@pytest.mark.parametrize("half", ["name", "value"])
def test_row_e6_no_cookie_takes_a_control_character(origins: Origins, half: str) -> None:
    for control in CONTROLS:
        text = f"a{control}b"
        for container in (dict, lambda pairs: cookiejar_from_dict(dict(pairs))):
            with origins.session() as session, pytest.raises(ValueError, match=r"."):
                cookies = container([(text, "v") if half == "name" else ("n", text)])
                session.get(origins.url_a, cookies=cookies)


def test_row_e6_basic_credentials_are_encoded_and_tokens_checked(origins: Origins) -> None:
    request = sent(origins, auth=("u\r\nX: y", "p\0\n"))
    assert b"\r\nX" not in request

    for control in CONTROLS:
        if control != "\t":
            with origins.session() as session, pytest.raises(ValueError, match=r"."):
                session.get(origins.url_a, auth=HTTPBearerAuth(f"a{control}b"))


def test_row_e6_no_user_of_digest_takes_a_control_character() -> None:
    """Before the first request: the field is written only when a server has asked for it."""
    for control in CONTROLS:
        with pytest.raises(InvalidRequest):
            HTTPDigestAuth(f"u{control}X: y", "p")


def test_row_e6_what_an_auth_callable_writes_is_checked_too(origins: Origins) -> None:
    def sign(request: client.PreparedRequest) -> client.PreparedRequest:
        request.headers["X-Signature"] = "a\r\nInjected: s3cr3t"
        return request

    refused(origins, auth=sign)


@pytest.mark.parametrize("change", ["headers", "url"])
def test_row_e6_what_is_changed_after_preparing_is_checked_too(origins: Origins, change: str) -> None:
    with origins.session() as session:
        prepared = session.prepare_request(client.Request("GET", origins.url_a))
        with pytest.raises(InvalidRequest):
            if change == "headers":
                prepared.headers["X"] = "a\r\nInjected: s3cr3t"
            else:
                prepared.url = origins.url_a + "/\r\nX: y"
            session.send(prepared)


@pytest.mark.parametrize("method", ["GET / HTTP/1.1\r\nX: y", "GET\n", b"G\0T"])
def test_row_e6_and_no_byte_of_a_method_that_was_changed_is_sent(origins: Origins, method: Any) -> None:
    """Not even a connection is made: the origins have no script, and would report one."""
    with origins.session() as session:
        prepared = session.prepare_request(client.Request("GET", origins.url_a))
        prepared.method = method
        with pytest.raises(InvalidRequest):
            session.send(prepared)


def test_row_e6_the_engine_is_the_last_to_check() -> None:
    for control in LINE_ENDS:
        connection = protocol.Connection(protocol.CLIENT)
        for request in (
            {"method": f"G{control}T", "target": "/"},
            {"method": "GET", "target": f"/{control}"},
            {"method": "GET", "target": "/", "headers": [("Host", f"a{control}")]},
        ):
            arguments: dict[str, Any] = {"headers": [("Host", "a")], **request}
            with pytest.raises(protocol.LocalProtocolError):
                connection.send(protocol.Request(**arguments))
