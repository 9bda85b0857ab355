"""How the installation is doing: for admins as a page, for monitoring as text, and for nobody else."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import lxml.html
import pytest
from prometheus_client.parser import text_string_to_metric_families

from medfiles.accounts import service as accounts
from medfiles.audit import chain
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import Forbidden
from medfiles.models import EntityFile, StorageJournal
from medfiles.operations import backup, integrity
from medfiles.operations import status as operation_status
from medfiles.operations.status import StatusService
from tests.support.factories import World

ADMIN = "admin@example.org"
LOCAL = {"REMOTE_ADDR": "127.0.0.1"}


def admin(world: World) -> World:
    world.user(ADMIN)
    accounts.set_admin(ADMIN, True)
    return world


def figures(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_documents_are_counted_by_kind_with_their_sizes_and_the_trash_apart(world: World) -> None:
    visit = world.record("visit")
    letter, other = world.attach(visit, "Letter.pdf"), world.attach(visit, "Other.pdf")
    world.documents().trash(other.id)
    kept = operation_status.measure(world.parts).kinds["visit"]
    assert kept == operation_status.DocumentCounts(1, letter.file_size, 1, other.file_size)
    assert operation_status.measure(world.parts).kinds["insurance"] == operation_status.DocumentCounts()


def test_entries_of_the_journal_are_counted_and_those_past_their_lease(world: World) -> None:
    minute = timedelta(minutes=1)
    with transaction() as session:
        session.add(StorageJournal(key="a", storage="disk", action="attach", lease_until=now() - minute))
        session.add(StorageJournal(key="b", storage="disk", action="remove", lease_until=now() + minute))
    assert operation_status.measure(world.parts).journal == operation_status.Journal(1, 1, 1)


def test_the_process_itself_is_among_those_at_work(world: World) -> None:
    [*found] = operation_status.processes()
    assert any(process.memory > 10_000_000 for process in found)


def test_only_an_admin_sees_the_page(world: World) -> None:
    admin(world)
    assert world.client(ADMIN).get("/status").status_code == 200
    assert world.client().get("/status").status_code == 403
    assert world.app.test_client().get("/status").status_code == 302
    with pytest.raises(Forbidden):
        StatusService(world.actor(), world.parts.registry, world.parts.storages).read(world.parts)


def test_the_page_says_what_checks_found_and_when_work_was_last_done(world: World, tmp_path: Path) -> None:
    admin(world)
    lost, _ = world.store(world.record(), "a.txt", "b.txt")
    (world.uploads / db.session.get_one(EntityFile, lost).file_path).unlink()
    integrity.verify(world.parts.storages)
    integrity.verify_deep(world.parts.storages)
    backup.back_up(world.parts.storages, tmp_path, "key")
    chain.seal(world.parts.sealer)
    chain.verify(world.parts.sealer)
    page = re.sub(r"\s+", " ", lxml.html.fromstring(world.client(ADMIN).get("/status").text).text_content())
    for words in ("Finding: missing1 object", "Checksum check", "2 documents", "1 problem", "unchanged"):
        assert words in page
    assert "never" not in page
    found = figures(world.app.test_client().get("/metrics", environ_base=LOCAL).text)
    assert found["medfiles_findings", "missing"] == 1
    assert found["medfiles_last_run_seconds", "backup"] > 1_700_000_000


def test_the_page_names_no_document_and_nobody(world: World) -> None:
    admin(world)
    patient = world.patient(first_name="Xaverine")
    world.attach(world.record("visit", patient), "Zygote report.pdf")
    page = world.client(ADMIN).get("/status").text
    assert "Visits" in page
    assert not [name for name in ("Xaverine", "Sample", "Zygote", "nora@") if name in page]


def test_monitoring_on_this_machine_reads_the_same_figures(world: World) -> None:
    file = world.attach(world.record("visit"), "Letter.pdf")
    answer = world.app.test_client().get("/metrics", environ_base=LOCAL)
    found = figures(answer.text)
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert found["medfiles_documents", "live", "visit"] == 1
    assert found["medfiles_document_bytes", "live", "visit"] == file.file_size
    assert found["medfiles_journal_entries", "attach"] == 0
    assert found["medfiles_patients",] == 1


@pytest.mark.parametrize(
    ("address", "headers"),
    [("203.0.113.7", {}), ("127.0.0.1", {"X-Forwarded-For": "203.0.113.7"}), ("127.0.0.1", {"Forwarded": "for=_x"})],
)
def test_from_elsewhere_there_are_no_figures(world: World, address: str, headers: dict[str, str]) -> None:
    client = world.app.test_client()
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": address}, headers=headers).status_code == 404


def test_with_a_token_set_nothing_else_opens_the_figures(make_world: Callable[..., World]) -> None:
    client = make_world(METRICS_TOKEN="not-a-secret").app.test_client()

    def status(**headers: str) -> int:
        return client.get("/metrics", environ_base={"REMOTE_ADDR": "203.0.113.7"}, headers=headers).status_code

    assert status(Authorization="Bearer not-a-secret") == 200
    assert status(Authorization="Bearer not-a-secre") == 401
    assert status(Authorization="Basic not-a-secret") == 401
    assert client.get("/metrics", environ_base=LOCAL).status_code == 401
