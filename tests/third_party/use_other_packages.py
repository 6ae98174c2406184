"""requests-futures, requests-file, betamax, PyGithub, python-gitlab, huggingface_hub, zeep, MechanicalSoup, msal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import betamax
import gitlab
import huggingface_hub
import mechanicalsoup
import msal
import pytest
import requests
import responses
import zeep.transports
from github import Auth, Github
from requests_file import FileAdapter
from requests_futures.sessions import FuturesSession

from client.testing import LoopbackServer


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


def test_futures(server: LoopbackServer) -> None:
    with FuturesSession(max_workers=4) as session:
        futures = [session.get(f"{server.url}/echo", params={"i": i}) for i in range(10)]
        assert [200] * 10 == [future.result().status_code for future in futures]


def test_files(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("text")
    with requests.Session() as session:
        session.mount("file://", FileAdapter())
        assert "text" == session.get(f"file://{tmp_path}/there").text
        assert 404 == session.get(f"file://{tmp_path}/missing").status_code


def test_betamax_records_and_plays(server: LoopbackServer, tmp_path: Path) -> None:
    answers = []
    for record in ("once", "none"):
        with requests.Session() as session:
            recorder = betamax.Betamax(session, cassette_library_dir=str(tmp_path))
            with recorder.use_cassette("cassette", record=record):
                answers.append(session.get(f"{server.url}/echo?x=1").json())
    assert answers[0] == answers[1]
    assert 1 == server.stats.requests


def test_mechanicalsoup(server: LoopbackServer) -> None:
    with mechanicalsoup.StatefulBrowser() as browser:
        assert 200 == browser.open(f"{server.url}/echo").status_code


@responses.activate
def test_apis() -> None:
    responses.get("https://gl.test/api/v4/projects/1", json={"id": 1, "name": "p"})
    responses.get("https://api.github.com:443/user", json={"login": "ada", "url": "x"})
    responses.get("https://huggingface.co/api/models/x", json={"id": "x", "modelId": "x", "siblings": []})
    missing = {"X-Error-Code": "RepoNotFound"}
    responses.get("https://huggingface.co/api/models/y", status=404, headers=missing)

    assert "p" == gitlab.Gitlab("https://gl.test", private_token="t").projects.get(1).name
    assert "ada" == Github(auth=Auth.Token("t")).get_user().login
    assert "x" == huggingface_hub.HfApi().model_info("x").id
    with pytest.raises(huggingface_hub.errors.RepositoryNotFoundError):
        huggingface_hub.HfApi().model_info("y")


@responses.activate
def test_zeep_and_msal() -> None:
    responses.get("http://soap.test/wsdl", body=b"<x/>")
    assert b"<x/>" == zeep.transports.Transport(session=requests.Session()).load("http://soap.test/wsdl")

    authority = "https://login.microsoftonline.com"
    document = {"issuer": f"{authority}/t/v2.0", "authorization_endpoint": f"{authority}/a"}
    document["token_endpoint"] = f"{authority}/token"
    responses.get(f"{authority}/t/v2.0/.well-known/openid-configuration", json=document)
    token = {"access_token": "A", "token_type": "Bearer", "expires_in": 3600}
    responses.post(f"{authority}/token", json=token)
    application = msal.ConfidentialClientApplication(
        "id", client_credential="secret", authority=f"{authority}/t", instance_discovery=False
    )
    assert "A" == application.acquire_token_for_client(["https://x/.default"])["access_token"]
