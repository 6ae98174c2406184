"""Row E3: no error, representation, warning, log or trace shows a secret that the caller put into a call.

Every class of `client.exceptions` is provoked for real, by a call that holds a password, a token, a cookie and a query;
a class that is added and not provoked here fails the test.
"""

from __future__ import annotations

import base64
import contextlib
import os
import pickle
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import client
from client import exceptions
from client.auth import HTTPBasicAuth, HTTPBearerAuth, HTTPDigestAuth
from client.exceptions import RequestException
from client.proxies import ProxyMap
from tests.scripted_server import Close, Expect, Flood, Hold, ScriptedServer, Send
from tests.security.origins import OK, redirect, response

pytestmark = pytest.mark.timeout(10)

PASSWORD = "pa55w0rd"
TOKEN = "t0ken-of-mine"
COOKIE = "c00kie-jar"
QUERY = "qu3ry-s3cr3t"
SECRETS = (
    PASSWORD,
    TOKEN,
    COOKIE,
    QUERY,
    base64.b64encode(f"user:{PASSWORD}".encode()).decode(),
    base64.b64encode(f"proxy:{PASSWORD}".encode()).decode(),
)

#: Never raised themselves: code catches them.
ROOTS = {"RequestException", "InvalidRequest", "ConnectionError", "Timeout"}


