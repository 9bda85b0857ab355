"""The encrypted copy of a SMART Health Link: what is in it, where its key is, and when it is built again."""

import json
import uuid
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import Conflict, IntegrityFailed, StorageError
from medfiles.models import Job, Patient, SmartLink, SmartLinkDocument, StorageJournal
from medfiles.operations import worker
from medfiles.smart_links import building, crypto, story
from medfiles.smart_links.crypto import JweWriter, Wrapping
from medfiles.smart_links.story import Cover
from tests.smart_links.doubles import decrypted, pdfs, row_of, stored
from tests.smart_links.doubles import told as told
from tests.support import samples
from tests.support.factories import World

pytestmark = pytest.mark.database


def made(world: World, *names: str, kind: str = "desk", **more: Any) -> Any:
    record = world.record()
    files = [world.attach(record, name) for name in names or ("Letter.pdf",)]
    link = world.link(*files, allow_download=True, **more).link
    return files, link, world.smart(link, kind)


def resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind]


def test_copy_is_a_collection_with_one_patient_and_at_least_two_entries(world: World) -> None:
    _, _, smart = made(world)
    bundle = decrypted(stored(world, smart), smart.key)
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "collection")
    assert abs(datetime.fromisoformat(bundle["timestamp"]) - now()) < timedelta(minutes=1)
    [patient] = resources(bundle, "Patient")
    assert patient == {
        "resourceType": "Patient",
        "name": [{"family": "Sample", "given": ["Ella"]}],
        "gender": "unknown",
        "birthDate": "2018-03-02",
    }
    assert len(bundle["entry"]) >= 2


@pytest.mark.parametrize(("stated", "gender"), [("Female", "female"), ("male", "male"), ("woman", "unknown")])
def test_gender_is_one_of_fhir(world: World, stated: str, gender: str) -> None:
    patient = world.patient()
    with transaction() as session:
        session.get_one(Patient, patient.id).gender = stated
    smart = world.smart(world.link(world.attach(patient), allow_download=True).link)
    [found] = resources(decrypted(stored(world, smart), smart.key), "Patient")
    assert found["gender"] == gender


def test_every_entry_has_an_address_of_its_own(world: World) -> None:
    _, _, smart = made(world, "One.pdf", "Two.pdf")
    addresses = [entry["fullUrl"] for entry in decrypted(stored(world, smart), smart.key)["entry"]]
    assert len(set(addresses)) == 4
    assert all(uuid.UUID(address.removeprefix("urn:uuid:")).version == 4 for address in addresses)


def test_documents_are_of_the_patient_by_the_patient_and_shared_by_the_patient(world: World) -> None:
    _, _, smart = made(world)
    bundle = decrypted(stored(world, smart), smart.key)
    about = {"reference": bundle["entry"][0]["fullUrl"]}
    for document in resources(bundle, "DocumentReference"):
        assert (document["subject"], document["author"]) == (about, [about])
        assert (document["status"], "meta" in document) == ("current", False)
        [coding] = document["type"]["coding"]
        assert (coding["system"], coding["code"]) == ("http://loinc.org", "60591-5")
        [category] = document["category"]
        [coding] = category["coding"]
        assert f"{coding['system']}#{coding['code']}" == (
            "https://cms.gov/fhir/CodeSystem/patient-shared-category#patient-shared"
        )
        [content] = document["content"]
        assert content["attachment"]["contentType"] == "application/pdf"


def test_story_comes_first_and_pdfs_are_the_very_bytes(world: World) -> None:
    first, second = samples.pdf(), samples.pdf() + b"\n% second"
    record = world.record()
    files = [world.attach(record, "One.pdf", first), world.attach(record, "Two.pdf", second)]
    smart = world.smart(world.link(*files, allow_download=True).link)
    found = pdfs(decrypted(stored(world, smart), smart.key))
    assert list(found) == ["Documents of Ella Sample", "One", "Two"]
    assert (found["One"], found["Two"]) == (first, second)
    assert found["Documents of Ella Sample"] == b"%PDF-1.7 One, Two"


def test_documents_without_a_pdf_are_only_in_the_story(world: World) -> None:
    patient = world.patient()
    files = [world.attach(patient, name) for name in ("Letter.pdf", "Scan.dcm")]
    smart = world.smart(world.link(*files, allow_download=True).link)
    assert list(pdfs(decrypted(stored(world, smart), smart.key))) == ["Documents of Ella Sample", "Letter"]


