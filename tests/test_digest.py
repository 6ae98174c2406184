"""The sums and the grammar of Digest: `client.digest`."""

from __future__ import annotations

import hashlib
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.digest import Challenge, choose_challenge, digest_authorization, parse_challenges

NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def answer(
    field: str,
    username: str = "Mufasa",
    password: str = "Circle of Life",
    *,
    uri: str = "/dir/index.html",
    cnonce: str = CNONCE,
    count: int = 1,
) -> dict[str, str]:
    """Return the parameters of our answer, with their quotes."""
    challenge = choose_challenge(field)
    assert challenge is not None
    value = digest_authorization(
        challenge, username, password, method="GET", uri=uri, nonce_count=count, cnonce=cnonce
    )
    scheme, _, parameters = value.partition(" ")
    assert "Digest" == scheme
    return dict(part.split("=", 1) for part in parameters.split(", "))


# -- the examples of the RFCs -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616_section_3_9_1(algorithm: str, response: str) -> None:
    opaque = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
    field = (
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
        f'nonce="{NONCE}", opaque="{opaque}"'
    )

    assert {
        "username": '"Mufasa"',
        "realm": '"http-auth@example.org"',
        "uri": '"/dir/index.html"',
        "algorithm": algorithm,
        "nonce": f'"{NONCE}"',
        "nc": "00000001",
        "cnonce": f'"{CNONCE}"',
        "qop": "auth",
        "response": f'"{response}"',
        "opaque": f'"{opaque}"',
    } == answer(field)


@pytest.mark.skipif("sha512_256" not in hashlib.algorithms_available, reason="OpenSSL lacks SHA-512/256")
def test_the_example_of_rfc_7616_section_3_9_2() -> None:
    """With the values of erratum 4897; those in the text were made with another function."""
    field = (
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
        'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true'
    )

    sent = answer(
        field,
        "Jäsøn Doe",
        "Secret, or not?",
        uri="/doe.json",
        cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    )

    assert '"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"' == sent["username"]
    assert '"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"' == sent["response"]
    assert "true" == sent["userhash"]


def test_the_example_of_rfc_2617_section_3_5() -> None:
    field = (
        'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    )

    sent = answer(field, password="Circle Of Life", cnonce="0a4f113b")

    assert '"6629fae49393a05397450978507c4ef1"' == sent["response"]
    assert not {"algorithm", "opaque"} & sent.keys()


# -- the parts that the examples leave out ------------------------------------------------------------------


def test_without_qop_there_is_no_count() -> None:
    """RFC 2069, which some cameras still speak: response = H(H(A1):nonce:H(A2))."""
    sent = answer('Digest realm="r", nonce="n"')

    key, action = md5("Mufasa:r:Circle of Life"), md5("GET:/dir/index.html")
    assert f'"{md5(f"{key}:n:{action}")}"' == sent["response"]
    assert not {"qop", "nc", "cnonce"} & sent.keys()


def test_a_session_key_mixes_in_both_nonces() -> None:
    sent = answer('Digest realm="r", nonce="n", qop="auth", algorithm=MD5-sess', cnonce="c", count=255)

    key, action = md5(f"{md5('Mufasa:r:Circle of Life')}:n:c"), md5("GET:/dir/index.html")
    assert f'"{md5(f"{key}:n:000000ff:c:auth:{action}")}"' == sent["response"]
    assert ("MD5-sess", "000000ff") == (sent["algorithm"], sent["nc"])


def test_a_session_key_without_qop_still_needs_its_cnonce() -> None:
    """RFC 2617 forbids to send it then, and the server could not check the answer without it."""
    sent = answer('Digest realm="r", nonce="n", algorithm=MD5-sess', cnonce="c")

    key, action = md5(f"{md5('Mufasa:r:Circle of Life')}:n:c"), md5("GET:/dir/index.html")
    assert (f'"{md5(f"{key}:n:{action}")}"', '"c"') == (sent["response"], sent["cnonce"])


def md5(text: str | bytes) -> str:
    return hashlib.md5(text.encode() if isinstance(text, str) else text).hexdigest()


@pytest.mark.parametrize(
    ("charset", "username", "user", "parameter"),
    [
        ("", "Jürgen", "Jürgen".encode(), ("username", '"JÃ¼rgen"')),
        (", charset=UTF-8", "Jürgen", "Jürgen".encode(), ("username*", "UTF-8''J%C3%BCrgen")),
        (", charset=utf-8", "ü +~", "ü +~".encode(), ("username*", "UTF-8''%C3%BC%20%2B~")),
        (", charset=UTF-8", "plain", b"plain", ("username", '"plain"')),
        ("", "€", "€".encode(), ("username", '"â\x82¬"')),
    ],
)
def test_names_are_utf_8_and_marked_as_such_if_the_server_knows_the_mark(
    charset: str, username: str, user: bytes, parameter: tuple[str, str]
) -> None:
    sent = answer(f'Digest realm="r", nonce="n"{charset}', username, "pw")

    assert parameter[1] == sent[parameter[0]]
    expected = md5(f"{md5(user + b':r:pw')}:n:{md5('GET:/dir/index.html')}")
    assert f'"{expected}"' == sent["response"]


@pytest.mark.parametrize("charset", ["", ", charset=UTF-8"])
def test_passwords_are_utf_8_in_the_sum(charset: str) -> None:
    """As in browsers, curl and requests; Latin-1 was refused by servers whose password files are UTF-8."""
    sent = answer(f'Digest realm="r", nonce="n"{charset}', "u", "pässwörd")
    key, action = md5("u:r:pässwörd"), md5("GET:/dir/index.html")
    assert f'"{md5(f"{key}:n:{action}")}"' == sent["response"]


def test_quotes_and_backslashes_are_unquoted_for_the_sum_and_quoted_for_the_wire() -> None:
    sent = answer(r'Digest realm="a \"b\" \\c", nonce="n"', 'x"y\\', "pw")

    assert (r'"a \"b\" \\c"', r'"x\"y\\"') == (sent["realm"], sent["username"])
    key, action = md5('x"y\\:a "b" \\c:pw'), md5("GET:/dir/index.html")
    assert f'"{md5(f"{key}:n:{action}")}"' == sent["response"]


def test_an_unknown_algorithm_has_no_answer() -> None:
    challenge = Challenge("digest", {"realm": "r", "nonce": "n", "algorithm": "rot13"})

    with pytest.raises(ValueError, match="its algorithm is unknown"):
        digest_authorization(challenge, "u", "p", method="GET", uri="/", nonce_count=1, cnonce="c")


# -- which challenge --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "algorithm"),
    [
        (
            'Digest realm="r", nonce="n", algorithm=SHA-256, Digest realm="r", nonce="n", algorithm=MD5',
            "SHA-256",
        ),
        ('Digest realm="r", nonce="n", algorithm=MD5, Digest realm="r", nonce="n", algorithm=SHA-256', "MD5"),
        (
            'Digest realm="r", nonce="n", algorithm=NEW-1, Digest realm="r", nonce="n", algorithm=md5-SESS',
            "md5-SESS",
        ),
        ('Basic realm="Digest nonce=1", DIGEST realm="r", nonce="n", algorithm="SHA-256"', "SHA-256"),
        ('Negotiate abc123==, Digest realm="r",nonce="n",algorithm=SHA-512', "SHA-512"),
        ('NTLM, Digest realm = "r" , nonce\t=\t"n", algorithm=SHA, Basic realm="r"', "SHA"),
        ('Digest realm="r", nonce=unquoted/+==, algorithm=MD5', "MD5"),
        (
            'Digest realm="r", nonce="n", qop="auth-int", Digest realm="r", nonce="n", algorithm=MD5, qop=AUTH',
            "MD5",
        ),
        (', ,Digest realm="r",, nonce="n",algorithm=MD5,', "MD5"),
    ],
)
def test_the_first_that_can_be_answered_is_chosen(field: str, algorithm: str) -> None:
    challenge = choose_challenge(field)

    assert challenge is not None
    assert algorithm == challenge.parameters["algorithm"]


