"""Rows 099 and 107 to 115, and 140: who may pass for an https origin or proxy, asked of a session's verbs.

The servers are byte-exact scripts below OpenSSL's own server side; certificates that no authority would make are built
field by field.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import sys
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

import client
from client.exceptions import ProxyError, SSLError
from tests.scripted_server import (
    Close,
    Conversation,
    Expect,
    FailedHandshake,
    Hold,
    ScriptedServer,
    Send,
    StartTLS,
)
from tests.tls_authority import TLSAuthority

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def session(tls_authority: TLSAuthority) -> Iterator[client.Session]:
    """A session that trusts the authority of the run, finds every name at 127.0.0.1, and holds no slot in the end."""
    with client.Session(
        trust_env=False, verify=str(tls_authority.bundle), resolver=lambda host, port: ["127.0.0.1"]
    ) as session:
        yield session
    assert 0 == session._transport._slots  # type: ignore[attr-defined]  # the pool


class Refused(FailedHandshake):
    """The client refuses the certificate; with TLS 1.3 its half of the handshake is over by then."""

    def play(self, conversation: Conversation) -> None:
        assert b"" == conversation.read_rest(), "something was sent to a stranger"


def assert_refused(
    session: client.Session, context: ssl.SSLContext, host: str = "a.test", **arguments: Any
) -> str:
    """Get from *host*, played with *context*; the handshake must fail. Return the error's text."""
    with ScriptedServer(tls=context) as server:
        server.script(Refused())
        with pytest.raises(SSLError) as caught:
            session.get(f"https://{host}:{server.port}/", **arguments)
    return str(caught.value)


def assert_accepted(session: client.Session, context: ssl.SSLContext, host: str, **arguments: Any) -> None:
    with ScriptedServer(tls=context) as server:
        server.answer(OK)
        assert "ok" == session.get(f"https://{host}:{server.port}/", **arguments).text


def issued(
    authority: trustme.CA | None, *names: x509.GeneralName, common_name: str = ""
) -> tuple[ssl.SSLContext, bytes]:
    """Return the context of a server with a certificate for exactly *names*, and the certificate (DER).

    Signed by *authority*, or by itself for None; trustme would refuse to make most of these.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)] if common_name else []
    subject = issuer = x509.Name(attributes)
    signing_key = key
    if authority is not None:
        issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes()).subject
        loaded = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)
        assert isinstance(loaded, EllipticCurvePrivateKey)
        signing_key = loaded
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(signing_key, hashes.SHA256())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # `ssl` takes files only
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context, certificate.public_bytes(serialization.Encoding.DER)


# -- whom to trust ----------------------------------------------------------------------------------------------


def test_row_107_by_default_nobody_unknown_is_believed(session: client.Session) -> None:
    """Nor does any of the calls' forms skip it: verification is the transport's, not the verb's."""
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("a.test").configure_cert(stranger)
    self_signed, _ = issued(None, x509.DNSName("a.test"))
    session.verify = True

    for context in (stranger, self_signed):
        for call in (session.get, session.post, client.get):
            with ScriptedServer(tls=context) as server:
                server.script(Refused())
                with pytest.raises(SSLError):
                    call(f"https://localhost:{server.port}/")


def test_row_107_nor_anybody_for_another_host(session: client.Session, tls_authority: TLSAuthority) -> None:
    assert "mismatch" in assert_refused(session, tls_authority.server_context("b.test"))


@pytest.mark.parametrize(
    ("names", "host", "matches"),
    [
        ([x509.DNSName("*.a.test")], "www.a.test", True),
        ([x509.DNSName("a.test"), x509.DNSName("b.test")], "b.test", True),
        ([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))], "127.0.0.1", True),
        ([x509.DNSName("*")], "a.test", False),
        ([x509.DNSName("*.test")], "www.a.test", False),
        ([x509.DNSName("*.0.0.1")], "127.0.0.1", False),
        ([x509.DNSName("127.0.0.1")], "127.0.0.1", False),
        ([x509.DNSName("x*.a.test")], "xy.a.test", False),
        ([x509.DNSName("w*w.a.test")], "www.a.test", False),
        ([x509.DNSName("www.*.test")], "www.a.test", False),
        ([x509.DNSName("*.*.test")], "www.a.test", False),
        ([x509.DNSName("xn--*.a.test")], "xn--bcher-kva.a.test", False),
        ([x509.DNSName("1.1.1.1 ; a.test")], "a.test", False),
        ([x509.UniformResourceIdentifier("https://a.test/")], "a.test", False),
        ([x509.RFC822Name("root@a.test")], "a.test", False),
        ([x509.IPAddress(ipaddress.IPv4Address("127.0.0.2"))], "127.0.0.1", False),
        ([x509.IPAddress(ipaddress.IPv6Address("::ffff:127.0.0.1"))], "127.0.0.1", False),
    ],
)
def test_row_108_a_name_matches_as_rfc_9525_says(
    session: client.Session,
    tls_authority: TLSAuthority,
    names: list[x509.GeneralName],
    host: str,
    matches: bool,
) -> None:
    """It is OpenSSL that compares; every client which did it by itself got one of these wrong."""
    context, _ = issued(tls_authority.ca, *names)

    if matches:
        assert_accepted(session, context, host)
    else:
        assert "mismatch" in assert_refused(session, context, host)


