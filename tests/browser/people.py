"""Who sits in front of the browser, what they have in the installation, and what their browser complains about."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, FilePayload, Request, WebError

from medfiles.accounts import service as accounts
from medfiles.database.session import db, transaction
from medfiles.models import EntityFile
from tests.browser import papers
from tests.support import samples
from tests.support.factories import World

TELL_BREACHES = "addEventListener('securitypolicyviolation', (event) => console.error(event.violatedDirective));"
# A clock in which a second passes whenever one looks, so that no test waits for the first second of a page to end.
A_SECOND_LATER = """{
  const now = performance.now.bind(performance);
  let looks = 0;
  performance.now = () => now() + 1000 * ++looks;
}"""
LONG_NAME = "Letter from the orthopaedics clinic about the left knee, second opinion.pdf"


@dataclass(frozen=True)
class Site:
    """The running server and the settings it was started with."""

    address: str
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Shelf:
    """What pages show: a patient with visits of every sort and an insurance that holds all it may."""

    patient: int
    visit: int = 0  # with documents, and one more in the trash
    bare: int = 0  # a visit without documents
    gone: int = 0  # a visit in the trash, with its document
    full: int = 0  # the insurance
    long: int = 0  # a visit with more documents than one page of its list shows
    shared: int = 0  # somebody else's visit, to be read only
    theirs: int = 0  # the patient of that visit
    scan: int = 0  # a procedure with a letter of many pages, slices of a scan, and what cannot be shown
    tables: int = 0  # a lab result with a table and a diary
    doomed: int = 0  # a visit that is deleted on the way
    held: int = 0  # a visit with documents that a malware scan holds back
    helds: int = 0  # the patient of that visit
    archived: int = 0  # a patient with a photo
    link: str = ""  # the token of a share link to documents of every look
    link_id: int = 0


@dataclass(frozen=True)
class Person:
    world: World
    email: str

    def sign_in(self, context: BrowserContext, address: str) -> None:
        """Begin a session of this account, as the form would have; it takes no time to hash a password."""
        client, name = self.world.client(self.email), self.world.app.config["SESSION_COOKIE_NAME"]
        self.world.prove()  # so that pages that ask for the password again are shown
        cookie = client.get_cookie(name)
        assert cookie is not None
        context.add_cookies([{"name": name, "value": cookie.value, "url": address}])

    def patient(self) -> Any:
        return self.world.patient(self.email)

    def visit(self, *names: str, patient: Any = None, **values: Any) -> Any:
        """A visit with documents of these names."""
        values = {"reason": "Annual check-up", "date": date(2026, 5, 12)} | values
        visit = self.world.record("visit", patient or self.patient(), self.email, **values)
        for name in names:
            self.attach(visit, name)
        return visit

    def attach(self, record: Any, name: str, **paper: Any) -> EntityFile:
        return self.world.attach(record, name, email=self.email, **paper)

    def pile(self, record: Any, count: int) -> None:
        """Notes 1, 2, 3 … on a visit, more than it takes, as from before its limit; each tenth without a category."""
        names = (f"Note {number}.txt" for number in range(1, count + 1))
        ids = self.world.store(record, *names, email=self.email, category="summary")
        with transaction() as session:
            for file_id in ids[9::10]:
                session.get_one(EntityFile, file_id).category = None

    def shelf(self) -> Shelf:
        """Things in every state that a page can show."""
        patient = self.patient()
        accounts.set_admin(self.email, True)
        files = ("Growth.png", "Summary.docx", "Old note.txt")
        visit = self.visit(*files, patient=patient, visit_type="Primary care", location="Health center")
        self.attach(visit, LONG_NAME, description="Says that no operation is needed for now.", category="referral")
        self.world.documents(self.email).trash(self.file_named(visit, "Old note.txt").id)
        self.edit(visit)
        gone = self.visit("Receipt.txt", patient=patient, reason="Booked twice")
        self.world.records(self.email).delete(self.world.kind("visit"), gone.id)
        bare = self.visit(patient=patient, reason="Vaccination")
        self.world.share(patient, f"looks-at-{self.email}")
        self.world.share(patient, f"helps-{self.email}", "edit", datetime(2030, 5, 4, tzinfo=UTC))
        full, long, shared = self._full(patient), self.long(patient), self.shared()
        doomed = self.visit("Letter.pdf", patient=patient, reason="Second opinion")
        return Shelf(
            patient.id, visit.id, bare.id, gone.id, full, long, *shared, *self.sights(patient), doomed.id, *self.held(),
            self.put_away(), *self.link(patient),
        )  # fmt: skip

    def link(self, patient: Any) -> tuple[str, int]:
        """A share link to documents of every look, which was opened once."""
        links = self.world.links(self.email)
        names = {*papers.OF_A_SCAN, *papers.OF_A_TEST}
        ids = [file.id for file in links.choices(patient.id) if file.file_name in names]
        more: dict[str, Any] = {"label": "Dr. Placeholder", "sender": "Nora", "note": "For the visit on Monday"}
        made = links.create(patient.id, ids, allow_download=True, **more)
        reader = self.world.reader()
        shared, opening = reader.open(str(made.token), None, "Front desk", "Firefox")
        reader.describe(shared, opening, ids[0])
        return str(made.token), made.link.id

    def put_away(self) -> int:
        """An archived patient with a photo, and another one in the trash."""
        archived, gone = (self.world.patient(self.email, name) for name in ("Ida", "Otto"))
        self.visit("Letter.pdf", patient=archived)
        self.visit("Letter.pdf", patient=gone)
        self.world.photo(archived, samples.SAMPLES[".jpg"](), self.email)
        self.world.records(self.email).archive_patient(archived.id)
        self.world.records(self.email).delete_patient(gone.id)
        return archived.id

    def edit(self, visit: Any) -> None:
        """Changes for the history of a visit, of a document and of the patient."""
        records = self.world.records(self.email)
        records.edit(self.world.kind("visit"), visit.id, {"notes": "Bring the vaccination card."})
        records.edit(self.world.kind("visit"), visit.id, {"notes": None, "practitioner": "Dr Placeholder"})
        self.world.documents(self.email).edit(self.file_named(visit, "Growth.png").id, {"category": "summary"})
        records.edit_patient(visit.patient_id, {"notes": "Allergic to penicillin."})

    def held(self) -> tuple[int, int]:
        """A visit, and its patient, with what waits for a malware scan and what it found something in."""
        patient = self.world.patient(self.email, "Leo")
        visit = self.visit("Letter.pdf", patient=patient, reason="Papers by mail")
        for name, scan in (("Invoice.pdf", "infected"), ("Growth.png", "waiting")):
            file = self.attach(visit, name)
            file.scan, file.scan_words = scan, "Win.Test.EICAR_HDB-1"
            db.session.commit()
        return visit.id, patient.id

    def long(self, patient: Any) -> int:
        visit = self.visit(patient=patient, reason="Sleep diary")
        self.pile(visit, 55)
        return int(visit.id)

    def sights(self, patient: Any) -> tuple[int, int]:
        """A procedure and a lab result with documents of every look."""
        scan = self.world.record("procedure", patient, self.email, procedure_name="Scan of the chest")
        for name, content in papers.OF_A_SCAN.items():
            self.attach(scan, name, content=content())
        tables = self.world.record("lab-result", patient, self.email, test_name="Blood pressure at home")
        for name, content in papers.OF_A_TEST.items():
            self.attach(tables, name, content=content())
        return int(scan.id), int(tables.id)

    def shared(self) -> tuple[int, int]:
        """A visit, and its patient, of somebody who lets this person read."""
        other = Person(self.world, f"shares-with-{self.email}")
        visit = other.visit("Letter.pdf", "Growth.png", reason="Hip check")
        self.world.share(self.world.records(other.email).patient(visit.patient_id).patient, self.email)
        return visit.id, visit.patient_id

    def file_named(self, record: Any, name: str) -> EntityFile:
        files = self.world.documents(self.email).list(self.world.kind("visit"), record.id).files
        return next(file for file in files if file.file_name == name)

    def _full(self, patient: Any) -> int:
        insurance = self.world.record("insurance", patient, self.email, company_name="Sample Mutual")
        for number in range(self.world.kind("insurance").max_files):
            self.attach(insurance, f"Card {number + 1}.png", category="card")
        return int(insurance.id)


@dataclass
class Complaints:
    """Console errors, uncaught exceptions, breaches of the content security policy and requests to other hosts."""

    heard: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, words: str) -> None:
        self.expected.append(words)

    def unexpected(self) -> list[str]:
        return [heard for heard in self.heard if not any(words in heard for words in self.expected)]


Turn = Callable[..., AbstractContextManager[BrowserContext]]


@contextmanager
def listening(context: BrowserContext, address: str, complaints: Complaints) -> Iterator[None]:
    """Writes down what the pages of this context complain about until the block ends."""

    def console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.heard.append(message.text)

    def error(problem: WebError) -> None:
        complaints.heard.append(str(problem.error))

    def request(sent: Request) -> None:
        if not sent.url.startswith((address, "blob:")):
            complaints.heard.append(f"asked another host: {sent.url}")

    listeners: list[tuple[Any, Any]] = [("console", console), ("weberror", error), ("request", request)]
    for event, listener in listeners:
        context.on(event, listener)
    yield
    for event, listener in listeners:
        context.remove_listener(event, listener)


def real_file(name: str) -> FilePayload:
    """A file for a picker, with bytes that are what its name says."""
    extension = name[name.rindex(".") :].lower()
    return {"name": name, "mimeType": "application/octet-stream", "buffer": samples.SAMPLES[extension]()}
