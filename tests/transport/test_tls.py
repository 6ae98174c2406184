"""Whom a TLS connection trusts, and how each way to fail is told."""

from __future__ import annotations

import datetime as dt
import pickle
import shutil
import ssl
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from client.exceptions import InvalidRequest, SSLError
from client.transport.dialer import Route
from client.transport.tls import TLSSettings
from tests.scripted_server import (
    Conversation,
    ExpectClosed,
    FailedHandshake,
    ScriptedServer,
    Send,
)
from tests.tls_authority import TLSAuthority
from tests.transport.dialing import dialed

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture
def trusting(tls_authority: TLSAuthority) -> TLSSettings:
    """Settings that trust the authority of the run."""
    return TLSSettings(str(tls_authority.bundle))


def route_to(server: ScriptedServer, settings: TLSSettings, host: str = "localhost") -> Route:
    return Route("https", host, server.port, tls=settings)


def greet(server: ScriptedServer, settings: TLSSettings, host: str = "localhost") -> Any:
    """Dial *host* at *server*, which must accept; return the facts of the connection."""
    server.script(Send(b"hello"), ExpectClosed())
    with dialed(route_to(server, settings, host), resolver=lambda *_: ["127.0.0.1"]) as connection:
        assert b"hello" == connection.sock.recv(5)
        return connection.info


class ClosedAfterHandshake(FailedHandshake):
    """With TLS 1.3 the client has finished first, so its close may meet the server's half of the handshake."""

    def play(self, conversation: Conversation) -> None:
        assert b"" == conversation.read_rest()


def refused(
    server: ScriptedServer, settings: TLSSettings, host: str = "localhost", *, after_handshake: bool = False
) -> str:
    """Dial *host* at *server*, which must fail; return the error's message."""
    server.script(ClosedAfterHandshake() if after_handshake else FailedHandshake())
    with pytest.raises(SSLError) as caught:
        with dialed(route_to(server, settings, host), resolver=lambda *_: ["127.0.0.1"]):
            pass
    assert f"{host}:{server.port}" in str(caught.value)
    return str(caught.value)


# -- the certificate --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_certificate_of_the_trusted_authority_for_the_host_is_accepted(
    scripted_tls_server: ScriptedServer, trusting: TLSSettings, host: str
) -> None:
    info = greet(scripted_tls_server, trusting, host)

    assert "TLSv1.3" == info.tls_version
    assert info.cipher.startswith("TLS_")
    assert 0 < info.tls


def test_by_default_certifi_is_trusted_and_nothing_else(scripted_tls_server: ScriptedServer) -> None:
    message = refused(scripted_tls_server, TLSSettings())

    assert "unable to get local issuer certificate" in message
    assert "the roots of certifi" in message


