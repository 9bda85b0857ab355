"""A patient's activity in words: who did what to which document or record."""

from dataclasses import dataclass
from datetime import datetime

from medfiles.models import AuditEvent
from medfiles.permissions import Actor
from medfiles.record_types.declared import Registry

ACTIONS = {  # past tense, infinitive, icon
    "attach": ("added", "add", "upload"),
    "download": ("downloaded", "download", "download"),
    "edit": ("changed the details of", "change the details of", "pencil"),
    "cancel": ("cancelled adding", "cancel adding", "x"),
    "delete": ("moved to the trash:", "move to the trash:", "trash-2"),
    "restore": ("restored", "restore", "undo-2"),
    "purge": ("deleted for ever:", "delete for ever:", "trash-2"),
    "view": ("looked at the details of", "look at the details of", "eye"),
    "list": ("looked at the documents of", "look at the documents of", "files"),
    "list-trash": ("looked into the trash of", "look into the trash of", "trash-2"),
    "list-records": ("looked at", "look at", "folder-open"),
    "view-record": ("opened", "open", "eye"),
    "create-record": ("created", "create", "plus"),
    "edit-record": ("changed", "change", "pencil"),
    "delete-record": ("moved to the trash:", "move to the trash:", "trash-2"),
    "restore-record": ("restored", "restore", "undo-2"),
    "purge-record": ("deleted for ever:", "delete for ever:", "trash-2"),
    "view-patient": ("opened", "open", "eye"),
    "create-patient": ("created the patient", "create the patient", "plus"),
    "edit-patient": ("changed the patient", "change the patient", "pencil"),
    "create-token": ("made the token", "make the token", "key-round"),
    "revoke-token": ("revoked the token", "revoke the token", "key-round"),
    "share": ("gave access to", "give access to", "users"),
    "unshare": ("took back the access of", "take back the access of", "users"),
    "view-people": ("looked at who has access to", "look at who has access to", "users"),
    "migrate": ("moved from the older lab results:", "move from the older lab results:", "folder-open"),
    "rollback": ("gave back to the older lab results:", "give back to the older lab results:", "undo-2"),
    "quarantine": ("found malware in", "look for malware in", "triangle-alert"),
    "release": ("found no malware any more in", "look for malware in", "circle-check"),
    "view-activity": ("looked at the activity of", "look at the activity of", "activity"),
}


@dataclass(frozen=True)
class Line:
    """One line of a patient's activity."""

    at: datetime
    who: str  # "you" or an address or "medfiles"
    text: str  # "downloaded “Blood count.pdf” (Visit “Annual check-up”)"
    outcome: str  # done | refused
    icon: str
    document: int | None  # id


def line(event: AuditEvent, email: str | None, actor: Actor, registry: Registry) -> Line:
    word = event.action.replace("-", " ")
    done, tried, icon = ACTIONS.get(event.action, (word, word, "info"))
    who = "medfiles" if event.actor_id is None else "you" if event.actor_id == actor.user_id else email or "an account"
    details = event.details or {}
    who += f" (token “{details['token']}”)" if "token" in details and who == "you" else ""
    who += " (by a token)" if "token" in details and event.actor_id != actor.user_id else ""
    name = details.get("name")
    thing = f"{_type_prefix(event, registry)}“{name}”" if name else _unnamed_target(event, registry)
    text = {
        "done": f"{done} {thing}",
        "refused": f"tried to {tried} {thing}",
        "failed": f"tried to {tried} {thing}, which failed",
    }[event.outcome]
    return Line(at=event.at, who=who, text=text, outcome=event.outcome, icon=icon, document=event.file_id)


def _type_prefix(event: AuditEvent, registry: Registry) -> str:
    """Return "the visit " for a record's name; documents and patients need no type."""
    if event.action == "list-records" and event.entity_type and event.entity_type in registry:
        return f"the {registry[event.entity_type].titles.lower()} of "
    is_record = event.file_id is None and event.entity_id is not None and event.action not in ("attach",)
    if not is_record or event.entity_type is None or event.entity_type not in registry:
        return ""
    return f"the {registry[event.entity_type].title.lower()} "


def _unnamed_target(event: AuditEvent, registry: Registry) -> str:
    if event.file_id is not None:
        return f"document {event.file_id}"
    if event.entity_type and event.entity_type in registry:
        title = registry[event.entity_type].title.lower()
        return f"a {title}" if event.entity_id else title
    return "this patient"
