"""No credential reaches another origin, whoever holds it, wherever the hop leads, however the request was sent.

Curl, requests, urllib3, Go, Node and a dozen others had this wrong on one road each (CVE-2014-1829 to CVE-2026-120415);
so the whole product of holders, hops and roads is tried.  The handler stands in place of the network: what it sees is
what would have been sent.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import client
from client.auth import HTTPBearerAuth, HTTPDigestAuth
from client.testing import MockRequest, MockResponse, MockTransport
from client.url import parse_url

SECRET = "s3cr3t"
IN_BASE64 = ("dTpzM2NyM3Q=", "ZGVmYXVsdDpzM2NyM3Q=")  # u:s3cr3t, default:s3cr3t


def sign(request: client.PreparedRequest) -> client.PreparedRequest:
    request.headers["X-Signature"] = SECRET
    return request


#: Who holds the secret -> the arguments of the call, of the session, and what stands before the host in the URL.
HOLDERS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "auth=": ({"auth": ("u", SECRET)}, {}, ""),
    "auth= of the session": ({}, {"auth": ("u", SECRET)}, ""),
    "bearer": ({"auth": HTTPBearerAuth(SECRET)}, {}, ""),
    "callable": ({"auth": sign}, {}, ""),
    "Authorization": ({"headers": {"aUTHORIZATION": f"Bearer {SECRET}"}}, {}, ""),
    "Authorization of the session": ({}, {"headers": {"Authorization": f"Bearer {SECRET}"}}, ""),
    "user information": ({}, {}, f"u:{SECRET}@"),
    "Cookie": ({"headers": {"COOKIE": f"s={SECRET}"}}, {}, ""),
    "cookies=": ({"cookies": {"s": SECRET}}, {}, ""),
    "cookies= of the session": ({}, {"cookies": {"s": SECRET}}, ""),
    "X-Api-Key": ({"headers": {"X-Api-Key": SECRET}}, {}, ""),
    "X-Api-Key of the session": ({}, {"headers": {"X-Api-Key": SECRET}}, ""),
    "Proxy-Authorization": ({"headers": {"Proxy-Authorization": f"Basic {SECRET}"}}, {}, ""),
    "netrc": ({}, {"trust_env": True}, ""),
    "Referer": ({"headers": {"Referer": f"http://a.test/?{SECRET}"}}, {}, ""),
}

#: What the hop changes -> from where to where.
HOPS = {
    "the host": ("http://a.test", "http://b.test"),
    "the port": ("http://a.test", "http://a.test:8080"),
    "https to http": ("https://a.test", "http://a.test"),
    "https to http on one port": ("https://a.test:8443", "http://a.test:8443"),
    "http to https on another port": ("http://a.test:8080", "https://a.test"),
    "to a sub-domain": ("http://a.test", "http://sub.a.test"),
    "to the parent domain": ("http://a.test", "http://test"),
    "to an address": ("http://localhost", "http://127.0.0.1"),
}


def by_get(session: client.Session, url: str, **arguments: Any) -> client.Response:
    return session.get(url, **arguments)


def by_post_with_its_body(session: client.Session, url: str, **arguments: Any) -> client.Response:
    return session.post(url, data=b"body", params={"status": 307}, **arguments)


def by_prepared(session: client.Session, url: str, **arguments: Any) -> client.Response:
    return session.send(session.prepare_request(client.Request("GET", url, **arguments)))


def by_submit(session: client.Session, url: str, **arguments: Any) -> client.Response:
    return session.submit("GET", url, **arguments).result(10)


def by_map(session: client.Session, url: str, **arguments: Any) -> client.Response:
    return next(iter(session.map([{"method": "GET", "url": url, **arguments}])))


def by_stream(session: client.Session, url: str, **arguments: Any) -> client.Response:
    with session.get(url, stream=True, **arguments) as response:
        return response


def by_hand(session: client.Session, url: str, **arguments: Any) -> client.Response:
    """As code does that looks at each hop before it goes on."""
    response = session.get(url, allow_redirects=False, **arguments)
    while response.next is not None:
        response = session.send(response.next, allow_redirects=False)
    return response


def by_download(session: client.Session, url: str, **arguments: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        session.download(url, Path(folder, "file"), **arguments)


def by_get_after_retries(session: client.Session, url: str, **arguments: Any) -> client.Response:
    """Each hop answers 503 once."""
    retry = client.Retry(5, backoff_factor=0)
    return session.get(url, params={"flaky": "yes"}, retries=retry, **arguments)


ROADS: list[Callable[..., object]] = [
    by_get,
    by_download,
    by_get_after_retries,
    by_post_with_its_body,
    by_prepared,
    by_submit,
    by_map,
    by_stream,
    by_hand,
]


class Network:
    """Two origins: the first redirects ``/start`` to the second, which bounces ``/bounce`` back to the first's ``/end``."""

    def __init__(self, source: str, target: str) -> None:
        self.source, self.target = source, target
        self.seen: list[MockRequest] = []
        self.is_flaky = False

    def __call__(self, request: MockRequest) -> MockResponse:
        self.is_flaky = self.is_flaky or request.query == "flaky=yes"
        is_first = request.path not in [seen.path for seen in self.seen]
        self.seen.append(request)
        if self.is_flaky and is_first:
            return MockResponse(503)
        status = 307 if request.query == "status=307" else 302
        locations = {"/start": f"{self.target}/bounce", "/bounce": f"{self.source}/end"}
        if request.path in locations:
            return MockResponse(status, headers={"Location": locations[request.path]})
        return MockResponse(200)

    @property
    def paths(self) -> list[str]:
        """Return what was asked for, in order, each path once."""
        return list(dict.fromkeys(request.path for request in self.seen))

    def holds_secret(self, path: str) -> bool:
        """Say whether any request for *path* held it; if one did, all must have."""
        requests = [request for request in self.seen if request.path == path]
        (held,) = {
            any(secret in repr(request.headers.raw_items()) for secret in (SECRET, *IN_BASE64))
            for request in requests
        }
        return held


