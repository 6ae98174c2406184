"""Rows 52-71: what a caller passes on unread cannot become a second request, another header or another host.

Each test has a listener that must not see a connection, or must see exactly one request line.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

import client
from client.exceptions import InvalidRequest, InvalidURL, MissingSchema, RedirectError
from tests.security.origins import OK, Origins, redirect

pytestmark = pytest.mark.timeout(10)

QUICK = 0.5  # seconds; a multiple of what linear work takes on a loaded machine

CONTROLS = [chr(code) for code in (*range(0x20), 0x7F)]
LINE_ENDS = ["\r\n", "\n", "\r", "\0"]


def refused(origins: Origins, **arguments: Any) -> InvalidRequest:
    """Make the call at A, for which there is no script: a connection would fail the test."""
    with origins.session() as session, pytest.raises(InvalidRequest) as caught:
        session.request(**{"method": "GET", "url": origins.url_a, **arguments})
    assert "Injected: s3cr3t" not in str(caught.value)
    return caught.value


def sent(origins: Origins, **arguments: Any) -> bytes:
    """Make the call at A and return the whole request as it was sent."""
    at_a = origins.a.answer(OK)
    with origins.session() as session:
        session.request(**{"method": "GET", "url": origins.url_a, **arguments})
    return at_a.requests[0]


class LyingText(str):
    """A text that says of itself that it is harmless."""

    __slots__ = ()

    def __str__(self) -> str:
        return "harmless"

    def __repr__(self) -> str:
        return "'harmless'"

    def __iter__(self) -> Iterator[str]:
        return iter("harmless")

    def __contains__(self, part: object) -> bool:
        return False

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"harmless"

    def strip(self, *_: object) -> str:
        return "harmless"

    def lower(self) -> str:
        return "harmless"

    def upper(self) -> str:
        return "HARMLESS"


class LyingBytes(bytes):
    """Bytes that say of themselves that they are harmless."""

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return "harmless"

    def __iter__(self) -> Iterator[int]:
        return iter(b"harmless")

    def __contains__(self, part: object) -> bool:
        return False


# -- the rows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("control", [*LINE_ENDS, "\t", "\x01", "\x7f"], ids=repr)
@pytest.mark.parametrize(
    "place", ["http://{0}/?q=a{1}X: y", "http://{0}/a{1}X: y", "http://a{1}b.test:1/", "http://{0}/#a{1}b"]
)
def test_row_052_no_control_character_gets_through_a_url(origins: Origins, place: str, control: str) -> None:
    refused(origins, url=place.format(origins.url_a.removeprefix("http://"), control))


def test_row_052_a_blank_in_a_url_is_escaped(origins: Origins) -> None:
    request = sent(origins, url=origins.url_a + "/a b?c d HTTP/1.1")

    assert request.startswith(b"GET /a%20b?c%20d%20HTTP/1.1 HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "method", ["GET / HTTP/1.1\r\nX: y", "GET ", " GET", "G\0T", "GÉT", "", "G:T", "GET\n"]
)
def test_row_053_a_method_is_a_token(origins: Origins, method: str) -> None:
    refused(origins, method=method)


@pytest.mark.parametrize("name", ["http_version", "version"])
def test_row_054_the_version_is_not_the_callers(origins: Origins, name: str) -> None:
    with origins.session() as session, pytest.raises(TypeError, match=name):
        arguments: dict[str, Any] = {name: "1.1\r\nX: y"}
        session.get(origins.url_a, **arguments)


@pytest.mark.parametrize("control", LINE_ENDS, ids=repr)
@pytest.mark.parametrize("kind", [str, str.encode], ids=["str", "bytes"])
def test_row_055_no_control_character_gets_through_a_url_of_bytes(
    origins: Origins, kind: Any, control: str
) -> None:
    refused(origins, url=kind(f"{origins.url_a}/a HTTP/1.1{control}X: y"))


@pytest.mark.parametrize(
    "host", ["a\r\nX: y", "a b", "a/b", "a\0b", "u@h", "a?b", "a#b", "a,b\\", "[::1", "a:b"]
)
@pytest.mark.parametrize("kind", [str, str.encode], ids=["str", "bytes"])
def test_row_056_a_host_header_is_a_host(origins: Origins, kind: Any, host: str) -> None:
    refused(origins, headers={"Host": kind(host)})


@pytest.mark.parametrize("control", LINE_ENDS, ids=repr)
@pytest.mark.parametrize(
    "place", ["http://u{0}X: y:p@127.0.0.1:1", "http://127.0.0.1{0}X: y:1", "http://127.0.0.1:1/{0}X: y"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_row_057_no_control_character_gets_through_a_proxys_url(
    origins: Origins, place: str, control: str, scheme: str
) -> None:
    refused(origins, url=f"{scheme}://a.test/", proxies={"all": place.format(control)})


@pytest.mark.parametrize("control", LINE_ENDS, ids=repr)
def test_row_057_nor_through_the_host_of_a_tunnel(origins: Origins, control: str) -> None:
    refused(origins, url=f"https://a{control}b.test/", proxies={"all": f"http://127.0.0.1:{origins.a.port}"})


@pytest.mark.parametrize("kind", [str, str.encode, LyingText, lambda text: LyingBytes(text.encode())])
@pytest.mark.parametrize("name", ["X-Y", "Content-Type", "Upgrade", "User-Agent", "Authorization"])
@pytest.mark.parametrize("control", LINE_ENDS, ids=repr)
def test_row_058_what_is_checked_is_what_would_be_sent(
    origins: Origins, kind: Any, name: str, control: str
) -> None:
    refused(origins, headers={name: kind(f"a{control}Injected: s3cr3t")})


@pytest.mark.parametrize(
    "value", [1, 1.5, True, ["a"], ("a",), object(), bytearray(b"a\r\nb"), memoryview(b"a\r\nb")]
)
def test_row_058_an_object_that_is_no_text_is_refused(origins: Origins, value: Any) -> None:
    refused(origins, headers={"X": value})


@pytest.mark.parametrize("control", LINE_ENDS, ids=repr)
@pytest.mark.parametrize(
    "entry",
    [
        ("n", ("f", b"", "t/p{0}Z: 1")),
        ("n", ("f", b"", "t/p", {"X": "a{0}Z: 1"})),
        ("n", ("f", b"", "t/p", {"X{0}Z": "a"})),
    ],
    ids=["type", "value of a header", "name of a header"],
)
def test_row_059_the_head_of_a_part_cannot_be_broken_apart(
    origins: Origins, entry: Any, control: str
) -> None:
    name, (filename, content, kind, *headers) = entry
    headers = [{k.format(control): v.format(control) for k, v in given.items()} for given in headers]

    refused(origins, method="POST", files={name: (filename, content, kind.format(control), *headers)})


@pytest.mark.parametrize("name", ['a"b', "a\r\nX: y", "a\nb", "a\rb", 'a"; filename="evil.exe'])
def test_row_059_quotes_and_line_ends_in_names_are_escaped(name: str) -> None:
    request = client.Request(
        "POST", "http://a.test/", data={name: "1"}, files={"f" + name: ("g" + name, b"2")}
    )
    body = request.prepare().body

    assert isinstance(body, bytes)
    heads = [part.partition(b"\r\n\r\n")[0] for part in body.split(b"--" + body[2:34])[1:-1]]
    assert [1, 2] == [head.count(b"\r\n") for head in heads] or [1, 1] == [
        head.count(b"\r\n") for head in heads
    ]
    assert [2, 4] == [head.count(b'"') for head in heads]


@pytest.mark.parametrize("place", ["data", "files", "filename"])
def test_row_059_nul_in_a_name_is_refused(origins: Origins, place: str) -> None:
    arguments: dict[str, dict[str, Any]] = {
        "data": {"data": {"a\0b": "1"}, "files": {"f": b""}},
        "files": {"files": {"a\0b": b""}},
        "filename": {"files": {"f": ("a\0b", b"")}},
    }

    refused(origins, method="POST", **arguments[place])


def test_row_060_a_boundary_cannot_be_foretold() -> None:
    """128 bits of the operating system's randomness; the seed of `random` changes nothing."""
    import random

    boundaries = set()
    for _ in range(1000):
        random.seed(1)
        request = client.Request("POST", "http://a.test/", files={"f": b""})
        boundaries.add(request.prepare().headers["Content-Type"])

    assert 1000 == len(boundaries)
    assert 32 <= min(len(text.partition("boundary=")[2]) for text in boundaries)


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Length", "1"), ("content-length", "2")],
        [("Content-Length", "2"), ("content-length", "2")],
        {"Content-Length": "1", "CONTENT-LENGTH": "2"},
        {"Content-Length": "2", "Transfer-Encoding": "chunked"},
        {"Content-Length": "3"},
        {"Content-Length": "+2"},
        {"Content-Length": "2, 2"},
        {b"content-length": b"1"},
    ],
)
def test_row_061_no_second_or_false_length_is_ever_sent(origins: Origins, headers: Any) -> None:
    """Refused, or replaced by the true one: requests documents the latter for some of these forms."""
    with origins.session() as session:
        try:
            prepared = session.prepare_request(
                client.Request("POST", origins.url_a, headers=headers, data=b"ok")
            )
        except InvalidRequest:
            pass
        else:
            framing = [
                field
                for field in ((name.lower(), value) for name, value in prepared.wire_fields())
                if field[0] in (b"content-length", b"transfer-encoding")
            ]
            assert framing in ([(b"content-length", b"2")], [(b"transfer-encoding", b"chunked")])


