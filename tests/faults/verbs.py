"""What is under way when the fault comes: the verbs on documents, each as a request to the real app."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from flask import Flask

from medfiles import journal
from medfiles.clock import now

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


def reconcile(app: Flask, facts: Facts) -> int:
    """The sweep when every lease is over; 200 when it could do all and another one finds nothing to do."""
    with app.app_context():
        storages = app.extensions["medfiles"].storages
        first, second = (journal.sweep(storages, now() + LATER) for _ in range(2))
    return 200 if first.failed == 0 and second == journal.Swept(0, 0) else 500


VERBS: Mapping[str, Callable[[Flask, Facts], int]] = {
    one.__name__: one for one in (upload, trash, restore, purge, edit, reconcile)
}
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
