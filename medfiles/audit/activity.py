"""Describe a patient's activity in words: who did what to which document or record."""

from dataclasses import dataclass
from datetime import datetime

from medfiles.audit import history
from medfiles.i18n import N_, gettext
from medfiles.models import AuditEvent
from medfiles.models.audit import LINK
from medfiles.permissions import Actor
from medfiles.record_types.declared import RecordType, Registry

ACTIONS = {  # done, refused or failed, icon; the thing is a document, record or patient
    "attach": (N_("%(who)s added %(thing)s"), N_("%(who)s tried to add %(thing)s"), "upload"),
    "download": (N_("%(who)s downloaded %(thing)s"), N_("%(who)s tried to download %(thing)s"), "download"),
    "edit": (N_("%(who)s changed %(thing)s"), N_("%(who)s tried to change %(thing)s"), "pencil"),
    "cancel": (
        N_("%(who)s canceled the upload of %(thing)s"),
        N_("%(who)s tried to cancel the upload of %(thing)s"),
        "x",
    ),
    "delete": (N_("%(who)s moved %(thing)s to trash"), N_("%(who)s tried to move %(thing)s to trash"), "trash-2"),
    "restore": (N_("%(who)s restored %(thing)s"), N_("%(who)s tried to restore %(thing)s"), "undo-2"),
    "purge": (
        N_("%(who)s permanently deleted %(thing)s"),
        N_("%(who)s tried to permanently delete %(thing)s"),
        "trash-2",
    ),
    "read-text": (
        N_("%(who)s had the text of %(thing)s read again"),
        N_("%(who)s tried to have the text of %(thing)s read again"),
        "file-text",
    ),
    "file": (
        N_("%(who)s filed %(thing)s under another record"),
        N_("%(who)s tried to file %(thing)s under another record"),
        "folder-open",
    ),
    "move": (N_("%(who)s moved %(thing)s"), N_("%(who)s tried to move %(thing)s"), "folder-open"),
    "move-in": (
        N_("%(who)s moved %(thing)s here from another patient"),
        N_("%(who)s tried to move %(thing)s here from another patient"),
        "folder-open",
    ),
    "move-out": (
        N_("%(who)s moved %(thing)s to another patient"),
        N_("%(who)s tried to move %(thing)s to another patient"),
        "folder-open",
    ),
    "move-record": (N_("%(who)s moved %(thing)s"), N_("%(who)s tried to move %(thing)s"), "folder-open"),
    "move-record-in": (
        N_("%(who)s moved %(thing)s here from another patient"),
        N_("%(who)s tried to move %(thing)s here from another patient"),
        "folder-open",
    ),
    "move-record-out": (
        N_("%(who)s moved %(thing)s to another patient"),
        N_("%(who)s tried to move %(thing)s to another patient"),
        "folder-open",
    ),
    "take-back-record": (
        N_("%(who)s undid the move of %(thing)s"),
        N_("%(who)s tried to undo the move of %(thing)s"),
        "undo-2",
    ),
    "take-back": (
        N_("%(who)s undid the move of %(thing)s"),
        N_("%(who)s tried to undo the move of %(thing)s"),
        "undo-2",
    ),
    "view": (N_("%(who)s viewed %(thing)s"), N_("%(who)s tried to view %(thing)s"), "eye"),
    "preview": (N_("%(who)s viewed %(thing)s"), N_("%(who)s tried to view %(thing)s"), "eye"),
    "list": (
        N_("%(who)s viewed the documents of %(thing)s"),
        N_("%(who)s tried to view the documents of %(thing)s"),
        "files",
    ),
    "search": (
        N_("%(who)s found something of %(thing)s in a search"),
        N_("%(who)s tried to search the records of %(thing)s"),
        "search",
    ),
    "list-trash": (
        N_("%(who)s viewed the trash of %(thing)s"),
        N_("%(who)s tried to view the trash of %(thing)s"),
        "trash-2",
    ),
    "list-records": (N_("%(who)s viewed %(thing)s"), N_("%(who)s tried to view %(thing)s"), "folder-open"),
    "view-record": (N_("%(who)s viewed %(thing)s"), N_("%(who)s tried to view %(thing)s"), "eye"),
    "create-record": (N_("%(who)s created %(thing)s"), N_("%(who)s tried to create %(thing)s"), "plus"),
    "edit-record": (N_("%(who)s changed %(thing)s"), N_("%(who)s tried to change %(thing)s"), "pencil"),
    "delete-record": (
        N_("%(who)s moved %(thing)s to trash"),
        N_("%(who)s tried to move %(thing)s to trash"),
        "trash-2",
    ),
    "restore-record": (N_("%(who)s restored %(thing)s"), N_("%(who)s tried to restore %(thing)s"), "undo-2"),
    "purge-record": (
        N_("%(who)s permanently deleted %(thing)s"),
        N_("%(who)s tried to permanently delete %(thing)s"),
        "trash-2",
    ),
    "view-patient": (N_("%(who)s viewed %(thing)s"), N_("%(who)s tried to view %(thing)s"), "eye"),
    "create-patient": (
        N_("%(who)s created the patient %(thing)s"),
        N_("%(who)s tried to create the patient %(thing)s"),
        "plus",
    ),
    "edit-patient": (
        N_("%(who)s changed the patient %(thing)s"),
        N_("%(who)s tried to change the patient %(thing)s"),
        "pencil",
    ),
    "set-photo": (
        N_("%(who)s changed the photo of %(thing)s"),
        N_("%(who)s tried to change the photo of %(thing)s"),
        "image",
    ),
    "remove-photo": (
        N_("%(who)s removed the photo of %(thing)s"),
        N_("%(who)s tried to remove the photo of %(thing)s"),
        "image",
    ),
    "pin-patient": (
        N_("%(who)s pinned the patient %(thing)s"),
        N_("%(who)s tried to pin the patient %(thing)s"),
        "pin",
    ),
    "unpin-patient": (
        N_("%(who)s unpinned the patient %(thing)s"),
        N_("%(who)s tried to unpin the patient %(thing)s"),
        "pin-off",
    ),
    "delete-patient": (
        N_("%(who)s moved the patient %(thing)s to trash"),
        N_("%(who)s tried to move the patient %(thing)s to trash"),
        "trash-2",
    ),
    "restore-patient": (
        N_("%(who)s restored the patient %(thing)s"),
        N_("%(who)s tried to restore the patient %(thing)s"),
        "undo-2",
    ),
    "export-patient": (
        N_("%(who)s exported the patient %(thing)s"),
        N_("%(who)s tried to export the patient %(thing)s"),
        "download",
    ),
    "merge-patient": (
        N_("%(who)s merged the patient %(thing)s with another one"),
        N_("%(who)s tried to merge the patient %(thing)s with another one"),
        "users",
    ),
    "archive-patient": (
        N_("%(who)s archived the patient %(thing)s"),
        N_("%(who)s tried to archive the patient %(thing)s"),
        "archive",
    ),
    "unarchive-patient": (
        N_("%(who)s unarchived the patient %(thing)s"),
        N_("%(who)s tried to unarchive the patient %(thing)s"),
        "archive",
    ),
    "purge-patient": (
        N_("%(who)s permanently deleted the patient %(thing)s"),
        N_("%(who)s tried to permanently delete the patient %(thing)s"),
        "trash-2",
    ),
    "create-token": (
        N_("%(who)s created the API token %(thing)s"),
        N_("%(who)s tried to create the API token %(thing)s"),
        "key-round",
    ),
    "confirm-token": (
        N_("%(who)s confirmed the API token %(thing)s"),
        N_("%(who)s tried to confirm the API token %(thing)s"),
        "key-round",
    ),
    "revoke-token": (
        N_("%(who)s revoked the API token %(thing)s"),
        N_("%(who)s tried to revoke the API token %(thing)s"),
        "key-round",
    ),
    "share": (N_("%(who)s gave access to %(thing)s"), N_("%(who)s tried to give access to %(thing)s"), "users"),
    "accept-share": (N_("%(who)s accepted the invitation"), N_("%(who)s tried to accept the invitation"), "users"),
    "decline-share": (N_("%(who)s declined the invitation"), N_("%(who)s tried to decline the invitation"), "users"),
    "unshare": (
        N_("%(who)s revoked access for %(thing)s"),
        N_("%(who)s tried to revoke access for %(thing)s"),
        "users",
    ),
    "view-links": (
        N_("%(who)s viewed the share links of %(thing)s"),
        N_("%(who)s tried to view the share links of %(thing)s"),
        "link",
    ),
    "create-link": (N_("%(who)s created %(thing)s"), N_("%(who)s tried to create %(thing)s"), "link"),
    "create-smart-link": (
        N_("%(who)s created a SMART Health Link of %(thing)s"),
        N_("%(who)s tried to create a SMART Health Link of %(thing)s"),
        "qr-code",
    ),
    "end-smart-link": (
        N_("%(who)s ended a SMART Health Link of %(thing)s"),
        N_("%(who)s tried to end a SMART Health Link of %(thing)s"),
        "qr-code",
    ),
    "pause-link": (N_("%(who)s paused %(thing)s"), N_("%(who)s tried to pause %(thing)s"), "link"),
    "resume-link": (N_("%(who)s resumed %(thing)s"), N_("%(who)s tried to resume %(thing)s"), "link"),
    "revoke-link": (N_("%(who)s revoked %(thing)s"), N_("%(who)s tried to revoke %(thing)s"), "link"),
    "open-link": (N_("%(who)s opened %(thing)s"), N_("%(who)s entered a wrong passcode for %(thing)s"), "link"),
    "view-by-link": (N_("%(who)s viewed %(thing)s"), N_("%(who)s tried to view %(thing)s"), "eye"),
    "download-by-link": (N_("%(who)s downloaded %(thing)s"), N_("%(who)s tried to download %(thing)s"), "download"),
    "view-people": (
        N_("%(who)s viewed who has access to %(thing)s"),
        N_("%(who)s tried to view who has access to %(thing)s"),
        "users",
    ),
    "migrate": (
        N_("%(who)s moved %(thing)s from the previous lab results"),
        N_("%(who)s tried to move %(thing)s from the previous lab results"),
        "folder-open",
    ),
    "rollback": (
        N_("%(who)s moved %(thing)s back to the previous lab results"),
        N_("%(who)s tried to move %(thing)s back to the previous lab results"),
        "undo-2",
    ),
    "quarantine": (
        N_("%(who)s found malware in %(thing)s"),
        N_("%(who)s tried to scan %(thing)s for malware"),
        "triangle-alert",
    ),
    "release": (
        N_("%(who)s released %(thing)s from quarantine"),
        N_("%(who)s tried to scan %(thing)s for malware"),
        "circle-check",
    ),
    "view-history": (
        N_("%(who)s viewed the history of %(thing)s"),
        N_("%(who)s tried to view the history of %(thing)s"),
        "history",
    ),
    "view-activity": (
        N_("%(who)s viewed the activity of %(thing)s"),
        N_("%(who)s tried to view the activity of %(thing)s"),
        "activity",
    ),
}


