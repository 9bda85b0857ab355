"""The kinds of records, and the file that overrides their limits."""

from collections.abc import Callable
from pathlib import Path

import pytest

from medfiles.config import SettingError
from medfiles.errors import Forbidden, NotFound, TooMany, TypeNotAllowed
from medfiles.record_types.declared import MB, PATIENT, RECORD_TYPES, Registry
from medfiles.record_types.overrides import with_overrides
from tests.support.factories import World

ROOT = Path(__file__).parents[2]
CONTRACT = {  # name: alias, directory, extensions, megabytes, documents, categories, previews
    "lab-result": (
        "lab-results", "lab-results",
        ".pdf .jpg .jpeg .png .tiff .tif .bmp .gif .txt .csv .xml .json .doc .docx .xls .xlsx .heic",
        25, 200, "result report image document", True,
    ),
    "insurance": (
        "insurances", "insurance", ".pdf .jpg .jpeg .png .doc .docx .heic", 25, 200,
        "card policy claim eob correspondence", True,
    ),
    "visit": (
        "visits", "visits", ".pdf .doc .docx .jpg .jpeg .png .txt .heic", 25, 200,
        "summary referral prescription test_order correspondence", True,
    ),
    "procedure": (
        "procedures", "procedures", ".pdf .doc .docx .jpg .jpeg .png .dcm .heic", 50, 200,
        "consent report image instructions billing", True,
    ),
    "patient": (
        "patients", "patients",
        ".pdf .jpg .jpeg .png .tiff .tif .bmp .gif .txt .csv .xml .json .doc .docx .xls .xlsx .heic .dcm",
        50, 10_000, "id vaccination medication directive correspondence other", True,
    ),
}  # fmt: skip


def test_the_kinds_have_the_limits_of_the_contract() -> None:
    found = {
        record_type.name: (
            record_type.plural, record_type.directory, " ".join(record_type.accepts), record_type.max_size // MB,
            record_type.max_files, " ".join(record_type.categories), "preview" in record_type.operations,
        )
        for record_type in (*RECORD_TYPES, PATIENT)
    }  # fmt: skip
    assert found == CONTRACT


def test_a_type_is_found_by_name_and_by_plural() -> None:
    registry = Registry(RECORD_TYPES)
    assert registry["visit"] is registry["visits"]
    assert registry["patient"] is registry["patients"]
    with pytest.raises(NotFound):
        registry["immunization"]


def test_a_patient_takes_every_format_that_a_record_takes_but_is_not_a_record() -> None:
    registry = Registry(RECORD_TYPES)
    assert set(PATIENT.accepts) == {extension for kind in registry for extension in kind.accepts}
    assert [*registry.every] == [*registry, PATIENT]


def test_every_field_of_a_kind_is_a_column_of_its_table() -> None:
    for record_type in RECORD_TYPES:
        assert {field.name for field in record_type.fields} <= set(record_type.model.__table__.columns.keys())  # type: ignore[attr-defined]


def overrides(tmp_path: Path, text: str) -> str:
    path = tmp_path / "limits.toml"
    path.write_text(text)
    return str(path)


def test_limits_can_be_overridden_per_type(tmp_path: Path) -> None:
    limits = '[visit]\nmax_size_mb = 2.5\nmax_files = 1\naccepts = [".pdf"]\ncategories = ["letter"]\n'
    limits += "[patient]\nmax_files = 3\n"
    registry = with_overrides(RECORD_TYPES, overrides(tmp_path, limits))
    visit = registry["visit"]
    found = (visit.max_size, visit.max_files, visit.accepts, visit.categories)
    assert found == (int(2.5 * MB), 1, (".pdf",), ("letter",))
    assert registry["procedure"].max_files == 200
    assert (registry["patient"].max_files, len([*registry])) == (3, 4)


def test_overridden_limits_are_enforced(make_world: Callable[..., World], tmp_path: Path) -> None:
    world = make_world(ENTITIES=overrides(tmp_path, '[visit]\nmax_files = 1\naccepts = [".pdf"]\n'))
    record = world.record()
    with pytest.raises(TypeNotAllowed, match="PDF"):
        world.attach(record, "photo.png")
    world.attach(record)
    with pytest.raises(TooMany, match="1 of 1"):
        world.attach(record)


def test_the_limits_of_the_first_plan_are_one_setting_away() -> None:
    planned = with_overrides(RECORD_TYPES, str(ROOT / "docs/examples/limits-first-plan.toml"))
    found = {kind.name: (kind.max_size // MB, kind.max_files, "preview" in kind.operations) for kind in planned}
    assert found == {
        "lab-result": (10, 10, True), "visit": (15, 8, True), "procedure": (20, 12, True), "insurance": (5, 5, False),
    }  # fmt: skip


def test_an_operation_left_out_is_not_offered(make_world: Callable[..., World], tmp_path: Path) -> None:
    world = make_world(ENTITIES=overrides(tmp_path, '[visit]\noperations = ["upload", "download"]\n'))
    record = world.record()
    file = world.attach(record)
    with pytest.raises(Forbidden):
        world.documents().trash(file.id)
    assert world.documents().open(file.id).file.id == file.id


UNUSABLE = {
    "[immunization]\nmax_files = 1\n": "immunization", "[visit]\nmax_filez = 1\n": "max_filez",
    "[visit\n": "cannot be read", '[visit]\nmax_files = "many"\n': "max_files", "visit = 3\n": "visit",
    "[visit]\nmax_size_mb = 0\n": "max_size_mb", "[visit]\naccepts = []\n": "accepts",
    '[visit]\noperations = ["upload", "erase"]\n': "operations", '[visit]\naccepts = ["pdf"]\n': "accepts",
    '[visit]\naccepts = [".exe"]\n': ".exe",
}  # fmt: skip


def test_overrides_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    for text, says in UNUSABLE.items():
        with pytest.raises(SettingError, match=says):
            with_overrides(RECORD_TYPES, overrides(tmp_path, text))
    with pytest.raises(SettingError, match=r"missing\.toml"):
        with_overrides(RECORD_TYPES, str(tmp_path / "missing.toml"))
