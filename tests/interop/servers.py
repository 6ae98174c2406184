"""Real servers and proxies, each started on free loopback ports in a folder of its own and stopped in the end."""

from __future__ import annotations

import contextlib
import getpass
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.nginx import pattern
from tests.ports import reserved_ports

__all__ = ["PROXIES", "SERVERS", "Ports", "running", "running_proxy"]

START_SECONDS = 15.0
SIZES = (0, 1000, 100_000, 5 << 20)
APP = Path(__file__).with_name("app.py")
NGINX_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a server listens, on 127.0.0.1 and as localhost.

    Attributes:
        plain: For http.
        tls: For https; None if it speaks no TLS.
        behind: For the server that it stands before; None if there is none.
    """

    plain: int
    tls: int | None
    behind: int | None


#: (folder, ports, chain, key) -> the commands that run the server.
Configure = Callable[[Path, Ports, Path, Path], list[list[str]]]


def _apache(folder: Path, ports: Ports, chain: Path, key: Path) -> list[list[str]]:
    modules = "mpm_event authn_core authz_core alias mime cgid deflate ssl env filter".split()
    loads = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in modules)
    (folder / "apache.conf").write_text(f"""
ServerRoot {folder}
ServerName localhost
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
TypesConfig /dev/null
{loads}
Listen 127.0.0.1:{ports.plain}
Listen 127.0.0.1:{ports.tls}
User www-data
Group www-data
KeepAlive On
MaxKeepAliveRequests 0
DocumentRoot {folder}/files
ScriptSock {folder}/cgisock
ScriptAlias /echo {folder}/echo.cgi
Alias /gzip {folder}/files/bytes
AddOutputFilterByType DEFLATE application/octet-stream
<Directory {folder}>
  Require all granted
  Options +ExecCGI
  ForceType application/octet-stream
</Directory>
<Location /bytes>
  SetEnv no-gzip 1
</Location>
<VirtualHost 127.0.0.1:{ports.tls}>
  SSLEngine on
  SSLCertificateFile {chain}
  SSLCertificateKeyFile {key}
</VirtualHost>
""")
    return [["apache2", "-X", "-f", f"{folder}/apache.conf"]]


def _nginx(folder: Path, ports: Ports, chain: Path, key: Path) -> list[list[str]]:
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in NGINX_TEMPORARY)
    (folder / "nginx.conf").write_text(f"""
{"user www-data;" if os.getuid() == 0 else ""}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
  access_log off;
  default_type application/octet-stream;
  client_max_body_size 0;
  gzip_types application/octet-stream;
  {temporary}
  server {{
    listen 127.0.0.1:{ports.plain};
    listen 127.0.0.1:{ports.tls} ssl;
    ssl_certificate {chain};
    ssl_certificate_key {key};
    root {folder}/files;
    location /gzip/ {{ gzip on; alias {folder}/files/bytes/; }}
    location /echo {{ proxy_pass http://127.0.0.1:{ports.behind}; proxy_http_version 1.1; proxy_request_buffering off; }}
  }}
}}
""")
    return [
        [sys.executable, str(APP), "aiohttp", str(ports.behind)],
        ["nginx", "-p", str(folder), "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"],
    ]


def _lighttpd(folder: Path, ports: Ports, chain: Path, key: Path) -> list[list[str]]:
    (folder / "both.pem").write_bytes(key.read_bytes() + chain.read_bytes())
    (folder / "lighttpd.conf").write_text(f"""
