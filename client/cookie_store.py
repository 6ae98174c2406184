"""The store of an RFC 6265bis user agent: what servers may put in, what a request takes out.

`CookieStore.store` takes in what a response set, `CookieStore.header_for` says what a request sends.  Both
get the time as an argument; nothing here looks at a clock.  What one cookie is and may do is in
`client.set_cookie`, the dict-like face of a jar in `client.cookies`.

Threads may share a store.  Readers take no lock: a domain's cookies are a dict that is replaced, never changed.
"""

from __future__ import annotations

import os
from _thread import allocate_lock
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from client.response_limits import DEFAULT_RESPONSE_LIMITS, ResponseLimits
from client.set_cookie import Cookie, canonical_domain, has_subdomains, parse_set_cookie, path_matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from client.url import URL
    from client.urllib_cookies import UrllibPolicy

__all__ = ["CookieStore"]

_Key: TypeAlias = "tuple[str, str, bool]"  # name, path, host-only
_Entries: TypeAlias = "dict[_Key, tuple[int, Cookie]]"  # serial number by creation, cookie

#: One for all jars, held for microseconds and only by writers; so a fork has one lock to make new.
_lock = allocate_lock()


def _renew_lock() -> None:
    """Replace the lock in the child of a fork, where the thread that held it does not exist."""
    global _lock
    _lock = allocate_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class CookieStore:
    """Cookies by domain; safe to share between threads.

    A cookie without a domain is bound to no host: it goes where the caller sends a request, and never where a
    redirect to another origin leads.

    Attributes:
        limits: What servers may make of it; see `ResponseLimits`. A session that is given some sets them here.
        policy: What else refuses cookies; None for nothing. See `RequestsCookieJar.set_policy`.
        last_used: Seconds since 1970.
    """

    __slots__ = ("_domains", "_serial", "last_used", "limits", "policy")

    def __init__(self) -> None:
        """Make an empty store."""
        self._domains: dict[str, _Entries] = {}
        self._serial = 0
        self.limits: ResponseLimits = DEFAULT_RESPONSE_LIMITS
        self.policy: UrllibPolicy | None = None
        self.last_used: float = 0.0

    # -- for the exchange ---------------------------------------------------------------------------------

    def store(self, url: URL, values: Iterable[bytes], now: float) -> None:
        """Take in the Set-Cookie fields of a response; what the server may not set is left out silently.

        Args:
            url: Of the request that was answered. Never the Host field: a caller may override that.
            values: The fields' values, one each.
            now: Seconds since 1970.

        RFC 6265bis section 5.7.
        """
        self.last_used = now
        limits = self.limits
        for value in values:
            cookie = parse_set_cookie(value, url, now, limits.cookie)
            if cookie is None or (self.policy is not None and not self.policy.may_set(cookie, url, now)):
                continue
            with _lock:
                if not cookie.secure and url.scheme != "https" and self._hides_a_secure_one(cookie):
                    continue
                by_owner = canonical_domain(url.host) == cookie.domain
                if cookie.is_expired(now):
                    self._drop(cookie, by_owner=by_owner)
                elif limits.cookies and limits.cookies_per_domain:
                    self._put(cookie, by_owner=by_owner)
                    self._make_room(cookie.domain, now)

    def header_for(
        self, url: URL, now: float, *, extra: CookieStore | None = None, unbound: bool = True
    ) -> bytes | None:
        """Return the value of the Cookie field for a request, None if there is none to send.

        Args:
            url: Of the request.
            now: Seconds since 1970.
            extra: The call's own cookies; they go before a stored one of the same name. Whoever follows a redirect
                to another origin leaves them behind.
            unbound: False where this is not an origin that the caller chose for this store: after such a redirect,
                or beside a ``base_url``. What is bound to no host then stays here.

        RFC 6265bis section 5.8.3. Longer paths go first, then older cookies; what does not fit in
        ``limits.cookie_header`` bytes stays behind, except the caller's own.
        """
        if not self._domains and not extra:
            return None
        self.last_used = now
        own = extra.matching(url, now) if extra else []
        named = {cookie.name for cookie in own}
        pairs = [_pair(cookie) for cookie in own]
        size, most = sum(map(len, pairs)) + 2 * len(pairs), self.limits.cookie_header
        for cookie in self.matching(url, now, unbound=unbound):
            if cookie.name in named:
                continue
            pair = _pair(cookie)
            if size + len(pair) <= most:
                pairs.append(pair)
                size += len(pair) + 2
        return "; ".join(pairs).encode("latin-1") if pairs else None

    def matching(self, url: URL, now: float, *, unbound: bool = True) -> list[Cookie]:
        """Return the cookies for a request, in the order in which they are sent; see `header_for`."""
        domains, path, plain = self._domains, url.path, url.scheme != "https"
        found: list[tuple[int, Cookie]] = []
        host, *parents = _host_and_parents(url.host)
        for domain in ("", host, *parents) if unbound else (host, *parents):
            entries = domains.get(domain)
            if entries is not None:
                found += [
                    entry
                    for entry in entries.values()
                    if path_matches(path, entry[1].path)
                    and not (plain and entry[1].secure)
                    and not (entry[1].host_only and domain != host)
                    and not entry[1].is_expired(now)
                ]
        if len(found) > 1:
            found.sort(key=lambda entry: (-len(entry[1].path), entry[0]))
        policy = self.policy
        return [cookie for _, cookie in found if policy is None or policy.may_return(cookie, url, now)]

    # -- for the caller -----------------------------------------------------------------------------------

    def put(self, cookie: Cookie) -> None:
        """Add *cookie* in place of one with its name, domain and path. What the caller sets has no limits."""
        with _lock:
            self._put(cookie, by_owner=True)

    def remove_where(self, is_gone: Callable[[Cookie], bool]) -> int:
        """Remove the cookies that *is_gone* holds for and return how many those were."""
        with _lock:
            before = len(self)
            for domain, entries in list(self._domains.items()):
                self._keep(domain, {key: entry for key, entry in entries.items() if not is_gone(entry[1])})
            return before - len(self)

    def copy_from(self, other: CookieStore) -> None:
        """Hold what *other* holds, and nothing else, by its policy."""
        with _lock:
            self._domains, self._serial, self.policy = other._domains.copy(), other._serial, other.policy

    def __iter__(self) -> Iterator[Cookie]:
        return iter([cookie for entries in list(self._domains.values()) for _, cookie in entries.values()])

    def __len__(self) -> int:
        return sum(map(len, list(self._domains.values())))

    def __bool__(self) -> bool:
        return bool(self._domains)

    # -- changes, all under the lock ------------------------------------------------------------------------

    # *by_owner*: the caller or the very host sets or deletes the cookie, so whether it was for the host alone makes no
    # difference. A sub-domain may set cookies for the whole domain, and must not reach those of the host alone with
    # them: the host-only flag is part of a cookie's identity (RFC 6265bis section 5.7).

    def _put(self, cookie: Cookie, *, by_owner: bool) -> None:
        entries = self._domains.get(cookie.domain, {}).copy()
        key = (cookie.name, cookie.path, cookie.host_only)
        old = entries.get(key)
        if by_owner:
            old = entries.pop((cookie.name, cookie.path, not cookie.host_only), old)
        if old is None:
            self._serial += 1
        # A cookie that is set again keeps its place in line: RFC 6265bis section 5.7, creation-time.
        entries[key] = (self._serial if old is None else old[0], cookie)
        self._domains[cookie.domain] = entries

    def _drop(self, cookie: Cookie, *, by_owner: bool) -> None:
        entries = self._domains.get(cookie.domain, {}).copy()
        for host_only in (cookie.host_only, not cookie.host_only) if by_owner else (cookie.host_only,):
            entries.pop((cookie.name, cookie.path, host_only), None)
        self._keep(cookie.domain, entries)

    def _keep(self, domain: str, entries: _Entries) -> None:
        if entries:
            self._domains[domain] = entries
        else:
            self._domains.pop(domain, None)

    def _hides_a_secure_one(self, new: Cookie) -> bool:
        """Tell whether *new*, from a plain connection, would stand before or in place of a Secure cookie."""
        return any(
            old.secure
            and old.name == new.name
            and (_is_within(old.domain, new.domain) or _is_within(new.domain, old.domain))
            and path_matches(new.path, old.path)
            for entries in self._domains.values()
            for _, old in entries.values()
        )

    def _make_room(self, domain: str, now: float) -> None:
        """Evict expired cookies, then those not Secure, then the oldest; RFC 6265bis section 5.7."""
        over = len(self._domains.get(domain, ())) - self.limits.cookies_per_domain
        if over > 0:
            self._evict(self._domains[domain].values(), over, now)
        over = len(self) - self.limits.cookies
        if over > 0:
            self._evict(
                [entry for entries in self._domains.values() for entry in entries.values()], over, now
            )

    def _evict(self, entries: Iterable[tuple[int, Cookie]], count: int, now: float) -> None:
        ranked = sorted(entries, key=lambda entry: (not entry[1].is_expired(now), entry[1].secure, entry[0]))
        for _, cookie in ranked[:count]:
            self._drop(cookie, by_owner=False)


@lru_cache(256)
def _host_and_parents(host: str) -> tuple[str, ...]:
    """Return the domains whose cookies a request to *host* may carry: its own and those it is a part of."""
    domain = canonical_domain(host)
    labels = domain.split(".") if has_subdomains(domain) else [domain]
    return tuple(".".join(labels[first:]) for first in range(len(labels)))


def _pair(cookie: Cookie) -> str:
    return f"{cookie.name}={cookie.value}" if cookie.name else cookie.value


def _is_within(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith(f".{parent}")
