"""Rows 1-36: credentials stay at the origin they were given for.

Raw sockets on both ends of the hop; the whole product of holders, hops and roads is in `tests.test_credential_leaks`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import client
from client.auth import HTTPBearerAuth, HTTPDigestAuth
from client.exceptions import InvalidURL, RedirectError, TooManyRedirects
from client.structures import CaseInsensitiveDict
from tests.scripted_server import Close, Expect, Hold, ScriptedServer, Send, StartTLS
from tests.security.origins import OK, Origins, fields, redirect, response
from tests.tls_authority import TLSAuthority

pytestmark = pytest.mark.timeout(10)
SECRET = "s3cr3t"
SECRETS = (b"s3cr3t", b"dTpzM2NyM3Q=")  # plain, and u:s3cr3t in base64
CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"

#: All at once: whichever is not stripped shows up.
EVERYTHING: dict[str, Any] = {
    "headers": {
        "aUTHORIZATION": f"Bearer {SECRET}",
        "cOOKIE": f"s={SECRET}",
        "pROXY-aUTHORIZATION": f"Basic {SECRET}",
        "X-Api-Key": SECRET,
        "Referer": f"http://a.test/?{SECRET}",
    },
}


def holds_secret(request: bytes) -> bool:
    return any(secret in request for secret in SECRETS)


def after_the_hop(origins: Origins, status: int = 302, **arguments: Any) -> tuple[bytes, bytes]:
    """GET at A, which redirects to B; return what each of them saw."""
    at_a, at_b = origins.hop(status)
    with origins.session() as session:
        session.get(origins.url_a, **arguments)
    return at_a.requests[0], at_b.requests[0]


def test_row_001_auth_stays_at_its_origin(origins: Origins) -> None:
    at_a, at_b = after_the_hop(origins, auth=("u", SECRET))

    assert b"authorization" in fields(at_a)
    assert b"authorization" not in fields(at_b)


@pytest.mark.parametrize("name", ["Proxy-Authorization", "pROXY-aUTHORIZATION"])
def test_row_002_a_proxy_authorization_header_does_not_follow(origins: Origins, name: str) -> None:
    _, at_b = after_the_hop(origins, headers={name: f"Basic {SECRET}"})

    assert not holds_secret(at_b)


def test_row_003_https_to_http_on_one_host_takes_nothing_along(
    origins: Origins, tls_authority: TLSAuthority
) -> None:
    context = tls_authority.server_context("a.test")
    origins.a.script(StartTLS(context), Expect(), Send(redirect(f"http://a.test:{origins.b.port}/")), Hold())
    at_b = origins.b.answer(OK)

    with origins.session(verify=str(tls_authority.bundle)) as session:
        session.get(f"https://a.test:{origins.a.port}/", **EVERYTHING)

    assert not holds_secret(at_b.requests[0])


@pytest.mark.parametrize("name", ["Authorization", "AUTHORIZATION", "aUTHORIZATION"])
def test_row_004_the_case_of_a_header_does_not_matter(origins: Origins, name: str) -> None:
    at_a, at_b = after_the_hop(origins, headers={name: f"Bearer {SECRET}"})

    assert [True, False] == [holds_secret(at_a), holds_secret(at_b)]


def test_row_006_a_cookie_header_does_not_follow(origins: Origins) -> None:
    at_a, at_b = after_the_hop(origins, headers={"Cookie": f"s={SECRET}"})

    assert [True, False] == [b"cookie" in fields(at_a), b"cookie" in fields(at_b)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_row_007_no_status_lets_a_proxy_authorization_header_through(origins: Origins, status: int) -> None:
    _, at_b = after_the_hop(origins, status, headers={"Proxy-Authorization": f"Basic {SECRET}"})

    assert not holds_secret(at_b)


def by_get(session: client.Session, url: str, **arguments: Any) -> None:
    session.get(url, **arguments)


def by_stream(session: client.Session, url: str, **arguments: Any) -> None:
    with session.get(url, stream=True, **arguments) as response:
        assert b"ok" == b"".join(response.iter_content())


def by_prepared(session: client.Session, url: str, **arguments: Any) -> None:
    session.send(session.prepare_request(client.Request("GET", url, **arguments)))


def by_submit(session: client.Session, url: str, **arguments: Any) -> None:
    session.submit("GET", url, **arguments).result(10)


def by_map(session: client.Session, url: str, **arguments: Any) -> None:
    list(session.map([{"method": "GET", "url": url, **arguments}]))


def by_hand(session: client.Session, url: str, **arguments: Any) -> None:
    response = session.get(url, allow_redirects=False, **arguments)
    assert response.next is not None
    session.send(response.next)


def by_resolve_redirects(session: client.Session, url: str, **arguments: Any) -> None:
    request = session.prepare_request(client.Request("GET", url, **arguments))
    response = session.send(request, allow_redirects=False)
    list(session.resolve_redirects(response, request))


def by_download(session: client.Session, url: str, **arguments: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        session.download(url, f"{folder}/file", **arguments)


ROADS: list[Callable[..., None]] = [
    by_get,
    by_download,
    by_stream,
    by_prepared,
    by_submit,
    by_map,
    by_hand,
    by_resolve_redirects,
]


@pytest.mark.parametrize("offload", [False, True], ids=["own thread", "offload"])
@pytest.mark.parametrize("road", ROADS, ids=lambda road: road.__name__)
def test_row_008_every_road_strips_alike(origins: Origins, road: Callable[..., None], offload: bool) -> None:
    at_a, at_b = origins.hop()

    with origins.session(offload=offload) as session:
        road(session, origins.url_a, **EVERYTHING)

    assert [True, False] == [holds_secret(at_a.requests[0]), holds_secret(at_b.requests[0])]


def test_row_008_nor_does_a_retry_bring_anything_back(origins: Origins) -> None:
    later = response(b"Retry-After: 0", status=b"503 Later")
    at_a = origins.a.answer(later, redirect(origins.url_b))
    at_b = origins.b.answer(later, OK)

    with origins.session(retries=client.Retry(2, backoff_factor=0)) as session:
        session.get(origins.url_a, auth=("u", SECRET), **EVERYTHING)

    assert [True, True] == [holds_secret(request) for request in at_a.requests]
    assert [False, False] == [holds_secret(request) for request in at_b.requests]


@pytest.mark.parametrize("status", [301, 302, 303])
def test_row_009_a_post_that_becomes_a_get_leaves_its_body_and_what_describes_it(
    origins: Origins, status: int
) -> None:
    origins.a.script(
        Expect(body=6), Send(redirect("/there", status)), Expect(b"GET /there "), Send(OK), Hold()
    )

    with origins.session() as session:
        response = session.post(
            origins.url_a, data=b"s3cr3t", headers={"Content-Type": "text/x", "Content-Encoding": "y"}
        )

    assert "GET" == response.request.method
    seen = origins.a.conversations[0].requests[1]
    assert not holds_secret(seen)
    assert (
        not {
            b"content-length",
            b"content-type",
            b"content-encoding",
            b"transfer-encoding",
        }
        & fields(seen).keys()
    )


@pytest.mark.parametrize("road", [by_get, by_submit, by_prepared], ids=lambda road: road.__name__)
def test_row_010_no_redirect_is_followed_where_none_is_allowed(
    origins: Origins, road: Callable[..., None]
) -> None:
    """As in requests: a limit of 0 is an error that holds the response, `allow_redirects=False` returns it."""
    origins.a.answer(redirect(origins.url_b))

    with origins.session(max_redirects=0) as session, pytest.raises(TooManyRedirects) as caught:
        road(session, origins.url_a)

    assert caught.value.response is not None
    assert 302 == caught.value.response.status_code


@pytest.mark.parametrize("offload", [False, True], ids=["own thread", "offload"])
def test_row_011_a_call_that_allows_no_redirect_makes_one_hop_on_every_transport(
    origins: Origins, offload: bool
) -> None:
    """B has no script: a connection to it fails the test."""
    origins.a.answer(redirect(origins.url_b), redirect(origins.url_b))

    with origins.session(offload=offload) as session:
        assert 302 == session.get(origins.url_a, allow_redirects=False).status_code
        future = session.submit("GET", origins.url_a, allow_redirects=False)
        assert 302 == future.result(10).status_code


def test_row_012_another_port_is_another_origin(origins: Origins) -> None:
    origins.a.answer(redirect(f"http://a.test:{origins.b.port}/"))
    at_b = origins.b.answer(OK)

    with origins.session() as session:
        session.get(origins.url_a, **EVERYTHING)

    assert not holds_secret(at_b.requests[0])


def test_row_013_a_cookie_header_of_the_session_does_not_follow(origins: Origins) -> None:
    at_a, at_b = origins.hop()

    with origins.session(headers={"Cookie": f"s={SECRET}"}) as session:
        session.get(origins.url_a)

    assert [True, False] == [holds_secret(at_a.requests[0]), holds_secret(at_b.requests[0])]


def test_row_014_a_module_function_strips_as_a_session_does() -> None:
    with ScriptedServer() as a, ScriptedServer() as b:
        a.answer(redirect(f"{b.url}/"))
        at_b = b.answer(OK)

        client.get(a.url, **EVERYTHING)

    assert not holds_secret(at_b.requests[0])


@pytest.mark.parametrize(
    "container",
    [
        dict,
        lambda headers: list(headers.items()),
        CaseInsensitiveDict,
        lambda headers: {name.encode(): value.encode() for name, value in headers.items()},
    ],
    ids=["dict", "pairs", "CaseInsensitiveDict", "bytes"],
)
def test_row_015_the_form_in_which_headers_are_given_does_not_matter(
    origins: Origins, container: Callable[[dict[str, str]], Any]
) -> None:
    at_a, at_b = after_the_hop(origins, headers=container(EVERYTHING["headers"]))

    assert [True, False] == [holds_secret(at_a), holds_secret(at_b)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_row_016_every_redirect_status_strips_alike(origins: Origins, status: int) -> None:
    at_a, at_b = after_the_hop(origins, status, cookies={"c": SECRET}, auth=("u", SECRET), **EVERYTHING)

    assert [True, False] == [holds_secret(at_a), holds_secret(at_b)]


def test_row_017_a_header_of_the_callers_own_does_not_follow_unless_named(origins: Origins) -> None:
    headers = {"X-Api-Key": SECRET, "X-Trace": "1", "Accept": "text/plain", "User-Agent": "mine"}
    _, at_b = origins.hop()

    with origins.session(redirect_headers=["x-trace"]) as session:
        session.get(origins.url_a, headers=headers)

    seen = fields(at_b.requests[0])
    assert b"x-api-key" not in seen
    assert [b"1", b"text/plain", b"mine"] == [seen[name] for name in (b"x-trace", b"accept", b"user-agent")]


def test_row_018_the_cookies_of_a_call_are_bound_to_its_origin(origins: Origins) -> None:
    at_a, at_b = after_the_hop(origins, cookies={"sid": SECRET})

    assert b"sid=s3cr3t" == fields(at_a)[b"cookie"]
    assert b"cookie" not in fields(at_b)


def test_row_019_an_address_with_a_zone_is_no_subdomain(origins: Origins) -> None:
    origins.a.answer(redirect(f"http://[::1%25.a.test]:{origins.b.port}/"))

    with origins.session() as session, pytest.raises(RedirectError):
        session.get(origins.url_a, **EVERYTHING)


def test_row_020_what_was_stripped_stays_stripped(origins: Origins) -> None:
    origins.a.answer(redirect(f"{origins.url_b}/1"), OK)
    at_b = origins.b.answer(redirect("/2"), redirect(f"{origins.url_a}/back"))

    with origins.session() as session:
        session.get(origins.url_a, auth=("u", SECRET), cookies={"c": SECRET}, **EVERYTHING)

    at_a = origins.a.conversations[0]
    assert [True, False] == [holds_secret(request) for request in at_a.requests]
    assert [False, False] == [holds_secret(request) for request in at_b.requests]


def test_row_021_a_proxy_authorization_header_of_the_session_does_not_follow(origins: Origins) -> None:
    _, at_b = origins.hop()

    with origins.session(headers={"Proxy-Authorization": SECRET, "Proxy-Authenticate": SECRET}) as session:
        session.get(origins.url_a)

    assert not holds_secret(at_b.requests[0])


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "netrc"
    path.write_text(f"machine a.test login u password {SECRET}\nmachine b.test login bob\ndefault login d\n")
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))
    return path


@pytest.mark.usefixtures("netrc")
def test_row_022_netrc_is_asked_anew_for_each_origin(origins: Origins) -> None:
    at_a, at_b = origins.hop()

    with origins.session(trust_env=True) as session:
        session.get(origins.url_a)

    assert b"Basic dTpzM2NyM3Q=" == fields(at_a.requests[0])[b"authorization"]
    assert not holds_secret(at_b.requests[0])


@pytest.mark.usefixtures("netrc")
def test_row_022_netrc_gives_nothing_to_another_port_of_the_host(origins: Origins) -> None:
    """An entry knows no port; `test_credential_leaks.py` has the hops out of https as well."""
    origins.a.answer(redirect(f"http://a.test:{origins.b.port}/"))
    at_b = origins.b.answer(OK)

    with origins.session(trust_env=True) as session:
        session.get(origins.url_a)

    assert not holds_secret(at_b.requests[0])


@pytest.mark.usefixtures("netrc")
def test_row_022_a_user_in_the_url_gets_no_password_of_another_user(origins: Origins) -> None:
    at_a = origins.a.answer(OK)

    with origins.session(trust_env=True) as session:
        session.get(f"http://bob@a.test:{origins.a.port}/")

    assert not holds_secret(at_a.requests[0])


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize(
    "arguments",
    [{"auth": HTTPBearerAuth("token")}, {"headers": {"authorization": "Bearer token"}}],
    ids=["auth=", "header"],
)
def test_row_022_what_the_caller_gives_wins_over_netrc(origins: Origins, arguments: dict[str, Any]) -> None:
    at_a = origins.a.answer(OK)

    with origins.session(trust_env=True) as session:
        session.get(origins.url_a, **arguments)

    assert b"Bearer token" == fields(at_a.requests[0])[b"authorization"]


def test_row_029_digest_shows_an_origin_nothing_of_another(origins: Origins) -> None:
    challenge = response(b'WWW-Authenticate: Digest realm="of a", nonce="of a", qop="auth"', status=b"401 No")
    at_a = origins.a.answer(challenge, OK)
    at_b = origins.b.answer(OK)

    with origins.session(auth=HTTPDigestAuth("u", SECRET)) as session:
        session.get(origins.url_a)
        session.get(origins.url_b)

    assert [False, True] == [b"authorization" in fields(request) for request in at_a.requests]
    assert b"authorization" not in fields(at_b.requests[0])


@pytest.mark.parametrize(
    "location", ["ftp://b.test/", "FTP://b.test/", "file:///etc/passwd", "gopher://b.test/"]
)
def test_row_031_a_redirect_to_another_protocol_is_refused(origins: Origins, location: str) -> None:
    origins.a.answer(redirect(location))

    with origins.session() as session, pytest.raises(RedirectError) as caught:
        session.get(origins.url_a, **EVERYTHING)

    assert caught.value.response is not None


def test_row_032_no_referer_is_ever_made(origins: Origins) -> None:
    origins.a.answer(redirect(f"{origins.url_b}/there"))
    at_b = origins.b.answer(OK)

    with origins.session() as session:
        session.get(f"http://u:{SECRET}@a.test:{origins.a.port}/#frag-{SECRET}")

    assert b"referer" not in fields(at_b.requests[0])
    assert not holds_secret(at_b.requests[0])


@pytest.mark.parametrize(
    "url", ["http://u:p@s3cr3t@a.test/", "http://u:p#s3cr3t@b.test/", "http://u:s3cr3t/@c/"]
)
def test_row_033_a_password_never_becomes_part_of_a_host(url: str) -> None:
    """Nothing is looked up: a name server would learn the secret. Nor does the error show it."""
    looked_up: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return []

    with client.Session(resolver=resolver, trust_env=False) as session, pytest.raises(InvalidURL) as caught:
        session.get(url)

    assert [] == looked_up
    assert SECRET not in str(caught.value)


def test_row_034_cookies_follow_the_url_and_never_the_host_header(origins: Origins) -> None:
    at_a = origins.a.answer(response(b"Set-Cookie: sid=s3cr3t"), OK)
    at_b = origins.b.answer(OK, OK)

    with origins.session() as session:
        session.get(origins.url_a, headers={"Host": "b.test"})
        session.get(origins.url_b)
        session.get(origins.url_b, headers={"Host": "a.test"})
        session.get(origins.url_a)

    assert [False, False] == [holds_secret(request) for request in at_b.requests]
    assert [False, True] == [holds_secret(request) for request in at_a.requests]


def test_row_034_a_host_header_of_the_callers_own_is_dropped_on_the_way(origins: Origins) -> None:
    _, at_b = after_the_hop(origins, headers={"Host": "elsewhere.test"})

    assert b"b.test:%d" % origins.b.port == fields(at_b)[b"host"]


@pytest.mark.parametrize("host", ["b.test", "sub.a.test", "test", "127.0.0.1", "a.test.b.test"])
@pytest.mark.parametrize("back", [False, True], ids=["there", "there and back"])
def test_row_035_no_hop_takes_any_credential_along(origins: Origins, host: str, back: bool) -> None:
    there = redirect(f"http://{host}:{origins.b.port}/there")
    at_a = origins.a.answer(there, OK) if back else origins.a.answer(there)
    at_b = origins.b.answer(redirect(f"{origins.url_a}/back") if back else OK)

    with origins.session() as session:
        session.get(f"http://u:{SECRET}@a.test:{origins.a.port}/", cookies={"c": SECRET}, **EVERYTHING)

    assert [True, *[False] * back] == [holds_secret(seen) for seen in at_a.requests]
    assert not holds_secret(at_b.requests[0])


def test_row_036_one_port_with_and_without_tls_is_two_origins(
    origins: Origins, tls_authority: TLSAuthority
) -> None:
    url = f"a.test:{origins.a.port}/"
    context = tls_authority.server_context("a.test")
    origins.a.script(StartTLS(context), Expect(), Send(redirect(f"http://{url}")), Close())
    plain = origins.a.answer(OK)

    with origins.session(verify=str(tls_authority.bundle)) as session:
        session.get(f"https://{url}", auth=("u", SECRET), **{**EVERYTHING, "cookies": {"c": SECRET}})

    assert not holds_secret(plain.requests[0])
