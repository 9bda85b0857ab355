"""Deleting a patient and getting it back on pages, without script."""

import re

import lxml.html
from sqlalchemy import update

from medfiles.clock import now
from medfiles.database.session import transaction
from medfiles.models import EntityFile
from tests.support.factories import Browser, World


def action(page: str, verb: str) -> str:
    """The address of the form on the page that does this to a patient."""
    [found] = set(re.findall(rf'action="(/patients/\d+/{verb})"', page))
    return str(found)


def deleted(world: World) -> tuple[Browser, int]:
    """A browser that has just moved a patient to the trash on the patient's page, and the patient."""
    browser, patient = world.browser(htmx=False), world.patient()
    answer = browser.post(action(browser.get(f"/patients/{patient.id}").text, "delete"))
    assert (answer.status_code, answer.location) == (303, "/")
    return browser, patient.id


def test_a_patient_is_moved_to_the_trash_in_its_menu_and_undo_brings_it_back(world: World) -> None:
    browser, patient_id = deleted(world)
    [notice] = re.findall(r'<div class="mf-notice.*?</div>', browser.get("/").text, re.DOTALL)
    assert "Ella Sample moved to trash with all records and documents." in notice
    answer = browser.post(action(notice, "restore"))
    assert (answer.status_code, answer.location) == (303, f"/patients/{patient_id}")
    assert "Ella Sample restored with all records and documents." in browser.get(answer.location).text


def test_a_patient_in_the_trash_is_restored_on_the_page_of_the_trash_later(world: World) -> None:
    browser, patient_id = deleted(world)
    browser.get("/")
    assert 'href="/trash"' in (home := browser.get("/").text)
    assert "1 patient in the trash" in home
    assert "Ella Sample" not in home
    assert browser.get(f"/patients/{patient_id}").status_code == 404
    browser.post(action(browser.get("/trash").text, "restore"))
    assert browser.get(f"/patients/{patient_id}").status_code == 200
    assert "in the trash" not in browser.get("/").text


def test_the_trash_counts_what_comes_back_and_the_days_left(world: World) -> None:
    patient = world.patient()
    gone, visit = world.record(patient=patient), world.record(patient=patient)
    world.store(world.record("lab-result", patient), "one.txt", "two.txt", "three.txt")
    world.store(visit, "four.txt")
    world.records().delete(world.kind(), gone.id)
    world.records().delete_patient(patient.id)
    page = " ".join(lxml.html.fromstring(world.browser().get("/trash").data).text_content().split())
    assert "2 records 4 documents deleted" in page
    assert "30 days left" in page


def test_a_patient_is_deleted_permanently_on_the_page_of_the_trash(world: World) -> None:
    browser, patient_id = deleted(world)
    answer = browser.post(action(browser.get("/trash").text, "purge"))
    assert (answer.status_code, answer.location) == (303, "/trash")
    page = browser.get("/trash").text
    assert "Deleted permanently." in page
    assert "Ella Sample" not in page
    assert browser.post(f"/patients/{patient_id}/restore").status_code == 404


def test_only_the_trash_of_patients_of_ones_own_is_shown(world: World) -> None:
    patient = world.patient()
    world.share(patient, "otto@sample.example", "edit")
    world.records().delete_patient(patient.id)
    assert "Ella Sample" in world.browser().get("/trash").text
    assert "Ella Sample" not in world.browser("otto@sample.example").get("/trash").text


def test_only_the_owner_finds_the_way_to_the_trash(world: World) -> None:
    patient = world.patient()
    world.share(patient, "otto@sample.example", "edit")
    page = world.browser("otto@sample.example", htmx=False).get(f"/patients/{patient.id}").text
    assert f"/patients/{patient.id}/delete" not in page


def test_the_activity_says_who_deleted_and_restored_a_patient(world: World) -> None:
    browser, patient_id = deleted(world)
    browser.post(f"/patients/{patient_id}/restore")
    page = browser.get(f"/patients/{patient_id}/activity").text
    assert "moved the patient" in page
    assert "restored the patient" in page


def test_trash_of_many_documents_comes_in_pages(world: World) -> None:
    record = world.record()
    world.store(record, *["letter.txt"] * 60)
    with transaction() as session:
        session.execute(update(EntityFile).values(deleted_at=now(), deleted_round=0))
    trash, counts, seen = f"/patients/{record.patient_id}/trash", [], set[str]()
    while trash:
        tree = lxml.html.fromstring(world.browser().get(trash).data)
        forms = tree.xpath("//form[contains(@action, '/restore')]/@action")
        counts.append(len(forms))
        seen |= set(forms)
        trash = next(iter(tree.xpath("//a[@rel='next']/@href")), "")
    assert (counts, len(seen)) == ([50, 10], 60)


def test_trash_counts_the_documents_of_each_record(world: World) -> None:
    patient = world.patient()
    for names in (("one.txt",), (), ("one.txt", "two.txt")):
        record = world.record(patient=patient)
        world.store(record, *names)
        world.records().delete(world.kind(), record.id)
    assert [number for _, _, number in world.records().trashed(patient.id)] == [2, 0, 1]