@dataclass(frozen=True)
class Line:
    """One line of a patient's activity: `message`, translated, with `who` and `thing` filled in."""

    at: datetime
    who: str  # "you", an e-mail address or "medfiles"
    message: str  # "%(who)s downloaded %(thing)s"
    thing: str  # "the visit “Annual check-up”"
    outcome: str  # done | refused
    icon: str
    document: int | None  # id


@dataclass(frozen=True)
class Hidden:
    """Documents and records that were moved to a patient whom the reader cannot see: they are not named."""

    documents: frozenset[int] = frozenset()
    records: frozenset[tuple[str, int]] = frozenset()

    def hides(self, event: AuditEvent) -> bool:
        if event.file_id is not None:
            return event.file_id in self.documents
        return (event.entity_type, event.entity_id) in self.records


NOTHING = Hidden()


def line(event: AuditEvent, email: str | None, actor: Actor, registry: Registry, hidden: Hidden = NOTHING) -> Line:
    done, tried, icon = ACTIONS.get(event.action) or _unknown_action(event.action)
    thing, is_hidden = _target(event, registry), hidden.hides(event)
    if is_hidden:
        thing = gettext("a record moved away") if event.file_id is None else gettext("a document moved away")
    elif event.outcome == "done" and (fields := history.labels(event, registry)):
        thing = gettext("%(fields)s of %(thing)s", fields=fields, thing=thing)
    message = gettext(done if event.outcome == "done" else tried)
    if event.outcome == "failed":
        message = gettext("%(attempt)s, but it failed", attempt=message)
    document = None if is_hidden else event.file_id
    return Line(event.at, who(event, email, actor), message, thing, event.outcome, icon, document)


