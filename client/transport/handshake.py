"""The TLS handshake, over TCP or inside the TLS of a proxy.

It runs on a non-blocking socket, so that each of its waits ends with the connect budget or the stop switch.
No session is ever resumed: one that was made under other trust would skip the checks of this one.
"""

from __future__ import annotations

import socket
import ssl
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from client.exceptions import ConnectError, RequestException, SSLError
from client.hostname import authority

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.timeouts import Phase
    from client.transport.tls import TLSSettings
    from client.transport.waiter import Waiter

__all__ = ["TLSOverTLS", "TLSSocket", "wrap"]

#: What ALPN may have chosen; None is no choice.
_SPOKEN: Final = (None, "http/1.1", "http/1.0")

#: OpenSSL's way to say that what arrived is no TLS record.
_NOT_TLS: Final = (
    "WRONG_VERSION_NUMBER",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
    "UNKNOWN_PROTOCOL",
)

#: Bytes read from the outer connection at a time: two records of the largest size.
_READ_SIZE: Final = 32768


def wrap(
    sock: socket.socket,
    settings: TLSSettings,
    host: str,
    port: int,
    waiter: Waiter,
    *,
    phase: Phase = "tls",
) -> TLSSocket:
    """Do the handshake on *sock* as a client of *host* and check who answered.

    Args:
        sock: Connected and non-blocking, plain or TLS. It is taken over: closed on any error.
        settings: Whom to trust.
        host: Name or IP address to verify, without brackets; ``settings.server_name`` takes its place.
        port: For messages.
        waiter: Bounds the waits, in *phase*.
        phase: ``"tls"``, or ``"proxy"`` for the handshake with a proxy.

    Returns:
        A non-blocking socket whose ``recv`` raises `ssl.SSLEOFError` on a close without close_notify.

    Raises:
        SSLError: The peer does not speak TLS, is not trusted, is not *host*, or chose another protocol.
        ConnectError: The connection broke.
        InvalidRequest: *settings* cannot be used, see `TLSSettings.context`.
        Timeout: The waiter's budget ran out.
    """
    owned: socket.socket = sock
    try:
        context = settings.context()
        name = _server_name(settings.server_name or host)
        owned = secured = _start(sock, context, name)
        waiter.own(secured)
        _shake_hands(secured, waiter, phase)
        _check(secured, settings, authority(host, port))
    except BaseException as error:
        owned.close()
        if (explained := _explained(error, settings, authority(host, port))) is None:
            raise
        raise explained from error
    return secured


def _server_name(name: str) -> str:
    """Return *name* as certificates have it: in lower case, without a final dot or an address's zone."""
    return name.partition("%")[0].removesuffix(".").lower()


def _start(sock: socket.socket, context: ssl.SSLContext, name: str) -> TLSSocket:
    if isinstance(sock, ssl.SSLSocket):
        return TLSOverTLS(sock, context, name)
    try:
        return context.wrap_socket(
            sock, do_handshake_on_connect=False, suppress_ragged_eofs=False, server_hostname=name
        )
    except OSError as error:
        _close_lost(error)
        raise


def _close_lost(error: OSError) -> None:
    """Close the socket that `ssl.SSLContext.wrap_socket` had made when it failed, as it does after a reset.

    It took the descriptor over from ours, and nobody has it but the frames of the traceback.
    """
    traceback = error.__traceback__
    while traceback is not None:
        lost = traceback.tb_frame.f_locals.get("self")
        if isinstance(lost, ssl.SSLSocket):
            lost.close()
        traceback = traceback.tb_next


def _shake_hands(sock: TLSSocket, waiter: Waiter, phase: Phase) -> None:
    while True:
        try:
            sock.do_handshake()
            return
        except ssl.SSLWantReadError:
            waiter.until_readable(sock, phase)
        except ssl.SSLWantWriteError:
            waiter.until_writable(sock, phase)


