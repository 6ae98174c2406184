"""Dates as servers write them: `client.http_dates`."""

from __future__ import annotations

from datetime import datetime, timedelta
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.http_dates import parse_date

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777),  # IMF-fixdate, RFC 9110 section 5.6.7
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777),  # rfc850-date
        ("Sun Nov  6 08:49:37 1994", 784111777),  # asctime-date
        ("sun, 6 nOVember 1994 8:49:37", 784111777),
        ("1994 Nov 06 08:49:37", 784111777),
        ("08:49:37Z 06-Nov-1994", 784111777),
        ("6/Nov\\1994 08:49:37", 784111777),
        ('"6-Nov-94\\"08:49:37\\"GMT"', 784111777),
        ("anyday  , 6 - Novem-94   08:49:37 GMT-0500 (EST)", 784111777),  # zones mean nothing
        ("Nov 08:49:37 6 1994 23:59:59", 784111777),  # the first time counts
        ("6-Nov-94 ::00 x:y:z 08:49:37", 784111777),
        ("6 94 Nov 08:49:37", 784111777),
        ("Thu, 01-Jan-1970 00:00:00 GMT", 0),
        ("Thu, 01 Jan 69 00:00:00 GMT", 3124224000),  # two digits: 69 is 2069 ...
        ("Thu, 01 Jan 70 00:00:00 GMT", 0),  # ... and 70 is 1970
        ("29 Feb 2000 00:00:00", 951782400),
        ("31 Dec 9999 23:59:59", 253402300799),
        ("1 Jan 1601 0:0:0", -11644473600),
    ],
)
def test_dates_that_user_agents_have_to_read(text: str, seconds: int) -> None:
    assert seconds == parse_date(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "tomorrow",
        "Sun, 06 Nov 1994",
        "06 Nov 1994 08:49",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:60 GMT",
        "00 Nov 1994 08:49:37",
        "31 Nov 1994 08:49:37",
        "29 Feb 1900 00:00:00",
        "06 Nov 1600 08:49:37",
        "06 Nov 19940 08:49:37",
        "06 Nov 1994 108:49:37",
        "06 Nov 1994 08:49:370",
        "06 Nov 1994 91:00:00 08:49:37",  # the first time counts, and it is none
        "94 Nov 06 08:49:37",  # the first number is the day
        "006 Nov 1994 08:49:37",
        "٠٦ Nov ١٩٩٤ ٠٨:٤٩:٣٧",  # digits, but not of HTTP
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None


@given(st.datetimes(min_value=datetime(1601, 1, 1)), st.sampled_from([" ", "-", ", ", "\t", "/"]))  # noqa: DTZ001
def test_every_date_of_the_calendar_is_read(moment: datetime, separator: str) -> None:
    """The standard library's calendar is the judge of ours."""
    time = f"{moment:%H:%M:%S}"
    text = separator.join((f"{moment.day:02}", MONTHS[moment.month - 1], f"{moment.year:04}", time))

    assert (moment - datetime(1970, 1, 1)) // timedelta(seconds=1) == parse_date(text)  # noqa: DTZ001  # both UTC


@given(st.text(max_size=60))
def test_no_text_raises(text: str) -> None:
    assert isinstance(parse_date(text), int | None)


@pytest.mark.parametrize("piece", ["1", " ", "1 ", "1:", "-", "Nov ", "1:1:1 ", "\xa0", "9" * 5 + " "])
def test_a_long_run_of_anything_takes_linear_time(piece: str) -> None:
    """Python's cookiejar needed quadratic time on digits and blanks (bpo-38804): minutes where this takes 0.1 s."""
    started = process_time()
    parse_date(piece * (1_048_576 // len(piece)))

    assert process_time() - started < 2
