"""The documents keep their word: the README's code runs as it stands, its commands exist, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from client.testing import LoopbackServer

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
HOST = "https://api.example.com"


def test_the_code_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(
        r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "dump.sql").write_bytes(b"-- dump\n" * 1000)
    monkeypatch.chdir(tmp_path)

    with LoopbackServer() as server:
        for block in blocks:
            assert HOST in block
            exec(compile(block.replace(HOST, server.url), str(README), "exec"), {})
        requests = server.stats.requests

    assert 103 == requests
    assert 101 == capsys.readouterr().out.count("\n")


def test_the_commands_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = re.findall(r"^make ([a-z-]+)", README.read_text(encoding="utf-8"), re.MULTILINE)

    assert {"demo", "test"} <= set(commands)
    assert [] == [command for command in commands if f"\n{command}:" not in makefile]


@pytest.mark.parametrize(
    "document", [README, *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name
)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))

    assert [] == [link for link in links if not (document.parent / link).exists()]