def test_documents_of_their_own_can_be_left_out(world: World) -> None:
    file = world.attach(world.record())
    link = world.link(file, allow_download=True).link
    smart = world.smart(link, each_document=False)
    assert list(pdfs(decrypted(stored(world, smart), smart.key))) == ["Documents of Ella Sample"]


def test_cover_has_what_the_sender_said(world: World, told: list[Cover]) -> None:
    _, _, smart = made(world, sender="Nora", note="Left knee")
    [cover] = told
    said = (cover.patient, cover.birth_date, cover.sender, cover.note)
    assert said == ("Ella Sample", date(2018, 3, 2), "Nora", "Left knee")
    assert cover.expires == row_of(smart).expires_at


def test_every_copy_has_an_iv_of_its_own(world: World) -> None:
    file = world.attach(world.record())
    link = world.link(file, allow_download=True).link
    copies = [stored(world, world.smart(link)) for _ in range(2)]
    assert len({copy.split(b".")[2] for copy in copies}) == 2


@pytest.mark.parametrize("size", [0, 1, 2, 3, crypto.PIECE - 1, crypto.PIECE, 3 * crypto.PIECE + 5])
def test_content_of_any_size_is_encrypted_in_a_stream(size: int) -> None:
    written, key, content = bytearray(), crypto.new_key(), json.dumps({"padding": "x" * size}).encode()
    writer = JweWriter(written.extend, key, "application/fhir+json")
    for at in range(0, len(content), 1000):
        writer.write(content[at : at + 1000])
    writer.finish()
    assert decrypted(bytes(written), key) == {"padding": "x" * size}
    assert b"=" not in written


def test_key_is_stored_wrapped_until_the_copy_exists(world: World) -> None:
    file = world.attach(world.record())
    link = world.link(file, allow_download=True).link
    new = world.smart_links().create_smart(link.id, "desk", "http://localhost/shl/")
    wrapped = db.session.scalar(select(SmartLink.key_wrapped).where(SmartLink.id == new.smart.id))
    assert wrapped
    assert len(world.parts.wrapping.unwrap(wrapped)) == 32
    world.parts.smart_link_builder.build(new.smart.id)
    db.session.rollback()
    assert db.session.scalar(select(SmartLink.key_wrapped).where(SmartLink.id == new.smart.id)) is None


@pytest.mark.parametrize(("kind", "kept"), [("desk", False), ("paper", False), ("app", False), ("up-to-date", True)])
def test_only_a_link_that_keeps_up_to_date_keeps_its_key(world: World, kind: str, kept: bool) -> None:
    _, _, smart = made(world, kind=kind)
    assert (row_of(smart).key_wrapped is not None) == kept


def test_job_holds_no_key(world: World) -> None:
    file = world.attach(world.record())
    link = world.link(file, allow_download=True).link
    new = world.smart_links().create_smart(link.id, "desk", "http://localhost/shl/")
    job = db.session.scalars(select(Job).where(Job.kind == "smart")).one()
    assert (job.subject, job.failure) == (new.smart.id, None)


def test_key_wrapped_with_another_secret_is_told() -> None:
    wrapped = Wrapping.derive("one secret").wrap(crypto.new_key())
    with pytest.raises(IntegrityFailed):
        Wrapping.derive("another").unwrap(wrapped)


def test_worker_builds_the_copy(world: World) -> None:
    file = world.attach(world.record())
    link = world.link(file, allow_download=True).link
    new = world.smart_links().create_smart(link.id, "desk", "http://localhost/shl/")
    assert worker.run_next(world.app)
    assert building.wait(new.smart.id)
    world.assert_settled()


