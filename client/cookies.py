"""The cookie jar: requests' dict-like face on the store of `client.cookie_store`.

What one cookie is and may do is in `client.set_cookie`, the file format in `client.cookie_file`.  A cookie
set without a domain (``jar.set("a", "b")``, ``cookies={"a": "b"}``) is bound to no host: it goes where the
caller sends a request, and never where a redirect to another origin leads.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from client.cookie_store import CookieStore
from client.response_limits import DEFAULT_RESPONSE_LIMITS, ResponseLimits
from client.set_cookie import Cookie, canonical_domain, has_subdomains

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from os import PathLike


__all__ = [
    "Cookie",
    "CookieConflictError",
    "RequestsCookieJar",
    "add_dict_to_cookiejar",
    "cookiejar_from_dict",
    "create_cookie",
    "dict_from_cookiejar",
    "merge_cookies",
    "remove_cookie_by_name",
]

#: What `cookies=` takes: name -> value, pairs of them, a jar, or any objects that look like cookies.
CookieTypes: TypeAlias = "Mapping[str, str] | Iterable[tuple[str, str] | Any] | RequestsCookieJar"


class CookieConflictError(RuntimeError):
    """Two cookies of one name match; give `RequestsCookieJar.get` a domain or a path."""


class RequestsCookieJar(CookieStore):
    """A jar that can be used as a dict of name to value; safe to share between threads.

    Iterating yields `Cookie` objects and ``keys()`` yields names, as in requests. Where an argument is a
    domain, a leading dot makes no difference.

    The rules are those of RFC 6265bis. A subclass with another `store` has others; one that does nothing keeps no
    cookie of any server.
    """

    __slots__ = ()

    def __init__(self, policy: Any = None) -> None:
        """Make an empty jar; *policy* as in `set_policy`."""
        super().__init__()
        self.set_policy(policy)

    def set_policy(self, policy: Any) -> None:
        """Ask *policy*, a `http.cookiejar.CookiePolicy`, about each cookie as well: it may refuse, to keep or to send.

        None asks nobody. What RFC 6265bis forbids, no policy allows.
        """
        if policy is None:
            self.policy = None
        else:
            from client.urllib_cookies import UrllibPolicy

            self.policy = UrllibPolicy(policy)

    def get_policy(self) -> Any:
        """Return what was given to `set_policy`."""
        return None if self.policy is None else self.policy.policy

    def set(self, name: str, value: Any, **attributes: Any) -> Cookie | None:
        """Set a cookie; the attributes are those of `create_cookie`.

        Args:
            name: Its name.
            value: Its value, a str; None removes the cookies of that name (and ``domain=``, ``path=`` if given). A
                `http.cookies.Morsel` is taken with the name and attributes of its own.

        Returns:
            The cookie, None after a removal.

        Raises:
            InvalidHeader, TypeError: See `Cookie`.
        """
        if value is None:
            remove_cookie_by_name(self, name, attributes.get("domain"), attributes.get("path"))
            return None
        if hasattr(value, "coded_value"):
            from client.urllib_cookies import morsel_to_cookie

            return self.set_cookie(morsel_to_cookie(value))
        return self.set_cookie(create_cookie(name, value, **attributes))

    def set_cookie(self, cookie: Any) -> Cookie:
        """Add *cookie*, a `Cookie` or any object with its attributes; an equal name, domain and path gives way.

        Raises:
            InvalidHeader, TypeError: See `Cookie`.
        """
        checked = _as_cookie(cookie)
        self.put(checked)
        return checked

    def get(self, name: str, default: Any = None, domain: str | None = None, path: str | None = None) -> Any:
        """Return the value of the cookie *name*, narrowed by domain and path, or *default*.

        Raises:
            CookieConflictError: Several match.
        """
        found = self._find(name, domain, path)
        return default if found is None else found.value

    def get_dict(self, domain: str | None = None, path: str | None = None) -> dict[str, str]:
        """Return name -> value of the cookies of *domain* and *path*; None: of any. The last of a name counts."""
        return {cookie.name: cookie.value for cookie in self if _is_at(cookie, domain, path)}

    def keys(self) -> list[str]:
        """Return the names, one for each cookie."""
        return [cookie.name for cookie in self]

    def values(self) -> list[str]:
        """Return the values, in the order of `keys`."""
        return [cookie.value for cookie in self]

    def items(self) -> list[tuple[str, str]]:
        """Return (name, value) pairs, in the order of `keys`."""
        return [(cookie.name, cookie.value) for cookie in self]

    def iterkeys(self) -> Iterator[str]:
        """Iterate over `keys`."""
        return iter(self.keys())

    def itervalues(self) -> Iterator[str]:
        """Iterate over `values`."""
        return iter(self.values())

    def iteritems(self) -> Iterator[tuple[str, str]]:
        """Iterate over `items`."""
        return iter(self.items())

    def list_domains(self) -> list[str]:
        """Return the domains, each once, without a leading dot."""
        return list(dict.fromkeys(cookie.domain for cookie in self))

    def list_paths(self) -> list[str]:
        """Return the paths, each once."""
        return list(dict.fromkeys(cookie.path for cookie in self))

    def multiple_domains(self) -> bool:
        """Tell whether there are cookies of more than one domain."""
        return len(set(self.list_domains()) - {""}) > 1

    def update(self, other: CookieTypes | None = None, /, **named: str) -> None:
        """Add the cookies of *other* and *named* to this jar.

        Raises:
            InvalidHeader, TypeError: See `Cookie`; those before the wrong one are added.
        """
        for cookie in _cookies_of(other):
            self.set_cookie(cookie)
        for name, value in named.items():
            self.set(name, value)

    def setdefault(self, name: str, default: str = "") -> str:
        """Return the value of *name*, setting it to *default* if there is none."""
        found = self._find(name, None, None)
        if found is not None:
            return found.value
        self[name] = default
        return default

    def pop(self, name: str, *default: Any) -> Any:
        """Remove the cookie *name* and return its value, or *default* if one is given.

        Raises:
            KeyError: There is none, and no default.
            CookieConflictError: Several match.
        """
        found = self._find(name, None, None)
        if found is None:
            if default:
                return default[0]
            raise KeyError(name)
        del self[name]
        return found.value

    def copy(self) -> RequestsCookieJar:
        """Return a jar with the same cookies."""
        twin = type(self)()
        twin.limits = self.limits
        twin.copy_from(self)
        return twin

    def clear(self, domain: str | None = None, path: str | None = None, name: str | None = None) -> None:
        """Remove all cookies, or those of *domain*, of *path* there, or the one called *name* there.

        Raises:
            ValueError: A path without a domain, or a name without both.
            KeyError: There is no such cookie.
        """
        if (path is not None and domain is None) or (name is not None and path is None):
            raise ValueError("to clear by path give a domain too, to clear by name give both")
        if domain is None:
            self.remove_where(lambda _: True)
        elif not remove_cookie_by_name(self, name, domain, path):
            raise KeyError(name or path or domain)

    def clear_session_cookies(self) -> None:
        """Remove the cookies that end with the session."""
        self.remove_where(lambda cookie: cookie.discard)

    def clear_expired_cookies(self) -> None:
        """Remove what had expired when this jar was last used for a request; nothing expired is ever sent."""
        self.remove_where(lambda cookie: cookie.is_expired(self.last_used))

    def save(self, path: str | PathLike[str]) -> None:
        """Write all cookies to a ``cookies.txt``; see `client.cookie_file.save`."""
        from client import cookie_file

        cookie_file.save(path, self)

    def load(self, path: str | PathLike[str]) -> None:
        """Add the cookies of a ``cookies.txt`` to this jar; see `client.cookie_file.load`."""
        from client import cookie_file

        self.update(cookie_file.load(path))

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Store the cookies of urllib's *response*; see `client.urllib_cookies.extract_cookies`."""
        from client import urllib_cookies

        urllib_cookies.extract_cookies(self, response, request)

    def make_cookies(self, response: Any, request: Any) -> list[Cookie]:
        """Return the cookies of urllib's *response* and store none; see `client.urllib_cookies.make_cookies`."""
        from client import urllib_cookies

        return urllib_cookies.make_cookies(self, response, request)

    def add_cookie_header(self, request: Any) -> None:
        """Give urllib's *request* its Cookie field; see `client.urllib_cookies.add_cookie_header`."""
        from client import urllib_cookies

        urllib_cookies.add_cookie_header(self, request)

    def __getitem__(self, name: str) -> str:
        found = self._find(name, None, None)
        if found is None:
            raise KeyError(name)
        return found.value

    def __setitem__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        """Remove every cookie called *name*; no error if there is none, as in requests."""
        remove_cookie_by_name(self, name)

    def __contains__(self, name: object) -> bool:
        return any(cookie.name == name for cookie in self)

    def __eq__(self, other: object) -> bool:
        """Compare names and values, as two dicts."""
        return (
            dict(self.items()) == dict(other.items()) if isinstance(other, MutableMapping) else NotImplemented
        )

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # mutable

    def __getstate__(self) -> dict[str, Any]:
        return {"cookies": list(self), "limits": self.limits, "policy": self.get_policy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Fill the jar as `update` does, so that what a pickle brings is checked too."""
        self.__init__()  # type: ignore[misc]  # unpickling calls no __init__
        self.limits: ResponseLimits = state.get("limits", DEFAULT_RESPONSE_LIMITS)
        self.update(state["cookies"])
        self.set_policy(state.get("policy"))

    def __repr__(self) -> str:
        """Show whose cookies there are, not their values."""
        return f"<RequestsCookieJar {[str(cookie)[8:-1] for cookie in self]}>"

    def _find(self, name: str, domain: str | None, path: str | None) -> Cookie | None:
        found = [cookie for cookie in self if cookie.name == name and _is_at(cookie, domain, path)]
        if len(found) > 1:
            raise CookieConflictError(f"{len(found)} cookies are named {name!r}; give a domain or a path")
        return found[0] if found else None


# A dict as far as callers can tell, though iterating yields cookies; so it cannot inherit from it.
MutableMapping.register(RequestsCookieJar)


# -- requests' functions ------------------------------------------------------------------------------------


def create_cookie(name: str, value: str, **attributes: Any) -> Cookie:
    """Make a cookie that the caller, not a server, wants to be sent.

    Args:
        name: Its name.
        value: Its value.
        attributes: ``domain`` (default ``""``: bound to no host; otherwise for its sub-domains too unless it
            is an IP address or ``host_only=True``), ``path`` (default ``"/"``), ``secure``, ``expires``
            (seconds since 1970), ``rest`` (a mapping; ``HttpOnly`` and ``SameSite`` count). What RFC 2965 had
            besides (``version``, ``comment``, ``comment_url``, ``discard``, ``rfc2109``) has no meaning any
            more.

    Raises:
        TypeError: An unknown attribute, one of another type, or ``port``, which cookies cannot be bound to.
        InvalidHeader: See `Cookie`.
    """
    unknown = attributes.keys() - _ATTRIBUTES
    if unknown or attributes.get("port") is not None:
        raise TypeError(f"create_cookie() got unexpected attributes: {sorted(unknown) or ['port']}")
    domain = canonical_domain(attributes.get("domain") or "")
    given = attributes.get("rest") or {}
    if not isinstance(given, Mapping):
        raise TypeError(f"cookie rest: expected a mapping, got {type(given).__name__}")
    rest = {str(key).lower(): value for key, value in given.items()}
    return Cookie(
        name,
        value,
        domain=domain,
        path=attributes.get("path") or "/",
        secure=attributes.get("secure", False),
        expires=attributes.get("expires"),
        host_only=attributes.get("host_only", False) or not has_subdomains(domain),
        http_only="httponly" in rest,
        same_site=rest.get("samesite"),
    )


_ATTRIBUTES: Final = frozenset(
    {
        *("domain", "path", "secure", "expires", "host_only", "rest"),
        *("version", "port", "comment", "comment_url", "discard", "rfc2109"),
    }
)


def cookiejar_from_dict(
    cookie_dict: CookieTypes | None, cookiejar: Any = None, overwrite: bool = True
) -> Any:
    """Return a jar with the cookies of *cookie_dict*.

    Args:
        cookie_dict: name -> value, or anything else that `RequestsCookieJar.update` takes.
        cookiejar: The jar to add them to; None makes a new one.
        overwrite: False leaves out names that the jar has.
    """
    if cookiejar is None:
        cookiejar = RequestsCookieJar()
    taken = set() if overwrite else {cookie.name for cookie in cookiejar}
    for cookie in _cookies_of(cookie_dict):
        if cookie.name not in taken:
            cookiejar.set_cookie(cookie)
    return cookiejar


def merge_cookies(cookiejar: Any, cookies: CookieTypes) -> Any:
    """Add *cookies* to *cookiejar* and return it: names of a mapping only where new, those of a jar in any case.

    Raises:
        ValueError: *cookiejar* is not a jar.
    """
    if not hasattr(cookiejar, "set_cookie"):
        raise ValueError("You can only merge into CookieJar")
    return cookiejar_from_dict(cookies, cookiejar, overwrite=hasattr(cookies, "set_cookie"))


def remove_cookie_by_name(
    cookiejar: RequestsCookieJar, name: str | None, domain: str | None = None, path: str | None = None
) -> int:
    """Remove the cookies called *name* (None: all), narrowed by domain and path; return how many those were."""
    return cookiejar.remove_where(lambda cookie: name in {None, cookie.name} and _is_at(cookie, domain, path))


def dict_from_cookiejar(cj: Iterable[Any]) -> dict[str, Any]:
    """Return name -> value of any jar's cookies; the last of a name counts."""
    return {cookie.name: cookie.value for cookie in cj}


def add_dict_to_cookiejar(cj: Any, cookie_dict: Mapping[str, str]) -> Any:
    """Add the cookies of *cookie_dict* to the jar *cj* and return it."""
    return cookiejar_from_dict(cookie_dict, cj)


# -- small questions ----------------------------------------------------------------------------------------


def _cookies_of(source: CookieTypes | None) -> Iterator[Cookie]:
    """Read every form that `cookies=` takes; a jar of another library is an iterable of things like cookies."""
    for item in () if source is None else source:
        if isinstance(item, str):
            if not hasattr(source, "keys"):
                raise TypeError("expected a cookie or a (name, value) pair, got str")
            value = source[item]  # type: ignore[index]  # a mapping, or as good as one
            if value is not None:
                yield create_cookie(item, value)
        elif isinstance(item, tuple | list):
            yield create_cookie(*item)
        else:
            yield _as_cookie(item)


def _as_cookie(thing: Any) -> Cookie:
    """Return *thing* as a `Cookie`, checked; it may be one of `http.cookiejar` or only look like one."""
    if isinstance(thing, Cookie):
        return thing
    try:
        name, value = thing.name, thing.value
    except AttributeError:
        raise TypeError(f"expected a cookie, got {type(thing).__name__}") from None
    if value is None:  # how http.cookiejar says that there was no "="
        name, value = "", name
    rest = {key: None for key in ("HttpOnly",) if _has_attribute(thing, key)}
    return create_cookie(
        name,
        value,
        domain=getattr(thing, "domain", ""),
        path=getattr(thing, "path", "/"),
        secure=getattr(thing, "secure", False),
        expires=getattr(thing, "expires", None),
        host_only=not getattr(thing, "domain_specified", True),
        rest=rest,
    )


def _has_attribute(thing: Any, name: str) -> bool:
    has: Callable[[str], bool] | None = getattr(thing, "has_nonstandard_attr", None)
    return has is not None and has(name)


def _is_at(cookie: Cookie, domain: str | None, path: str | None) -> bool:
    return (domain is None or cookie.domain == canonical_domain(domain)) and path in (None, cookie.path)
