"""Rows 37-51: a cookie goes to the host that set it, and none can break the jar, the request or the next hour.

What the jar decides is proved in `tests.test_cookie_store` and `tests.test_set_cookie`; here it is seen on the wire.
"""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import pytest

import client
from client.cookies import RequestsCookieJar, cookiejar_from_dict
from client.url import parse_url
from tests.scripted_server import Close, Expect, Send, StartTLS
from tests.security.origins import OK, Origins, fields, redirect, response
from tests.tls_authority import TLSAuthority

pytestmark = pytest.mark.timeout(10)

QUICK = 0.5  # seconds; ten times what a linear parser needs for 64 KiB on a loaded machine


def cookie_after(origins: Origins, setter: str, *set_cookies: bytes, then: str) -> bytes | None:
    """Have *setter* set cookies; return the Cookie field of the next request to *then* (``host`` or ``host/path``)."""
    host, _, path = then.partition("/")
    port = origins.a.port
    origins.a.script(
        Expect(),
        Send(response(*(b"Set-Cookie: " + value for value in set_cookies), b"Connection: close")),
        Close(),
    )
    second = origins.a.answer(OK)
    with origins.session() as session:
        session.get(f"http://{setter}:{port}/")
        session.get(f"http://{host}:{port}/{path}")
    return fields(second.requests[0]).get(b"cookie")


def test_row_037_a_cookie_without_a_domain_stays_at_its_host_across_a_redirect(origins: Origins) -> None:
    at_a = origins.a.answer(redirect(f"{origins.url_b}/", 302, b"Set-Cookie: sid=s3cr3t"), OK)
    at_b = origins.b.answer(redirect(f"{origins.url_a}/"))

    with origins.session() as session:
        session.get(origins.url_a)

    assert b"cookie" not in fields(at_b.requests[0])
    assert b"sid=s3cr3t" == fields(at_a.requests[1])[b"cookie"]


@pytest.mark.parametrize("setter", ["ample.test", "example.test.evil", "x.ample.test"])
def test_row_038_a_domain_matches_whole_labels(origins: Origins, setter: str) -> None:
    assert cookie_after(origins, setter, b"c=1; Domain=ample.test", then="example.test") is None


@pytest.mark.parametrize("domain", [b".0.1", b"0.0.1", b".0.0.1", b"1", b".127.0.0.1"])
def test_row_039_part_of_an_address_is_no_domain(origins: Origins, domain: bytes) -> None:
    """Through a proxy, so that the second address needs no listener."""
    at_proxy = origins.a.answer(response(b"Set-Cookie: c=1; Domain=" + domain), OK)

    with origins.session(proxies={"all": f"http://127.0.0.1:{origins.a.port}"}) as session:
        session.get("http://127.0.0.1/")
        session.get("http://127.9.0.1/")

    assert b"cookie" not in fields(at_proxy.requests[1])


@pytest.mark.parametrize(
    ("setter", "domain", "then"),
    [
        ("a.test", b"TEST", "b.test"),
        ("a.test", b"test.", "b.test"),
        ("a.co.uk", b"cO.Uk", "b.co.uk"),
        ("a.co.uk", b"co.uk.", "b.co.uk"),
        ("a.co.uk.", b"co.uk.", "b.co.uk."),
        ("a.github.io", b"github.io", "b.github.io"),
    ],
)
def test_row_040_a_public_suffix_is_no_domain(
    origins: Origins, setter: str, domain: bytes, then: str
) -> None:
    """The names below ``.test`` need no list; the others need the extra ``psl``."""
    assert cookie_after(origins, setter, b"c=1; Domain=" + domain, then=then) is None


def test_row_041_no_cookie_breaks_the_file_of_the_others(origins: Origins, tmp_path: Path) -> None:
    path = tmp_path / "cookies.txt"
    lines = [b"good=1", b"big=" + b"x" * 9000, b"tab=a\tb.evil\tTRUE\t/", b"hash=#HttpOnly_evil", b"also=2"]
    origins.a.answer(response(*(b"Set-Cookie: %b; Max-Age=1000" % line for line in lines)))
    later = origins.b.answer(OK)

    with origins.session() as session:
        session.get(origins.url_a)
        session.cookies.save(path)
    with origins.session() as session:
        session.cookies.load(path)
        session.get(f"http://a.test:{origins.b.port}/")

    sent = fields(later.requests[0])[b"cookie"].split(b"; ")
    assert {b"good=1", b"also=2", b"hash=#HttpOnly_evil"} <= set(sent)
    assert [] == [pair for pair in sent if b"\t" in pair or len(pair) > 4200]
    assert 0o600 == path.stat().st_mode & 0o777


