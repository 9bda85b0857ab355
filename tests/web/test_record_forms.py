"""Forms of records: fields saved together with marked documents, and one record however often its form is sent."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from lxml import html
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from medfiles.clock import now
from medfiles.database.session import db
from medfiles.documents import lifecycle
from medfiles.errors import Conflict, DatabaseUnavailable, MedfilesError, NotFound, StorageError
from medfiles.records.service import RecordService
from medfiles.storage import journal
from tests.support.factories import Browser, World, details_of, heard, run_at_once, values_for

NORA, VERA = "nora@sample.example", "vera@sample.example"
KEY = "6f1c"
ABSENT = 1_999_999_999
LATER = timedelta(hours=1)
DAY = "2026-05-12"


@dataclass
class Form:
    """The form of one visit, its reason "Knee", with three documents."""

    world: World
    browser: Browser
    record: Any

    def __post_init__(self) -> None:
        self.record_id: int = self.record.id
        self.path = f"/visit/{self.record_id}/edit"
        self.ids = self.world.store(self.record, "a.txt", "b.txt", "c.txt")

    def save(self, *remove: int | str, **fields: str) -> TestResponse:
        return self.browser.post(self.path, remove=list(remove), **{"reason": "Hip", "date": DAY, **fields})

    def edit(self, *remove: int) -> None:
        values = {**values_for(self.world.kind()), "reason": "Hip"}
        self.world.records().edit(self.world.kind(), self.record_id, values, remove)

    @property
    def reason(self) -> str:
        db.session.rollback()
        stored: Any = self.world.records().get(self.world.kind(), self.record_id)
        return str(stored.reason)

    def names(self, *, trashed: bool = False) -> list[str]:
        return [file.file_name for file in self.world.files() if (file.deleted_at is not None) == trashed]

    def assert_unchanged(self) -> None:
        """The record and its documents are as they were, in their places, with their bytes."""
        assert (self.reason, self.names(), self.names(trashed=True)) == ("Knee", ["a.txt", "b.txt", "c.txt"], [])
        contents = [b"".join(self.world.documents().open(file.id).read()) for file in self.world.files()]
        assert contents == [b"Letter 0", b"Letter 1", b"Letter 2"]
        assert self.world.events(action="edit-record", outcome="done") == []


@pytest.fixture
def form(world: World) -> Form:
    return Form(world, world.browser(), world.record(reason="Knee"))


def control(answer: TestResponse, name: str) -> list[str]:
    """What the fields of this name hold; of tick boxes those that are ticked."""
    page = html.document_fromstring(answer.text)
    found: list[str] = page.xpath("//input[@name=$name][not(@type='checkbox') or @checked]/@value", name=name)
    return found


def said(answer: TestResponse) -> str:
    return " ".join(html.document_fromstring(answer.text).text_content().split())


# --- documents that are marked in it ------------------------------------------------------------------------------


def test_what_is_marked_goes_to_the_trash_with_the_saving(form: Form) -> None:
    answer = form.save(form.ids[0], form.ids[2])
    assert answer.status_code == 200
    assert (form.reason, form.names(), form.names(trashed=True)) == ("Hip", ["b.txt"], ["a.txt", "c.txt"])
    form.world.assert_settled()


def test_the_page_is_told_of_the_record_and_of_its_documents(form: Form) -> None:
    changed = {"type": "visit", "id": form.record_id}
    assert heard(form.save()) == {"records:changed": changed}
    assert heard(form.save(form.ids[0])) == {"records:changed": changed, "documents:changed": {**changed, "count": 2}}


def test_without_script_one_is_led_to_the_record_that_was_saved(form: Form) -> None:
    form.browser = form.world.browser(htmx=False)
    answer = form.save(form.ids[1])
    assert (answer.status_code, answer.location) == (303, f"/visit/{form.record_id}")
    assert "Saved." in form.browser.get(answer.location).text
    assert (form.reason, form.names()) == ("Hip", ["a.txt", "c.txt"])


def test_the_trail_knows_the_saving_and_each_marked_document(form: Form) -> None:
    form.save(*form.ids[:2])
    [saved] = form.world.events(action="edit-record")
    assert details_of(saved) == {"name": "Knee", "changed": ["reason"]}
    moved = form.world.events(action="delete")
    assert [(event.file_id, event.outcome) for event in moved] == [(file_id, "done") for file_id in form.ids[:2]]


def test_a_document_marked_twice_is_moved_once(form: Form) -> None:
    assert form.save(form.ids[0], form.ids[0]).status_code == 200
    assert form.names(trashed=True) == ["a.txt"]


def test_a_marked_document_that_is_in_the_trash_by_now_is_where_it_should_be(form: Form) -> None:
    form.world.documents().trash(form.ids[0])
    assert form.save(*form.ids[:2]).status_code == 200
    assert (form.reason, form.names(trashed=True)) == ("Hip", ["a.txt", "b.txt"])
    form.world.assert_settled()


def test_a_marked_document_that_is_moved_at_the_same_time_is_said_in_the_form(
    form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving, somebody = lifecycle.moving, [form.world.documents()]

    def trash() -> None:
        with form.world.app.app_context():
            somebody.pop().trash(form.ids[0])

    def after_somebody_else(*arguments: Any) -> lifecycle.Moving:
        if somebody:
            run_at_once([trash])
        return moving(*arguments)

    monkeypatch.setattr(lifecycle, "moving", after_somebody_else)
    answer = form.save(*form.ids[:2])
    assert (answer.status_code, "changed elsewhere" in said(answer)) == (409, True)
    assert (control(answer, "reason"), control(answer, "remove")) == (["Hip"], [str(form.ids[1])])
    assert (form.reason, form.names(trashed=True)) == ("Knee", ["a.txt"])
    form.world.assert_settled()


@pytest.mark.parametrize("whose", ["another record", "another kind", "somebody else", "nobody"])
def test_a_marked_document_that_is_not_of_this_record_changes_nothing(form: Form, whose: str) -> None:
    world, patient = form.world, form.world.records().patient(form.record.patient_id).patient
    other = {
        "another record": lambda: world.store(world.record(patient=patient), "Other.txt")[0],
        "another kind": lambda: world.store(world.record("procedure", patient=patient), "Other.txt")[0],
        "somebody else": lambda: world.store(world.record(patient=world.patient(VERA), email=VERA), "Other.txt")[0],
        "nobody": lambda: ABSENT,
    }[whose]()
    answer = form.save(form.ids[0], other)
    assert (answer.status_code, heard(answer)["documents:error"]["code"]) == (404, "not-found")
    assert form.reason == "Knee"
    assert form.names(trashed=True) == []
    with pytest.raises(NotFound):
        form.edit(form.ids[0], other)
    world.assert_settled()


def test_marks_that_are_no_numbers_are_refused(form: Form) -> None:
    for mark in ("x", "-1", "1.0", "١", "9" * 19, ""):
        assert form.save(form.ids[0], mark).status_code == 422
    form.assert_unchanged()


def test_what_is_to_be_corrected_keeps_the_marks(form: Form) -> None:
    answer = form.save(form.ids[1], reason="", diagnosis="Bruised")
    assert (answer.status_code, "Enter the reason for the visit." in said(answer)) == (422, True)
    assert control(answer, "remove") == [str(form.ids[1])]
    assert "Bruised" in answer.text
    assert heard(answer) == {}
    form.assert_unchanged()


def test_what_is_to_be_corrected_keeps_the_marks_on_further_pages_too(form: Form) -> None:
    form.world.store(form.record, *(f"{number}.txt" for number in range(60)))
    oldest = form.ids[0]
    assert f'value="{oldest}"' not in form.browser.get(form.path).text
    assert control(form.save(oldest, reason=""), "remove") == [str(oldest)]


def test_a_record_that_is_in_the_trash_by_now_is_left_as_it_is(form: Form) -> None:
    form.world.records().delete(form.world.kind(), form.record_id)
    answer = form.save(form.ids[0])
    assert (answer.status_code, "Restore it before you change it." in said(answer)) == (409, True)
    assert form.reason == "Knee"
    form.world.assert_settled()


# --- all of it or nothing -----------------------------------------------------------------------------------------


def no_database() -> None:
    raise OperationalError("COMMIT", {}, Exception("gone"))


def fail(*_: Any, **__: Any) -> None:
    raise StorageError()


def break_commit(form: Form, patch: pytest.MonkeyPatch) -> None:
    session, commit, commits = db.session(), db.session().commit, []

    def committed() -> None:
        commits.append(1)
        if len(commits) == 2:  # the journal entries are the first, the record and its documents the second
            no_database()
        commit()

    patch.setattr(session, "commit", committed)


def break_copy(form: Form, patch: pytest.MonkeyPatch) -> None:
    storage, copied = form.world.parts.storages.default, []
    copy = storage.copy

    def second_fails(*keys: str) -> Any:
        copied.append(keys)
        return fail() if len(copied) == 2 else copy(*keys)

    patch.setattr(storage, "copy", second_fails)


def break_settling(form: Form, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(journal, "settle", fail)


@pytest.mark.parametrize(
    ("broken", "error"),
    [(break_commit, DatabaseUnavailable), (break_copy, StorageError), (break_settling, StorageError)],
)
def test_when_one_part_fails_the_record_and_its_documents_are_as_they_were(
    form: Form,
    monkeypatch: pytest.MonkeyPatch,
    broken: Callable[[Form, pytest.MonkeyPatch], None],
    error: type[MedfilesError],
) -> None:
    with monkeypatch.context() as patch, pytest.raises(error):
        broken(form, patch)
        form.edit(*form.ids[:2])
    form.world.assert_sound()
    form.assert_unchanged()
    form.world.sweep(now() + LATER)
    form.assert_unchanged()
    form.world.assert_settled()
    form.edit(*form.ids[:2])  # and nothing is in the way of another try
    assert (form.reason, form.names()) == ("Hip", ["c.txt"])
    form.world.assert_settled()


def test_a_store_that_fails_is_said_beside_the_form(form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        break_copy(form, patch)
        answer = form.save(*form.ids[:2])
    assert (answer.status_code, answer.headers["HX-Reswap"]) == (503, "afterbegin")
    assert heard(answer)["documents:error"]["code"] == "storage"
    form.assert_unchanged()
    form.world.assert_settled()


# --- new records --------------------------------------------------------------------------------------------------


@dataclass
class NewForm:
    """The form for a new visit of one patient, as it was shown once."""

    world: World
    browser: Browser
    patient_id: int

    def send(self, key: str | None = KEY, **fields: str) -> TestResponse:
        fields = {"reason": "Knee", "date": DAY, **fields, **({"creation_key": key} if key is not None else {})}
        return self.browser.post(f"/patients/{self.patient_id}/visits/new", **fields)

    def reasons(self) -> list[str]:
        db.session.rollback()
        records: Sequence[Any] = self.world.records().list(self.patient_id, self.world.kind())
        return sorted(record.reason for record in records)


@pytest.fixture
def new(world: World) -> NewForm:
    return NewForm(world, world.browser(), world.patient().id)


def made(answer: TestResponse) -> int:
    """The id of the record that the page is told of."""
    assert answer.status_code == 200
    events = heard(answer)
    assert events["records:created"] == events["records:changed"]
    assert events["records:created"]["type"] == "visit"
    return int(events["records:created"]["id"])


def test_the_page_is_told_of_a_new_record(new: NewForm) -> None:
    record_id = made(new.send())
    assert new.browser.get(f"/visit/{record_id}").status_code == 200
    assert new.reasons() == ["Knee"]


def test_one_form_sent_twice_makes_one_record_with_what_was_said_last(new: NewForm) -> None:
    first, second = made(new.send()), made(new.send(reason="Hip"))
    assert (first == second, new.reasons()) == (True, ["Hip"])
    actions = [(event.action, event.entity_id) for event in new.world.events(entity_type="visit", outcome="done")]
    assert [found for found in actions if found[0].startswith(("create", "edit"))] == [
        ("create-record", first),
        ("edit-record", first),
    ]


def test_without_script_one_form_sent_twice_leads_to_one_record(new: NewForm) -> None:
    new.browser = new.world.browser(htmx=False)
    answers = [new.send(), new.send()]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert answers[0].location == answers[1].location
    assert new.reasons() == ["Knee"]


def test_one_form_sent_many_times_at_once_makes_one_record(new: NewForm) -> None:
    world, kind, actor, ready, ids = new.world, new.world.kind(), new.world.actor(), threading.Barrier(6), []

    def send() -> None:
        with world.app.app_context():
            service = RecordService(actor, world.parts.registry, world.parts.storages)
            ready.wait(60)
            ids.append(service.create(new.patient_id, kind, values_for(kind), KEY).id)

    run_at_once([send] * 6)
    assert (len(ids), len(set(ids)), new.reasons()) == (6, 1, ["Something"])
    assert len(world.events(action="create-record", outcome="done")) == 1


def test_each_form_makes_a_record_of_its_own(new: NewForm) -> None:
    for key in (KEY, "another", None, None, ""):
        made(new.send(key))
    assert new.reasons() == ["Knee"] * 5


def test_the_key_is_good_for_one_patient_of_one_account(new: NewForm) -> None:
    sister = NewForm(new.world, new.browser, new.world.patient(first_name="Theo").id)
    theirs = NewForm(new.world, new.world.browser(VERA), new.world.patient(VERA).id)
    ids = {made(form.send(reason=reason)) for form, reason in ((new, "Knee"), (sister, "Hip"), (theirs, "Ear"))}
    assert len(ids) == 3
    assert (new.reasons(), sister.reasons()) == (["Knee"], ["Hip"])


def test_the_key_is_good_for_one_kind_of_record(new: NewForm) -> None:
    made(new.send())
    path = f"/patients/{new.patient_id}/procedures/new"
    answer = new.browser.post(path, procedure_name="Knee", date=DAY, creation_key=KEY)
    assert heard(answer)["records:created"]["type"] == "procedure"
    assert new.reasons() == ["Knee"]


def test_a_form_keeps_its_key_until_it_is_saved(new: NewForm) -> None:
    path = f"/patients/{new.patient_id}/visits/new"
    [first], [second] = (control(new.browser.get(path), "creation_key") for _ in range(2))
    assert first != second
    answer = new.send(first, reason="")
    assert (answer.status_code, control(answer, "creation_key")) == (422, [first])
    assert new.reasons() == []
    assert made(new.send(first)) == made(new.send(first))


def test_a_key_that_is_none_is_refused(new: NewForm) -> None:
    for key in ("x" * 65, "ключ", "two\twords"):
        answer = new.send(key)
        assert (answer.status_code, "creation_key" in answer.text) == (422, True)
    assert new.reasons() == []


def test_a_record_that_is_in_the_trash_by_now_is_not_made_again(new: NewForm) -> None:
    record_id = made(new.send())
    new.world.records().delete(new.world.kind(), record_id)
    answer = new.send(reason="Hip")
    assert (answer.status_code, "This visit is in the trash." in said(answer)) == (409, True)
    assert control(answer, "reason") == ["Hip"]
    with pytest.raises(Conflict):
        new.world.records().create(new.patient_id, new.world.kind(), values_for(new.world.kind()), KEY)
    assert new.reasons() == []


def test_what_was_marked_is_named_after_the_save_and_comes_back_by_undo(form: Form) -> None:
    answer = form.save(*form.ids[:2])
    assert "2 documents moved to trash." in answer.text
    undone = form.browser.post(
        f"/documents/visit/{form.record_id}/bulk",
        action="restore",
        file_ids=",".join(html.fromstring(answer.text).xpath("//input[@name='file_ids' and @type='hidden']/@value")),
    )
    assert (undone.status_code, form.names(trashed=True)) == (200, [])
