"""The library under requests' name: every name is there, and the switch is thrown once, before anybody looks."""

from __future__ import annotations

import subprocess
import sys
import urllib.parse
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

import client
from client.as_requests import _FURTHER, _OURS, _Module
from client.requests_names import (
    DEFAULT_CA_BUNDLE_PATH,
    extract_zipped_paths,
    get_auth_from_url,
    get_environ_proxies,
    get_netrc_auth,
    guess_filename,
    merge_hooks,
    merge_setting,
    requote_uri,
    select_proxy,
    should_bypass_proxies,
    super_len,
    to_key_val_list,
    to_native_string,
)

MODULES = sorted(_OURS.keys() | _FURTHER.keys())


def run(program: str) -> str:
    """Return what *program* prints, in a process of its own: the switch holds for a whole process."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", MODULES)
def test_every_name_is_found(name: str) -> None:
    module = _Module(name)

    assert [] == [each for each in module._homes if not hasattr(module, each)]
    with pytest.raises(AttributeError, match=name):
        _ = module.there_is_no_such_name


def test_a_name_whose_package_is_not_installed_is_not_there() -> None:
    module = _Module("requests")
    module._homes["gone"] = "no_such_package", "gone"

    assert not hasattr(module, "gone")


@pytest.mark.parametrize("name", sorted(_OURS))
def test_what_is_ours_is_the_very_same_object(name: str) -> None:
    """Whoever catches ``requests.Timeout`` catches ours."""
    module = _Module(name)
    home = sys.modules[_OURS[name]]

    others = [each for each in home.__all__ if getattr(module, each) is not getattr(home, each)]
    assert (["__version__"] if name == "requests" else []) == others


def test_a_double_under_requests_name_reaches_who_looks_where_it_lives() -> None:
    module = _Module("requests.sessions")

    class Other(client.Session):
        def request(self, *_args: Any, **_kwargs: Any) -> Any:
            return "from the double"

    assert client.Session is module.Session
    module.Session = Other
    assert "from the double" == client.get("http://h.test/")  # type: ignore[comparison-overlap]  # a double
    module.Session = client.Session
    assert client.Session is client.api.Session  # type: ignore[attr-defined]  # not public there

    with mock.patch.object(_Module("requests.api"), "request", return_value="mocked"):
        assert "mocked" == client.get("http://h.test/")  # type: ignore[comparison-overlap]  # as above
    with pytest.raises(client.InvalidURL):
        client.get("http://")


def test_a_double_of_what_is_not_ours_stays_where_it_was_put() -> None:
    module = _Module("requests.compat")
    with mock.patch.object(module, "quote", "double"):
        assert "double" == module.quote
    assert urllib.parse.quote is module.quote


def test_programs_for_requests_run_in_all_ways_to_import_it() -> None:
    assert "True True True True True" == run("""
import client, client.as_requests
client.as_requests.install()
client.as_requests.install()
import requests
import requests.exceptions as errors
from requests import adapters, Session
from requests.adapters import HTTPAdapter
from requests.auth import *
print(
    requests.get is client.get, errors.Timeout is client.Timeout, Session is client.Session,
    adapters.HTTPAdapter is HTTPAdapter, HTTPBasicAuth("u", "p") == requests.auth.HTTPBasicAuth("u", "p"),
)
""")


def test_what_is_not_there_is_an_import_error() -> None:
    """And never that module of the real one, whose classes would be others."""
    assert "ModuleNotFoundError ImportError" == run("""
import client.as_requests
client.as_requests.install()
try:
    import requests.help
except ImportError as error:
    first = type(error).__name__
try:
    from requests.utils import there_is_no_such_name
except ImportError as error:
    print(first, type(error).__name__)
""")


def test_the_switch_is_not_thrown_once_requests_is_there() -> None:
    assert "RuntimeError" == run("""
import sys, types
import client.as_requests
sys.modules["requests"] = types.ModuleType("requests")
try:
    client.as_requests.install()
except RuntimeError as error:
    print(type(error).__name__)
""")


def test_urllib3_is_found_below_requests_where_it_is_installed(tmp_path: Path) -> None:
    """The very same modules: its classes must not be there twice."""
    (tmp_path / "urllib3" / "util").mkdir(parents=True)
    for file in ("__init__.py", "util/__init__.py", "util/retry.py"):
        (tmp_path / "urllib3" / file).touch()
    assert "True True" == run(f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import client.as_requests
client.as_requests.install()
import requests.packages.urllib3.util.retry as retry
from requests.packages import urllib3
print(urllib3 is sys.modules["urllib3"], retry is sys.modules["urllib3.util.retry"])
""")