def test_waiting_ends_when_the_copy_is_built(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    file = world.attach(world.record())
    link = world.link(file, allow_download=True).link
    new = world.smart_links().create_smart(link.id, "desk", "http://localhost/shl/")
    monkeypatch.setattr(building, "WAIT_SECONDS", 60)
    monkeypatch.setattr(building, "pause", lambda _: worker.run_next(world.app))
    assert building.wait(new.smart.id)


def test_waiting_gives_up(world: World) -> None:
    file = world.attach(world.record())
    link = world.link(file, allow_download=True).link
    new = world.smart_links().create_smart(link.id, "desk", "http://localhost/shl/")
    assert not building.wait(new.smart.id)


def test_building_twice_changes_nothing(world: World) -> None:
    _, _, smart = made(world, kind="up-to-date")
    before = row_of(smart).key
    assert world.parts.smart_link_builder.build(smart.id) == {}
    assert row_of(smart).key == before
    world.assert_settled()


def test_renamed_document_is_built_again_if_the_link_keeps_up_to_date(world: World) -> None:
    [file], _, smart = made(world, kind="up-to-date")
    world.documents().edit(file.id, {"file_name": "Referral.pdf"})
    world.parts.smart_link_builder.build(smart.id)
    assert "Referral" in pdfs(decrypted(stored(world, smart), smart.key))
    world.assert_settled()


def test_document_that_changes_during_the_build_is_copied_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    file = world.attach(world.record(), "Letter.pdf")
    link = world.link(file, allow_download=True).link
    new = world.smart_links().create_smart(link.id, "desk", "http://localhost/shl/")
    build, names = story.build, iter(["Referral.pdf"])

    def renamed(*given: Any) -> Any:
        if name := next(names, None):
            world.documents().edit(file.id, {"file_name": name})
        return build(*given)

    monkeypatch.setattr(story, "build", renamed)
    world.parts.smart_link_builder.build(new.smart.id)
    row = db.session.get_one(SmartLink, new.smart.id, populate_existing=True)
    assert row.built_at
    world.assert_settled()


def test_document_that_keeps_changing_fails_cleanly(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    file = world.attach(world.record(), "Letter.pdf")
    link = world.link(file, allow_download=True).link
    new = world.smart_links().create_smart(link.id, "desk", "http://localhost/shl/")
    build, numbers = story.build, iter(range(100))

    def renamed(*given: Any) -> Any:
        world.documents().edit(file.id, {"file_name": f"Letter {next(numbers)}.pdf"})
        return build(*given)

    monkeypatch.setattr(story, "build", renamed)
    with pytest.raises(Conflict):
        world.parts.smart_link_builder.build(new.smart.id)
    row = db.session.get_one(SmartLink, new.smart.id, populate_existing=True)
    assert (row.built_at, row.key, row.failure) == (None, None, "conflict")
    world.assert_settled()


def test_trash_during_the_build_ends_the_link(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record = world.record()
    kept, gone = world.attach(record, "Kept.pdf"), world.attach(record, "Gone.pdf")
    link = world.link(kept, gone, allow_download=True).link
    new = world.smart_links().create_smart(link.id, "desk", "http://localhost/shl/")
    build = story.build

    def trashed(*given: Any) -> Any:
        world.documents().trash(gone.id)
        return build(*given)

    monkeypatch.setattr(story, "build", trashed)
    assert world.parts.smart_link_builder.build(new.smart.id) == {}
    row = db.session.get_one(SmartLink, new.smart.id, populate_existing=True)
    assert (row.ended_at is not None, row.key, row.key_wrapped) == (True, None, None)
    world.assert_settled()


def test_failure_is_noted_and_the_next_attempt_clears_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    file = world.attach(world.record())
    link = world.link(file, allow_download=True).link
    new = world.smart_links().create_smart(link.id, "desk", "http://localhost/shl/")

    def fail(*_: Any) -> Any:
        raise StorageError()

    with monkeypatch.context() as failing:
        failing.setattr(story, "build", fail)
        with pytest.raises(StorageError):
            world.parts.smart_link_builder.build(new.smart.id)
    [summary] = world.smart_links().smart_links(link.id)
    assert (summary.state, summary.smart.failure) == ("failed", "storage")
    world.parts.smart_link_builder.build(new.smart.id)
    [summary] = world.smart_links().smart_links(link.id)
    assert (summary.state, summary.smart.failure) == ("ready", None)


def test_copy_names_the_documents_it_holds(world: World) -> None:
    files, _, smart = made(world, "One.pdf", "Two.pdf")
    held = db.session.scalars(select(SmartLinkDocument.file_id).where(SmartLinkDocument.smart_link_id == smart.id))
    assert sorted(held) == [file.id for file in files]
    assert not db.session.scalars(select(StorageJournal)).all()