@pytest.mark.parametrize(
    "url",
    ["ht\ntp://a.test/", "\x01http://a.test/", "\thttp://a.test", "data:text/html,a\r\nX: y", "file:///etc/passwd",
     "http\t://a.test/", "http:/\r/a.test/", "javascript:alert(1)", "a\0:b"],
)  # fmt: skip
def test_row_062_a_url_is_not_mended(origins: Origins, url: str) -> None:
    refused(origins, url=url)


def test_row_062_blanks_around_a_url_do_not_get_past_a_check(origins: Origins) -> None:
    """requests strips leading blanks; what is then read is what is checked, and connected to."""
    with origins.session() as session:
        try:
            prepared = session.prepare_request(client.Request("GET", " http://a.test/"))
        except (InvalidURL, MissingSchema):
            return
    assert "http://a.test/" == prepared.url


@pytest.mark.parametrize(
    "host",
    ["a.test\u2100.b.test", "a\uff0fb.test", "a\uff20b", "a\uff1ab", "a\uff03b", "xn--example-.test", "xn--a\u00e9",
     "a\u2048b", "a\ufe5fb", "\u00ad", "a\u3002\u3002b", "xn--\u2100", "evil.test\uff03@a", "u:evil.test\uff0f@a"],
)  # fmt: skip
@pytest.mark.parametrize("as_location", [False, True], ids=["url", "location"])
def test_row_063_no_character_turns_into_a_delimiter(origins: Origins, host: str, as_location: bool) -> None:
    if not as_location:
        assert isinstance(refused(origins, url=f"http://{host}/"), InvalidURL)
        return
    origins.a.answer(redirect(f"http://{host}/"))
    with origins.session() as session, pytest.raises(RedirectError):
        session.get(origins.url_a)


