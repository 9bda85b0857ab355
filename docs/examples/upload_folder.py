"""Upload every file of a folder to a record: python3 upload_folder.py FOLDER http://localhost:8000/api/v1/visit/7

Reads the API token from the environment variable TOKEN. Retries on errors; running it again stores nothing twice.
"""

import contextlib
import hashlib
import http.client
import json
import os
import sys
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

TRIES, LONGEST = 10, 60  # attempts per file; seconds between two of them


def send(record, headers, content):
    """Send one request and return status, Retry-After and body."""
    at = urlsplit(record)
    kind = http.client.HTTPSConnection if at.scheme == "https" else http.client.HTTPConnection
    with contextlib.closing(kind(at.netloc, timeout=120)) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused early: read the response
            connection.request("POST", f"{at.path}/files", content, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Retry-After", ""), answer.read()


def upload(path, record, token):
    """Upload a file and return its document, also when it was uploaded before. RuntimeError when it is refused."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    key = hashlib.sha256(f"{record} {path.name} {digest}".encode()).hexdigest()  # the same on every run
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key, "Content-Type": "application/octet-stream"}
    headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(path.name, safe='')}"
    for attempt in range(TRIES):
        wait = ""
        try:
            status, wait, body = send(record, headers, content)
            if status in (200, 201) and (document := json.loads(body))["sha256"] == digest:
                return document
            if status < 500 and status not in (408, 425, 429):
                raise RuntimeError(json.loads(body).get("detail", "the stored document differs from the file"))
            why = f"status {status}"
        except (OSError, http.client.HTTPException) as error:  # no connection, or a broken one
            why = str(error)
        pause = int(wait) if wait.isdigit() else min(2**attempt / 2, LONGEST)
        print(f"{path.name}: {why}, retrying in {pause} s", file=sys.stderr, flush=True)
        time.sleep(pause)
    raise RuntimeError("giving up")


if __name__ == "__main__":
    folder, record, failed = Path(sys.argv[1]), sys.argv[2].rstrip("/"), 0
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        try:
            print(path.name, upload(path, record, os.environ["TOKEN"])["id"], flush=True)
        except (RuntimeError, ValueError) as error:
            print(f"{path.name}: {error}", file=sys.stderr, flush=True)
            failed += 1
    sys.exit(failed > 0)