def _check(sock: TLSSocket, settings: TLSSettings, where: str) -> None:
    """Check what OpenSSL does not: the pinned certificate, and the protocol that ALPN chose."""
    if settings.fingerprint is not None:
        from hashlib import sha256

        seen = sha256(sock.getpeercert(binary_form=True) or b"").digest()
        if seen != settings.fingerprint:
            raise SSLError(
                f"the certificate of {where} has the SHA-256 fingerprint {seen.hex()}, "
                f"expected {settings.fingerprint.hex()}"
            )
    if (chosen := sock.selected_alpn_protocol()) not in _SPOKEN:
        raise SSLError(
            f"{where} chose {chosen!r} by ALPN, expected 'http/1.1': the SSLContext must offer only that"
        )


def _explained(error: BaseException, settings: TLSSettings, where: str) -> ConnectError | None:
    """Return the error to raise for *error*, None if it can stay as it is."""
    if isinstance(error, RequestException):
        return None
    if isinstance(error, ssl.SSLCertVerificationError):
        return SSLError(
            f"the certificate of {where} is not accepted: {error.verify_message} (trusted: {settings.trust})"
        )
    if isinstance(error, ssl.SSLError):
        hint = ": the peer does not seem to speak TLS" if error.reason in _NOT_TLS else ""
        return SSLError(f"TLS handshake with {where} failed: {error.reason or error.strerror}{hint}")
    if isinstance(error, OSError):
        reason = error.strerror or error
        return ConnectError(f"the connection to {where} broke during the TLS handshake: {reason}")
    return None


