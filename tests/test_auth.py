"""Auth objects, driven as the exchange drives them, without a network: `client.auth`."""

from __future__ import annotations

import copy
import pickle
import re
import threading
from base64 import b64decode
from collections.abc import Callable, Generator
from typing import Any

import pytest

from client.auth import (
    MAX_CHALLENGES,
    AuthBase,
    HTTPBasicAuth,
    HTTPBearerAuth,
    HTTPDigestAuth,
    HTTPProxyAuth,
    basic_authorization,
)
from client.exceptions import InvalidHeader
from client.request import PreparedRequest, Request
from client.response import Response

URL = "http://a.test/path?q=1"


def prepared(url: str = URL, method: str = "GET", **arguments: Any) -> PreparedRequest:
    return Request(method, url, **arguments).prepare()


def response(status: int, **headers: str) -> Response:
    answer = Response()
    answer.status_code = status
    answer.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return answer


# -- Basic, Bearer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("username", "password", "octets"),
    [
        ("Aladdin", "open sesame", b"Aladdin:open sesame"),  # RFC 7617 section 2
        ("user", "", b"user:"),
        ("", "token", b":token"),
        ("user", "a:b", b"user:a:b"),
        ("user", "pässword", "user:pässword".encode("latin-1")),
        ("user", "пароль", "user:пароль".encode()),
        (b"user", "pä".encode(), "user:pä".encode()),
    ],
)
def test_basic_is_the_pair_in_base64(username: str | bytes, password: str | bytes, octets: bytes) -> None:
    scheme, _, token = basic_authorization(username, password).partition(" ")

    assert ("Basic", octets) == (scheme, b64decode(token, validate=True))


def test_long_credentials_stay_on_one_line() -> None:
    assert "\n" not in basic_authorization("u" * 500, "p" * 500)


@pytest.mark.parametrize("username", [None, 5, bytearray(b"u")])
def test_credentials_are_text(username: Any) -> None:
    with pytest.raises(TypeError, match="must be str or bytes"):
        basic_authorization(username, "p")


def test_a_lone_surrogate_is_refused_without_being_shown() -> None:
    with pytest.raises(InvalidHeader) as caught:
        basic_authorization("u", "secret\udc80")

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("auth", "field", "value"),
    [
        (HTTPBasicAuth("u", "p"), "Authorization", "Basic dTpw"),
        (HTTPProxyAuth("u", "p"), "Proxy-Authorization", "Basic dTpw"),
        (HTTPBearerAuth("t0k.en~+/="), "Authorization", "Bearer t0k.en~+/="),
    ],
)
def test_each_sets_its_field_and_no_other(auth: AuthBase, field: str, value: str) -> None:
    request = prepared()
    before = dict(request.headers)

    assert request is auth(request)
    assert {**before, field: value} == dict(request.headers)


@pytest.mark.parametrize("token", [None, 5, b"token"])
def test_a_token_that_is_no_str_is_refused(token: Any) -> None:
    """A variable that is not set would be sent as the word None."""
    with pytest.raises(TypeError, match="the token must be str"):
        HTTPBearerAuth(token)


def test_a_token_with_a_line_end_is_refused_before_it_is_sent() -> None:
    with pytest.raises(InvalidHeader):
        HTTPBearerAuth("a\r\nX: y")(prepared()).wire_fields()


@pytest.mark.parametrize("auth", [HTTPBasicAuth("u", "p"), HTTPBearerAuth("t"), HTTPDigestAuth("u", "p")])
def test_equal_credentials_are_equal_and_survive_pickle(auth: AuthBase) -> None:
    for twin in (pickle.loads(pickle.dumps(auth)), copy.deepcopy(auth)):
        assert auth == twin
        assert hash(auth) == hash(twin)
    assert auth not in [HTTPBasicAuth("u", "q"), 5, None]


@pytest.mark.parametrize("kind", [HTTPBasicAuth, HTTPProxyAuth, HTTPDigestAuth])
def test_reprs_show_no_credentials(kind: Callable[[str, str], AuthBase]) -> None:
    assert f"<{kind.__name__}>" == repr(kind("alice", "secret"))
    assert "secret" not in repr(HTTPBearerAuth("secret"))


def test_the_base_class_asks_for_a_call() -> None:
    with pytest.raises(NotImplementedError):
        AuthBase()(prepared())


