"""This library under requests' name, for programs, packages and test suites that say ``import requests``.

    import client.as_requests

    client.as_requests.install()  # before anything imports requests

For whoever starts the process, never for a library: it holds for the whole of it.  For a test suite there is the
plugin `client.pytest_as_requests`.  The law of the room: a table of names, each found on first use where it lives;
`client.requests_names` has what requests does not document and others use all the same.  What differs from requests is
in docs/from-requests.md.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

__all__ = ["install"]

#: Modules of requests that are modules of ours: all of their public names are found there.
_OURS: Final = {
    "requests": "client",
    "requests.adapters": "client.adapters",
    "requests.api": "client.api",
    "requests.auth": "client.auth",
    "requests.cookies": "client.cookies",
    "requests.exceptions": "client.exceptions",
    "requests.hooks": "client.hooks",
    "requests.status_codes": "client.status_codes",
    "requests.structures": "client.structures",
    "requests.utils": "client.utils",
}

#: Further names: module -> where they live -> what they are called, ``theirs=ours`` where that differs. A home that
#: ends with ":" is itself what the name stands for.
_FURTHER: Final = {
    "requests": {
        "client.requests_names": "__build__ __version__",
    },
    "requests.__version__": {"client.requests_names": "__build__ __version__"},
    "requests.adapters": {
        "client.exceptions": """ConnectTimeout ConnectionError InvalidHeader InvalidProxyURL InvalidSchema InvalidURL
            MaxRetryError=RetryError ProxyError ReadTimeout RetryError SSLError""",
        "client.headers": "CaseInsensitiveDict",
        "client.request": "PreparedRequest",
        "client.requests_names": """DEFAULT_CA_BUNDLE_PATH DEFAULT_POOLBLOCK DEFAULT_POOLSIZE DEFAULT_POOL_TIMEOUT
            DEFAULT_RETRIES get_auth_from_url select_proxy""",
        "client.response": "Response",
        "client.retries": "Retry",
        "client.utils": "get_encoding_from_headers",
        "urllib.parse": "urlparse",
    },
    "requests.auth": {
        "client.auth": "_basic_auth_str=basic_authorization",
        "client.urllib_cookies": "extract_cookies_to_jar",
    },
    "requests.certs": {"certifi": "where"},
    "requests.compat": {
        "builtins": "builtin_str=str bytes str",
        "client.exceptions": "JSONDecodeError",
        "client.requests_names": "basestring chardet has_simplejson integer_types is_py2 is_py3 numeric_types",
        "collections": "OrderedDict",
        "collections.abc": "Callable Mapping MutableMapping",
        "http.cookiejar:": "cookielib",
        "http.cookies": "Morsel",
        "io": "StringIO",
        "json:": "json",
        "urllib.parse": """quote quote_plus unquote unquote_plus urldefrag urlencode urljoin urlparse urlsplit
            urlunparse urlunsplit""",
        "urllib.request": "getproxies getproxies_environment parse_http_list proxy_bypass proxy_bypass_environment",
    },
    "requests.cookies": {
        "client.urllib_cookies": "MockRequest MockResponse extract_cookies_to_jar get_cookie_header morsel_to_cookie",
        "http.cookiejar:": "cookielib",
    },
    "requests.models": {
        "client.auth": "HTTPBasicAuth",
        "client.cookies": "cookiejar_from_dict",
        "client.exceptions": """ChunkedEncodingError ConnectionError ContentDecodingError HTTPError InvalidJSONError
            InvalidURL JSONDecodeError MissingSchema StreamConsumedError""",
        "client.headers": "CaseInsensitiveDict",
        "client.hooks": "default_hooks",
        "client.request": "PreparedRequest Request",
        "client.response": "REDIRECT_STATI Response",
        "client.status_codes": "codes",
    },
    "requests.packages": {"urllib3:": "urllib3"},
    "requests.sessions": {
        "client.adapters": "HTTPAdapter",
        "client.cookies": "RequestsCookieJar cookiejar_from_dict merge_cookies",
        "client.defaults": "default_headers",
        "client.exceptions": "ChunkedEncodingError ContentDecodingError InvalidSchema TooManyRedirects",
        "client.headers": "CaseInsensitiveDict",
        "client.hooks": "default_hooks dispatch_hook",
        "client.requests_names": """get_auth_from_url get_environ_proxies get_netrc_auth merge_hooks merge_setting
            requote_uri to_key_val_list to_native_string""",
        "client.request": "PreparedRequest Request",
        "client.response": "REDIRECT_STATI Response",
        "client.api": "Session",  # where the functions look for it, so that a double put here reaches them
        "client.session": "session",
        "client.status_codes": "codes",
        "client.urllib_cookies": "extract_cookies_to_jar",
        "collections": "OrderedDict",
        "http.cookiejar:": "cookielib",
        "urllib.parse": "urljoin urlparse",
    },
    "requests.status_codes": {"client.requests_names": "_codes"},
    "requests.utils": {
        "client.headers": "CaseInsensitiveDict",
        "client.links": "parse_header_links=parse_links",
        "client.requests_names": """DEFAULT_ACCEPT_ENCODING DEFAULT_CA_BUNDLE_PATH default_user_agent
            extract_zipped_paths get_auth_from_url
            get_environ_proxies get_netrc_auth guess_filename requote_uri select_proxy should_bypass_proxies super_len
            to_key_val_list to_native_string""",
        "urllib.parse": "quote unquote urlparse urlunparse",
        "urllib.request": "getproxies parse_http_list proxy_bypass",
    },
}


class _Module(ModuleType):
    """One of requests' modules: names that are looked up once, on first use.

    What is assigned to a name of ours is assigned where it lives as well, until it is deleted or assigned again:
    `unittest.mock.patch("requests.api.request")` and caches that replace ``requests.sessions.Session`` mean that.
    """

    _homes: dict[str, tuple[str, str]]
    _replaced: dict[str, Any]

    def __init__(self, name: str) -> None:
        """Know where each name lives, and load nothing."""
        super().__init__(name, f"Stands for {name}; see client.as_requests.")
        homes = {}
        if name in _OURS:
            homes = {public: (_OURS[name], public) for public in import_module(_OURS[name]).__all__}
        for home, names in _FURTHER.get(name, {}).items():
            for entry in names.split():
                theirs, _, ours = entry.partition("=")
                homes[theirs] = home, ours or theirs
        public = [name for name in homes if not name.startswith("_")]
        self.__dict__.update(_homes=homes, _replaced={}, __all__=public)

    def __getattr__(self, name: str) -> Any:
        """Find what *name* stands for."""
        try:
            home, ours = self.__dict__["_homes"][name]
            module = import_module(home.removesuffix(":"))
        except (KeyError, ModuleNotFoundError):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None
        value = self.__dict__[name] = module if home.endswith(":") else getattr(module, ours)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        """Put *value* in the place of what *name* stands for."""
        home, ours = self._homes.get(name, ("", name))
        if home.startswith("client"):
            module = import_module(home)
            self._replaced.setdefault(name, getattr(module, ours))
            setattr(module, ours, value)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        """Let *name* stand for what it did at first."""
        super().__delattr__(name)
        if name in self._replaced:
            home, ours = self._homes[name]
            setattr(import_module(home), ours, self._replaced.pop(name))


class _Urllib3:
    """Finds ``requests.packages.urllib3`` and the modules in it: urllib3's own, loaded when somebody asks for them.

    Not before: it would load ssl, which gevent has to patch first.
    """

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Return how *name* is loaded; None if it is another's."""
        is_theirs = name.startswith("requests.packages.urllib3")
        return ModuleSpec(name, self, is_package=True) if is_theirs else None  # type: ignore[arg-type]  # enough

    def create_module(self, _spec: ModuleSpec) -> None:
        """Leave it to Python to make one, for a moment."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of urllib3 in the place of *module*."""
        sys.modules[module.__name__] = import_module(module.__name__.removeprefix("requests.packages."))


def install() -> None:
    """Let ``import requests`` and its kin mean this library, for the rest of the process; again does nothing.

    ``requests.packages.urllib3`` is urllib3 where that is installed.

    Raises:
        RuntimeError: requests is imported already: what came before would hold other classes than what comes after.
    """
    found = sys.modules.get("requests")
    if isinstance(found, _Module):
        return
    if found is not None:
        raise RuntimeError("requests is imported already; call client.as_requests.install() before that")
    modules = {name: _Module(name) for name in sorted(_OURS.keys() | _FURTHER.keys())}
    package = modules["requests"]
    for name, module in modules.items():
        if name in ("requests", "requests.packages"):
            module.__path__ = []  # a package, and nothing but what stands here
        if name not in ("requests", "requests.__version__"):  # in the package that name is the version's text
            setattr(package, name.removeprefix("requests."), module)
    sys.modules.update(modules)
    sys.meta_path.insert(0, _Urllib3())  # before those that would load the files once more under this name
