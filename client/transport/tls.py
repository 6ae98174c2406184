"""Whom to trust: TLS settings, and the context that each makes.

Verification is OpenSSL's, names included; nothing here matches a name itself.  The environment is never read:
what the session takes from it (``REQUESTS_CA_BUNDLE``, ``SSLKEYLOGFILE``) arrives as a setting, and no such
setting can lower verification.  `ssl` is imported when the first context is made, not before.
"""

from __future__ import annotations

import os
import re
from _thread import allocate_lock
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from client.exceptions import InvalidRequest

if TYPE_CHECKING:
    import ssl

__all__ = ["CertTypes", "TLSSettings", "VerifyTypes"]

#: What ``verify=`` takes: certifi's roots, nothing, a file or folder, ``"system"``, one's own context, or all settings.
VerifyTypes: TypeAlias = "bool | str | os.PathLike[str] | ssl.SSLContext | TLSSettings"
#: What ``cert=`` takes: one PEM file with both, or (certificate, key), or (certificate, key, password).
CertTypes: TypeAlias = "str | os.PathLike[str] | tuple[str | os.PathLike[str], ...] | None"

SYSTEM: Final = "system"

_LABEL = r"[A-Za-z0-9_\-]{1,63}"
_SERVER_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


class TLSSettings:
    """What a TLS connection must prove, and what we show; part of what tells connections apart.

    Args:
        verify: True: certifi's roots. A path: the PEM file, or the folder of hashed names, that holds the
            only roots to trust. ``"system"``: the operating system's roots (extra ``truststore``; on Linux
            these are OpenSSL's default paths). An `ssl.SSLContext`: used as it is and never changed. False:
            any certificate of any host.
        cert: Client certificate: the path of a PEM file with certificate and key, or (certificate, key), or
            (certificate, key, password).
        fingerprint: SHA-256 of the server's certificate (DER), 32 bytes or 64 hex digits, colons allowed. It
            is demanded on top of ``verify``; with ``verify=False`` it is all that is checked.
        server_name: Name (ASCII) or IP address for SNI and for the certificate to match, in place of the
            URL's host.
        keylog: File that session keys are appended to, for Wireshark; what ``SSLKEYLOGFILE`` names.

    Raises:
        InvalidRequest: An argument of another form.

    A context is made once for each `TLSSettings` and shared by its connections; the one for plain defaults is
    shared by the whole process. Ours speak TLS 1.2 and up, offer ``http/1.1`` by ALPN, ignore a certificate's
    common name (RFC 9525 section 2), refuse renegotiation, and report a close without close_notify.
    """

    __slots__ = ("_context", "_hash", "cert", "fingerprint", "keylog", "server_name", "verify")

    def __init__(
        self,
        verify: VerifyTypes = True,
        cert: CertTypes = None,
        fingerprint: str | bytes | None = None,
        server_name: str | None = None,
        keylog: str | None = None,
    ) -> None:
        """Check the forms; files are opened when the first connection needs them."""
        self.verify: bool | str | ssl.SSLContext = _verify(verify)
        self.cert: tuple[str, str | None, str | bytes | None] | None = _cert(cert)
        self.fingerprint: bytes | None = _fingerprint(fingerprint)
        self.server_name: str | None = _server_name(server_name)
        self.keylog: str | None = keylog
        self._context: ssl.SSLContext | None = None
        self._hash = hash(self._key())
        if self.cert and not isinstance(self.verify, (bool, str)):
            raise InvalidRequest("cert= with an SSLContext as verify=: load the certificate into the context")

    def context(self) -> ssl.SSLContext:
        """Return the context, made on the first call.

        Raises:
            InvalidRequest: A file is missing or broken, the password is wrong, or an extra is not installed.
        """
        if not isinstance(self.verify, (bool, str)):
            return self.verify
        if self.verify is True and self.cert is None and self.keylog is None and self is not _DEFAULT:
            return _DEFAULT.context()
        with _making:
            if self._context is None:
                self._context = _make_context(self.verify, self.cert, self.keylog)
            return self._context

    @property
    def trust(self) -> str:
        """What is trusted, in words for an error message."""
        if self.verify is True:
            return "the roots of certifi"
        if self.verify is False:
            return "nothing (verify=False)"
        if self.verify == SYSTEM:
            return "the roots of the operating system"
        if isinstance(self.verify, str):
            folder = os.path.isdir(self.verify)  # noqa: PTH112  # pathlib is not loaded, os.path is
            return f"the folder {self.verify!r} of hashed names" if folder else f"the file {self.verify!r}"
        return "those of the given SSLContext"

    def _key(self) -> tuple[Any, ...]:
        return (self.verify, self.cert, self.fingerprint, self.server_name, self.keylog)

    def __eq__(self, other: object) -> bool:
        """Compare all settings; contexts are compared by identity."""
        return isinstance(other, TLSSettings) and self._key() == other._key()

    def __hash__(self) -> int:
        """Hash all settings; computed once, the pool asks at each call."""
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings; the context is made anew. A given `ssl.SSLContext` can't be pickled."""
        return TLSSettings, self._key()

    def __repr__(self) -> str:
        """Show what is trusted, never the key's password."""
        shown = [f"verify={self.verify!r}"]
        shown += [f"cert={self.cert[0]!r}"] if self.cert else []
        shown += [f"fingerprint={self.fingerprint.hex()!r}"] if self.fingerprint else []
        shown += [f"server_name={self.server_name!r}"] if self.server_name else []
        return f"TLSSettings({', '.join(shown)})"


