"""Build the encrypted copy of the documents of a SMART Health Link. Runs as a job.

The copy is made in temporary files, so that memory does not grow with the documents. The key is never part of the job.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import delete, select

from medfiles.clock import now
from medfiles.content import opened, proven
from medfiles.database.session import db, end_read, read, transaction
from medfiles.documents import lifecycle
from medfiles.errors import Conflict, MedfilesError
from medfiles.i18n import gettext
from medfiles.jobs import queue as jobs
from medfiles.links import states
from medfiles.links.states import State
from medfiles.models import EntityFile, Patient, ShareLink, SmartLink, SmartLinkDocument
from medfiles.previews.libreoffice import Converter
from medfiles.sandbox.pool import Sandbox
from medfiles.smart_links import bundle, story
from medfiles.smart_links.bundle import Attachment
from medfiles.smart_links.crypto import JweWriter, Wrapping
from medfiles.smart_links.story import Cover, Paper
from medfiles.storage import Staged, Storages, journal, smart_link_key
from medfiles.storage.base import translated
from medfiles.storage.row_objects import SMART_LINK
from medfiles.text import split_extension

log = structlog.get_logger("medfiles.smart_links")
MOST_OBJECT = 256 * 1024 * 1024  # bytes of the encrypted copy: pictures and pages can be larger as PDF
ATTEMPTS = 3  # if documents change while they are copied
WAIT_SECONDS, POLL_SECONDS = 5.0, 0.1  # for a new link
pause = time.sleep


@dataclass(frozen=True)
class Order:
    """A copy to be built of what the share link shows now. Its rows are detached."""

    smart: SmartLink
    link: ShareLink
    patient: Patient
    documents: Sequence[EntityFile]
    fingerprint: str


@dataclass(frozen=True)
class Builder:
    storages: Storages
    renderers: Sandbox
    converter: Converter
    wrapping: Wrapping

    def build(self, smart_id: int) -> dict[str, Any]:
        """Build or rebuild a copy; return facts for the log. A link that has ended is left alone."""
        try:
            for _ in range(ATTEMPTS):
                order = order_for(smart_id)
                if order is None:
                    return {}
                if self._build(order):
                    return {"bytes": order.smart.size, "documents": len(order.documents)}
        except MedfilesError as error:
            _note_failure(smart_id, error.code)
            raise
        _note_failure(smart_id, Conflict.code)
        raise Conflict(lifecycle.CHANGED)

    def _build(self, order: Order) -> bool:
        """Return whether the copy is current; False if the documents changed while they were copied."""
        storage, key = self.storages.default, smart_link_key()
        secret = self.wrapping.unwrap(order.smart.key_wrapped or b"")
        staged = storage.stage(MOST_OBJECT)
        try:
            with storage.staged_folder() as folder:
                self._encrypt(order, folder, staged, secret)
            with lifecycle.storing(self.storages, {storage.name: [key]}, (MedfilesError, _Changed)):
                storage.commit(staged, key)
                with transaction():
                    earlier = _store(order, storage.name, key, staged.size)
        except _Changed:
            return False
        finally:
            staged.discard()
        journal.remove(self.storages, earlier)
        order.smart.size = staged.size
        return True

    def _encrypt(self, order: Order, folder: Path, staged: Staged, secret: bytes) -> None:
        papers = [self._paper(folder, number, file) for number, file in enumerate(order.documents)]
        link, patient, at = order.link, order.patient, now()
        cover = Cover(patient.full_name, patient.birth_date, link.sender, link.note, at, order.smart.expires_at)
        made = story.build(papers, cover, folder, self.renderers, self.converter)
        title = gettext("Documents of %(patient)s", patient=patient.full_name)
        attachments = [Attachment(made.story, title, None)]
        if order.smart.each_document:
            attachments += [
                Attachment(path, paper.name, paper.day)
                for path, paper in zip(made.documents, papers, strict=True)
                if path is not None
            ]
        writer = JweWriter(staged.write, secret, bundle.CONTENT_TYPE)
        for chunk in bundle.chunks(patient, attachments, at):
            writer.write(chunk)
        writer.finish()

    def _paper(self, folder: Path, number: int, file: EntityFile) -> Paper:
        """Copy a document to a local file, comparing its checksum."""
        path = folder / f"original-{number}"
        with translated(), path.open("wb") as copy:
            for chunk in proven(opened(file, self.storages).read(), file.sha256):
                copy.write(chunk)
        name, _ = split_extension(file.file_name)
        return Paper(name, file.file_type, file.description or "", file.dated_on, path)


class _Changed(Exception):
    """Raised to give up a copy of documents that changed while they were copied."""


def order_for(smart_id: int) -> Order | None:
    """Return what to build; None if the link has ended or has a current copy."""
    end_read()
    found = _shown(smart_id)
    if found is not None:
        for row in (found.smart, found.link, found.patient, *found.documents):
            db.session.expunge(row)
    end_read()
    return None if found is None or found.fingerprint == found.smart.fingerprint else found


def wait(smart_id: int) -> bool:
    """Wait until a copy has been built; return whether it has. Returns early if it cannot be."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        [(built, failure)] = read(select(SmartLink.built_at, SmartLink.failure).where(SmartLink.id == smart_id))
        if built or failure or time.monotonic() >= deadline:
            return built is not None
        pause(POLL_SECONDS)


