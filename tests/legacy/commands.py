"""Short ways to run the two commands on an installation, and to plant what they move."""

import json
from typing import Any

from click.testing import Result
from sqlalchemy import select

from medfiles.database.session import db
from medfiles.models import EntityFile
from tests.legacy import installation
from tests.legacy.installation import Older
from tests.support.factories import World

FINDINGS, MISUSE = 1, 2
DOWNLOAD = "/api/v1/lab-result-files/{}/download"


def run(world: World, *words: str) -> Result:
    """In a context of its own, as a process of its own would have it."""
    with world.app.app_context():
        result = world.app.test_cli_runner().invoke(args=["medfiles", *words])
    db.session.rollback()
    db.session.expire_all()
    return result


def migrate(world: World, *words: str) -> Result:
    return run(world, "migrate-lab-results", *words)


def roll_back(world: World, *words: str) -> Result:
    return run(world, "rollback-lab-results", *words)


def url_of(world: World) -> str:
    return str(world.app.config["MEDFILES_DATABASE_URL"])


def planted(world: World, **sizes: Any) -> Older:
    """An older installation in this one, with every fault."""
    sizes = {"users": 3, "patients": 5, "results": 20, "files": 45} | sizes
    return installation.plant(url_of(world), world.uploads, **sizes)


def said(result: Result) -> Any:
    """What a command told with --json."""
    assert result.stdout, (result.stderr, result.exception)
    return json.loads(result.stdout)


def assert_moved(older: Older, world: World) -> None:
    installation.assert_all_moved(older, url_of(world), world.uploads)


def document_of(number: int) -> EntityFile:
    """The document that this older file became."""
    db.session.rollback()
    found: EntityFile = db.session.scalars(select(EntityFile).where(EntityFile.legacy_id == number)).one()
    return found