class Scene:
    """A server to fail at, and a session that holds all the secrets and records every trace event."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.events: list[Any] = []
        self.settings: dict[str, Any] = {}

    def url(self, host: str = "127.0.0.1", port: int | None = None, scheme: str = "http") -> str:
        return f"{scheme}://user:{PASSWORD}@{host}:{port or self.server.port}/path?key={QUERY}#{QUERY}"

    def session(self, **settings: Any) -> client.Session:
        return client.Session(
            **{
                "trust_env": False,
                "headers": {"X-Api-Key": TOKEN, "Proxy-Authorization": TOKEN},
                "cookies": {"sid": COOKIE},
                "trace": lambda *event: self.events.append(event),
                **settings,
            }
        )

    def fail(
        self, *answers: bytes, method: str = "GET", url: str | None = None, **arguments: Any
    ) -> RequestException:
        """Answer with *answers* on one connection, then close; return the error that the call ends with."""
        if answers:
            self.server.script(*(step for answer in answers for step in (Expect(), Send(answer))), Close())
        settings = {name: arguments.pop(name) for name in list(arguments) if name in SESSION_SETTINGS}
        with self.session(**settings) as session, pytest.raises(RequestException) as caught:
            session.request(method, self.url() if url is None else url, **arguments).json()
        return caught.value


SESSION_SETTINGS = {"max_redirects", "resolver", "address_filter", "limits", "proxies"}
GONE = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"


def http_error(scene: Scene) -> RequestException:
    scene.server.answer(response(b"Set-Cookie: x=" + COOKIE.encode(), status=b"401 No"))
    with scene.session() as session, pytest.raises(exceptions.HTTPError) as caught:
        session.get(scene.url()).raise_for_status()
    return caught.value


def redirect_error(scene: Scene) -> RequestException:
    return scene.fail(redirect(f"ftp://user:{PASSWORD}@b.test/?{QUERY}"))


def too_many_redirects(scene: Scene) -> RequestException:
    return scene.fail(redirect(f"/there?key={QUERY}"), max_redirects=0)


def retry_error(scene: Scene) -> RequestException:
    return scene.fail(
        *[response(status=b"503 No")] * 2, retries=client.Retry(1, backoff_factor=0, raise_on_status=True)
    )


def proxy_error(scene: Scene) -> RequestException:
    proxy = f"http://proxy:{PASSWORD}@127.0.0.1:{scene.server.port}"
    return scene.fail(
        response(status=b"502 " + TOKEN[:0].encode() + b"Bad"),
        url=scene.url("a.test", 443, "https"),
        proxies={"all": proxy},
    )


def connect_error(scene: Scene) -> RequestException:
    return scene.fail(url=scene.url(port=1))


def tls_on(scene: Scene, *steps: Any, **arguments: Any) -> RequestException:
    scene.server.script(*steps)
    return scene.fail(url=scene.url(scheme="https"), **arguments)


def stale(scene: Scene) -> RequestException:
    scene.server.script(Expect(), Send(OK), Expect(body=5), Close())
    with scene.session() as session, pytest.raises(RequestException) as caught:
        session.get(scene.url())
        session.post(scene.url(), data=b"x=abc")
    return caught.value


def pool_timeout(scene: Scene) -> RequestException:
    scene.server.script(Expect(), Send(GONE), Hold())
    limits = client.PoolLimits(total=1, per_origin=1)
    with (
        scene.session(limits=limits, workers=1) as session,
        session.get(scene.url(), stream=True),
        pytest.raises(RequestException) as caught,
    ):
        session.get(scene.url(), timeout=client.Timeouts(pool=0.05))
    return caught.value


def aborted(scene: Scene) -> RequestException:
    scene.server.script(Expect(), Send(GONE), Hold())
    with scene.session() as session, session.get(scene.url(), stream=True) as answer:
        session.abort()
        with pytest.raises(RequestException) as caught:
            answer.content  # noqa: B018  # reads the body
    return caught.value


def worker_lost(scene: Scene) -> RequestException:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with scene.session() as session, pytest.raises(RequestException) as caught:
        list(session.map([{"url": scene.url(), "auth": ("user", PASSWORD)}], executor=pool))
    return caught.value


def after_a_fork(scene: Scene) -> RequestException:
    """Read in a child; what it got is sent over as a pickle, which is a test of its own."""
    scene.server.script(Expect(), Send(GONE), Hold())
    with scene.session() as session, session.get(scene.url(), stream=True) as answer:
        receiver, sender = os.pipe()
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                try:
                    answer.content  # noqa: B018  # reads the body
                except RequestException as error:
                    os.write(sender, pickle.dumps(error))
            os._exit(0)
        os.waitpid(child, 0)
        os.close(sender)
        with os.fdopen(receiver, "rb") as file:
            received = pickle.loads(file.read())
    assert isinstance(received, RequestException)
    return received


def consumed(scene: Scene) -> RequestException:
    scene.server.answer(OK)
    with scene.session() as session, session.get(scene.url(), stream=True) as answer:
        list(answer.iter_content())
        with pytest.raises(RequestException) as caught:
            list(answer.iter_content())
    return caught.value


def not_downloaded(*answers: bytes, **arguments: Any) -> Callable[[Scene], RequestException]:
    def scenario(scene: Scene) -> RequestException:
        scene.server.answer(*answers)
        with (
            tempfile.TemporaryDirectory() as folder,
            scene.session() as session,
            pytest.raises(RequestException) as caught,
        ):
            session.download(scene.url(), f"{folder}/file", **arguments)
        return caught.value

    return scenario


def closing(scene: Scene) -> RequestException:
    scene.server.script(Expect(), Close())
    return scene.fail()


def invalid_by(scene: Scene, url: Any) -> RequestException:
    with scene.session() as session, pytest.raises(RequestException) as caught:
        session.get(url)
    return caught.value


def used_up(scene: Scene) -> RequestException:
    scene.server.script(Expect(until=b"0\r\n\r\n"), Send(redirect("/there", 307)), Close())
    return scene.fail(method="POST", data=iter([b"x"]))


def not_written(scene: Scene) -> RequestException:
    scene.server.script(ReadNothing(), Close())
    return scene.fail(method="POST", data=bytes(1 << 24), timeout=client.Timeouts(write=0.1))


class ReadNothing:
    """Wait for the client to give up, and read nothing meanwhile."""

    def play(self, conversation: Any) -> None:
        conversation.stopping.wait(5)


def at_once(**arguments: Any) -> Callable[[Scene], RequestException]:
    return lambda scene: scene.fail(**arguments)


def answered(*answers: bytes, **arguments: Any) -> Callable[[Scene], RequestException]:
    return lambda scene: scene.fail(*answers, **arguments)


def silent(**arguments: Any) -> Callable[[Scene], RequestException]:
    def scenario(scene: Scene) -> RequestException:
        scene.server.script(Expect(), Hold())
        return scene.fail(**arguments)

    return scenario


def no_address(host: str, port: int) -> list[str]:
    return []


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
GZIP = b"Content-Encoding: gzip"

PROVOKED: list[tuple[str, Callable[[Scene], RequestException]]] = [
    ("HTTPError", http_error),
    ("TooManyRedirects", too_many_redirects),
    ("RedirectError", redirect_error),
    ("RetryError", retry_error),
    ("InvalidURL", at_once(url=f"http://user:{PASSWORD}@a b/?key={QUERY}")),
    ("InvalidURL", at_once(url=f"http://user:{PASSWORD}@a.test:port/?key={QUERY}")),
    ("InvalidURL", at_once(url=f"http://user:{PASSWORD}@a.test/\x01?key={QUERY}")),
    ("InvalidURL", at_once(url=f"http://a.test/?key={QUERY}\x01")),
    ("InvalidURL", at_once(url=f"http://user:{PASSWORD}@[::1/?key={QUERY}")),
    ("InvalidURL", at_once(url=f"http://user:{PASSWORD}#@a.test/?key={QUERY}")),
    ("InvalidURL", at_once(url=f"http://user:{PASSWORD}/@a.test/?key={QUERY}")),
    ("InvalidURL", at_once(url=f"http://user:x@{PASSWORD}@a.test/?key={QUERY}")),
    ("InvalidURL", at_once(url=f"http://user:{PASSWORD}\\@a.test/?key={QUERY}")),
    ("URLRequired", lambda scene: invalid_by(scene, None)),
    ("InvalidSchema", at_once(url=f"user:{PASSWORD}@a.test/?key={QUERY}")),
    ("MissingSchema", at_once(url=f"//user:{PASSWORD}@a.test/?key={QUERY}")),
    ("InvalidSchema", at_once(url=f"ftp://user:{PASSWORD}@a.test/?key={QUERY}")),
    ("InvalidProxyURL", at_once(proxies={"all": f"http://proxy:{PASSWORD}@a b"})),
    ("InvalidProxyURL", at_once(proxies={"all": f"gopher://proxy:{PASSWORD}@a.test"})),
    ("InvalidProxyURL", at_once(proxies={"all": f"http://proxy:{PASSWORD}\r\n@a.test"})),
    ("InvalidHeader", at_once(headers={"Authorization": f"Bearer {TOKEN}\r\n"})),
    ("InvalidHeader", at_once(headers={"Authorization": f"Bearer {TOKEN}\u2100"})),
    ("InvalidMethod", at_once(method="G T")),
    ("InvalidTimeout", at_once(timeout=-1)),
    ("InvalidBody", at_once(data=42)),
    ("InvalidJSONError", at_once(json={TOKEN: object()})),
    ("UnrewindableBodyError", used_up),
    ("ConnectError", connect_error),
    ("NameResolutionError", lambda scene: scene.fail(url=scene.url("a.test"), resolver=no_address)),
    ("AddressNotAllowed", at_once(address_filter=lambda address: False)),
    ("ProxyError", proxy_error),
    ("SSLError", lambda scene: tls_on(scene, Send(OK, may_fail=True), Close())),
    ("ConnectTimeout", lambda scene: tls_on(scene, Hold(), timeout=client.Timeouts(connect=1))),
    ("RemoteDisconnected", closing),
    ("StaleConnectionError", stale),
    ("ProtocolError", answered(b"HTTP/1.1 200 OK\r\nSet-Cookie : x=" + COOKIE.encode() + b"\r\n\r\n")),
    ("ProtocolError", answered(b"HTTP/1.1 200 OK\r\nX y\r\n\r\n")),
    ("SessionClosed", aborted),
    ("ForkError", after_a_fork),
    ("WorkerLost", worker_lost),
    ("WriteTimeout", not_written),
    ("ReadTimeout", silent(timeout=1)),
    ("PoolTimeout", pool_timeout),
    ("TotalTimeout", silent(timeout=client.Timeouts(total=1))),
    ("ChunkedEncodingError", answered(CHUNKED + b"x\r\n")),
    ("IncompleteBody", answered(GONE)),
    ("ContentDecodingError", answered(response(GZIP, body=b"no gzip"))),
    ("BodyTooLarge", answered(response(body=b"x" * 100), max_body=10)),
    ("DownloadError", not_downloaded(b"HTTP/1.1 204 No\r\n\r\n")),
    ("ChecksumMismatch", not_downloaded(OK, checksum="sha256:" + "0" * 64)),
    ("StreamConsumedError", consumed),
    ("JSONDecodeError", answered(response(body=b"<html>"))),
]


def texts_of(error: BaseException) -> Iterator[str]:
    """Yield all that a log would show of *error* and of what hangs on it."""
    yield from (str(error), repr(error), repr(error.args))
    yield "".join(traceback.format_exception(error))
    for name in ("request", "response", "attempts"):
        thing = getattr(error, name, None)
        yield from (str(thing), repr(thing))
    answer = getattr(error, "response", None)
    if answer is not None:
        yield from (repr(answer.history), repr(answer.timings), repr(answer.next))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize(("name", "provoke"), PROVOKED, ids=[name for name, _ in PROVOKED])
def test_row_e3_no_error_shows_a_secret(
    scripted_server: ScriptedServer,
    name: str,
    provoke: Callable[[Scene], RequestException],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(0)
    scene = Scene(scripted_server)

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        error = provoke(scene)

    assert name == type(error).__name__
    copy = pickle.loads(pickle.dumps(error))
    assert str(error) == str(copy)
    shown = [
        *texts_of(error),
        *texts_of(copy),
        *map(repr, scene.events),
        caplog.text,
        *(str(w.message) for w in warned),
    ]
    assert [] == [(secret, text) for secret in SECRETS for text in shown if secret in text]


def test_every_class_of_errors_is_provoked() -> None:
    classes = {
        name
        for name, kind in vars(exceptions).items()
        if isinstance(kind, type) and issubclass(kind, RequestException)
    }

    assert classes - ROOTS == {name for name, _ in PROVOKED}


#: Who else holds a secret -> the session's settings, and the environment.
HOLDERS: dict[str, tuple[Callable[[], dict[str, Any]], dict[str, str]]] = {
    "Basic": (lambda: {"auth": HTTPBasicAuth("user", PASSWORD)}, {}),
    "Digest": (lambda: {"auth": HTTPDigestAuth("user", PASSWORD)}, {}),
    "Bearer": (lambda: {"auth": HTTPBearerAuth(TOKEN)}, {}),
    "netrc": (lambda: {"trust_env": True}, {"NETRC": f"machine 127.0.0.1 login user password {PASSWORD}"}),
    "a broken netrc": (
        lambda: {"trust_env": True},
        {"NETRC": f"machine 127.0.0.1 login u password {PASSWORD} {TOKEN}"},
    ),
    "a proxy of the environment": (
        lambda: {"trust_env": True},
        {"http_proxy": f"http://proxy:{PASSWORD}@127.0.0.1:PORT"},
    ),
    "params= and cookies=": (lambda: {"params": {"key": QUERY}, "cookies": {"sid": COOKIE}}, {}),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_row_e3_no_holder_of_a_secret_shows_it(
    holder: str,
    scripted_server: ScriptedServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Through a challenge, a redirect, a retry and a body that breaks off, as far as each gets."""
    make, environment = HOLDERS[holder]
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        (path := tmp_path / name).write_text(value)
        proxy = value.replace("PORT", str(scripted_server.port))
        monkeypatch.setenv(name, str(path) if name == "NETRC" else proxy)
    challenge = response(
        f'WWW-Authenticate: Digest realm="r", nonce="{"0" * 32}", qop="auth"'.encode(), status=b"401 No"
    )
    answers = [challenge] if holder == "Digest" else []
    answers += [redirect("/there"), response(status=b"503 No"), GONE]
    scripted_server.script(*(step for answer in answers for step in (Expect(), Send(answer))), Close())
    events: list[Any] = []
    caplog.set_level(0)

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        settings = {"trust_env": False, "trace": lambda *event: events.append(event), **make()}
        with client.Session(**settings) as session, pytest.raises(RequestException) as caught:
            session.get(scripted_server.url, retries=client.Retry(1, backoff_factor=0))
        shown = [*texts_of(caught.value), *texts_of(pickle.loads(pickle.dumps(caught.value))), repr(session)]
        shown += [repr(session.auth), repr(session.cookies), *map(repr, events), caplog.text]
        shown += [str(warning.message) for warning in warned]

    assert (holder == "a broken netrc") is bool(warned)
    assert [] == [(secret, text) for secret in SECRETS for text in shown if secret in text]


