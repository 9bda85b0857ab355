"""What can happen to share links, their documents and the people around them."""

from datetime import timedelta

from sqlalchemy import update

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.links import rules
from medfiles.models import EntityFile, ShareLink, User
from tests.support.factories import World

OTTO = "otto@sample.example"  # who created the link


def trash(world: World, file: EntityFile) -> None:
    world.documents().trash(file.id)


def move(world: World, file: EntityFile) -> None:
    other = world.record(patient=world.patient(first_name="Ben"))
    world.moving().move(file.id, world.kind(), other.id)


def purge(world: World, file: EntityFile) -> None:
    trash(world, file)
    world.documents().purge(file.id)


def trash_record(world: World, file: EntityFile) -> None:
    world.records().delete(world.kind(), file.entity_id)


def find_malware(world: World, file: EntityFile) -> None:
    with transaction() as session:
        session.get_one(EntityFile, file.id).scan = "infected"


def revoke(world: World, link: ShareLink) -> None:
    world.links(OTTO).revoke(link.id)


def expire(world: World, link: ShareLink) -> None:
    with transaction() as session:
        session.get_one(ShareLink, link.id).expires_at = now() - timedelta(seconds=1)


def use_up(world: World, link: ShareLink) -> None:
    with transaction() as session:
        session.get_one(ShareLink, link.id).wrong_passcodes = rules.MOST_TRIES


def unshare(world: World, link: ShareLink) -> None:
    with transaction() as session:
        session.execute(db.delete(db.metadata.tables["patient_shares"]))


def lower(world: World, link: ShareLink) -> None:
    with transaction() as session:
        session.execute(update(db.metadata.tables["patient_shares"]).values(level="view"))


def disable(world: World, link: ShareLink) -> None:
    with transaction() as session:
        session.get_one(User, link.created_by).active = False


def archive(world: World, link: ShareLink) -> None:
    world.records().archive_patient(link.patient_id)


def delete(world: World, link: ShareLink) -> None:
    world.records().delete_patient(link.patient_id)


def postdate(world: World, link: ShareLink) -> None:
    with transaction() as session:
        session.get_one(ShareLink, link.id).created_at = now() + timedelta(days=2)
