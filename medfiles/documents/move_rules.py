"""Rules for moves: who may move a document to a record, and which documents the record takes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import select

from medfiles import permissions
from medfiles.antivirus.policy import INFECTED
from medfiles.database.session import db
from medfiles.documents import detection
from medfiles.documents.rules import checked_details, require_live, require_room, too_large
from medfiles.documents.uploading import count_live
from medfiles.errors import Forbidden, NotFound, OutOfScope, Quarantined, TypeNotAllowed
from medfiles.i18n import N_, gettext
from medfiles.models import EntityFile, Patient
from medfiles.permissions import Access, Action, Actor
from medfiles.record_types.declared import RecordType, Registry
from medfiles.record_types.media_types import BY_ALIAS
from medfiles.storage import live_key

TRASHED = N_("This document is in the trash. Restore it before you move it.")
INFECTED_STAYS = N_("Malware was found in this document. You can delete it but not move it.")
OWNER_ONLY = N_("Only the owner of these records can move documents to a patient of another account.")
SCOPE = N_("Moving a document to a patient of another account gives access. The token needs the scope “share” for it.")

Check = Callable[[EntityFile], None]


@dataclass
class Rules:
    """Whether the actor may move documents to a record."""

    actor: Actor
    registry: Registry
    record_type: RecordType
    record_id: int
    owner: int  # the account that owns the record's patient
    known: dict[int, tuple[Access, int]] = field(default_factory=dict)  # by patient, with the account of the owner

    def is_visible(self, patient_id: int | None) -> bool:
        return patient_id is not None and self._of(patient_id)[0].level is not None

    def new_check(self) -> Check:
        """Return a check that counts the documents for which the record still has room."""
        count = count_live(self.registry, self.record_type, self.record_id)

        def check(file: EntityFile) -> None:
            nonlocal count
            self.require(file, *self._of(file.patient_id))
            if not is_in(file, self.record_type, self.record_id):
                require_room(self.record_type, count)
                count += 1

        return check

    def authorize(self, files: Sequence[EntityFile]) -> None:
        """Check again in the open transaction, which has locked the documents."""
        now = {
            patient_id: (permissions.current_access(self.actor, patient_id), self._of(patient_id)[1])
            for patient_id in sorted({file.patient_id for file in files})
        }
        for file in files:
            self.require(file, *now[file.patient_id])

    def require(self, file: EntityFile, access: Access, owner: int) -> None:
        level = permissions.require_level(access.level, Action.VIEW)
        if file.deleted_at is not None and level == Action.VIEW:
            raise NotFound()
        permissions.require_access(access, Action.EDIT, writes=True)
        require_live(file, TRASHED)
        if file.scan == INFECTED:
            raise Quarantined(INFECTED_STAYS)
        if owner != self.owner:
            if level != Action.OWN:
                raise Forbidden(OWNER_ONLY)
            if not self.actor.may_share:
                raise OutOfScope(SCOPE)
        if not is_in(file, self.record_type, self.record_id):
            require_accepted(self.record_type, file)

    def _of(self, patient_id: int) -> tuple[Access, int]:
        if patient_id not in self.known:
            owner = db.session.scalar(select(Patient.user_id).where(Patient.id == patient_id))
            self.known[patient_id] = permissions.access_for(self.actor, patient_id), int(owner or 0)
        return self.known[patient_id]


def require_accepted(record_type: RecordType, file: EntityFile) -> None:
    """Raise TypeNotAllowed or TooLarge if records of this type do not take the document."""
    extension = extension_of(file)
    row = BY_ALIAS.get(extension)
    if not {extension, *(row.extensions if row else ())} & set(record_type.takes):
        raise TypeNotAllowed(
            gettext(
                "This %(record)s takes no %(extension)s files. You can move %(formats)s there.",
                record=record_type.noun,
                extension=extension,
                formats=record_type.accepts_words,
            )
        )
    if file.file_size > record_type.max_size:
        raise too_large(record_type)


def is_in(file: EntityFile, record_type: RecordType, record_id: int) -> bool:
    return (file.entity_type, file.entity_id) == (record_type.name, record_id)


def extension_of(file: EntityFile) -> str:
    return PurePosixPath(file.file_path).suffix


def new_key(record_type: RecordType, file: EntityFile) -> str:
    return live_key(record_type.directory, extension_of(file))


def require_valid(record_type: RecordType, changes: Mapping[str, Any]) -> None:
    """Raise Rejected if documents of this record type cannot have these details or this name."""
    checked_details(record_type, changes)
    if "file_name" in changes:
        detection.clean_name(changes["file_name"] or "")
