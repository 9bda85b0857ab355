"""Settings: read from the environment, checked at once, and refused by name."""

import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from medfiles import config
from medfiles.app import create_app
from medfiles.config import SETTINGS, SettingError, load, secret_key
from medfiles.errors import StorageError
from medfiles.record_types.declared import MB, RECORD_TYPES
from medfiles.record_types.overrides import with_overrides
from medfiles.storage import open_storages
from tests.support.factories import World


def test_everything_has_a_default() -> None:
    settings = load({})
    assert settings.keys() == {setting.name for setting in SETTINGS}
    assert settings["MEDFILES_TRASH_DAYS"] == settings["MEDFILES_IDLE_MINUTES"] == 30
    assert (settings["MEDFILES_HOST"], settings["MEDFILES_PORT"]) == ("127.0.0.1", 8000)


def test_an_unknown_setting_is_refused_by_name() -> None:
    with pytest.raises(SettingError, match="MEDFILES_TRASHDAYS"):
        load({"MEDFILES_TRASHDAYS": "3"})


def test_settings_of_other_programs_are_none_of_ours() -> None:
    assert load({"FLASK_DEBUG": "1", "PATH": "/bin"}) == load({})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MEDFILES_PORT", "eighty"),
        ("MEDFILES_TRASH_DAYS", "0"),
        ("MEDFILES_IDLE_MINUTES", "-1"),
        ("MEDFILES_HTTPS", "perhaps"),
        ("MEDFILES_LOG_FORMAT", "xml"),
    ],
)
def test_a_value_that_cannot_be_read_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(SettingError, match=f"{name}='{text}'"):
        load({name: text})


@pytest.mark.parametrize(("text", "value"), [("1", True), ("yes", True), ("ON", True), ("0", False), ("no", False)])
def test_a_switch_is_read_as_people_write_it(text: str, value: bool) -> None:
    assert load({"MEDFILES_HTTPS": text})["MEDFILES_HTTPS"] is value


def test_an_empty_setting_is_its_default() -> None:
    assert load({"MEDFILES_PORT": "  "})["MEDFILES_PORT"] == 8000


def test_database_and_documents_are_in_the_instance_folder(tmp_path: Path) -> None:
    settings = load({"MEDFILES_INSTANCE": str(tmp_path)})
    assert settings["MEDFILES_DATABASE_URL"] == f"sqlite:///{tmp_path / 'medfiles.db'}"
    assert settings["MEDFILES_STORAGE_URL"] == (tmp_path / "uploads").as_uri()


def test_the_instance_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    place = tmp_path / "instance"
    create_app({"MEDFILES_INSTANCE": str(place)})
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_the_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    settings = load({"MEDFILES_INSTANCE": str(tmp_path)})
    first = secret_key(settings)
    assert len(first) > 40
    assert secret_key(settings) == first
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600


def test_first_starts_at_the_same_moment_agree_on_one_secret(tmp_path: Path) -> None:
    settings, found, ready = load({"MEDFILES_INSTANCE": str(tmp_path)}), [], threading.Barrier(8)

    def start() -> None:
        ready.wait()
        found.append(secret_key(settings))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["secret-key"]


def test_a_secret_that_is_set_is_used(tmp_path: Path) -> None:
    settings = load({"MEDFILES_INSTANCE": str(tmp_path), "MEDFILES_SECRET_KEY": "set by the operator"})
    assert secret_key(settings) == "set by the operator"
    assert not (tmp_path / "secret-key").exists()


def test_limits_of_a_kind_of_record_are_overridden_by_a_file(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text('[visit]\nmax_size_mb = 2.5\nmax_files = 3\naccepts = [".pdf"]\ncategories = ["letter"]\n')
    changed = with_overrides(RECORD_TYPES, str(path))["visit"]
    assert (changed.max_size, changed.max_files) == (int(2.5 * MB), 3)
    assert (changed.accepts, changed.categories) == ((".pdf",), ("letter",))
    assert with_overrides(RECORD_TYPES, str(path))["procedure"].max_files == 200


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[vaccination]\nmax_files = 3\n", "vaccination"),
        ("[visit]\nmax_fils = 3\n", "max_fils"),
        ("[visit\n", "limits.toml"),
        ("[visit]\nmax_files = 'three'\n", "max_files"),
        ("[visit]\nmax_size_mb = 'big'\n", "max_size_mb"),
        ("[visit]\nmax_files = -1\n", "max_files"),
        ("[visit]\naccepts = '.pdf'\n", "accepts"),
    ],
)
def test_an_override_that_makes_no_sense_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(text)
    with pytest.raises(SettingError, match=named):
        with_overrides(RECORD_TYPES, str(path))


def test_an_override_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="nowhere.toml"):
        with_overrides(RECORD_TYPES, str(tmp_path / "nowhere.toml"))


def test_an_overridden_limit_is_the_one_people_meet(make_world: Callable[..., World], tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text("[visit]\nmax_files = 1\n")
    world = make_world(ENTITIES=str(path))
    record = world.record()
    world.attach(record)
    page = world.client().get(f"/documents/visit/{record.id}").get_data(as_text=True)
    assert "This visit is full (1 of 1)" in page


@pytest.mark.parametrize(
    "url", ["ftp://there", "s3:///folder", "s3://bucket?password=1", "uploads", "file://elsewhere/folder"]
)
def test_a_store_nobody_knows_is_refused_by_name(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="MEDFILES_STORAGE_URL"):
        open_storages(url, tmp_path)


@pytest.mark.parametrize("also", ["file:///other", "a=file:///other a=file:///third", "a=file:///one/"])
def test_stores_without_a_name_and_a_place_of_their_own_are_refused(also: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="MEDFILES_STORAGE_ALSO"):
        open_storages("file:///one", tmp_path, also=also)


def test_stores_of_one_kind_are_found_by_their_names(tmp_path: Path) -> None:
    also = "file:///old a=file:///third s3://bucket/folder?endpoint=http://localhost:1 b=s3://bucket/other"
    storages = open_storages("new=file:///one", tmp_path, also=also)
    assert storages.default.name == "new"
    assert {storage.name: storage.root for storage in storages} == {
        "new": Path("/one"), "disk": Path("/old"), "a": Path("/third"), "objects": None, "b": None
    }  # fmt: skip
    with pytest.raises(StorageError):
        storages["c"]


def test_the_table_of_settings_names_each_once() -> None:
    names = [setting.name for setting in SETTINGS]
    assert len(names) == len(set(names))
    assert all(name.startswith(config.PREFIX) for name in names)


@pytest.mark.parametrize(
    ("host", "https", "warned"),
    [
        ("0.0.0.0", "0", True), ("::", "0", True), ("[::]", "0", True), ("192.0.2.7", "0", True),
        ("clinic.example", "0", True), ("0.0.0.0", "1", False), ("127.0.0.1", "0", False), ("127.0.0.2", "0", False),
        ("::1", "0", False), ("[::1]", "0", False), ("localhost", "0", False), ("unix:/run/medfiles.sock", "0", False),
    ],
)  # fmt: skip
def test_a_server_open_to_other_machines_without_https_is_warned_about(host: str, https: str, warned: bool) -> None:
    settings = config.load({"MEDFILES_HOST": host, "MEDFILES_HTTPS": https})
    assert bool(config.unencrypted(settings)) == warned
