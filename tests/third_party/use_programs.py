"""twine uploads, sphinx checks links, pip-audit asks for advisories, tweepy tweets."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import responses
import tweepy
from packaging.version import Version
from pip_audit._service import OsvService, ResolvedDependency
from sphinx.cmd.build import main as sphinx
from twine.__main__ import main as twine

from client.testing import LoopbackServer


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


def test_twine(server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "x-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("x-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: x\nVersion: 1.0\n")
        file.writestr(
            "x-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr("x-1.0.dist-info/RECORD", "")
    options = ["--non-interactive", "--disable-progress-bar", "-u", "u", "-p", "p", str(wheel)]

    for path, failed in (("echo", False), ("status/403", True)):
        arguments = ["twine", "upload", "--repository-url", f"{server.url}/{path}", *options]
        monkeypatch.setattr("sys.argv", arguments)
        assert failed == bool(twine())

    assert 2 == server.stats.requests


def test_sphinx_linkcheck(server: LoopbackServer, tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text("linkcheck_timeout = 5\n")
    links = "\n".join(f"* {server.url}/{path}" for path in ("echo", "status/404", "redirect/1"))
    (tmp_path / "index.rst").write_text(f"Links\n=====\n\n{links}\n")

    sphinx(["-q", "-b", "linkcheck", str(tmp_path), str(tmp_path / "out")])

    found = (tmp_path / "out" / "output.txt").read_text()
    assert ("[broken]" in found, "[redirected with Found]" in found, "/echo: " in found) == (
        True,
        True,
        False,
    )


@responses.activate
def test_pip_audit(tmp_path: Path) -> None:
    """Its session is CacheControl's."""
    advisory = {"id": "X-1", "summary": "bad", "affected": [], "aliases": ["CVE-1"]}
    responses.post(OsvService.DEFAULT_OSV_URL, json={"vulns": [advisory]})

    _, found = OsvService(tmp_path).query(ResolvedDependency("x", Version("1.0")))

    assert ["CVE-1"] == [each.id for each in found]


@responses.activate
def test_tweepy() -> None:
    responses.post("https://api.twitter.com/2/tweets", json={"data": {"id": "9", "text": "hi"}}, status=201)
    reset = {"x-rate-limit-reset": "1"}
    responses.get("https://api.twitter.com/2/users/2", json={"detail": "y"}, status=429, headers=reset)
    client = tweepy.Client(consumer_key="a", consumer_secret="b", access_token="c", access_token_secret="d")

    assert "9" == client.create_tweet(text="hi").data["id"]
    with pytest.raises(tweepy.TooManyRequests):
        client.get_user(id=2)
