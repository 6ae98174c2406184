"""Through a proxy to the origin: CONNECT (RFC 9110 section 9.3.6) and SOCKS5 (RFC 1928, RFC 1929).

A proxy is told the origin's host and port and our credentials for the proxy, and nothing else of the request.
Whatever it answers but "go ahead" is a `ProxyError`: never a response, never followed, never shown.

What a SOCKS proxy is told is written by socksio, which does no I/O: each wait stays ours, and ends with the
connect budget and the stop switch.  What it answers is read here, for the reasons given in `open_socks`.
"""

from __future__ import annotations

import errno
import ssl
from typing import TYPE_CHECKING, Final

from client.exceptions import InvalidRequest, ProxyError, RequestException
from client.hostname import authority
from client.protocol import (
    CLIENT,
    NEED_DATA,
    Connection,
    EndOfMessage,
    Limits,
    ProtocolError,
    Request,
    Response,
)

if TYPE_CHECKING:
    import socket

    from client.transport.waiter import Waiter
    from client.transport.wire import Proxy

__all__ = ["open_socks", "open_tunnel"]

#: Sent to proxies that want to know; it says no more than that.
_USER_AGENT: Final = b"threadwire"

#: Bytes read at a time; how long an answer may get is the engine's to judge.
_READ_SIZE: Final = 64 * 1024


def open_tunnel(
    sock: socket.socket,
    proxy: Proxy,
    host: str,
    port: int,
    waiter: Waiter,
    limits: Limits | None = None,
) -> None:
    """Have an http or https proxy connect *sock* to the origin.

    Args:
        sock: Connected to the proxy (through TLS for an https proxy), non-blocking. Closing it after an error
            is left to the caller.
        proxy: For its credentials and for messages.
        host: Name or IP address of the origin, without brackets.
        port: TCP port of the origin.
        waiter: Bounds the waits, in phase ``"proxy"``.
        limits: Bounds the proxy's answer; None for the engine's defaults.

    Raises:
        ProxyError: The proxy answered with another status than 2xx (``status`` has it), with something that is
            not HTTP, with bytes that come before the origin could have spoken, or not at all.
        InvalidRequest: *host* or the credentials would break the head apart; nothing was sent.
        Timeout: The waiter's budget ran out.
    """
    where = _authority(host, port)
    fields = [(b"Host", where), (b"User-Agent", _USER_AGENT)]
    if proxy.authorization is not None:
        fields.append((b"Proxy-Authorization", proxy.authorization))
    connection = Connection(CLIENT, limits=limits)
    try:
        head = connection.send(Request(method=b"CONNECT", target=where, headers=fields))
        connection.send(EndOfMessage())
    except ProtocolError as error:
        raise InvalidRequest(f"{proxy!r} cannot be asked for {where!r}: {error}") from error
    try:
        _send(sock, head, waiter)
        response = _final_response(connection, sock, waiter)
    except ProtocolError as error:
        raise ProxyError(f"{proxy!r} gave no answer to CONNECT {where.decode()}: {error}") from error
    except RequestException:
        raise
    except OSError as error:
        raise _broken(error, proxy) from error
    if not 200 <= response.status_code < 300:
        hint = " (it wants other credentials than its URL has)" if response.status_code == 407 else ""
        raise ProxyError(
            f"{proxy!r} refused CONNECT {where.decode()} with status {response.status_code}{hint}",
            status=response.status_code,
        )
    if connection.trailing_data[0]:
        # The origin waits for our ClientHello, so these bytes are the proxy's: a body that a 2xx answer to
        # CONNECT cannot have (RFC 9112 section 6.3), or an attempt to have them taken for the origin's.
        raise ProxyError(f"{proxy!r} sent bytes of its own after its answer to CONNECT {where.decode()}")


def _authority(host: str, port: int) -> bytes:
    """Return the request-target of CONNECT; an address's zone means something on this machine only."""
    return authority(host.partition("%")[0], port).encode("ascii")


def _final_response(connection: Connection, sock: socket.socket, waiter: Waiter) -> Response:
    """Return the proxy's answer; 1xx are passed over, and whatever else comes is an error of the engine."""
    has_begun = False
    while not isinstance(event := connection.next_event(), Response):
        if event is NEED_DATA:
            data = _receive(sock, _READ_SIZE, waiter)
            if not data and not has_begun:
                raise _closed()
            has_begun = True
            connection.receive_data(data)
    return event


# -- SOCKS5 -----------------------------------------------------------------------------------------------

#: RFC 1928 section 4, field ATYP, and how many bytes an address of that type has; a name says so itself.
_NAME: Final = 3
_ADDRESS_SIZES: Final = {1: 4, 4: 16}


