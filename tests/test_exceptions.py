"""The tree of errors: requests' names, the builtins beside them, and what travels through pickle."""

from __future__ import annotations

import builtins
import json
import pickle
from typing import Any

import pytest

from client import exceptions
from client.exceptions import (
    ConnectTimeout,
    HTTPError,
    InvalidURL,
    JSONDecodeError,
    RequestException,
    Timeout,
)
from client.request import Request
from client.response import Response

ERRORS = [
    getattr(exceptions, name)
    for name in exceptions.__all__
    if issubclass(getattr(exceptions, name), RequestException) and name != "JSONDecodeError"
]


def test_there_is_one_root_and_it_is_an_oserror() -> None:
    strays = [
        name
        for name in exceptions.__all__
        if not issubclass(getattr(exceptions, name), (RequestException, exceptions.RequestsWarning))
    ]

    assert [] == strays
    assert issubclass(RequestException, OSError)


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ConnectionError", builtins.ConnectionError),
        ("RemoteDisconnected", ConnectionResetError),
        ("Timeout", TimeoutError),
        ("ConnectTimeout", TimeoutError),
        ("InvalidURL", ValueError),
        ("MissingSchema", ValueError),
        ("InvalidHeader", ValueError),
        ("InvalidTimeout", ValueError),
        ("ContentDecodingError", ValueError),
        ("IncompleteBody", EOFError),
        ("StreamConsumedError", TypeError),
        ("JSONDecodeError", json.JSONDecodeError),
    ],
)
def test_an_error_is_also_the_builtin_that_a_caller_would_expect(name: str, builtin: type) -> None:
    assert issubclass(getattr(exceptions, name), builtin)


def test_a_connect_timeout_is_both_a_failed_connection_and_a_timeout() -> None:
    """As in requests: `except ConnectionError` and `except Timeout` both catch it."""
    assert issubclass(ConnectTimeout, exceptions.ConnectionError)
    assert issubclass(ConnectTimeout, Timeout)


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: str(kind.__name__))
def test_an_error_survives_pickle_with_its_fields(kind: type[RequestException]) -> None:
    request = Request("GET", "http://a.test/").prepare()
    error = kind("what was seen", request=request, phase="read", seconds=2.0, partial=b"ab")

    twin: Any = pickle.loads(pickle.dumps(error))

    assert (kind, str(error)) == (type(twin), str(twin))
    assert ("read", 2.0, b"ab") == (twin.phase, twin.seconds, twin.partial)
    assert "http://a.test/" == twin.request.url


def test_a_json_error_survives_pickle_with_its_position() -> None:
    twin = pickle.loads(pickle.dumps(JSONDecodeError("Expecting value", "no json", 3)))

    assert ("Expecting value", "no json", 3) == (twin.msg, twin.doc, twin.pos)
    assert "Expecting value: line 1 column 4 (char 3)" == str(twin)


def test_the_request_is_taken_from_the_response_where_only_that_is_given() -> None:
    """requests' documented behaviour."""
    response = Response()
    response.request = Request("GET", "http://a.test/").prepare()

    assert response.request is HTTPError("404", response=response).request
    assert InvalidURL("no").request is None
