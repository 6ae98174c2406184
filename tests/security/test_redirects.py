"""Rows X1-X9 and 134: where a redirect may lead, with what, and how it ends."""

from __future__ import annotations

import io
import time

import pytest

import client
from client.exceptions import (
    AddressNotAllowed,
    ProtocolError,
    ProxyError,
    RedirectError,
    TooManyRedirects,
    UnrewindableBodyError,
)
from tests.scripted_server import (
    AnswerSlowly,
    Close,
    Expect,
    ExpectClosed,
    Hold,
    ScriptedServer,
    Send,
    StartTLS,
)
from tests.security.origins import OK, Origins, fields, redirect, response
from tests.tls_authority import TLSAuthority

pytestmark = pytest.mark.timeout(10)

SECRET = "s3cr3t"


def target_after(server: ScriptedServer, path: str, location: bytes) -> tuple[bytes, client.Response]:
    """GET *path*, which redirects to *location* on the same origin; return the second request's target."""
    seen = server.answer(response(b"Location: " + location, status=b"302 Go", body=b""), OK)
    with client.Session(trust_env=False) as session:
        answer = session.get(server.url + path)
    return seen.requests[1].split(b" ")[1], answer


@pytest.mark.parametrize("locations", [["/"], ["/a", "/b"]], ids=["itself", "two of them"])
def test_row_x1_a_loop_ends_at_the_limit(scripted_server: ScriptedServer, locations: list[str]) -> None:
    """30 hops, as in requests; the error holds the last answer."""
    scripted_server.answer(*(redirect(locations[hop % len(locations)]) for hop in range(31)))

    with client.Session(trust_env=False) as session, pytest.raises(TooManyRedirects) as caught:
        session.get(scripted_server.url)

    assert caught.value.response is not None
    assert 30 == len(caught.value.response.history)


def test_row_x1_a_growing_url_ends_at_the_limit_too(scripted_server: ScriptedServer) -> None:
    scripted_server.answer(*(redirect("x" * 500 * hop + "/") for hop in range(1, 32)))

    with client.Session(trust_env=False) as session, pytest.raises((TooManyRedirects, RedirectError)):
        session.get(scripted_server.url)


@pytest.mark.parametrize(
    "location", ["//", "http:///x", "http://", "http:", "https://?x", "///", "http://:80/"]
)
def test_row_x1_a_location_without_a_host_is_an_error_at_once(
    scripted_server: ScriptedServer, location: str
) -> None:
    scripted_server.answer(redirect(location))

    with client.Session(trust_env=False) as session, pytest.raises(RedirectError):
        session.get(scripted_server.url)


def test_row_x1_an_empty_location_is_none(scripted_server: ScriptedServer) -> None:
    scripted_server.answer(redirect(""))

    with client.Session(trust_env=False) as session:
        assert 302 == session.get(scripted_server.url).status_code


FORBIDDEN = ["file:///etc/passwd", "FILE:///etc/passwd", "ftp://a.test/", "data:text/html,x", "gopher://a.test/", "javascript:x",
             "unix:/run/x", "http+unix://%2Fvar%2Frun%2Fdocker.sock/", "jar:http://a!/",
             "dict://a.test/", "mailto:a@b", "blob:http://a/", "wss://a.test/"]  # fmt: skip


