"""Rows K01-K40: the chunked coding, judged in both roles.

`CHUNK_ROWS` hold what follows a head that announced ``Transfer-Encoding: chunked``; `client_row` and
`server_row` put that head in front.  Where the roles differ, the row stands twice, the second in
`SERVER_ONLY`.
"""

from __future__ import annotations

from tests.conformance.rows import Context, Row, Verdict

__all__ = ["CHUNK_ROWS", "client_row", "server_row"]

RESPONSE_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
REQUEST_HEAD = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

ACC = Verdict.ACCEPT
REJ = Verdict.REJECT
CUT = Verdict.INCOMPLETE

FORBIDDEN_TRAILERS = (
    b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\nHost: evil\r\nSet-Cookie: a=b\r\n"
    b"Authorization: Basic eDp5\r\nContent-Encoding: gzip\r\nContent-Type: text/html\r\nContent-Range: bytes 0-1/2\r\n"
    b"Trailer: X\r\nTE: trailers\r\nCache-Control: no-store\r\nConnection: close\r\nLocation: /x\r\n"
)

# fmt: off
CHUNK_ROWS = (
    Row("K01", b"5\r\nhello\r\n0\r\n\r\n", ACC, "9112 7.1", "as the grammar says", body=b"hello"),
    Row("K02", b"5 \r\nhello\r\n0\r\n\r\n", ACC, "9112 7.1", "padded sizes are sent in the wild", body=b"hello"),
    Row("K02b", b"5\t \r\nhello\r\n0 \r\n\r\n", ACC, "9112 7.1", "SP and HTAB", body=b"hello"),
    Row("K02c", b"5\x0b\r\nhello\r\n0\r\n\r\n", REJ, "9112 7.1", "nothing else pads"),
    Row("K03", b" 5\r\nhello\r\n0\r\n\r\n", REJ, "9112 7.1", "int() would strip it"),
    Row("K04", b"+5\r\nhello\r\n0\r\n\r\n", REJ, "9112 7.1", "int() would take the sign"),
    Row("K05", b"-5\r\nhello\r\n0\r\n\r\n", REJ, "9112 7.1", "a size below zero"),
    Row("K06", b"0x5\r\nhello\r\n0\r\n\r\n", REJ, "9112 7.1", "int(x, 16) would take the prefix"),
    Row("K07", b"5_0\r\n" + b"h" * 0x50 + b"\r\n0\r\n\r\n", REJ, "9112 7.1", "int() would skip the underscore" ),
    Row("K08", b"\r\nhello\r\n0\r\n\r\n", REJ, "9112 7.1", "no size at all"),
    Row("K09", b"g\r\nhello\r\n0\r\n\r\n", REJ, "9112 7.1", "not a hexadecimal digit"),
    Row("K09b", b"a\r\n0123456789\r\n0\r\n\r\n", ACC, "9112 7.1", "hexadecimal, lower case", body=b"0123456789"),
    Row("K09c", b"A\r\n0123456789\r\n0\r\n\r\n", ACC, "9112 7.1", "hexadecimal, upper case", body=b"0123456789"),
    Row("K10", b"5\nhello\r\n0\r\n\r\n", REJ, "9112 7.1", "a bare LF ends no chunk line (CVE-2025-22871)"),
    Row("K11", b"5\rhello\r\n0\r\n\r\n", REJ, "9112 2.2", "nor does a bare CR"),
    Row("K12", b"5\r\nhello\n0\r\n\r\n", REJ, "9112 7.1", "chunk data ends with CRLF, not LF"),
    Row("K13", b"5\r\nhelloXX0\r\n\r\n", REJ, "9112 7.1", "nor with any two bytes (CVE-2025-43859)"),
    Row("K14", b"5\r\nhello0\r\n\r\n", REJ, "9112 7.1", "nor with none"),
    Row("K15", b"3\r\nhello\r\n0\r\n\r\n", REJ, "9112 7.1", "the chunk spills over its size"),
    Row("K16", b"FFFFFFFFFFFFFFFFF\r\nhello", REJ, "9112 7.1", "17 digits: refused at the line, not at EOF", by=19),
    Row("K17", b"8000000000000000\r\nhello", REJ, "9112 7.1", "2**63: refused at the line, not at EOF", by=18 ),
    Row("K17b", b"7FFFFFFFFFFFFFFF\r\nhello", CUT, "9112 7.1", "2**63 - 1 is a size", body=b"hello"),
    Row("K18", b"0" * 31 + b"5\r\nhello\r\n0\r\n\r\n", REJ, "9112 7.1", "more than 16 digits, even zeros"),
    Row("K18b", b"0" * 15 + b"5\r\nhello\r\n" + b"0" * 16 + b"\r\n\r\n", ACC, "9112 7.1", "16 digits", body=b"hello"),
    Row("K19", b"00005\r\nhello\r\n000\r\n\r\n", ACC, "9112 7.1", 'leading zeros, and 1*"0" ends', body=b"hello"),
    Row("K20", b"5;a=b\r\nhello\r\n0;c\r\n\r\n", ACC, "9112 7.1.1", "unknown extensions are ignored", body=b"hello"),
    # Some peers refuse the blanks; they are in the grammar, and no parser takes them for a line end.
    Row("K21", b"5 ; a = b\r\nhello\r\n0\r\n\r\n", ACC, "9112 7.1.1", "bad white space is in the grammar", body=b"hello"),
    Row("K22", b"5;\r\nhello\r\n0\r\n\r\n", REJ, "9112 7.1.1", "an extension has a name"),
    Row("K22b", b"5;a=\r\nhello\r\n0\r\n\r\n", REJ, "9112 7.1.1", "an equals sign has a value"),
    Row("K23", b"5 a=b\r\nhello\r\n0\r\n\r\n", REJ, "9112 7.1.1", "an extension starts with a semicolon"),
    Row("K24", b'5;a="x\r\ny"\r\nhello\r\n0\r\n\r\n', REJ, "9112 7.1.1", "no line end inside quotes"),
    Row("K25", b"5;a\nb\r\nhello\r\n0\r\n\r\n", REJ, "9112 7.1.1", "a proxy may end the line at this LF"),
    Row("K26", b"5;a\rb\r\nhello\r\n0\r\n\r\n", REJ, "9112 2.2", "or at this CR"),
    Row("K27", b"5;a\x00b\r\nhello\r\n0\r\n\r\n", REJ, "9112 7.1.1", "NUL in an extension"),
    Row("K27b", b'5;a="\x00"\r\nhello\r\n0\r\n\r\n', REJ, "9112 7.1.1", "NUL inside quotes"),
    Row("K28", b'5;a="q;\\"z"\r\nhello\r\n0\r\n\r\n', ACC, "9112 7.1.1", "a quoted pair", body=b"hello"),
    Row("K29", b"5;" + b"a" * 200_000 + b"\r\nhello\r\n0\r\n\r\n", REJ, "9112 7.1.1", "a chunk line has 4 KiB", by=4200),
    Row("K30", b"5" * 10_000, REJ, "9112 7.1", "a size without an end (CVE-2026-97689)", by=4200),
    Row("K31", b"5\r\nhello\r\n0\r\n", CUT, "9112 8", "the empty line is part of the message", body=b"hello"),
    Row("K31b", b"5\r\nhello\r\n", CUT, "9112 8", "so is the last chunk", body=b"hello"),
    Row("K31c", b"5\r\nhello\r\n0\r\nX: y\r\n", CUT, "9112 8", "and the line after trailers", body=b"hello"),
    Row("K33", b"5\r\nhello\r\n0\r\n\n", REJ, "9112 7.1", "the last line is CRLF, not LF"),
    Row("K34", b"5\r\nhello\r\n0\n\n", REJ, "9112 7.1", "nor does LF end the last chunk"),
    Row("K35", b"5\r\nhello\r\n0\r\nX: y\r\n\r\n", ACC, "9112 7.1.2", "trailers come with the end", body=b"hello", trailers=((b"x", b"y"),)),
    Row("K35b", b"5\r\nhello\r\n0\r\nX:\r\nY: \t\r\nZ: z \t\r\n\r\n", ACC, "9112 5", "a trailer may be empty, or have blanks behind", body=b"hello", trailers=((b"x", b""), (b"y", b""), (b"z", b"z"))),
    Row("K36", b"5\r\nhello\r\n0\r\n" + FORBIDDEN_TRAILERS + b"X: y\r\n\r\n", ACC, "9110 6.5.1", "forbidden trailers are dropped; they change neither framing nor routing nor cookies", body=b"hello", trailers=((b"x", b"y"),)),
    Row("K37", b"5\r\nhello\r\n0\r\nX : y\r\n\r\n", REJ, "9112 5.1", "trailers are fields: no blank before the colon"),
    Row("K38", b"5\r\nhello\r\n0\r\nX: y\x00\r\n\r\n", REJ, "9110 5.5", "no NUL in their values"),
    Row("K38b", b"5\r\nhello\r\n0\r\n X: y\r\n\r\n", REJ, "9112 5.2", "no blank before the first"),
    Row("K38c", b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n", REJ, "9112 5.2", "no fold in a trailer"),
    Row("K39", b"5\r\nhello\r\n0\r\nX: y\n\r\n", REJ, "9112 7.1", "no bare LF after one"),
    Row("K40", b"5\r\nhello\r\n0\r\n" + b"".join(b"X%d: y\r\n" % number for number in range(20_000)) + b"\r\n", REJ, "9110 5.4", "20000 trailers: the limits of a head hold", body=b"hello"),
)
# fmt: on

# A request with a padded size comes from no known client; two readings of one request is how smuggling starts.
SERVER_REFUSES = {"K02", "K02b"}


def client_row(row: Row) -> Row:
    """Return *row* as a response to a GET."""
    return row._replace(
        stimulus=RESPONSE_HEAD + row.stimulus, by=None if row.by is None else row.by + len(RESPONSE_HEAD)
    )


def server_row(row: Row) -> Row:
    """Return *row* as a request, under the id ``K01-server``."""
    refused = row.id in SERVER_REFUSES
    return row._replace(
        id=f"{row.id}-server",
        stimulus=REQUEST_HEAD + row.stimulus,
        context=Context.SERVER,
        by=None if row.by is None else row.by + len(REQUEST_HEAD),
        verdict=REJ if refused else row.verdict,
        body=None if refused else row.body,
    )
