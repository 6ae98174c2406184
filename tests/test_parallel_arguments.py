"""What all jobs of a call have in common: it reaches each of them whole, or is refused before anything is sent."""

from __future__ import annotations

import array
import io
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import client
from client.testing import LoopbackServer, MockResponse, MockTransport

BOTH = pytest.mark.parametrize("name", ["map", "as_completed"])

CONTENT = b"content " * 40_000


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def session() -> Iterator[client.Session]:
    with client.Session(workers=4, trust_env=False, timeout=10) as session:
        yield session


class Once:
    """What can be gone through as often as one likes, but comes to its end in the first time."""

    def __init__(self, pairs: list[Any]) -> None:
        self._pairs = iter(pairs)

    def __iter__(self) -> Iterator[Any]:
        return self._pairs


class Pairs:
    """What can be gone through any number of times, and nothing else."""

    def __init__(self, pairs: list[Any]) -> None:
        self._pairs = pairs

    def __iter__(self) -> Iterator[Any]:
        return iter(self._pairs)


@BOTH
@pytest.mark.parametrize(
    "common",
    [
        lambda: {"data": io.BytesIO(CONTENT)},
        lambda: {"data": (piece for piece in [CONTENT])},
        lambda: {"files": {"field": io.BytesIO(CONTENT)}},
        lambda: {"files": [("field", ("name", io.BytesIO(CONTENT), "text/plain"))]},
        lambda: {"files": iter([("field", CONTENT)])},
        lambda: {"params": zip("a", "1", strict=True)},
        lambda: {"headers": zip(["X-Token"], ["secret"], strict=True)},
        lambda: {"cookies": iter([("name", "value")])},
        lambda: {"files": {"field": io.BytesIO(CONTENT)}.items()},
        lambda: {"files": deque([("field", io.BytesIO(CONTENT))])},
        lambda: {"files": Pairs([("field", ("name", io.BytesIO(CONTENT)))])},
        lambda: {"params": {"a": iter("xy")}.items()},
        lambda: {"hooks": {"response": iter([print])}},
        lambda: {"params": Once([("a", "1")])},
    ],
)
def test_what_the_first_job_would_use_up_is_refused(
    session: client.Session, server: LoopbackServer, name: str, common: Callable[[], Any]
) -> None:
    """The others were sent without it, and answered 200."""
    before = server.stats.requests
    with pytest.raises(client.InvalidRequest, match="of several requests must not be or hold"):
        getattr(session, name)([("POST", f"{server.url}/echo")] * 8, **common())

    assert before == server.stats.requests


@BOTH
@pytest.mark.parametrize(
    "common",
    [
        {"data": CONTENT},
        {"data": CONTENT.decode()},
        {"data": [("field", CONTENT)]},
        {"data": lambda: io.BytesIO(CONTENT)},
        {"files": {"field": ("name", CONTENT)}},
        {"json": {"field": CONTENT.decode()}},
        {"data": Pairs([CONTENT, b""])},
        {"data": array.array("b", CONTENT)},
        {"files": {"field": CONTENT}.items()},
    ],
)
def test_what_each_job_can_read_reaches_them_all(name: str, common: dict[str, Any]) -> None:
    def sizes(request: Any) -> MockResponse:
        return MockResponse(200, body=str(len(request.body)))

    with client.Session(transport=MockTransport(sizes), workers=4, trust_env=False) as session:
        results = getattr(session, name)([("POST", "http://a.test/")] * 8, **common)
        arrived = [int(response.text) for response in results]

    assert 8 == len(arrived)
    assert min(arrived) >= len(CONTENT)


@pytest.mark.parametrize("argument", ["params", "headers", "cookies"])
def test_so_are_those_of_a_download_whose_parts_are_several_requests(
    session: client.Session, server: LoopbackServer, tmp_path: Path, argument: str
) -> None:
    before = server.stats.requests
    url, common = f"{server.url}/bytes/9", {argument: iter([("name", "value")])}
    with pytest.raises(client.InvalidRequest, match=f"{argument}= of several requests"):
        session.download_many([(url, tmp_path / "out")], **common)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(client.InvalidRequest, match=f"{argument}= of several requests"):
        session.download(url, tmp_path / "out", **common)  # type: ignore[arg-type]  # as above
    failed = session.download_many([{"url": url, "path": tmp_path / "out", **common}]).failed

    assert [client.InvalidRequest] == [type(one.error) for one in failed]
    assert before == server.stats.requests