def test_row_e3_no_log_message_shows_a_secret(
    scripted_server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """There are messages, so that their silence about secrets says something."""
    caplog.set_level(0)
    scene = Scene(scripted_server)
    scripted_server.answer(redirect(f"/there?key={QUERY}"), response(b"Set-Cookie: x=" + COOKIE.encode()))

    with scene.session() as session:
        session.get(scene.url())

    assert caplog.records
    shown = [caplog.text, *(repr(vars(record)) for record in caplog.records)]
    assert [] == [(secret, text) for secret in SECRETS for text in shown if secret in text]


def test_row_e3_no_representation_shows_a_secret(scripted_server: ScriptedServer) -> None:
    """What a debugger, a log or a failed assertion prints."""
    scene = Scene(scripted_server)
    scripted_server.answer(redirect(f"/there?key={QUERY}"), response(b"Set-Cookie: sid2=" + COOKIE.encode()))
    auth = HTTPBearerAuth(TOKEN)
    proxy = f"http://proxy:{PASSWORD}@127.0.0.1:1"

    with scene.session() as session:
        answer = session.get(scene.url())
        request = client.Request("GET", scene.url(), auth=auth, cookies={"c": COOKIE})
        retry = client.Retry(3)
        things = [
            session, session._transport, answer, answer.request, answer.history, answer.history[0].next, request, auth,
            request.prepare(), HTTPBasicAuth("user", PASSWORD), HTTPDigestAuth("user", PASSWORD),
            ProxyMap({"all": proxy}), retry, session.cookies, list(session.cookies),
            answer.request._url, answer.timings, answer.attempts, client.TLSSettings(cert=("a", "b", PASSWORD)),
        ]  # fmt: skip
        shown = [text for thing in things for text in (repr(thing), str(thing))]

    urls = [text for text in shown if "?key=" in text]
    assert [] == [
        (secret, text) for secret in SECRETS for text in shown if secret in text and text not in urls
    ]
    assert [] == [text for text in urls if PASSWORD in text]


def test_row_e4_user_information_of_a_url_is_nowhere_but_in_authorization(
    scripted_server: ScriptedServer,
) -> None:
    scene = Scene(scripted_server)
    at = scripted_server.answer(OK)

    with scene.session() as session:
        answer = session.get(scene.url())
        assert PASSWORD not in answer.url

    assert PASSWORD.encode() not in at.requests[0]
    assert b"user@" not in at.requests[0]
    assert b"Authorization: Basic " in at.requests[0]


def test_row_e5_what_the_peer_wrote_is_escaped_in_texts(scripted_server: ScriptedServer) -> None:
    """A reason phrase may hold octets above 0x7f, which are C1 controls to some terminals."""
    scripted_server.answer(b"HTTP/1.1 404 \x9b2J \xc2\x9b2J\r\nContent-Length: 0\r\n\r\n")

    with client.Session(trust_env=False) as session, pytest.raises(exceptions.HTTPError) as caught:
        session.get(scripted_server.url).raise_for_status()

    assert str(caught.value).isprintable()


def test_an_endless_body_shows_nothing_either(scripted_server: ScriptedServer) -> None:
    """The text of a limit names sizes, and nothing of what came."""
    scripted_server.script(
        Expect(), Send(CHUNKED), Flood(b"10\r\n" + TOKEN.encode()[:13] + b"xyz\r\n", limit=1 << 24)
    )

    with (
        client.Session(trust_env=False, max_body=1000) as session,
        pytest.raises(exceptions.BodyTooLarge) as caught,
    ):
        session.get(scripted_server.url)

    assert TOKEN not in str(caught.value)