@pytest.mark.parametrize("names", [(), (x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")),)])
def test_row_108_a_common_name_is_never_one(
    session: client.Session, tls_authority: TLSAuthority, names: tuple[x509.GeneralName, ...]
) -> None:
    """OpenSSL would fall back to it where there is no name of the right type."""
    context, _ = issued(tls_authority.ca, *names, common_name="a.test")

    assert "mismatch" in assert_refused(session, context)


def test_row_109_a_nul_does_not_end_a_name(session: client.Session, tls_authority: TLSAuthority) -> None:
    for name in ("a.test\0.evil.test", "a.test\0", "\0a.test"):
        context, _ = issued(tls_authority.ca, x509.DNSName(name))
        assert "mismatch" in assert_refused(session, context)


def test_row_110_roots_of_the_callers_own_are_all_there_are(
    session: client.Session, tls_authority: TLSAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the server's authority is among the system's roots, or the environment's."""
    mine = tmp_path / "mine.pem"
    trustme.CA().cert_pem.write_to_path(mine)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tls_authority.bundle))

    assert str(mine) in assert_refused(session, tls_authority.server_context("a.test"), verify=str(mine))
    with client.Session(verify=str(mine), resolver=lambda host, port: ["127.0.0.1"]) as trusting:
        assert_refused(trusting, tls_authority.server_context("a.test"))


def test_row_110_a_context_of_the_callers_own_is_not_added_to(
    session: client.Session, tls_authority: TLSAuthority
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # no roots at all

    assert_refused(session, tls_authority.server_context("a.test"), verify=context)
    assert 0 == context.cert_store_stats()["x509"]


# -- proxies and tunnels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verify", [True, False], ids=["verified origin", "unverified origin"])
@pytest.mark.parametrize("name", ["other.test", "a.test"])
def test_row_111_a_proxys_certificate_is_for_the_proxy(
    session: client.Session, tls_authority: TLSAuthority, name: str, verify: bool
) -> None:
    """Nor does a certificate for the origin do, nor does `verify=False`, which is about the origin."""
    with ScriptedServer(tls=tls_authority.server_context(name)) as proxy:
        proxy.script(Refused())
        with pytest.raises(ProxyError):
            session.get(
                "https://a.test/",
                proxies={"https": f"https://127.0.0.1:{proxy.port}"},
                verify=str(tls_authority.bundle) if verify else False,
            )


@pytest.mark.parametrize("early", [OK, b"HTTP/1.1 200 OK\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x28" + OK])
def test_row_112_what_came_before_the_handshake_is_no_answer(
    scripted_server: ScriptedServer, session: client.Session, early: bytes
) -> None:
    scripted_server.script(Send(early, may_fail=True), Close())

    with pytest.raises((SSLError, client.ConnectError)) as caught:
        session.get(scripted_server.url.replace("http://", "https://"))

    assert not caught.value.response


def test_row_112_what_a_proxy_puts_in_front_of_the_handshake_is_no_answer(
    scripted_server: ScriptedServer, session: client.Session
) -> None:
    """An answer to CONNECT, and in the same segment one that would pass for the origin's."""
    established = b"HTTP/1.1 200 Connection established\r\n\r\n"
    scripted_server.script(Expect(b"CONNECT a.test:443 "), Send(established + OK), Hold())

    with pytest.raises(client.ConnectError):
        session.get("https://a.test/", proxies={"https": scripted_server.url})


# -- what must not get lost --------------------------------------------------------------------------------------


class Counting(ssl.SSLContext):
    """A caller's own context, which counts the connections made with it."""

    wrapped = 0

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        self.wrapped += 1
        return super().wrap_socket(*arguments, **options)

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        self.wrapped += 1
        return super().wrap_bio(*arguments, **options)


def test_row_113_a_context_of_the_callers_own_goes_every_way(
    tls_authority: TLSAuthority, scripted_server: ScriptedServer
) -> None:
    """Along a redirect, after a connection died, and through a tunnel."""
    context = Counting(ssl.PROTOCOL_TLS_CLIENT)
    tls_authority.ca.configure_trust(context)
    with (
        ScriptedServer(tls=tls_authority.server_context()) as server,
        client.Session(trust_env=False, verify=context) as session,
    ):
        elsewhere = f"Location: https://127.0.0.1:{server.port}/b\r\n".encode()
        server.answer(b"HTTP/1.1 302 Go\r\n" + elsewhere + b"Content-Length: 0\r\n\r\n")
        server.script(Expect(b"GET /b "), Send(OK), Close())
        assert "ok" == session.get(server.url).text
        assert 2 == context.wrapped

        server.answer(OK)
        assert "ok" == session.get(f"https://127.0.0.1:{server.port}/c").text
        assert 3 == context.wrapped

        scripted_server.script(
            Expect(b"CONNECT localhost:443 "),
            Send(b"HTTP/1.1 200 Yes\r\n\r\n"),
            StartTLS(tls_authority.server_context()),
            Expect(b"GET /d "),
            Send(OK),
            Hold(),
        )
        assert "ok" == session.get("https://localhost/d", proxies={"https": scripted_server.url}).text
        assert 4 == context.wrapped


def test_row_113_a_pin_goes_every_way_too(tls_authority: TLSAuthority) -> None:
    """The second origin of the chain has a certificate that is trusted, and not the one that is pinned."""
    pinned, der = issued(tls_authority.ca, x509.DNSName("localhost"))
    settings = client.TLSSettings(str(tls_authority.bundle), fingerprint=sha256(der).digest())
    with (
        ScriptedServer(tls=pinned) as one,
        ScriptedServer(tls=tls_authority.server_context()) as two,
        client.Session(trust_env=False, verify=settings) as session,
    ):
        hop = b"HTTP/1.1 302 Go\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % two.url.encode()
        one.answer(hop)
        two.script(Refused())

        with pytest.raises(SSLError, match="fingerprint"):
            session.get(one.url)


@pytest.mark.parametrize("host", ["A.TEST", "a.test.", "A.Test."])
def test_row_114_one_host_is_one_name_however_it_is_written(
    session: client.Session, tls_authority: TLSAuthority, host: str
) -> None:
    seen: list[str | None] = []
    context = tls_authority.server_context("a.test")
    context.sni_callback = lambda sock, name, _: seen.append(name)

    assert_accepted(session, context, host)
    assert_refused(session, tls_authority.server_context("a.test.evil.test"), host)

    assert ["a.test"] == seen


def test_row_114_nobody_changes_his_certificate_in_mid_connection(tls_authority: TLSAuthority) -> None:
    """TLS 1.2 has renegotiation for that; a client that refuses it has one certificate a connection."""
    context = client.TLSSettings(str(tls_authority.bundle)).context()

    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_row_115_the_default_roots_are_certifis_as_installed_and_nobody_elses() -> None:
    """A root that certifi drops is distrusted with its next release, whatever the system still has."""
    import certifi

    trusted = client.TLSSettings().context().get_ca_certs(binary_form=True)
    bundle = Path(certifi.where()).read_text(encoding="ascii")
    end = "-----END CERTIFICATE-----\n"
    listed = {
        ssl.PEM_cert_to_DER_cert(block[block.index("-----BEGIN") :] + end) for block in bundle.split(end)[:-1]
    }

    assert listed == set(trusted)
    assert 100 < len(listed)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_row_099_no_connection_resumes_the_trust_of_another(
    session: client.Session, tls_authority: TLSAuthority, version: ssl.TLSVersion
) -> None:
    """The server offers tickets; each connection is a full handshake, so each certificate is checked."""
    context = tls_authority.server_context("a.test")
    context.maximum_version = version
    with ScriptedServer(tls=context) as server:
        for _ in range(3):
            server.script(Expect(), Send(OK), Close())
            assert "ok" == session.get(f"https://a.test:{server.port}/").text

    assert (3, 0) == (context.session_stats()["accept_good"], context.session_stats()["hits"])


# -- the module below --------------------------------------------------------------------------------------------


def test_row_140_the_tls_module_offers_what_the_settings_rest_on() -> None:
    """Which Python is patched is for its distributor to say; this is what we need of it."""
    assert ssl.OPENSSL_VERSION_INFO >= (1, 1, 1)
    assert ssl.HAS_TLSv1_2
    assert ssl.HAS_TLSv1_3
    assert ssl.HAS_SNI
    assert ssl.HAS_NEVER_CHECK_COMMON_NAME
    assert sys.version_info >= (3, 11)


@pytest.mark.parametrize(
    "record",
    [
        b"\x16\x03\x03\xff\xff" + b"\x02" * 400,  # a record that claims 65535 bytes
        b"\x16\x03\x03\x00\x04\x02\xff\xff\xff",  # a handshake message that claims 16 MiB
        b"\x16\x03\x03\x00\x00" * 200,  # empty records
        b"\x15\x03\x03\x00\x02\x01\x5a" * 200,  # warnings without end
        b"\x17\x03\x03\x00\x02ok",  # application data before the handshake
        b"\x14\x03\x03\x00\x01\x01" * 200,  # changes of a cipher that was never chosen
        b"\x18\x03\x03\x00\x03\x01\x40\x00",  # a heartbeat that asks for what it did not bring
        b"\x80\x2e\x01\x00\x02",  # SSL 2
    ],
    ids=lambda record: record[:8].hex(),
)
def test_row_140_what_is_no_tls_is_one_kind_of_error(
    scripted_server: ScriptedServer, session: client.Session, record: bytes
) -> None:
    """As far as a peer can be provoked from here: the flaws themselves are in OpenSSL and CPython."""
    scripted_server.script(Expect(until=b"localhost"), Send(record, may_fail=True), Close())

    with pytest.raises(client.ConnectError):
        session.get(f"https://localhost:{scripted_server.port}/")
