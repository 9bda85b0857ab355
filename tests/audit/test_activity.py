"""Who looked at this document: the activity of a patient, narrowed to one document, one person, one kind."""

import re
from pathlib import Path
from typing import Any

import lxml.html
import pytest

import medfiles
from medfiles.audit import activity, event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.database.session import transaction
from medfiles.errors import WrongPasscode
from tests.support.factories import World

PACKAGE = Path(medfiles.__file__).parent
HELPER, READER = "max@sample.example", "otto@sample.example"


@pytest.fixture
def letter(world: World) -> Any:
    """A document that its owner added, a caregiver changed and a reader downloaded and may not change."""
    patient = world.patient()
    file = world.attach(world.record(patient=patient), "Letter.pdf")
    world.attach(world.record(patient=patient), "Other.pdf")
    world.share(patient, HELPER, "edit")
    world.share(patient, READER)
    world.documents(HELPER).edit(file.id, {"description": "Signed"})
    assert world.client(READER).get(f"/documents/files/{file.id}/download", buffered=True).data
    world.browser(READER).post(f"/documents/files/{file.id}/delete")
    return file


def lines(world: World, file: Any, query: str = "") -> list[str]:
    page = world.client().get(f"/patients/{file.patient_id}/activity{query}")
    assert page.status_code == 200
    found = lxml.html.fromstring(page.text).xpath("//div[@class='mf-trail-words']")
    return [re.sub(r"\s+", " ", one.text_content()).partition(" Show this document only: ")[0].strip() for one in found]


def test_of_one_document_all_is_told_and_nothing_else(world: World, letter: Any) -> None:
    assert lines(world, letter, f"?document={letter.id}") == [
        f"{READER} tried to move “Letter.pdf” to trash denied",
        f"{READER} downloaded “Letter.pdf”",
        f"{HELPER} changed Description of “Letter.pdf”",
        "You added “Letter.pdf”",
    ]


def test_what_was_deleted_for_ever_still_tells_who_did_it(world: World, letter: Any) -> None:
    world.documents().trash(letter.id)
    world.documents().purge(letter.id)
    page = world.client().get(f"/patients/{letter.patient_id}/activity?document={letter.id}").text
    assert "Letter.pdf" not in page
    assert lines(world, letter, f"?document={letter.id}")[0] == f"You permanently deleted document {letter.id}"


def test_readers_of_a_link_are_told_from_accounts(world: World, letter: Any) -> None:
    made = world.link(letter, label="Dr. Placeholder", passcode="482107")
    reader = world.reader()
    with pytest.raises(WrongPasscode):
        reader.open(str(made.token), "000000", None, None)
    shared, opening = reader.open(str(made.token), "482107", "Front desk", None)
    reader.describe(shared, opening, letter.id)
    assert lines(world, letter)[:4] == [
        "A reader with a link viewed “Letter.pdf”",
        "“Front desk” (with a link) opened the share link for “Dr. Placeholder”",
        "A reader with a link entered a wrong passcode for the share link for “Dr. Placeholder” denied",
        "You created the share link for “Dr. Placeholder”",
    ]


def test_the_activity_is_filtered_by_kind_and_by_person(world: World, letter: Any) -> None:
    changed = "changed Description of “Letter"
    for kind, words in (("looked", "downloaded"), ("changed", changed), ("refused", "tried to move “Letter")):
        found = lines(world, letter, f"?document={letter.id}&kind={kind}")
        assert any(words in line for line in found)
        assert len(found) < 4
    found = lines(world, letter, f"?who={world.user(READER).id}")
    assert {line.split(" ")[0] for line in found} == {READER}
    assert world.client().get(f"/patients/{letter.patient_id}/activity?kind=stolen").status_code == 422


def test_a_document_of_another_account_and_an_impossible_number_find_nothing(world: World, letter: Any) -> None:
    theirs = world.attach(world.record(patient=world.patient(HELPER), email=HELPER), "Secret.pdf", email=HELPER)
    page = world.client().get(f"/patients/{letter.patient_id}/activity?document={theirs.id}")
    assert "Secret" not in page.text
    for query in (f"document={theirs.id}", "document=x", "document=99999999999999999999", "who=-1", "who=%D9%A1"):
        assert lines(world, letter, f"?{query}") == []


def test_the_form_of_a_document_leads_to_who_looked_at_it(world: World, letter: Any) -> None:
    form = world.browser().get(f"/documents/visit/{letter.entity_id}/list?edit={letter.id}").text
    assert f"/patients/{letter.patient_id}/activity?document={letter.id}" in form


@pytest.mark.parametrize("outcome", ["done", "refused", "failed", "postponed"])
@pytest.mark.parametrize("entity_type", [None, "visit", "hologram"])
def test_events_of_an_unknown_version_are_shown_and_exported(
    world: World, letter: Any, outcome: str, entity_type: str | None
) -> None:
    target = AuditTarget(letter.patient_id, entity_type, letter.entity_id if entity_type else None)
    with transaction():
        for action in ("beam-up", "odd {0} {name}"):
            event_log.record(world.actor(), action, target, outcome=outcome, extra={"deep": [1, None]})
    shown = lines(world, letter)
    assert any("beam up" in line for line in shown)
    assert any("odd {0} {name}" in line for line in shown)
    for kind in event_log.KINDS:
        found = lines(world, letter, f"?kind={kind}")
        assert any("beam up" in line for line in found) == (kind == ("changed" if outcome == "done" else "refused"))
    exported = world.app.test_cli_runner().invoke(args=["medfiles", "audit", "export"])
    assert (exported.exit_code, "beam-up" in exported.output) == (0, True)


def test_the_page_of_the_activity_knows_every_icon_of_its_table(world: World) -> None:
    with world.app.test_request_context():
        draw: Any = world.app.jinja_env.globals["icon"]
        assert all(draw(icon) for _, _, icon in activity.ACTIONS.values())


def test_every_action_of_a_service_has_words() -> None:
    called = re.compile(r"""\b(?:operation|reading)\)?\(\s*"([a-z-]+)\"""")
    actions = {name for path in PACKAGE.rglob("*.py") for name in called.findall(path.read_text())}
    assert {"attach", "preview", "list-records"} <= actions
    assert (actions | set(event_log.LOOKED) | set(event_log.EDITS)) - set(activity.ACTIONS) == {
        "status"
    }  # of no patient
