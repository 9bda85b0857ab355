"""Makes what tests need: installations, accounts, patients, records, documents and signed-in clients."""

import base64
import json
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from types import CodeType
from typing import Any
from urllib.parse import quote, urlsplit

import lxml.html
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from medfiles.app import create_app
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.documents.bulk import BulkService
from medfiles.documents.moving import MovingService
from medfiles.documents.rules import UploadMetadata
from medfiles.documents.service import DocumentService
from medfiles.legacy.folder import FILES
from medfiles.links.reading import LinkReader
from medfiles.links.service import LinkService, NewLink
from medfiles.models import (
    AuditEvent,
    EntityFile,
    LabResultFile,
    Patient,
    PatientShare,
    Rendition,
    Session,
    ShareLink,
    SmartLink,
    StorageJournal,
    User,
)
from medfiles.operations import worker
from medfiles.permissions import Actor
from medfiles.previews.renderer import Renderer
from medfiles.previews.service import PreviewService
from medfiles.record_types.declared import RECORD_TYPES, RecordType
from medfiles.records.merging import MergeService
from medfiles.records.photos import PhotoService
from medfiles.records.service import RecordService
from medfiles.sandbox.pool import Sandbox
from medfiles.search import index
from medfiles.search.service import SearchService
from medfiles.services import Services
from medfiles.smart_links.reading import SmartLinkReader
from medfiles.smart_links.service import SmartLinkService
from medfiles.storage import journal, live_key
from medfiles.texts.service import TextService
from tests.support import samples

OLDER = datetime(2021, 3, 4, 9, 30)  # naive, as the older feature wrote times
VALUES: Mapping[str, Any] = {"string": "Something", "text": "Some words.", "date": date(2026, 5, 12), "boolean": True}


class Templates(BytecodeCache):
    """Every app compiles its templates anew; the tests have thousands of apps and one set of templates."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._compiled.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key, bucket.checksum] = bucket.code


TEMPLATES = Templates()


@contextmanager
def install(
    environ: Mapping[str, str],
    sandbox: Sandbox,
    record_types: Iterable[RecordType] = RECORD_TYPES,
    renderers: Sandbox | None = None,
) -> Iterator["World"]:
    """An installation on a database that is already migrated, with an app context open."""
    app = make_app(environ, sandbox, renderers, record_types)
    with at_work(app) as world:
        yield world
    if renderers is None:
        world.parts.renderers.close()


@contextmanager
def at_work(app: Flask) -> Iterator["World"]:
    with app.app_context():
        yield World(app)
        db.session.remove()
        db.engine.dispose()


def make_app(
    environ: Mapping[str, str],
    sandbox: Sandbox,
    renderers: Sandbox | None = None,
    record_types: Iterable[RecordType] = RECORD_TYPES,
) -> Flask:
    """As the product makes it, with workers that are shared and a request context that is its own."""
    app = create_app(environ, record_types)
    own = app.extensions["medfiles"]
    own.sandbox.close()
    own.renderers.close()
    app.extensions["medfiles"] = replace(own, sandbox=sandbox, renderers=renderers or own.renderers)
    app.jinja_env.bytecode_cache = TEMPLATES
    app.config["TESTING"] = True
    app.config["PROPAGATE_EXCEPTIONS"] = False
    inner = app.wsgi_app

    def isolated(environ: Any, start_response: Any) -> Any:
        """A request must not see the test's own context, nor another request its `g`."""
        with app.app_context():
            return inner(environ, start_response)

    app.wsgi_app = isolated  # type: ignore[method-assign]
    return app


def details_of(event: AuditEvent) -> dict[str, Any]:
    """Return an event's details with the personal ones, but without the address."""
    return {**(event.details or {}), **{name: value for name, value in event.personal.items() if name != "address"}}


