"""No service method answers or changes anything once permissions deny everything: each is called so."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import isfunction
from typing import Any

import pytest
from sqlalchemy import false, literal, select

from medfiles import permissions
from medfiles.audit.event_log import AuditTarget
from medfiles.database.session import db
from medfiles.documents.bulk import BulkService, Result
from medfiles.documents.listing import ListQuery
from medfiles.documents.rules import UploadMetadata, UploadPermit
from medfiles.documents.service import DocumentService
from medfiles.documents.uploading import UploadService
from medfiles.errors import Forbidden, NotFound
from medfiles.inbox.service import Filing, InboxService
from medfiles.legacy import ids
from medfiles.links.service import LinkService
from medfiles.models import EntityFile, Patient
from medfiles.permissions import Action, Actor
from medfiles.previews.service import PreviewService, recipe
from medfiles.records.listing import RecordListQuery
from medfiles.records.merging import MergeService
from medfiles.records.patients import PatientService
from medfiles.records.photos import PhotoService
from medfiles.records.service import RecordService
from medfiles.records.sharing import ShareService
from medfiles.records.timeline import TimelineQuery
from medfiles.search.query import SearchQuery
from medfiles.search.service import SearchService
from medfiles.service import Service
from medfiles.smart_links.service import SmartLinkService
from medfiles.texts import store
from medfiles.texts.layout import Word
from medfiles.texts.service import TextService
from tests.support import samples
from tests.support.factories import World, values_for

KEY, FORM = "first-try", "the-form"
IN_TRASH = ListQuery(trashed=True)
PATIENT = {"first_name": "Otto", "last_name": "Sample", "birth_date": "1980-01-31"}


@dataclass
class Things:
    """What there is to be asked for; made before access says no."""

    world: World
    documents: DocumentService
    bulk: BulkService
    previews: PreviewService
    records: RecordService
    older_id: int
    moved_id: int
    shares: ShareService
    reader: ShareService  # of the account that the patient is shared with
    share_id: int
    patient_id: int
    record_id: int
    gone_id: int
    file: EntityFile
    trashed_id: int
    require_admin: UploadPermit
    change_id: int  # the event of an edit of the patient
    away_id: int  # a patient in the trash
    archived_id: int
    other_id: int
    unfiled_id: int  # a document in the inbox
    link_id: int
    smart_id: int

    @property
    def texts(self) -> TextService:
        return self.world.texts()

    @property
    def inbox(self) -> InboxService:
        return InboxService(self.world.actor(), **self.world._service())

    @property
    def links(self) -> LinkService:
        return self.world.links()

    @property
    def smart(self) -> SmartLinkService:
        return self.world.smart_links()

    @property
    def searches(self) -> SearchService:
        return self.world.searches()

    @property
    def visit(self) -> Any:
        return self.world.kind("visit")

    def attach(self, key: str | None) -> Any:
        staged = self.documents.stage(self.require_admin)
        staged.write(samples.pdf())
        return self.documents.attach(self.require_admin, staged, UploadMetadata("letter.pdf", idempotency_key=key))


def done(results: Sequence[Result]) -> list[int]:
    return [result.file_id for result in results if result.error is None]


CALLS: Mapping[str, Callable[[Things], Any]] = {
    "documents.list": lambda on: on.documents.list(on.visit, on.record_id),
    "documents.list of the trash": lambda on: on.documents.list(on.visit, on.record_id, IN_TRASH),
    "documents.of_patient": lambda on: on.documents.of_patient(on.patient_id).files,
    "documents.of_patient in the trash": lambda on: on.documents.of_patient(on.patient_id, IN_TRASH).files,
    "documents.matching": lambda on: on.documents.matching(on.visit, on.record_id, ListQuery()),
    "documents.around": lambda on: on.documents.around(on.file, ListQuery(), 3),
    "documents.around in the trash": lambda on: on.documents.around(on.file, IN_TRASH, 3),
    "documents.matching in the trash": lambda on: on.documents.matching(on.visit, on.record_id, IN_TRASH),
    "documents.record_totals": lambda on: on.documents.record_totals(on.visit, on.record_id),
    "documents.duplicate_of": lambda on: on.documents.duplicate_of(on.file),
    "documents.count": lambda on: on.documents.count(on.visit, [on.record_id]),
    "documents.badges": lambda on: on.documents.badges(on.visit, [on.record_id]),
    "documents.totals": lambda on: on.documents.totals(on.patient_id),
    "documents.recent": lambda on: on.documents.recent(),
    "documents.recent of a patient": lambda on: on.documents.recent(on.patient_id),
    "documents.quarantined": lambda on: on.documents.quarantined(on.patient_id),
    "documents.trashed": lambda on: on.documents.trashed(on.patient_id),
    "documents.get": lambda on: on.documents.get(on.file.id),
    "documents.details": lambda on: on.documents.details(on.file.id),
    "documents.editable": lambda on: on.documents.editable(on.file.id),
    "documents.open": lambda on: on.documents.open(on.file.id),
    "documents.open_listed": lambda on: on.documents.open_listed(on.file.id),
    "documents.open_listed of an older file": lambda on: on.documents.open_listed(on.older_id),
    "documents.open_listed of what was moved": lambda on: on.documents.open_listed(on.moved_id),
    "documents.authorized_additional": lambda on: on.documents.authorized_additional(
        on.older_id, Action.VIEW, AuditTarget()
    ),
    "documents.authorize_upload": lambda on: on.documents.authorize_upload(on.visit, on.record_id, 1000, files=1),
    "documents.attach": lambda on: on.attach(None),
    "documents.attach of a retry": lambda on: on.attach(KEY),
    "documents.cancel": lambda on: on.documents.cancel(on.visit, on.record_id, KEY),
    "documents.cancel of what is still on its way": lambda on: on.documents.cancel(on.visit, on.record_id, "later"),
    "documents.last_views": lambda on: on.documents.last_views(on.file.id),
    "documents.edit": lambda on: on.documents.edit(on.file.id, {"description": "Changed"}),
    "documents.trash": lambda on: on.documents.trash(on.file.id),
    "documents.trash by an older id": lambda on: ids.trash(on.documents, on.moved_id),
    "documents.restore": lambda on: on.documents.restore(on.trashed_id),
    "documents.purge": lambda on: on.documents.purge(on.trashed_id),
    "bulk.trash_many": lambda on: on.bulk.trash_many(on.visit, on.record_id, [on.file.id]),
    "bulk.restore_many": lambda on: on.bulk.restore_many(on.visit, on.record_id, [on.trashed_id]),
    "bulk.purge_many": lambda on: on.bulk.purge_many(on.visit, on.record_id, [on.trashed_id]),
    "bulk.categorise": lambda on: on.bulk.categorise(on.visit, on.record_id, [on.file.id], "referral"),
    "bulk.date_many": lambda on: on.bulk.date_many(on.visit, on.record_id, [on.file.id], "2026-05-12"),
    "bulk.open_many": lambda on: on.bulk.open_many(on.visit, on.record_id, [on.file.id]),
    "bulk.across": lambda on: done(on.bulk.across([on.file.id], on.bulk.trash_many)),
    "bulk.open_across": lambda on: on.bulk.open_across([on.file.id]),
    "previews.describe": lambda on: on.previews.describe(on.file.id),
    "previews.picture": lambda on: on.previews.picture(on.file.id, on.file.sha256, recipe(480)),
    "previews.page": lambda on: on.previews.page(on.file.id, 1, 480),
    "previews.thumbnail": lambda on: on.previews.thumbnail(on.file.id),
    "texts.page": lambda on: on.texts.page(on.file.id, 1),
    "texts.pages": lambda on: on.texts.pages(on.file.id, 1, 10),
    "texts.read_again": lambda on: on.texts.read_again(on.file.id),
    "searches.search": lambda on: on.searches.search(SearchQuery("letter"), 10).items,
    "searches.marks": lambda on: on.searches.marks(on.file.id, 1, "letter"),
    "records.patients": lambda on: on.records.patients(),
    "records.patient_page": lambda on: on.records.patient_page(None, 10)[0],
    "records.shown_people": lambda on: on.records.shown_people(12)[0],
    "records.pinned_people": lambda on: on.records.pinned_people(12),
    "records.pin_patient": lambda on: on.records.pin_patient(on.patient_id, False),
    "records.find_people": lambda on: on.records.find_people("", None, 50)[0],
    "inbox.unfiled": lambda on: on.inbox.unfiled(),
    "inbox.page": lambda on: on.inbox.page(None, None, 10).items,
    "inbox.page of a patient": lambda on: on.inbox.page(on.patient_id, None, 10).items,
    "inbox.file_many": lambda on: done(on.inbox.file_many([Filing(on.file.id, on.visit, on.record_id)])),
    "inbox.file_many of what stays": lambda on: done(
        on.inbox.file_many([Filing(on.unfiled_id, on.world.kind("patient"), on.patient_id)])
    ),
    "inbox.hand_over": lambda on: done(on.inbox.hand_over([on.file.id], on.patient_id)),
    "inbox.keep": lambda on: on.inbox.keep(on.file.id),
    "records.last_used": lambda on: on.records.last_used({on.patient_id}),
    "records.people_of": lambda on: on.records.people_of([on.patient_id]),
    "records.patient": lambda on: on.records.patient(on.patient_id),
    "records.level": lambda on: on.records.level(on.patient_id),
    "records.create_patient": lambda on: on.records.create_patient(PATIENT),
    "records.edit_patient": lambda on: on.records.edit_patient(on.patient_id, PATIENT),
    "records.delete_patient": lambda on: on.records.delete_patient(on.patient_id),
    "records.trashed_patients": lambda on: on.records.trashed_patients(),
    "merges.merge": lambda on: on.world.merges().merge(on.other_id, on.patient_id),
    "photos.open": lambda on: on.world.photos().open(on.patient_id),
    "photos.set": lambda on: set_photo(on),
    "photos.remove": lambda on: on.world.photos().remove(on.patient_id),
    "records.export_patient": lambda on: on.records.export_patient(on.patient_id),
    "records.archived_people": lambda on: on.records.archived_people(),
    "records.archive_patient": lambda on: on.records.archive_patient(on.patient_id),
    "records.unarchive_patient": lambda on: on.records.unarchive_patient(on.archived_id),
    "records.trash_contents": lambda on: on.records.trash_contents(),
    "records.purge_patient": lambda on: on.records.purge_patient(on.away_id),
    "records.restore_patient": lambda on: on.records.restore_patient(on.away_id),
    "records.counts": lambda on: on.records.counts(on.patient_id),
    "records.list": lambda on: on.records.list(on.patient_id, on.visit),
    "records.page": lambda on: on.records.page(on.patient_id, on.visit, RecordListQuery(), 10).records,
    "records.timeline": lambda on: on.records.timeline(on.patient_id, TimelineQuery(), 10).entries,
    "records.timeline_totals": lambda on: on.records.timeline_totals(on.patient_id).by_type_and_year,
    "records.trashed": lambda on: on.records.trashed(on.patient_id),
    "records.get": lambda on: on.records.get(on.visit, on.record_id),
    "records.editable": lambda on: on.records.editable(on.visit, on.record_id),
    "records.titles": lambda on: on.records.titles([on.file]),
    "records.create": lambda on: on.records.create(on.patient_id, on.visit, values_for(on.visit)),
    "records.create by a form": lambda on: on.records.create(on.patient_id, on.visit, values_for(on.visit), "form"),
    "records.create by a form sent before": lambda on: on.records.create(
        on.patient_id, on.visit, values_for(on.visit), FORM
    ),
    "records.edit": lambda on: on.records.edit(on.visit, on.record_id, values_for(on.visit)),
    "records.edit with marks": lambda on: on.records.edit(on.visit, on.record_id, values_for(on.visit), [on.file.id]),
    "records.delete": lambda on: on.records.delete(on.visit, on.record_id),
    "records.restore": lambda on: on.records.restore(on.visit, on.gone_id),
    "records.history": lambda on: on.records.history(on.visit, on.record_id),
    "records.patient_history": lambda on: on.records.patient_history(on.patient_id),
    "records.last_changes": lambda on: on.records.last_changes(on.patient_id, ("visit", on.record_id)),
    "records.former_value": lambda on: on.records.former_value(on.patient_id, on.change_id, "gender"),
    "shares.list": lambda on: on.shares.list(on.patient_id),
    "shares.own": lambda on: on.reader.own(on.patient_id),
    "shares.grant": lambda on: on.shares.grant(on.patient_id, "max@sample.example", "view"),
    "shares.revoke": lambda on: on.shares.revoke(on.share_id),
    "shares.revoke of one's own": lambda on: on.reader.revoke(on.share_id),
    "links.choices": lambda on: on.links.choices(on.patient_id),
    "links.choices of some": lambda on: on.links.choices(on.patient_id, [on.file.id]),
    "links.create": lambda on: on.links.create(on.patient_id, [on.file.id]),
    "links.of_patient": lambda on: on.links.of_patient(on.patient_id),
    "links.all": lambda on: on.links.all(),
    "links.created_by_token": lambda on: on.links.created_by_token(1) or on.links.all(),
    "links.get": lambda on: on.links.get(on.link_id),
    "links.openings": lambda on: on.links.openings(on.link_id),
    "links.pause": lambda on: on.links.pause(on.link_id),
    "links.resume": lambda on: on.links.resume(on.link_id),
    "links.revoke": lambda on: on.links.revoke(on.link_id),
    "smart.create_smart": lambda on: on.smart.create_smart(on.link_id, "desk", "http://localhost/shl/"),
    "smart.smart_links": lambda on: on.smart.smart_links(on.link_id),
    "smart.end_smart": lambda on: on.smart.end_smart(on.link_id, on.smart_id),
    "records.trail": lambda on: on.records.trail(on.patient_id),
}
VERBS = (
    "attach|cancel|edit|file|hand|keep|pin_patient|read|trash|restore|purge|categorise|date|across|create|delete|"
    "(un)?archive|set|remove|merge|grant|revoke|pause|resume|end"
)
WRITES = [name for name in CALLS if re.match(rf"\w+\.({VERBS})(_|\b)", name)]
WITHOUT_ANSWER = {"documents.purge", "records.purge_patient", "documents.cancel", "texts.read_again"}
# These speak of nothing but the leave to send bytes that `receive` gave, and `attach` asks the door again.
WITH_LEAVE = {"documents.stage", "documents.refuse"}
# These are for the account of an address that was invited, which has no access yet: tests/records/test_sharing.py.
OF_THE_INVITED = {"shares.invitations", "shares.accept", "shares.decline"}

OF_ONESELF = {"texts.set_date_order"}  # a setting of the account
OF_NOBODY = {"records.unused_hue"}  # the number of a color


def set_photo(on: Things) -> Any:
    content = samples.SAMPLES[".jpg"]()
    staged = on.world.parts.storages.default.stage(len(content))
    staged.write(content)
    return on.world.photos().set(on.patient_id, staged, "photo.jpg")


@pytest.fixture
def things(world: World) -> Things:
    patient = world.patient()
    documents, records, visit = world.documents(), world.records(), world.kind()
    record = records.create(patient.id, visit, values_for(visit), FORM)
    records.create(patient.id, visit, values_for(visit) | {"location": "Health center"}, FORM)  # an edit of the record
    records.edit_patient(patient.id, {"gender": "Female"})
    gone = world.record(patient=patient, reason="Gone")
    file, trashed = world.attach(record, idempotency_key=KEY), world.attach(record, "old.pdf")
    world.attach(record, "copy.pdf").scan = "infected"
    db.session.commit()
    store.store(file.sha256, 1, 1, "text-layer", "Letter", [Word("Letter", 0.1, 0.1, 0.2, 0.1)])
    documents.trash(trashed.id)
    records.delete(world.kind(), gone.id)
    permit = documents.authorize_upload(world.kind(), record.id, 1000, files=1)
    change = world.events(action="edit-patient")[0].id
    world.share(patient, "otto@sample.example")
    world.user("max@sample.example")
    lab = world.record("lab-result", patient)
    world.store_photo(patient)
    records.pin_patient(patient.id)
    away = records.delete_patient(world.patient().id).id
    archived = records.archive_patient(world.patient().id).id
    other = world.patient().id
    [unfiled] = world.store(patient, "scan.txt", to_file=True)
    made = world.link(file, allow_download=True)
    smart = world.smart_links().create_smart(made.link.id, "desk", "http://localhost/shl/").smart
    world.reader().open(str(made.token), None, None, None)
    shares = ShareService(world.actor(), world.parts.registry, world.parts.storages)
    return Things(
        world, documents, world.bulk(), world.previews(), records, world.older_file(lab).id,
        world.older_file(lab, moved=True).id, shares, replace(shares, actor=world.actor("otto@sample.example")),
        shares.list(patient.id)[0].share.id, patient.id, record.id, gone.id, file, trashed.id, permit, change, away,
        archived, other, unfiled, made.link.id, smart.id,
    )  # fmt: skip


@pytest.fixture
def all_denied(things: Things, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = select(Patient.id.label("patient_id"), literal("owner").label("level")).where(false())

    monkeypatch.setattr(permissions, "effective_level", lambda *_: None)
    monkeypatch.setattr(permissions, "levels", lambda *_: nobody)
    monkeypatch.setattr(permissions, "trashed_patients", lambda *_: select(Patient.id).where(false()))
    monkeypatch.setattr(permissions, "patients_for", lambda *_: select(Patient.id).where(false()))
    monkeypatch.setattr(permissions, "granted", lambda *_: [nobody])
    given = permissions.parameters
    monkeypatch.setattr(permissions, "parameters", lambda _: given(Actor(0, "nobody@sample.example")))
    monkeypatch.setattr(permissions, "can_view", lambda *_: false())
    monkeypatch.setattr(permissions, "has_level", lambda *_: false())


def verbs() -> set[str]:
    services = {
        "documents": (UploadService, DocumentService), "bulk": (BulkService,), "previews": (PreviewService,),
        "searches": (SearchService,), "inbox": (InboxService,), "photos": (PhotoService,), "merges": (MergeService,),
        "records": (PatientService, RecordService), "shares": (ShareService,), "texts": (TextService,),
        "links": (LinkService,), "smart": (SmartLinkService,),
    }  # fmt: skip
    return {
        f"{name}.{verb}"
        for name, classes in services.items()
        for service in classes
        for verb, member in vars(service).items()
        if isfunction(member) and not verb.startswith("_") and verb not in vars(Service)
    }


def stored(world: World) -> dict[str, Any]:
    """All rows but the trail's, and all bytes."""
    db.session.rollback()
    tables = [table for table in db.metadata.sorted_tables if table.name not in ("audit_events", "audit_private")]
    rows = {table.name: db.session.execute(select(table).order_by(*table.primary_key)).all() for table in tables}
    return rows | {str(path): path.read_bytes() for path in world.uploads.rglob("*") if path.is_file()}


def answered(things: Things, call: Callable[[Things], Any]) -> Any:
    """What the verb gave away; None when it was refused."""
    try:
        return call(things)
    except (NotFound, Forbidden):
        return None


def test_every_verb_is_in_the_table_of_calls() -> None:
    assert verbs() - WITH_LEAVE - OF_THE_INVITED - OF_ONESELF - OF_NOBODY == {name.split(" ")[0] for name in CALLS}


def test_every_call_that_only_reads_answers_when_nothing_is_denied(things: Things) -> None:
    assert [name for name in CALLS if name not in WRITES and not CALLS[name](things)] == []


@pytest.mark.parametrize("name", WRITES)
def test_a_call_that_changes_something_answers_when_nothing_is_denied(things: Things, name: str) -> None:
    assert CALLS[name](things) or name.split(" of ")[0] in WITHOUT_ANSWER


@pytest.mark.usefixtures("all_denied")
def test_no_verb_gives_anything_away_or_changes_anything_when_all_is_denied(things: Things) -> None:
    before, wrong = stored(things.world), []
    for name, call in CALLS.items():
        if answered(things, call) or stored(things.world) != before:
            wrong.append(name)
    assert wrong == []
    things.world.assert_settled()
