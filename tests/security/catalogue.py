"""The catalogue of attacks: which rows there are, where each was seen, and which tests prove what became of it.

A test bears the number of its row (``test_row_017_...``, ``test_D1_...``), and its name is the outcome: the tables of
``docs/security.md`` are read from the tests, so that they cannot promise what no test holds.
``python -m tests.security`` writes them anew.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

__all__ = [
    "DIFFERENT",
    "GROUPS",
    "NOT_APPLICABLE",
    "PAGE",
    "PROVED_ELSEWHERE",
    "ROWS",
    "page_with_tables",
    "proofs",
]

TESTS: Final = Path(__file__).parent.parent
PAGE: Final = TESTS.parent / "docs" / "security.md"
BEGIN: Final = "<!-- tables: written by python -m tests.security -->"
END: Final = "<!-- end of the tables -->"


class Proof(NamedTuple):
    """One test: where it is, and what its name says."""

    file: str
    claim: str


def _numbers(first: int, last: int) -> list[str]:
    return [f"{number:03d}" for number in range(first, last + 1)]


def _letters(letter: str, last: int) -> list[str]:
    return [f"{letter}{number}" for number in range(1, last + 1)]


#: Heading -> its rows. Numbers: what happened to others; letters: what a hostile network, disk or file can do.
GROUPS: Final[dict[str, list[str]]] = {
    "Credentials on redirect": _numbers(1, 36),
    "Cookies": _numbers(37, 51),
    "Injection": _numbers(52, 71),
    "Framing": _numbers(72, 92),
    "Connections": _numbers(93, 106),
    "TLS": _numbers(107, 117),
    "Decompression": _numbers(118, 126),
    "Proxies, environment, files": _numbers(127, 140),
    "Time": _letters("T", 10),
    "Size": _letters("S", 13),
    "Redirects": _letters("X", 9),
    "Connections that break": _letters("C", 13),
    "Downloads to disk": _letters("D", 11),
    "Local secrets": _letters("E", 7),
}
ROWS: Final = [row for rows in GROUPS.values() for row in rows]

#: Row -> why there is nothing to attack.
NOT_APPLICABLE: Final[dict[str, str]] = {
    "097": "no authentication that is bound to a connection (NTLM, Negotiate) is offered",
    "137": "there is no HSTS: nothing is remembered about a host but its cookies",
    "139": "multipart responses are not parsed; a 206 of several ranges is an error in a download (D8)",
}

#: Row -> what is done otherwise than others advise, and why.
DIFFERENT: Final[dict[str, str]] = {
    "002": "On the first hop it goes where the caller sends it, as in requests.",
    "003": "http on port 80 to https on port 443 of one host counts as the same origin, as requests documents: nearly "
    "every site makes this hop, and it leads to where nobody listens.",
    "010": "`max_redirects=0` raises `TooManyRedirects`, as requests documents; its `response` is the 302.",
    "017": "Accept, Accept-Language, Accept-Encoding, User-Agent, Range and If-Range go along; `redirect_headers=` adds names.",
    "043": "The engine refuses the whole response.",
    "061": "Where requests documents that the true length takes the place of the caller's, so it does.",
    "069": "An absolute URL is meant: it is used, without the session's credentials, cookies and headers.",
    "106": "Range and If-Range do go along: downloads are resumed through redirects to mirrors.",
    "099": "No session is ever resumed, so none can be under other trust.",
    "103": "There is no cache of look-ups.",
    "118": "Both limits are off unless set: no number fits all. What is bounded always is each step.",
    "140": "Which OpenSSL and Python are patched is their distributors' to say; a flaw inside them can't be shown from here.",
    "E1": "The file's mode is not looked at, as in curl and requests.",
    "E3": "A pickle of a request holds its fields, since it is there to be sent: keep it as you keep the credentials.",
    "S2": "Off unless set.",
    "S13": "NaN is read, as in requests and the standard library; pass `parse_constant=` to refuse it.",
    "X1": "30 hops, as in requests.",
    "X5": "The hop is followed, as in requests; what is secret stays behind.",
    "X7": "The hook is `address_filter=`, asked about each address before it is connected to.",
}

#: Row -> tests of the rooms that hold more of it, as file and name, beside those that bear its number.
PROVED_ELSEWHERE: Final[dict[str, tuple[str, ...]]] = {
    "035": ("test_credential_leaks.py::test_the_secret_goes_to_its_origin_and_to_no_other",),
    "093": (
        "transport/test_pool.py::test_bytes_that_follow_the_body_in_one_segment_end_the_connection",
        "transport/test_pool.py::test_an_idle_connection_that_speaks_or_ends_is_not_used_again",
    ),
    "094": ("transport/test_route.py::test_every_part_of_a_route_tells_it_apart",),
    "095": ("transport/test_route.py::test_every_part_of_a_route_tells_it_apart",),
    "096": ("transport/test_route.py::test_every_part_of_a_route_tells_it_apart",),
    "098": ("transport/test_route.py::test_every_part_of_a_route_tells_it_apart",),
    "102": ("transport/test_upload.py::test_a_reset_during_the_upload_says_how_far_it_came",),
    "107": (
        "transport/test_tls.py::test_by_default_certifi_is_trusted_and_nothing_else",
        "transport/test_tls.py::test_a_certificate_for_another_host_is_refused",
    ),
    "108": (
        "transport/test_tls.py::test_a_certificate_matches_by_rfc_9525",
        "transport/test_tls.py::test_a_common_name_is_no_host_name",
    ),
    "109": ("transport/test_tls.py::test_a_nul_in_a_name_does_not_end_it",),
    "110": ("transport/test_tls.py::test_a_path_is_all_that_is_trusted",),
    "111": ("transport/test_tunnel.py::test_a_proxys_certificate_must_be_for_the_proxy",),
    "112": ("transport/test_handshake.py::test_plain_http_instead_of_a_handshake_is_no_answer",),
    "113": (
        "transport/test_tls.py::test_a_context_is_used_as_it_is",
        "transport/test_tls.py::test_a_pin_does_not_replace_verification",
    ),
    "114": ("transport/test_tls.py::test_the_name_that_is_sent",),
    "115": ("transport/test_tls.py::test_by_default_certifi_is_trusted_and_nothing_else",),
    "116": ("transport/test_socks.py::test_wrong_credentials_are_an_error_that_does_not_show_them",),
    "117": ("transport/test_socks.py::test_https_goes_through_it_to_the_origin",),
    "123": ("test_decoders.py::test_a_brotli_without_an_output_limit_is_not_used",),
    "127": ("test_proxies.py::test_in_a_cgi_program_the_upper_case_variable_is_the_clients",),
    "128": (
        "test_proxies.py::test_what_no_proxy_lists_is_reached_directly",
        "test_proxies.py::test_nothing_else_is",
    ),
    "138": ("test_retries.py::test_retry_after_is_obeyed_within_bounds",),
    "T1": ("transport/test_stream.py::test_a_body_that_drips_runs_into_the_total_deadline",),
    "T2": ("transport/test_upload.py::test_a_head_that_drips_in_runs_into_the_total_deadline",),
    "T3": ("transport/test_upload.py::test_a_peer_that_reads_nothing_runs_into_the_write_timeout",),
    "T4": (
        "transport/test_dialer.py::test_an_address_that_never_answers_ends_with_the_budget",
        "transport/test_dialer.py::test_an_address_that_never_answers_costs_a_quarter_of_a_second",
    ),
    "T5": (
        "transport/test_handshake.py::test_a_silent_or_slow_handshake_ends_with_the_budget",
        "transport/test_handshake.py::test_a_dripped_handshake_ends_with_the_budget",
    ),
    "T7": (
        "transport/test_pool_queue.py::test_waiting_ends_with_a_pool_timeout_that_says_who_holds_the_connections",
    ),
    "T8": (
        "transport/test_upload.py::test_a_silent_peer_gets_the_body_after_a_second",
        "transport/test_upload.py::test_a_final_answer_instead_means_that_the_body_stays_here",
    ),
    "T10": ("test_call_matrix.py::test_the_total_timeout_spans_the_redirects",),
    "C1": (
        "transport/test_stream.py::test_a_body_that_ends_early_is_never_passed_off_as_whole",
        "test_resend.py::test_not_once_an_answer_has_begun",
    ),
    "C2": ("transport/test_stream.py::test_a_body_that_ends_early_is_never_passed_off_as_whole",),
    "C3": (
        "transport/test_stream.py::test_close_notify_is_the_only_end_of_a_tls_body_that_ends_by_closing",
        "transport/test_stream.py::test_a_body_that_ends_by_its_length_needs_no_close_notify",
    ),
    "C4": (
        "test_resend.py::test_an_idempotent_request_is_sent_once_more",
        "test_resend.py::test_a_post_is_not",
    ),
    "C5": ("transport/test_pool.py::test_the_servers_keep_alive_timeout_is_honoured_with_a_margin",),
    "C6": ("transport/test_pool.py::test_an_idle_connection_that_speaks_or_ends_is_not_used_again",),
    "C7": (
        "transport/test_upload.py::test_an_answer_is_read_even_though_the_connection_broke_while_sending",
    ),
    "C8": ("transport/test_upload.py::test_an_answer_during_the_upload_stops_it_and_is_returned",),
    "C9": (
        "transport/test_pool.py::test_an_unread_response_that_is_dropped_frees_its_slot",
        "transport/test_stream.py::test_closing_early_closes_the_connection",
    ),
    "C10": ("faults/test_storm.py::test_a_storm_mixes_up_nothing_and_leaves_nothing_behind",),
    "C11": (
        "faults/test_slots.py::test_an_interruption_at_any_moment_loses_no_slot",
        "transport/test_pool.py::test_a_forked_child_starts_with_connections_of_its_own",
        "transport/test_stream.py::test_a_forked_child_cannot_read_its_parents_response",
        "transport/test_call_after_fork.py::test_a_request_is_sent_once",
        "transport/test_call_after_fork.py::test_nothing_that_a_child_does_to_a_connection_reaches_the_peer",
        "transport/test_upload_after_fork.py::test_a_body_from_an_iterator_goes_on_in_the_parent_alone",
    ),
    "C13": ("transport/test_upload.py::test_a_large_body_arrives_whole_over_tls",),
}

#: Row -> rows that hold more of the same.
SAME_AS: Final[dict[str, tuple[str, ...]]] = {
    "105": ("D8",),
    "129": ("005", "026"),
    "131": ("D6",),
    "132": ("D1", "D2", "D3"),
    "133": ("D6", "D7"),
    "T6": ("138",),
    "T9": ("085", "S1"),
}

#: Number -> where it was seen first.
SEEN_IN: Final[dict[str, str]] = {
    "001": "CVE-2014-1829 (requests)",
    "002": "CVE-2014-1830 (requests)",
    "003": "CVE-2018-18074 (requests)",
    "004": "CVE-2018-20060, CVE-2018-25091 (urllib3)",
    "005": "CVE-2023-32681 (requests)",
    "006": "CVE-2023-43804 (urllib3)",
    "007": "CVE-2024-37891 (urllib3)",
    "008": "CVE-2026-44431 GHSA-qccp-gfcp-xxvc (urllib3)",
    "009": "CVE-2023-45803 (urllib3)",
    "010": "CVE-2025-50181, -50182 (urllib3)",
    "011": "CVE-2026-101907 (axios)",
    "012": "CVE-2018-1000007, CVE-2022-27774, -27776 (curl)",
    "013": "CVE-2022-31151, CVE-2023-45143 (undici)",
    "014": "CVE-2024-30260, CVE-2024-24758 (undici)",
    "015": "CVE-2026-120415, CVE-2026-111756 (undici, follow-redirects)",
    "016": "CVE-2022-0155, CVE-2022-0536, CVE-2024-28849 (follow-redirects)",
    "017": "CVE-2026-40895 (follow-redirects)",
    "018": "CVE-2026-47265, CVE-2026-34518, CVE-2022-23607 (aiohttp, treq)",
    "019": "CVE-2023-45289 (Go)",
    "020": "CVE-2024-45336 (Go)",
    "021": "CVE-2025-4673 (Go)",
    "022": "CVE-2024-11053, CVE-2025-0167, CVE-2026-8926, -6429, -3783 (curl)",
    "023": "CVE-2026-97687 GHSA-8988-9cw3-xx77 (urllib3 <2.8.0)",
    "024": "CVE-2026-97688 (urllib3 2.6.2-2.7)",
    "025": "CVE-2026-97689 GHSA-vxq7-64xx-v4gw (urllib3 <2.8.0)",
    "026": "CVE-2026-44486 / -44487 (axios)",
    "027": "CVE-2026-6253, -7168, -8927, -9079 (curl)",
    "028": "CVE-2026-86414 (curl)",
    "029": "CVE-2026-11856 (curl)",
    "030": "CVE-2015-3153, CVE-2003-1605 (curl)",
    "031": "CVE-2025-14524 (curl)",
    "032": "CVE-2021-22876, CVE-2026-9546 (curl)",
    "033": "CVE-2020-8169, PSF-2017-9 (curl, CPython)",
    "034": "CVE-2026-6276 (curl)",
    "035": "CVE-2026-102944, CVE-2026-45300, CVE-2026-63481, CVE-2025-21620 (cpp-httplib, AHC, hurl, deno)",
    "036": "reqwest PR 3034 (2026) (reqwest)",
    "037": "CVE-2015-2296 (requests)",
    "038": "CVE-2013-1944 (curl)",
    "039": "CVE-2014-3613 (curl)",
    "040": "CVE-2014-3620, CVE-2022-27779, CVE-2023-46218, CVE-2026-8924 (curl)",
    "041": "CVE-2016-8615, CVE-2023-38546, CVE-2026-86412, -92386 (curl)",
    "042": "CVE-2022-32205 (curl)",
    "043": "CVE-2022-35252, CVE-2026-0672, CVE-2026-3644 (curl, CPython)",
    "044": "CVE-2025-9086 (curl)",
    "045": "CVE-2024-7592 (CPython http.cookies)",
    "046": "PSF-2019-14 (bpo-38804) (CPython cookiejar)",
    "047": "PSF-2019-17 (CPython cookiejar)",
    "048": "CVE-2025-58186, CVE-2025-69230 (Go, aiohttp)",
    "049": "CVE-2026-54279 (aiohttp)",
    "050": "CVE-2026-34993 GHSA-jg22-mg44-37j8 (aiohttp)",
    "051": "CVE-2026-9679, CVE-2026-11525 (undici)",
    "052": "CVE-2016-5699, CVE-2019-9740, -9947, -18348 (CPython)",
    "053": "CVE-2020-26116, CVE-2020-26137, CVE-2023-49082 (CPython, urllib3, aiohttp)",
    "054": "CVE-2023-49081 (aiohttp)",
    "055": "CVE-2019-11236, CVE-2014-8150, CVE-2020-11078 (urllib3, curl, httplib2)",
    "056": "CVE-2023-29406 (Go)",
    "057": "CVE-2026-1502 (CPython)",
    "058": "CVE-2022-31150, CVE-2022-35948, CVE-2026-1527, GHSA-m8rv-5g2x-5cg5 (undici)",
    "059": "CVE-2026-34514, CVE-2026-50269, CVE-2026-42037, CVE-2026-84379 (aiohttp, axios, httpx2)",
    "060": "CVE-2025-22150, CVE-2025-7783 (undici, form-data)",
    "061": "CVE-2026-1525 (undici)",
    "062": "CVE-2025-15282, CVE-2022-0391, CVE-2023-24329 (CPython)",
    "063": "CVE-2019-9636, CVE-2019-10160, CVE-2016-8625, CVE-2026-39821 (CPython, curl, Go)",
    "064": "CVE-2022-27780, CVE-2026-47076 (curl, hackney)",
    "065": "CVE-2019-14809, CVE-2025-47912, CVE-2026-25679, CVE-2025-0938, CVE-2024-11168 (Go, CPython)",
    "066": "CVE-2016-8624 (curl)",
    "067": "CVE-2021-33503, CVE-2020-7212, CVE-2026-56860, CVE-2026-101906 (urllib3, Go, axios)",
    "068": "CVE-2021-41945 (httpx)",
    "069": "CVE-2025-27152, CVE-2024-39338, CVE-2022-35949 (axios, undici)",
    "070": "CVE-2022-45061, CVE-2024-3651 (CPython, idna)",
    "071": "CVE-2026-48930 (Node)",
    "072": "CVE-2025-43859 GHSA-vqfr-h8mv-ghfj (h11)",
    "073": "CVE-2025-22871 (Go)",
    "074": "CVE-2022-1705, CVE-2022-32213 (Go, llhttp)",
    "075": "CVE-2020-8287, CVE-2022-32215 (Node/llhttp)",
    "076": "CVE-2022-32214, CVE-2023-30589, CVE-2023-37276 (llhttp, aiohttp)",
    "077": "CVE-2021-22959, CVE-2019-16276 (Node, Go)",
    "078": "CVE-2021-22960 (Node)",
    "079": "CVE-2023-47641, CVE-2015-5739 (aiohttp, Go)",
    "080": "CVE-2023-47627, CVE-2024-23829 (aiohttp (py parser))",
    "081": "CVE-2026-34520 (aiohttp/llhttp)",
    "082": "CVE-2026-34525, CVE-2026-71554 (aiohttp, h2)",
    "083": "CVE-2026-34519 (aiohttp)",
    "084": "CVE-2024-24791 (Go)",
    "085": "CVE-2021-3737, gh-150743 (CPython)",
    "086": "CVE-2023-38039 (curl)",
    "087": "CVE-2026-22815, CVE-2026-34516 (aiohttp)",
    "088": "CVE-2023-39326 (Go)",
    "089": "CVE-2025-69229 (aiohttp)",
    "090": "CVE-2021-31525, CVE-2023-24534, CVE-2025-61724 (Go)",
    "091": "CVE-2026-42507, CVE-2025-58189 (Go)",
    "092": "CVE-2022-33124 (disputed) (aiohttp)",
    "093": "CVE-2026-48931, CVE-2026-105481, CVE-2026-6733 (Node, undici)",
    "094": "CVE-2026-6734 (undici)",
    "095": "CVE-2024-35195 (requests)",
    "096": "CVE-2026-3784, CVE-2026-8932, CVE-2016-5420, CVE-2016-7141, CVE-2021-22924, CVE-2022-27782 (curl)",
    "097": "CVE-2014-0015, -0138, 2015-3143, -3148, 2022-22576, 2026-1965, -5545, -8458 (curl)",
    "098": "CVE-2022-27775 (curl)",
    "099": "CVE-2026-11564, CVE-2025-68121, CVE-2026-48934, CVE-2026-58040, CVE-2016-5419, CVE-2021-22890 (curl, Go, Node)",
    "100": "CVE-2022-32221, CVE-2023-28322 (curl)",
    "101": "CVE-2018-16840/CVE-2016-5421 class (curl)",
    "102": "CVE-2026-54280 (aiohttp)",
    "103": "CVE-2026-34513 (aiohttp)",
    "104": "CVE-2026-2581 (undici)",
    "105": "CVE-2026-18540, GHSA-8xcm-r25x-g524 (undici)",
    "106": "CVE-2026-116630, CVE-2026-109829 (undici)",
    "107": "CVE-2014-9365, CVE-2013-2037 (CPython, httplib2)",
    "108": "CVE-2013-7440, CVE-2013-2099, CVE-2014-0139, PSF-2019-13, CVE-2023-28321 (CPython, curl)",
    "109": "CVE-2013-4238, CVE-2009-2417 (CPython, curl)",
    "110": "CVE-2016-9015, CVE-2019-11324 (urllib3)",
    "111": "CVE-2021-28363, CVE-2022-32210 (urllib3, undici)",
    "112": "CVE-2023-40217 (CPython)",
    "113": "CVE-2026-109383 (undici)",
    "114": "CVE-2026-87018, CVE-2020-8172, CVE-2026-48618 (undici, Node)",
    "115": "CVE-2022-23491, CVE-2023-37920, CVE-2024-39689; CVE-2026-115557 (certifi, CPython)",
    "116": "CVE-2026-48615 (Node)",
    "117": "PYSEC-2026-3844 (httpcore2)",
    "118": "CVE-2025-66471, CVE-2026-84890, CVE-2013-1753 (urllib3, undici, CPython)",
    "119": "CVE-2025-66418, CVE-2026-22036, CVE-2022-32206, CVE-2023-23916 (urllib3, undici, curl)",
    "120": "CVE-2026-109869 (undici)",
    "121": "CVE-2026-21441 GHSA-38jv-5279-wg99 (urllib3)",
    "122": "CVE-2026-44432 GHSA-mf9v-mfxr-j63j, CVE-2026-9375 (urllib3)",
    "123": "CVE-2025-6176, CVE-2020-8927 (brotli/scrapy)",
    "124": "CVE-2025-0725 (curl/zlib)",
    "125": "CVE-2026-6100, CVE-2026-9669 (CPython)",
    "126": "CVE-2025-13836 (CPython)",
    "127": "CVE-2016-1000110, CVE-2016-5386 (httpoxy) (CPython, Go)",
    "128": "CVE-2025-62718, CVE-2026-42038, -42043, -44492, CVE-2025-22870 (axios, Go)",
    "129": "CVE-2020-28168 (axios)",
    "130": "CVE-2024-47081 (requests)",
    "131": "CVE-2026-25645, CVE-2024-4030 (requests, CPython)",
    "132": "CVE-2020-8177, CVE-2010-3842, CVE-2016-0754, CVE-2025-11563 (curl, wcurl)",
    "133": "CVE-2022-32207, CVE-2022-27778 (curl)",
    "134": "CVE-2011-1521, CVE-2019-9948, CVE-2009-0037, CVE-2024-2004 (CPython, curl)",
    "135": "CVE-2020-8492, CVE-2021-3733, CVE-2021-21240 (CPython, httplib2)",
    "136": "CVE-2026-42036, -44488, -42034, CVE-2019-10742 (axios)",
    "137": "CVE-2024-9681, CVE-2022-42916 class (curl)",
    "138": "(no CVE) changelog 2.6.3 (urllib3)",
    "139": "CVE-2023-24536, CVE-2022-41725 (Go)",
    "140": "CVE-2026-19445, CVE-2026-19553 (CPython ssl)",
}

_ROW: Final = re.compile(r"test_(?:row_)?([A-Za-z]?)(\d+)_(\w+)")


@cache
def proofs() -> dict[str, list[Proof]]:
    """Return row -> the tests that bear its number, in the order of files and lines."""
    found: dict[str, list[Proof]] = {}
    for path in sorted((TESTS / "security").glob("test_*.py")):
        for name in _tests_in(path):
            if match := _ROW.fullmatch(name):
                letter, number, claim = match.groups()
                row = f"{letter.upper()}{int(number)}" if letter else f"{int(number):03d}"
                found.setdefault(row, []).append(Proof(f"security/{path.name}", claim.replace("_", " ")))
    return found


def elsewhere(row: str) -> list[Proof]:
    """Return the tests of the rooms for *row*.

    Raises:
        LookupError: One of them is not there.
    """
    found = []
    for place in PROVED_ELSEWHERE.get(row, ()):
        file, _, name = place.partition("::")
        if name not in _tests_in(TESTS / file):
            raise LookupError(f"row {row}: {place} is not there")
        found.append(Proof(file, name.removeprefix("test_").replace("_", " ")))
    return found


@cache
def _tests_in(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def page_with_tables(page: str) -> str:
    """Return *page* with what is between the marks written anew."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n" + "\n".join(_tables()) + f"\n{END}{rest.partition(END)[2]}"


def _tables() -> Iterator[str]:
    for group, rows in GROUPS.items():
        numbered = rows[0].isdigit()
        yield f"### {group}\n"
        yield "| row | seen in | outcome | tests |" if numbered else "| row | outcome | tests |"
        yield "|--|--|--|--|" if numbered else "|--|--|--|"
        for row in rows:
            outcome, files = _outcome(row)
            yield (
                f"| {row} | {SEEN_IN[row]} | {outcome} | {files} |"
                if numbered
                else f"| {row} | {outcome} | {files} |"
            )
        yield ""


def _outcome(row: str) -> tuple[str, str]:
    if row in NOT_APPLICABLE:
        return f"does not apply: {NOT_APPLICABLE[row]}", ""
    tests = [*proofs().get(row, ()), *elsewhere(row)]
    claims = list(dict.fromkeys(proof.claim for proof in tests))
    claims += [f"see {', '.join(SAME_AS[row])}"] if row in SAME_AS else []
    outcome = "; ".join(claims) + "."
    if row in DIFFERENT:
        outcome += f" *{DIFFERENT[row]}*"
    files = dict.fromkeys(proof.file for proof in tests)
    return outcome, " ".join(f"`{file}`" for file in files)
