"""Real servers and proxies, as Debian and PyPI have them; what comes out is the table in docs/interop.md.

Each server plays each part of the matrix; a part that it does not offer is left out of its row and says so. The rows
are written by this run: the page cannot promise what no run has shown.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import client
from client.testing import LoopbackServer, payload
from tests.interop.servers import PROXIES, SERVERS, Ports, running, running_proxy
from tests.nginx import pattern
from tests.tls_authority import TLSAuthority

pytestmark = pytest.mark.interop

PAGE = Path(__file__).parents[2] / "docs" / "interop.md"
LARGE = 5 << 20

Part = Callable[[client.Session, str], str]


def get(session: client.Session, url: str) -> str:
    assert pattern(100_000) == session.get(f"{url}/bytes/100000").content
    return "yes"


def head(session: client.Session, url: str) -> str:
    response = session.head(f"{url}/bytes/100000")
    assert (200, b"") == (response.status_code, response.content)
    assert "100000" == response.headers.get("Content-Length", "100000")
    return "yes"


def sent(session: client.Session, url: str, body: Any, whole: bytes, **arguments: Any) -> str:
    response = session.post(f"{url}/echo", data=body, **arguments)
    if response.status_code == 411:
        return "411"
    assert (200, hashlib.sha256(whole).hexdigest()) == (response.status_code, response.text)
    return "yes"


def post_sized(session: client.Session, url: str) -> str:
    return sent(session, url, pattern(3000), pattern(3000))


def post_chunked(session: client.Session, url: str) -> str:
    whole = pattern(30_000)
    return sent(session, url, (whole[at : at + 7000] for at in range(0, len(whole), 7000)), whole)


def post_expect(session: client.Session, url: str) -> str:
    seen: list[int] = []
    session.on_informational = lambda status, fields: seen.append(status)
    result = sent(session, url, pattern(3000), pattern(3000), expect=True)
    session.on_informational = None
    return "100" if seen == [100] else f"{result}, without 100"


def ranges(session: client.Session, url: str) -> str:
    response = session.get(f"{url}/bytes/100000", headers={"Range": "bytes=1000-1999"})
    assert (206, "bytes 1000-1999/100000") == (response.status_code, response.headers["Content-Range"])
    assert pattern(100_000)[1000:2000] == response.content
    return "yes"


def keep_alive(session: client.Session, url: str) -> str:
    """How many of ten requests needed a connection of their own."""
    opened: list[str] = []
    session.trace = lambda event, facts: opened.append(event) if event == "connect.end" else None
    session.close()
    for _ in range(10):
        assert pattern(1000) == session.get(f"{url}/bytes/1000").content
    session.trace = None
    assert 1 == len(opened)
    return "10 on 1"


def gzipped(session: client.Session, url: str) -> str:
    response = session.get(f"{url}/gzip/100000", headers={"Accept-Encoding": "gzip"})
    assert pattern(100_000) == response.content
    assert "gzip" == response.headers["Content-Encoding"]
    return "yes"


def large_down(session: client.Session, url: str) -> str:
    with session.get(f"{url}/bytes/{LARGE}", stream=True) as response:
        digest = hashlib.sha256()
        for piece in response.iter_content(None):
            digest.update(piece)
    assert hashlib.sha256(pattern(LARGE)).hexdigest() == digest.hexdigest()
    return "yes"


def large_up(session: client.Session, url: str) -> str:
    return sent(session, url, pattern(LARGE), pattern(LARGE))


PARTS: dict[str, Part] = {
    "GET": get,
    "HEAD": head,
    "POST sized": post_sized,
    "POST chunked": post_chunked,
    "100-continue": post_expect,
    "range": ranges,
    "keep-alive": keep_alive,
    "gzip": gzipped,
    "5 MiB down": large_down,
    "5 MiB up": large_up,
}
BEGIN, END = "<!-- rows: written by tests/interop/test_real_servers.py -->", "<!-- end of the rows -->"


@pytest.mark.parametrize("name", SERVERS)
def test_a_real_server(name: str, tmp_path: Path, tls_authority: TLSAuthority) -> None:
    certificate = tls_authority.issue_files("localhost", "127.0.0.1")
    with running(name, tmp_path, certificate) as ports:
        plain = row(f"http://127.0.0.1:{ports.plain}", tls_authority)
        secured = tls_row(ports, tls_authority)

    write_row(name, [*plain, secured])


def row(url: str, authority: TLSAuthority) -> list[str]:
    """Play all parts, on one session, and return what each came to."""
    with client.Session(trust_env=False, verify=str(authority.bundle), timeout=20) as session:
        return [play(session, url) for play in PARTS.values()]


def tls_row(ports: Ports, authority: TLSAuthority) -> str:
    """Play all parts over TLS; they must come to the same."""
    if ports.tls is None:
        return "none"
    row(f"https://localhost:{ports.tls}", authority)
    with client.Session(trust_env=False, verify=str(authority.bundle)) as session:
        with session.get(f"https://localhost:{ports.tls}/bytes/1000", stream=True) as response:
            wire: Any = response._wire
            version: str = wire.info.tls_version
    return version


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("target", ["http", "https"])
def test_a_real_proxy(name: str, target: str, tmp_path: Path, tls_authority: TLSAuthority) -> None:
    """Through it: a document, an upload of each framing, and ten requests on one connection."""
    context = tls_authority.server_context() if target == "https" else None
    with running_proxy(name, tmp_path) as proxy, LoopbackServer(context) as server:
        opened: list[str] = []
        with client.Session(
            trust_env=False,
            verify=str(tls_authority.bundle),
            proxies={"all": proxy},
            timeout=20,
            trace=lambda event, facts: opened.append(event) if event == "connect.end" else None,
        ) as session:
            for _ in range(10):
                content = session.get(f"{server.url}/bytes/100000").content
                assert b"".join(payload(0, 100_000)) == content
            connections = len(opened)
            for body in (pattern(30_000), lambda: iter([pattern(20_000), pattern(10_000)])):
                whole = pattern(30_000) if isinstance(body, bytes) else pattern(20_000) + pattern(10_000)
                # tinyproxy closes after an answer and does not say so before: a POST may meet that.
                echoed = session.post(f"{server.url}/echo", data=body, idempotent=True).json()
                assert (len(whole), hashlib.sha256(whole).hexdigest()) == (echoed["length"], echoed["sha256"])

    if name != "tinyproxy" or target == "https":  # it closes after each plain http request
        assert 1 == connections
    write_row(f"{name}, to {target}", ["yes", f"10 on {connections}", "yes", "yes"], proxies=True)


def write_row(name: str, cells: list[str], *, proxies: bool = False) -> None:
    """Put a row in its place in the page; other processes of the run write theirs meanwhile."""
    import fcntl

    with PAGE.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        before = file.read()
        text = before
        tables = re.findall(f"{re.escape(BEGIN)}\n(.*?){re.escape(END)}", text, re.DOTALL)
        table = tables[1 if proxies else 0]
        rows = [line for line in table.splitlines() if line and not line.startswith(f"| {name} |")]
        rows.append(f"| {' | '.join([name, *cells])} |")
        text = text.replace(
            f"{BEGIN}\n{table}{END}", f"{BEGIN}\n" + "\n".join(table_of(rows)) + f"\n{END}", 1
        )
        if text != before:
            file.seek(0)
            file.write(text)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())


def table_of(rows: list[str]) -> list[str]:
    """Return heading and rule, then the rows by name."""
    return [*rows[:2], *sorted(rows[2:])]
