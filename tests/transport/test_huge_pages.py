"""Huge pages are asked for under a large body and nowhere else; what the kernel makes of it is the kernel's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import client
from client.testing import LoopbackServer, payload
from tests.scripted_server import Close, Expect, ScriptedServer, Send

MEBIBYTE = 1 << 20

pytestmark = pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").is_dir(),
    reason="this kernel has no huge pages to ask for",
)


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


def wants_huge_pages(content: bytes) -> bool:
    """Say whether the mapping in the middle of *content* has Linux's flag "hg"."""
    middle = id(content) + len(content) // 2
    inside = False
    for line in Path("/proc/self/smaps").read_text(encoding="ascii").splitlines():
        first, _, rest = line.partition(" ")
        if "-" in first:
            start, _, stop = first.partition("-")
            inside = int(start, 16) <= middle < int(stop, 16)
        elif inside and first == "VmFlags:":
            return "hg" in rest.split()
    raise LookupError(f"{middle:#x} is not mapped")


@pytest.mark.parametrize(("size", "wanted"), [(3 * MEBIBYTE, False), (9 * MEBIBYTE + 1, True)])
def test_only_a_large_body_asks(server: LoopbackServer, size: int, wanted: bool) -> None:
    content = client.get(f"{server.url}/bytes/{size}").content

    assert b"".join(payload(0, size)) == content
    assert wanted is wants_huge_pages(content)


@pytest.mark.parametrize("come", [1, 5 * MEBIBYTE + 1])
def test_a_broken_large_body_keeps_what_had_come(scripted_server: ScriptedServer, come: int) -> None:
    """Its memory is cut to size again."""
    body = b"".join(payload(0, come))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (9 * MEBIBYTE)
    scripted_server.script(Expect(), Send(head + body), Close())

    with pytest.raises(client.IncompleteBody) as caught:
        client.get(scripted_server.url)
    assert body == caught.value.partial


def test_a_small_body_does_not_load_ctypes(server: LoopbackServer) -> None:
    script = f"import sys, client; client.get('{server.url}/bytes/100000'); print('ctypes' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert "False" == result.stdout.strip()


def test_a_python_without_ctypes_reads_it_all_the_same(server: LoopbackServer) -> None:
    script = (
        "import sys; sys.modules['ctypes'] = None\n"
        f"import client; print(len(client.get('{server.url}/bytes/{9 * MEBIBYTE}').content))"
    )
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert str(9 * MEBIBYTE) == result.stdout.strip()
