"""Rows 5, 23 and 26-30: what is meant for a proxy goes to that proxy, and what is meant for the origin never to a proxy."""

from __future__ import annotations

from typing import Any

import pytest

import client
from client.auth import HTTPDigestAuth
from client.exceptions import ProxyError, RequestException
from tests.scripted_server import Expect, FailedHandshake, Hold, ScriptedServer, Send, StartTLS
from tests.security.origins import OK, Origins, fields, redirect, response
from tests.tls_authority import TLSAuthority

pytestmark = pytest.mark.timeout(10)

SECRET = "s3cr3t"
SECRETS = (b"s3cr3t", b"dTpzM2NyM3Q=")  # plain, and u:s3cr3t in base64
CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def holds_secret(request: bytes) -> bool:
    return any(secret in request for secret in SECRETS)


def test_row_005_proxy_credentials_never_enter_the_tunnel(
    origins: Origins, tls_authority: TLSAuthority
) -> None:
    proxy = origins.a
    plain = proxy.answer(redirect("https://b.test/"))
    tunnel = proxy.script(
        Expect(b"CONNECT b.test:443 "),
        Send(CONNECTED),
        StartTLS(tls_authority.server_context("b.test")),
        Expect(b"GET / "),
        Send(OK),
        Hold(),
    )
    url = f"http://u:{SECRET}@127.0.0.1:{proxy.port}"

    with origins.session(verify=str(tls_authority.bundle), proxies={"all": url}) as session:
        assert 200 == session.get("http://a.test/").status_code

    assert [True, True, False] == [
        b"proxy-authorization" in fields(request) for request in (*plain.requests, *tunnel.requests)
    ]


def test_row_023_no_verification_of_the_origin_is_still_verification_of_the_proxy(
    tls_authority: TLSAuthority,
) -> None:
    with ScriptedServer(tls=tls_authority.server_context("127.0.0.1")) as proxy:
        proxy.script(FailedHandshake())
        with (
            client.Session(
                trust_env=False, verify=False, proxies={"all": f"https://127.0.0.1:{proxy.port}"}
            ) as s,
            pytest.raises(RequestException, match="certificate"),
        ):
            s.get("https://a.test/")


def test_row_026_a_hop_that_goes_round_the_proxy_takes_nothing_of_it(
    origins: Origins, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer() as proxy:
        monkeypatch.setenv("http_proxy", f"http://u:{SECRET}@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "b.test")
        through = proxy.answer(redirect(origins.url_b))
        direct = origins.b.answer(OK)

        with origins.session(trust_env=True) as session:
            session.get("http://a.test/")

    assert [True, False] == [holds_secret(seen.requests[0]) for seen in (through, direct)]


def test_row_027_the_next_proxy_sees_nothing_of_the_one_before(
    origins: Origins, tls_authority: TLSAuthority
) -> None:
    first = origins.a.answer(redirect("https://b.test/"))
    second = origins.b.script(
        Expect(b"CONNECT "),
        Send(CONNECTED),
        StartTLS(tls_authority.server_context("b.test")),
        Expect(),
        Send(OK),
        Hold(),
    )
    proxies = {
        "http": f"http://u:{SECRET}@127.0.0.1:{origins.a.port}",
        "https": f"http://127.0.0.1:{origins.b.port}",
    }

    with origins.session(verify=str(tls_authority.bundle), proxies=proxies) as session:
        session.get("http://a.test/")

    assert holds_secret(first.requests[0])
    assert [False, False] == [holds_secret(request) for request in second.requests]


@pytest.mark.parametrize("auth", [("u", SECRET), HTTPDigestAuth("u", SECRET)], ids=["basic", "digest"])
def test_row_028_a_proxy_that_asks_for_the_origins_credentials_gets_none(origins: Origins, auth: Any) -> None:
    proxy = origins.a.script(
        Expect(b"CONNECT "),
        Send(response(b'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"', status=b"401 No")),
        Hold(),
    )

    with (
        origins.session(proxies={"all": f"http://127.0.0.1:{origins.a.port}"}) as session,
        pytest.raises(ProxyError),
    ):
        session.get("https://a.test/", auth=auth)

    assert [b"authorization" in fields(request) for request in proxy.requests] == [False]


def test_row_030_connect_carries_nothing_of_the_request(
    origins: Origins, tls_authority: TLSAuthority
) -> None:
    proxy = origins.a.script(
        Expect(b"CONNECT "),
        Send(CONNECTED),
        StartTLS(tls_authority.server_context("a.test")),
        Expect(),
        Send(OK),
        Hold(),
    )

    with origins.session(
        verify=str(tls_authority.bundle), proxies={"all": f"http://u:p@127.0.0.1:{origins.a.port}"}
    ) as session:
        session.get(
            "https://a.test/",
            headers={"X-Api-Key": SECRET, "Authorization": SECRET},
            cookies={"c": SECRET},
        )

    connect, inner = proxy.requests
    assert fields(connect).keys() <= {b"host", b"user-agent", b"proxy-authorization"}
    assert holds_secret(inner)
