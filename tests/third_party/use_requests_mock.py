"""requests-mock, as its documentation shows it."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import requests_mock

from client.testing import LoopbackServer

URL = "http://api.test/1"


def test_an_answer_and_what_was_asked() -> None:
    with requests_mock.Mocker() as mock:
        mock.post(URL, json={"a": "b"}, headers={"X-Seen": "1"}, status_code=201)

        response = requests.post(URL, json={"q": 1}, timeout=7)

        assert ({"a": "b"}, "1", 201) == (response.json(), response.headers["x-seen"], response.status_code)
        assert ({"q": 1}, 7) == (mock.last_request.json(), mock.last_request.timeout)


def test_the_pytest_fixture(requests_mock: Any) -> None:
    requests_mock.get(URL, text="data")
    assert "data" == requests.get(URL).text


def test_an_adapter_for_a_scheme_of_its_own() -> None:
    adapter = requests_mock.Adapter()
    adapter.register_uri("GET", "mock://api.test/1", text="data")
    with requests.Session() as session:
        session.mount("mock://", adapter)
        assert "data" == session.get("mock://api.test/1").text


def test_cookies() -> None:
    with requests_mock.Mocker() as mock, requests.Session() as session:
        mock.get(URL, headers={"Set-Cookie": "a=1; Path=/"})
        jar = requests_mock.CookieJar()
        jar.set("b", "2", domain="api.test", path="/2")
        mock.get("http://api.test/2", cookies=jar)

        session.get(URL)
        assert "1" == session.cookies["a"]
        assert "2" == session.get("http://api.test/2").cookies["b"]
        assert "a=1" == mock.last_request.headers["Cookie"]


def test_errors_on_demand_and_requests_that_nobody_expects() -> None:
    with requests_mock.Mocker() as mock:
        mock.get(URL, exc=requests.exceptions.ConnectTimeout)
        with pytest.raises(requests.exceptions.ConnectTimeout):
            requests.get(URL)
        with pytest.raises(requests_mock.exceptions.NoMockAddress):
            requests.get("http://other.test/")


def test_a_list_of_answers_redirects_and_streams() -> None:
    def last(_request: Any, context: Any) -> str:
        context.status_code = 202
        return "last"

    with requests_mock.Mocker() as mock:
        mock.get(URL, [{"status_code": 302, "headers": {"Location": URL}}, {"text": last}])
        response = requests.get(URL, stream=True)
        assert ([302], 202) == ([each.status_code for each in response.history], response.status_code)
        assert b"last" == b"".join(response.iter_content(1))


def test_matching_queries_headers_and_bodies() -> None:
    with requests_mock.Mocker() as mock:
        mock.get(f"{URL}?a=1", text="query")
        mock.post(URL, request_headers={"k": "v"}, additional_matcher=lambda request: "x" in request.text)
        assert "query" == requests.get(URL, params={"a": 1, "b": 2}).text
        assert {"a": ["1"], "b": ["2"]} == mock.last_request.qs
        assert 200 == requests.post(URL, headers={"k": "v"}, data="x").status_code


def test_the_network_is_there_where_it_is_let_through_and_afterwards() -> None:
    with LoopbackServer() as server, requests.Session() as session:
        with requests_mock.Mocker(real_http=True) as mock:
            mock.get(URL, text="mock")
            assert "mock" == requests.get(URL).text
            assert "GET" == requests.get(f"{server.url}/echo").json()["method"]
        with requests_mock.Mocker(session=session) as mock:
            mock.get(URL, text="mock")
            assert "mock" == session.get(URL).text
        assert 200 == session.get(f"{server.url}/redirect/1").status_code
