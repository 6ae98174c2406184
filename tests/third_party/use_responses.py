"""responses, as its documentation shows it."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
import requests
import responses
from requests.adapters import HTTPAdapter, Retry
from responses import matchers

from client.testing import LoopbackServer

URL = "http://api.test/1"


@responses.activate
def test_an_answer_and_what_was_asked() -> None:
    responses.get(URL, json={"error": "not found"}, status=404)

    response = requests.get(URL)

    assert ({"error": "not found"}, 404) == (response.json(), response.status_code)
    assert [URL] == [call.request.url for call in responses.calls]
    with pytest.raises(requests.exceptions.HTTPError):
        response.raise_for_status()


@responses.activate
def test_what_is_not_expected_is_a_connection_error() -> None:
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get("http://other.test/")


@responses.activate
def test_errors_on_demand() -> None:
    responses.get(URL, body=requests.exceptions.ReadTimeout("late"))
    with pytest.raises(requests.exceptions.Timeout):
        requests.get(URL)


@responses.activate
def test_matchers() -> None:
    responses.post(URL, body="json", match=[matchers.json_params_matcher({"a": 1})])
    responses.post(URL, body="form", match=[matchers.urlencoded_params_matcher({"a": "1"})])
    responses.post(URL, body="file", match=[matchers.multipart_matcher({"f": b"content"})])
    responses.get(URL, body="query", match=[matchers.query_param_matcher({"a": "1"})])
    responses.get(URL, body="header", match=[matchers.header_matcher({"Accept": "text/plain"})])
    responses.get(URL, body="call", match=[matchers.request_kwargs_matcher({"verify": False, "timeout": 7})])

    assert "json" == requests.post(URL, json={"a": 1}).text
    assert "form" == requests.post(URL, data={"a": "1"}).text
    assert "file" == requests.post(URL, files={"f": io.BytesIO(b"content")}).text
    assert "query" == requests.get(URL, params={"a": 1}).text
    assert "header" == requests.get(URL, headers={"Accept": "text/plain"}).text
    assert "call" == requests.get(URL, verify=False, timeout=7).text  # nothing is sent


@responses.activate
def test_redirects_and_cookies() -> None:
    responses.get(URL, status=302, headers={"Location": "/2", "Set-Cookie": "k=v; Path=/"})
    responses.get("http://api.test/2", body="there")

    with requests.Session() as session:
        response = session.get(URL)

    assert ("there", [302], "v") == (
        response.text,
        [each.status_code for each in response.history],
        session.cookies["k"],
    )
    assert "k=v" == responses.calls[1].request.headers["Cookie"]


@responses.activate
def test_a_function_answers() -> None:
    def answer(request: Any) -> tuple[int, dict[str, str], Any]:
        return 201, {"X-Seen": request.headers["X-Sent"]}, request.body

    responses.add_callback(responses.POST, re.compile(r"http://api\.test/\d+"), callback=answer)

    response = requests.post(URL, data="body", headers={"X-Sent": "1"}, stream=True)

    assert (201, "1", b"body") == (
        response.status_code,
        response.headers["X-Seen"],
        b"".join(response.iter_content(2)),
    )


@responses.activate(registry=responses.registries.OrderedRegistry)
def test_retries() -> None:
    answers = [responses.get(URL, status=503), responses.get(URL, status=503), responses.get(URL, body="OK")]

    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=Retry(total=3, status_forcelist=[503])))
        assert "OK" == session.get(URL).text

    assert [1, 1, 1] == [answer.call_count for answer in answers]


@responses.activate
def test_retries_that_are_used_up() -> None:
    answer = responses.get(URL, status=503)

    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=Retry(total=2, raise_on_status=True)))
        with pytest.raises(requests.exceptions.RetryError):
            session.get(URL)

    assert 3 == answer.call_count


def test_the_network_is_there_before_and_after_and_where_it_is_let_through() -> None:
    with LoopbackServer() as server, requests.Session() as session:
        url = f"{server.url}/echo"
        assert "GET" == session.get(url).json()["method"]
        with responses.RequestsMock() as mock:
            mock.get(url, body="mock")
            mock.add_passthru(f"{server.url}/redirect")
            assert "mock" == session.get(url).text
            assert "mock" == session.get(f"{server.url}/redirect/1").text
        assert "GET" == session.get(url).json()["method"]