def session_on(network: Network, settings: dict[str, Any]) -> client.Session:
    session = client.Session(transport=MockTransport(network), trust_env=settings.get("trust_env", False))
    session.auth = settings.get("auth")
    session.headers.update(settings.get("headers", {}))
    session.cookies.update(settings.get("cookies", {}))
    return session


@pytest.fixture(autouse=True)
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For sessions that trust the environment: the sources of the hops, and some others."""
    lines = [f"machine {host} login u password {SECRET}" for host in ("a.test", "localhost")]
    lines += ["machine b.test login b", "machine c.test login c password c"]
    (tmp_path / "netrc").write_text("\n".join(lines))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.mark.parametrize("road", ROADS, ids=lambda road: road.__name__)
@pytest.mark.parametrize("hop", HOPS)
@pytest.mark.parametrize("holder", HOLDERS)
def test_the_secret_goes_to_its_origin_and_to_no_other(
    holder: str, hop: str, road: Callable[..., Any]
) -> None:
    """Nor does it come back to life when the chain returns (CVE-2024-45336)."""
    arguments, settings, userinfo = HOLDERS[holder]
    source, target = HOPS[hop]
    network = Network(source, target)
    scheme, _, host = source.partition("://")

    with session_on(network, settings) as session:
        road(session, f"{scheme}://{userinfo}{host}/start", **arguments)

    # .netrc is the one that is asked anew when the chain comes to another host, the first one included.
    again = holder == "netrc" and parse_url(source).host != parse_url(target).host
    assert ["/start", "/bounce", "/end"] == network.paths
    assert [True, False, again] == [network.holds_secret(path) for path in network.paths]


@pytest.mark.parametrize("holder", HOLDERS)
def test_the_upgrade_to_https_keeps_it(holder: str) -> None:
    """Else nearly every site that redirects to https would ask for the password again; requests documents the exception."""
    arguments, settings, userinfo = HOLDERS[holder]
    network = Network("http://a.test", "https://a.test")

    with session_on(network, settings) as session:
        session.get(f"http://{userinfo}a.test/start", **arguments)

    assert (holder != "Proxy-Authorization") is network.holds_secret("/bounce")


@pytest.mark.parametrize(
    ("target", "header"), [("http://b.test", None), ("http://c.test", "Basic Yzpj"), ("http://d.test", None)]
)
def test_netrc_is_asked_anew_for_each_origin(target: str, header: str | None) -> None:
    """CVE-2024-11053: a user without password got the password of the host before."""
    network = Network("http://a.test", target)

    with client.Session(transport=MockTransport(network)) as session:
        session.get("http://a.test/start")

    assert network.holds_secret("/start")
    assert not network.holds_secret("/bounce")
    assert header == network.seen[1].headers.get("Authorization")


def test_digest_shows_one_origin_nothing_of_another() -> None:
    """CVE-2026-11856"""
    auth = HTTPDigestAuth("u", SECRET)
    seen: list[MockRequest] = []

    def handler(request: MockRequest) -> MockResponse:
        seen.append(request)
        if "Authorization" not in request.headers:
            return MockResponse(
                401, headers={"WWW-Authenticate": 'Digest realm="of a", nonce="of a", qop="auth"'}
            )
        if request.path == "/start":
            return MockResponse(302, headers={"Location": "http://b.test/"})
        return MockResponse(200)

    with client.Session(transport=MockTransport(handler), auth=auth, trust_env=False) as session:
        response = session.get("http://a.test/start")

    assert 401 == response.status_code  # the redirect went on without auth, as with any other kind
    assert ["/start", "/start", "/"] == [request.path for request in seen]
    assert [False, True, False] == ["Authorization" in request.headers for request in seen]
