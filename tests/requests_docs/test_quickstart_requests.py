"""Quickstart: make a request, parameters in URLs, custom headers, more complicated POST requests."""

from __future__ import annotations

import json
from typing import Any

import pytest

import client as requests
from client.testing import LoopbackServer


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
def test_each_method_is_a_function(echo: str, method: str) -> None:
    response = getattr(requests, method)(echo)

    assert isinstance(response, requests.Response)
    assert (200, method.upper()) == (response.status_code, response.json()["method"])


def test_head_has_headers_and_no_body(echo: str) -> None:
    response = requests.head(echo)

    assert (200, b"") == (response.status_code, response.content)
    assert "application/json" == response.headers["Content-Type"]


def test_any_method_by_name(echo: str) -> None:
    assert "PURGE" == requests.request("purge", echo).json()["method"]


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"key1": "value1", "key2": "value2"}, "?key1=value1&key2=value2"),
        ({"key1": "value1", "key2": ["value2", "value3"]}, "?key1=value1&key2=value2&key2=value3"),
        ({"key": None, "other": "1"}, "?other=1"),
        ([("a", "1"), ("a", "2")], "?a=1&a=2"),
        ((("a", "1"), ("b", "2")), "?a=1&b=2"),
        ({"number": 1, "text": "ä b&c"}, "?number=1&text=%C3%A4+b%26c"),
        ("raw=1&x", "?raw=1&x"),
        (b"raw=2", "?raw=2"),
        ({}, ""),
        (None, ""),
    ],
)
def test_params_become_the_query(echo: str, params: Any, query: str) -> None:
    assert echo + query == requests.get(echo, params=params).url


def test_params_are_added_to_a_query_that_is_there(echo: str) -> None:
    response = requests.get(f"{echo}?a=1#part", params={"b": "2"})

    assert f"{echo}?a=1&b=2#part" == response.url
    assert {"a": ["1"], "b": ["2"]} == response.json()["args"]


def test_custom_headers(echo: str) -> None:
    seen = requests.get(echo, headers={"user-agent": "my-app/0.0.1", "X-Bytes": b"b"}).json()["headers"]

    assert ("my-app/0.0.1", "b") == (seen["User-Agent"], seen["X-Bytes"])


def test_auth_overrides_an_authorization_header(echo: str) -> None:
    seen = requests.get(echo, headers={"Authorization": "mine"}, auth=("user", "pass")).json()["headers"]

    assert "Basic dXNlcjpwYXNz" == seen["Authorization"]


def test_content_length_is_what_is_sent_whatever_was_written(echo: str) -> None:
    seen = requests.post(echo, data=b"abc", headers={"Content-Length": "100"}).json()

    assert ("abc", "3") == (seen["data"], seen["headers"]["Content-Length"])


@pytest.mark.parametrize(
    ("data", "form"),
    [
        ({"key1": "value1", "key2": "value2"}, {"key1": ["value1"], "key2": ["value2"]}),
        ([("key1", "value1"), ("key1", "value2")], {"key1": ["value1", "value2"]}),
        ({"key1": ["value1", "value2"]}, {"key1": ["value1", "value2"]}),
        ((("key1", "value1"),), {"key1": ["value1"]}),
        ({"gone": None, "there": 1}, {"there": ["1"]}),
    ],
)
def test_data_becomes_a_form(echo: str, data: Any, form: dict[str, list[str]]) -> None:
    seen = requests.post(echo, data=data).json()

    assert form == seen["form"]
    assert "application/x-www-form-urlencoded" == seen["headers"]["Content-Type"]


@pytest.mark.parametrize("data", [json.dumps({"some": "data"}), json.dumps({"some": "data"}).encode()])
def test_a_string_is_posted_as_it_is(echo: str, data: str | bytes) -> None:
    seen = requests.post(echo, data=data).json()

    assert {"some": "data"} == json.loads(seen["data"])
    assert "Content-Type" not in seen["headers"]


def test_json_is_encoded_and_labelled(echo: str) -> None:
    seen = requests.post(echo, json={"some": "däta"}).json()

    assert {"some": "däta"} == json.loads(seen["data"])
    assert "application/json" == seen["headers"]["Content-Type"]


def test_json_is_ignored_beside_data(echo: str) -> None:
    assert "text" == requests.post(echo, data="text", json={"a": 1}).json()["data"]


def test_a_module_function_leaves_no_connection_behind(no_leaks: None, server: LoopbackServer) -> None:
    requests.get(server.url)
    requests.get(server.url)

    assert 2 == server.stats.connections


def test_a_request_that_cannot_be_is_refused_before_it_is_sent() -> None:
    with pytest.raises(requests.exceptions.MissingSchema):
        requests.get("example.com/path")
    with pytest.raises(requests.exceptions.InvalidURL):
        requests.get("http://*example.com:port")
    with pytest.raises(requests.exceptions.InvalidSchema):
        requests.get("ftp://example.com")
    with pytest.raises(requests.exceptions.InvalidHeader):
        requests.get("http://example.com", headers={"a": "b\r\nc: d"})
