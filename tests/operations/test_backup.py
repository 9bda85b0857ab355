"""A backup is everything, made beside people at work; what comes back is what was there, row by row, byte by byte."""

import json
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask_migrate import downgrade, upgrade
from sqlalchemy import select, text

from medfiles.accounts import api_tokens
from medfiles.accounts import service as accounts
from medfiles.audit import chain
from medfiles.database.session import db, transaction
from medfiles.errors import Conflict, IntegrityFailed, StorageError
from medfiles.jobs import last_runs
from medfiles.legacy.folder import folder_of
from medfiles.models import (
    EntityFile,
    Patient,
    PatientShare,
    SearchEntry,
    ShareLink,
    SmartLink,
    SmartLinkDocument,
    Visit,
)
from medfiles.operations import backup, database_dump, integrity, restore
from medfiles.records.sharing import ShareService
from medfiles.search import index
from medfiles.storage import digest
from medfiles.storage.durable import write_private
from tests.smart_links.doubles import told as told
from tests.support.api_client import with_token
from tests.support.factories import World

pytestmark = pytest.mark.database

MakeWorld = Callable[..., World]
KINDS = ("lab-result", "insurance", "visit", "procedure")
OF_A_RUN = {*restore.LEFT_BEHIND, "audit_events", "audit_seals"}  # backups and restores leave events


@pytest.fixture
def lived_in(world: World) -> World:
    """Every kind of record with a document in use and one in the trash, a share, a file of the older feature."""
    patient = world.patient()
    for kind in KINDS:
        record = world.record(kind, patient)
        kept, gone = world.store(record, f"{kind}.txt", f"{kind} gone.txt")
        world.documents().trash(gone)
        if kind == "lab-result":
            world.older_file(record)
    world.share(patient, "otto@sample.example")
    return world


def rows(world: World) -> dict[str, list[Any]]:
    db.session.rollback()
    tables = [table for table in db.metadata.sorted_tables if table.name not in OF_A_RUN]
    return {table.name: _all(table) for table in tables}


def _all(table: Any) -> list[Any]:
    found = db.session.execute(
        text(f"SELECT * FROM {table.name} ORDER BY {', '.join(table.primary_key.columns.keys())}")
    )
    return [{name: value for name, value in row.items() if name != "last_checked_at"} for row in found.mappings()]


def contents(world: World) -> dict[int, str]:
    return {file.id: digest(world.parts.storages.default.open(file.file_path))[0] for file in world.files()}


def save(world: World, folder: Path) -> backup.Saved:
    return backup.back_up(world.parts.storages, folder, "the key")


def target(world: World) -> restore.Target:
    known = db.session.scalars(text("SELECT version_num FROM alembic_version")).all()
    db.session.rollback()
    return restore.Target(Path(world.app.instance_path), "its own", False, known)


def bring(world: World, folder: Path, **options: Any) -> restore.Restored:
    return restore.restore(world.parts.storages, target(world), folder, **options)


def run(world: World, *arguments: str) -> Any:
    return world.app.test_cli_runner().invoke(args=["medfiles", *arguments])


def objects(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "objects").glob("*/*"))


def test_what_comes_back_is_what_was_there(lived_in: World, make_world: MakeWorld, tmp_path: Path) -> None:
    before, bytes_before = rows(lived_in), contents(lived_in)
    older = {path: (lived_in.uploads / path).read_bytes() for path in folder_of(lived_in.parts.storages).paths()}
    made = run(lived_in, "backup", str(tmp_path / "safe"), "--json")
    assert (made.exit_code, json.loads(made.stdout)["documents"]) == (0, 8)
    other = make_world()
    done = run(other, "restore", str(tmp_path / "safe"), "--json")
    assert (done.exit_code, json.loads(done.stdout)["findings"]) == (0, [])
    assert rows(other) == before
    assert contents(other) == bytes_before
    assert {path: (other.uploads / path).read_bytes() for path in folder_of(other.parts.storages).paths()} == older
    assert (Path(other.app.instance_path) / "secret-key").read_text() == lived_in.app.config["SECRET_KEY"]
    assert integrity.count_findings() == {}


