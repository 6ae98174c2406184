"""Through a proxy to the origin: CONNECT (RFC 9110 section 9.3.6) and SOCKS5 (RFC 1928, RFC 1929).

A proxy is told the origin's host and port and our credentials for the proxy, and nothing else of the request.
Whatever it answers but "go ahead" is a `ProxyError`: never a response, never followed, never shown.

SOCKS is spoken here, in a hundred lines, because each of its waits must end with the connect budget and the
stop switch, which no SOCKS library offers.
"""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING, Final

from client.exceptions import InvalidRequest, ProxyError, RequestException
from client.protocol import (
    CLIENT,
    NEED_DATA,
    Connection,
    EndOfMessage,
    ProtocolError,
    Request,
    Response,
)

if TYPE_CHECKING:
    from client.transport.waiter import Waiter
    from client.transport.wire import Proxy

__all__ = ["open_socks", "open_tunnel"]

#: Sent to proxies that want to know; it says no more than that.
_USER_AGENT: Final = b"threadwire"

#: Bytes read at a time; how long an answer may get is the engine's to judge.
_READ_SIZE: Final = 64 * 1024


def open_tunnel(sock: socket.socket, proxy: Proxy, host: str, port: int, waiter: Waiter) -> None:
    """Have an http or https proxy connect *sock* to the origin.

    Args:
        sock: Connected to the proxy (through TLS for an https proxy), non-blocking. Closing it after an error
            is left to the caller.
        proxy: For its credentials and for messages.
        host: Name or IP address of the origin, without brackets.
        port: TCP port of the origin.
        waiter: Bounds the waits, in phase ``"proxy"``.

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
    connection = Connection(CLIENT)
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
    host = host.partition("%")[0]
    return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode("ascii")


def _final_response(connection: Connection, sock: socket.socket, waiter: Waiter) -> Response:
    """Return the proxy's answer; 1xx are passed over, and whatever else comes is an error of the engine."""
    while not isinstance(event := connection.next_event(), Response):
        if event is NEED_DATA:
            connection.receive_data(_receive(sock, _READ_SIZE, waiter))
    return event


# -- SOCKS5 -----------------------------------------------------------------------------------------------

#: Authentication methods of RFC 1928 section 3.
_NO_AUTHENTICATION: Final = 0
_PASSWORD: Final = 2

#: RFC 1928 section 6, field REP.
_REPLIES: Final = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
    7: "command not supported",
    8: "address type not supported",
}

#: RFC 1928 section 4, field ATYP, and how long an address of that type is.
_IPV4, _NAME, _IPV6 = 1, 3, 4
_ADDRESS_SIZES: Final = {_IPV4: 4, _IPV6: 16}


def open_socks(sock: socket.socket, proxy: Proxy, host: str, port: int, waiter: Waiter) -> None:
    """Have a SOCKS5 proxy connect *sock* to the origin; arguments as for `open_tunnel`.

    Args:
        sock: Connected to the proxy, non-blocking.
        proxy: Its ``authorization`` is ``username:password``.
        host: A name is resolved by the proxy.
        port: TCP port of the origin.
        waiter: Bounds the waits, in phase ``"proxy"``.

    Raises:
        ProxyError: The proxy refused (the message has its reason), or does not speak SOCKS5.
        Timeout: The waiter's budget ran out.
    """
    try:
        _authenticate(sock, proxy, waiter)
        _send(sock, b"\x05\x01\x00" + _socks_address(host) + port.to_bytes(2), waiter)
        version, reply, _, kind = _receive_exactly(sock, 4, waiter)
        if version != 5:
            raise ProxyError(f"{proxy!r} does not speak SOCKS5")
        if reply:
            reason = _REPLIES.get(reply, f"reply {reply}")
            raise ProxyError(f"{proxy!r} cannot connect to {host}:{port}: {reason}", status=reply)
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
    methods = bytes([_NO_AUTHENTICATION] if proxy.authorization is None else [_NO_AUTHENTICATION, _PASSWORD])
    _send(sock, bytes([5, len(methods)]) + methods, waiter)
    version, chosen = _receive_exactly(sock, 2, waiter)
    if version != 5:
        raise ProxyError(f"{proxy!r} does not speak SOCKS5")
    if chosen not in methods:
        raise ProxyError(f"{proxy!r} accepts none of our ways to authenticate", status=chosen)
    if chosen == _PASSWORD and proxy.authorization is not None:
        username, _, password = proxy.authorization.partition(b":")
        if len(username) > 255 or len(password) > 255:
            raise ProxyError(f"{proxy!r}: username or password is longer than the 255 bytes of RFC 1929")
        _send(sock, b"\x01" + _counted(username) + _counted(password), waiter)
        _, status = _receive_exactly(sock, 2, waiter)
        if status:
            raise ProxyError(f"{proxy!r} does not accept the credentials of its URL", status=status)


def _socks_address(host: str) -> bytes:
    for kind, family in ((_IPV4, socket.AF_INET), (_IPV6, socket.AF_INET6)):
        try:
            return bytes([kind]) + socket.inet_pton(family, host.partition("%")[0])
        except OSError:
            continue
    return bytes([_NAME]) + _counted(host.encode("ascii"))  # 253 bytes at most, as in the DNS


def _counted(data: bytes) -> bytes:
    return bytes([len(data)]) + data


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
            raise ConnectionAbortedError(errno.ECONNABORTED, "the proxy closed it")
        data += piece
    return data


def _broken(error: OSError, proxy: Proxy) -> ProxyError:
    return ProxyError(f"the connection to {proxy!r} broke: {error.strerror or type(error).__name__}")
