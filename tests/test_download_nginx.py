"""Downloads from a real nginx: ranges, validators, redirects and TLS as they are in the world."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

import client
from tests.leaks import no_leaks
from tests.nginx import SIZES, NginxServer, pattern
from tests.tls_authority import TLSAuthority

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("parts", ["auto", 1, 4])
@pytest.mark.parametrize("secure", [True, False])
def test_every_size_in_any_number_of_parts(
    nginx: NginxServer, tls_authority: TLSAuthority, tmp_path: Path, size: int, parts: Any, secure: bool
) -> None:
    url = f"{nginx.tls_url if secure else nginx.url}/bytes/{size}"
    checksum = f"sha256:{hashlib.sha256(pattern(size)).hexdigest()}"
    with no_leaks(), client.Session(workers=4, trust_env=False, verify=str(tls_authority.bundle)) as session:
        done = session.download(url, tmp_path, parts=parts, checksum=checksum)

    assert (tmp_path / str(size), size) == (done.path, done.bytes)
    assert 4 == done.parts or size < 4 << 20 or parts != 4
    assert [done.path] == list(tmp_path.iterdir())


def test_bodies_without_a_length_and_codings_that_were_refused(nginx: NginxServer, tmp_path: Path) -> None:
    with client.Session(trust_env=False) as session:
        chunked = session.download(f"{nginx.url}/chunked/100000", tmp_path / "chunked")
        plain = session.download(f"{nginx.url}/gzip/100000", tmp_path / "plain")

    assert pattern(100_000) == chunked.path.read_bytes() == plain.path.read_bytes()


def test_what_was_left_behind_is_completed(nginx: NginxServer, tmp_path: Path) -> None:
    """The hook breaks the first download off between two parts."""
    url = f"{nginx.url}/bytes/{5 << 20}"
    calls = 0

    def stop(response: client.Response, **_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            response.close()
            raise client.IncompleteBody("the test broke it off")

    with client.Session(workers=1, trust_env=False) as session:
        with pytest.raises(client.IncompleteBody):
            session.download(url, tmp_path / "out", parts=5, hooks={"response": stop})
        done = session.download(url, tmp_path / "out")

    assert done.resumed_from > 0
    assert pattern(5 << 20) == done.path.read_bytes()
