"""Rows Q01-Q38: what a server accepts as a request."""

from __future__ import annotations

from tests.conformance.rows import Context, Row, Verdict

__all__ = ["REQUEST_ROWS"]

ACC = Verdict.ACCEPT
CLOSE = Verdict.ACCEPT_CLOSE
REJ = Verdict.REJECT
CUT = Verdict.INCOMPLETE

GET = b"GET / HTTP/1.1\r\nHost: h\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def row(
    id: str,
    stimulus: bytes,
    verdict: Verdict,
    section: str,
    reason: str,
    *,
    body: bytes | None = None,
    fields: tuple[tuple[bytes, bytes], ...] = (),
    left: bytes | None = None,
    trailers: tuple[tuple[bytes, bytes], ...] | None = None,
    hints: tuple[int, ...] = (400,),
) -> Row:
    """Make a row for a server; a refusal asks for 400 unless it says otherwise."""
    if verdict is not REJ:
        hints = ()
    return Row(id, stimulus, verdict, section, reason, Context.SERVER, body, trailers, fields, left, hints)


# fmt: off
REQUEST_LINE_ROWS = (
    row("Q01", b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", REJ, "9112 3", "two blanks"),
    row("Q02", b"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", REJ, "9112 3", "one SP separates, never HTAB"),
    row("Q03", b"\r\n" + GET + b"\r\n", ACC, "9112 2.2", "one CRLF before a request is passed over", body=b"" ),
    row("Q03b", b"\r\n\r\n" + GET + b"\r\n", REJ, "9112 2.2", "one, not two: an endless run of them is an attack"),
    row("Q03c", b"\n" + GET + b"\r\n", REJ, "9112 2.2", "a CRLF, not a bare LF"),
    row("Q03d", b"\r\nPOST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n\n\n", ACC, "9112 2.2", "the rules of a head end with the head", body=b"\n\n"),
    row("Q04", b"GET /\r\n\r\n", REJ, "9112 3", "HTTP/0.9 is not spoken"),
    row("Q04b", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", REJ, "9112 3", "TLS where there is none")._replace(by=1),
    row("Q05", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", REJ, "9112 2.3", "the HTTP/2 preface is no request", hints=(505,)),
    row("Q05b", b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", REJ, "9112 2.3", "nor any other major version", hints=(505,)),
    row("Q05c", b"GET / HTTP/1.2\r\nHost: h\r\n\r\n", ACC, "9112 2.3", "a higher minor means 1.1 for us", body=b""),
    row("Q05d", b"GET / http/1.1\r\nHost: h\r\n\r\n", REJ, "9112 2.3", "the name is case-sensitive"),
    row("Q06", b"GET / HTTP/1.1\r\n\r\n", REJ, "9112 3.2", "1.1 without Host"),
    row("Q06b", b"GET / HTTP/1.0\r\n\r\n", CLOSE, "9112 3.2", "1.0 had none", body=b""),
    row("Q07", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", REJ, "9112 3.2", "two Hosts, even if equal"),
    row("Q07b", b"GET / HTTP/1.1\r\nHost:\r\nhost: h\r\n\r\n", REJ, "9112 3.2", "an empty Host and one that is not"),
    row("Q07c", b"GET / HTTP/1.1\r\nHost: h\r\nHost:\r\n\r\n", REJ, "9112 3.2", "in either order"),
    row("Q07d", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", REJ, "9112 3.2", "two Hosts in 1.0"),
    row("Q08", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", REJ, "9112 3.2", "a blank in Host"),
    row("Q08b", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", REJ, "9112 3.2", "two hosts that somebody joined to one line"),
    row("Q08c", b"GET / HTTP/1.1\r\nHost: h:80:80\r\n\r\n", REJ, "9112 3.2", "two ports"),
    row("Q08d", b"GET / HTTP/1.1\r\nHost: h:8o\r\n\r\n", REJ, "9112 3.2", "a port is digits"),
    row("Q08e", b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", ACC, "9112 3.2", "an IPv6 literal with a port", body=b""),
    row("Q08f", b"GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", REJ, "9112 3.2", "a path in Host"),
    row("Q08g", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", ACC, "9112 3.2", "an empty Host is for targets without authority"),
    row("Q09", b"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", REJ, "9112 3.2", "userinfo in Host"),
    row("Q10", b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", REJ, "9112 3.2", "a blank in the target"),
    row("Q11", b"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n", REJ, "9112 3.2", "NUL in the target"),
    row("Q11b", b"GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n", REJ, "9112 3.2", "a target is ASCII"),
    row("Q12", b"G@T / HTTP/1.1\r\nHost: h\r\n\r\n", REJ, "9112 3.1", "a method is a token"),
    row("Q13", b"GET / HTTP/1.1\nHost: h\n\n", REJ, "9112 2.2", "a server takes no bare LF"),
    row("Q13b", b"GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", REJ, "9112 2.2", "nor one among CRLFs"),
    row("Q29", b"GET http://evil/ HTTP/1.1\r\nHost: h\r\n\r\n", ACC, "9112 3.2.2", "the target's authority is the one that counts", body=b""),
    row("Q30", b"get / HTTP/1.1\r\nHost: h\r\n\r\n", ACC, "9112 3.1", "a method is case-sensitive: this is not GET", body=b""),
    row("Q31", b"GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", REJ, "9112 2.2", "CR CR LF holds a bare CR"),
    row("Q32", b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", REJ, "9112 3", "a blank after the version"),
    row("Q37", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", REJ, "9112 3", "a target of 100 KB, also in one segment", hints=(414, 431)),
    row("Q37b", b"GET /" + b"a" * 8000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", ACC, "9112 3", "8000 bytes should be supported", body=b""),
)
# fmt: on

# fmt: off
FIELD_ROWS = (
    row("Q14", b"GET / HTTP/1.1\r\nHost: h\r\n X: y\r\n\r\n", REJ, "9112 5.2", "a fold onto Host"),
    # The RFC allows a server to put one SP for the fold; it also allows 400, and no client sends folds.
    row("Q15", GET + b"X: y\r\n z\r\n\r\n", REJ, "9112 5.2", "a fold onto any field"),
    row("Q16", GET + b"X : y\r\n\r\n", REJ, "9112 5.1", "blank before the colon"),
    row("Q16b", GET + b"X: y\x00\r\n\r\n", REJ, "9110 5.5", "NUL in a value"),
    row("Q16c", b"POST / HTTP/1.1\r\nHost: h \t\r\nContent-Length: 2\r\n\r\n\n\n", ACC, "9112 5", "blanks behind a value are no part of it", body=b"\n\n", fields=((b"host", b"h"),)),
    row("Q17", POST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n", REJ, "9112 6.1", "both lengths"),
    row("Q17b", POST + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n", REJ, "9112 6.1", "in either order"),
    row("Q18", POST + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", REJ, "9112 6.1", "chunked is not the last", hints=(400, 501)),
    row("Q18b", POST + b"Transfer-Encoding: identity\r\n" + CHUNKED + b"\r\n0\r\n\r\n", REJ, "9112 6.1", "identity before chunked", hints=(400, 501)),
    row("Q18c", POST + b"Transfer-Encoding:\r\n" + CHUNKED + b"\r\n0\r\n\r\n", REJ, "9112 6.1", "an empty line before chunked", hints=(400, 501)),
    row("Q19", POST + b"Transfer-Encoding: gzip\r\n\r\nabc", REJ, "9112 6.1", "a coding we do not know", hints=(501,)),
    row("Q19b", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", REJ, "9112 6.1", "the same before chunked", hints=(501,)),
    row("Q20", POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", REJ, "9110 5.5", "VT hides the coding", hints=(400, 501)),
    row("Q20b", POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", REJ, "9112 7.1", "chunked has no parameters", hints=(400, 501)),
    row("Q21", b"POST / HTTP/1.0\r\nHost: h\r\n" + CHUNKED + b"\r\n0\r\n\r\n", REJ, "9112 6.1", "a coding in 1.0"),
    # Q22, Q23: equal lengths may be taken as one.  A client that sends two has been through something that
    # does not understand HTTP; the other end of such a chain may take the last, the first or none.
    row("Q22", POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", REJ, "9110 8.6", "two equal lines"),
    row("Q23", POST + b"Content-Length: 5, 5\r\n\r\nhello", REJ, "9110 8.6", "a list of equal lengths"),
    row("Q24", POST + b"Content-Length: +5\r\n\r\nhello", REJ, "9110 8.6", "1*DIGIT has no sign"),
    row("Q24b", POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", REJ, "9112 6.3", "two that differ"),
    row("Q24c", POST + b"Content-Length: 5\r\n\r\nhel", CUT, "9112 8", "a short body is an error", body=b"hel" ),
    row("Q24e", POST + b"Content-Length:\r\nContent-Length: 5\r\n\r\nhello", REJ, "9112 6.3", "an empty line and a length"),
    row("Q24d", POST + b"Content-Length: 9223372036854775808\r\n\r\nhello", REJ, "9110 8.6", "no such body", hints=(400, 413)),
    row("Q33", GET + b"Transfer_Encoding: chunked\r\nContent-Length: 0\r\n\r\n", ACC, "9110 5.1", "an underscore makes another field", body=b""),
    row("Q34", GET + b"X-Huge: " + b"a" * 100_000 + b"\r\n\r\n", REJ, "9110 5.4", "a field of 100 KB", hints=(431,)),
    row("Q34b", GET + b"X: y\r\n" * 300 + b"\r\n", REJ, "9110 5.4", "300 fields", hints=(431,)),
)
# fmt: on

# fmt: off
BODY_ROWS = (
    row("Q25", POST + CHUNKED + b"\r\n5\nhello\r\n0\r\n\r\n", REJ, "9112 7.1", "a bare LF ends no chunk line" ),
    row("Q26", POST + CHUNKED + b"\r\n5;\nhello\r\n0\r\n\r\n", REJ, "9112 7.1.1", "nor after an empty extension"),
    row("Q27", POST + CHUNKED + b"\r\n5\r\nhelloXX0\r\n\r\n", REJ, "9112 7.1", "chunk data ends with CRLF"),
    row("Q28", GET + CHUNKED + b"\r\n5 \r\nhello\r\n0\r\n\r\n", REJ, "9112 7.1", "a padded size in a request" ),
    row("Q35", GET + b"Connection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n", CLOSE, "9112 9.6", "nothing counts after close", body=b"", left=b"GET /2 HTTP/1.1\r\nHost: h\r\n\r\n"),
    row("Q36", GET + b"\r\n" + GET + b"\r\n", ACC, "9112 9.3.2", "a pipelined request waits for the next cycle", left=GET + b"\r\n"),
    row("Q38", POST + CHUNKED + b"\r\n0\r\nContent-Length: 5\r\nHost: evil\r\n\r\n", ACC, "9110 6.5.1", "forbidden trailers are dropped", body=b"", trailers=()),
)
# fmt: on

REQUEST_ROWS = (*REQUEST_LINE_ROWS, *FIELD_ROWS, *BODY_ROWS)
