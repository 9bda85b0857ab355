"""nginx in front of servers of a test, with the configuration that deploy/nginx has, until the block ends."""

import datetime
import os
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support import tools
from tests.support.server import ROOT, TIED, free_ports

CONFIGURATION = ROOT / "deploy" / "nginx"
SECONDS = 20
UPSTREAM = "    server 127.0.0.1:8000 max_fails=2 fail_timeout=2s;\n"
USER = "user root;" if os.getuid() == 0 else ""
AROUND = """{user}
worker_processes 2;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    sendfile on;
    access_log off;
{inside}
}}
"""


@dataclass(frozen=True)
class Front:
    """`address` of the servers behind it, "https://127.0.0.1:…", and of plain http; `trust` knows its certificate.

    `folder` has its files.
    """

    address: str
    plain: str
    trust: ssl.SSLContext
    folder: Path


@contextmanager
def serve(servers: Sequence[str], uploads: Path | None = None) -> Iterator[Front]:
    """`servers` are addresses as tests.server gives them; `uploads` the folder of documents, where that is reached."""
    tools.need("nginx")
    with tempfile.TemporaryDirectory(prefix="medfiles-nginx-") as place:
        folder = Path(place)
        https, http = free_ports(2)
        trust = certify(folder)
        write(folder, servers, uploads or folder, https, http)
        process = subprocess.Popen(command(folder))
        try:
            _wait(process, https, folder / "error.log")
            yield Front(f"https://127.0.0.1:{https}", f"http://127.0.0.1:{http}", trust, folder)
        finally:
            process.terminate()
            process.wait()


def write(folder: Path, servers: Sequence[str], uploads: Path, https: int, http: int) -> None:
    """The configuration as it is in deploy/nginx, but for addresses, ports and folders."""
    site = (CONFIGURATION / "site.conf").read_text()
    (folder / "medfiles-site.conf").write_text(site)
    changed = (CONFIGURATION / "medfiles.conf").read_text()
    beside = "".join(UPSTREAM.replace("127.0.0.1:8000", urlsplit(server).netloc) for server in servers)
    for old, new in (
        (UPSTREAM, beside),
        ("listen 80;", f"listen 127.0.0.1:{http};"),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{https} ssl http2;"),
        ("/etc/ssl/medfiles", str(folder)),
        ("/etc/nginx/medfiles-site.conf;", f"{folder}/medfiles-site.conf;"),
        ("alias /var/lib/medfiles/uploads/;", f"alias {uploads}/;"),
        ("/var/lib/medfiles-", f"{folder}/medfiles-"),
    ):
        assert old in changed, old
        changed = changed.replace(old, new)
    (folder / "medfiles.conf").write_text(changed)
    whole(folder, f"    include {folder}/medfiles.conf;")


def whole(folder: Path, inside: str) -> None:
    """A configuration with this inside, all of whose files are in the folder."""
    (folder / "nginx.conf").write_text(AROUND.format(user=USER, folder=folder, inside=inside))


def certify(folder: Path) -> ssl.SSLContext:
    """A certificate of its own for 127.0.0.1, and who trusts it."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "medfiles")]),
    )
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "privkey.pem").write_bytes(key.private_bytes(*plain))
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return ssl.create_default_context(cafile=str(folder / "fullchain.pem"))


def command(folder: Path) -> list[str]:
    """Return what starts nginx with the configuration in the folder."""
    return [*TIED, *tools.command("nginx"), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"nginx did not start:\n{log.read_text(errors='replace')}")