@pytest.mark.parametrize("location", FORBIDDEN)
def test_row_x2_only_http_and_https_are_followed(scripted_server: ScriptedServer, location: str) -> None:
    scripted_server.answer(redirect(location))

    with client.Session(trust_env=False) as session, pytest.raises(RedirectError) as caught:
        session.get(scripted_server.url)

    assert caught.value.response is not None
    assert 302 == caught.value.response.status_code


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http+unix://%2Ftmp%2Fx/"])
def test_row_134_a_redirect_opens_no_file(
    scripted_server: ScriptedServer, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted_server.answer(redirect(location))
    opened: list[str] = []
    with client.Session(trust_env=False) as session:
        monkeypatch.setattr(io, "open", lambda *arguments, **_: opened.append(str(arguments)))
        monkeypatch.setattr("builtins.open", lambda *arguments, **_: opened.append(str(arguments)))
        try:
            with pytest.raises(RedirectError):
                session.get(scripted_server.url)
        finally:
            monkeypatch.undo()

    assert [] == opened


def test_row_134_what_only_looks_like_a_scheme_is_a_path(scripted_server: ScriptedServer) -> None:
    """No scheme has an underscore (RFC 3986 section 3.1); urllib opened a file here."""
    target, _ = target_after(scripted_server, "/", b"local_file:///etc/passwd")

    assert b"/local_file:///etc/passwd" == target


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (301, "POST", b"GET"), (302, "POST", b"GET"), (303, "POST", b"GET"), (303, "PUT", b"GET"), (303, "DELETE", b"GET"),
        (303, "HEAD", b"HEAD"), (301, "HEAD", b"HEAD"), (301, "PUT", b"PUT"), (302, "DELETE", b"DELETE"),
        (307, "POST", b"POST"), (308, "POST", b"POST"), (307, "PUT", b"PUT"), (308, "DELETE", b"DELETE"),
    ],
)  # fmt: skip
def test_row_x3_the_method_and_body_of_the_next_hop(
    scripted_server: ScriptedServer, status: int, method: str, expected: bytes
) -> None:
    body = b"" if method in {"HEAD", "DELETE"} else b"s3cr3t"
    kept = body if expected.decode() == method and status != 303 else b""
    answers = [redirect("/there", status), OK]
    if method == "HEAD":
        answers = [answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" for answer in answers]
    seen = scripted_server.script(
        Expect(body=len(body)), Send(answers[0]), Expect(body=len(kept)), Send(answers[1]), Hold()
    )

    with client.Session(trust_env=False) as session:
        session.request(method, scripted_server.url, data=body or None, allow_redirects=True)

    assert seen.requests[1].startswith(expected + b" /there ")
    assert (kept == b"") is (b"s3cr3t" not in seen.requests[1])


@pytest.mark.parametrize("status", [307, 308])
def test_row_x3_a_body_that_is_used_up_is_an_error_and_never_an_empty_one(
    scripted_server: ScriptedServer, status: int
) -> None:
    scripted_server.script(Expect(until=b"0\r\n\r\n"), Send(redirect("/there", status)), ExpectClosed())

    with client.Session(trust_env=False) as session, pytest.raises(UnrewindableBodyError):
        session.post(scripted_server.url, data=(piece for piece in (b"a", b"b")))


@pytest.mark.parametrize("location", [b"/a\x01b", b"/a\x00b", b"/a\rb", b"/a\x7fb"])
def test_row_x4_a_control_character_in_location_is_no_http(
    scripted_server: ScriptedServer, location: bytes
) -> None:
    scripted_server.script(Expect(), Send(response(b"Location: " + location, status=b"302 Go")), Close())

    with client.Session(trust_env=False) as session, pytest.raises(ProtocolError):
        session.get(scripted_server.url)


@pytest.mark.parametrize(
    "lines",
    [
        [b"Location: /a", b"Location: /b"],
        [b"Location: /a\\b"],
        [b"Location: \\\\b.test/"],
        [b"Location: http://a.test\\@b.test/"],
        [b"Location: /" + b"x" * 20_000],
    ],
    ids=["two", "backslash", "backslashes", "backslash in the authority", "long"],
)
def test_row_x4_a_location_that_two_readers_read_differently_is_refused(
    scripted_server: ScriptedServer, lines: list[bytes]
) -> None:
    scripted_server.answer(response(*lines, status=b"302 Go", body=b""))

    with client.Session(trust_env=False) as session, pytest.raises(RedirectError):
        session.get(scripted_server.url)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"/caf\xc3\xa9", b"/caf%C3%A9"),
        (b"/\xe9", b"/%E9"),
        (b"/a b", b"/a%20b"),
        (b"/a%20b", b"/a%20b"),
        (b"/100%", b"/100%25"),
    ],
)
def test_row_x4_octets_that_no_url_has_are_escaped(
    scripted_server: ScriptedServer, location: bytes, target: bytes
) -> None:
    assert target == target_after(scripted_server, "/", location)[0]


def test_row_x4_a_user_in_location_never_becomes_auth(origins: Origins) -> None:
    origins.a.answer(redirect(f"http://u:{SECRET}@b.test:{origins.b.port}/"))
    at_b = origins.b.answer(OK)

    with origins.session() as session:
        answer = session.get(origins.url_a)

    assert b"authorization" not in fields(at_b.requests[0])
    assert SECRET not in answer.url


def test_row_x5_a_secure_cookie_stays_behind_where_https_ends(
    origins: Origins, tls_authority: TLSAuthority
) -> None:
    """The hop itself is followed, as in requests; credentials and the cookies marked Secure are not taken along."""
    port = origins.a.port
    origins.a.script(
        StartTLS(tls_authority.server_context("a.test")),
        Expect(),
        Send(
            redirect(f"http://a.test:{port}/", 302, b"Set-Cookie: s=s3cr3t; Secure", b"Set-Cookie: plain=1")
        ),
        Close(),
    )
    plain = origins.a.answer(OK)

    with origins.session(verify=str(tls_authority.bundle)) as session:
        session.get(f"https://a.test:{port}/", auth=("u", SECRET))

    seen = fields(plain.requests[0])
    assert b"plain=1" == seen[b"cookie"]
    assert not {b"authorization", b"referer"} & seen.keys()