def test_backup_moves_between_folder_and_bucket(
    lived_in: World, make_world: MakeWorld, bucket: Callable[[], str], tmp_path: Path
) -> None:
    before = contents(lived_in)
    save(lived_in, tmp_path / "folder")
    there = make_world(STORAGE_URL=bucket())
    bring(there, tmp_path / "folder")
    assert (contents(there), {file.storage for file in there.files()}) == (before, {"objects"})
    save(there, tmp_path / "bucket")
    back = make_world()
    bring(back, tmp_path / "bucket")
    assert (contents(back), {file.storage for file in back.files()}) == (before, {"disk"})
    back.assert_settled()


def test_audit_chain_is_restored_and_continues(lived_in: World, make_world: MakeWorld, tmp_path: Path) -> None:
    run(lived_in, "audit", "seal")
    run(lived_in, "backup", str(tmp_path))
    events = [(event.id, event.action) for event in lived_in.events()]
    other = make_world()
    run(other, "restore", str(tmp_path))
    sealer = chain.Sealer(lived_in.parts.sealer.key, other.parts.sealer.anchor)
    chain.seal(sealer)
    assert chain.verify(sealer) is None
    assert [(event.id, event.action) for event in other.events()][: len(events) - 1] == events[:-1]


def test_what_came_back_is_at_work_again(lived_in: World, make_world: MakeWorld, tmp_path: Path) -> None:
    save(lived_in, tmp_path)
    trashed = next(file.id for file in lived_in.files() if file.deleted_at)
    other = make_world()
    bring(other, tmp_path)
    other._users.update(lived_in._users)
    assert other.documents().restore(trashed).deleted_at is None
    visit = db.session.scalars(select(Visit)).one()
    assert other.attach(visit, "New.txt").id > trashed
    other.assert_settled()