def test_a_path_is_all_that_is_trusted(scripted_tls_server: ScriptedServer, tmp_path: Path) -> None:
    """Neither certifi nor the system is added to it (CVE-2019-11324)."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)

    assert f"the file {str(other)!r}" in refused(scripted_tls_server, TLSSettings(other))
    assert TLSSettings(other).context().cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (["a.test"], "b.test"),
        (["a.test"], "www.a.test"),
        (["*.a.test"], "a.test"),
        (["*.a.test"], "deep.www.a.test"),
        (["*.test"], "127.0.0.1"),
        (["127.0.0.2"], "127.0.0.1"),
        (["a.test"], "127.0.0.1"),
    ],
)
def test_a_certificate_for_another_host_is_refused(
    tls_authority: TLSAuthority, trusting: TLSSettings, names: list[str], host: str
) -> None:
    with ScriptedServer(tls_authority.server_context(*names)) as server:
        assert "mismatch" in refused(server, trusting, host)


@pytest.mark.parametrize(
    ("name", "host"), [("*.a.test", "www.a.test"), ("a.test", "a.test."), ("a.test", "A.TEST")]
)
def test_a_certificate_matches_by_rfc_9525(
    tls_authority: TLSAuthority, trusting: TLSSettings, name: str, host: str
) -> None:
    with ScriptedServer(tls_authority.server_context(name)) as server:
        greet(server, trusting, host)


def server_with(issued: trustme.LeafCert) -> ScriptedServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    return ScriptedServer(context)


def test_a_common_name_is_no_host_name(tls_authority: TLSAuthority, trusting: TLSSettings) -> None:
    """RFC 9525 section 2; OpenSSL would fall back to it if there is no name of the right type."""
    issued = tls_authority.ca.issue_cert("127.0.0.1", common_name="a.test")
    with server_with(issued) as server:
        assert "mismatch" in refused(server, trusting, "a.test")


def test_an_expired_certificate_is_refused(tls_authority: TLSAuthority, trusting: TLSSettings) -> None:
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    issued = tls_authority.ca.issue_cert("localhost", not_before=past, not_after=past + dt.timedelta(days=1))
    with server_with(issued) as server:
        assert "expired" in refused(server, trusting)


def self_made(
    folder: Path, *names: x509.GeneralName, issuer: trustme.CA | None = None
) -> tuple[ssl.SSLContext, bytes]:
    """Make a certificate that trustme would not, signed by itself or by *issuer*: (server context, DER)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([])
    signer, signing_key = subject, key
    if issuer is not None:
        pem = issuer.private_key_pem.bytes()
        signing_key = serialization.load_pem_private_key(pem, None)  # type: ignore[assignment]  # trustme's are EC
        signer = x509.load_pem_x509_certificate(issuer.cert_pem.bytes()).subject
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .sign(signing_key, hashes.SHA256())
    )
    path = folder / "self-made.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, certificate.public_bytes(serialization.Encoding.DER)


def test_a_self_signed_certificate_is_refused(tmp_path: Path) -> None:
    context, _ = self_made(tmp_path, x509.DNSName("localhost"))
    with ScriptedServer(context) as server:
        assert "self-signed" in refused(server, TLSSettings())


def test_a_nul_in_a_name_does_not_end_it(
    tmp_path: Path, tls_authority: TLSAuthority, trusting: TLSSettings
) -> None:
    """CVE-2013-4238: ``a.test`` must not be matched by ``a.test\\0.evil.test``."""
    context, _ = self_made(tmp_path, x509.DNSName("a.test\0.evil.test"), issuer=tls_authority.ca)
    with ScriptedServer(context) as server:
        assert "mismatch" in refused(server, trusting, "a.test")


def test_verify_false_accepts_anyone(tmp_path: Path) -> None:
    context, _ = self_made(tmp_path, x509.DNSName("other.test"))
    with ScriptedServer(context) as server:
        greet(server, TLSSettings(verify=False))


# -- the forms of verify= and cert= -----------------------------------------------------------------------------


def test_a_folder_of_hashed_names_is_trusted(
    scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority, tmp_path: Path
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the hashed names, is not installed")
    shutil.copy(tls_authority.bundle, tmp_path / "authority.pem")
    subprocess.run([openssl, "rehash", str(tmp_path)], check=True)

    greet(scripted_tls_server, TLSSettings(tmp_path))


def test_a_folder_without_hashed_names_is_named(scripted_tls_server: ScriptedServer, tmp_path: Path) -> None:
    assert f"the folder {str(tmp_path)!r} of hashed names" in refused(
        scripted_tls_server, TLSSettings(tmp_path)
    )


def test_a_certificate_that_is_listed_itself_is_trusted(tmp_path: Path) -> None:
    """As curl does; otherwise a self-signed server could only be reached without verification."""
    context, der = self_made(tmp_path, x509.DNSName("localhost"))
    bundle = tmp_path / "listed.pem"
    bundle.write_text(ssl.DER_cert_to_PEM_cert(der))
    with ScriptedServer(context) as server:
        greet(server, TLSSettings(bundle))


def test_system_means_the_operating_systems_roots(
    scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "the roots of the operating system" in refused(scripted_tls_server, TLSSettings("system"))

    monkeypatch.setenv(
        "SSL_CERT_FILE", str(tls_authority.bundle)
    )  # OpenSSL's name for where the system's are
    greet(scripted_tls_server, TLSSettings("system"))


def test_system_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "truststore", None)

    with pytest.raises(InvalidRequest, match=r"pip install threadwire\[truststore\]"):
        TLSSettings("system").context()


def test_a_context_is_used_as_it_is(scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority) -> None:
    context = tls_authority.client_context()
    before = (context.options, context.verify_flags, context.minimum_version, context.verify_mode)

    greet(scripted_tls_server, TLSSettings(context))

    assert context is TLSSettings(context).context()
    assert before == (context.options, context.verify_flags, context.minimum_version, context.verify_mode)


def test_the_environment_does_not_change_what_is_trusted(
    scripted_tls_server: ScriptedServer,
    tls_authority: TLSAuthority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tls_authority.bundle))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))

    refused(scripted_tls_server, TLSSettings())
    greet(scripted_tls_server, TLSSettings(tls_authority.bundle))

    assert not (tmp_path / "keys").exists()


