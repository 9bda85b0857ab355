"""Photos of patients: square, seen by those with access, and stored as safely as documents."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import func, select

from medfiles.database.session import db, transaction
from medfiles.errors import Conflict, Forbidden, NotFound, Rejected
from medfiles.models import FixityFinding, Patient, StorageJournal
from medfiles.operations import backup, copy_storage, housekeeping, integrity
from medfiles.sandbox.render.image import SIDE
from medfiles.storage import Storages
from medfiles.storage.disk import DiskStorage
from tests.support import samples
from tests.support.api_client import RAW, disposition, problem, script
from tests.support.factories import World

pytestmark = pytest.mark.database
OTTO = "otto@sample.example"


def striped() -> bytes:
    """A portrait of three bands: red, green in the middle, blue."""
    picture = Image.new("RGB", (300, 900))
    for band, color in enumerate(("red", "lime", "blue")):
        picture.paste(Image.new("RGB", (300, 300), color), (0, 300 * band))
    return samples.encoded(picture, "PNG")


def key_of(patient_id: int) -> str | None:
    db.session.rollback()
    key: str | None = db.session.scalar(select(Patient.photo_key).where(Patient.id == patient_id))
    return key


def test_a_photo_is_a_square_around_the_upper_middle_without_metadata(world: World) -> None:
    patient = world.patient()
    world.photo(patient, striped(), name="Me.png")
    content = b"".join(world.photos().open(patient.id).read())
    with Image.open(BytesIO(content)) as picture:
        assert (picture.format, picture.size, dict(picture.getexif())) == ("WEBP", (SIDE, SIDE), {})
        color: Any = picture.convert("RGB").getpixel((20, SIDE // 2))
        red, green, _ = color
        assert green > 200 > red
    world.assert_settled()


def test_a_new_photo_replaces_the_earlier_one_and_leaves_nothing(world: World) -> None:
    patient = world.patient()
    world.photo(patient, striped(), name="Me.png")
    first = key_of(patient.id)
    world.photo(patient, samples.SAMPLES[".jpg"]())
    assert key_of(patient.id) != first
    world.assert_settled()
    world.photos().remove(patient.id)
    assert key_of(patient.id) is None
    assert list(world.parts.storages.default.keys()) == []
    with pytest.raises(NotFound):
        world.photos().open(patient.id)
    with pytest.raises(Conflict, match="no photo"):
        world.photos().remove(patient.id)
    assert [event.action for event in world.events(outcome="done")][-3:] == ["set-photo", "set-photo", "remove-photo"]


def test_only_people_with_access_see_the_photo_and_only_editors_change_it(world: World) -> None:
    patient = world.patient()
    world.share(patient, OTTO)
    world.photo(patient, samples.SAMPLES[".jpg"]())
    assert world.photos(OTTO).open(patient.id).size > 0
    with pytest.raises(Forbidden):
        world.photos(OTTO).remove(patient.id)
    with pytest.raises(Forbidden):
        world.photo(patient, samples.SAMPLES[".jpg"](), OTTO)
    for service in (world.photos("max@sample.example"), world.photos()):
        if service.actor.email == world.user().email:
            world.records().delete_patient(patient.id)
        with pytest.raises(NotFound):
            service.open(patient.id)
    world.assert_sound()


@pytest.mark.parametrize("name", ["Letter.pdf", "Note.txt"])
def test_what_is_no_picture_is_refused(world: World, name: str) -> None:
    patient = world.patient()
    with pytest.raises(Rejected):
        world.photo(patient, samples.SAMPLES[name[-4:]](), name=name)
    assert key_of(patient.id) is None
    world.assert_settled()


def test_a_photo_is_purged_with_its_patient(world: World) -> None:
    patient = world.patient()
    world.photo(patient, samples.SAMPLES[".jpg"]())
    world.records().delete_patient(patient.id)
    world.records().purge_patient(patient.id)
    housekeeping.purge_patient(world.parts.registry, world.parts.storages, patient.id)
    assert list(world.parts.storages.default.keys()) == []
    world.assert_settled()


def test_the_sweep_and_the_integrity_check_know_photos(world: World) -> None:
    patient = world.patient()
    world.photo(patient, samples.SAMPLES[".jpg"]())
    key, storages = str(key_of(patient.id)), world.parts.storages
    with transaction() as session:  # as if a bug released the key of a photo in use
        session.add(StorageJournal(key=key, storage="disk", action="remove", lease_until=patient.created_at))
    world.sweep()
    assert storages.default.stat(key).size > 0
    with transaction() as session:
        session.execute(StorageJournal.__table__.delete())
    assert integrity.verify(storages).findings == []
    storages.default.delete(key)
    assert [(one.kind, one.key, one.file_id) for one in integrity.verify(storages).findings] == [("missing", key, None)]
    assert db.session.scalar(select(func.count(FixityFinding.id))) == 1
    world.photos().remove(patient.id)
    assert integrity.verify(storages).findings == []


def test_a_backup_holds_photos(world: World, tmp_path: Path) -> None:
    patient = world.patient()
    world.photo(patient, samples.SAMPLES[".jpg"]())
    saved = backup.back_up(world.parts.storages, tmp_path / "backups", "secret")
    assert saved.problems == []
    [entry] = backup.entries(tmp_path / "backups", saved.name)
    assert entry.key == key_of(patient.id)
    assert list(backup.check(tmp_path / "backups", saved.name)) == []


def test_photos_are_copied_to_another_store(world: World, tmp_path: Path) -> None:
    patient = world.patient()
    world.photo(patient, samples.SAMPLES[".jpg"]())
    content = b"".join(world.photos().open(patient.id).read())
    old = world.parts.storages.default
    storages = Storages(DiskStorage(tmp_path / "other", "other"), old)
    assert copy_storage.copy_documents(storages).others == 0
    key = str(key_of(patient.id))
    assert b"".join(storages["other"].open(key)) == content
    assert list(old.keys()) == []


def test_the_api_stores_sends_and_removes_a_photo(world: World) -> None:
    by, patient = script(world), world.patient()
    path = f"/patients/{patient.id}/photo"
    problem(by.get(path), 404, "not-found")
    sent = {"Content-Disposition": disposition("Me.png"), "Content-Type": RAW}
    assert by.ask("PUT", path, data=striped(), headers=sent).status_code == 204
    answer = by.get(path)
    assert (answer.status_code, answer.mimetype, answer.data[8:12]) == (200, "image/webp", b"WEBP")
    assert "private" in answer.headers["Cache-Control"]
    assert by.delete(path).status_code == 204
    problem(by.delete(path), 409, "conflict")


def test_pages_show_the_photo_instead_of_initials(world: World) -> None:
    browser, patient = world.browser(htmx=False), world.patient()
    page = f"/patients/{patient.id}"
    assert f"{page}/photo?v=" not in browser.get(page).text
    answer = browser.client.post(
        f"{page}/photo?csrf_token={browser.token}", data={"file": (BytesIO(striped()), "Me.png")}
    )
    assert (answer.status_code, answer.location) == (303, f"{page}/profile")
    shown = browser.get(f"{page}/profile").text
    assert f"{page}/photo?v=" in shown
    assert f'action="{page}/photo/remove"' in shown
    assert browser.get(f"{page}/photo").data[8:12] == b"WEBP"
    browser.post(f"{page}/photo/remove")
    assert f"{page}/photo?v=" not in browser.get("/").text
