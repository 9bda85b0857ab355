"""A real object store for tests: SeaweedFS, on free ports of this machine alone, until the block ends."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from tests.support.server import TIED, free_ports

PROGRAM = Path(sys.executable).with_name("weed")
KEYS = {"AWS_ACCESS_KEY_ID": "sample", "AWS_SECRET_ACCESS_KEY": "a sample of a secret"}
BUCKET = "documents"
SECONDS = 60
ONCE: Any = {"max_retries": 0}
PORTS = (
    "s3.port", "s3.port.grpc", "s3.port.iceberg", "s3.port.lance", "filer.port", "filer.port.grpc", "master.port",
    "master.port.grpc", "volume.port", "volume.port.grpc", "admin.port", "admin.port.grpc",
)  # fmt: skip


def url(endpoint: str, folder: str) -> str:
    """For MEDFILES_STORAGE_URL: a folder of the bucket."""
    return f"s3://{BUCKET}/{folder}?endpoint={endpoint}&region=us-east-1"


@contextmanager
def server() -> Iterator[str]:
    """The endpoint, "http://127.0.0.1:…", of a store with one empty bucket; `KEYS` open it."""
    with tempfile.TemporaryDirectory(prefix="medfiles-weed-") as folder:
        ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        command = [
            *TIED, str(PROGRAM), f"-logdir={folder}", "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            "-volume.max=64", "-webdav=false", "-admin.ui=false", "-s3.autoCreateBucket=false",
            f"-filer.localSocket={folder}/filer.sock", f"-s3.localSocket={folder}/s3.sock", f"-bucket={BUCKET}",
            "-master.telemetry=false", *(f"-{name}={port}" for name, port in ports.items()),
        ]  # fmt: skip
        log = Path(folder, "words.log")
        with log.open("wb") as words:
            store = subprocess.Popen(command, cwd=folder, env=os.environ | KEYS, stdout=words, stderr=words)
        try:
            endpoint = f"http://127.0.0.1:{ports['s3.port']}"
            _wait(store, endpoint, log)
            yield endpoint
        finally:
            store.kill()
            store.wait()


def _wait(store: subprocess.Popen[bytes], endpoint: str, log: Path) -> None:
    options: Any = {name.lower(): value for name, value in KEYS.items()} | {"endpoint": endpoint}
    bucket = from_url(f"s3://{BUCKET}", config=options, client_options={"allow_http": True}, retry_config=ONCE)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and store.poll() is None:
        with suppress(BaseError, FileNotFoundError):  # not before the bucket is there
            obstore.put(bucket, "ready", b"yes")
            return
        time.sleep(0.1)
    raise RuntimeError(f"The object store did not start:\n{log.read_text(errors='replace')}")