server.modules = ("mod_alias", "mod_cgi", "mod_deflate", "mod_openssl")
server.bind = "127.0.0.1"
server.port = {ports.plain}
server.document-root = "{folder}/files"
server.errorlog = "{folder}/error.log"
server.max-keep-alive-requests = 1000000
server.stream-request-body = 0
mimetype.assign = ("" => "application/octet-stream")
alias.url = ("/echo" => "{folder}/echo.cgi", "/gzip" => "{folder}/files/bytes")
$HTTP["url"] =~ "^/echo" {{ cgi.assign = ("" => "") }}
$HTTP["url"] =~ "^/gzip" {{
  deflate.mimetypes = ("application/octet-stream")
  deflate.allowed-encodings = ("gzip")
}}
$SERVER["socket"] == "127.0.0.1:{ports.tls}" {{
  ssl.engine = "enable"
  ssl.pemfile = "{folder}/both.pem"
}}
""")
    return [["lighttpd", "-D", "-f", f"{folder}/lighttpd.conf"]]


def _haproxy(folder: Path, ports: Ports, chain: Path, key: Path) -> list[list[str]]:
    (folder / "both.pem").write_bytes(key.read_bytes() + chain.read_bytes())
    (folder / "haproxy.cfg").write_text(f"""
global
  maxconn 200
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend front
  bind 127.0.0.1:{ports.plain}
  bind 127.0.0.1:{ports.tls} ssl crt {folder}/both.pem alpn http/1.1
  default_backend back
backend back
  server one 127.0.0.1:{ports.behind}
""")
    return [
        [sys.executable, str(APP), "aiohttp", str(ports.behind)],
        ["haproxy", "-db", "-f", f"{folder}/haproxy.cfg"],
    ]


def _gunicorn(folder: Path, ports: Ports, chain: Path, key: Path) -> list[list[str]]:
    start = [sys.executable, "-m", "gunicorn", "--threads", "4", "--no-control-socket", "-w", "1"]
    start += ["--worker-tmp-dir", str(folder), "--chdir", str(APP.parent), "app:wsgi", "--keep-alive", "30"]
    return [
        [*start, "-b", f"127.0.0.1:{ports.plain}"],
        [*start, "-b", f"127.0.0.1:{ports.tls}", "--certfile", str(chain), "--keyfile", str(key)],
    ]


def _uvicorn(folder: Path, ports: Ports, chain: Path, key: Path) -> list[list[str]]:
    start = [sys.executable, "-m", "uvicorn", "--app-dir", str(APP.parent), "app:asgi", "--lifespan", "off"]
    secured = ["--ssl-certfile", str(chain), "--ssl-keyfile", str(key)]
    return [[*start, "--port", str(ports.plain)], [*start, "--port", str(ports.tls), *secured]]


def _waitress(folder: Path, ports: Ports, chain: Path, key: Path) -> list[list[str]]:
    program = f"import sys; sys.path.insert(0, {str(APP.parent)!r}); import app, waitress; "
    program += f"waitress.serve(app.wsgi, host='127.0.0.1', port={ports.plain})"
    return [[sys.executable, "-c", program]]


def _aiohttp(folder: Path, ports: Ports, chain: Path, key: Path) -> list[list[str]]:
    start = [sys.executable, str(APP), "aiohttp"]
    return [[*start, str(ports.plain)], [*start, str(ports.tls), str(chain), str(key)]]


#: Name -> (program or package that must be there, how it is run, whether it speaks TLS).
SERVERS: dict[str, tuple[str, Configure, bool]] = {
    "nginx": ("nginx", _nginx, True),
    "apache2": ("apache2", _apache, True),
    "lighttpd": ("lighttpd", _lighttpd, True),
    "haproxy": ("haproxy", _haproxy, True),
    "gunicorn": ("gunicorn", _gunicorn, True),
    "uvicorn": ("uvicorn", _uvicorn, True),
    "waitress": ("waitress", _waitress, False),
    "aiohttp": ("aiohttp", _aiohttp, True),
}

BEFORE_AIOHTTP = {"haproxy", "nginx"}


def _squid(folder: Path, port: int) -> list[str]:
    (folder / "squid.conf").write_text(f"""