# -- the forms of the arguments ---------------------------------------------------------------------------


def _verify(value: VerifyTypes) -> bool | str | ssl.SSLContext:
    if isinstance(value, (bool, str)):
        if value == "":
            raise InvalidRequest("verify='': expected True, False, a path, 'system' or an SSLContext")
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "wrap_socket"):  # `ssl` is not imported for an isinstance()
        return value  # type: ignore[return-value]  # of these types, only an SSLContext has it
    raise InvalidRequest(f"verify={value!r}: expected True, False, a path, 'system' or an SSLContext")


def _cert(value: CertTypes) -> tuple[str, str | None, str | bytes | None] | None:
    if not value:
        return None
    parts: tuple[Any, ...] = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(parts) > 3:
        raise InvalidRequest(f"cert= of {len(parts)} parts: expected (certificate, key, password) at most")
    certificate, key, password = (*parts, None, None)[:3]
    try:
        return os.fspath(certificate), None if key is None else os.fspath(key), password
    except TypeError as error:
        raise InvalidRequest("cert=: expected paths of PEM files") from error


def _server_name(value: str | None) -> str | None:
    # Here and not at the handshake: CPython leaks the socket when wrap_socket meets a name that it can't encode.
    if value is not None and not _SERVER_NAME.fullmatch(value):
        raise InvalidRequest(f"server_name={value!r}: expected a host name in ASCII or an IP address")
    return value


def _fingerprint(value: str | bytes | None) -> bytes | None:
    if value is None:
        return None
    try:
        digest = value if isinstance(value, bytes) else bytes.fromhex(value.replace(":", ""))
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise InvalidRequest(f"fingerprint={value!r}: expected SHA-256 as 32 bytes or 64 hex digits")
    return digest


# -- contexts ---------------------------------------------------------------------------------------------

#: Holds the process's one context for plain defaults: parsing certifi's roots takes 27 ms.
_DEFAULT: Final = TLSSettings()

_making = allocate_lock()


def _renew_lock() -> None:
    """Start anew in a forked child: a thread that stayed with the parent may have held the lock."""
    global _making
    _making = allocate_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def _make_context(
    verify: bool | str, cert: tuple[str, str | None, str | bytes | None] | None, keylog: str | None
) -> ssl.SSLContext:
    import ssl

    context = _empty_system_context() if verify == SYSTEM else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.hostname_checks_common_name = False
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # Python sets it for OpenSSL 3, which then reports a cut connection as a proper end of the body.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    # What the user lists is trusted, be it an intermediate or a server's own certificate; curl does the same.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif verify != SYSTEM:
        _load_roots(context, verify)
    if cert is not None:
        _load_certificate(context, *cert)
    if keylog is not None:
        try:
            context.keylog_filename = keylog
        except OSError as error:
            raise InvalidRequest(f"cannot write session keys to {keylog!r}: {error}") from error
    return context


def _load_roots(context: ssl.SSLContext, verify: bool | str) -> None:
    """Trust the roots of *verify*: True for certifi's, or a path."""
    if verify is True:
        import certifi

        path = certifi.where()
    else:
        path = str(verify)
    try:
        if os.path.isdir(path):  # noqa: PTH112  # as in `trust`
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except OSError as error:
        raise InvalidRequest(f"cannot load the trusted certificates of {path!r}: {error}") from error


def _load_certificate(
    context: ssl.SSLContext, certificate: str, key: str | None, password: str | bytes | None
) -> None:
    try:
        # A callable: without one OpenSSL would ask for a missing password on the terminal.
        context.load_cert_chain(certificate, key, lambda: password or "")
        # Servers that want a certificate for some paths only ask after the handshake (RFC 8446 section 4.6.2).
        context.post_handshake_auth = True
    except (OSError, ValueError, TypeError) as error:
        files = certificate if key is None else f"{certificate!r} and {key!r}"
        hint = "; is it PEM, and the password right?" if "PEM lib" in str(error) else ""
        raise InvalidRequest(f"cannot load the client certificate of {files}: {error}{hint}") from error


def _empty_system_context() -> ssl.SSLContext:
    """Return a context whose roots truststore fills in from the operating system at each handshake."""
    try:
        import truststore
    except ImportError as error:
        raise InvalidRequest("verify='system' needs the extra: pip install threadwire[truststore]") from error
    import ssl

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
