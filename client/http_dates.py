"""Dates as servers write them, in seconds since 1970.

One parser for cookies and Retry-After: the three forms of HTTP-date (RFC 9110 section 5.6.7) are among what
the cookie algorithm reads (RFC 6265bis section 5.1.1).  It looks at each octet a constant number of times;
the regular expression that the standard library used for the same job needed quadratic time on a long run of
digits (bpo-38804).
"""

from __future__ import annotations

import re
from math import inf
from typing import Final

__all__ = ["parse_date", "parse_retry_after"]

# RFC 6265bis section 5.1.1: delimiter = %x09 / %x20-2F / %x3B-40 / %x5B-60 / %x7B-7E
_DELIMITERS: Final = re.compile(r"[\t\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
# Each is followed by the end or by a non-digit and whatever comes after it.
_TIME: Final = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])")
_DAY: Final = re.compile(r"([0-9]{1,2})(?![0-9])")
_YEAR: Final = re.compile(r"([0-9]{2,4})(?![0-9])")

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}


def parse_date(text: str) -> int | None:
    """Read a date.

    Args:
        text: ``"Sun, 06 Nov 1994 08:49:37 GMT"``, or anything that user agents have had to read: fields in
            any order, other separators, two-digit years (70-99 are 1970-1999, 0-69 are 2000-2069). Every
            date is taken as UTC.

    Returns:
        Seconds since 1970-01-01T00:00Z, negative before; None if a part is missing or out of range.

    RFC 6265bis section 5.1.1.
    """
    time = day = month = year = None
    for token in _DELIMITERS.split(text):
        if time is None and (found := _TIME.match(token)):
            time = found
        elif day is None and (found := _DAY.match(token)):
            day = int(found[1])
        elif month is None and (number := _MONTHS.get(token[:3].lower())):
            month = number
        elif year is None and (found := _YEAR.match(token)):
            year = int(found[1])
    if time is None or day is None or month is None or year is None:
        return None
    if year < 100:
        year += 1900 if year >= 70 else 2000
    hour, minute, second = map(int, time.groups())
    if hour > 23 or minute > 59 or second > 59 or year < 1601 or not 1 <= day <= _days_of(month, year):
        return None
    return _days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second


def parse_retry_after(value: str, now: float) -> float | None:
    """Read a Retry-After field.

    Args:
        value: A count of seconds or an HTTP-date.
        now: Seconds since 1970.

    Returns:
        Seconds from *now*, never negative, `math.inf` for a count of more than 15 digits; None if it is
        neither (``-1``, ``nan``, ``1.5``), so that the field counts as absent.

    RFC 9110 section 10.2.3.
    """
    value = value.strip(" \t")
    if value.isascii() and value.isdigit():
        return float(value) if len(value) <= 15 else inf
    date = parse_date(value)
    return None if date is None else max(0.0, date - now)


def _days_of(month: int, year: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in {4, 6, 9, 11} else 31


def _days_since_1970(year: int, month: int, day: int) -> int:
    """Count days in the Gregorian calendar, with years that begin in March so that leap days come last."""
    if month <= 2:
        year -= 1
        month += 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day - 719_469
