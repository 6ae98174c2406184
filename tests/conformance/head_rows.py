"""Rows R01-R44: what a client accepts as status line and header section."""

from __future__ import annotations

from tests.conformance.rows import Context, Row, Verdict

__all__ = ["HEAD_ROWS"]

OK = b"HTTP/1.1 200 OK\r\n"
TWO = b"Content-Length: 2\r\n\r\nok"

ACC = Verdict.ACCEPT
CLOSE = Verdict.ACCEPT_CLOSE
REJ = Verdict.REJECT

# fmt: off
STATUS_LINE_ROWS = (
    Row("R01", b"HTTP/1.1 200\r\n" + TWO, ACC, "9112 4", "the blank after the code is often missing", body=b"ok"),
    Row("R02", b"HTTP/1.1 200 \r\n" + TWO, ACC, "9112 4", "the reason may be empty", body=b"ok"),
    Row("R03", b"HTTP/1.1  200 OK\r\n" + TWO, REJ, "9112 4", "lenient splitting invites response splitting"),
    Row("R04", b"HTTP/1.1\t200 OK\r\n" + TWO, REJ, "9112 4", "one SP separates, never HTAB"),
    Row("R05", b"HTTP/1.1 20 OK\r\n" + TWO, REJ, "9112 4", "three digits, not two"),
    Row("R06", b"HTTP/1.1 2000 OK\r\n" + TWO, REJ, "9112 4", "three digits, not four"),
    Row("R07", b"HTTP/1.1 +20 OK\r\n" + TWO, REJ, "9112 4", "a sign is no digit, whatever int() says"),
    Row("R07b", b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK\r\n" + TWO, REJ, "9112 4", "only ASCII digits count"),
    Row("R08", b"HTTP/1.1 099 x\r\n" + TWO, REJ, "9110 15", "below 100 there is no class"),
    Row("R09", b"HTTP/1.1 700 x\r\n" + TWO, ACC, "9110 15", "600-999 is to be treated as 5xx", body=b"ok"),
    Row("R10", b"HTTP/1.2 200 OK\r\n" + TWO, ACC, "9112 2.3", "a higher minor means 1.1 for us", body=b"ok"),
    Row("R11", b"HTTP/2.0 200 OK\r\n" + TWO, REJ, "9112 2.3", "another major version is another syntax"),
    Row("R12", b"HTTP/0.9 200 OK\r\n" + TWO, REJ, "9112 2.3", "HTTP/0.9 has no status line"),
    Row("R13", b"HTTP/1.10 200 OK\r\n" + TWO, REJ, "9112 2.3", "one digit on each side of the dot"),
    Row("R14", b"http/1.1 200 OK\r\n" + TWO, REJ, "9112 2.3", "the name is case-sensitive"),
    Row("R15", b"<html>hello</html>", REJ, "9112 2.1", "no fall-back to HTTP/0.9, and no waiting for a line end", by=8),
    Row("R16", b"ICY 200 OK\r\n" + TWO, REJ, "9112 4", "Shoutcast is another protocol", by=8),
    Row("R17", b"\r\n" + OK + TWO, REJ, "9112 9.2", "a fresh connection has no earlier body to leave a CRLF"),
    Row("R17b", b"\r\n" + OK + TWO, CLOSE, "9112 9.2", "one CRLF may be left over from the body before; the peer counts badly, so the connection ends here", Context.SECOND_GET, body=b"ok"),
    Row("R17c", b"\r\n\r\n" + OK + TWO, REJ, "9112 9.2", "one CRLF, not two", Context.SECOND_GET),
    Row("R17d", b"\n" + OK + TWO, REJ, "9112 9.2", "a CRLF, not a bare LF", Context.SECOND_GET),
    Row("R17e", b"\r" + OK + TWO, REJ, "9112 2.2", "a CRLF, not a bare CR", Context.SECOND_GET),
    Row("R17f", b"\r\n" + OK + b"Content-Length: 2\r\n\r\n\n\n", CLOSE, "9112 9.2", "the rules of a head end with the head", Context.SECOND_GET, body=b"\n\n"),
    Row("R18", b"HTTP/1.1 200 O\x00K\r\n" + TWO, REJ, "9112 4", "NUL in the reason"),
    Row("R18b", b"HTTP/1.1 200 O\x1bK\r\n" + TWO, REJ, "9112 4", "a control in the reason reaches terminals"),
    Row("R18c", b"HTTP/1.1 200 O\xe9\tK\r\n" + TWO, ACC, "9112 4", "HTAB and obs-text are in the grammar", body=b"ok"),
    Row("R19", b"HTTP/1.1 200 O\rK\r\n" + TWO, REJ, "9112 2.2", "a bare CR is a line end to somebody"),
    Row("R19b", b"SSH-2.0-OpenSSH_9.6\r\n", REJ, "9112 2.1", "another protocol's banner", by=8),
)
# fmt: on

# fmt: off
FIELD_ROWS = (
    # R20, R21: the RFC lets a recipient take a bare LF as line end, and one old server in a thousand sends it.
    # A client that takes it can be told where a head ends in two ways, so nothing may follow on that connection.
    Row("R20", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", CLOSE, "9112 2.2", "LF-only head", body=b"ok"),
    Row("R21", OK + b"A: b\n" + TWO, CLOSE, "9112 2.2", "mixed line ends", body=b"ok"),
    Row("R22", OK + b"A: b\r" + TWO, REJ, "9112 2.2", "a bare CR never ends a field"),
    Row("R23", OK + b"A: b\r\r\n" + TWO, REJ, "9112 2.2", "CR CR LF holds a bare CR"),
    Row("R24", OK + b"A: b\x00c\r\n" + TWO, REJ, "9110 5.5", "NUL in a value"),
    Row("R25", OK + b"A: b\x01c\r\n" + TWO, REJ, "9110 5.5", "a control in a value"),
    Row("R26", OK + b"A: b\x0bc\r\n" + TWO, REJ, "9110 5.5", "VT, which str.strip() would swallow"),
    Row("R27", OK + b"A: b\x7fc\r\n" + TWO, REJ, "9110 5.5", "DEL in a value"),
    Row("R28", OK + b"A: \xe9\xff\r\n" + TWO, ACC, "9110 5.5", "obs-text is opaque", fields=((b"a", b"\xe9\xff"),)),
    Row("R29", OK + b"A : b\r\n" + TWO, REJ, "9112 5.1", "blank before the colon"),
    Row("R29b", OK + b"A\t: b\r\n" + TWO, REJ, "9112 5.1", "HTAB before the colon"),
    Row("R30", OK + b"Content-Length : 2\r\n\r\nok", REJ, "9112 5.1", "the same hides a framing field"),
    Row("R31", OK + b" A: b\r\n" + TWO, REJ, "9112 2.2", "blank before the first field: refuse, never attach" ),
    Row("R32", OK + b"A: b\r\n c\r\n" + TWO, ACC, "9112 5.2", "a fold becomes one SP", fields=((b"a", b"b c"),)),
    Row("R32b", OK + b"A: b \t\r\n \t c\r\n" + TWO, ACC, "9112 5.2", "the blanks around the line end belong to the fold", fields=((b"a", b"b c"),)),
    Row("R32c", OK + b"A: b\r\n \r\n c\r\n" + TWO, ACC, "9112 5.2", "a fold behind a fold", body=b"ok"),
    Row("R32d", OK + b"A:\r\n b\r\n" + TWO, ACC, "9112 5.2", "a fold before the value", fields=((b"a", b"b"),)),
    Row("R32e", OK + b"A\r\n : b\r\n" + TWO, REJ, "9112 5.1", "a fold in a name"),
    Row("R32f", b"HTTP/1.1 200 OK\r\n A: b\r\n" + b"C: d\r\n" + TWO, REJ, "9112 2.2", "a fold of the status line"),
    Row("R33", OK + b"Content-Length: 2\r\n 0\r\n\r\nok", REJ, "9112 5.2", "a fold in Content-Length: 2, 20 or 0?"),
    Row("R34", OK + b"Transfer-Encoding:\r\n chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", REJ, "9112 5.2", "a fold in Transfer-Encoding: half of the peers do not see it"),
    Row("R34b", OK + b"Connection: keep-\r\n alive\r\n" + TWO, REJ, "9112 5.2", "a fold in Connection"),
    Row("R35", OK + b"A\r\n" + TWO, REJ, "9112 5", "no colon"),
    Row("R36", OK + b": b\r\n" + TWO, REJ, "9112 5", "no name"),
    Row("R37", OK + b"A(b): c\r\n" + TWO, REJ, "9110 5.1", "not a token"),
    Row("R38", OK + b"\xc3\xa9: c\r\n" + TWO, REJ, "9110 5.1", "a name is ASCII"),
    Row("R39", OK + b"A\x00: c\r\n" + TWO, REJ, "9110 5.1", "NUL in a name"),
    Row("R40", OK + b"Content_Length: 9\r\n" + TWO, ACC, "9110 5.1", "an underscore makes another field", body=b"ok", fields=((b"content_length", b"9"),)),
    Row("R41", OK + b"A:\r\nContent-Length:2\r\n\r\nok", ACC, "9112 5", "blanks after the colon are optional", body=b"ok", fields=((b"a", b""),)),
    Row("R41b", OK + b"A:\t b \t\r\n" + TWO, ACC, "9112 5", "blanks around are no part of the value", fields=((b"a", b"b"),)),
    Row("R41c", OK + b"A: b \r\nContent-Length: 2\r\n\r\n\n\n", ACC, "9112 5", "the body may hold what the head may not", body=b"\n\n", fields=((b"a", b"b"),)),
    Row("R43", OK + b"X: " + b"a" * 1_000_000 + b"\r\n" + TWO, REJ, "9110 5.4", "one line of 1 MB, also in one segment"),
    Row("R44", OK + b"".join(b"X%d: a\r\n" % number for number in range(5000)) + TWO, REJ, "9110 5.4", "5000 fields"),
    Row("R44b", OK + b" \r\n" * 3000 + TWO, REJ, "9112 2.2", "3000 lines that fold onto nothing"),
    Row("R44c", OK + b"A: b\r\n" + b" c\r\n" * 30_000 + TWO, REJ, "9110 5.4", "folds count against the head too"),
)
# fmt: on

HEAD_ROWS = (*STATUS_LINE_ROWS, *FIELD_ROWS)