def test_backup_during_writes_is_consistent(world: World, make_world: MakeWorld, tmp_path: Path) -> None:
    visits = [int(world.record().id) for _ in range(3)]
    documents = world.documents()

    def work(visit: int) -> None:
        with world.app.app_context():
            record = db.session.get_one(Visit, visit)
            for number in range(5):
                file = world.attach(record, f"{number}.txt", f"{visit} {number}".encode()).id
                documents.trash(file)
                documents.restore(file) if number % 2 else documents.purge(file)

    made = []
    with ThreadPoolExecutor(3) as pool:
        working = [pool.submit(work, visit) for visit in visits]
        while not all(one.done() for one in working):
            made.append(save(world, tmp_path))
    [one.result() for one in working]
    assert [saved.problems for saved in made] == [[] for _ in made]
    assert not [problem for saved in made for problem in backup.check(tmp_path, saved.name)]
    other = make_world()
    bring(other, tmp_path, name=made[len(made) // 2].name)
    assert not (integrity.verify(other.parts.storages) + integrity.verify_deep(other.parts.storages)).findings


def test_document_purged_during_the_backup_is_not_restored(
    lived_in: World, make_world: MakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, documents, files = database_dump.copy_database, lived_in.documents(), lived_in.files()
    gone = next(file.id for file in files if file.deleted_at)
    moved = next(file.id for file in files if not file.deleted_at)
    with transaction():
        index.put_documents(lived_in.parts.registry, files)

    def late(*arguments: Any) -> None:
        copy(*arguments)
        documents.purge(gone)
        documents.trash(moved)

    monkeypatch.setattr(backup, "copy_database", late)
    saved = save(lived_in, tmp_path)
    assert (saved.purged, saved.documents, saved.problems) == ([gone], 7, [])
    bring(other := make_world(), tmp_path)
    assert gone not in contents(other)
    assert db.session.get_one(EntityFile, moved).deleted_at is None
    indexed = db.session.scalars(select(SearchEntry.subject_id).where(SearchEntry.kind == "document")).all()
    assert (moved in indexed, gone in indexed) == (True, False)


def test_a_second_backup_copies_only_what_is_new(lived_in: World, tmp_path: Path) -> None:
    first = save(lived_in, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in objects(tmp_path)}
    lived_in.attach(db.session.scalars(select(Visit)).one(), "New.txt", b"new words")
    second = save(lived_in, tmp_path)
    assert (second.documents, second.copied, first.copied > 1) == (first.documents + 1, 1, True)
    assert {path: path.stat().st_mtime_ns for path in objects(tmp_path) if path in before} == before


def test_thinning_out_keeps_the_newest_and_what_they_need(lived_in: World, tmp_path: Path) -> None:
    gone = next(file for file in lived_in.files() if file.deleted_at)
    save(lived_in, tmp_path)
    lived_in.documents().purge(gone.id)
    names = [save(lived_in, tmp_path).name for _ in range(2)]
    (tmp_path / "20260101T000000.000000Z").mkdir()
    assert backup.thin_out(tmp_path, 2) == 1
    assert list(backup.whole(tmp_path)) == names
    assert [list(backup.check(tmp_path, name)) for name in names] == [[], []]
    assert not (tmp_path / "20260101T000000.000000Z").exists()


@pytest.mark.only_sqlite
def test_thinning_out_leaves_alone_what_is_no_backup(lived_in: World, tmp_path: Path) -> None:
    strange = [tmp_path / "photos" / "wedding.jpg", tmp_path / "website" / "manifest.json"]
    strange += [tmp_path / "objects" / "notes" / "list.txt"]
    for path in strange:
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    (tmp_path / "20260101T000000.000000Z").symlink_to(tmp_path / "photos")
    names = [save(lived_in, tmp_path).name for _ in range(2)]
    assert list(backup.whole(tmp_path)) == names
    assert backup.thin_out(tmp_path, 1) == 1
    assert [path.read_text() for path in strange] == ["{}"] * 3


@pytest.mark.only_sqlite
@pytest.mark.parametrize(("damage", "option"), [(b"damaged!", ["--mend"]), (b"cut", [])])
def test_damaged_object_is_copied_again(lived_in: World, tmp_path: Path, damage: bytes, option: list[str]) -> None:
    first = save(lived_in, tmp_path).name
    backup.object_path(tmp_path, lived_in.files()[0].sha256).write_bytes(damage)
    assert len(list(backup.check(tmp_path, first))) == 1
    done = run(lived_in, "backup", str(tmp_path), "--json", *option)
    assert (done.exit_code, json.loads(done.stdout)["copied"]) == (0, 1)
    assert [list(backup.check(tmp_path, name)) for name in backup.whole(tmp_path)] == [[], []]


@pytest.mark.only_sqlite
def test_a_folder_of_any_name_takes_backups(lived_in: World, tmp_path: Path) -> None:
    assert save(lived_in, tmp_path / "safe #1 100%41 ?mode=rw").documents == 8


def test_a_full_disk_is_said_in_a_sentence(lived_in: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    def failed(*_: Any, **__: Any) -> Any:
        return subprocess.CompletedProcess((), 1, stderr="pg_dump: error: could not write: disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(sqlite3, "connect", full)
        broken.setattr(subprocess, "run", failed)
        done = run(lived_in, "backup", str(tmp_path))
    assert (done.exit_code, "disk is full" in done.stderr, "Traceback" in done.output) == (1, True, False)
    assert list(backup.whole(tmp_path)) == []


def test_a_document_that_is_not_there_is_said_and_the_rest_is_saved(lived_in: World, tmp_path: Path) -> None:
    lost, *_ = lived_in.files()
    (lived_in.uploads / lost.file_path).unlink()
    done = run(lived_in, "backup", str(tmp_path), "--json")
    assert (done.exit_code, json.loads(done.stdout)["problems"]) == (1, [f"document {lost.id}: its content is missing"])
    assert not list(backup.check(tmp_path, backup.newest(tmp_path)))


def test_incomplete_backup_is_not_listed(lived_in: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: str) -> None:
        if path.name == backup.MANIFEST:
            raise OSError(28, "No space left on device")
        write_private(path, content)

    with monkeypatch.context() as broken, pytest.raises(StorageError, match="No space left"):
        broken.setattr(backup, "write_private", full)
        save(lived_in, tmp_path)
    assert list(backup.whole(tmp_path)) == []
    assert run(lived_in, "restore", str(tmp_path)).exit_code == 1
    assert last_runs.last(backup.RUN) is None


@pytest.mark.parametrize("part", ["database", "objects.jsonl", "secret-key", "an object", "a lost object"])
def test_damage_is_reported_before_changes(lived_in: World, make_world: MakeWorld, tmp_path: Path, part: str) -> None:
    name = save(lived_in, tmp_path).name
    place = objects(tmp_path)[0] if "object" in part and "." not in part else tmp_path / name / part
    if "lost" in part:
        place.unlink()
    else:
        place.write_bytes(place.read_bytes()[:-1] + b"?")
    checked = run(lived_in, "backup", str(tmp_path), "--check")
    assert (checked.exit_code, place.name in checked.stdout) == (1, True)
    other = make_world()
    with pytest.raises(IntegrityFailed, match=place.name):
        bring(other, tmp_path)
    assert list(other.parts.storages.default.keys()) == []
    assert other.files() == []


def test_nothing_is_restored_over_an_installation_in_use(lived_in: World, tmp_path: Path) -> None:
    save(lived_in, tmp_path)
    before = rows(lived_in)
    with pytest.raises(Conflict, match="in use"):
        bring(lived_in, tmp_path)
    assert rows(lived_in) == before


def test_restore_needs_an_empty_document_store(lived_in: World, make_world: MakeWorld, tmp_path: Path) -> None:
    save(lived_in, tmp_path)
    other = make_world()
    shutil.copytree(lived_in.uploads / "files", other.uploads / "files")
    next(path for path in (other.uploads / "files").rglob("*.txt")).rename(
        other.uploads / "files" / "visits" / "0a1b2c3d-0000-4000-8000-000000000000.txt"
    )
    with pytest.raises(Conflict, match="document store is not empty"):
        bring(other, tmp_path)


def test_interrupted_restore_starts_over(
    lived_in: World, make_world: MakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(lived_in, tmp_path)
    before, other = contents(lived_in), make_world()

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(restore, "_bring_database", stop)
        bring(other, tmp_path)
    assert other.files() == []
    bring(other, tmp_path)
    assert contents(other) == before


def test_the_key_in_a_backup_is_for_its_owner_alone(lived_in: World, tmp_path: Path) -> None:
    place = tmp_path / save(lived_in, tmp_path).name / "secret-key"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_two_backups_into_one_folder_wait_for_each_other(lived_in: World, tmp_path: Path) -> None:
    with backup._alone(tmp_path), pytest.raises(StorageError, match="Another backup"):
        save(lived_in, tmp_path)


def test_a_backup_stands_in_the_trail_and_its_day_is_known(lived_in: World, tmp_path: Path) -> None:
    save(lived_in, tmp_path)
    assert [event.details for event in lived_in.events(action="backup")] == [{"documents": 8}]
    last = last_runs.last(backup.RUN)
    assert last
    assert last.facts["documents"] == 8


def test_a_backup_of_the_other_kind_of_database_is_refused(lived_in: World, tmp_path: Path) -> None:
    name = save(lived_in, tmp_path).name
    place = tmp_path / name / "manifest.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"dialect": "other"}))
    with pytest.raises(Conflict, match="other database"):
        bring(lived_in, tmp_path)


@pytest.mark.only_sqlite
def test_backup_of_a_newer_version_is_refused(lived_in: World, make_world: MakeWorld, tmp_path: Path) -> None:
    place = tmp_path / save(lived_in, tmp_path).name / "manifest.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"revision": "not made yet"}))
    done = run(other := make_world(), "restore", str(tmp_path))
    assert (done.exit_code, "newer version" in done.stderr) == (1, True)
    assert (list(other.parts.storages.default.keys()), other.files()) == ([], [])


def test_backup_of_an_older_version_needs_upgrade(lived_in: World, make_world: MakeWorld, tmp_path: Path) -> None:
    place = tmp_path / save(lived_in, tmp_path).name / "manifest.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"revision": "0001"}))
    done = run(make_world(), "restore", str(tmp_path))
    assert (done.exit_code, "flask db upgrade" in done.stdout) == (0, True)


def test_api_tokens_of_a_backup_are_suspended(lived_in: World, make_world: MakeWorld, tmp_path: Path) -> None:
    _, secret = api_tokens.create(lived_in.actor(), "Scanner")
    save(lived_in, tmp_path)
    other = make_world()
    done = run(other, "restore", str(tmp_path), "--json")
    assert (json.loads(done.stdout)["suspended_tokens"], json.loads(done.stdout)["revoked_tokens"]) == (1, 0)
    assert with_token(other, secret).get("/patients").status_code == 401
    nora = accounts.actor_for(accounts.find("nora@sample.example"))
    api_tokens.confirm(nora, api_tokens.list_tokens(nora)[0].id)
    assert with_token(other, secret).get("/patients").status_code == 200


def test_api_tokens_of_a_version_without_suspension_are_revoked(lived_in: World) -> None:
    api_tokens.create(lived_in.actor(), "Scanner")
    db.session.remove()
    downgrade(revision="0014")
    with db.engine.begin() as connection:
        assert restore._suspend_tokens(connection) == restore.Tokens(revoked=1)
        assert connection.execute(text("SELECT count(*) FROM api_tokens")).scalar() == 0
    upgrade()


def test_invitations_of_a_backup_are_not_restored(lived_in: World, make_world: MakeWorld, tmp_path: Path) -> None:
    patient = db.session.scalars(select(Patient)).one()
    shares = ShareService(lived_in.actor(), lived_in.parts.registry, lived_in.parts.storages)
    shares.grant(patient.id, "vera@sample.example", "view")
    save(lived_in, tmp_path)
    bring(make_world(), tmp_path)
    assert db.session.scalars(select(PatientShare.address)).all() == ["otto@sample.example"]


def test_share_links_of_a_backup_end(lived_in: World, make_world: MakeWorld, tmp_path: Path) -> None:
    file = next(file for file in lived_in.files() if file.deleted_at is None)
    lived_in.link(file)
    save(lived_in, tmp_path)
    assert db.session.scalars(select(ShareLink.revoked_at)).all() == [None]
    bring(make_world(), tmp_path)
    assert None not in db.session.scalars(select(ShareLink.revoked_at)).all()


def test_smart_health_links_of_a_backup_are_not_restored(
    lived_in: World, make_world: MakeWorld, tmp_path: Path
) -> None:
    file = next(file for file in lived_in.files() if file.deleted_at is None)
    link = lived_in.link(file, allow_download=True).link
    lived_in.smart(link, "up-to-date")
    save(lived_in, tmp_path)
    world = make_world()
    bring(world, tmp_path)
    for model in (SmartLink, SmartLinkDocument):
        assert db.session.scalars(select(model)).all() == []
    assert not list(world.parts.storages.default.keys("shl/"))


def test_a_backup_of_a_version_without_invitations_keeps_its_shares(lived_in: World) -> None:
    db.session.remove()
    downgrade(revision="0012")
    with db.engine.begin() as connection:
        assert not restore._has_column(connection, "patient_shares", "accepted_at")
    restore._settle(db.engine, [], "disk")
    with db.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM patient_shares")).scalar() == 1
    upgrade()


def test_accounts_that_changed_since_the_backup_are_listed(make_world: MakeWorld, tmp_path: Path) -> None:
    anchor, otto = str(tmp_path / "anchor"), "otto@sample.example"
    world = make_world(AUDIT_ANCHOR=anchor)
    for email in (otto, "nora@sample.example"):
        world.user(email)
    accounts.set_admin("nora@sample.example", True)
    run(world, "audit", "seal")
    made = json.loads(run(world, "backup", str(tmp_path / "safe"), "--json").stdout)["name"]
    accounts.disable(otto)
    accounts.create("later@sample.example", "a long enough password")
    run(world, "audit", "seal")
    other = make_world(AUDIT_ANCHOR=anchor)
    done = run(other, "restore", str(tmp_path / "safe"), "--json")
    said = json.loads(done.stdout)
    assert (said["name"], said["changed_accounts"]) == (made, [{"id": world._users[otto], "email": otto}])
    assert accounts.find(otto).active


def test_foreign_tables_are_not_replaced(lived_in: World, make_world: MakeWorld, tmp_path: Path) -> None:
    save(lived_in, tmp_path)
    other = make_world()
    with db.engine.begin() as connection:
        connection.execute(text("CREATE TABLE recipes (dish VARCHAR(20))"))
        connection.execute(text("INSERT INTO recipes VALUES ('soup')"))
    with pytest.raises(Conflict, match="recipes"):
        bring(other, tmp_path)
    assert db.session.scalars(text("SELECT dish FROM recipes")).all() == ["soup"]
    assert list(other.parts.storages.default.keys()) == []


@pytest.mark.only_sqlite
def test_existing_older_file_is_not_replaced(lived_in: World, make_world: MakeWorld, tmp_path: Path) -> None:
    save(lived_in, tmp_path)
    [path], other = folder_of(lived_in.parts.storages).paths(), make_world()
    place = other.uploads / path
    place.parent.mkdir(parents=True)
    place.write_bytes(b"somebody's")
    with pytest.raises(IntegrityFailed, match="Nothing was deleted"):
        bring(other, tmp_path)
    assert (place.read_bytes(), other.files()) == (b"somebody's", [])
    place.write_bytes((lived_in.uploads / path).read_bytes())
    assert bring(other, tmp_path).documents == 8


@pytest.mark.only_sqlite
def test_restore_checks_the_space_of_the_target_disk(
    lived_in: World, make_world: MakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(lived_in, tmp_path / "safe")
    asked: dict[Path, int] = {}
    monkeypatch.setattr(restore, "check_space", asked.update)
    bring(make_world(STORAGE_URL=(tmp_path / "elsewhere").as_uri()), tmp_path / "safe")
    assert asked[tmp_path / "elsewhere"] == sum(file.file_size for file in lived_in.files())


def test_restore_on_a_full_disk_is_reported(
    lived_in: World, make_world: MakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(lived_in, tmp_path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    other = make_world()
    with monkeypatch.context() as broken:
        broken.setattr(restore, "_bring_secret", full)
        done = run(other, "restore", str(tmp_path))
    assert (done.exit_code, "No space left" in done.stderr, "Traceback" in done.output) == (1, True, False)
    assert run(other, "restore", str(tmp_path)).exit_code == 0


@pytest.mark.parametrize(
    "options", [["--check", "--keep", "2"], ["--check", "--mend"], ["--name", "x"], ["--keep", "0"]]
)
def test_misuse_ends_with_2(world: World, tmp_path: Path, options: list[str]) -> None:
    assert run(world, "backup", str(tmp_path), *options).exit_code == 2


def test_bytes_that_read_back_wrong_are_not_kept(
    lived_in: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flipped(chunks: Iterator[bytes], file: Any) -> Iterator[bytes]:
        for chunk in chunks:
            file.write(bytes([chunk[0] ^ 1]) + chunk[1:])
            yield chunk

    monkeypatch.setattr(backup, "written", flipped)
    saved = save(lived_in, tmp_path / "backup")
    documents = lived_in.files()
    assert len(saved.problems) >= len(documents)
    assert saved.copied == 0
    for file in documents:
        assert not backup.object_path(tmp_path / "backup", file.sha256).exists()
