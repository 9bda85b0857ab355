"""Share links as their readers see them: what opens, what no longer does, and what is logged of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from medfiles.audit import event_log
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import Forbidden, LinkPaused, NotFound, PasscodeBusy, WrongPasscode
from medfiles.links import reading, rules
from medfiles.links.reading import LinkReader, Shared
from medfiles.models import EntityFile, Patient, ShareLink
from medfiles.records.moving import RecordMoves
from tests.links.happenings import (
    OTTO,
    archive,
    delete,
    disable,
    expire,
    find_malware,
    lower,
    move,
    postdate,
    purge,
    revoke,
    trash,
    trash_record,
    unshare,
    use_up,
)
from tests.support.factories import World, run_at_once, words

pytestmark = pytest.mark.database


def opened(world: World, token: str | None, **more: Any) -> tuple[LinkReader, Shared, str]:
    reader = world.reader()
    shared, key = reader.open(token or "", more.get("passcode"), more.get("reader"), more.get("browser"))
    return reader, shared, key


def test_reader_sees_the_documents_and_nothing_else(world: World) -> None:
    record = world.record()
    shown, other = world.attach(record, "Shown.pdf"), world.attach(record, "Other.pdf")
    reader, shared, key = opened(world, world.link(shown).token)
    assert [file.id for file in shared.documents] == [shown.id]
    for refused in (
        lambda: reader.describe(shared, key, other.id),
        lambda: reader.thumbnail(shared, other.id),
        lambda: reader.picture(shared, key, other.id, "w240", 1),
    ):
        with pytest.raises(NotFound):
            refused()


def test_looking_at_the_landing_page_logs_nothing(world: World) -> None:
    token = world.link(world.attach(world.record())).token
    before = len(world.events())
    for _ in range(3):
        world.reader().find(token or "")
    assert len(world.events()) == before


def test_the_current_name_is_shown(world: World) -> None:
    file = world.attach(world.record(), "Letter.pdf")
    token = world.link(file).token
    world.documents().edit(file.id, {"file_name": "Referral.pdf"})
    assert [one.file_name for one in world.reader().find(token or "").documents] == ["Referral.pdf"]


@pytest.mark.parametrize("happens", [trash, move, purge, trash_record, find_malware])
def test_document_is_no_longer_shared_once(world: World, happens: Callable[[World, EntityFile], None]) -> None:
    patient = world.patient()
    kept, gone = (world.attach(world.record(patient=patient), name) for name in ("Kept.pdf", "Gone.pdf"))
    token = world.link(kept, gone).token
    reader, shared, key = opened(world, token)
    happens(world, gone)
    shared = reader.find(token or "")
    assert [file.id for file in shared.documents] == [kept.id]
    with pytest.raises(NotFound):
        reader.describe(shared, key, gone.id)


def test_a_move_that_was_undone_does_not_bring_the_document_back_into_links(world: World) -> None:
    patient = world.patient()
    kept, gone = (world.attach(world.record(patient=patient), name) for name in ("Kept.pdf", "Gone.pdf"))
    made = world.link(kept, gone)
    move(world, gone)
    world.moving().take_back(gone.id)
    shared = world.reader().find(made.token or "")
    assert ([file.id for file in shared.documents], shared.gone) == ([kept.id], 1)


def test_a_record_that_moves_takes_its_documents_out_of_links(world: World) -> None:
    file = world.attach(world.record())
    made, other = world.link(file), world.patient(first_name="Ben")
    moves = RecordMoves(world.actor(), world.parts.registry, world.parts.storages, quota=0)
    moves.move(world.kind(), file.entity_id, other.id)
    moves.take_back(world.kind(), file.entity_id)
    assert world.reader().find(made.token or "").documents == []


def test_merging_patients_takes_documents_out_of_links(world: World) -> None:
    file = world.attach(world.record())
    other = world.patient(first_name="Ben")
    made, kept = world.link(file), world.link(world.attach(world.record(patient=other)))
    world.merges().merge(file.patient_id, other.id)
    with pytest.raises(NotFound):
        world.reader().find(made.token or "")
    assert len(world.reader().find(kept.token or "").documents) == 1


@pytest.mark.parametrize("happens", [revoke, expire, use_up, unshare, lower, disable, archive, delete, postdate])
def test_link_ends_and_answers_like_an_unknown_one(world: World, happens: Callable[[World, ShareLink], None]) -> None:
    file = world.attach(world.record())
    world.share(db.session.get_one(Patient, file.patient_id), OTTO, "edit")
    made = world.link(file, email=OTTO, passcode="482107")
    reader, shared, key = opened(world, made.token, passcode="482107")
    happens(world, made.link)
    messages = set()
    for token in (made.token or "", "unknown"):
        for refused in (reader.find, lambda token: reader.open(token, "482107", None, None)):
            with pytest.raises(NotFound) as error:
                refused(token)
            messages.add((error.value.code, error.value.message))
    assert len(messages) == 1


def test_paused_link_says_so_and_opens_again(world: World) -> None:
    made = world.link(world.attach(world.record()))
    world.links().pause(made.link.id)
    with pytest.raises(LinkPaused):
        world.reader().find(made.token or "")
    world.links().resume(made.link.id)
    assert world.reader().find(made.token or "").documents


def test_five_wrong_passcodes_end_the_link(world: World) -> None:
    token = world.link(world.attach(world.record()), passcode="482107").token or ""
    left = []
    for _ in range(rules.MOST_TRIES):
        with pytest.raises(WrongPasscode) as wrong:
            world.reader().open(token, "000000", None, None)
        left.append(wrong.value.remaining)
    assert left == [4, 3, 2, 1, 0]
    with pytest.raises(NotFound):
        world.reader().open(token, "482107", None, None)


def test_right_passcode_gives_its_try_back(world: World) -> None:
    made = world.link(world.attach(world.record()), passcode="482107")
    for _ in range(8):
        opened(world, made.token, passcode=" 482107 ")
    db.session.expire_all()
    link = db.session.get_one(ShareLink, made.link.id)
    assert (link.wrong_passcodes, link.passcodes_in_check) == (0, 0)


def guessed(world: World, token: str, passcode: str, tries: int) -> list[str]:
    """The outcomes of parallel attempts to open the link."""
    outcomes: list[str] = []

    def attempt() -> None:
        with world.app.app_context():
            try:
                world.reader().open(token, passcode, None, None)
                outcomes.append("opened")
            except (WrongPasscode, PasscodeBusy, NotFound) as error:
                outcomes.append(error.code)

    run_at_once([attempt] * tries)
    return outcomes


def test_parallel_wrong_passcodes_are_checked_five_times_in_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = world.link(world.attach(world.record()), passcode="482107")
    checked: list[str] = []

    def is_passcode(passcode: str, hashed: str) -> bool:
        checked.append(passcode)
        return False

    monkeypatch.setattr(rules, "is_passcode", is_passcode)
    outcomes = guessed(world, made.token or "", "000000", 50)
    assert len(checked) <= rules.MOST_TRIES
    assert set(outcomes) <= {"wrong-passcode", "passcode-busy", "not-found"}


def test_parallel_right_passcodes_all_succeed_in_the_end(world: World) -> None:
    """A slow computer asks some of them to try again."""
    made, left = world.link(world.attach(world.record()), passcode="482107"), 50
    while left:
        outcomes = guessed(world, made.token or "", "482107", left)
        assert "opened" in outcomes
        assert set(outcomes) <= {"opened", "passcode-busy"}
        left = outcomes.count("passcode-busy")
    db.session.expire_all()
    assert db.session.get_one(ShareLink, made.link.id).wrong_passcodes == 0


def test_a_try_that_never_ended_leaves_fewer_but_the_link_says_busy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "WAIT_SECONDS", 0)
    made = world.link(world.attach(world.record()), passcode="482107")
    with transaction() as session:
        link = session.get_one(ShareLink, made.link.id)
        link.wrong_passcodes = link.passcodes_in_check = rules.MOST_TRIES
    with pytest.raises(PasscodeBusy):
        world.reader().open(str(made.token), "482107", None, None)


def test_view_only_refuses_bytes(world: World) -> None:
    file = world.attach(world.record())
    reader, shared, key = opened(world, world.link(file).token)
    for refused in (lambda: reader.content(shared, key, file.id), lambda: reader.bundle(shared, key)):
        with pytest.raises(Forbidden):
            refused()


def test_download_gives_the_very_bytes(world: World) -> None:
    file = world.attach(world.record(), "Letter.txt", b"Dear colleague,")
    reader, shared, key = opened(world, world.link(file, allow_download=True).token)
    assert b"".join(reader.content(shared, key, file.id).read()) == b"Dear colleague,"
    [member] = reader.bundle(shared, key).members
    assert (member.name, b"".join(member.read())) == ("Letter.txt", b"Dear colleague,")


def test_openings_tell_who_read_what(world: World) -> None:
    record = world.record()
    one, two = world.attach(record, "One.txt", b"One"), world.attach(record, "Two.txt", b"Two")
    made = world.link(one, two, allow_download=True)
    reader, shared, key = opened(world, made.token, reader=" Front  desk ", browser="Firefox")
    reader.describe(shared, key, one.id)
    reader.content(shared, key, two.id)
    reader.describe(shared, key, two.id)
    [opening] = world.links().openings(made.link.id)
    assert (opening.reader, opening.browser, opening.address) == ("Front desk", "Firefox", "192.0.2.0/24")
    assert sorted(opening.files) == [(one.id, "One.txt", False), (two.id, "Two.txt", True)]
    assert world.links().get(made.link.id).openings == 1


def test_view_is_logged_before_the_preview_is_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    file = world.attach(world.record())
    made = world.link(file)
    reader, shared, key = opened(world, made.token)
    logged: list[int | None] = []

    def describe(self: Any, *given: Any, **more: Any) -> None:
        logged.extend(event.file_id for event in world.events(action="view-by-link"))
        raise KeyboardInterrupt

    monkeypatch.setattr("medfiles.previews.renderer.Renderer.describe", describe)
    with pytest.raises(KeyboardInterrupt):
        reader.describe(shared, key, file.id)
    assert logged == [file.id]


def test_each_opening_has_its_own_views(world: World) -> None:
    file = world.attach(world.record())
    made = world.link(file)
    for name in ("Front desk", "Dr. Iris"):
        reader, shared, key = opened(world, made.token, reader=name)
        for _ in range(3):
            reader.describe(shared, key, file.id)
    assert len(world.events(action="view-by-link")) == 2
    found = world.links().openings(made.link.id)
    assert [(one.reader, len(one.files)) for one in found] == [("Dr. Iris", 1), ("Front desk", 1)]


def test_who_saw_a_document_names_readers_of_links(world: World) -> None:
    file = world.attach(world.record())
    made = world.link(file, allow_download=True)
    reader, shared, key = opened(world, made.token)
    reader.describe(shared, key, file.id)
    reader.content(shared, key, file.id)
    _, rows = world.moving().seen_by(file.id)
    assert {(email, link, action) for email, _, link, action, *_ in rows} == {
        (None, made.link.id, "view-by-link"),
        (None, made.link.id, "download-by-link"),
    }
    [(event, _)] = world.documents().last_views(file.id)
    assert event.entity_id == made.link.id
    assert "Readers of a share link" in words(world.client().get(f"/documents/files/{file.id}/seen"))


def test_readers_are_forgotten_after_ninety_days(world: World) -> None:
    made = world.link(world.attach(world.record()))
    opened(world, made.token, reader="Front desk")
    with transaction():
        assert event_log.erase_readers(now() - timedelta(days=90)) == 0
        assert event_log.erase_readers(now() + timedelta(minutes=1)) == 1
    [opening] = world.links().openings(made.link.id)
    assert (opening.reader, opening.address) == (None, None)


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::5", "2001:db8:1::/48"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("unix:", None),
        (None, None),
    ],
)
def test_addresses_are_shortened_to_their_network(address: str | None, kept: str | None) -> None:
    assert rules.shortened(address) == kept