@pytest.mark.parametrize(
    "field",
    [
        "",
        "Digest",
        'Basic realm="r"',
        'Digest realm="r"',
        'Digest nonce="n"',
        'Digest realm="r", nonce="n", algorithm=unheard-of',
        'Digest realm="r", nonce="n", qop="auth-int"',
        'Digest realm="r", nonce="unclosed',
        'Digest realm="a\\\tb", nonce="n"',
        'realm="r", nonce="n"',
        'Digest: realm="r", nonce="n"',
    ],
)
def test_there_may_be_none(field: str) -> None:
    assert choose_challenge(field) is None


def test_the_first_of_two_parameters_counts_and_names_have_no_case() -> None:
    (challenge,) = parse_challenges('Digest REALM="first", realm="second", Stale=TRUE')

    assert "first" == challenge.parameters["realm"]
    assert challenge.stale


def test_a_repr_shows_no_nonce() -> None:
    assert "<Challenge digest>" == repr(Challenge("digest", {"nonce": "secret"}))


@given(st.text(max_size=80))
def test_no_field_raises(field: str) -> None:
    for challenge in parse_challenges(field):
        assert challenge.scheme


@given(st.text(alphabet='aD ig=",\\\t', max_size=60).map(lambda text: f'Digest realm="r", nonce="n", {text}'))
def test_what_is_chosen_can_be_answered_in_one_line(field: str) -> None:
    challenge = choose_challenge(field)

    if challenge is not None:
        value = digest_authorization(challenge, "u", "p", method="GET", uri="/", nonce_count=1, cnonce="c")
        assert value.isprintable()


@pytest.mark.parametrize(
    "piece",
    [
        ",",
        " ",
        "\xa0",
        '"',
        "\\",
        "=",
        "a=",
        'a="',
        'a="\\',
        "a,",
        "a ",
        ', a="b"',
        "Basic ,",
        '\\"',
        '=\\"',
        "a=\\",
    ],
)
@pytest.mark.parametrize("start", ["Basic ", "Digest a=", 'Digest a="', ""])
def test_a_long_field_takes_linear_time(start: str, piece: str) -> None:
    """CVE-2020-8492 and CVE-2021-3733 were quadratic: minutes where this takes milliseconds."""
    started = process_time()
    for _ in parse_challenges(start + piece * (1_048_576 // len(piece))):
        pass

    assert process_time() - started < 1
