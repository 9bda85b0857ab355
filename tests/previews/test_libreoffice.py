"""Old Word documents are shown where the operator has LibreOffice, here a script that does what it might do."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medfiles.models import EntityFile
from medfiles.previews import libreoffice
from medfiles.previews.renderer import Renderer
from medfiles.previews.service import recipe
from tests.support import samples
from tests.support.factories import World

# Called as soffice is: … --outdir FOLDER FILE
SCRIPT = """#!/bin/sh
for word; do before=$last; last=$word; done
env > "{folder}/environment"
echo run >> "{folder}/runs"
{does}
"""
CONVERTS = 'cp "{folder}/made.pdf" "$(dirname "$last")/document.pdf"'


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    libreoffice.CACHE.clear()
    yield
    libreoffice.CACHE.clear()


@pytest.fixture
def soffice(tmp_path: Path) -> Callable[[str], str]:
    def make(does: str) -> str:
        (tmp_path / "made.pdf").write_bytes(samples.pdf(pages=2))
        program = tmp_path / "soffice"
        program.write_text(SCRIPT.replace("{does}", does).replace("{folder}", str(tmp_path)))
        program.chmod(0o700)
        return str(program)

    return make


def old_letter(world: World) -> EntityFile:
    return world.attach(world.record(), "letter.doc")


def test_old_word_document_is_shown_as_pages(
    make_world: Callable[..., World], soffice: Callable[[str], str], tmp_path: Path
) -> None:
    world = make_world(SOFFICE=soffice(CONVERTS))
    file = old_letter(world)
    client = world.client()
    for page, status in ((1, 200), (2, 200), (3, 404)):
        path = f"/documents/files/{file.id}/pictures/{file.sha256}-{recipe(480)}/{page}.webp"
        assert client.get(path, buffered=True).status_code == status
    assert (tmp_path / "runs").read_text() == "run\n"
    names = {line.split("=")[0] for line in (tmp_path / "environment").read_text().splitlines()}
    assert names <= {"HOME", "PATH", "PWD", "LC_CTYPE", "_", "SHLVL", "OLDPWD"}
    world.assert_settled()


@pytest.mark.parametrize("does", ["exit 1", "sleep 30 & sleep 30"])
def test_what_cannot_be_converted_is_explained_and_not_tried_again(
    world: World, soffice: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    monkeypatch.setattr(libreoffice, "SECONDS", 1)
    file, renderer = (
        old_letter(world),
        Renderer(world.parts.storages, world.parts.renderers, libreoffice.Converter(soffice(does))),
    )
    for _ in range(2):
        look = renderer.describe(world.documents().open(file.id))
        assert (look.kind, "ownload" in (look.reason or "")) == ("none", True)
    assert (tmp_path / "runs").read_text() == "run\n"
    world.assert_settled()


def test_without_libreoffice_it_can_only_be_downloaded(world: World) -> None:
    look = world.previews().describe(old_letter(world).id)
    assert look.kind == "none"
    assert "Old Word documents" in (look.reason or "")
