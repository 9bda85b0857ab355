"""An installation starts only if its folder is private and its own, and nothing that belongs to it is missing."""

import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medfiles import config
from medfiles.app import create_app
from medfiles.config import SettingError
from medfiles.database.session import db
from medfiles.operations import backup, instance
from tests.support.factories import World
from tests.support.server import environment

ROOT = Path(__file__).parents[2]
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to change the owner of a folder")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "instance"
    place.mkdir(mode=0o700)
    return place


def start(folder: Path, **settings: str) -> Any:
    named = {f"MEDFILES_{name}": text for name, text in settings.items()}
    return create_app({"MEDFILES_INSTANCE": str(folder), **named})


def run(folder: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environ = environment({"MEDFILES_INSTANCE": str(folder), **settings})
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def add_document(folder: Path) -> Path:
    path = folder / "uploads" / "files" / "visit" / f"{uuid.uuid4()}.pdf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"%PDF")
    return path


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o707, 0o701])
def test_a_folder_open_to_others_stops_the_start_and_names_the_command(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(SettingError, match=f"chmod 700 {folder}"):
        start(folder)


def test_a_new_folder_and_all_that_is_put_into_it_is_private(tmp_path: Path) -> None:
    done = run(tmp_path / "new", "flask", "--app", "wsgi", "db", "upgrade")
    assert done.returncode == 0, done.stderr
    modes = {path.name: path.stat().st_mode & 0o077 for path in [tmp_path / "new", *(tmp_path / "new").rglob("*")]}
    assert "medfiles.db" in modes
    assert set(modes.values()) == {0}


@as_root
def test_a_command_of_another_account_is_refused_and_names_the_owner(folder: Path) -> None:
    os.chown(folder, NOBODY, NOBODY)
    done = run(folder, "flask", "--app", "wsgi", "medfiles", "user", "list")
    assert done.returncode == 1
    assert "belongs to the account nobody, but this command runs as root" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []


@as_root
def test_root_can_run_a_command_as_the_owner(tmp_path: Path) -> None:
    source = Path("/var/tmp") / f"medfiles-{uuid.uuid4().hex}"  # the owner must reach the folder
    source.mkdir(mode=0o700)
    os.chown(source, NOBODY, NOBODY)
    try:
        done = run(source, "flask", "--app", "wsgi", "medfiles", "--as-owner", "user", "list")
        assert "Create them with `flask db upgrade`" in done.stderr
        assert {path.stat().st_uid for path in source.rglob("*")} == {NOBODY}
    finally:
        shutil.rmtree(source)


def test_a_missing_database_beside_documents_stops_the_start(folder: Path) -> None:
    document = add_document(folder)
    done = run(folder, "flask", "--app", "wsgi", "db", "upgrade")
    assert done.returncode == 1
    assert f"medfiles.db is missing, but there are documents, such as files/visit/{document.name}" in done.stderr
    assert not (folder / "medfiles.db").exists()


def test_an_empty_database_beside_documents_stops_the_start(folder: Path) -> None:
    assert run(folder, "flask", "--app", "wsgi", "db", "upgrade").returncode == 0
    add_document(folder)
    for command in (["medfiles", "verify"], ["db", "upgrade"]):
        done = run(folder, "flask", "--app", "wsgi", *command)
        assert done.returncode == 1
        assert "medfiles.db is empty, but there are documents" in done.stderr


def test_the_server_stops_with_the_same_sentence(folder: Path) -> None:
    add_document(folder)
    done = run(folder, "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app", MEDFILES_PORT="0")
    assert done.returncode != 0
    assert "is missing, but there are documents" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_one_sentence(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run(folder, "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app", MEDFILES_PORT=port)
    assert done.stderr.strip().splitlines() == [
        f"Error: Port {port} on 127.0.0.1 is in use by another program. Stop it, or set MEDFILES_PORT or MEDFILES_HOST."
    ]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"MEDFILES_PORT": "many"}, "MEDFILES_PORT='many' cannot be used"),
        ({"MEDFILES_DATABASE_URL": "postgresql+pg8000://127.0.0.1/x"}, "needs the driver pg8000"),
        ({"MEDFILES_DATABASE_URL": "nothing"}, "MEDFILES_DATABASE_URL cannot be used"),
        ({"MEDFILES_SURPRISE": "1"}, "Unknown settings: MEDFILES_SURPRISE"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [["flask", "--app", "wsgi", "medfiles", "user", "list"], ["gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]],
    ids=["command", "server"],
)
def test_a_setting_that_cannot_be_used_is_one_sentence(
    folder: Path, settings: dict[str, str], sentence: str, command: list[str]
) -> None:
    done = run(folder, *command, **settings)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_missing_secret_key_beside_data_is_not_replaced(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.patient()
    settings = world.app.config
    (Path(world.app.instance_path) / "secret-key").unlink()
    with pytest.raises(SettingError, match="secret-key is missing, but this installation has data"):
        instance.prepare(settings)
    assert not (Path(world.app.instance_path) / "secret-key").exists()


def test_the_secret_key_of_a_new_installation_is_created(folder: Path) -> None:
    app = start(folder)
    assert (folder / "secret-key").read_text() == app.config["SECRET_KEY"]
    assert config.secret_key(app.config) == app.config["SECRET_KEY"]


# --- while the server runs ------------------------------------------------------------------------------------------


@pytest.fixture
def lived_in(make_world: Callable[..., World]) -> World:
    world = make_world()
    if db.engine.dialect.name != "sqlite":
        pytest.skip("the database is no file")
    world.attach(world.record())
    world.parts.readiness.every = 0
    return world


def database_of(world: World) -> Path:
    return Path(str(db.engine.url.database))


def test_nothing_is_confirmed_once_the_database_is_removed(lived_in: World) -> None:
    browser, record = lived_in.browser(), lived_in.record()
    database_of(lived_in).unlink()
    assert browser.upload(f"/documents/visit/{record.id}/files", "new.txt", b"New").status_code == 503
    assert lived_in.client(None).get("/readyz").status_code == 503
    assert not database_of(lived_in).exists()


def test_nothing_is_confirmed_once_the_database_is_replaced(lived_in: World, tmp_path: Path) -> None:
    browser, record, path = lived_in.browser(), lived_in.record(), database_of(lived_in)
    with sqlite3.connect(path) as source, sqlite3.connect(tmp_path / "other.db") as other:
        source.backup(other)
    (tmp_path / "other.db").replace(path)
    assert browser.upload(f"/documents/visit/{record.id}/files", "new.txt", b"New").status_code == 503
    assert lived_in.client(None).get("/readyz").status_code == 503


def test_readiness_is_tried_once_in_ten_seconds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[int] = []
    monkeypatch.setattr(world.parts.storages.default, "check", lambda: attempts.append(1))
    for _ in range(5):
        assert world.client(None).get("/readyz").status_code == 200
    assert len(attempts) == 1
    monkeypatch.setattr(world.parts.readiness, "every", 0)
    world.client(None).get("/readyz")
    assert len(attempts) == 2


@pytest.mark.parametrize(("timeout", "status"), [(30, 200), (0.1, 503)])
def test_readiness_waits_for_a_writer_as_long_as_a_change_does(
    lived_in: World, monkeypatch: pytest.MonkeyPatch, timeout: float, status: int
) -> None:
    monkeypatch.setattr("medfiles.database.sqlite.BUSY_SECONDS", timeout)
    holder = sqlite3.connect(database_of(lived_in), isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    release = threading.Timer(1, holder.execute, ["ROLLBACK"])
    release.start()
    assert lived_in.client(None).get("/readyz").status_code == status
    release.join()
    holder.close()


def test_a_full_disk_is_not_ready(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.parts.readiness, "every", 0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))  # an empty file could still be created
    try:
        assert world.client(None).get("/readyz").status_code == 503
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# --- old backups ----------------------------------------------------------------------------------------------------


def test_the_last_backup_with_the_documents_stays_when_newer_ones_have_lost_them(world: World, tmp_path: Path) -> None:
    place, secret = tmp_path / "backup", "secret"
    record = world.record()
    files = [world.attach(record, f"letter-{number}.pdf") for number in range(5)]
    full = backup.back_up(world.parts.storages, place, secret).name
    for file in files[1:]:
        world.documents().trash(file.id)
        world.documents().purge(file.id)
    newer = [backup.back_up(world.parts.storages, place, secret).name for _ in range(3)]
    backup.thin_out(place, 2)
    assert backup.whole(place) == [full, *newer[1:]]


def test_backups_with_as_many_documents_are_thinned_out(world: World, tmp_path: Path) -> None:
    world.attach(world.record())
    names = [backup.back_up(world.parts.storages, tmp_path / "backup", "secret").name for _ in range(3)]
    assert backup.thin_out(tmp_path / "backup", 1) == 2
    assert backup.whole(tmp_path / "backup") == names[2:]
