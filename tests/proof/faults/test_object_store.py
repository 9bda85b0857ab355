"""Documents in an object store that fails, hangs, cuts and lies: whatever was acknowledged is there as it was."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from medfiles.clock import now
from medfiles.database.session import db
from medfiles.errors import StorageError
from medfiles.models import EntityFile
from medfiles.storage import ObjectStorage, Storages, objects
from medfiles.storage.journal import LEASE
from tests.proof.faults.injecting import Tally
from tests.proof.faults.invariants import Findings
from tests.proof.faults.troubled import FAULTS, Trouble, troubled
from tests.support import seaweed
from tests.support.extent import Extent
from tests.support.factories import World

pytestmark = pytest.mark.database_when_full

LATER = LEASE + timedelta(minutes=1)
LETTER = b"A letter that must not be lost.\n" * 400
DONE = 200
Verb = Callable[[World, int], object]
State = tuple[bool, str, str]


def upload(world: World, file_id: int) -> object:
    record = db.session.get_one(EntityFile, file_id).entity_id
    return world.attach(world.records().get(world.kind("visit"), record), "new.txt", LETTER + b"and another")


def read(world: World, file_id: int) -> object:
    content = b"".join(world.documents().open(file_id).read())
    assert content == LETTER, "altered, and nobody said so"
    return content


VERBS: dict[str, Verb] = {
    "upload": upload,
    "read": read,
    "trash": lambda world, file_id: world.documents().trash(file_id),
    "restore": lambda world, file_id: world.documents().restore(file_id),
    "purge": lambda world, file_id: world.documents().purge(file_id),
    "move": lambda world, file_id: world.moving().move(
        file_id, world.kind("patient"), db.session.get_one(EntityFile, file_id).patient_id
    ),
}


@pytest.fixture(scope="module")
def trouble(bucket: Callable[[], str]) -> Iterator[Trouble]:
    [store] = parse_qs(urlsplit(bucket()).query)["endpoint"]
    with troubled(store) as between:
        yield between


@pytest.fixture
def direct(
    world: World, bucket: Callable[[], str], trouble: Trouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ObjectStorage:
    """The store as it is; the installation sees it through the trouble, and is impatient."""
    backoff = {"init_backoff": timedelta(milliseconds=5), "max_backoff": timedelta(milliseconds=20)}
    monkeypatch.setitem(objects.CLIENT, "read_timeout", "400ms")
    monkeypatch.setitem(objects.RETRIES, "backoff", backoff)
    url = bucket()
    folder = urlsplit(url).path.strip("/")
    storage = ObjectStorage(seaweed.url(trouble.endpoint, folder), tmp_path / "staged")
    world.app.extensions["medfiles"] = replace(world.parts, storages=Storages(storage))
    return ObjectStorage(url, tmp_path / "staged")


@pytest.mark.parametrize("verb", VERBS)
def test_whatever_the_object_store_does_a_verb_is_done_or_not(
    world: World,
    direct: ObjectStorage,
    trouble: Trouble,
    extent: Extent,
    report: Callable[[str, Tally], None],
    verb: str,
) -> None:
    tally, chance = Tally(), extent.chance("objects", verb)
    points = [(fault, which, lasting) for fault in FAULTS for which in range(4) for lasting in (False, True)]
    for fault, which, lasting in points if extent.full else chance.sample(points, 6):
        file = world.attach(world.record(), "letter.txt", LETTER)
        if verb in ("restore", "purge"):
            world.documents().trash(file.id)
        before = state(world, direct)
        trouble.arm(fault, which, lasting)
        try:
            VERBS[verb](world, file.id)
            answer = DONE
        except StorageError:
            answer = 503
        if trouble.asked > which:
            tally.tried += 1
            tally.answers[answer] += 1
        trouble.mend()
        db.session.rollback()
        world.sweep(now() + LATER)
        found = wrong(world, direct, verb, answer, file.id, before)
        if found:
            tally.found.append((f"{fault}, request {which}{' and on' if lasting else ''}", found))
    assert tally.tried > 0
    report(f"object store: {verb}", tally)


def state(world: World, storage: ObjectStorage) -> dict[int, State]:
    """Of each document whether it is live, what its bytes are now, and what it belongs to."""
    return {
        file.id: (
            file.deleted_at is None,
            hashlib.sha256(b"".join(storage.open(file.file_path))).hexdigest(),
            file.entity_type,
        )
        for file in world.files()
    }


def wrong(
    world: World, storage: ObjectStorage, verb: str, answer: int, file_id: int, before: dict[int, State]
) -> Findings:
    rows = {file.id: file for file in world.files()}
    listed = {one.key for one in storage.keys()}
    unknown = listed - {file.file_path for file in rows.values()}
    lost = [f"document {at} has no object" for at, file in rows.items() if file.file_path not in listed]
    if lost:
        return Findings(lost=(*lost,))
    after = state(world, storage)
    lost += [f"document {at} has other bytes" for at in after if after[at][1] != rows[at].sha256]
    others = {at for at in before if at != file_id}
    lost += [f"document {at} changed" for at in others if before[at] != after.get(at)]
    expected = {"upload": True, "read": True, "trash": False, "restore": True, "purge": None, "move": True}[verb]
    place = "patient" if verb == "move" else "visit"
    is_now = after[file_id][0] if file_id in after else None
    half = []
    if answer == DONE and is_now != expected:
        half.append(f"done, and document {file_id} is {is_now}")
    if answer == DONE and verb != "purge" and after[file_id][2] != place:
        half.append(f"done, and document {file_id} belongs to a {after[file_id][2]}")
    if answer == DONE and verb == "upload" and len(after) != len(before) + 1:
        half.append("done, and there is no other document")
    if (
        answer != DONE
        and verb != "purge"
        and after.get(file_id) not in (before[file_id], (expected, rows[file_id].sha256, place))
    ):
        half.append(f"{answer}, and document {file_id} is {after.get(file_id)}")
    return Findings(lost=(*lost,), unknown=(*sorted(unknown),), half=(*half,))


def test_lost_response_is_accepted_for_the_same_bytes(world: World, direct: ObjectStorage, trouble: Trouble) -> None:
    trouble.arm("500 after", 0, lasting=False)
    file = world.attach(world.record(), "letter.txt", LETTER)
    assert trouble.asked > 1
    assert b"".join(direct.open(file.file_path)) == LETTER


def test_whether_it_is_ready_is_asked_once_and_told_soon(world: World, direct: ObjectStorage, trouble: Trouble) -> None:
    """A store that hangs would keep whoever watches the server waiting through all the tries of an upload."""
    trouble.arm("503 before", 0, lasting=True)
    with pytest.raises(StorageError):
        world.parts.storages.default.check()
    assert trouble.asked == 1
    trouble.mend()


def test_pages_are_shown_while_the_store_is_away(
    world: World, direct: ObjectStorage, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = world.record()
    world.attach(record, "letter.txt", LETTER)
    trouble.arm("503 before", 0, lasting=True)
    try:
        assert "letter.txt" in world.client().get(f"/documents/visit/{record.id}").text
        monkeypatch.setattr(world.parts.readiness, "every", 0)
        assert world.client().get("/readyz").status_code == 503
    finally:
        trouble.mend()
