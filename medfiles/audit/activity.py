"""Describe a patient's activity in words: who did what to which document or record."""

from dataclasses import dataclass
from datetime import datetime

from medfiles.audit import history
from medfiles.models import AuditEvent
from medfiles.permissions import Actor
from medfiles.record_types.declared import Registry

ACTIONS = {  # past tense, infinitive, icon; {} is the document, record or patient
    "attach": ("added {}", "add {}", "upload"),
    "download": ("downloaded {}", "download {}", "download"),
    "edit": ("changed {}", "change {}", "pencil"),
    "cancel": ("canceled the upload of {}", "cancel the upload of {}", "x"),
    "delete": ("moved {} to trash", "move {} to trash", "trash-2"),
    "restore": ("restored {}", "restore {}", "undo-2"),
    "purge": ("permanently deleted {}", "permanently delete {}", "trash-2"),
    "view": ("viewed {}", "view {}", "eye"),
    "preview": ("viewed {}", "view {}", "eye"),
    "print": ("printed {}", "print {}", "printer"),
    "list": ("viewed the documents of {}", "view the documents of {}", "files"),
    "list-trash": ("viewed the trash of {}", "view the trash of {}", "trash-2"),
    "list-records": ("viewed {}", "view {}", "folder-open"),
    "view-record": ("viewed {}", "view {}", "eye"),
    "create-record": ("created {}", "create {}", "plus"),
    "edit-record": ("changed {}", "change {}", "pencil"),
    "delete-record": ("moved {} to trash", "move {} to trash", "trash-2"),
    "restore-record": ("restored {}", "restore {}", "undo-2"),
    "purge-record": ("permanently deleted {}", "permanently delete {}", "trash-2"),
    "view-patient": ("viewed {}", "view {}", "eye"),
    "create-patient": ("created the patient {}", "create the patient {}", "plus"),
    "edit-patient": ("changed the patient {}", "change the patient {}", "pencil"),
    "delete-patient": ("moved the patient {} to trash", "move the patient {} to trash", "trash-2"),
    "restore-patient": ("restored the patient {}", "restore the patient {}", "undo-2"),
    "purge-patient": ("permanently deleted the patient {}", "permanently delete the patient {}", "trash-2"),
    "create-token": ("created the API token {}", "create the API token {}", "key-round"),
    "confirm-token": ("confirmed the API token {}", "confirm the API token {}", "key-round"),
    "revoke-token": ("revoked the API token {}", "revoke the API token {}", "key-round"),
    "share": ("gave access to {}", "give access to {}", "users"),
    "accept-share": ("accepted the invitation", "accept the invitation", "users"),
    "decline-share": ("declined the invitation", "decline the invitation", "users"),
    "unshare": ("revoked access for {}", "revoke access for {}", "users"),
    "view-people": ("viewed who has access to {}", "view who has access to {}", "users"),
    "migrate": ("moved {} from the previous lab results", "move {} from the previous lab results", "folder-open"),
    "rollback": ("moved {} back to the previous lab results", "move {} back to the previous lab results", "undo-2"),
    "quarantine": ("found malware in {}", "scan {} for malware", "triangle-alert"),
    "release": ("released {} from quarantine", "scan {} for malware", "circle-check"),
    "view-history": ("viewed the history of {}", "view the history of {}", "history"),
    "view-activity": ("viewed the activity of {}", "view the activity of {}", "activity"),
}


@dataclass(frozen=True)
class Line:
    """One line of a patient's activity."""

    at: datetime
    who: str  # "you", an e-mail address or "medfiles"
    text: str  # "downloaded “Blood count.pdf” (Visit “Annual check-up”)"
    outcome: str  # done | refused
    icon: str
    document: int | None  # id


def line(event: AuditEvent, email: str | None, actor: Actor, registry: Registry) -> Line:
    done, tried, icon = ACTIONS.get(event.action) or _unknown_action(event.action)
    name = event.personal.get("name")
    thing = f"{_type_prefix(event, registry)}“{name}”" if name else _unnamed_target(event, registry)
    if event.outcome == "done" and (fields := history.labels(event, registry)):
        thing = f"{fields} of {thing}"
    text = {
        "done": done.format(thing),
        "failed": f"tried to {tried.format(thing)}, but it failed",
    }.get(event.outcome, f"tried to {tried.format(thing)}")
    return Line(
        at=event.at, who=who(event, email, actor), text=text, outcome=event.outcome, icon=icon, document=event.file_id
    )


def who(event: AuditEvent, email: str | None, actor: Actor) -> str:
    """Return who acted, as shown to this reader: "you", an e-mail address, or "medfiles" itself."""
    words = "medfiles" if event.actor_id is None else "you" if event.actor_id == actor.user_id else email
    if event.token_id is None:
        return words or "an account"
    token = event.personal.get("token")
    return f"{words or 'an account'}" + (f" (token “{token}”)" if words == "you" and token else " (with a token)")


def _unknown_action(action: str) -> tuple[str, str, str]:
    """Describe an action that is not in ACTIONS, for example one logged by a newer version of medfiles."""
    text = action.replace("-", " ").replace("{", "{{").replace("}", "}}") + " {}"
    return text, text, "info"


def _type_prefix(event: AuditEvent, registry: Registry) -> str:
    """Return a prefix for a record's name, such as "the visit ". Documents and patients have none."""
    if event.action == "list-records":
        known = event.entity_type is not None and event.entity_type in registry
        return f"the {registry[str(event.entity_type)].titles.lower() if known else 'records'} of "
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
