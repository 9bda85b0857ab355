"""Decide from a scan result whether to store a document and who may read it.

Infected files are rejected. A file that could not be scanned is stored, but only its uploader can open it until a later
scan finds it clean. Documents stored before a scanner was configured stay readable unless a later scan finds malware in
them.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, or_

from medfiles.antivirus.clamd import INFECTED as FOUND
from medfiles.antivirus.clamd import UNSCANNED, Clamd
from medfiles.clock import now
from medfiles.errors import BeingChecked, Infected, Quarantined
from medfiles.i18n import gettext
from medfiles.models import EntityFile
from medfiles.permissions import Actor
from medfiles.sandbox.pool import open_file

WAITING, CLEAN, INFECTED = "waiting", "clean", "infected"  # EntityFile.scan; None: never scanned, readable
CHUNK = 64 * 1024


def scan_upload(scanner: Clamd | None, path: Path) -> dict[str, Any]:
    """Scan an upload and return its document's scan columns. Raises Infected if malware is found."""
    if scanner is None:
        return {}
    with open_file(path) as file:
        verdict = scanner.scan(iter(lambda: file.read(CHUNK), b""))
    if verdict.result == FOUND:
        raise Infected(
            gettext(
                "The malware scanner found “%(detail)s” in this file, so it was not added. Do not open the file.",
                detail=verdict.detail,
            ),
            verdict.detail,
        )
    if verdict.result == UNSCANNED:
        return {"scan": WAITING, "scan_words": verdict.detail, "scanned_at": None if verdict.unreachable else now()}
    return {"scan": CLEAN, "scanned_at": now()}


def is_blocked(file: EntityFile, user_id: int | None) -> bool:
    """Return whether the document's scan result prevents this account from reading it."""
    return file.scan == INFECTED or (file.scan == WAITING and (user_id is None or file.uploaded_by != user_id))


def readable_sql(user_id: int) -> ColumnElement[bool]:
    """Condition on documents: this account can read them, as `is_blocked` says."""
    scan = EntityFile.scan
    return or_(
        scan.is_(None), scan.not_in([INFECTED, WAITING]), (scan == WAITING) & (EntityFile.uploaded_by == user_id)
    )


def require_readable(file: EntityFile, actor: Actor) -> None:
    """Raise Quarantined or BeingChecked if the actor cannot read the document."""
    if file.scan == INFECTED:
        raise Quarantined()
    if is_blocked(file, actor.user_id):
        raise BeingChecked()
