"""Malware scans: the real daemon's verdicts on uploads and on what is stored, and what can go wrong with asking it."""

import json
import socket
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from medfiles import config
from medfiles.accounts import service as accounts
from medfiles.antivirus import clamd
from medfiles.antivirus.clamd import Clamd, Verdict, Version
from medfiles.database.session import db, transaction
from medfiles.errors import BeingChecked, Quarantined
from medfiles.models import EntityFile
from medfiles.operations import scanning, status
from medfiles.permissions import Action
from tests.support import samples
from tests.support.api_client import problem, script
from tests.support.clamav import AWAY, EICAR, FILES, daemon, pretender, scanned_by, take_all
from tests.support.factories import World

OTHER = "otto@sample.example"


def state(file_id: int) -> tuple[str | None, str | None]:
    db.session.rollback()
    file = db.session.get_one(EntityFile, file_id, populate_existing=True)
    return file.scan, file.scan_words


def set_state(file_id: int, **values: Any) -> None:
    with transaction() as session:
        for name, value in values.items():
            setattr(session.get_one(EntityFile, file_id), name, value)


def rescan(world: World, scanner: Clamd, **options: Any) -> scanning.ScanResult:
    return scanning.scan(world.parts.storages, scanner, **options)


# --- the daemon's words ---------------------------------------------------------------------------------------------


def test_what_is_harmless_is_clean(scanner: Clamd) -> None:
    assert scanner.scan([b"Dear ", b"", b"Ella"]) == Verdict(clamd.CLEAN)


@pytest.mark.parametrize("path", sorted(FILES.glob("clam*")), ids=lambda path: path.name)
def test_what_is_packed_into_anything_is_found(scanner: Clamd, path: Path) -> None:
    assert scanner.scan([path.read_bytes()]) == Verdict(clamd.INFECTED, "Test.Program.UNOFFICIAL")


def test_a_chunk_boundary_hides_nothing(scanner: Clamd) -> None:
    assert scanner.scan([EICAR[:30], EICAR[30:]]).result == clamd.INFECTED


def test_beyond_the_daemons_limits_nothing_is_called_clean() -> None:
    with daemon(StreamMaxLength="1M", MaxFileSize="512K", AlertExceedsMax="yes") as small:
        assert small.scan([bytes(900_000)]) == Verdict(clamd.UNSCANNED, "Heuristics.Limits.Exceeded.MaxFileSize")
        assert small.scan([bytes(50_000)] * 100) == Verdict(clamd.UNSCANNED, "INSTREAM size limit exceeded. ERROR")


def test_the_daemon_names_its_version(scanner: Clamd) -> None:
    found = scanner.version()
    assert found is not None
    assert found.engine[0].isdigit()
    assert found.signatures is None  # those of the tests have no number


def answering(words: bytes) -> Callable[[socket.socket], None]:
    def answer(line: socket.socket) -> None:
        take_all(line)
        line.sendall(words)

    return answer


def test_the_age_of_signatures_is_read() -> None:
    with pretender(answering(b"ClamAV 1.4.6/27500/Thu Mar  5 09:31:03 2026\0")) as address:
        made = datetime(2026, 3, 5, 9, 31, 3, tzinfo=UTC)
        assert Clamd(address, 5).version() == Version("1.4.6", 27500, made)


def test_only_the_whole_of_the_right_answer_is_clean() -> None:
    with pretender(answering(b"stream: OK\0")) as address:
        assert Clamd(address, 5).scan([b"x"]).result == clamd.CLEAN
    with pretender(answering(b"stream: OK")) as address:
        assert Clamd(address, 5).scan([b"x"]).result == clamd.UNSCANNED


def test_an_answer_before_everything_was_sent_is_no_verdict() -> None:
    def too_early(line: socket.socket) -> None:
        line.recv(100)
        line.sendall(b"stream: OK\0")
        line.shutdown(socket.SHUT_RD)

    with pretender(too_early) as address:
        assert Clamd(address, 5).scan([bytes(100_000)] * 200).result == clamd.UNSCANNED


