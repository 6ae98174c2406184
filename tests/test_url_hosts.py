"""Hosts in URLs: one canonical form, and a refusal for what two programs could read as two hosts."""

from __future__ import annotations

import sys
import time

import pytest

from client.exceptions import InvalidURL, MissingSchema, URLRequired
from client.url import URL, parse_url

MIB = 2**20


@pytest.mark.parametrize(
    "text",
    [
        "http://",
        "http:///x",
        "http:x",
        "http:/x",
        "http://?q",
        "http://:80/",
        "http://u@/",
        "http://u:p@:80/",
        " http://h",
        "http://h ",
        "ht\ntp://h",
        "\x01http://h",
        "\x00http://h",
        "http://h/\r\nX: y",
        "http://h/?q=a\r\nX: y",
        "http://h/#\x7f",
        "http://h\t/",
        "http://a b/",
        "http://a.test\x00.b/",
        "http://a.test\u2100.b.test/",
        "http://a\uff20b.test/",
        "http://a\u2024b.test/",
        "http://a\ufe47b.test/",
        "http://a\uff1a80/",
        "http://xn--example-.test/",
        "http://xn--.test/",
        "http://xn--99999999999.test/",
        "http://xn--_-.test/",
        "http://xn--a.xn--\u00fc.test/",
        "http://a%2fb/",
        "http://127%2e0.0.1/",
        "http://%31.test/",
        "http://[a.test]/",
        "http://[127.0.0.1]/",
        "http://[::1]x/",
        "http://[::1/",
        "http://::1]/",
        "http://::1/",
        "http://x[::1]/",
        "http://[]/",
        "http://[v1.x]/",
        "http://[::1]:x/",
        "http://[[::1]]/",
        "http://[::1%25.a.test]/",
        "http://[::1%25eth0]/",
        "http://[fe80::1%25]/",
        "http://[fe80::1%25eth0%2fx]/",
        "http://u:p@ss@h/",
        "http://u:p#x@h/",
        "http://a\\@b/",
        "http://a\\b/",
        "http://h:65536/",
        "http://h:-1/",
        "http://h:+80/",
        "http://h:8 0/",
        "http://h:\uff18\uff10/",
        "http://h:123456/",
        "http://a..b/",
        "http://.a/",
        "http://./",
        "http://*.b/",
        "http://a,b/",
        "http://a;b/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.0.0.01/",
        "http://1.2.3.256/",
        "http://1.2.3.4.5/",
        "http://1.2.3.4./",
        "http://a.0x10/",
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://127\u30020\uff0e0\uff611/",
        "http://" + "a" * 64 + ".test/",
        "http://" + "a." * 127 + "a/",
        "http://\u00fc\ud800/",
        "http://h/\ud800",
        "http://h/?\ud800",
        "http+unix:///x",
        "http+unix://%2ftmp%2fs:80/x",
        "http+unix://%2ftmp%00/x",
        "http+unix://%2ftmp%ff/x",
        "http+unix://u@%2ftmp/x",
        b"http://h/\xff",
    ],
)
def test_what_could_be_read_as_another_host_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidURL):
        parse_url(text)


@pytest.mark.parametrize(
    "text", ["", "h", "h/p", "//h/p", "/p", "?q", "127.0.0.1:80", "1http://h", "\u00a0http://h"]
)
def test_a_scheme_is_required(text: str) -> None:
    with pytest.raises(MissingSchema, match="no scheme"):
        parse_url(text)


def test_none_is_no_url() -> None:
    with pytest.raises(URLRequired):
        parse_url(None)


@pytest.mark.parametrize("length", [253, 254])
def test_the_longest_name_of_the_dns(length: int) -> None:
    name = ("a" * 49 + ".") * 5 + "b" * (length - 250)

    if length > 253:
        with pytest.raises(InvalidURL, match="longer than 253"):
            parse_url(f"http://{name}/")
    else:
        assert name == parse_url(f"http://{name}/").host
        assert f"{name}." == parse_url(f"http://{name}./").host


def test_a_hash_ends_the_authority() -> None:
    """curl once connected to b.test (CVE-2016-8624)."""
    assert "a.test" == parse_url("http://a.test#@b.test/").host


# -- IPv6, IDNA, sockets --------------------------------------------------------------------------------------