@pytest.mark.parametrize(
    ("path", "location", "target", "fragment"),
    [
        ("/a/b/c#here", b"d", b"/a/b/d", "#here"),
        ("/a/b/c#here", b"../../../../d#there", b"/d", "#there"),
        ("/a/b/c?x=1", b"?y=2", b"/a/b/c?y=2", ""),
        ("/a/b/c?x=1", b";p", b"/a/b/;p", ""),
        ("/a/b/c#here", b"#", b"/a/b/c", ""),
        ("/a/b/c", b"/%2e%2e/d", b"/%2e%2e/d", ""),
    ],
)
def test_row_x6_references_are_resolved_as_rfc_3986_says(
    scripted_server: ScriptedServer, path: str, location: bytes, target: bytes, fragment: str
) -> None:
    """And the fragment is inherited as RFC 9110 section 10.2.2 says."""
    sent, answer = target_after(scripted_server, path, location)

    assert target == sent
    assert answer.url.partition("#")[2] == fragment.removeprefix("#")


@pytest.mark.parametrize("host", ["127.0.0.2", "[::1]", "metadata.test", "0x7f.1", "[::ffff:127.0.0.2]"])
def test_row_x7_the_filter_is_asked_about_the_address_of_every_hop(origins: Origins, host: str) -> None:
    """Also where a name leads to an address that is forbidden now and was not before (DNS rebinding)."""
    origins.a.answer(redirect(f"http://{host}:{origins.b.port}/"))

    def resolver(host: str, port: int) -> list[str]:
        return ["169.254.169.254"] if host == "metadata.test" else ["127.0.0.1"]

    with (
        origins.session(resolver=resolver, address_filter=lambda address: address == "127.0.0.1") as session,
        pytest.raises((AddressNotAllowed, RedirectError)),
    ):
        session.get(origins.url_a)


def test_row_x7_a_name_that_moves_between_two_requests_is_asked_about_again(origins: Origins) -> None:
    origins.a.script(Expect(), Send(redirect("/again", 302, b"Connection: close")), Close())
    addresses = iter([["127.0.0.1"], ["10.0.0.1"]])

    with (
        origins.session(
            resolver=lambda host, port: next(addresses), address_filter=lambda address: address == "127.0.0.1"
        ) as session,
        pytest.raises(AddressNotAllowed),
    ):
        session.get(origins.url_a)


@pytest.mark.parametrize("status", [b"300 Many", b"304 Same", b"305 Proxy", b"306 Was", b"399 Odd"])
def test_row_x8_other_statuses_are_handed_over_whatever_they_carry(
    scripted_server: ScriptedServer, status: bytes
) -> None:
    scripted_server.answer(b"HTTP/1.1 %b\r\nLocation: http://b.test/\r\nContent-Length: 0\r\n\r\n" % status)

    with client.Session(trust_env=False) as session:
        assert int(status[:3]) == session.get(scripted_server.url).status_code


def test_row_x8_so_is_a_redirect_without_a_location(scripted_server: ScriptedServer) -> None:
    scripted_server.answer(response(status=b"302 Go"))

    with client.Session(trust_env=False) as session:
        assert b"ok" == session.get(scripted_server.url).content


@pytest.mark.parametrize(
    "answer",
    [redirect("http://evil.test/"), b"HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
     response(status=b"407 PA", body=b"<html>evil"), response(status=b"503 No")],
    ids=["302", "101", "407", "503"],
)  # fmt: skip
def test_row_x9_what_a_proxy_answers_to_connect_is_never_the_origins_answer(
    origins: Origins, answer: bytes
) -> None:
    origins.a.script(Expect(b"CONNECT "), Send(answer), ExpectClosed())

    with (
        origins.session(proxies={"all": f"http://127.0.0.1:{origins.a.port}"}) as session,
        pytest.raises(ProxyError) as caught,
    ):
        session.get("https://a.test/")

    assert "evil" not in str(caught.value)


def test_row_x9_a_body_after_a_2xx_is_no_part_of_the_tunnel(origins: Origins) -> None:
    origins.a.script(
        Expect(b"CONNECT "), Send(response(body=b"HTTP/1.1 200 OK\r\n\r\nevil")), ExpectClosed(silently=False)
    )

    with (
        origins.session(proxies={"all": f"http://127.0.0.1:{origins.a.port}"}) as session,
        pytest.raises(client.exceptions.ConnectionError),
    ):
        session.get("https://a.test/")


def test_row_t10_all_hops_share_one_total_deadline() -> None:
    """With one each, none would fire and the hops end with TooManyRedirects."""
    with ScriptedServer() as server:
        server.script(AnswerSlowly(redirect("/"), 0.05))
        started = time.monotonic()
        with client.Session(trust_env=False) as session, pytest.raises(client.TotalTimeout):
            session.get(server.url, timeout=client.Timeouts(total=0.5))
        assert time.monotonic() - started < 5