# -- Digest -----------------------------------------------------------------------------------------------

CHALLENGE = 'Digest realm="r", nonce="n1", qop="auth", algorithm=SHA-256'


def parameter(request: PreparedRequest, name: str) -> str | None:
    value = request.headers.get("Authorization", "")
    found = re.search(rf'\b{name}="?([^",]*)', value)
    return found[1] if found else None


def start(auth: HTTPDigestAuth, request: PreparedRequest) -> tuple[Any, PreparedRequest]:
    flow = auth.auth_flow(request)
    return flow, next(flow)


def ended(flow: Generator[Any, Any, Any], answer: Response) -> bool:
    try:
        flow.send(answer)
    except StopIteration:
        return True
    return False


def test_a_challenge_is_answered_on_a_copy_of_the_request() -> None:
    """The refused request stays in the history as it was sent."""
    flow, first = start(HTTPDigestAuth("u", "p"), prepared(method="POST", data=b"body"))
    second = flow.send(response(401, WWW_Authenticate=CHALLENGE))

    assert "Authorization" not in first.headers
    assert ("n1", "/path?q=1", "00000001") == (
        parameter(second, "nonce"),
        parameter(second, "uri"),
        parameter(second, "nc"),
    )
    assert ("POST", b"body") == (second.method, second.body)
    assert ended(flow, response(200))


def test_without_a_401_there_is_no_second_request() -> None:
    for status in (200, 403, 407, 500):
        flow, _ = start(HTTPDigestAuth("u", "p"), prepared())
        assert ended(flow, response(status, WWW_Authenticate=CHALLENGE))


@pytest.mark.parametrize("field", ["", 'Basic realm="r"', 'Digest realm="r", nonce="n", algorithm=new'])
def test_a_401_that_cannot_be_answered_is_the_callers(field: str) -> None:
    flow, _ = start(HTTPDigestAuth("u", "p"), prepared())

    assert ended(flow, response(401, WWW_Authenticate=field))


def test_a_second_refusal_is_final_and_forgets_the_challenge() -> None:
    """The password is wrong; to send it with every request from now on would lock the account the sooner."""
    auth = HTTPDigestAuth("u", "p")
    flow, _ = start(auth, prepared())
    flow.send(response(401, WWW_Authenticate=CHALLENGE))

    assert ended(flow, response(401, WWW_Authenticate=CHALLENGE.replace("n1", "n2")))
    assert "Authorization" not in start(auth, prepared())[1].headers


@pytest.mark.parametrize("status", [200, 401])
def test_a_stale_nonce_is_replaced_once(status: int) -> None:
    auth = HTTPDigestAuth("u", "p")
    flow, _ = start(auth, prepared())
    flow.send(response(401, WWW_Authenticate=CHALLENGE))
    third = flow.send(response(401, WWW_Authenticate=f"{CHALLENGE.replace('n1', 'n2')}, stale=true"))

    assert ("n2", "00000001") == (parameter(third, "nonce"), parameter(third, "nc"))
    assert ended(flow, response(status, WWW_Authenticate=f"{CHALLENGE}, stale=true"))
    assert (status == 200) is ("Authorization" in start(auth, prepared())[1].headers)


def test_later_requests_carry_an_answer_at_once_and_count_up() -> None:
    auth = HTTPDigestAuth("u", "p")
    flow, _ = start(auth, prepared())
    first = flow.send(response(401, WWW_Authenticate=CHALLENGE))
    assert ended(flow, response(200))

    _, second = start(auth, prepared("http://a.test/other"))

    assert ("/other", "00000002") == (parameter(second, "uri"), parameter(second, "nc"))
    assert parameter(first, "cnonce") == parameter(second, "cnonce")
    assert parameter(first, "response") != parameter(second, "response")


def test_requests_that_are_asked_with_one_nonce_count_on() -> None:
    """Threads that begin together: a count that the server has seen is a replay (RFC 7616 section 3.4)."""
    auth = HTTPDigestAuth("u", "p")
    flows = [start(auth, prepared())[0] for _ in range(3)]
    answers = [flow.send(response(401, WWW_Authenticate=CHALLENGE)) for flow in flows]

    assert ["00000001", "00000002", "00000003"] == [parameter(answer, "nc") for answer in answers]
    assert 1 == len({parameter(answer, "cnonce") for answer in answers})