def open_socks(sock: socket.socket, proxy: Proxy, host: str, port: int, waiter: Waiter) -> None:
    """Have a SOCKS5 proxy connect *sock* to the origin; arguments as for `open_tunnel`.

    Args:
        sock: Connected to the proxy, non-blocking.
        proxy: Its ``authorization`` is ``username:password``.
        host: A name is resolved by the proxy.
        port: TCP port of the origin.
        waiter: Bounds the waits, in phase ``"proxy"``.

    Raises:
        ProxyError: The proxy does not speak SOCKS5, or refuses us; or, with ``status``, it cannot connect to *host*.
        InvalidRequest: The extra ``socks`` is not installed; nothing was sent.
        Timeout: The waiter's budget ran out.
    """
    try:
        from socksio import SOCKS5Command, SOCKS5CommandRequest
    except ImportError as error:
        raise InvalidRequest(f"{proxy!r} needs the extra: pip install threadwire[socks]") from error
    target = (host.partition("%")[0], port)  # an address's zone means something on this machine only
    try:
        _authenticate(sock, proxy, waiter)
        _send(sock, SOCKS5CommandRequest.from_address(SOCKS5Command.CONNECT, target).dumps(), waiter)
        # Not by SOCKS5Reply.loads: it wants the whole reply, whose length is known only from its first bytes; a
        # refusal need not have an address (socksio issue 60); and it cannot read names of 128 bytes and more.
        version, reply, _, kind = _receive_exactly(sock, 4, waiter)
        if version != 5:
            raise ProxyError(f"{proxy!r} does not speak SOCKS5")
        if reply:
            raise ProxyError(
                f"{proxy!r} cannot connect to {authority(host, port)}: {_reason(reply)}", status=reply
            )
        # The address that the proxy connects from is of no use, but must be read: the origin's bytes follow.
        if kind == _NAME:
            size = _receive_exactly(sock, 1, waiter)[0]
        elif (size := _ADDRESS_SIZES.get(kind, 0)) == 0:
            raise ProxyError(f"{proxy!r} does not speak SOCKS5: address type {kind}")
        _receive_exactly(sock, size + 2, waiter)
    except RequestException:
        raise
    except OSError as error:
        raise _broken(error, proxy) from error


def _authenticate(sock: socket.socket, proxy: Proxy, waiter: Waiter) -> None:
    from socksio import SOCKS5AuthMethod, SOCKS5AuthMethodsRequest, SOCKS5UsernamePasswordRequest

    methods = [SOCKS5AuthMethod.NO_AUTH_REQUIRED]
    if proxy.authorization is not None:
        methods.append(SOCKS5AuthMethod.USERNAME_PASSWORD)
    _send(sock, SOCKS5AuthMethodsRequest(methods).dumps(), waiter)
    version, chosen = _receive_exactly(sock, 2, waiter)  # SOCKS5AuthReply.loads takes any version
    if version != 5:
        raise ProxyError(f"{proxy!r} does not speak SOCKS5")
    if bytes([chosen]) not in methods:
        raise ProxyError(f"{proxy!r} accepts none of our ways to authenticate")
    if proxy.authorization is not None and bytes([chosen]) == SOCKS5AuthMethod.USERNAME_PASSWORD:
        username, _, password = proxy.authorization.partition(b":")
        if len(username) > 255 or len(password) > 255:
            raise ProxyError(f"{proxy!r}: username or password is longer than the 255 bytes of RFC 1929")
        _send(sock, SOCKS5UsernamePasswordRequest(username, password).dumps(), waiter)
        _, status = _receive_exactly(sock, 2, waiter)
        if status:
            raise ProxyError(f"{proxy!r} does not accept the credentials of its URL")


def _reason(reply: int) -> str:
    """Return the meaning of field REP in words (RFC 1928 section 6)."""
    from socksio import SOCKS5ReplyCode

    try:
        return SOCKS5ReplyCode(bytes([reply])).name.replace("_", " ").lower()
    except ValueError:
        return f"reply {reply}"


# -- bytes on a non-blocking socket, plain or TLS ---------------------------------------------------------


def _send(sock: socket.socket, data: bytes, waiter: Waiter) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[sock.send(view) :]
        except (BlockingIOError, ssl.SSLWantWriteError):
            waiter.until_writable(sock, "proxy")
        except ssl.SSLWantReadError:
            waiter.until_readable(sock, "proxy")


def _receive(sock: socket.socket, size: int, waiter: Waiter) -> bytes:
    """Return at most *size* bytes, ``b""`` for EOF."""
    while True:
        try:
            return sock.recv(size)
        except (BlockingIOError, ssl.SSLWantReadError):
            waiter.until_readable(sock, "proxy")
        except ssl.SSLWantWriteError:
            waiter.until_writable(sock, "proxy")


def _receive_exactly(sock: socket.socket, size: int, waiter: Waiter) -> bytes:
    data = b""
    while len(data) < size:
        piece = _receive(sock, size - len(data), waiter)
        if not piece:
            raise _closed()
        data += piece
    return data


def _closed() -> OSError:
    return ConnectionAbortedError(errno.ECONNABORTED, "the proxy closed it")


def _broken(error: OSError, proxy: Proxy) -> ProxyError:
    return ProxyError(f"the connection to {proxy!r} broke: {error.strerror or type(error).__name__}")