@pytest.mark.parametrize("name", ["none", "-", "%00", "a b"])
def test_row_041_no_file_name_is_magic(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    cookiejar_from_dict({"a": "b"}).save(name)

    assert [name] == [found.name for found in tmp_path.iterdir()]


def test_row_042_a_flood_of_cookies_does_not_make_later_requests_fail(origins: Origins) -> None:
    floods = [
        response(
            *(
                b"Set-Cookie: n%d=%b; Domain=a.test" % (number, b"x" * 4000)
                for number in range(start, start + 15)
            )
        )
        for start in range(0, 75, 15)
    ]
    seen = origins.a.answer(*floods, OK)

    with origins.session() as session:
        for _ in range(6):
            session.get(f"http://sub.a.test:{origins.a.port}/")
        kept = len(session.cookies)

    assert 0 < len(fields(seen.requests[5])[b"cookie"]) <= 8190
    assert 50 == kept


@pytest.mark.parametrize("value", [b"a=b\x01c", b"a=b\x7fc", b"a\x01=b", b"a=b; Path=/\x02"])
def test_row_043_a_control_character_in_set_cookie_never_comes_back(origins: Origins, value: bytes) -> None:
    """The engine refuses the whole response: RFC 9110 section 5.5 has no such octets in a field."""
    origins.a.script(Expect(), Send(response(b"Set-Cookie: " + value)), Close())

    with origins.session() as session:
        with pytest.raises(client.exceptions.ProtocolError):
            session.get(origins.url_a)
        assert not session.cookies


def crafted_state(jar: RequestsCookieJar) -> RequestsCookieJar:
    """Return the jar that a pickle with a doctored value would make."""
    twin = pickle.loads(pickle.dumps(jar).replace(b"harmless", b"ab\r\nX: y"))
    assert isinstance(twin, RequestsCookieJar)
    return twin


@pytest.mark.parametrize("control", ["\r\n", "\n", "\r", "\0", "\x01", "\x7f", ";"], ids=repr)
@pytest.mark.parametrize("road", ["set", "item", "update", "dict", "argument", "session", "name"])
def test_row_043_the_callers_cookies_cannot_inject(origins: Origins, road: str, control: str) -> None:
    """Refused before a connection is made: A has no script."""
    bad = f"b{control}X: y"

    with origins.session() as session, pytest.raises(ValueError, match=r"."):
        match road:
            case "set":
                session.cookies.set("a", bad)
            case "item":
                session.cookies["a"] = bad
            case "update":
                session.cookies.update({"a": bad})
            case "dict":
                cookiejar_from_dict({"a": bad})
            case "argument":
                session.get(origins.url_a, cookies={"a": bad})
            case "session":
                client.Session(cookies={"a": bad})
            case "name":
                session.get(origins.url_a, cookies={bad: "a"})


def test_row_043_nor_can_a_pickled_jar() -> None:
    with pytest.raises(ValueError, match=r"."):
        crafted_state(cookiejar_from_dict({"a": "harmless"}))


def test_row_044_a_plain_site_leaves_secure_cookies_alone(
    origins: Origins, tls_authority: TLSAuthority
) -> None:
    port = origins.a.port
    context = tls_authority.server_context("a.test")
    origins.a.script(
        StartTLS(context), Expect(), Send(response(b"Set-Cookie: s=good; Secure; Path=/")), Close()
    )
    origins.a.script(Expect(), Send(response(b"Set-Cookie: s=evil; Path=/", b"Connection: close")), Close())
    after = origins.a.script(StartTLS(context), Expect(), Send(OK), Close())

    with origins.session(verify=str(tls_authority.bundle)) as session:
        session.get(f"https://a.test:{port}/")
        session.get(f"http://a.test:{port}/")
        session.get(f"https://a.test:{port}/", headers={"Connection": "close"})

    assert b"s=good" == fields(after.requests[0])[b"cookie"]


def seconds_for(origins: Origins, line: bytes) -> float:
    origins.a.answer(response(line))
    with origins.session() as session:
        started = time.process_time()
        session.get(origins.url_a)
        session.cookies.header_for(parse_url(origins.url_a), time.time())
        return time.process_time() - started


@pytest.mark.parametrize(
    "value", [b'a="' + b"\\" * 60_000, b'a="' + b'\\"' * 30_000 + b'"', b"a=" + b"=" * 60_000]
)
def test_row_045_backslashes_take_linear_time(origins: Origins, value: bytes) -> None:
    assert seconds_for(origins, b"Set-Cookie: " + value) < QUICK


@pytest.mark.parametrize("filling", [b"0", b" ", b"0 ", b"00:", b"Jan "], ids=repr)
def test_row_046_a_date_takes_linear_time(origins: Origins, filling: bytes) -> None:
    line = b"Set-Cookie: a=b; expires=" + filling * (60_000 // len(filling)) + b"x"

    assert seconds_for(origins, line) < QUICK


@pytest.mark.parametrize("then", ["a.test/anybody", "a.test/an", "a.test/any%2f", "a.test/ANY"])
def test_row_047_a_path_matches_whole_segments(origins: Origins, then: str) -> None:
    assert cookie_after(origins, "a.test", b"c=1; Path=/any", then=then) is None


@pytest.mark.parametrize("then", ["a.test/any", "a.test/any/body"])
def test_row_047_and_below_it_the_cookie_is_sent(origins: Origins, then: str) -> None:
    assert b"c=1" == cookie_after(origins, "a.test", b"c=1; Path=/any", then=then)


def test_row_048_a_hundred_thousand_pairs_cost_nothing_and_say_nothing(
    origins: Origins, caplog: pytest.LogCaptureFixture
) -> None:
    """The rest of the line is attributes; and the head has its limit of 64 KiB."""
    assert seconds_for(origins, b"Set-Cookie: " + b"a=;" * 20_000) < QUICK
    assert [] == caplog.records

    origins.b.script(Expect(), Send(response(b"Set-Cookie: " + b"a=;" * 100_000), may_fail=True), Close())
    with origins.session() as session, pytest.raises(client.exceptions.ProtocolError):
        session.get(origins.url_b)


def test_row_049_a_file_keeps_that_a_cookie_is_for_its_host_only(origins: Origins, tmp_path: Path) -> None:
    path = tmp_path / "cookies.txt"
    origins.a.answer(response(b"Set-Cookie: c=1; Max-Age=1000"))
    elsewhere, there = origins.b.answer(OK), origins.b.answer(OK)

    with origins.session() as session:
        session.get(origins.url_a)
        session.cookies.save(path)
    with origins.session() as session:
        session.cookies.load(path)
        session.get(f"http://sub.a.test:{origins.b.port}/")
        session.get(f"http://a.test:{origins.b.port}/")

    assert b"cookie" not in fields(elsewhere.requests[0])
    assert b"c=1" == fields(there.requests[0])[b"cookie"]


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, fuse: Path) -> None:
        self.fuse = fuse

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.fuse,)