def test_a_refused_guess_is_followed_by_one_real_answer() -> None:
    """The server forgot the nonce and does not say stale; the password has not been judged yet."""
    auth = HTTPDigestAuth("u", "p")
    auth._learn(prepared(), next(iter(_challenges(CHALLENGE))))
    flow, first = start(auth, prepared())
    second = flow.send(response(401, WWW_Authenticate=CHALLENGE.replace("n1", "n2")))

    assert ("n1", "n2") == (parameter(first, "nonce"), parameter(second, "nonce"))
    assert ended(flow, response(401, WWW_Authenticate=CHALLENGE))


def _challenges(field: str) -> Any:
    from client.digest import parse_challenges

    return parse_challenges(field)


@pytest.mark.parametrize(
    "other", ["http://b.test/", "https://a.test/", "http://a.test:8080/", "http://sub.a.test/"]
)
def test_another_origin_sees_nothing_of_the_first(other: str) -> None:
    """CVE-2026-11856: an answer made with A's nonce and realm went to B."""
    auth = HTTPDigestAuth("u", "p")
    flow, _ = start(auth, prepared())
    flow.send(response(401, WWW_Authenticate=CHALLENGE))

    _, request = start(auth, prepared(other))

    assert "Authorization" not in request.headers


def test_two_origins_keep_their_own_counts() -> None:
    auth = HTTPDigestAuth("u", "p")
    for host, turns in (("a", 2), ("b", 1)):
        flow, _ = start(auth, prepared(f"http://{host}.test/"))
        flow.send(response(401, WWW_Authenticate=CHALLENGE.replace("n1", host)))
        for _ in range(turns - 1):
            start(auth, prepared(f"http://{host}.test/"))

    counts = [parameter(start(auth, prepared(f"http://{host}.test/"))[1], "nc") for host in "ab"]

    assert ["00000003", "00000002"] == counts


def test_what_is_remembered_is_bounded() -> None:
    auth = HTTPDigestAuth("u", "p")
    for number in range(MAX_CHALLENGES + 10):
        flow, _ = start(auth, prepared(f"http://h{number}.test/"))
        flow.send(response(401, WWW_Authenticate=CHALLENGE))

    assert MAX_CHALLENGES == len(auth._known)
    assert "Authorization" not in start(auth, prepared("http://h0.test/"))[1].headers
    assert "Authorization" in start(auth, prepared("http://h109.test/"))[1].headers


def test_threads_never_share_a_count() -> None:
    auth = HTTPDigestAuth("u", "p")
    flow, _ = start(auth, prepared())
    flow.send(response(401, WWW_Authenticate=CHALLENGE))
    seen: list[str | None] = []
    ready = threading.Barrier(8)

    def work() -> None:
        ready.wait(10)
        for _ in range(50):
            seen.append(parameter(auth(prepared()), "nc"))  # noqa: PERF401  # each call must be made in turn

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(f"{count:08x}" for count in range(2, 402)) == sorted(map(str, seen))


def test_a_pickled_object_has_learnt_nothing() -> None:
    """A nonce count used in two processes would be a replay."""
    auth = HTTPDigestAuth("u", "p")
    flow, _ = start(auth, prepared())
    flow.send(response(401, WWW_Authenticate=CHALLENGE))

    twin = pickle.loads(pickle.dumps(auth))

    assert "Authorization" not in start(twin, prepared())[1].headers


@pytest.mark.parametrize(("username", "password"), [("s3cret\ud800", "p"), ("u", "s3cret\udc80")])
def test_digest_needs_what_utf_8_can_say(username: str, password: str) -> None:
    with pytest.raises(InvalidHeader, match="lone surrogate") as caught:
        HTTPDigestAuth(username, password)
    assert "s3cret" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(("username", "password"), [(None, "p"), ("u", None), (b"u", "p"), ("u", 5)])
def test_digest_needs_text(username: Any, password: Any) -> None:
    with pytest.raises(TypeError, match="must be str"):
        HTTPDigestAuth(username, password)


def test_a_challenge_that_tries_to_inject_a_field_is_not_answered() -> None:
    flow, _ = start(HTTPDigestAuth("u", "p"), prepared())

    assert ended(flow, response(401, WWW_Authenticate='Digest realm="r\r\nX: y", nonce="n"'))
