"""nginx from Debian on free loopback ports, in a folder of its own, without any right of root.

What it serves (GET unless said otherwise; every response names its connection in ``X-Connection``):

- ``/bytes/N``     *N* bytes of `pattern`, for N in the sizes given; ranges, ETag, Last-Modified
- ``/chunked/N``   the same bytes, chunked
- ``/limited/N``   the same bytes, on each connection 2 MiB at once and then 2 MiB a second
- ``/gzip/N``      the same bytes, gzip-coded for those who accept it
- ``/json``        a JSON document of 30 KB, gzip-coded for those who accept it
- ``/hello``       200 with two bytes
- ``/echo``        POST: 200 with two bytes
- ``/redirect/N``  N redirects, the last of them to ``/hello``
- ``/store/NAME``  PUT, GET, DELETE: keeps what it is sent
- ``/status``      nginx's own count of connections and requests
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from array import array
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.ports import reserved_ports

__all__ = ["SIZES", "NginxServer", "find_nginx", "pattern"]

SIZES = (0, 1, 1000, 100_000, 1 << 20, 5 << 20)
START_SECONDS = 10.0

CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    default_type application/octet-stream;
    keepalive_requests 100000000;
    keepalive_timeout 60s;
    client_max_body_size 0;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    gzip_types application/json application/octet-stream;
    gzip_min_length 0;
    add_header X-Connection $connection always;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        {tls}
        root {folder}/files;
        location = /hello {{ default_type text/plain; return 200 "ok"; }}
        location = /echo {{ default_type text/plain; return 200 "ok"; }}
        location = /json {{ gzip on; default_type application/json; }}
        location /gzip/ {{ gzip on; alias {folder}/files/bytes/; }}
        # What is added after a body has no length beforehand, so the response is chunked.
        location /chunked/ {{ alias {folder}/files/bytes/; add_after_body /nothing; addition_types *; }}
        location = /nothing {{ internal; }}
        location /limited/ {{ limit_rate 2m; alias {folder}/files/bytes/; }}
        location = /redirect/1 {{ return 302 /hello; }}
        location = /redirect/2 {{ return 302 /redirect/1; }}
        location = /redirect/3 {{ return 302 /redirect/2; }}
        location /store/ {{ dav_methods PUT DELETE; }}
        location = /status {{ stub_status; }}
    }}
}}
"""
TLS = """listen 127.0.0.1:{port} ssl backlog=1024;
        ssl_certificate {chain};
        ssl_certificate_key {key};"""


def find_nginx() -> str | None:
    """Return the path of the nginx program, also where Debian hides it from other users than root."""
    return shutil.which(
        "nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    )


def pattern(count: int) -> bytes:
    """Return *count* bytes in which no two blocks of 4 KiB are alike, so that a swapped block is seen."""
    return array("I", range(-(-count // 4))).tobytes()[:count]


class NginxServer:
    """Runs nginx for the time of a with block.

    Args:
        folder: An empty folder for its configuration, files and logs.
        certificate: Paths of a PEM chain and its key; then it speaks TLS too, at `tls_url`.
        sizes: The sizes in bytes of the files that it serves.

    Raises:
        RuntimeError: nginx is missing or did not start; the message carries its error log.
    """

    def __init__(
        self, folder: Path, certificate: tuple[Path, Path] | None = None, sizes: tuple[int, ...] = SIZES
    ) -> None:
        program = find_nginx()
        if program is None:
            raise RuntimeError("nginx is not installed")
        self._reserved = contextlib.ExitStack()
        self.port, self.tls_port = self._reserved.enter_context(reserved_ports(2))
        self.url = f"http://127.0.0.1:{self.port}"
        self.tls_url = f"https://localhost:{self.tls_port}"
        self._folder = folder
        self._command = [
            program,
            "-p",
            str(folder),
            "-c",
            str(folder / "nginx.conf"),
            "-e",
            str(folder / "error.log"),
        ]
        self._write_files(sizes)
        tls = (
            ""
            if certificate is None
            else TLS.format(port=self.tls_port, chain=certificate[0], key=certificate[1])
        )
        # Started by root, its worker would become another user, who can't read a private folder.
        user = "user root;" if os.getuid() == 0 else ""
        configuration = CONFIGURATION.format(folder=folder, port=self.port, tls=tls, user=user)
        (folder / "nginx.conf").write_text(configuration, encoding="utf-8")

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        between_tries = threading.Event()
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self._stop()
                    log = (self._folder / "error.log").read_text(encoding="utf-8", errors="replace")
                    raise RuntimeError(f"nginx did not start: {log}") from None
                between_tries.wait(0.01)
            else:
                return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._reserved.close()
        self._process.terminate()
        self._process.wait(START_SECONDS)

    def _write_files(self, sizes: tuple[int, ...]) -> None:
        files = self._folder / "files"
        (files / "bytes").mkdir(parents=True)
        (files / "store").mkdir()
        (files / "nothing").touch()
        for size in sizes:
            (files / "bytes" / str(size)).write_bytes(pattern(size))
        (files / "json").write_text(json.dumps(document()), encoding="utf-8")


def document() -> list[dict[str, object]]:
    """Return what ``/json`` serves: 30 KB of the kind of records that REST services answer with."""
    return [
        {
            "id": number,
            "name": f"user-{number:05}",
            "active": number % 3 == 0,
            "score": number * 0.37,
            "tags": ["a", "bc"],
        }
        for number in range(350)
    ]
