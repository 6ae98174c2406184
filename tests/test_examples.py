"""Every example runs as shipped, against `LoopbackServer`, and is short enough to be read in one go."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import client
from client.testing import LoopbackServer, MockRequest, MockResponse, MockTransport, payload_sha256

EXAMPLES = Path(__file__).parent.parent / "examples"
MAX_LINES = 60

HELLO = hashlib.sha256(b"hello").hexdigest()

SQUARES = sum(len(f"{row},{row * row}\n") for row in range(200_000))

#: What each example's main() returns; the sans-I/O ones have tests of their own.
RESULTS: dict[str, Any] = {
    "chunked_upload": {"sent": SQUARES, "stored": SQUARES, "intact": True},
    "file_upload": {"sent": 20_000_000, "intact": True, "around the file in the form": 242},
    "handle_errors": [
        "ok: 4 header fields",
        "refused: 404",
        "no JSON",
        "too slow: ReadTimeout",
        "not reached: nothing was sent, so trying again is safe",
        "our mistake, nothing was sent: InvalidURL",
        "our mistake, nothing was sent: InvalidSchema",
    ],
    "parallel_downloads": {"files": 40, "different": 40, "first": 262_144, "parts": 2, "saved": 40},
    "redirects_and_timeouts": [
        "3 redirects to /echo",
        "302 to /redirect/2",
        "more than 5 redirects",
        "silent for 0.2 s in phase read",
        "not done after 0.3 s",
    ],
    "rest_script": {
        "target": "/search?q=na%C3%AFve+caf%C3%A9&page=2",
        "sent": 36,  # {"title": "Buy milk", "done": false}
        "user": "ada",
        "cookies": {"theme": "dark"},
    },
    "sdk": (5, HELLO),
    "stream_response": {
        "size": 10_000_000,
        "sha256": payload_sha256(10_000_000),
        "events": 5,
        "last": '{"number": 4}',
    },
}


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_an_example_does_what_it_shows(no_leaks: None, name: str) -> None:
    with LoopbackServer() as server:
        result = load(name).main(server.url)

    assert RESULTS[name] == result


def test_every_example_is_run() -> None:
    """Files beginning with sans_io show the engine alone and are run by its tests; test_parallel_dask.py has its own."""
    shipped = {path.stem for path in EXAMPLES.glob("*.py") if not path.stem.startswith("sans_io")}
    shipped.remove("distributed_dask")

    assert set(RESULTS) == shipped


def test_an_example_fits_on_a_page() -> None:
    """But for those of the engine: a client and a server that handle their errors are complete programs."""
    files = [path for path in EXAMPLES.glob("*.py") if not path.stem.startswith("sans_io")]
    lines = {path.name: path.read_text(encoding="utf-8").count("\n") for path in files}

    assert {} == {name: count for name, count in lines.items() if count > MAX_LINES}


@pytest.mark.parametrize("name", ["rest_script", "redirects_and_timeouts"])
def test_an_example_brings_its_own_server_when_run_without_one(name: str) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / f"{name}.py"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
    )

    assert (0, "") == (run.returncode, run.stderr)
    assert run.stdout


def test_the_example_for_dask_says_so_where_there_is_none() -> None:
    code = "import runpy, sys; sys.modules['distributed'] = None; runpy.run_path(sys.argv[1], run_name='__main__')"
    run = subprocess.run(
        [sys.executable, "-c", code, EXAMPLES / "distributed_dask.py"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
    )

    assert (1, "this example needs Dask: pip install distributed\n") == (run.returncode, run.stderr)


def test_an_sdk_is_tested_without_a_network() -> None:
    def handler(request: MockRequest) -> MockResponse:
        assert ("PUT", "/files/a") == (request.method, request.path)
        assert "Basic YWRhOnNlY3JldA==" == request.headers["Authorization"]
        return MockResponse(json={"length": len(request.body), "sha256": "abc"})

    transport = MockTransport(handler)
    api = load("sdk").StorageAPI("http://storage.test", "ada", "secret", transport=transport)

    assert (5, "abc") == api.store("a", b"hello")
    assert "http://storage.test/files/a" == transport.requests[0].url


def test_an_sdks_errors_carry_the_status() -> None:
    sdk = load("sdk")
    answers = iter([MockResponse(503), MockResponse(503), MockResponse(507)])
    transport = MockTransport(lambda _: next(answers))
    api = sdk.StorageAPI("http://storage.test", "ada", "secret", transport=transport)

    with pytest.raises(sdk.APIError) as caught:
        api.store("a", b"hello")
    assert 507 == caught.value.status
    assert 3 == len(transport.requests)  # 503 is worth another try, 507 is not


def test_an_sdks_errors_tell_that_the_service_was_not_reached() -> None:
    def handler(request: MockRequest) -> MockResponse:
        raise client.SSLError("certificate expired")

    sdk = load("sdk")
    api = sdk.StorageAPI("http://storage.test", "ada", "secret", transport=MockTransport(handler))

    with pytest.raises(sdk.APIError, match="certificate expired") as caught:
        api.store("a", b"hello")
    assert 0 == caught.value.status
