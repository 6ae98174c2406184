"""What requests does not document and packages written for it use all the same; reached by `client.as_requests` only.

The law of the room: a line or two each, by what this library does; nothing in here is used by the rest of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final
from urllib.parse import quote

from certifi import where

import client
from client.defaults import default_headers
from client.exceptions import InvalidRequest
from client.file_body import FileBody
from client.netrc import Netrc
from client.proxies import ProxyMap
from client.session import Session
from client.status_codes import STATUS_NAMES
from client.url import parse_url

__all__ = [
    "DEFAULT_ACCEPT_ENCODING",
    "DEFAULT_CA_BUNDLE_PATH",
    "DEFAULT_POOLBLOCK",
    "DEFAULT_POOLSIZE",
    "DEFAULT_POOL_TIMEOUT",
    "DEFAULT_RETRIES",
    "basestring",
    "default_user_agent",
    "extract_zipped_paths",
    "get_auth_from_url",
    "get_environ_proxies",
    "get_netrc_auth",
    "guess_filename",
    "has_simplejson",
    "integer_types",
    "is_py2",
    "is_py3",
    "merge_hooks",
    "merge_setting",
    "numeric_types",
    "requote_uri",
    "select_proxy",
    "should_bypass_proxies",
    "super_len",
    "to_key_val_list",
    "to_native_string",
]

#: The version of requests whose documentation is followed; packages compare it.
__version__ = "2.34.2"
__build__ = 0x023402

DEFAULT_ACCEPT_ENCODING: Final = default_headers()["Accept-Encoding"]
DEFAULT_CA_BUNDLE_PATH: Final = where()
DEFAULT_POOLBLOCK: Final = False
DEFAULT_POOLSIZE: Final = 10
DEFAULT_POOL_TIMEOUT: Final = None
DEFAULT_RETRIES: Final = 0

#: Status -> its names.
_codes: Final = {status: tuple(names.split()) for status, names in STATUS_NAMES.items()}

# Of the years when requests ran on two Pythons.
basestring: Final = (str, bytes)
numeric_types: Final = (int, float)
integer_types: Final = (int,)
is_py2: Final = False
is_py3: Final = True
has_simplejson: Final = False

#: What may stand in a URL as it is, besides letters, digits and "_.-~".
_LEGAL: Final = "!#$%&'()*+,/:;=?@[]~"
_STRAY_PERCENT: Final = re.compile("%(?![0-9A-Fa-f]{2})")


def __getattr__(name: str) -> Any:
    """Find ``chardet``: one of the two detectors if it is installed, else None; loaded only when asked for."""
    if name != "chardet":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for detector in ("chardet", "charset_normalizer"):
        try:
            return import_module(detector)
        except ModuleNotFoundError:
            pass
    return None


def default_user_agent(name: str = "threadwire") -> str:
    """Return the User-Agent of a program that calls itself *name*."""
    return f"{name}/{client.__version__}"


def extract_zipped_paths(path: str) -> str:
    """Return *path*. Certificates inside a zip archive, which requests would unpack, have to be files here."""
    return path


def get_auth_from_url(url: str) -> tuple[str, str]:
    """Return (user, password) of *url*, two empty strings if it has none."""
    parsed = parse_url(url)
    return parsed.username or "", parsed.password or ""


def get_environ_proxies(url: str) -> dict[str, str]:
    """Return the proxies that the environment says for *url*."""
    with Session() as session:
        found: dict[str, str] = session.merge_environment_settings(url)["proxies"]
    return found


def get_netrc_auth(url: str) -> tuple[str, str] | None:
    """Return (user, password) that the user's netrc file has for *url*; a broken file is one warning."""
    try:
        return Netrc.from_environment(os.environ).credentials_for(parse_url(url))
    except InvalidRequest:
        return None


def guess_filename(obj: Any) -> str | None:
    """Return the name of the file *obj*, None if it has none of its own (``<stdin>``)."""
    name = getattr(obj, "name", None)
    return os.path.basename(name) if isinstance(name, str) and name and name[0] + name[-1] != "<>" else None  # noqa: PTH119  # a str


def merge_hooks(request_hooks: Any, session_hooks: Any, _dict_class: Any = None) -> Any:
    """Return *request_hooks* where they hold one for ``"response"``, else *session_hooks*."""
    given = request_hooks and request_hooks.get("response")
    return request_hooks if given or session_hooks is None else session_hooks


def merge_setting(request_setting: Any, session_setting: Any, dict_class: Any = dict) -> Any:
    """Return a call's setting, else the session's; two mappings as one, the call's first, without what is None."""
    if request_setting is None or session_setting is None:
        return session_setting if request_setting is None else request_setting
    if not (isinstance(request_setting, Mapping) and isinstance(session_setting, Mapping)):
        return request_setting
    merged = dict_class(session_setting.items())
    merged.update(request_setting.items())
    return dict_class((name, value) for name, value in merged.items() if value is not None)


def requote_uri(uri: str) -> str:
    """Return *uri* with what may not stand in a URL as %XX; escapes stay as they are."""
    return quote(_STRAY_PERCENT.sub("%25", uri), safe=_LEGAL)


def select_proxy(url: str, proxies: Mapping[str, str] | None) -> str | None:
    """Return which of *proxies* is for *url*, None if none is."""
    parsed = parse_url(url)
    names = f"{parsed.scheme}://{parsed.host}", parsed.scheme, f"all://{parsed.host}", "all"
    return next((proxies[name] for name in names if proxies and name in proxies), None)


def should_bypass_proxies(url: str, no_proxy: str | None) -> bool:
    """Say whether *no_proxy*, or else the environment's, names the host of *url*."""
    if no_proxy is None:
        no_proxy = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    return ProxyMap({"all": "http://any.invalid", "no_proxy": no_proxy}).choose(parse_url(url)) is None


def super_len(o: Any) -> int:
    """Return how many bytes of the body *o* are still to be sent, 0 if it does not say."""
    if isinstance(o, str):
        return len(o.encode())
    if isinstance(getattr(o, "len", None), int):
        return int(o.len)
    if hasattr(o, "read"):
        return FileBody(o).length or 0
    return len(o) if hasattr(o, "__len__") else 0


def to_key_val_list(value: Any) -> list[tuple[Any, Any]] | None:
    """Return *value*, a mapping or pairs, as a list of pairs; None for None."""
    return value if value is None else list(value.items() if isinstance(value, Mapping) else value)


def to_native_string(string: str | bytes, encoding: str = "ascii") -> str:
    """Return *string* as str."""
    return string if isinstance(string, str) else string.decode(encoding)