@pytest.mark.parametrize(
    "said",
    [
        b"OK\0", b"stream: \0", b"stream: OK FOUND?\0", b"stream: Can't open file ERROR\0", b"UNKNOWN COMMAND\0",
        b"\xff\xfe\0", b"x" * 10_000, b"FOUND\0", b"stream: ok\0", b"stream: OKAY\0",
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_is_no_verdict(said: bytes) -> None:
    with pretender(answering(said)) as address:
        assert Clamd(address, 5).scan([b"x"]).result == clamd.UNSCANNED


def hang_up(line: socket.socket) -> None:
    line.recv(10)


def say_nothing(over: threading.Event, line: socket.socket) -> None:
    take_all(line)
    over.wait(20)


def test_who_cannot_be_asked_says_nothing_about_the_bytes(tmp_path: Path) -> None:
    over = threading.Event()
    with pretender(hang_up) as cut, pretender(partial(say_nothing, over)) as silent:
        for address in (AWAY.address, f"unix:{tmp_path}/nobody", cut, silent):
            found = Clamd(address, 0.3).scan([bytes(100_000)] * 100)
            assert (found.result, found.unreachable) == (clamd.UNSCANNED, True), address
            assert Clamd(address, 0.3).version() is None
        over.set()


@pytest.mark.parametrize(
    "address", ["tcp://somewhere", "unix:relative", "http://a:1", "tcp://:1", "clamd", "unix://host/a"]
)
def test_an_address_that_is_none_is_an_error_at_the_start(address: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        config.daemon_address(address)


# --- uploads --------------------------------------------------------------------------------------------------------


def test_a_clean_document_is_stored_and_known_to_be_clean(world: World, scanner: Clamd) -> None:
    file = scanned_by(world, scanner).attach(world.record())
    assert state(file.id) == ("clean", None)
    assert b"".join(world.documents().open(file.id).read()) == samples.pdf()


def test_an_infected_document_is_refused_by_name_and_nothing_of_it_stays(world: World, scanner: Clamd) -> None:
    record = scanned_by(world, scanner).record()
    answer = script(world).upload(f"/visit/{record.id}/files", "letter.txt", EICAR)
    problem(answer, 422, "infected")
    assert "Test.Eicar" in answer.text
    [event] = world.events(action="attach")
    assert (event.outcome, event.reason) == ("refused", "infected")
    assert (event.details or {})["signature"] == "Test.Eicar.UNOFFICIAL"
    page = world.browser().upload(f"/documents/visit/{record.id}/files", "letter.txt", EICAR)
    assert "The malware scanner found “Test.Eicar.UNOFFICIAL” in this file" in page.text
    assert (page.status_code, world.files()) == (422, [])
    world.assert_settled()


def test_of_the_scanners_own_files_none_is_stored_under_any_name(world: World, scanner: Clamd) -> None:
    """Most are no documents at all, which is found out first."""
    record, by = scanned_by(world, scanner).record(), script(world)
    for path in sorted(FILES.glob("clam*")):
        for extension in (".pdf", ".doc", ".docx", ".txt"):
            answer = by.upload(f"/visit/{record.id}/files", f"paper{extension}", path.read_bytes())
            assert (answer.json or {})["code"] in ("content-mismatch", "rejected", "infected"), (path, extension)
    assert world.files() == []


class Noting(Clamd):
    """Knows whether anybody waits for the database while it scans."""

    open = True

    def scan(self, chunks: Iterable[bytes]) -> Verdict:
        type(self).open = db.session().in_transaction()
        return super().scan(chunks)


def test_no_transaction_is_open_while_a_document_is_scanned(world: World, scanner: Clamd) -> None:
    scanned_by(world, Noting(scanner.address, 5)).attach(world.record(), idempotency_key="once")
    assert not Noting.open


def test_without_an_answer_a_document_is_kept_and_waits(world: World) -> None:
    file = scanned_by(world, AWAY).attach(world.record())
    assert state(file.id)[0] == "waiting"
    assert file.scanned_at is None


def test_what_is_too_large_for_the_daemon_waits(world: World) -> None:
    with daemon(StreamMaxLength="1K") as small:
        file = scanned_by(world, small).attach(world.record("visit"), "diary.txt", b"slept well\n" * 10_000)
    assert state(file.id) == ("waiting", "INSTREAM size limit exceeded. ERROR")


def test_a_copy_inherits_no_verdict(world: World, scanner: Clamd) -> None:
    record = world.record()
    scanned_by(world, scanner).attach(record)
    assert state(scanned_by(world, AWAY).attach(record).id)[0] == "waiting"


def test_without_a_scanner_nothing_waits(world: World) -> None:
    file = world.attach(world.record())
    assert state(file.id) == (None, None)
    assert world.documents().open(file.id).size() == file.file_size


# --- who may read it ------------------------------------------------------------------------------------------------


def held(world: World, **values: Any) -> tuple[EntityFile, Any]:
    """A document that Nora sent, on a record that Otto may change."""
    patient = world.patient()
    record = world.record(patient=patient)
    file = world.attach(record)
    world.share(patient, OTHER, Action.EDIT)
    set_state(file.id, **values)
    return file, record


@pytest.mark.parametrize(("state", "told"), [("waiting", "waiting"), ("infected", "infected"), ("clean", None)])
def test_a_script_is_told_what_a_scan_said(world: World, state: str, told: str | None) -> None:
    file, record = held(world, scan=state)
    [listed] = script(world).get(f"/visit/{record.id}/files").get_json()
    assert (listed["scan"], script(world).get(f"/files/{file.id}").get_json()["scan"]) == (told, told)


def test_what_waits_is_opened_by_its_sender_alone(world: World) -> None:
    file, _ = held(world, scan="waiting")
    assert world.documents().open(file.id).size()
    with pytest.raises(BeingChecked):
        world.documents(OTHER).open(file.id)
    problem(script(world, OTHER).get(f"/files/{file.id}/download"), 409, "being-checked")


def test_what_is_in_quarantine_is_opened_by_nobody(world: World) -> None:
    file, _ = held(world, scan="infected", scan_words="Test.Eicar")
    for email in ("nora@sample.example", OTHER):
        with pytest.raises(Quarantined):
            world.documents(email).open(file.id)
    problem(script(world).get(f"/files/{file.id}/download"), 409, "quarantined")
    [event] = world.events(action="download", actor_id=world.user(OTHER).id)
    assert (event.outcome, event.reason) == ("refused", "quarantined")


def test_in_an_archive_it_is_named_among_what_is_missing(world: World) -> None:
    file, record = held(world, scan="infected")
    other = world.attach(record, "other.txt")
    bundle = world.bulk().open_many(world.kind(), record.id, [file.id, other.id])
    assert ([member.name for member in bundle.members], bundle.missing) == (["other.txt"], ["letter.pdf"])


def test_it_is_listed_with_its_state_and_without_ways_to_open_it(world: World) -> None:
    file, record = held(world, scan="infected", scan_words="Test.Eicar")
    for email, words in (("nora@sample.example", "Quarantined"), (OTHER, "Quarantined")):
        page = world.client(email).get(f"/documents/visit/{record.id}").text
        assert words in page
        assert "“Test.Eicar”" in page
        assert f"/documents/files/{file.id}/download" not in page
        assert f"/documents/files/{file.id}/preview" not in page
        edited = world.client(email).get(f"/documents/visit/{record.id}?edit={file.id}").text
        assert f"/documents/files/{file.id}/delete" in edited


def test_what_waits_is_marked_for_its_sender_and_for_others(world: World) -> None:
    file, record = held(world, scan="waiting")
    people = ("nora@sample.example", OTHER)
    own, others = (world.client(one).get(f"/documents/visit/{record.id}").text for one in people)
    assert "Only you can open this file until the malware scan is done" in own
    assert f"/documents/files/{file.id}/preview" in own
    assert "You can open this file after the malware scan" in others
    assert f"/documents/files/{file.id}/preview" not in others


def test_a_patient_s_page_shows_what_is_in_quarantine_to_delete_it(world: World) -> None:
    file, record = held(world, scan="infected", scan_words="Test.Eicar")
    client = world.client()
    page = client.get(f"/patients/{record.patient_id}").text
    assert "In quarantine" in page
    assert f'action="/documents/files/{file.id}/delete"' in page
    world.documents().trash(file.id)
    assert "In quarantine" not in client.get(f"/patients/{record.patient_id}").text
    world.documents().purge(file.id)
    world.assert_settled()


# --- what is stored -------------------------------------------------------------------------------------------------


@pytest.mark.database
def test_what_waited_is_scanned_when_the_daemon_is_back(world: World, scanner: Clamd) -> None:
    file = scanned_by(world, AWAY).attach(world.record())
    before = file.updated_at
    assert rescan(world, AWAY).away
    assert state(file.id)[0] == "waiting"
    assert rescan(world, scanner).clean == 1
    assert state(file.id) == ("clean", None)
    assert db.session.get_one(EntityFile, file.id).updated_at == before


@pytest.mark.database
def test_documents_from_before_the_scanner_are_scanned_and_quarantined(world: World, scanner: Clamd) -> None:
    clean, bad = world.attach(world.record()), world.attach(world.record(), "letter.txt", EICAR)
    done = rescan(world, scanner)
    assert (done.clean, done.infected) == (1, [bad.id])
    assert (state(clean.id)[0], state(bad.id)) == ("clean", ("infected", "Test.Eicar.UNOFFICIAL"))
    [event] = world.events(action="quarantine")
    assert (event.file_id, (event.details or {})["signature"]) == (bad.id, "Test.Eicar.UNOFFICIAL")


def test_what_the_daemon_will_not_judge_stays_what_it_was(world: World) -> None:
    old = world.attach(world.record("visit"), "diary.txt", b"slept well\n" * 10_000)
    with daemon(StreamMaxLength="1K") as small:
        assert rescan(world, small).unscanned == [old.id]
        assert state(old.id) == (None, None)
        assert rescan(world, small).unscanned == []  # and is not shown to it at once again
    assert world.documents().open(old.id).size()


@pytest.mark.database
def test_all_is_scanned_again_for_new_signatures(world: World, scanner: Clamd) -> None:
    clean, wrongly = world.attach(world.record()), world.attach(world.record())
    set_state(clean.id, scan="clean")
    set_state(wrongly.id, scan="infected", scan_words="Test.Mistake")
    assert rescan(world, scanner) == scanning.ScanResult()
    assert rescan(world, scanner, rescan=True).clean == 2
    assert state(wrongly.id) == ("clean", None)
    assert [event.file_id for event in world.events(action="release")] == [wrongly.id]


def test_a_document_whose_bytes_are_gone_does_not_stop_the_others(world: World, scanner: Clamd) -> None:
    gone, clean = world.attach(world.record()), world.attach(world.record())
    (world.uploads / gone.file_path).unlink()
    done = rescan(world, scanner)
    assert (done.clean, done.unscanned) == (1, [gone.id])
    assert state(clean.id)[0] == "clean"


@pytest.mark.database
def test_a_document_that_others_scan_is_left_to_them(world: World, scanner: Clamd) -> None:
    file = world.attach(world.record())
    due = scanning._not_scanned_since(datetime.now(UTC))
    assert [scanning._claim(file.id, due) for _ in range(2)] == [True, False]


# --- for those who look after it ------------------------------------------------------------------------------------


def command(world: World, *options: str) -> Any:
    return world.app.test_cli_runner().invoke(args=["medfiles", "scan", *options])


def test_the_command_says_what_came_of_it(world: World, scanner: Clamd) -> None:
    world.attach(world.record())
    assert command(scanned_by(world, scanner)).output.endswith("1 clean, 0 quarantined, 0 not scanned.\n")
    bad = world.attach(world.record(), "letter.txt", b"text")
    (world.uploads / bad.file_path).write_bytes(EICAR)
    done = command(world, "--all", "--json")
    assert (done.exit_code, json.loads(done.stdout)["infected"]) == (1, [bad.id])


def test_the_command_needs_a_scanner_that_answers(world: World) -> None:
    none = command(world)
    assert (none.exit_code, "No scanner is configured" in none.output) == (0, True)
    done = command(scanned_by(world, AWAY))
    assert (done.exit_code, "does not respond" in done.output) == (1, True)


def test_the_status_page_says_how_the_scanner_is_doing(world: World, scanner: Clamd) -> None:
    world.user("admin@example.org")
    accounts.set_admin("admin@example.org", True)
    file = world.attach(world.record())
    page = partial(world.client("admin@example.org").get, "/status")
    assert "uploads are not scanned" in page().text
    set_state(file.id, scan="infected", scan_words="Test.Eicar")
    scanned_by(world, AWAY)
    assert "uploads wait for a scan" in page().text
    scanned_by(world, scanner)
    told = page().text
    assert "ClamAV 1" in told
    assert f'<th scope="row">{file.id}</th><td>Test.Eicar</td>' in told
    assert "letter.pdf" not in told


def test_monitoring_is_told(world: World, scanner: Clamd) -> None:
    set_state(world.attach(world.record()).id, scan="waiting")
    scanned_by(world, scanner)
    text = world.app.test_client().get("/metrics", environ_overrides={"REMOTE_ADDR": "127.0.0.1"}).text
    assert {"medfiles_scanner_up 1.0", "medfiles_scans_waiting 1.0"} <= set(text.splitlines())
    assert status.measure(world.parts).scanner.waiting == 1
