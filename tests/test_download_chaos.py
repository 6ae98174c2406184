"""A server that does a random wrong thing again and again: the file is one that it had, or there is none."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest

import client
from tests.download_server import Asked, RangeServer, Reply, file_of
from tests.leaks import no_leaks

MEBIBYTE = 1 << 20
SIZES = (0, 1, 70_000, MEBIBYTE, 3 * MEBIBYTE + 17, 9 * MEBIBYTE)
MOST_FAULTS = 40  # then it behaves, so that a patient client comes to an end


class Chaos:
    """The faults of one server, drawn by *chance*; each takes what was asked and the honest reply."""

    def __init__(self, chance: random.Random, server: RangeServer, versions: list[bytes]) -> None:
        self.chance = chance
        self.server = server
        self.versions = versions
        self.rate = chance.choice((0.1, 0.3, 0.6, 0.9))
        self.faults: list[Callable[[Asked, Reply], Reply]] = [
            self.cut,
            self.reset,
            self.another_version,
            self.whole_file,
            self.coded_file,
            self.nothing_satisfiable,
            self.busy,
            self.too_short,
            self.too_long,
            self.in_chunks,
            self.until_close,
            self.nonsense_range,
            self.other_total,
            self.no_range,
            self.coded_range,
            self.no_content,
            self.elsewhere,
            self.weak_validator,
            self.huge_length,
        ]

    def __call__(self, asked: Asked, reply: Reply) -> Reply:
        if asked.number > MOST_FAULTS or self.chance.random() > self.rate:
            return reply
        return self.chance.choice(self.faults)(asked, reply)

    def cut(self, asked: Asked, reply: Reply) -> Reply:
        return reply._replace(cut=self.chance.randrange(len(reply.body) + 1))

    def reset(self, asked: Asked, reply: Reply) -> Reply:
        return self.cut(asked, reply)._replace(reset=True)

    def another_version(self, asked: Asked, reply: Reply) -> Reply:
        number = self.chance.randrange(len(self.versions))
        self.server.content, self.server.etag = self.versions[number], f'"{number}"'
        return self.server.honest(asked)

    def whole_file(self, asked: Asked, reply: Reply) -> Reply:
        return Reply("200 OK", {"ETag": self.server.etag}, self.server.content)

    def coded_file(self, asked: Asked, reply: Reply) -> Reply:
        body = gzip.compress(self.server.content, 1)
        return Reply("200 OK", {"ETag": self.server.etag, "Content-Encoding": "gzip"}, body)

    def nothing_satisfiable(self, asked: Asked, reply: Reply) -> Reply:
        claimed = len(self.server.content) + self.chance.randrange(
            2
        )  # of 0 it would be the word of an empty file
        return Reply("416 Range Not Satisfiable", {"Content-Range": f"bytes */{claimed}"}, b"")

    def busy(self, asked: Asked, reply: Reply) -> Reply:
        return Reply("503 Service Unavailable", {"Retry-After": "0"}, b"busy")

    def too_short(self, asked: Asked, reply: Reply) -> Reply:
        # Only of a part: a whole file that ends early, with a length that says so, is another file.
        cut = self.chance.randrange(len(reply.body) + 1) if "Content-Range" in reply.headers else None
        return reply._replace(body=reply.body[:cut])

    def too_long(self, asked: Asked, reply: Reply) -> Reply:
        return reply._replace(body=reply.body + b"more" * ("Content-Range" in reply.headers))

    def in_chunks(self, asked: Asked, reply: Reply) -> Reply:
        size = max(1, len(reply.body) // 3)
        pieces = [reply.body[start : start + size] for start in range(0, len(reply.body), size)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        headers = {**reply.headers, "Content-Length": "", "Transfer-Encoding": "chunked"}
        return reply._replace(headers=headers, body=body)

    def until_close(self, asked: Asked, reply: Reply) -> Reply:
        headers = {**reply.headers, "Content-Length": "", "Connection": "close"}
        return reply._replace(headers=headers, cut=len(reply.body))

    def nonsense_range(self, asked: Asked, reply: Reply) -> Reply:
        size = len(self.server.content)
        first, last = self.chance.randrange(size + 1), self.chance.randrange(size + 1)
        return self.with_range(reply, f"bytes {first}-{last}/{size}")

    def other_total(self, asked: Asked, reply: Reply) -> Reply:
        return self.with_range(reply, f"{reply.headers.get('Content-Range', '').rpartition('/')[0]}/99999999")

    def no_range(self, asked: Asked, reply: Reply) -> Reply:
        return self.with_range(reply, "")

    def coded_range(self, asked: Asked, reply: Reply) -> Reply:
        coding = {"Content-Encoding": "gzip"} if "Content-Range" in reply.headers else {}
        return reply._replace(headers={**reply.headers, **coding})

    def no_content(self, asked: Asked, reply: Reply) -> Reply:
        return Reply("204 No Content", {"ETag": self.server.etag, "Content-Length": ""}, b"")

    def elsewhere(self, asked: Asked, reply: Reply) -> Reply:
        return Reply("302 Found", {"Location": f"/elsewhere/{asked.number}"}, b"")

    def weak_validator(self, asked: Asked, reply: Reply) -> Reply:
        return reply._replace(headers={**reply.headers, "ETag": 'W/"weak"'})

    def huge_length(self, asked: Asked, reply: Reply) -> Reply:
        return reply._replace(headers={**reply.headers, "Content-Length": str(10**17)}, cut=len(reply.body))

    def with_range(self, reply: Reply, content_range: str) -> Reply:
        if "Content-Range" not in reply.headers:
            return reply
        return reply._replace(headers={**reply.headers, "Content-Range": content_range})


@pytest.mark.parametrize("seed", range(24))
def test_whatever_the_server_does_a_file_is_whole_and_of_one_version(seed: int, tmp_path: Path) -> None:
    """Calls that fail leave no final name; once the server behaves, what they left behind is of use or does no harm."""
    chance = random.Random(seed)
    size = chance.choice(SIZES)
    versions = [file_of(size, 1), file_of(size, 2), file_of(max(0, size - chance.randrange(1000)), 3)]
    target = tmp_path / "file"
    parts, workers = chance.choice((1, 2, 8)), chance.choice((1, 2, 8))
    retries = client.Retry(chance.choice((0, 3, 8)), backoff_factor=0)
    done = None
    with no_leaks(), RangeServer(versions[0]) as server:
        server.etag = '"0"'
        server.fault = Chaos(chance, server, versions)
        with client.Session(trust_env=False, timeout=10, workers=workers) as session:
            for _ in range(4):
                try:
                    done = session.download(server.url, target, parts=parts, retries=retries)
                    break
                except client.RequestException:
                    assert not target.exists()
            server.fault = None
            done = done or session.download(server.url, target, parts=parts)

    assert target.read_bytes() in versions
    assert target.stat().st_size == done.bytes
    assert ["file"] == [path.name for path in tmp_path.iterdir()]
