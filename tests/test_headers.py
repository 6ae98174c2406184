"""Header fields: what callers see, and what may go to the wire."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import protocol
from client.exceptions import InvalidHeader
from client.headers import (
    CaseInsensitiveDict,
    ResponseHeaders,
    check_host_field,
    encode_fields,
    encode_trailers,
)

# -- CaseInsensitiveDict --------------------------------------------------------------------------------------


def test_keys_are_found_in_any_case_and_listed_as_last_set() -> None:
    headers = CaseInsensitiveDict({"Accept": "a"})

    headers["aCCEPT"] = "b"

    assert "b" == headers["ACCEPT"] == headers.get("accept")
    assert ["aCCEPT"] == list(headers)
    assert [("accept", "b")] == list(headers.lower_items())
    assert "accept" in headers
    assert "{'aCCEPT': 'b'}" == repr(headers) == str(headers)
    del headers["ACCEPT"]
    assert 0 == len(headers)
    assert "Accept" not in headers
    with pytest.raises(KeyError):
        headers["Accept"]


def test_what_can_be_a_dict_can_be_this() -> None:
    expected = {"A": 1, "B": 2}

    assert expected == CaseInsensitiveDict(A=1, B=2)
    assert expected == CaseInsensitiveDict([("A", 1), ("B", 2)])
    assert expected == CaseInsensitiveDict({"A": 1}, B=2)
    assert expected == dict(CaseInsensitiveDict(expected))
    assert expected == {**CaseInsensitiveDict(expected)}


def test_it_may_be_changed_while_its_items_are_gone_through() -> None:
    """By another thread, say: a session's headers are read at each call."""
    headers = CaseInsensitiveDict({"a": 1, "B": 2})
    for name in headers:
        headers[f"more-{name}"] = headers.pop(name)
    for name, value in headers.items():
        del headers[name]
        headers[f"{name}-{value}"] = value

    assert [("more-a-1", 1), ("more-B-2", 2)] == list(headers.items())


def test_comparison_is_without_case() -> None:
    headers = CaseInsensitiveDict({"A": 1})

    assert headers == {"a": 1}
    assert headers == CaseInsensitiveDict({"a": 1})
    assert headers != {"a": 2}
    assert headers != [("A", 1)]
    with pytest.raises(TypeError):
        hash(headers)


def test_a_copy_is_independent() -> None:
    headers = CaseInsensitiveDict({"A": 1})

    twins = [headers.copy(), copy.copy(headers), copy.deepcopy(headers), pickle.loads(pickle.dumps(headers))]
    headers["A"] = 2

    assert [{"A": 1}] * 4 == [dict(twin) for twin in twins if isinstance(twin, CaseInsensitiveDict)]


def test_each_change_counts() -> None:
    """What was computed from the mapping is kept until `version` differs."""
    headers = CaseInsensitiveDict({"A": 1})
    changes: list[Any] = [
        lambda: headers.__setitem__("B", 2),
        lambda: headers.update({"B": 3}),
        lambda: headers.setdefault("C", 4),
        lambda: headers.pop("B"),
        lambda: headers.__delitem__("C"),
        headers.popitem,
    ]
    for change in changes:
        before = headers.version
        change()
        assert before < headers.version

    before = headers.version
    headers.get("A")
    headers.setdefault("A", 5)
    after_adding = headers.version
    headers.setdefault("A", 6)
    assert before < after_adding == headers.version


@given(st.lists(st.tuples(st.text("aAbB", max_size=2), st.integers())))
def test_it_is_a_dict_of_lower_case_keys(items: list[tuple[str, int]]) -> None:
    model: dict[str, int] = {}
    headers = CaseInsensitiveDict()
    for key, value in items:
        model[key.lower()] = value
        headers[key] = value

    assert model == dict(headers.lower_items())
    assert len(model) == len(headers)
    assert all(headers[key.upper()] == value for key, value in model.items())


# -- ResponseHeaders ------------------------------------------------------------------------------------------

RAW = [
    (b"Set-Cookie", b"a=1, 2"),
    (b"X-Caf\xe9", b"\xfcber"),
    (b"set-cookie", b"b=2"),
    (b"SET-COOKIE", b"a=1, 2"),
]


