"""What is under way when the fault comes: the verbs on documents, each as a request to the real app.

Those on a whole record or patient include the job that follows the answer, in batches of one document.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from medfiles.audit import chain
from medfiles.clock import now
from medfiles.database.session import db
from medfiles.documents import lifecycle
from medfiles.errors import MedfilesError
from medfiles.http import capacity
from medfiles.operations import housekeeping
from medfiles.storage import journal

LATER = timedelta(hours=1)  # every lease is over by then
EXPIRED, NEVER = timedelta(days=30), timedelta(days=30_000)
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


def move(app: Flask, facts: Facts) -> int:
    """To another patient, under which there is no record."""
    to = f'{{"to_type": "patient", "to_id": {facts["other"]}}}'.encode()
    return _ask(app, facts, "POST", f"/files/{facts['live']}/move", to, "application/json")


def take_back(app: Flask, facts: Facts) -> int:
    return _ask(app, facts, "POST", f"/files/{facts['given']}/take-back")


def move_record(app: Flask, facts: Facts) -> int:
    to = f'{{"patient_id": {facts["other"]}}}'.encode()
    return _ask(app, facts, "POST", f"/visits/{facts['visit']}/move", to, "application/json")


def trash_record(app: Flask, facts: Facts) -> int:
    return _large(app, facts, "DELETE", f"/visits/{facts['visit']}", facts["patient"])


def restore_record(app: Flask, facts: Facts) -> int:
    return _large(app, facts, "POST", f"/visits/{facts['gone']}/restore", facts["patient"])


def trash_patient(app: Flask, facts: Facts) -> int:
    return _large(app, facts, "DELETE", f"/patients/{facts['patient']}", facts["patient"])


def restore_patient(app: Flask, facts: Facts) -> int:
    return _large(app, facts, "POST", f"/patients/{facts['away']}/restore", facts["away"])


def purge_patient(app: Flask, facts: Facts) -> int:
    """Housekeeping, when nothing but the patient in the trash has expired."""
    return _jobs(app, lambda parts: housekeeping.purge_expired(parts.registry, parts.storages, EXPIRED, force=True))


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
    with ThreadPoolExecutor(many) as people, patch.object(capacity, "UPLOADS_PER_ACCOUNT", many):
        answers = Counter(people.map(send, range(many)))
    return 200 if set(answers) <= {201, 409} else 500


def reconcile(app: Flask, facts: Facts) -> int:
    """The sweep when every lease is over, and the jobs that were interrupted; 200 when a second run finds nothing."""
    with app.app_context():
        parts = app.extensions["medfiles"]
        first, second = (_reconciled(parts, facts) for _ in range(2))
    return 200 if first[0].failed == 0 and second == (journal.Swept(0, 0), 0, 0) else 500


def _reconciled(parts: Any, facts: Facts) -> tuple[journal.Swept, int, int]:
    """What was swept, moved, and purged of patients whose purge had begun: nothing else has expired."""
    purged = housekeeping.purge_expired(parts.registry, parts.storages, NEVER, force=True)
    moved = [lifecycle.move_pending(parts.storages, parts.registry, facts[who]) for who in ("patient", "away")]
    return journal.sweep(parts.storages, now() + LATER), sum(moved), purged.documents + purged.patients


VERBS: Mapping[str, Callable[[Flask, Facts], int]] = {
    one.__name__: one
    for one in (
        upload, trash, restore, purge, edit, move, take_back, move_record, reconcile, open_and_seal, crowd,
        trash_record, restore_record, trash_patient, restore_patient, purge_patient,
    )
}  # fmt: skip
LARGE = ("trash_record", "restore_record", "trash_patient", "restore_patient", "purge_patient")
CHANGES = ("upload", "trash", "restore", "purge", "edit", "move", "take_back", "move_record", *LARGE)
EVERY_DAY = (*CHANGES, "reconcile")  # in an order in which most succeed


def _large(app: Flask, facts: Facts, method: str, path: str, patient_id: int) -> int:
    """A request on a record or patient as if it had many documents, and the job that moves their bytes."""
    with patch.object(lifecycle, "LARGE", 0):
        answer = _ask(app, facts, method, path)
    if answer != 200:
        return answer
    return _jobs(app, lambda parts: lifecycle.move_pending(parts.storages, parts.registry, patient_id))


def _jobs(app: Flask, run: Callable[[Any], Any]) -> int:
    """A job in batches of one document; 503 when it failed as the queue expects, which would run it again."""
    with app.app_context(), patch.object(lifecycle, "BATCH", 1), patch.object(housekeeping, "BATCH", 1):
        try:
            run(app.extensions["medfiles"])
        except (MedfilesError, SQLAlchemyError, OSError):
            db.session.rollback()
            return 503
    return 200


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