@dataclass(frozen=True)
class Smart:
    """A SMART Health Link as its receiver gets it."""

    id: int
    text: str

    @property
    def payload(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(unpadded(self.text.removeprefix("shlink:/")))
        return found

    @property
    def path(self) -> str:
        """The path of its address, without that of a manifest."""
        return str(urlsplit(self.payload["url"]).path.removesuffix("/manifest"))

    @property
    def token(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def key(self) -> bytes:
        return unpadded(self.payload["key"])


def unpadded(text: str) -> bytes:
    """The bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class World:
    """One installation and short ways to do things in it."""

    app: Flask
    _users: dict[str, int] = field(default_factory=dict)

    @property
    def parts(self) -> Services:
        services: Services = self.app.extensions["medfiles"]
        return services

    @property
    def uploads(self) -> Path:
        return Path(self.app.instance_path) / "uploads"

    def kind(self, name: str = "visit") -> RecordType:
        return self.parts.registry[name]

    def user(self, email: str = "nora@sample.example") -> User:
        """The account of that address, made on first use; its password is never hashed, so nobody can type it."""
        if email not in self._users:
            user = User(email=email, password="!", active=True, fs_uniquifier=uuid.uuid4().hex)
            db.session.add(user)
            db.session.commit()
            self._users[email] = user.id
        return db.session.get_one(User, self._users[email])

    def actor(self, email: str = "nora@sample.example") -> Actor:
        return Actor(self.user(email).id, email, address="192.0.2.7", request_id=uuid.uuid4().hex)

    def _service(self) -> dict[str, Any]:
        parts = self.parts
        return {
            "registry": parts.registry, "storages": parts.storages,
            "sandbox": parts.sandbox, "quota": parts.quota, "scanner": parts.scanner,
        }  # fmt: skip

    def documents(self, email: str = "nora@sample.example") -> DocumentService:
        return DocumentService(self.actor(email), **self._service())

    def moving(self, email: str = "nora@sample.example") -> MovingService:
        return MovingService(self.actor(email), **self._service())

    def bulk(self, email: str = "nora@sample.example") -> BulkService:
        return BulkService(self.actor(email), **self._service())

    def previews(self, email: str = "nora@sample.example") -> PreviewService:
        renderer = Renderer(self.parts.storages, self.parts.renderers)
        return PreviewService(self.actor(email), self.parts.registry, self.parts.storages, renderer=renderer)

    def searches(self, email: str = "nora@sample.example") -> SearchService:
        return SearchService(self.actor(email), self.parts.registry, self.parts.storages)

    def texts(self, email: str = "nora@sample.example") -> TextService:
        return TextService(self.actor(email), self.parts.registry, self.parts.storages, reader=self.parts.reader)

    def records(self, email: str = "nora@sample.example") -> RecordService:
        return RecordService(self.actor(email), self.parts.registry, self.parts.storages)

    def merges(self, email: str = "nora@sample.example") -> MergeService:
        return MergeService(self.actor(email), self.parts.registry, self.parts.storages)

    def photos(self, email: str = "nora@sample.example") -> PhotoService:
        renderer, sandbox = Renderer(self.parts.storages, self.parts.renderers), self.parts.sandbox
        about = (self.actor(email), self.parts.registry, self.parts.storages)
        return PhotoService(*about, sandbox=sandbox, renderer=renderer)

    def photo(self, patient: Patient, content: bytes, email: str = "nora@sample.example", name: str = "Me.jpg") -> None:
        """Make a picture the photo of a patient."""
        staged = self.parts.storages.default.stage(len(content))
        staged.write(content)
        self.photos(email).set(patient.id, staged, name)

    def store_photo(self, patient: Patient) -> None:
        """A photo as the service leaves it, without the time it takes to draw it."""
        content, storage = b"RIFF photo WEBP", self.parts.storages.default
        key = live_key("patients", ".webp")
        with storage.staged([content], len(content)) as staged:
            storage.commit(staged, key)
        with transaction() as session:
            row = session.get_one(Patient, patient.id)
            row.photo_key, row.photo_storage, row.photo_size = key, storage.name, len(content)

    def patient(self, email: str = "nora@sample.example", first_name: str = "Ella") -> Patient:
        values = {"first_name": first_name, "last_name": "Sample", "birth_date": date(2018, 3, 2)}
        return self.records(email).create_patient(values)

    def record(
        self, kind: str = "visit", patient: Patient | None = None, email: str = "nora@sample.example", **values: Any
    ) -> Any:
        entity = self.kind(kind)
        patient = patient or self.patient(email)
        return self.records(email).create(patient.id, entity, {**values_for(entity), **values})

    def attach(
        self,
        record: Any,
        name: str = "letter.pdf",
        content: bytes | None = None,
        email: str = "nora@sample.example",
        **paper: Any,
    ) -> EntityFile:
        kind = next(kind for kind in self.parts.registry.every if isinstance(record, kind.model))
        content, key = content_for(name) if content is None else content, paper.pop("idempotency_key", None)
        service = self.documents(email)
        permit = service.authorize_upload(kind, record.id, len(content), files=1, retry_of=key)
        staged = service.stage(permit)
        staged.write(content)
        file, _ = service.attach(permit, staged, UploadMetadata(name, paper, key))
        return file

    def store(self, record: Any, *names: str, email: str = "nora@sample.example", **columns: Any) -> list[int]:
        """Text documents as uploads leave them, without the time it takes to look into them; their ids."""
        kind = next(kind for kind in self.parts.registry.every if isinstance(record, kind.model))
        owner, storage, files = self.user(email).id, self.parts.storages.default, []
        for number, name in enumerate(names):
            key, staged = live_key(kind.directory, ".txt"), storage.stage(1000)
            staged.write(f"Letter {number}".encode())
            storage.commit(staged, key)
            said = {"file_type": "text/plain", "uploaded_by": owner} | columns
            files.append(
                EntityFile(
                    entity_type=kind.name, entity_id=record.id, patient_id=record.patient_id, file_name=name,
                    file_path=key, storage=storage.name, file_size=staged.size, sha256=staged.sha256, **said,
                )
            )  # fmt: skip
        with transaction() as session:
            session.add_all(files)
            session.flush()
            index.put_documents(self.parts.registry, files, record)
        return [file.id for file in files]

    def older_file(
        self,
        record: Any,
        name: str = "Blood count.pdf",
        content: bytes | None = None,
        moved: bool = False,
        **columns: Any,
    ) -> LabResultFile:
        """A file as the older lab-results feature left it; `moved`: and where it is now."""
        path = f"{FILES}/{uuid.uuid4()}{Path(name).suffix}"
        place = self.uploads / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content_for(name) if content is None else content)
        said = {"file_path": path, "file_type": "application/pdf", "file_size": place.stat().st_size}
        row = LabResultFile(lab_result_id=record.id, file_name=name, **(said | {"uploaded_at": OLDER} | columns))
        with transaction() as session:
            session.add(row)
            session.flush()
            number = row.id
        if moved:
            file = self.attach(record, name, content)
            with transaction() as session:
                session.get_one(EntityFile, file.id).legacy_id = number
        return db.session.get_one(LabResultFile, number)

    def share(self, patient: Patient, email: str, level: str = "view", expires_at: datetime | None = None) -> None:
        ids = {"patient_id": patient.id, "user_id": self.user(email).id}
        db.session.commit()  # a snapshot that a server has outdated could not be written to
        share = PatientShare(**ids, address=email, address_key=email.lower(), level=level, expires_at=expires_at)
        share.accepted_at = now()
        db.session.add(share)
        db.session.commit()

    def links(self, email: str = "nora@sample.example") -> LinkService:
        return LinkService(self.actor(email), self.parts.registry, self.parts.storages)

    def link(self, *files: EntityFile, email: str = "nora@sample.example", **more: Any) -> NewLink:
        """Share documents of one patient by link."""
        return self.links(email).create(files[0].patient_id, [file.id for file in files], **more)

    def smart_links(self, email: str = "nora@sample.example") -> SmartLinkService:
        about = (self.actor(email), self.parts.registry, self.parts.storages)
        return SmartLinkService(*about, wrapping=self.parts.wrapping)

    def smart(self, link: ShareLink, kind: str = "desk", email: str = "nora@sample.example", **more: Any) -> Smart:
        """Make a SMART Health Link of a share link, and build its encrypted copy."""
        made = self.smart_links(email).create_smart(link.id, kind, "http://localhost/shl/", **more)
        self.parts.smart_link_builder.build(made.smart.id)
        db.session.expire_all()
        return Smart(made.smart.id, made.text)

    def smart_reader(self, address: str | None = "192.0.2.77") -> SmartLinkReader:
        return SmartLinkReader(self.parts.registry, self.parts.storages, self.parts.renderer, address)

    def reader(self, address: str | None = "192.0.2.77") -> LinkReader:
        return LinkReader(self.parts.registry, self.parts.storages, self.parts.renderer, address)

    def client(self, email: str | None = "nora@sample.example") -> FlaskClient:
        """A browser without script; signed in unless `email` is None. `client.token` is its CSRF token."""
        client = self.app.test_client()
        if email is not None:
            with client.session_transaction() as session:
                session["_user_id"] = self.user(email).fs_uniquifier
                session["_fresh"] = True
        return client

    def prove(self) -> None:
        """Let all sessions have entered their password again."""
        with transaction() as session:
            session.execute(update(Session).values(proved_at=now()))

    def browser(self, email: str = "nora@sample.example", *, htmx: bool = True) -> "Browser":
        return Browser(self.client(email), htmx)

    def events(self, **which: Any) -> list[AuditEvent]:
        db.session.rollback()
        return list(db.session.scalars(select(AuditEvent).filter_by(**which).order_by(AuditEvent.id)))

    def files(self) -> list[EntityFile]:
        db.session.rollback()
        return list(db.session.scalars(select(EntityFile).order_by(EntityFile.id)))

    def assert_sound(self) -> None:
        """The invariants: each object is named by a row or the journal, each row has its object, nothing is staged.

        A server may still be drawing pictures for a page that has just been shown.
        """
        staged, end = self.uploads / "staged", time.monotonic() + 10
        while staged.exists() and list(staged.iterdir()) and time.monotonic() < end:
            time.sleep(0.05)
        assert not staged.exists() or not list(staged.iterdir()), "a temporary file is left"
        db.session.rollback()
        rows = {file.file_path: file.file_size for file in self.files()}
        pictures = db.session.scalars(select(Rendition).where(Rendition.key.is_not(None)))
        rows |= {str(row.key): row.size or 0 for row in pictures}
        photos = db.session.scalars(select(Patient).where(Patient.photo_key.is_not(None)))
        rows |= {str(patient.photo_key): patient.photo_size or 0 for patient in photos}
        encrypted = db.session.scalars(select(SmartLink).where(SmartLink.key.is_not(None)))
        rows |= {str(row.key): row.size or 0 for row in encrypted}
        journalled = set(db.session.scalars(select(StorageJournal.key)))
        objects = {listed.key for listed in self.parts.storages.default.keys()}
        assert objects <= rows.keys() | journalled, "an object nobody names"
        for key, size in rows.items():
            assert self.parts.storages.default.stat(key).size == size

    def assert_settled(self) -> None:
        """Sound, and the journal is empty: nothing is left to reconcile."""
        self.assert_sound()
        assert db.session.scalar(select(func.count(StorageJournal.id))) == 0

    def keep_house(self) -> None:
        worker.schedule_recurring()
        while worker.run_next(self.app):
            pass

    def sweep(self, at: datetime | None = None) -> journal.Swept:
        return journal.sweep(self.parts.storages, at)


class Browser:
    """Somebody signed in, whose requests are the widget's own or, without `htmx`, those of a page."""

    def __init__(self, client: FlaskClient, htmx: bool) -> None:
        self.client, self.token = client, token_of(client)
        self.headers = {"HX-Request": "true"} if htmx else {}

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.client.get(path, query_string=query or None, headers=self.headers)

    def post(self, path: str, **fields: Any) -> TestResponse:
        return self.client.post(path, data=fields, headers={"X-CSRFToken": self.token, **self.headers})

    def upload(self, path: str, name: str, content: bytes, key: str | None = None, **query: str) -> TestResponse:
        """As the upload queue does it: one file, its bytes as they are."""
        sent = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
        sent |= {"X-CSRFToken": self.token, "Content-Type": "application/octet-stream", **self.headers}
        sent |= {"Idempotency-Key": key} if key else {}
        length = {"CONTENT_LENGTH": str(len(content))}  # which the client leaves out for an empty file
        return self.client.post(path, data=content, headers=sent, query_string=query, environ_overrides=length)


def heard(answer: TestResponse) -> dict[str, Any]:
    """The events that htmx dispatches on the page for this answer."""
    found: dict[str, Any] = json.loads(answer.headers.get("HX-Trigger", "{}"))
    return found


def words(answer: TestResponse) -> str:
    """What a page or a fragment says, without its tags."""
    return " ".join(lxml.html.fromstring(answer.text).text_content().split())


def run_at_once(jobs: Sequence[Callable[[], None]]) -> None:
    """Each in a thread of its own, until all of them are through."""
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def values_for(record_type: RecordType) -> dict[str, Any]:
    """Something for every field a kind of record needs."""
    return {entry.name: VALUES[entry.kind] for entry in record_type.fields if entry.required}


def content_for(name: str) -> bytes:
    return samples.SAMPLES[Path(name).suffix.lower()]()


def token_of(client: FlaskClient) -> str:
    """A CSRF token of this client's session, as a page would carry it."""
    with client.session_transaction() as session:
        secret = session.setdefault("csrf_token", secrets.token_hex(20))
    return str(URLSafeTimedSerializer(str(client.application.secret_key), salt="wtf-csrf-token").dumps(secret))
