"""What a malware scan said of a document, and who may read it then.

Three verdicts: clean, infected, not scanned. What is infected is not stored. What could not be scanned is kept and
waits: until a later scan finds it clean, only its sender can open it. What was stored before there was a scanner can be
read by those who always could; when a scan finds something in it later, nobody can.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medfiles.antivirus.clamd import INFECTED as FOUND
from medfiles.antivirus.clamd import UNSCANNED, Clamd
from medfiles.clock import now
from medfiles.errors import BeingChecked, Infected, Quarantined
from medfiles.models import EntityFile
from medfiles.permissions import Actor
from medfiles.sandbox.pool import opened

WAITING, CLEAN, INFECTED = "waiting", "clean", "infected"  # EntityFile.scan; None: not scanned, and nobody waits for it
CHUNK = 64 * 1024


def scanned(scanner: Clamd | None, path: Path) -> dict[str, Any]:
    """What the row of a new document says of its scan; Infected when it must not be stored at all."""
    if scanner is None:
        return {}
    verdict = scanner.scan(_chunks(path))
    if verdict.kind == FOUND:
        raise Infected(
            f"The malware scanner found “{verdict.words}” in this file. It was not stored. Do not open it.",
            verdict.words,
        )
    if verdict.kind == UNSCANNED:
        return {"scan": WAITING, "scan_words": verdict.words, "scanned_at": None if verdict.away else now()}
    return {"scan": CLEAN, "scanned_at": now()}


def is_held(file: EntityFile, user_id: int | None) -> bool:
    """Whether this account cannot read it because of a scan."""
    return file.scan == INFECTED or (file.scan == WAITING and (user_id is None or file.uploaded_by != user_id))


def must_be_readable(file: EntityFile, actor: Actor) -> None:
    if file.scan == INFECTED:
        raise Quarantined()
    if is_held(file, actor.user_id):
        raise BeingChecked()


def _chunks(path: Path) -> Iterator[bytes]:
    with opened(path) as file:
        while chunk := file.read(CHUNK):
            yield chunk