def test_a_zone_stays_on_this_machine() -> None:
    """RFC 6874 section 4: it must not be sent; and it is part of what tells connections apart (CVE-2022-27775)."""
    url = parse_url("http://[fe80::1%25eth0]:8080/x")

    assert ("fe80::1%eth0", b"[fe80::1]:8080") == (url.host, url.host_header)
    assert "http://[fe80::1%25eth0]:8080/x" == str(url)
    assert url == parse_url("http://[FE80:0::1%eth0]:8080/x")
    assert url.origin != parse_url("http://[fe80::1%25eth1]:8080/x").origin


@pytest.fixture(params=["idna", "standard library"])
def _either_idna(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "standard library":
        monkeypatch.setitem(sys.modules, "idna", None)


@pytest.mark.usefixtures("_either_idna")
@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.Example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("b\u00fccher\u3002example", "xn--bcher-kva.example"),
        ("\uff42\u00fccher.example", "xn--bcher-kva.example"),
        ("_dmarc.b\u00fccher.example", "_dmarc.xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
    ],
)
def test_international_names(host: str, expected: str) -> None:
    assert expected == parse_fresh(host)


@pytest.mark.usefixtures("_either_idna")
@pytest.mark.parametrize(
    "host", ["\u00fc..test", "\u2488.test", "\u0644a.test", "\u00ad", "\u00fc" * 64, "\u00fc" * 100_000]
)
def test_names_that_idna_refuses(host: str) -> None:
    with pytest.raises(InvalidURL):
        parse_fresh(host)


@pytest.mark.parametrize(
    "host",
    ["fa\u00df.test", "\u03c2.test", "\u00bd.test", "\u2603.test", "a\u200db.test", "\u1e9e\U0001f40d.test"],
)
def test_names_that_idna_2003_reads_differently_need_the_extra(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """faß.de is two hosts: xn--fa-hia.de since 2008, fass.de before; connecting to the wrong one is no fallback."""
    monkeypatch.setitem(sys.modules, "idna", None)

    with pytest.raises(InvalidURL, match=r"threadwire\[idna\]"):
        parse_fresh(host)


def parse_fresh(host: str) -> str:
    """Return the canonical host, past the cache that would hide which library did it."""
    from client.url import _parse

    return _parse(f"http://{host}/").host


def test_the_path_of_a_unix_socket_is_the_host() -> None:
    url = parse_url("HTTP+unix://%2FRun%2Fdocker.sock/v1/info?x")

    assert "/Run/docker.sock" == url.socket_path
    assert ("http+unix", "%2FRun%2Fdocker.sock", 0) == url.origin
    assert (b"/v1/info?x", b"localhost") == (url.target, url.host_header)
    assert parse_url("http://h/").socket_path is None


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        ("mock://Test_Server:81/a b", "Test_Server", "/a b"),
        ("s3://bucket/key?v", "bucket", "/key"),
        ("mailto:a@b.test", "", "a@b.test"),
        ("file:///etc/passwd", "", "/etc/passwd"),
        ("localhost:8080/x", "", "8080/x"),
    ],
)
def test_foreign_schemes_keep_their_text(text: str, host: str, path: str) -> None:
    """Only a mounted adapter can serve them, and what it makes of the URL is its own business."""
    url = parse_url(text)

    assert (host, path, text) == (url.host, url.path, str(url))


@pytest.mark.parametrize(
    "text",
    [
        "http://h/" + "%" * MIB,
        "http://h/" + "%a" * (MIB // 2),
        "http://h/" + "%41\x80" * (MIB // 4),
        "http://h/" + "../" * (MIB // 3),
        "http://h/" + "./" * (MIB // 2),
        "http://h/?" + "é b" * (MIB // 3),
        "http://" + "@" * MIB,
        "http://" + "a@" * (MIB // 2) + "/",
        "http://" + "." * MIB,
        "http://" + "é" * MIB,
        "http://" + "[" * MIB,
        "http://[" + ":" * MIB + "]/",
        "http://h:" + "0" * MIB,
        "http://" + "%41" * (MIB // 3) + "@h/",
        "http:" + "/" * MIB,
        "h" * MIB,
        "h" * MIB + ":",
        "http://h/#" + "#" * MIB,
        "http://xn--" + "-" * MIB,
    ],
    ids=lambda text: text[:24],
)
def test_hostile_urls_take_linear_time(text: str) -> None:
    """CVE-2021-33503 and its kin; 1 MiB takes some 0.1 s, a quadratic step would take minutes."""
    start = time.process_time()
    for read in (parse_url, parse_url("http://h/x").join):
        try:
            assert isinstance(read(text), URL)
        except (InvalidURL, MissingSchema):
            pass

    assert time.process_time() - start < 3
