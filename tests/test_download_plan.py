"""The decisions of a download, one by one: how a file is cut, and which answers may be used."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.download_plan import (
    Answer,
    Part,
    StartAgain,
    Version,
    first_part,
    judge,
    range_fields,
    split,
    version_of,
)
from client.exceptions import DownloadError, InvalidRequest

MEBIBYTE = 1 << 20
DATE = "Wed, 01 Jul 2026 12:00:00 GMT"


def judged(
    status: int, part: Part, /, size: int | None = None, validator: str | None = None, **headers: str
) -> Answer:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    version = Version(validator, validator)
    return judge(status, {"ETag": '"one"', **fields}, part, size=size, version=version)


@given(st.integers(1, 1 << 40), st.integers(1, 64) | st.just("auto"))
def test_parts_are_the_file_without_gap_or_overlap(size: int, parts: Any) -> None:
    first = first_part(parts)
    covered = min(size, first.stop or size)
    cut = split(size, covered, parts)

    assert (0, size) == (cut[0].start, cut[-1].stop)
    assert [part.stop for part in cut[:-1]] == [part.start for part in cut[1:]]
    assert all(part.stop is not None and part.start < part.stop for part in cut)
    assert cut[0].stop is not None
    assert covered <= cut[0].stop
    assert len(cut) <= (8 if parts == "auto" else parts)


@pytest.mark.parametrize(
    ("size", "parts", "count"),
    [
        (1, "auto", 1), (8 * MEBIBYTE, "auto", 1), (8 * MEBIBYTE + 1, "auto", 2), (20 * MEBIBYTE, "auto", 3),
        (1 << 40, "auto", 8), (1 << 40, 1 << 20, 10_000), (100, 8, 1), (4 * MEBIBYTE, 8, 4), (64 * MEBIBYTE, 8, 8), (64 * MEBIBYTE, 32, 32),
    ],
)  # fmt: skip
def test_the_number_of_parts(size: int, parts: Any, count: int) -> None:
    covered = min(size, first_part(parts).stop or size)

    assert count == len(split(size, covered, parts))


def test_parts_are_about_equal() -> None:
    lengths = [(part.stop or 0) - part.start for part in split(64 * MEBIBYTE + 5, MEBIBYTE, 8)]

    assert max(lengths) - min(lengths) <= 8


@pytest.mark.parametrize("parts", [0, -1, "all", 1.5, True, None])
def test_a_number_of_parts_that_makes_no_sense_is_refused(parts: Any) -> None:
    with pytest.raises(InvalidRequest, match="parts="):
        first_part(parts)


def test_one_part_is_asked_for_without_a_range() -> None:
    assert {"Accept-Encoding": "identity"} == range_fields(first_part(1), None)


def test_what_is_missing_is_asked_for_by_its_validator() -> None:
    fields = range_fields(Part(10, 20, position=15), '"one"')

    assert {"Accept-Encoding": "identity", "Range": "bytes=15-19", "If-Range": '"one"'} == fields
    assert "bytes=15-" == range_fields(Part(10, None, position=15), None)["Range"]


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": '"a"'}, '"a"'),
        ({"ETag": 'W/"a"'}, None),
        ({"ETag": "a"}, None),
        ({"ETag": 'W/"a"', "Last-Modified": "Wed, 01 Jul 2026 11:59:59 GMT", "Date": DATE}, "Wed, 01 Jul 2026 11:59:59 GMT"),
        ({"Last-Modified": DATE, "Date": DATE}, None),
        ({"Last-Modified": "Wed, 01 Jul 2026 11:00:00 GMT"}, None),
        ({"Last-Modified": "yesterday", "Date": DATE}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_only_what_tells_every_version_apart_is_a_validator(
    headers: dict[str, str], validator: str | None
) -> None:
    """RFC 9110 sections 8.8.2.2 and 13.1.5: a weak ETag, or a date within the last second, does not."""
    assert validator == version_of(headers).validator


def test_an_answer_of_the_very_bytes_is_used() -> None:
    part = Part(0, 100, position=50)

    assert Answer(50, 100, 1000, False) == judged(206, part, 1000, '"one"', Content_Range="bytes 50-99/1000")
    assert Answer(50, 60, 1000, False) == judged(206, part, 1000, '"one"', Content_Range="bytes 50-59/1000")
    assert Answer(0, 7, 7, True) == judged(200, part, 1000, '"one"', Content_Length="7")
    assert Answer(0, None, None, True) == judged(200, part, Content_Length="7", Content_Encoding="gzip")


@pytest.mark.parametrize(
    ("content_range", "more"),
    [
        ("bytes 49-99/1000", {}),
        ("bytes 51-99/1000", {}),
        ("bytes 50-100/1000", {}),
        ("bytes 99-50/1000", {}),
        ("bytes 50-99/60", {}),
        ("bytes 50-99/*", {}),
        ("bytes */1000", {}),
        ("bytes 0-*/1000", {}),
        ("bytes 50-99", {}),
        ("items 50-99/1000", {}),
        ("", {"Content_Type": "multipart/byteranges; boundary=x"}),
        ("bytes 50-99/1000", {"Content_Type": "multipart/byteranges; boundary=x"}),
        ("bytes 50-99/1000", {"Content_Encoding": "gzip"}),
        ("bytes 50-99/1000", {"Content_Length": "49"}),
        ("bytes 50-99/1000", {"Content_Length": "51"}),
        ("bytes \u0665\u0660-\u0669\u0669/1000", {}),
    ],
)
def test_a_range_that_was_not_asked_for_is_never_used(content_range: str, more: dict[str, str]) -> None:
    with pytest.raises(StartAgain) as caught:
        judged(206, Part(0, 100, position=50), 1000, '"one"', Content_Range=content_range, **more)

    assert not caught.value.ranges


@pytest.mark.parametrize(
    ("content_range", "etag"), [("bytes 50-99/1001", '"one"'), ("bytes 50-99/1000", '"two"')]
)
def test_another_version_is_never_mixed_in(content_range: str, etag: str) -> None:
    with pytest.raises(StartAgain) as caught:
        judged(206, Part(0, 100, position=50), 1000, '"one"', Content_Range=content_range, ETag=etag)

    assert caught.value.ranges


def test_without_a_validator_a_part_is_used_only_if_it_is_all() -> None:
    assert Answer(0, 9, 9, False) == judged(206, Part(0, 100), ETag="", Content_Range="bytes 0-8/9")
    with pytest.raises(StartAgain, match="no strong ETag"):
        judged(206, Part(0, 100), ETag="", Content_Range="bytes 0-99/900")


def test_nothing_left_is_compared_with_the_size() -> None:
    """416 (RFC 9110 section 15.5.17)."""
    assert Answer(50, 50, 50, False) == judged(416, Part(0, None, position=50), Content_Range="bytes */50")
    for content_range in ("bytes */49", "bytes */51", "bytes 0-1/50", ""):
        with pytest.raises(StartAgain):
            judged(416, Part(0, None, position=50), Content_Range=content_range)


@pytest.mark.parametrize("status", [201, 204, 205, 304, 300])
def test_what_brings_no_file_is_an_error(status: int) -> None:
    with pytest.raises(DownloadError, match=str(status)):
        judged(status, Part(0, None))


def test_an_unasked_206_is_not_used() -> None:
    with pytest.raises(StartAgain):
        judged(206, Part(0, None), Content_Range="bytes 0-8/9")
