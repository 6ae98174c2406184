"""azure-core, dropbox, google-resumable-media, hvac, jira, opensearch-py, stripe: what their makers' services are asked with."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any

import dropbox
import hvac
import opensearchpy
import pytest
import requests
import responses
import stripe
from azure.core import PipelineClient
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.policies import RetryPolicy
from azure.core.rest import HttpRequest
from google.resumable_media.requests import ChunkedDownload, Download, RawDownload, ResumableUpload
from jira import JIRA, JIRAError

from client.testing import LoopbackServer

DATA = bytes(range(256)) * 2000


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


def test_azure_core(server: LoopbackServer) -> None:
    policies = [RetryPolicy(retry_total=2, retry_backoff_factor=0)]
    with PipelineClient(server.url, policies=policies) as client:

        def ask(*arguments: Any, stream: bool = False, **content: Any) -> Any:
            return client.send_request(HttpRequest(*arguments, **content), stream=stream)

        assert 10 == ask("POST", f"{server.url}/echo", json={"a": "b"}).json()["length"]
        assert 200 == ask("PUT", f"{server.url}/echo", content=io.BytesIO(b"abc")).status_code
        assert 200 == ask("POST", f"{server.url}/echo", files={"f": ("n", b"abc")}).status_code
        assert 1000 == len(b"".join(ask("GET", f"{server.url}/bytes/1000", stream=True).iter_bytes()))
        assert b"\x1f\x8b" == b"".join(ask("GET", f"{server.url}/gzip", stream=True).iter_raw())[:2]
        assert 503 == ask("GET", f"{server.url}/status/503").status_code
        with pytest.raises(ServiceRequestError):
            ask("GET", "http://127.0.0.1:1/")


@responses.activate
def test_google_resumable_media() -> None:
    def part(request: Any) -> tuple[int, dict[str, str], bytes]:
        first, last = map(int, request.headers["Range"].removeprefix("bytes=").split("-"))
        body = DATA[first : last + 1]
        told = {"Content-Range": f"bytes {first}-{last}/{len(DATA)}", "Content-Length": str(len(body))}
        return 206, told, body

    def put(request: Any) -> tuple[int, dict[str, str], str]:
        received.extend(request.body)
        done = len(received) == len(DATA)
        return (200, {}, "{}") if done else (308, {"Range": f"bytes=0-{len(received) - 1}"}, "")

    received = bytearray()
    digest = {"X-Goog-Hash": f"md5={base64.b64encode(hashlib.md5(DATA).digest()).decode()}"}
    responses.get("https://storage.test/whole", body=DATA, headers=digest)
    responses.add_callback("GET", "https://storage.test/parts", part)
    responses.post("https://storage.test/start", headers={"Location": "https://storage.test/put"})
    responses.add_callback("PUT", "https://storage.test/put", put)
    with requests.Session() as session:
        for kind in (Download, RawDownload):
            file = io.BytesIO()
            kind("https://storage.test/whole", stream=file).consume(session)
            assert DATA == file.getvalue()
        chunked = ChunkedDownload(
            "https://storage.test/parts", 100_000, file := io.BytesIO(), end=len(DATA) - 1
        )
        while not chunked.finished:
            chunked.consume_next_chunk(session)
        assert DATA == file.getvalue()
        upload = ResumableUpload("https://storage.test/start", 256 * 1024, checksum=None)
        upload.initiate(session, io.BytesIO(DATA), {}, "application/octet-stream")
        while not upload.finished:
            upload.transmit_next_chunk(session)
    assert DATA == received


@responses.activate
def test_dropbox() -> None:
    """It mounts an adapter that asks a ``PoolManager`` for ``cert_reqs`` and ``ca_certs``."""
    entry = {"name": "a", "id": "id:1", "rev": "0123456789", "size": 3}
    entry |= {"client_modified": "2020-01-01T00:00:00Z", "server_modified": "2020-01-01T00:00:00Z"}
    told = {"Dropbox-Api-Result": json.dumps(entry)}
    responses.post("https://content.dropboxapi.com/2/files/download", body=b"abc", headers=told)
    responses.post("https://content.dropboxapi.com/2/files/upload", json=entry)

    with dropbox.Dropbox("token") as client:
        assert b"abc" == client.files_download("/a")[1].content
        assert 3 == client.files_upload(b"abc", "/a").size


@responses.activate
def test_jira() -> None:
    api = "https://jira.test/rest/api/2"
    responses.get(f"{api}/serverInfo", json={"versionNumbers": [9, 0, 0], "deploymentType": "Server"})
    issue = {"id": "1", "key": "X-1", "self": f"{api}/issue/1", "fields": {"summary": "hello"}}
    responses.get(f"{api}/issue/X-1", json=issue)
    responses.get(f"{api}/issue/X-2", status=404, json={"errorMessages": ["None"], "errors": {}})
    responses.post(
        f"{api}/issue/X-1/attachments", json=[{"id": "5", "self": api, "filename": "f", "size": 5}]
    )
    client = JIRA("https://jira.test", basic_auth=("u", "p"), max_retries=0)

    assert "hello" == client.issue("X-1").fields.summary
    assert "f" == client.add_attachment("X-1", io.BytesIO(b"hello"), filename="f").filename
    with pytest.raises(JIRAError, match="404"):
        client.issue("X-2")


@responses.activate
def test_stripe_hvac_and_opensearch() -> None:
    responses.post("https://api.stripe.com/v1/customers", json={"id": "cus_1", "object": "customer"})
    error = {"error": {"type": "card_error", "code": "card_declined"}}
    responses.post("https://api.stripe.com/v1/charges", status=402, json=error)
    client = stripe.StripeClient("sk_test_x", http_client=stripe.RequestsClient())
    assert "cus_1" == client.v1.customers.create({"email": "a@b.test"}).id
    with pytest.raises(stripe.CardError):
        client.v1.charges.create({"amount": 1, "currency": "eur"})

    responses.add("LIST", "https://vault.test/v1/secret/metadata/x", json={"data": {"keys": ["a"]}})
    responses.get("https://vault.test/v1/bad", status=403, json={"errors": ["denied"]})
    vault = hvac.Client(url="https://vault.test", token="t")
    assert {"keys": ["a"]} == vault.secrets.kv.v2.list_secrets(path="x")["data"]
    with pytest.raises(hvac.exceptions.Forbidden):
        vault.read("bad")

    responses.put("https://search.test:443/i/_doc/1", json={"result": "created"})
    responses.get("https://search.test:443/i/_doc/2", status=404, json={"found": False})
    kind = opensearchpy.RequestsHttpConnection
    search = opensearchpy.OpenSearch("https://search.test:443", connection_class=kind, http_compress=True)
    assert "created" == search.index(index="i", body={"a": 1}, id="1")["result"]
    with pytest.raises(opensearchpy.NotFoundError):
        search.get(index="i", id="2")