def test_session_keys_are_logged_where_asked(
    scripted_tls_server: ScriptedServer, tls_authority: TLSAuthority, tmp_path: Path
) -> None:
    greet(scripted_tls_server, TLSSettings(tls_authority.bundle, keylog=str(tmp_path / "keys")))

    assert "CLIENT_TRAFFIC_SECRET_0" in (tmp_path / "keys").read_text()


@pytest.mark.parametrize("password", [None, "secret", b"secret"])
def test_a_client_certificate_is_shown(
    tls_authority: TLSAuthority, tmp_path: Path, password: str | bytes | None
) -> None:
    chain, key = tls_authority.issue_files("client@a.test")
    if password is not None:
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        key = tmp_path / "encrypted.pem"
        key.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )
    context = tls_authority.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    tls_authority.ca.configure_trust(context)
    cert = (chain, key) if password is None else (chain, key, password)

    with ScriptedServer(context) as server:
        greet(server, TLSSettings(tls_authority.bundle, cert))  # type: ignore[arg-type]  # bytes as password


@pytest.mark.parametrize("password", [None, "wrong"])
def test_a_wrong_password_is_an_error_and_not_a_question(
    tls_authority: TLSAuthority, tmp_path: Path, password: str | None
) -> None:
    chain, key = tls_authority.issue_files("client@a.test")
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    settings = TLSSettings(cert=(chain, key) if password is None else (chain, key, password))

    with pytest.raises(InvalidRequest, match=r"client certificate.*password right") as caught:
        settings.context()
    assert "wrong" not in str(caught.value)
    assert "wrong" not in repr(settings)


