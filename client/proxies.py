"""Which proxy a URL goes through: a mapping as requests takes it, the environment, and ``NO_PROXY``.

Pure: the environment comes in as a mapping and is read once.  Hosts are compared in the canonical form of
`client.url`, addresses as numbers, so that no other spelling of a host leaves by another way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from client.exceptions import InvalidProxyURL, InvalidRequest, InvalidURL
from client.hostname import authority, canonical_name
from client.transport import wire
from client.url import UNIX_SCHEME, parse_url

if TYPE_CHECKING:
    import ipaddress
    from collections.abc import Iterator

    from client.transport.tls import TLSSettings
    from client.url import URL

__all__ = ["Proxy", "ProxyMap", "parse_proxy"]

#: Schemes of proxies, and the port of one whose URL has none.
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.\-]*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

_Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"


class ProxyMap:
    """Proxies by what they are for.

    Args:
        proxies: Keys, the most specific first: ``"https://host"``, ``"https"``, ``"all://host"``, ``"all"``.
            Values: a proxy URL; a `Proxy`, with TLS settings of its own; None or ``""`` to connect directly. The
            key ``"no_proxy"`` has the hosts that are connected to directly, in the form of `NO_PROXY`.

    ``NO_PROXY`` is a list, separated by commas or blanks, of: ``*`` (everything); a domain, which includes its
    subdomains, with or without a leading ``.`` or ``*.``; an IP address; a network (``10.0.0.0/8``,
    ``fd00::/8``). Each but a network may end in ``:port``. Any name or address of the loopback stands for all
    of them. What is none of these matches nothing.
    """

    __slots__ = ("_bypass", "_fallback", "_given")

    def __init__(self, proxies: Mapping[str, str | wire.Proxy | None] | None = None) -> None:
        """Sort the entries; a broken proxy URL is reported by `choose`, when it would be used.

        Raises:
            InvalidRequest: *proxies* is no mapping of str to str, `Proxy` or None.
        """
        given = {name.lower(): value for name, value in _checked(proxies or {}).items()}
        no_proxy = given.pop("no_proxy", None)
        self._bypass = _Bypass(no_proxy if isinstance(no_proxy, str) else "")
        self._given = given
        self._fallback: ProxyMap | None = None

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> ProxyMap:
        """Read ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy``, in lower or upper case.

        Lower case wins; set to nothing, it also takes the upper case one out of force. ``HTTP_PROXY`` is not
        read in a CGI program (``REQUEST_METHOD`` is set): there it is the request's field ``Proxy``
        (CVE-2016-5385).
        """
        found = {}
        for name in ("http", "https", "all", "no"):
            upper = f"{name.upper()}_PROXY"
            if name == "http" and "REQUEST_METHOD" in variables:
                upper = ""
            value = variables.get(f"{name}_proxy", variables.get(upper, "")).strip()
            if value:
                found["no_proxy" if name == "no" else name] = value
        return cls(found)

    def or_else(self, fallback: ProxyMap) -> ProxyMap:
        """Return these proxies, with *fallback* asked about a URL that no entry here is for."""
        merged = ProxyMap()
        merged._given = self._given
        merged._bypass = self._bypass
        merged._fallback = fallback if self._fallback is None else self._fallback.or_else(fallback)
        return merged

    def choose(self, url: URL) -> wire.Proxy | None:
        """Return the proxy for *url*, None to connect directly.

        Raises:
            InvalidProxyURL: The proxy's URL is broken, or of a scheme that is none of http, https, socks5 and
                socks5h.
        """
        if url.scheme == UNIX_SCHEME or self._bypass.includes(url):
            return None
        host = url.host.lower()
        for name in (f"{url.scheme}://{host}", url.scheme, f"all://{host}", "all"):
            if name in self._given:
                value = self._given[name]
                return value if isinstance(value, wire.Proxy) else parse_proxy(value) if value else None
        return None if self._fallback is None else self._fallback.choose(url)

    def as_dict(self) -> dict[str, str]:
        """Return what was given, credentials included, as requests hands it to adapters."""
        found = {} if self._fallback is None else self._fallback.as_dict()
        for name, value in self._given.items():
            found[name] = (
                f"{value.scheme}://{authority(value.host, value.port)}"
                if isinstance(value, wire.Proxy)
                else value or ""
            )
        return {name: value for name, value in found.items() if value}

    def __bool__(self) -> bool:
        """Tell whether `choose` may ever return a proxy."""
        return any(self._given.values()) or bool(self._fallback)

    def __repr__(self) -> str:
        """Show for what there are proxies, never their URLs."""
        return f"<ProxyMap {sorted(self._given)}>"


@lru_cache(64)
def parse_proxy(text: str) -> wire.Proxy:
    """Read a proxy's URL.

    Args:
        text: ``[scheme://][user:password@]host[:port]``; http where there is no scheme. User and password are
            percent-decoded, and sent as Basic credentials or by SOCKS's own method.

    Raises:
        InvalidProxyURL: It has another form; the message never shows its credentials.
    """
    if not isinstance(text, str):
        raise InvalidProxyURL(f"a proxy's URL must be str, not {type(text).__name__}")
    scheme, separator, rest = text.strip().partition("://")
    if not separator:
        scheme, rest = "http", text.strip()
    scheme = scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        shown = repr(scheme) if _SCHEME.fullmatch(scheme) else "of another form"
        raise InvalidProxyURL(f"the scheme of a proxy is {shown}, expected http, https, socks5 or socks5h")
    try:
        # Its host and port follow the rules of an http URL, whatever is spoken there.
        url = parse_url(f"http://{rest}")
    except InvalidURL as error:
        raise InvalidProxyURL(f"proxy URL: {error}") from None
    if url.path != "/" or url.query is not None or url.fragment is not None:
        raise InvalidProxyURL(f"the proxy URL {scheme}://{url.authority}/... has a path, expected none")
    port = _DEFAULT_PORTS[scheme] if url.explicit_port is None else url.explicit_port
    if not port:
        raise InvalidProxyURL(f"the proxy URL {scheme}://{url.authority} has port 0")
    return wire.Proxy(scheme, url.host, port, _authorization(scheme, url))


class Proxy(wire.Proxy):
    """A proxy with TLS settings of its own, to be given in ``proxies=`` in the place of a URL.

    Args:
        url: As in ``proxies=``: ``[scheme://][user:password@]host[:port]``.
        tls: Whom to trust as an https proxy, and what to show it; None: certifi's roots, and nothing. ``verify=`` and
            ``cert=`` of session and call are for the origin and never for the proxy.

    Raises:
        InvalidProxyURL: *url* has another form.
        InvalidRequest: *tls* is given, and the proxy is no https proxy.
    """

    __slots__ = ()

    def __init__(self, url: str, tls: TLSSettings | None = None) -> None:
        """Read *url*."""
        proxy = parse_proxy(url)
        if tls is not None and proxy.scheme != "https":
            raise InvalidRequest(f"{proxy!r}: there is no TLS to a proxy of that scheme, but tls= is given")
        super().__init__(proxy.scheme, proxy.host, proxy.port, proxy.authorization, tls)


def _authorization(scheme: str, url: URL) -> bytes | None:
    if url.username is None:
        return None
    username, password = url.username, url.password or ""
    if ":" in username or _CONTROL.search(
        username + password
    ):  # RFC 7617 section 2; likewise unsafe for SOCKS
        raise InvalidProxyURL(
            f"the user name or password for the proxy {url.authority} holds a control character or a colon"
        )
    if scheme.startswith("socks"):
        return f"{username}:{password}".encode()
    from client.auth import basic_authorization

    return basic_authorization(username, password).encode("ascii")


# -- NO_PROXY -------------------------------------------------------------------------------------------------

#: host | [IPv6] | network, with an optional port; a bare IPv6 address has no port.
_ENTRY: Final = re.compile(r"(?:\[([^\]]*)\]|([^:\[\]]*))(?::([0-9]{1,5}))?")

_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")


def _checked(proxies: Any) -> Mapping[str, str | wire.Proxy | None]:
    if isinstance(proxies, Mapping) and all(
        isinstance(name, str) and (value is None or isinstance(value, (str, wire.Proxy)))
        for name, value in proxies.items()
    ):
        return proxies
    raise InvalidRequest("proxies= must be a mapping of str to a proxy's URL, a `Proxy` or None")


class _Bypass:
    """``NO_PROXY``, compiled: what is connected to directly."""

    __slots__ = ("_everything", "_names", "_networks")

    def __init__(self, text: str) -> None:
        entries = re.split(r"[\s,]+", text.strip().lower()) if text.strip() else []
        self._everything = "*" in entries
        self._names: dict[str, set[int | None]] = {}  # domain -> ports, None for any
        self._networks: list[tuple[_Network, int | None]] = []
        for entry in entries:
            self._add(entry)

    def _add(self, entry: str) -> None:
        match = _ENTRY.fullmatch(entry)
        bracketed, plain, digits = match.groups() if match else (None, entry, None)
        host = (plain if bracketed is None else bracketed).removesuffix(".")  # the root, as in a host name
        port = int(digits) if digits else None
        network = _network(host)
        if network is not None:
            self._networks.append((network, port))
        else:
            name = _domain(host)
            if name:
                self._names.setdefault(name, set()).add(port)
        if host == "localhost" or (network is not None and network.is_loopback):
            self._names.setdefault("localhost", set()).add(port)
            self._networks += [(found, port) for text in _LOOPBACK if (found := _network(text)) is not None]

    def includes(self, url: URL) -> bool:
        """Tell whether *url* is to be reached directly."""
        if self._everything:
            return True
        if not self._names and not self._networks:
            return False
        host = url.host.partition("%")[0].lower().rstrip(".")
        address = _network(host)
        if address is not None:
            return any(
                port in (None, url.port)
                and network.version == address.version
                and _contains(network, address)
                for network, port in self._networks
            )
        return any(None in ports or url.port in ports for ports in self._ports_for(host))

    def _ports_for(self, host: str) -> Iterator[set[int | None]]:
        """Yield what is said about *host* and each domain that it is in."""
        while host:
            if host in self._names:
                yield self._names[host]
            host = host.partition(".")[2]


def _network(text: str) -> _Network | None:
    """Return the network or single address that *text* is; IPv4 in IPv6 form as IPv4, None for a name."""
    if ":" not in text and not text[-1:].isdigit():
        return None
    import ipaddress

    address, slash, prefix = text.partition("%")[0].partition("/")
    try:
        if slash and ":" not in address:
            address += ".0" * (3 - address.count("."))  # "127/8" and "10.1/16" are common short forms
        found: Any = ipaddress.ip_network(address + slash + prefix, strict=False)
        mapped = found.network_address.ipv4_mapped if found.version == 6 else None
        if mapped is not None and found.prefixlen >= 96:
            found = ipaddress.ip_network(f"{mapped}/{found.prefixlen - 96}", strict=False)
    except ValueError:
        return None
    return found  # type: ignore[no-any-return]  # either class, see the annotation


def _contains(network: Any, address: Any) -> bool:
    return bool(address.subnet_of(network))


def _domain(text: str) -> str | None:
    """Return *text* as a canonical name, None if it is none and so matches nothing."""
    try:
        return canonical_name(text.removeprefix("*").removeprefix("."))
    except ValueError:
        return None