def refresh(smart: SmartLink, fingerprint: str) -> bool:
    """Have the copy rebuilt if documents of a link that keeps up to date have changed; return whether they have.

    This takes a transaction of its own.
    """
    if "L" not in smart.flags or smart.fingerprint == fingerprint:
        return False
    smart_id = smart.id
    with transaction():
        jobs.enqueue(jobs.SMART, smart_id)
    return True


def fingerprint_of(
    smart: SmartLink, link: ShareLink, patient: Patient, documents: Sequence[EntityFile]
) -> str:  # fmt: skip
    """Return a hash of everything that goes into the copy."""
    person = (patient.first_name, patient.last_name, patient.birth_date.isoformat(), patient.gender)
    files = [
        (file.id, file.sha256, file.file_name, file.file_type, file.description, file.dated_on.isoformat())
        for file in documents
    ]
    told = [person, link.sender, link.note, smart.each_document, files]
    return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()


def _shown(smart_id: int, *, lock: bool = False) -> Order | None:
    """Return the link as it is now; None if it has ended or can no longer be built."""
    smart = db.session.get(SmartLink, smart_id, populate_existing=True, with_for_update=lock)
    if smart is None or smart.ended_at is not None or smart.key_wrapped is None or smart.expires_at <= now():
        return None
    link, patient, is_allowed, lasts = db.session.execute(
        states.with_state().where(ShareLink.id == smart.link_id)
    ).one()  # fmt: skip
    if states.state_of(link, bool(is_allowed), bool(lasts)) not in (State.ACTIVE, State.PAUSED):
        return None
    documents = states.shown_documents([link.id])[link.id]
    if not documents:
        return None
    return Order(smart, link, patient, documents, fingerprint_of(smart, link, patient, documents))


def _store(order: Order, storage: str, key: str, size: int) -> list[str]:
    """Name the new object in the locked row. Return the keys to remove after the commit.

    Raises _Changed if the documents have changed since, or the link has ended.
    """
    current = _shown(order.smart.id, lock=True)
    if current is None or current.fingerprint != order.fingerprint:
        raise _Changed
    smart = current.smart
    earlier = SMART_LINK.put(smart, storage, key, size)
    smart.fingerprint, smart.built_at, smart.failure = order.fingerprint, now(), None
    if "L" not in smart.flags:
        smart.key_wrapped = None
    held = [file.id for file in order.documents]
    db.session.execute(delete(SmartLinkDocument).where(SmartLinkDocument.smart_link_id == smart.id))
    db.session.add_all(SmartLinkDocument(smart_link_id=smart.id, file_id=file_id) for file_id in held)
    return earlier


def _note_failure(smart_id: int, code: str) -> None:
    with transaction() as session:
        if smart := session.get(SmartLink, smart_id, populate_existing=True, with_for_update=True):
            smart.failure = code[:50]