def who(event: AuditEvent, email: str | None, actor: Actor) -> str:
    """Return who acted, as shown to this reader: "you", an e-mail address, or "medfiles" itself."""
    if event.entity_type == LINK and event.actor_id is None:
        reader = event.personal.get("reader")
        return gettext("“%(reader)s” (with a link)", reader=reader) if reader else gettext("A reader with a link")
    words = "medfiles" if event.actor_id is None else "you" if event.actor_id == actor.user_id else email
    if event.token_id is None:
        return words or gettext("an account")
    token = event.personal.get("token")
    if words == "you":
        return gettext("you (token “%(token)s”)", token=token) if token else gettext("you (with a token)")
    return gettext("%(who)s (with a token)", who=words or gettext("an account"))


def _unknown_action(action: str) -> tuple[str, str, str]:
    """Describe an action that is not in ACTIONS, for example one logged by a newer version of medfiles."""
    text = action.replace("-", " ").replace("%", "%%")
    return f"%(who)s {text} %(thing)s", f"%(who)s tried to {text} %(thing)s", "info"


def _target(event: AuditEvent, registry: Registry) -> str:
    """Return what the event is about, such as "the visit “Annual check-up”"."""
    known = registry[event.entity_type] if event.entity_type and event.entity_type in registry else None
    name = event.personal.get("name")
    if event.entity_type == LINK and event.file_id is None and event.action != "view-links":
        return gettext("the share link for “%(name)s”", name=name) if name else gettext("a share link")
    if not name:
        return _unnamed_target(event, known)
    if event.action == "list-records":
        records = known.nouns if known else gettext("records")
        return gettext("the %(records)s of “%(name)s”", records=records, name=name)
    if known and event.file_id is None and event.entity_id is not None and event.action != "attach":
        return gettext("the %(record)s “%(name)s”", record=known.noun, name=name)
    return gettext("“%(name)s”", name=name)


def _unnamed_target(event: AuditEvent, record_type: RecordType | None) -> str:
    if event.file_id is not None:
        return gettext("document %(number)s", number=event.file_id)
    if record_type:
        return gettext("a %(record)s", record=record_type.noun) if event.entity_id else record_type.noun
    return gettext("this patient")