def test_urllib3_is_loaded_when_somebody_asks_for_it() -> None:
    """It loads ssl, which gevent has to patch first; and it need not be there."""
    assert "False False ModuleNotFoundError" == run("""
import client.as_requests
client.as_requests.install()
import sys
import requests, requests.packages
loaded = "urllib3" in sys.modules
sys.modules["urllib3"] = None  # as if it were not installed
there = hasattr(requests.packages, "urllib3")
try:
    from requests.packages.urllib3.exceptions import InsecureRequestWarning
except ImportError as error:
    print(loaded, there, type(error).__name__)
""")


def test_doubles_of_requests_names_work() -> None:
    """By the names that test suites patch."""
    assert "adapter session verb" == run("""
import client.as_requests
client.as_requests.install()
from unittest.mock import patch
import requests
answer = requests.Response()
answer.status_code, answer._content = 200, b"adapter"
with patch("requests.adapters.HTTPAdapter.send", return_value=answer):
    seen = [requests.get("http://h.test").text]
with patch("requests.sessions.Session.request") as double:
    double.return_value.text = "session"
    seen.append(requests.get("http://h.test").text)
with patch("requests.get") as double:
    double.return_value.text = "verb"
    seen.append(requests.get("http://h.test").text)
print(*seen)
""")


# -- functions that requests does not document ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://h/a b?c=d e#f", "http://h/a%20b?c=d%20e#f"),
        ("http://h/%7Ea/%zz", "http://h/%7Ea/%25zz"),
        ("/ü", "/%C3%BC"),
    ],
)
def test_requote_uri(given: str, expected: str) -> None:
    assert expected == requote_uri(given)


def test_super_len(tmp_path: object) -> None:
    class Sized:
        len = 7

    with open(__file__, "rb") as file:  # noqa: PTH123  # a file, not its content
        file.seek(-5, 2)
        assert 5 == super_len(file)
    assert [2, 3, 7, 0, 2] == [super_len(each) for each in ("ü", b"abc", Sized(), iter(()), [1, 2])]


def test_small_ones(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine h.test login user password secret")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://proxy.test:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    assert ("user", "secret") == get_netrc_auth("http://h.test/")
    assert None is get_netrc_auth("no URL")
    assert ("u", "p") == get_auth_from_url("http://u:p@h.test/")
    assert ("", "") == get_auth_from_url("http://h.test/")
    assert "http://proxy.test:1" == get_environ_proxies("http://h.test/")["http"]
    assert ["a", "b"] == [to_native_string("a"), to_native_string(b"b")]
    with netrc.open() as file:
        assert "netrc" == guess_filename(file)
    assert None is guess_filename(b"")
    assert f"x/{client.__version__}" == _Module("requests.utils").default_user_agent("x")


def test_settings_are_merged() -> None:
    session = client.structures.CaseInsensitiveDict({"A": "1", "B": "2"})
    merged = merge_setting({"b": None, "C": "3"}, session, client.structures.CaseInsensitiveDict)

    assert {"a": "1", "c": "3"} == merged
    assert [5, 4, 5] == [merge_setting(5, 4), merge_setting(None, 4), merge_setting(5, None)]
    assert {"a": 1} == merge_setting({"a": 1}, {})
    assert {"response": [1]} == merge_hooks({"response": [1]}, {"response": [2]})
    assert (
        {"response": [2]}
        == merge_hooks({"response": []}, {"response": [2]})
        == merge_hooks(None, {"response": [2]})
    )
    assert [None, [("a", 1)], [("a", 1)]] == [to_key_val_list(each) for each in (None, {"a": 1}, [("a", 1)])]


def test_proxies_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    proxies = {"http": "http://one.test", "all://h.test": "http://two.test"}

    assert "http://one.test" == select_proxy("http://h.test/", proxies)
    assert "http://two.test" == select_proxy("https://h.test/", proxies)
    assert None is select_proxy("https://elsewhere.test/", proxies)
    assert None is select_proxy("https://h.test/", None)

    monkeypatch.setenv("no_proxy", "inside.test")
    assert should_bypass_proxies("http://a.inside.test/", None)
    assert not should_bypass_proxies("http://a.inside.test/", "elsewhere.test")
    monkeypatch.delenv("no_proxy")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert not should_bypass_proxies("http://a.inside.test/", None)


def test_a_detector_is_the_one_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """streamlink looks for one, and for None."""
    for name in ("chardet", "charset_normalizer"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    assert None is _Module("requests.compat").chardet

    for name in ("charset_normalizer", "chardet"):
        detector = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, detector)
        assert detector is _Module("requests.compat").chardet


def test_the_version_is_a_module_and_a_text() -> None:
    assert "True" == run("""
import client.as_requests
client.as_requests.install()
import requests.__version__
from requests.__version__ import __version__
print(__version__ == requests.__version__)
""")


def test_the_roots_are_a_file() -> None:
    assert Path(extract_zipped_paths(DEFAULT_CA_BUNDLE_PATH)).is_file()
