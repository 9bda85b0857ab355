"""What is measured: medfiles as it is deployed, and beside it what less does: bare Flask, nginx, plain Python."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from medfiles.accounts import api_tokens
from medfiles.sandbox.pool import Sandbox
from tests.support import nginx, samples, seaweed
from tests.support.factories import World, at_work, make_app
from tests.support.server import ROOT, TIED, environment, flask, free_ports, serve

WORKERS, THREADS = "2", "8"
ENTITIES = "[visit]\nmax_size_mb = 25\nmax_files = 1000000\n"
ACCEL = "/documents-inside/"
KIB, MIB = 1024, 1024**2
NGINX = """
    server {{
        listen 127.0.0.1:{port};
        keepalive_requests 1000000;
        root {root};
        location {accel} {{
            internal;
            alias {uploads}/;
        }}
        location /api/ {{
            proxy_pass {behind};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_max_temp_file_size 0;
        }}
    }}
"""


@dataclass
class Paper:
    """A PDF of so many bytes, most of them as if scanned; each one that is asked for is another document."""

    size: int
    _bytes: bytearray = field(init=False, repr=False)
    _place: int = field(init=False)

    def __post_init__(self) -> None:
        noise = secrets.token_bytes(max(0, self.size - 1200))
        stream = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(noise), noise)
        objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
                   b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]  # fmt: skip
        made = samples.pdf_file([*objects, *samples.pdf_page(5, "Scan"), stream])
        self._bytes, self._place = bytearray(made), made.index(noise[:64])

    def another(self) -> bytes:
        self._bytes[self._place : self._place + 16] = secrets.token_bytes(16)
        return bytes(self._bytes)


@dataclass(frozen=True)
class Site:
    """medfiles on gunicorn: `address`, a `token` for it, and the `world` inside it."""

    address: str
    token: str
    world: World
    place: Path

    def get(self, path: str, **headers: str) -> bytes:
        return request("GET", path, {"Authorization": f"Bearer {self.token}", **_named(headers)})

    def post(self, path: str, length: int, **headers: str) -> bytes:
        said = {"Authorization": f"Bearer {self.token}", "Content-Length": str(length), **_named(headers)}
        return request("POST", path, said)


def request(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def settings_in(place: Path, **more: str) -> dict[str, str]:
    """As a busy installation has them: what nobody waits for is left to a worker, and accounts have no rate."""
    (place / "entities.toml").write_text(ENTITIES)
    usual = {
        "INSTANCE": str(place / "instance"),
        "DATABASE_URL": f"sqlite:///{place / 'instance' / 'medfiles.db'}",
        "ENTITIES": str(place / "entities.toml"),
        "WORKERS": WORKERS,
        "THREADS": THREADS,
        "JOBS": "worker",
        "UPLOADS_PER_MINUTE": "0",
        "BULK_PER_MINUTE": "0",
        "LOG_FORMAT": "json",
    }
    return {f"MEDFILES_{name}": value for name, value in (usual | more).items()}


@contextmanager
def medfiles(place: Path, **more: str) -> Iterator[Site]:
    place.mkdir(exist_ok=True)
    (place / "instance").mkdir(mode=0o700, exist_ok=True)
    settings = settings_in(place, **more)
    flask(settings, "db", "upgrade")
    app = make_app(settings, Sandbox(1))
    with at_work(app) as world:
        token = api_tokens.create(world.actor(), "Bench", api_tokens.WRITE)[1]
        with serve(settings) as address:
            yield Site(address, token, world, place)


@contextmanager
def bare(place: Path) -> Iterator[str]:
    """On gunicorn too, with as many processes and threads."""
    place.mkdir()
    [port] = free_ports(1)
    options = {"workers": WORKERS, "threads": THREADS, "worker-class": "gthread", "keep-alive": "5"}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    command = [*TIED, sys.executable, "-m", "gunicorn", *words, "--no-control-socket", "--log-level", "warning"]
    own = environment({}) | {"BARE_FOLDER": str(place), "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen([*command, "--bind", f"127.0.0.1:{port}", "bench.bare:app"], cwd=place, env=own)
    try:
        _wait(f"http://127.0.0.1:{port}/files/none")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@contextmanager
def front(place: Path, behind: str, uploads: Path) -> Iterator[str]:
    """nginx by plain http, since encryption would be the same for all: files of its own, and medfiles behind it."""
    place.mkdir()
    [port] = free_ports(1)
    nginx.whole(place, NGINX.format(port=port, root=uploads, uploads=uploads, behind=behind, accel=ACCEL))
    server = subprocess.Popen(nginx.command(place))
    try:
        _wait(f"http://127.0.0.1:{port}/none")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@contextmanager
def object_store() -> Iterator[str]:
    """The address of a folder in SeaweedFS; the environment has the keys meanwhile."""
    with seaweed.server() as endpoint, ExitStack() as stack:
        for name, value in seaweed.KEYS.items():
            stack.callback(_put_back, name, os.environ.get(name))
            os.environ[name] = value
        yield seaweed.url(endpoint, "bench")


def folder(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="medfiles-bench-")))


def _put_back(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _wait(address: str) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except urllib.error.HTTPError as answered:
            answered.close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{address} does not answer")
