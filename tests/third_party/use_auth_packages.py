"""Authentication by others: requests-oauthlib, requests-aws4auth, google-auth."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import google.auth.exceptions
import google.auth.transport.requests
import pytest
import requests
from google.oauth2.credentials import Credentials
from requests_aws4auth import AWS4Auth
from requests_oauthlib import OAuth1, OAuth2Session

from client.testing import LoopbackServer


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    with LoopbackServer() as server:
        yield f"{server.url}/echo"


def sent_authorization(response: requests.Response) -> str:
    return str(response.json()["headers"]["authorization"])


def test_oauth_1(url: str) -> None:
    auth = OAuth1("key", "secret", "owner", "owner secret")
    assert "oauth_signature=" in sent_authorization(requests.get(f"{url}?x=1", auth=auth))
    assert "oauth_signature=" in sent_authorization(requests.post(url, data={"a": "b"}, auth=auth))


def test_oauth_2(url: str) -> None:
    """Its session overrides ``request`` with another order of arguments."""
    with OAuth2Session("id", token={"access_token": "abc", "token_type": "Bearer"}) as session:
        response = session.get(url, params={"a": "b"})
    assert ("Bearer abc", f"{url}?a=b") == (sent_authorization(response), response.url)


def test_aws_signatures(url: str) -> None:
    auth = AWS4Auth("id", "key", "eu-west-1", "s3")
    assert sent_authorization(requests.get(f"{url}?b=1&a=2", auth=auth)).startswith("AWS4-HMAC-SHA256 ")
    assert requests.put(url, data=b"abc", auth=auth).json()["headers"]["x-amz-content-sha256"]
    assert requests.post(url, files={"f": ("a.txt", io.BytesIO(b"xx"))}, auth=auth).ok


def test_google(url: str) -> None:
    send = google.auth.transport.requests.Request(requests.Session())
    answer = send(url, method="POST", body=b"x")
    assert (200, 1) == (answer.status, json.loads(answer.data)["length"])
    with pytest.raises(google.auth.exceptions.TransportError):
        send("http://127.0.0.1:1/")

    with google.auth.transport.requests.AuthorizedSession(Credentials("token")) as session:
        assert "Bearer token" == sent_authorization(session.get(url))
