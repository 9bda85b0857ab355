"""A patient who was added twice is merged into the other one, with everything, in one transaction."""

import pytest

from medfiles.database.session import db
from medfiles.errors import Archived, Conflict, Forbidden, NotFound, Rejected
from medfiles.models import EntityFile, Patient, Visit
from medfiles.search.query import SearchQuery
from tests.support.api_client import problem, script
from tests.support.factories import World

pytestmark = pytest.mark.database
OTTO = "otto@sample.example"


def two(world: World) -> tuple[int, int]:
    """A duplicate with records and documents, also in the trash, and the patient it is merged into."""
    copy, kept = world.patient(first_name="Ela"), world.patient()
    visit, gone = world.record(patient=copy, reason="Sprained ankle"), world.record(patient=copy)
    [_, trashed] = world.store(visit, "one.txt", "two.txt")
    world.store(gone, "three.txt")
    world.store(copy, "passport.txt")
    world.documents().trash(trashed)
    world.records().delete(world.kind(), gone.id)
    ids = copy.id, kept.id
    db.session.rollback()
    return ids


def test_everything_is_moved_and_the_duplicate_is_in_the_trash(world: World) -> None:
    copy, kept = two(world)
    merged = world.merges().merge(copy, kept)
    assert (merged.patient.id, merged.records, merged.documents, merged.without_access) == (kept, 2, 4, [])
    assert {file.patient_id for file in world.files()} == {kept}
    assert [file.entity_id for file in world.files() if file.entity_type == "patient"] == [kept]
    assert {visit.patient_id for visit in db.session.query(Visit)} == {kept}
    assert [patient.id for patient in world.records().trashed_patients()] == [copy]
    assert world.records().trash_contents()[copy].documents == 0
    assert len(world.records().trashed(kept)) == 1
    assert sum(world.documents().totals(kept).values()) == 2
    world.assert_sound()


def test_documents_are_read_and_found_under_the_other_patient(world: World) -> None:
    copy, kept = two(world)
    world.merges().merge(copy, kept)
    found = world.searches().search(SearchQuery("ankle"), 10).items
    assert {item.patient.id for item in found} == {kept}
    for file in world.files():
        if file.deleted_at is None:
            assert b"".join(world.documents().open(file.id).read()).startswith(b"Letter")


def test_both_patients_tell_of_the_merge(world: World) -> None:
    copy, kept = two(world)
    world.merges().merge(copy, kept)
    events = world.events(action="merge-patient")
    assert [(event.patient_id, (event.details or {})["documents"]) for event in events] == [(copy, 4), (kept, 4)]
    assert "merged the patient" in world.browser(htmx=False).get(f"/patients/{kept}/activity").text


def test_shares_are_named_and_not_moved(world: World) -> None:
    copy, kept = two(world)
    for email in (OTTO, "max@sample.example"):
        world.share(db.session.get_one(Patient, copy), email)
    world.share(db.session.get_one(Patient, kept), OTTO)
    assert world.merges().merge(copy, kept).without_access == ["max@sample.example"]
    with pytest.raises(NotFound):
        world.records("max@sample.example").patient(kept)


def test_only_patients_of_ones_own_are_merged(world: World) -> None:
    copy, kept = two(world)
    for patient_id in (copy, kept):
        world.share(db.session.get_one(Patient, patient_id), OTTO, "edit")
    other = world.patient(OTTO).id
    db.session.rollback()
    with pytest.raises(Forbidden):
        world.merges(OTTO).merge(copy, kept)
    with pytest.raises(Forbidden):
        world.merges(OTTO).merge(copy, other)
    with pytest.raises(NotFound):
        world.merges().merge(copy, other)
    with pytest.raises(Rejected):
        world.merges().merge(copy, copy)
    assert {file.patient_id for file in world.files()} == {copy}


@pytest.mark.parametrize("which", [0, 1])
def test_archived_patients_are_not_merged(world: World, which: int) -> None:
    ids = two(world)
    world.records().archive_patient(ids[which])
    with pytest.raises(Archived):
        world.merges().merge(*ids)


def test_a_patient_without_room_takes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    copy, kept = two(world)
    monkeypatch.setattr("medfiles.records.merging.count_live", lambda *_: world.parts.registry.patient.max_files)
    with pytest.raises(Conflict):
        world.merges().merge(copy, kept)
    assert {file.patient_id for file in db.session.query(EntityFile)} == {copy}


def test_the_api_merges(world: World) -> None:
    copy, kept = two(world)
    by = script(world)
    problem(by.post(f"/patients/{copy}/merge", {"into": copy}), 422, "rejected")
    answer = by.post(f"/patients/{copy}/merge", {"into": kept})
    assert answer.get_json() == {"patient_id": kept, "records": 2, "documents": 4, "without_access": []}
    problem(by.get(f"/patients/{copy}"), 404, "not-found")


def test_pages_merge_and_say_who_loses_access(world: World) -> None:
    copy, kept = two(world)
    world.share(db.session.get_one(Patient, copy), OTTO)
    browser = world.browser(htmx=False)
    page = browser.get(f"/patients/{copy}/merge").text
    assert f'value="{kept}"' in page
    assert f'value="{copy}"' not in page
    assert browser.post(f"/patients/{copy}/merge").status_code == 422
    assert browser.post(f"/patients/{copy}/merge", into=kept).location == f"/patients/{kept}"
    shown = browser.get(f"/patients/{kept}").text
    assert "All records and documents moved to Ella Sample." in shown
    assert OTTO in shown