class TLSOverTLS(socket.socket):
    """A TLS connection inside another one: to an origin, through an https proxy.

    Behaves as an `ssl.SSLSocket` does with ``suppress_ragged_eofs=False``, so far as a connection needs it:
    non-blocking and with a timeout, `ssl.SSLWantReadError` and `TimeoutError` included.

    Args:
        outer: The connection to the proxy; closed together with this one.
        context: For the inner connection.
        server_name: For the inner connection.

    Attributes:
        outer: As above.

    It is a socket of its own on a duplicate of the outer descriptor: polling it and shutting it down mean the
    same connection.
    """

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, server_name: str) -> None:
        """Start in the outer connection's blocking mode; `do_handshake` comes next."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self._unsent = bytearray()
        self._starved = False  # what has arrived is less than a record
        super().__init__(outer.family, outer.type, outer.proto, fileno=socket.dup(outer.fileno()))
        self.outer = outer
        super().settimeout(outer.gettimeout())

    # -- what a connection does ----------------------------------------------------------------------------

    def do_handshake(self) -> None:
        """Do the handshake, or as much of it as is possible without waiting."""
        self._drive(self._tls.do_handshake)

    def recv(self, bufsize: int = _READ_SIZE, flags: int = 0) -> bytes:
        """Return at most *bufsize* bytes, ``b""`` after the peer's close_notify.

        Raises:
            ssl.SSLEOFError: The peer, or the proxy, closed without close_notify.
            ssl.SSLWantReadError, TimeoutError: Nothing there yet.
        """
        try:
            return self._drive(self._tls.read, bufsize)  # type: ignore[no-any-return]  # read returns bytes
        except ssl.SSLZeroReturnError:
            return b""

    def read(self, bufsize: int = _READ_SIZE, buffer: bytearray | memoryview | None = None) -> bytes | int:
        """As `recv`; with *buffer*, as `recv_into`."""
        return self.recv(bufsize) if buffer is None else self.recv_into(buffer, bufsize)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """As `send`."""
        return self.send(data)

    def recv_into(self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0) -> int:  # type: ignore[override]  # narrower: what we pass
        """Fill *buffer* with at most *nbytes* bytes (0: its size) and return how many; errors as `recv`."""
        try:
            return self._drive(self._tls.read, nbytes or len(buffer), buffer)  # type: ignore[no-any-return]  # a count
        except ssl.SSLZeroReturnError:
            return 0

    def send(self, data: bytes | bytearray | memoryview, flags: int = 0) -> int:  # type: ignore[override]  # narrower: what we pass
        """Take bytes of *data* and return how many, at least one.

        Raises:
            ssl.SSLWantWriteError, TimeoutError: None could be taken yet.
        """
        self._limit(monotonic())
        self._flush()  # what an earlier call encrypted, so that no more than one call's records pile up
        taken: int = self._drive(self._tls.write, memoryview(data)[:_READ_SIZE])
        return taken

    def sendall(self, data: bytes | bytearray | memoryview, flags: int = 0) -> None:  # type: ignore[override]  # as send
        """Send all of *data*; for sockets that block."""
        view = memoryview(data)
        while view:
            view = view[self.send(view) :]

    def pending(self) -> int:
        """Return more than 0 if something can be read that polling the descriptor would not show."""
        arrived = 0 if self._starved else self._incoming.pending
        return self._tls.pending() or arrived or self.outer.pending()

    def close(self) -> None:
        """Close both descriptors without a close_notify. Idempotent."""
        super().close()
        self.outer.close()

    def settimeout(self, value: float | None) -> None:
        """Set the timeout of both connections, in seconds; 0 is non-blocking, None blocks."""
        super().settimeout(value)
        self.outer.settimeout(value)

    def setblocking(self, flag: bool) -> None:
        """As ``settimeout(None)`` or ``settimeout(0)``."""
        self.settimeout(None if flag else 0.0)

    def _unprotected(self, *args: Any, **options: Any) -> NoReturn:
        """Refuse what `socket.socket` would do to the descriptor itself: bytes out of place, in the clear."""
        raise NotImplementedError("not on a TLS connection inside another one")

    sendmsg: Any = _unprotected
    recvmsg: Any = _unprotected
    recvmsg_into: Any = _unprotected
    sendto: Any = _unprotected
    recvfrom: Any = _unprotected
    recvfrom_into: Any = _unprotected
    sendfile: Any = _unprotected
    dup: Any = _unprotected
    detach: Any = _unprotected

    # -- what is told about the inner connection -----------------------------------------------------------

    def getpeercert(self, binary_form: bool = False) -> Any:
        """Return the origin's certificate, as `ssl.SSLSocket.getpeercert`."""
        return self._tls.getpeercert(binary_form)

    def selected_alpn_protocol(self) -> str | None:
        """Return what ALPN chose, None for nothing."""
        return self._tls.selected_alpn_protocol()

    def version(self) -> str | None:
        """Return such as ``"TLSv1.3"``."""
        return self._tls.version()

    def cipher(self) -> tuple[str, str, int] | None:
        """Return (name, protocol, secret bits)."""
        return self._tls.cipher()

    # -- between the two layers ----------------------------------------------------------------------------

    def _drive(self, operation: Callable[..., Any], *args: Any) -> Any:
        """Run *operation* of the inner connection, moving records as it needs them."""
        started = monotonic()
        while True:
            self._limit(started)
            try:
                result = operation(*args)
            except ssl.SSLWantReadError:
                self._starved = True
                self._flush()
                self._fill()
            except ssl.SSLError:
                self._flush_what_goes()  # the alert that says why
                raise
            else:
                self._flush_what_goes()
                return result

    def _limit(self, started: float) -> None:
        """Leave the outer connection what is left of our timeout: one read here may take many reads there."""
        timeout = self.gettimeout()
        if timeout:
            left = started + timeout - monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self.outer.settimeout(left)

    def _fill(self) -> None:
        data = self.outer.recv(_READ_SIZE)
        self._starved = False
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        self._unsent += self._outgoing.read()
        while self._unsent:
            del self._unsent[: self.outer.send(self._unsent)]

    def _flush_what_goes(self) -> None:
        """Flush; what the network does not take now goes first in the next call."""
        try:
            self._flush()
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass


#: What a handshake gives: `ssl.SSLSocket`, or its like inside a proxy's TLS.
TLSSocket: TypeAlias = "ssl.SSLSocket | TLSOverTLS"
