"""What is under way when the fault comes: the verbs on documents, each as a request to the real app."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from flask import Flask

from medfiles.audit import chain
from medfiles.clock import now
from medfiles.storage import journal

LATER = timedelta(hours=1)  # every lease is over by then
CONTENT = b"Ella slept well. " * 20_000  # more than one chunk of an upload
KEY = "the-upload-of-the-test"
Facts = Mapping[str, Any]


def upload(app: Flask, facts: Facts) -> int:
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote('Sleep diary.txt')}",
        "Idempotency-Key": KEY,
    }
    return _ask(app, facts, "POST", f"/visits/{facts['visit']}/files", CONTENT, "application/octet-stream", headers)


def trash(app: Flask, facts: Facts) -> int:
    return _ask(app, facts, "DELETE", f"/files/{facts['live']}")


def restore(app: Flask, facts: Facts) -> int:
    return _ask(app, facts, "POST", f"/files/{facts['trashed']}/restore")


def purge(app: Flask, facts: Facts) -> int:
    return _ask(app, facts, "POST", f"/files/{facts['trashed']}/purge")


def edit(app: Flask, facts: Facts) -> int:
    return _ask(
        app, facts, "PUT", f"/files/{facts['live']}/metadata", b'{"description": "Read twice"}', "application/json"
    )


def open_and_seal(app: Flask, facts: Facts) -> int:
    """A download, and what the server does within four seconds after it."""
    answer = _ask(app, facts, "GET", f"/files/{facts['live']}/download")
    with app.app_context():
        return answer if chain.seal(app.extensions["medfiles"].sealer) else 500


def crowd(app: Flask, facts: Facts) -> int:
    """Twice as many uploads as a record has room for, all of them let in before the first is stored."""
    parts = app.extensions["medfiles"]
    many = 2 * facts["room"]
    together, real = threading.Barrier(many), parts.sandbox.run

    def run(*arguments: Any, **options: Any) -> Any:
        together.wait(60)
        return real(*arguments, **options)

    def send(number: int) -> int:
        headers = {"Content-Disposition": f'attachment; filename="{number}.txt"', "Idempotency-Key": str(number)}
        path = f"/visits/{facts['visit']}/files"
        return _ask(app, facts, "POST", path, f"Paper {number}".encode(), "application/octet-stream", headers)

    parts.sandbox.run = run
    with ThreadPoolExecutor(many) as people:
        answers = Counter(people.map(send, range(many)))
    return 200 if set(answers) <= {201, 409} else 500


def reconcile(app: Flask, facts: Facts) -> int:
    """The sweep when every lease is over; 200 when it could do all and another one finds nothing to do."""
    with app.app_context():
        storages = app.extensions["medfiles"].storages
        first, second = (journal.sweep(storages, now() + LATER) for _ in range(2))
    return 200 if first.failed == 0 and second == journal.Swept(0, 0) else 500


VERBS: Mapping[str, Callable[[Flask, Facts], int]] = {
    one.__name__: one for one in (upload, trash, restore, purge, edit, reconcile, open_and_seal, crowd)
}
EVERY_DAY = ("upload", "trash", "restore", "purge", "edit", "reconcile")  # in an order in which most succeed
CHANGES = ("upload", "trash", "restore", "purge", "edit")


def _ask(
    app: Flask,
    facts: Facts,
    method: str,
    path: str,
    data: bytes = b"",
    content_type: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> int:
    said = {"Authorization": f"Bearer {facts['token']}", **(headers or {})}
    client: Any = app.test_client()
    return int(
        client.open(
            f"/api/v1{path}", method=method, data=data, content_type=content_type, headers=said, buffered=True,
            environ_overrides={"CONTENT_LENGTH": str(len(data))},
        ).status_code
    )  # fmt: skip