def test_fields_of_one_name_are_joined_and_listed() -> None:
    headers = ResponseHeaders(RAW)

    assert "a=1, 2, b=2, a=1, 2" == headers["set-cookie"]
    assert ["Set-Cookie", "X-Caf\xe9"] == list(headers)
    assert ["a=1, 2", "b=2", "a=1, 2"] == headers.get_list("Set-Cookie")
    assert ["\xfcber"] == headers.get_list("x-caf\xe9")
    assert [] == headers.get_list("missing") == headers.get_list("\u20ac")
    assert RAW == headers.raw_items()


def test_an_assigned_item_is_one_value() -> None:
    headers = ResponseHeaders(RAW)

    headers["Set-Cookie"] = "c"
    del headers["X-Caf\xe9"]
    headers["New"] = "n"

    assert ["c"] == headers.get_list("set-cookie")
    assert [] == headers.get_list("X-Caf\xe9")
    assert ["n"] == headers.get_list("new")
    assert RAW == headers.raw_items()


@pytest.mark.parametrize("looked_at", [False, True])
def test_response_headers_travel(looked_at: bool) -> None:
    headers = ResponseHeaders(RAW)
    if looked_at:
        assert 2 == len(headers)

    for twin in (
        pickle.loads(pickle.dumps(headers)),
        headers.copy(),
        copy.copy(headers),
        copy.deepcopy(headers),
    ):
        assert isinstance(twin, ResponseHeaders)
        assert dict(headers) == dict(twin)
        assert RAW == twin.raw_items()


def test_response_headers_can_be_empty_and_miss_attributes_as_usual() -> None:
    assert not ResponseHeaders()
    with pytest.raises(AttributeError, match="nothing"):
        ResponseHeaders().nothing  # noqa: B018  # __getattr__ serves one name only


def test_many_fields_of_one_name_are_joined_in_linear_time() -> None:
    """Joining as they come would move 100 000 x 50 KB."""
    headers = ResponseHeaders([(b"A", b"v")] * 100_000)

    assert 300_000 - 2 == len(headers["a"])


# -- to the wire ----------------------------------------------------------------------------------------------


def test_str_and_bytes_become_pairs_of_bytes_in_order() -> None:
    items: dict[Any, Any] = {"B": "1", b"a": b"\xff\t x", "C": "", "D": "\xfc"}

    expected = [(b"B", b"1"), (b"a", b"\xff\t x"), (b"C", b""), (b"D", b"\xfc")]
    assert expected == encode_fields(items) == encode_fields(items.items())


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "a:",
        ":a",
        "a\r\nb",
        "a\n",
        "a\x00",
        " a",
        "a ",
        "\xfc",
        "\u20ac",
        "a/b",
        "a(",
        b"a\r\n",
        b"\xfc",
    ],
)
def test_a_name_is_a_token(name: str | bytes) -> None:
    with pytest.raises(InvalidHeader, match="token"):
        encode_fields({name: "v"})


@pytest.mark.parametrize(
    "value",
    [
        "a\r\nX: y",
        "a\nb",
        "a\r",
        "\n",
        "a\x00b",
        "\x1b[0m",
        "a\x7f",
        " a",
        "a ",
        "\ta",
        "a\t",
        " ",
        "\u20ac",
        "\ud800",
        b"a\r\nb",
        b" a",
    ],
)
def test_a_value_ends_no_line(value: str | bytes) -> None:
    """CVE-2016-5699 and its kin."""
    with pytest.raises(InvalidHeader, match="'X'"):
        encode_fields({"X": value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X", 5),
        ("X", None),
        ("X", ["a"]),
        ("X", 1.5),
        ("X", object()),
        (5, "a"),
        (None, "a"),
        ("X", bytearray(b"a")),
    ],
)
def test_neither_str_nor_bytes_is_refused(name: Any, value: Any) -> None:
    with pytest.raises(
        InvalidHeader, match=rf"must be str or bytes, not {type(value if name == 'X' else name).__name__}"
    ):
        encode_fields([(name, value)])


