"""What HTTP clients read from the environment; a developer's own settings must not decide a test or a figure."""

from __future__ import annotations

import os

__all__ = ["client_variables"]

NAMES = {
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "FTP_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NETRC",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "REQUEST_METHOD",
    "SSLKEYLOGFILE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
}


def client_variables() -> list[str]:
    """Return the names of those that are set, in upper or lower case."""
    return [name for name in os.environ if name.upper() in NAMES]