http_port 127.0.0.1:{port}
http_access allow all
cache deny all
cache_log {folder}/cache.log
access_log none
pid_filename {folder}/squid.pid
coredump_dir {folder}
pinger_enable off
shutdown_lifetime 0 seconds
cache_effective_user {"proxy" if os.getuid() == 0 else getpass.getuser()}
""")
    return ["squid", "-N", "-f", f"{folder}/squid.conf", "-n", f"s{port}"]


def _tinyproxy(folder: Path, port: int) -> list[str]:
    (folder / "tinyproxy.conf").write_text(f"Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\n")
    return ["tinyproxy", "-d", "-c", f"{folder}/tinyproxy.conf"]


def _microsocks(folder: Path, port: int) -> list[str]:
    return ["microsocks", "-i", "127.0.0.1", "-p", str(port)]


def _dante(folder: Path, port: int) -> list[str]:
    user = "nobody" if os.getuid() == 0 else getpass.getuser()
    (folder / "danted.conf").write_text(f"""
internal: 127.0.0.1 port = {port}
external: lo
clientmethod: none
socksmethod: none
user.privileged: {user}
user.unprivileged: {user}
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
""")
    return ["danted", "-f", f"{folder}/danted.conf", "-p", f"{folder}/danted.pid", "-N", "1"]


#: Name -> (program, scheme of its URL, how it is run).
PROXIES: dict[str, tuple[str, str, Callable[[Path, int], list[str]]]] = {
    "squid": ("squid", "http", _squid),
    "tinyproxy": ("tinyproxy", "http", _tinyproxy),
    "microsocks": ("microsocks", "socks5h", _microsocks),
    "dante": ("danted", "socks5h", _dante),
}


def _program(name: str) -> str | None:
    paths = [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]
    return shutil.which(name, path=os.pathsep.join(paths))


def _missing(name: str) -> bool:
    return _program(name) is None and importlib.util.find_spec(name) is None


@contextlib.contextmanager
def running(name: str, folder: Path, certificate: tuple[Path, Path]) -> Iterator[Ports]:
    """Run the server *name*; skip the test where it is not installed."""
    needed, configure, speaks_tls = SERVERS[name]
    if _missing(needed):
        pytest.skip(f"{needed} is not installed; .ci/run installs it")
    _write_site(folder)
    with reserved_ports(3) as (plain, tls, behind):
        ports = Ports(plain, tls if speaks_tls else None, behind if name in BEFORE_AIOHTTP else None)
        commands = configure(folder, ports, *certificate)
        listening = [port for port in (ports.plain, ports.tls, ports.behind) if port is not None]
        with _processes(commands, folder, listening):
            yield ports


@contextlib.contextmanager
def running_proxy(name: str, folder: Path) -> Iterator[str]:
    """Run the proxy *name* and yield its URL; skip the test where it is not installed."""
    program, scheme, configure = PROXIES[name]
    if _missing(program):
        pytest.skip(f"{program} is not installed; .ci/run installs it")
    folder.chmod(0o777)  # squid and dante become other users
    with reserved_ports(1) as (port,), _processes([configure(folder, port)], folder, [port]):
        yield f"{scheme}://127.0.0.1:{port}"


def _write_site(folder: Path) -> None:
    for parent in (folder, *folder.parents[:3]):
        parent.chmod(0o755)  # servers started by root become another user
    (folder / "files" / "bytes").mkdir(parents=True)
    for size in SIZES:
        (folder / "files" / "bytes" / str(size)).write_bytes(pattern(size))
    script = folder / "echo.cgi"
    script.write_text(f"#!{shutil.which('python3', path='/usr/bin') or sys.executable}\n" + APP.read_text())
    script.chmod(0o755)


@contextlib.contextmanager
def _processes(commands: list[list[str]], folder: Path, ports: list[int]) -> Iterator[None]:
    """Run all *commands* until the block is left; enter it once something listens on each of *ports*."""
    log = folder / "output.log"
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("wb"))
        for command in commands:
            program = _program(command[0]) or command[0]
            process = subprocess.Popen(
                [program, *command[1:]], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder
            )
            stack.callback(_stop, process)
        deadline = time.monotonic() + START_SECONDS
        between_tries = threading.Event()
        for port in ports:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                except OSError:
                    if time.monotonic() > deadline:
                        logs = "\n".join(path.read_text(errors="replace") for path in folder.glob("*.log"))
                        raise RuntimeError(f"{commands[0][0]} did not start: {logs}") from None
                    between_tries.wait(0.02)
                else:
                    break
        yield


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
