"""A private certificate authority of the test run; nothing of it is trusted outside."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

__all__ = ["TLSAuthority"]


class TLSAuthority:
    """Issues server and client certificates.

    Args:
        folder: Where `bundle` and the files of `issue_files` are written.
    """

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self._folder = folder
        self._issued = 0
        #: The root certificate as a PEM file: what ``verify=`` takes.
        self.bundle = folder / "authority.pem"
        self.ca.cert_pem.write_to_path(self.bundle)

    def server_context(self, *names: str) -> ssl.SSLContext:
        """Make the context of a server called *names*, by default localhost, 127.0.0.1 and ::1."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*(names or ("localhost", "127.0.0.1", "::1"))).configure_cert(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Make the context of a client that trusts this authority and nothing else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ca.configure_trust(context)
        return context

    def issue_files(self, *names: str) -> tuple[Path, Path]:
        """Write a certificate chain and its key as PEM files: what nginx and ``cert=`` take."""
        issued = self.ca.issue_cert(*names)
        self._issued += 1
        chain, key = (self._folder / f"{kind}-{self._issued}.pem" for kind in ("chain", "key"))
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        return chain, key