@pytest.mark.parametrize(
    "host", ["a%2fb", "127%2e0.0.1", "a%00b", "a%40b", "%61.test", "a%0d%0ab", "[::1%2f]"]
)
def test_row_064_a_host_holds_no_escapes(origins: Origins, host: str) -> None:
    assert isinstance(refused(origins, url=f"http://{host}/"), InvalidURL)


@pytest.mark.parametrize(
    "url",
    ["http://[a.test]/", "http://[::1]x/", "http://[::1/", "http://x[::1]/", "http://[::1]:x/", "http://[]/", "http://]/",
     "http://[::1]]/", "http://[[::1]]/", "http://[::1]@/", "http://[v1.x]/", "http://[::1%]/", "http://[1.2.3.4]/",
     "http://[::ffff:1.2.3.400]/", "http://a.test:99999/", "http://a.test:-1/", "http://a.test:8 0/", "http://a.test:\u0661/"],
)  # fmt: skip
def test_row_065_bad_brackets_and_ports_are_one_kind_of_error(origins: Origins, url: str) -> None:
    assert isinstance(refused(origins, url=url), InvalidURL)


@pytest.mark.parametrize("mark", ["#", "?", "/"])
def test_row_066_the_host_ends_where_the_authority_ends(origins: Origins, mark: str) -> None:
    looked_up = []

    def resolver(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"]

    origins.a.answer(OK)
    with origins.session(resolver=resolver) as session:
        session.get(f"{origins.url_a}{mark}@b.test/")

    assert ["a.test"] == looked_up


@pytest.mark.parametrize(
    "filling", ["@", "%", "../", ".", "/", "a@", "%2", "?", "#", ":", "[", "\\", "//", "%41", "é"]
)
@pytest.mark.parametrize("start", ["http://", "http://a.test/", "http://a.test/?"])
def test_row_067_a_url_of_a_mebibyte_takes_linear_time(start: str, filling: str) -> None:
    url = start + filling * (2**20 // len(filling))
    started = time.process_time()

    with client.Session(trust_env=False) as session:
        try:
            session.prepare_request(client.Request("GET", url))
        except InvalidRequest:
            pass

    assert time.process_time() - started < 2 * QUICK


@pytest.mark.parametrize("filling", ["@", "../", ".", "%", "/"])
def test_row_067_so_does_a_location_and_it_has_a_limit(origins: Origins, filling: str) -> None:
    origins.a.answer(redirect("/" + filling * (20_000 // len(filling))))
    started = time.process_time()

    with origins.session() as session, pytest.raises(RedirectError, match="16384"):
        session.get(origins.url_a)

    assert time.process_time() - started < QUICK


@pytest.mark.parametrize(
    "reference", ["//evil.test/x", "/\\evil.test", "\\\\evil.test", "/x@evil.test", ";//evil.test"]
)
@pytest.mark.parametrize("way", ["params", "base"])
def test_row_068_a_path_or_parameter_never_changes_the_authority(
    origins: Origins, reference: str, way: str
) -> None:
    with origins.session(base_url=origins.url_a if way == "base" else None) as session:
        try:
            if way == "params":
                request = client.Request("GET", origins.url_a, params={"next": reference, reference: ""})
            else:
                request = client.Request("GET", reference)
            url = session.prepare_request(request).url
        except InvalidRequest:
            return
    assert url is not None
    assert url.startswith(origins.url_a)


@pytest.mark.parametrize("form", ["http://b.test:1/x", "HTTP://B.test:1/x", b"http://b.test:1/x"])
def test_row_069_an_absolute_url_takes_nothing_of_the_base_along(origins: Origins, form: Any) -> None:
    secrets: dict[str, Any] = {
        "auth": ("u", "s3cr3t"),
        "headers": {"X-Key": "s3cr3t"},
        "cookies": {"c": "s3cr3t"},
    }

    with origins.session(base_url=origins.url_a, **secrets) as session:
        below = session.prepare_request(client.Request("GET", "/x")).wire_fields()
        elsewhere = session.prepare_request(client.Request("GET", form)).wire_fields()

    assert [3, 0] == [sum(secret in value for _, value in sent_fields for secret in (b"s3cr3t", b"dTpzM2NyM3Q="))
                      for sent_fields in (below, elsewhere)]  # fmt: skip


@pytest.mark.parametrize(
    "form",
    [
        "//b.test/x",
        "/\\b.test/x",
        "\\\\b.test/x",
        "../../x",
        "/..//b.test/",
        "%2e%2e/x",
        "a/.%2E/%2e./x",
        "%2E%2e?q",
    ],
)
def test_row_069_a_reference_that_might_be_another_host_is_refused(origins: Origins, form: str) -> None:
    with origins.session(base_url=f"{origins.url_a}/api") as session, pytest.raises(InvalidURL):
        session.get(form)


@pytest.mark.parametrize("label", ["a", "é", "a.", "xn--a", "\u0661", "1."])
@pytest.mark.parametrize("as_location", [False, True], ids=["url", "location"])
def test_row_070_a_long_host_takes_no_time(origins: Origins, label: str, as_location: bool) -> None:
    host = label * (100_000 // len(label)) if not as_location else label * (5000 // len(label))
    started = time.process_time()

    if as_location:
        origins.a.answer(redirect(f"http://{host}/"))
        with origins.session() as session, pytest.raises(RedirectError):
            session.get(origins.url_a)
    else:
        refused(origins, url=f"http://{host}/")

    assert time.process_time() - started < QUICK


@pytest.mark.parametrize("host", ["a.test\0.b", "a\0", "\0", "a.test%00.b"])
def test_row_071_nul_does_not_end_a_host(origins: Origins, host: str) -> None:
    refused(origins, url=f"http://{host}/")