def test_row_050_loading_a_jar_runs_nothing(tmp_path: Path) -> None:
    path, fuse = tmp_path / "cookies.txt", tmp_path / "exploded"
    path.write_bytes(pickle.dumps(Bomb(fuse)))
    jar = RequestsCookieJar()

    with pytest.raises((OSError, ValueError)):
        jar.load(path)

    assert not fuse.exists()
    assert 0 == len(jar)


def test_row_051_a_value_is_opaque(origins: Origins) -> None:
    assert b"a=%0d%0aX: y%3b" == cookie_after(origins, "a.test", b"a=%0d%0aX: y%3b", then="a.test")


@pytest.mark.parametrize("name", ["NoneOfYour", "xNone", "none "])
def test_row_051_same_site_is_no_reason_to_send_or_not(origins: Origins, name: str) -> None:
    """There is no site in a program: the attribute is kept, and read by nobody."""
    cookie = cookie_after(origins, "a.test", b"a=b; SameSite=" + name.encode(), then="a.test")

    assert b"a=b" == cookie


@pytest.mark.parametrize("stream", [False, True])
def test_a_body_that_breaks_off_does_not_take_the_cookies_of_its_head_along(
    origins: Origins, stream: bool
) -> None:
    """A login that answers with a broken page has logged in all the same; found by the fuzzer as a difference."""
    broken = (
        b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=1\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"
    )
    origins.a.answer(broken)

    with origins.session() as session:
        with pytest.raises(client.ContentDecodingError):
            session.get(origins.url_a, stream=stream).content  # noqa: B018  # reads it
        assert {"sid": "1"} == session.cookies.get_dict()
