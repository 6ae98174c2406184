"""The Link header: RFC 8288, what servers make of it, and what attackers do."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.links import parse_links


@pytest.mark.parametrize(
    ("value", "links"),
    [
        ("</2>; rel='next'", [{"url": "/2", "rel": "next"}]),
        ('<https://api.test/items?page=2>; rel="next"', [{"url": "https://api.test/items?page=2", "rel": "next"}]),
        ("</2>; rel=next, </9>; rel=last", [{"url": "/2", "rel": "next"}, {"url": "/9", "rel": "last"}]),
        ("</2>;rel=next,</9>;rel=last", [{"url": "/2", "rel": "next"}, {"url": "/9", "rel": "last"}]),
        ('</a,b;c>; rel="x"', [{"url": "/a,b;c", "rel": "x"}]),
        ('</>; title="a, b; <c>"; rel=self', [{"url": "/", "title": "a, b; <c>", "rel": "self"}]),
        (r'</>; title="say \"hi\" \\"; rel=self', [{"url": "/", "title": r'say "hi" \\'.replace(r"\\", "\\"), "rel": "self"}]),
        ('</>; REL="next"; Rel="prev"', [{"url": "/", "rel": "next"}]),
        ("</>; rel = next ; crossorigin; x=", [{"url": "/", "rel": "next", "crossorigin": "", "x": ""}]),
        ("</a>; title*=UTF-8''%e2%82%ac", [{"url": "/a", "title*": "UTF-8''%e2%82%ac"}]),
        ("</a>;;;rel=x", [{"url": "/a", "rel": "x"}]),
        ('</>; url="/evil"; rel=x', [{"url": "/", "rel": "x"}]),
        (" , , </a>, ,", [{"url": "/a"}]),
        ("nonsense; rel=next, </b>; rel=prev", [{"url": "/b", "rel": "prev"}]),
        ("</a>; rel=x garbage, </b>", [{"url": "/a", "rel": "x"}, {"url": "/b"}]),
        ("</unclosed; rel=next", []),
        ('</a>; title="unclosed, </b>; rel=next', [{"url": "/a", "title": ""}, {"url": "/b", "rel": "next"}]),
        ("", []),
    ],
)  # fmt: skip
def test_links(value: str, links: list[dict[str, str]]) -> None:
    assert links == parse_links(value)


@pytest.mark.parametrize(
    "unit",
    [",", ";", '"', "\\", "<", ">", "<>", "<>;", ',;"\\', '<a>; x="', "<a>; x", ", <", '\\"', "<a> ,", "<,"],
)
def test_64_kib_of_punctuation_take_linear_time(unit: str) -> None:
    start = time.process_time()
    parse_links(unit * (65_536 // len(unit)))
    parse_links("</a>; rel=next" + unit * (65_536 // len(unit)))
    assert time.process_time() - start < 1


@given(st.text(alphabet='<>,;="\\ ax*\t', max_size=60))
def test_no_text_breaks_the_parser(value: str) -> None:
    assert all("url" in link for link in parse_links(value))


@given(st.text(alphabet='<>,;="\\ ax*\t', max_size=30))
def test_broken_neighbours_do_not_hide_a_link(value: str) -> None:
    """As long as they leave no quote or bracket open."""
    value = value.replace('"', "").replace("<", "")

    assert {"url": "/2", "rel": "next"} in parse_links(f"{value}, </2>; rel=next")