@pytest.mark.parametrize(
    "arguments",
    [
        {"verify": "/no/such/file.pem"},
        {"verify": __file__},
        {"cert": "/no/such/file.pem"},
        {"cert": __file__},
        {"cert": ("/no/such/file.pem", "/no/such/key.pem")},
        {"keylog": "/no/such/folder/keys"},
    ],
)
def test_a_file_that_cannot_be_used_is_named(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        TLSSettings(**arguments).context()

    assert any(name in str(caught.value) for name in ("/no/such/", __file__))
    assert isinstance(caught.value, OSError)


@pytest.mark.parametrize(
    "arguments",
    [
        {"verify": None},
        {"verify": 1},
        {"verify": ""},
        {"cert": 5},
        {"cert": ("a", "b", "c", "d")},
        {"fingerprint": "00"},
        {"fingerprint": b"\0" * 31},
        {"fingerprint": "z" * 64},
        {"verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "cert": "client.pem"},
        {"server_name": ""},
        {"server_name": ".a.test"},
        {"server_name": "a..test"},
        {"server_name": "a.test\0"},
        {"server_name": "a.test\n"},
        {"server_name": "x" * 64 + ".test"},
        {"server_name": "b\u00fccher.test"},
    ],
)
def test_an_argument_of_another_form_is_refused_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        TLSSettings(**arguments)


def test_the_default_context_is_made_once_for_the_process() -> None:
    assert TLSSettings().context() is TLSSettings(server_name="a.test").context()
    assert TLSSettings().context() is not TLSSettings(verify=False).context()


def test_our_contexts_are_strict() -> None:
    context = TLSSettings().context()

    assert ssl.TLSVersion.TLSv1_2 == context.minimum_version
    assert ssl.CERT_REQUIRED == context.verify_mode
    assert context.check_hostname
    assert not context.hostname_checks_common_name
    assert context.options & ssl.OP_NO_RENEGOTIATION


def test_settings_are_values(tmp_path: Path) -> None:
    settings = TLSSettings(tmp_path / "ca.pem", ("a", "b", "c"), "AB:" * 31 + "AB", "a.test", "keys")

    assert settings == pickle.loads(pickle.dumps(settings))
    assert hash(settings) == hash(pickle.loads(pickle.dumps(settings)))
    assert TLSSettings() != TLSSettings(verify=False)
    assert TLSSettings(fingerprint=b"\xab" * 32) == TLSSettings(fingerprint="ab" * 32)


def test_settings_do_not_import_ssl() -> None:
    """A session makes them; a plain GET must not pay for TLS."""
    code = "import sys, client.transport.dialer, client.transport.tls as tls; tls.TLSSettings(); assert 'ssl' not in sys.modules"

    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


# -- pins, names and protocols ----------------------------------------------------------------------------------


def test_a_pinned_certificate_is_demanded(tmp_path: Path) -> None:
    context, der = self_made(tmp_path, x509.DNSName("other.test"))
    pin = sha256(der).hexdigest()
    with ScriptedServer(context) as server:
        greet(server, TLSSettings(verify=False, fingerprint=pin))

        message = refused(server, TLSSettings(verify=False, fingerprint="00" * 32), after_handshake=True)
        assert pin in message
        assert "00" * 32 in message


def test_a_pin_does_not_replace_verification(tmp_path: Path) -> None:
    context, der = self_made(tmp_path, x509.DNSName("localhost"))
    with ScriptedServer(context) as server:
        refused(server, TLSSettings(fingerprint=sha256(der).digest()))


@pytest.mark.parametrize(
    ("host", "server_name", "expected"),
    [
        ("localhost", None, "localhost"),
        ("LOCALHOST.", None, "localhost"),
        ("localhost", "A.test", "a.test"),
        ("127.0.0.1", None, None),
        ("127.0.0.1", "a.test", "a.test"),
    ],
)
def test_the_name_that_is_sent(
    tls_authority: TLSAuthority,
    trusting: TLSSettings,
    host: str,
    server_name: str | None,
    expected: str | None,
) -> None:
    """SNI is a name without dot and never an address (RFC 6066 section 3)."""
    seen: list[str | None] = []
    context = tls_authority.server_context("localhost", "127.0.0.1", "a.test")
    context.sni_callback = lambda sock, name, _: seen.append(name)

    with ScriptedServer(context) as server:
        greet(server, TLSSettings(trusting.verify, server_name=server_name), host)

    assert [expected] == seen


def test_only_http_1_1_is_offered(tls_authority: TLSAuthority, trusting: TLSSettings) -> None:
    context = tls_authority.server_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with ScriptedServer(context) as server:
        server.script(Send(b"hello"), ExpectClosed())
        with dialed(route_to(server, trusting)) as connection:
            assert isinstance(connection.sock, ssl.SSLSocket)
            assert "http/1.1" == connection.sock.selected_alpn_protocol()
            assert b"hello" == connection.sock.recv(5)


def test_a_context_that_negotiates_http_2_is_refused(tls_authority: TLSAuthority) -> None:
    """We would speak HTTP/1.1 to a server that waits for frames."""
    context = tls_authority.server_context()
    context.set_alpn_protocols(["h2"])
    ours = tls_authority.client_context()
    ours.set_alpn_protocols(["h2", "http/1.1"])
    with ScriptedServer(context) as server:
        assert "'h2'" in refused(server, TLSSettings(ours), after_handshake=True)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_tls_1_1_is_refused(tls_authority: TLSAuthority, trusting: TLSSettings) -> None:
    context = tls_authority.server_context()
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with ScriptedServer(context) as server:
        assert "VERSION" in refused(server, trusting).upper()
