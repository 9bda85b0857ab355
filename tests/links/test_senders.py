"""Share links as their senders see them: what can be shared, by whom, for how long, and what is listed."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from medfiles.accounts import api_tokens
from medfiles.clock import now
from medfiles.errors import Archived, Conflict, Forbidden, NotFound, OutOfScope, Rejected
from medfiles.links import rules
from medfiles.models import ShareLink
from tests.support.factories import World

pytestmark = pytest.mark.database

OTTO = "otto@sample.example"


def test_the_link_names_the_documents_in_the_order_asked(world: World) -> None:
    record = world.record()
    first, second = world.attach(record, "First.pdf"), world.attach(record, "Second.pdf")
    made = world.link(second, first)
    assert [file.file_name for file in world.links().get(made.link.id).documents] == ["Second.pdf", "First.pdf"]


def test_only_the_hash_of_the_token_is_stored(world: World) -> None:
    made = world.link(world.attach(world.record()))
    token = str(made.token)
    assert len(token) == 43
    stored = {name: getattr(made.link, name) for name in ShareLink.__table__.columns.keys()}
    assert token not in str(stored)
    assert stored["token_hash"] == rules.digest_of(token)


def test_passcode_is_hashed(world: World) -> None:
    made = world.link(world.attach(world.record()), passcode="482107")
    assert str(made.link.passcode_hash).startswith("$argon2id$")


def test_a_link_ends_after_seven_days_if_nothing_else_is_said(world: World) -> None:
    link = world.link(world.attach(world.record())).link
    assert timedelta(days=7, minutes=-1) < link.expires_at - now() <= timedelta(days=7)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("passcode", {"passcode": "12345"}),
        ("passcode", {"passcode": "     1     "}),
        ("passcode", {"passcode": "1" * 65}),
        ("expires_at", {"expires_at": timedelta(minutes=-1)}),
        ("expires_at", {"expires_at": timedelta(days=367)}),
        ("label", {"label": "x" * 81}),
        ("sender", {"sender": "x" * 81}),
        ("note", {"note": "x" * 501}),
    ],
)
def test_bad_values_are_rejected_by_the_name_of_their_field(world: World, field: str, values: dict[str, Any]) -> None:
    file = world.attach(world.record())
    if "expires_at" in values:
        values = {"expires_at": now() + values["expires_at"]}
    with pytest.raises(Rejected) as rejected:
        world.link(file, **values)
    assert list(rejected.value.fields) == [field]


def test_no_documents_and_too_many_are_rejected(world: World) -> None:
    patient = world.patient()
    for ids in ([], list(range(1, rules.MOST_DOCUMENTS + 2))):
        with pytest.raises(Rejected) as rejected:
            world.links().create(patient.id, ids)
        assert list(rejected.value.fields) == ["file_ids"]


@pytest.mark.parametrize("where", ["trash", "inbox", "other patient", "nowhere"])
def test_documents_that_cannot_be_shared_are_rejected(world: World, where: str) -> None:
    patient = world.patient()
    record = world.record(patient=patient)
    if where == "other patient":
        number = world.attach(world.record(patient=world.patient(first_name="Ben"))).id
    elif where == "inbox":
        number = world.store(patient, "Scan.txt", to_file=True)[0]
    elif where == "trash":
        number = world.documents().trash(world.attach(record).id).id
    else:
        number = 1_999_999_999
    with pytest.raises(Rejected):
        world.links().create(patient.id, [number])
    assert number not in [file.id for file in world.links().choices(patient.id)]


def test_editors_can_share_by_link(world: World) -> None:
    file = world.attach(world.record())
    world.share(world.records().patient(file.patient_id).patient, OTTO, "edit")
    assert world.link(file, email=OTTO).token


def test_viewers_and_strangers_cannot_share_or_see_links(world: World) -> None:
    file = world.attach(world.record())
    link = world.link(file).link
    for level, error in ((None, NotFound), ("view", Forbidden)):
        if level:
            world.share(world.records().patient(file.patient_id).patient, OTTO, level)
        links = world.links(OTTO)
        for refused in (
            partial(links.create, file.patient_id, [file.id]),
            partial(links.of_patient, file.patient_id),
            partial(links.get, link.id),
            partial(links.openings, link.id),
            partial(links.revoke, link.id),
        ):
            with pytest.raises(error):
                refused()
        assert links.all() == []


def test_a_token_without_the_share_scope_cannot_share(world: World) -> None:
    file, links = world.attach(world.record()), world.links()
    links.actor = replace(links.actor, token="Script", token_id=1, may_share=False)
    with pytest.raises(OutOfScope):
        links.create(file.patient_id, [file.id])


def test_what_a_token_shared_is_known_after_it_is_revoked(world: World) -> None:
    links = world.links()
    file, (token, _) = world.attach(world.record()), api_tokens.create(world.actor(), "Script", api_tokens.SHARE)
    links.actor = replace(links.actor, token="Script", token_id=token.id)
    ids = [links.create(file.patient_id, [file.id]).link.id for _ in range(2)]
    world.links().revoke(ids[1])
    api_tokens.revoke(world.actor(), token.id)
    assert [summary.link.id for summary in world.links().created_by_token(token.id)] == ids[:1]


def test_links_of_archived_patients_can_only_be_revoked(world: World) -> None:
    file = world.attach(world.record())
    link = world.link(file).link
    world.records().archive_patient(file.patient_id)
    assert world.links().get(link.id).state == "ended"
    for refused in (world.links().pause, world.links().resume):
        with pytest.raises(Archived):
            refused(link.id)
    assert world.links().revoke(link.id).state == "revoked"


def test_paused_resumed_and_revoked(world: World) -> None:
    link = world.link(world.attach(world.record())).link
    assert [world.links().pause(link.id).state, world.links().resume(link.id).state] == ["paused", "active"]
    assert world.links().revoke(link.id).state == world.links().revoke(link.id).state == "revoked"
    with pytest.raises(Conflict):
        world.links().resume(link.id)


def test_a_form_sent_twice_creates_one_link(world: World) -> None:
    file = world.attach(world.record())
    first, again = world.link(file, creation_key="k" * 32), world.link(file, creation_key="k" * 32)
    assert (again.link.id, again.token) == (first.link.id, None)
    assert len(world.links().of_patient(file.patient_id)) == 1


def test_documents_that_are_gone_are_counted(world: World) -> None:
    record = world.record()
    kept, gone = world.attach(record, "Kept.pdf"), world.attach(record, "Gone.pdf")
    link = world.link(kept, gone).link
    world.documents().trash(gone.id)
    summary = world.links().get(link.id)
    assert ([file.id for file in summary.documents], summary.gone) == ([kept.id], 1)


def test_every_link_of_every_patient_is_listed_newest_first(world: World) -> None:
    files = [world.attach(world.record(patient=world.patient(first_name=name))) for name in ("Ella", "Ben")]
    ids = [world.link(file).link.id for file in files]
    assert [summary.link.id for summary in world.links().all()] == ids[::-1]


def test_what_is_done_with_a_link_is_in_the_audit_log(world: World) -> None:
    link = world.link(world.attach(world.record()), label="Dr. Placeholder").link
    world.links().pause(link.id)
    world.links().resume(link.id)
    world.links().revoke(link.id)
    done = [event.action for event in world.events(entity_type="share-link")]
    assert done == ["create-link", "pause-link", "resume-link", "revoke-link"]


def test_permanent_deletion_of_a_patient_deletes_its_links(world: World) -> None:
    file = world.attach(world.record())
    world.link(file)
    world.records().delete_patient(file.patient_id)
    world.records().purge_patient(file.patient_id)
    world.keep_house()
    assert world.links().all() == []
