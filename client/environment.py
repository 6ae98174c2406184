"""What a session takes from its surroundings: read once, before its first call.

Only a session with ``trust_env`` reads anything.  Nothing found here turns verification off or replaces what the
caller has set, and nothing is looked up again for a call.  The rooms for proxies and netrc are entered only if there
is something in them: most programs have neither.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from client.netrc import Netrc
    from client.proxies import ProxyMap

__all__ = ["Environment"]

#: Where trusted roots may be named; the first that is set counts. requests' and curl's names, then OpenSSL's.
_CA_VARIABLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


class Environment:
    """A snapshot of the surroundings.

    Args:
        variables: The environment; an empty mapping for a session that trusts none.

    Attributes:
        proxies: What ``http_proxy`` and its kin say, None for nothing.
        verify: File or folder of trusted roots, None for certifi's.
        keylog: File that TLS session keys are written to (``SSLKEYLOGFILE``), None for none.
        netrc: The entries of the user's netrc file, None if there are none.
    """

    __slots__ = ("keylog", "netrc", "proxies", "verify")

    def __init__(self, variables: Mapping[str, str]) -> None:
        """Read *variables*, and the netrc file that they lead to."""
        self.proxies: ProxyMap | None = None
        self.netrc: Netrc | None = None
        self.verify: str | None = next(
            (variables[name] for name in _CA_VARIABLES if variables.get(name)), None
        )
        self.keylog: str | None = variables.get("SSLKEYLOGFILE") or None
        if any(name.lower().endswith("_proxy") for name in variables):
            from client.proxies import ProxyMap

            self.proxies = ProxyMap.from_environment(variables) or None
        if variables and _has_netrc(variables):
            from client.netrc import Netrc

            self.netrc = Netrc.from_environment(variables) or None


def _has_netrc(variables: Mapping[str, str]) -> bool:
    # Not pathlib, which would be imported for this alone.
    return bool(variables.get("NETRC")) or any(
        os.path.exists(os.path.expanduser(path))  # noqa: PTH110, PTH111  # see above
        for path in ("~/.netrc", "~/_netrc")
    )
