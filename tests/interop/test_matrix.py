"""What a client does all day, against four servers, plain and over TLS, on the calling thread and on workers.

Everything is verified by content, by the server's count of connections, or by the digest of what it received.
"""

from __future__ import annotations

import contextlib
import hashlib
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import client
from tests.interop.sites import Site, http_server_site, httpserver_site, loopback_site, nginx_site
from tests.tls_authority import TLSAuthority

SIZES = [0, 1, 100_000, 1 << 20]  # bytes; nginx serves only what tests/nginx.py has written
SITES: dict[str, Callable[[ssl.SSLContext | None], contextlib.AbstractContextManager[Site]]] = {
    "LoopbackServer": loopback_site,
    "http.server": http_server_site,
    "pytest-httpserver": httpserver_site,
}


@pytest.fixture(scope="session", params=[*SITES, pytest.param("nginx", marks=pytest.mark.interop)])
def server_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session", params=["plain", "tls"])
def site(request: pytest.FixtureRequest, server_name: str, tls_authority: TLSAuthority) -> Iterator[Site]:
    tls = request.param == "tls"
    running: contextlib.AbstractContextManager[Site]
    if server_name == "nginx":
        running = nginx_site(request.getfixturevalue("nginx"), tls=tls)
    else:
        running = SITES[server_name](tls_authority.server_context() if tls else None)
    with running as site:
        yield site


@pytest.fixture(params=["calling thread", "offload"])
def session(request: pytest.FixtureRequest, tls_authority: TLSAuthority) -> Iterator[client.Session]:
    with client.Session(workers=8, offload=request.param == "offload") as session:
        session.verify = str(tls_authority.bundle)
        yield session


def test_requests_in_a_row_share_one_connection(site: Site, session: client.Session) -> None:
    before = site.connections()

    contents = [session.get(f"{site.url}/bytes/1000").content for _ in range(5)]

    assert [site.content(1000)] * 5 == contents
    assert (1 if site.keeps_alive else 5) == site.connections() - before


def test_head_announces_a_length_and_sends_no_body(site: Site, session: client.Session) -> None:
    """A client that waited for the announced bytes would hang; one that left them would misread the next response."""
    before = site.connections()

    head = session.head(f"{site.url}/bytes/1000")

    assert (200, "1000", b"") == (head.status_code, head.headers["Content-Length"], head.content)
    assert site.content(1000) == session.get(f"{site.url}/bytes/1000").content
    assert (1 if site.keeps_alive else 2) == site.connections() - before


@pytest.mark.parametrize("size", SIZES)
def test_a_sized_body_arrives_whole(site: Site, session: client.Session, size: int) -> None:
    response = session.get(f"{site.url}/bytes/{size}")

    assert str(size) == response.headers["Content-Length"]
    assert site.content(size) == response.content


@pytest.mark.parametrize("size", SIZES)
def test_a_chunked_body_arrives_whole(site: Site, session: client.Session, size: int) -> None:
    response = session.get(f"{site.url}/chunked/{size}")

    assert "chunked" == response.headers["Transfer-Encoding"]
    assert site.content(size) == response.content


@pytest.mark.parametrize("path", ["bytes", "chunked"])
def test_a_body_can_be_streamed_in_pieces(site: Site, session: client.Session, path: str) -> None:
    with session.get(f"{site.url}/{path}/{1 << 20}", stream=True) as response:
        pieces = list(response.iter_content(10_000))

    assert site.content(1 << 20) == b"".join(pieces)
    assert all(1 <= len(piece) <= 10_000 for piece in pieces)


@pytest.mark.parametrize("form", ["bytes", "file", "generator"])
@pytest.mark.parametrize("size", [0, 10, 300_000])
def test_an_upload_arrives_whole(
    site: Site, session: client.Session, form: str, size: int, tmp_path: Path
) -> None:
    """bytes and files are sized, a generator is sent chunked."""
    content = site.content(size)
    (tmp_path / "upload").write_bytes(content)

    with (tmp_path / "upload").open("rb") as file:
        pieces = (content[start : start + 7000] for start in range(0, size, 7000))
        body = {"bytes": content, "file": file, "generator": pieces}[form]
        received = site.upload(session, body, f"{form}-{size}")

    assert hashlib.sha256(content).hexdigest() == received


@pytest.mark.parametrize(("first", "last"), [(0, 0), (1000, 1999), (99_999, 99_999)])
def test_a_range_is_that_part_of_the_whole(
    site: Site, session: client.Session, first: int, last: int
) -> None:
    response = session.get(f"{site.url}/bytes/100000", headers={"Range": f"bytes={first}-{last}"})

    assert (206, f"bytes {first}-{last}/100000") == (response.status_code, response.headers["Content-Range"])
    assert site.content(100_000)[first : last + 1] == response.content


def test_a_range_beyond_the_end_is_an_answer_too(site: Site, session: client.Session) -> None:
    response = session.get(f"{site.url}/bytes/1000", headers={"Range": "bytes=1000-1001"})

    assert (416, "bytes */1000") == (response.status_code, response.headers["Content-Range"])


def test_redirects_are_followed_and_remembered(site: Site, session: client.Session) -> None:
    before = site.connections()

    response = session.get(f"{site.url}/redirect/3")

    assert 200 == response.status_code
    assert [302, 302, 302] == [hop.status_code for hop in response.history]
    assert [f"{site.url}/redirect/{left}" for left in (3, 2, 1)] == [hop.url for hop in response.history]
    assert (1 if site.keeps_alive else 4) == site.connections() - before


def test_redirects_are_left_alone_if_asked(site: Site, session: client.Session) -> None:
    response = session.get(f"{site.url}/redirect/1", allow_redirects=False)

    assert (302, []) == (response.status_code, response.history)


@pytest.mark.parametrize("how", ["map", "submit", "threads of the caller"])
def test_a_hundred_requests_on_eight_threads_each_get_their_own_answer(
    site: Site, session: client.Session, how: str
) -> None:
    """Each asks for a part of its own, so that an answer to another's request is seen."""
    before = site.connections()
    parts = [(start, start + 99) for start in range(0, 10_000, 100)]
    url = f"{site.url}/bytes/100000"
    jobs: list[dict[str, Any]] = [
        {"method": "GET", "url": url, "headers": {"Range": f"bytes={first}-{last}"}} for first, last in parts
    ]

    if how == "map":
        responses = list(session.map(jobs))
    elif how == "submit":
        responses = [future.result() for future in [session.submit(**job) for job in jobs]]
    else:
        with ThreadPoolExecutor(8) as executor:
            responses = list(executor.map(lambda job: session.request(**job), jobs))

    content = site.content(100_000)
    assert [content[first : last + 1] for first, last in parts] == [
        response.content for response in responses
    ]
    assert site.connections() - before <= (8 if site.keeps_alive else 100)


@pytest.mark.parametrize("site", ["tls"], indirect=True)
def test_a_private_authority_is_refused_unless_trusted(site: Site) -> None:
    with client.Session() as session, pytest.raises(client.exceptions.SSLError):
        session.get(f"{site.url}/bytes/1")
