"""The API reference: every name that it documents, and the order of arguments that may be given by position."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import client as requests
from client.testing import LoopbackServer

#: What is documented -> its members.
MEMBERS: dict[Any, str] = {
    requests.Request: "register_hook deregister_hook prepare",
    requests.PreparedRequest: """
        body copy deregister_hook headers hooks method path_url prepare prepare_auth prepare_body prepare_content_length
        prepare_cookies prepare_headers prepare_hooks prepare_method prepare_url register_hook url
    """,
    requests.Response: """
        apparent_encoding close content cookies elapsed encoding headers history is_permanent_redirect is_redirect
        iter_content iter_lines json links next ok raise_for_status raw reason request status_code text url
    """,
    requests.Session: """
        auth cert close cookies delete get get_adapter get_redirect_target head headers hooks max_redirects
        merge_environment_settings mount options params patch post prepare_request proxies put request
        resolve_redirects send stream trust_env verify adapters
    """,
    requests.adapters.BaseAdapter: "send close",
    requests.adapters.HTTPAdapter: "send close add_headers build_response init_poolmanager max_retries",
    requests.cookies.RequestsCookieJar: """
        clear clear_expired_cookies clear_session_cookies copy get get_dict items iteritems iterkeys itervalues keys
        list_domains list_paths multiple_domains pop set set_cookie setdefault update values
    """,
    requests.structures.CaseInsensitiveDict: "copy lower_items get pop update setdefault clear items keys values",
    requests.auth: "AuthBase HTTPBasicAuth HTTPProxyAuth HTTPDigestAuth",
    requests.exceptions: """
        RequestException ConnectionError HTTPError URLRequired TooManyRedirects ConnectTimeout ReadTimeout Timeout
        JSONDecodeError InvalidJSONError InvalidURL InvalidHeader InvalidSchema MissingSchema InvalidProxyURL SSLError
        ProxyError ChunkedEncodingError ContentDecodingError StreamConsumedError RetryError UnrewindableBodyError
        RequestsWarning FileModeWarning RequestsDependencyWarning
    """,
    requests.utils: """
        dict_from_cookiejar cookiejar_from_dict add_dict_to_cookiejar get_encodings_from_content
        get_encoding_from_headers default_headers
    """,
    requests.cookies: """
        RequestsCookieJar CookieConflictError cookiejar_from_dict create_cookie merge_cookies remove_cookie_by_name
    """,
    requests.hooks: "default_hooks dispatch_hook",
}

#: What may be given by position, in this order.
POSITIONAL: dict[Any, str] = {
    requests.Request: "method url headers files data params auth cookies hooks json",
    requests.PreparedRequest.prepare: "self method url headers files data params auth cookies hooks json",
    requests.PreparedRequest.prepare_body: "self data files json",
    requests.Session.request: """
        self method url params data headers cookies files auth timeout allow_redirects proxies hooks stream verify cert json
    """,
    requests.Session.get: "self url params",
    requests.Session.post: "self url data json",
    requests.Session.put: "self url data",
    requests.Session.patch: "self url data",
    requests.Session.merge_environment_settings: "self url proxies stream verify cert",
    requests.Session.mount: "self prefix adapter",
    requests.get: "url params",
    requests.post: "url data json",
    requests.put: "url data",
    requests.patch: "url data",
    requests.adapters.HTTPAdapter: "pool_connections pool_maxsize max_retries pool_block",
    requests.adapters.HTTPAdapter.send: "self request stream timeout verify cert proxies",
    requests.adapters.HTTPAdapter.build_response: "self req resp",
    requests.Response.iter_content: "self chunk_size decode_unicode",
    requests.Response.iter_lines: "self chunk_size decode_unicode delimiter",
    requests.cookies.RequestsCookieJar.get: "self name default domain path",
    requests.auth.HTTPDigestAuth: "username password",
}


@pytest.mark.parametrize(
    ("documented", "members"), MEMBERS.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_documented_members_are_there(documented: Any, members: str) -> None:
    instance = documented() if isinstance(documented, type) else documented

    assert [] == [name for name in members.split() if name not in {*dir(instance), *dir(documented)}]


@pytest.mark.parametrize(
    ("function", "order"), POSITIONAL.items(), ids=lambda value: getattr(value, "__qualname__", "")
)
def test_arguments_by_position_have_requests_order(function: Any, order: str) -> None:
    parameters = inspect.signature(function).parameters.values()
    positional = [each.name for each in parameters if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]

    assert order.split() == positional[: len(order.split())]


def test_arguments_by_position_mean_the_same(server: LoopbackServer) -> None:
    with requests.Session() as session:
        assert "/?a=1" == session.get(server.url, {"a": "1"}).json()["target"]
        assert 3 == session.post(server.url, "abc").json()["length"]
        assert "POST" == session.request("POST", server.url, None, b"x").json()["method"]


def test_attributes_of_an_empty_response() -> None:
    """What test doubles written for requests start from."""
    response: Any = requests.Response()

    for name in ("status_code", "raw", "encoding", "url", "reason", "request", "next"):
        assert getattr(response, name) is None, name
    assert (False, []) == (response._content, response.history)
    assert {} == response.headers == response.cookies.get_dict()


def test_the_pieces_of_requests_modules_work_alone() -> None:
    jar = requests.cookies.merge_cookies(
        requests.cookies.cookiejar_from_dict({"a": "1"}), {"a": "2", "b": "3"}
    )
    assert {"a": "1", "b": "3"} == requests.utils.dict_from_cookiejar(jar)
    assert 1 == requests.cookies.remove_cookie_by_name(jar, "a")
    assert {"response": []} == requests.hooks.default_hooks()
    assert 3 == requests.hooks.dispatch_hook("response", {"response": lambda data: data + 1}, 2)
    assert 2 == requests.hooks.dispatch_hook("response", None, 2)
    page = "<META http-equiv='x' content='text/html; charset=koi8-r'><?xml version='1.0' encoding='cp1251'?>"
    assert ["koi8-r", "cp1251"] == requests.utils.get_encodings_from_content(page)
    assert "utf-8" == requests.utils.get_encoding_from_headers({"content-type": "text/html; charset=utf-8"})
    assert requests.utils.get_encoding_from_headers({}) is None
    assert "User-Agent" in requests.utils.default_headers()
