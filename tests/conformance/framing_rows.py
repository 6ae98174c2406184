"""Rows R50-R84 and B01-B19: how a client learns where a response ends."""

from __future__ import annotations

from tests.conformance.rows import Context, Row, Verdict

__all__ = ["FRAMING_ROWS"]

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKS = b"\r\n\r\n2\r\nok\r\n0\r\n\r\n"

ACC = Verdict.ACCEPT
CLOSE = Verdict.ACCEPT_CLOSE
REJ = Verdict.REJECT
CUT = Verdict.INCOMPLETE


def length(value: bytes, body: bytes = b"hello") -> bytes:
    return OK + b"Content-Length: " + value + b"\r\n\r\n" + body


def coding(value: bytes) -> bytes:
    return OK + b"Transfer-Encoding: " + value + CHUNKS


# fmt: off
CONTENT_LENGTH_ROWS = (
    Row("R50", length(b"5, 5"), ACC, "9110 8.6", "a list of equal lengths is one length", body=b"hello", fields=((b"content-length", b"5"),)),
    Row("R51", length(b"5,6"), REJ, "9112 6.3", "a list of different lengths"),
    Row("R52", length(b"+5"), REJ, "9110 8.6", "1*DIGIT has no sign"),
    Row("R53", length(b"-5"), REJ, "9110 8.6", "nor this one"),
    Row("R54", length(b"0x5"), REJ, "9110 8.6", "decimal, not hexadecimal"),
    Row("R55", length(b"5.0"), REJ, "9110 8.6", "an integer"),
    Row("R56", length(b"5 5"), REJ, "9110 8.6", "a blank does not separate a list"),
    Row("R57", length(b""), REJ, "9110 8.6", "at least one digit"),
    Row("R58", length(b"5_0"), REJ, "9110 8.6", "int() would read 50"),
    Row("R59", length(b"05"), ACC, "9110 8.6", "a leading zero is decimal, never octal", body=b"hello"),
    Row("R60", length(b"\t5\t"), ACC, "9112 5", "HTAB is a blank around a value", body=b"hello"),
    Row("R61", length(b"99999999999999999999999999"), REJ, "9110 8.6", "no such body"),
    Row("R62", length(b"9223372036854775808"), REJ, "9110 8.6", "2**63: refused at once, not at EOF"),
    Row("R62b", length(b"9" * 5000), REJ, "9110 8.6", "more digits than int() takes from a str"),
    Row("R64", length(b",5"), REJ, "9110 5.6.1", "an empty member in a framing list"),
    Row("R64b", length(b"5,"), REJ, "9110 5.6.1", "the same at the end"),
    Row("R65", length(b"\xef\xbc\x95"), REJ, "9110 8.6", "a full-width 5 is no DIGIT"),
    Row("R66", length(b"5\x0b"), REJ, "9110 5.5", "VT, which str.strip() would swallow"),
    Row("R67", OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", ACC, "9110 8.6", "two equal lines are one length", body=b"hello", fields=((b"content-length", b"5"),)),
    Row("R67b", OK + b"Content-Length: 5\r\nContent-Length: 5, 5\r\n\r\nhello", ACC, "9110 8.6", "lines and lists alike", body=b"hello", fields=((b"content-length", b"5"),)),
    Row("R67c", OK + b"Content-Length:\r\nContent-Length: 5\r\n\r\nhello", REJ, "9112 6.3", "an empty line and a length"),
    Row("R67d", OK + b"Content-Length: 5\r\nContent-Length:\r\n\r\nhello", REJ, "9112 6.3", "a length and an empty line"),
    Row("R68", OK + b"Content-Length: 5\r\ncontent-length: 6\r\n\r\nhello", REJ, "9112 6.3", "two lines that differ"),
    Row("R68b", OK + b"Content-Length: 5\r\nContent-Length: 05\r\n\r\nhello", REJ, "9112 6.3", "they differ as text: whose parser agrees?"),
    Row("R69", length(b"5", b"hel"), CUT, "9112 8", "a short body is an error, never a body", body=b"hel"),
)
# fmt: on

# fmt: off
TRANSFER_ENCODING_ROWS = (
    # The RFC also lets a recipient take Transfer-Encoding and close.  Every smuggling attack of the CL.TE kind
    # starts here, and no honest server sends both, so the stricter reading ("ought to be handled as an error").
    Row("R70", OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5" + CHUNKS, REJ, "9112 6.3", "both lengths"),
    Row("R70b", OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked" + CHUNKS, REJ, "9112 6.3", "in either order"),
    Row("R71", OK + b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok", REJ, "9112 6.1", "identity is no more"),
    Row("R72", coding(b"chunked, chunked"), REJ, "9112 6.1", "chunked twice"),
    Row("R73", coding(b"chunked\r\nTransfer-Encoding: chunked"), REJ, "9112 6.1", "chunked twice, on two lines"),
    Row("R73b", coding(b"chunked\r\nTransfer-Encoding:"), REJ, "9112 6.1", "chunked and an empty line"),
    Row("R73c", coding(b"\r\nTransfer-Encoding: chunked"), REJ, "9112 6.1", "an empty line and chunked"),
    Row("R73d", coding(b"identity\r\ntransfer-encoding: chunked"), REJ, "9112 6.1", "identity and chunked, on two lines"),
    Row("R74", coding(b"gzip, chunked"), REJ, "9112 7", "a coding we never offered in TE"),
    Row("R75", coding(b"chunked, identity"), REJ, "9112 6.3", "chunked is not the last one"),
    Row("R76", coding(b"xchunked"), REJ, "9112 6.1", "not chunked, however alike"),
    Row("R77", coding(b"Chunked"), ACC, "9112 7", "names of codings are case-insensitive", body=b"ok", fields=((b"transfer-encoding", b"chunked"),)),
    Row("R78", coding(b"chunked;q=1"), REJ, "9112 7.1", "chunked has no parameters"),
    Row("R79", coding(b"\x0bchunked"), REJ, "9110 5.5", "VT hides the coding from some"),
    Row("R80", coding(b",chunked"), REJ, "9110 5.6.1", "an empty member in a framing list"),
    Row("R80b", coding(b"chunked,"), REJ, "9110 5.6.1", "the same at the end"),
    Row("R81", coding(b""), REJ, "9112 6.1", "no coding named"),
    Row("R82", coding(b'"chunked"'), REJ, "9112 7", "a token, not a quoted string"),
    Row("R83", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked" + CHUNKS, CLOSE, "9112 6.1", "faulty framing in 1.0: decode it, then close", body=b"ok"),
    Row("R84", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5" + CHUNKS, REJ, "9112 6.1", "1.0 with both lengths: nobody may pool that"),
    Row("R85", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", CLOSE, "9112 9.3", "1.0 never persists here; its keep-alive breaks behind old proxies", body=b"ok"),
)
# fmt: on

# fmt: off
BODY_ROWS = (
    Row("B01", b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello", CLOSE, "9112 6.3", "204 has no body; the rest is nobody's", body=b""),
    Row("B02", b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", CLOSE, "9112 6.1", "a 204 must not name a coding", body=b""),
    Row("B02b", b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", CLOSE, "9112 6.1", "nor without a body", body=b""),
    Row("B03", b"HTTP/1.1 204 No\r\n\r\n", ACC, "9112 6.3", "a plain 204 ends with its head", body=b""),
    Row("B03b", b"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", ACC, "9110 8.6", "forbidden, common, and read by all alike", body=b""),
    Row("B04", b"HTTP/1.1 304 NM\r\nContent-Length: 5\r\n\r\nhello", CLOSE, "9112 6.3", "304 has no body; the rest is nobody's", body=b""),
    Row("B04b", b"HTTP/1.1 304 NM\r\nContent-Length: 5\r\n\r\n", ACC, "9110 8.6", "a 304 may tell the length a 200 would have", body=b""),
    Row("B05", OK + b"Content-Length: 5\r\n\r\n", ACC, "9112 6.3", "HEAD: the length is visible, the body empty", Context.HEAD, body=b"", fields=((b"content-length", b"5"),)),
    Row("B06", OK + b"Content-Length: 5\r\n\r\nhello", CLOSE, "9112 6.3", "HEAD answered with a body", Context.HEAD, body=b""),
    Row("B07", OK + b"Transfer-Encoding: chunked\r\n\r\n", ACC, "9112 6.3", "HEAD: the coding is only announced", Context.HEAD, body=b""),
    Row("B08", b"HTTP/1.1 205 RC\r\nContent-Length: 2\r\n\r\nok", CLOSE, "9110 15.3.6", "205 must be empty: read by its framing, then close", body=b"ok"),
    Row("B08b", b"HTTP/1.1 205 RC\r\nContent-Length: 0\r\n\r\n", ACC, "9110 15.3.6", "an empty 205", body=b"" ),
    Row("B08c", b"HTTP/1.1 205 RC\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", CLOSE, "9110 15.3.6", "a chunked 205 may have content, for all its head says", body=b""),
    Row("B09", b"HTTP/1.1 100 C\r\n\r\n" + length(b"2", b"ok"), ACC, "9110 15.2", "a 100 nobody asked for is passed over", body=b"ok"),
    Row("B10", b"HTTP/1.1 100 C\r\nContent-Length: 5\r\n\r\nhello" + length(b"2", b"ok"), REJ, "9112 6.3", "1xx never has a body"),
    Row("B11", b"HTTP/1.1 103 EH\r\nLink: </a>\r\n\r\n" * 2000 + length(b"2", b"ok"), REJ, "9110 15.2", "2000 x 103: refused after 16"),
    Row("B11b", b"HTTP/1.1 103 EH\r\n\r\n" * 16 + length(b"2", b"ok"), ACC, "9110 15.2", "16 are still served", body=b"ok"),
    Row("B11c", b"HTTP/1.1 103 EH\r\n\r\n" * 17 + length(b"2", b"ok"), REJ, "9110 15.2", "17 are not"),
    Row("B12", b"HTTP/1.1 101 SP\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nraw", REJ, "9110 15.2.2", "101 without our Upgrade"),
    Row("B12b", b"HTTP/1.1 101 SP\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nraw", Verdict.TUNNEL, "9110 15.2.2", "101 to our Upgrade: the rest is the other protocol's", Context.UPGRADE, left=b"raw"),
    Row("B12c", length(b"2", b"ok"), ACC, "9110 7.8", "our Upgrade declined", Context.UPGRADE, body=b"ok"),
    Row("B13", OK + b"\r\nraw", Verdict.TUNNEL, "9112 6.3", "CONNECT granted: the rest is the tunnel's", Context.CONNECT, left=b"raw"),
    Row("B14", OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nraw", Verdict.TUNNEL, "9112 6.3", "CONNECT granted: lengths mean nothing", Context.CONNECT, left=b"raw"),
    Row("B15", b"HTTP/1.1 407 PA\r\nContent-Length: 2\r\n\r\nok", ACC, "9110 15.5.8", "CONNECT refused: an ordinary response", Context.CONNECT, body=b"ok"),
    Row("B16", length(b"2", b"ok") + OK + b"Content-Length: 4\r\n\r\nevil", CLOSE, "9112 9.2", "a second response is never delivered", body=b"ok", left=OK + b"Content-Length: 4\r\n\r\nevil"),
    Row("B17", OK + b"\r\nbody", CLOSE, "9112 6.3", "no length: the close ends it", body=b"body"),
    Row("B18", OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nokmore", CLOSE, "9112 9.6", "nothing counts after close", body=b"ok"),
    Row("B19", length(b"2", b"ok") + b"\r\n", CLOSE, "9112 9.2", "a CRLF too many: the peer counts badly", body=b"ok"),
)
# fmt: on

FRAMING_ROWS = (*CONTENT_LENGTH_ROWS, *TRANSFER_ENCODING_ROWS, *BODY_ROWS)