@pytest.mark.parametrize("name", ["Authorization: Bearer secret", b"X-Api-Key=: secret", "X secret"])
def test_a_line_given_as_a_name_is_not_shown(name: str | bytes) -> None:
    with pytest.raises(InvalidHeader, match="is not a token") as caught:
        encode_fields([(name, "")])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["secret\n", "secret ", "secret\u20ac", "secret\x00", b"secret\r"])
def test_no_error_shows_a_value(value: str | bytes) -> None:
    with pytest.raises(InvalidHeader) as caught:
        encode_fields({"Authorization": value})

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("items", ["X: y", [("X",)], [("X", "y", "z")], 5, [5]])
def test_fields_of_another_shape_are_refused(items: Any) -> None:
    with pytest.raises(InvalidHeader, match="pairs"):
        encode_fields(items)


class LyingStr(str):
    """Says something harmless, contains something else; or the other way round."""

    __slots__ = ()

    def __str__(self) -> str:
        return "a\r\nX: y"

    def encode(self, *args: Any, **kwargs: Any) -> bytes:
        return b"a\r\nX: y"

    def __getitem__(self, index: Any) -> str:
        return "a\r\n"


class LyingBytes(bytes):
    """As `LyingStr`."""

    __slots__ = ()

    def __bytes__(self) -> bytes:
        return b"a\r\nX: y"

    def decode(self, *args: Any, **kwargs: Any) -> str:
        return "a\r\nX: y"


@pytest.mark.parametrize("kind", [LyingStr, lambda text: LyingBytes(text.encode("latin-1"))])
def test_what_is_checked_is_what_is_sent(kind: Any) -> None:
    """CVE-2022-31150: coerced once, checked after that."""
    ((name, value),) = encode_fields([(kind("N"), kind("v"))])

    assert (bytes, bytes) == (type(name), type(value))
    assert (b"N", b"v") == (name, value)
    for bad in ("v\r\nX: y", "v\x00", "v "):
        with pytest.raises(InvalidHeader):
            encode_fields([("N", kind(bad))])
    with pytest.raises(InvalidHeader):
        encode_fields([(kind("N:"), "v")])


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=5) | st.binary(max_size=5))))
def test_what_passes_is_accepted_by_the_engine(items: list[tuple[str, str | bytes]]) -> None:
    for item in items:
        try:
            ((name, value),) = encode_fields([item])
        except InvalidHeader:
            continue
        request = protocol.Request(method="GET", target="/", headers=[(b"Host", b"h"), (name, value)])
        assert b"\r\n%b: %b\r\n" % (name, value) in protocol.Connection(our_role=protocol.CLIENT).send(
            request
        )


def test_a_str_subclass_is_latin_1_too() -> None:
    with pytest.raises(InvalidHeader, match="Latin-1"):
        encode_fields({"N": LyingStr("\u20ac")})


def test_names_that_are_remembered_are_bounded() -> None:
    from client.headers import _MAX_KNOWN_NAMES, _known_names

    encode_fields({f"X-{n}": "v" for n in range(2 * _MAX_KNOWN_NAMES)})

    assert len(_known_names) <= _MAX_KNOWN_NAMES


@pytest.mark.parametrize(
    "host", [b"h", b"h:80", b"[::1]", b"[::1]:80", b"", b"h:", b"a_b.test", b"%2Fsocket"]
)
def test_a_host_field(host: bytes) -> None:
    check_host_field(host)


@pytest.mark.parametrize(
    "host", [b"a b", b"a/b", b"u@h", b"h:80:80", b"h:x", b"[::1", b"::1", b"a\\b", b"a?b", b"a#b"]
)
def test_a_host_field_that_is_no_host(host: bytes) -> None:
    """CVE-2023-29406."""
    with pytest.raises(InvalidHeader, match="Host"):
        check_host_field(host)


@pytest.mark.parametrize(
    "name", ["Content-Length", "transfer-encoding", "HOST", "Trailer", "Authorization", "Set-Cookie"]
)
def test_trailers_cannot_reframe_or_reroute(name: str) -> None:
    """RFC 9110 section 6.5.1."""
    fields: Mapping[str, str] = {"Digest": "x", name: "y"}
    with pytest.raises(InvalidHeader, match=name):
        encode_trailers(fields)


def test_other_trailers_pass() -> None:
    assert [(b"Digest", b"x")] == encode_trailers({"Digest": "x"})
