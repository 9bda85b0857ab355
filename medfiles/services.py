"""The shared resources of an installation, built from its settings at startup."""

import atexit
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

from medfiles import config
from medfiles.antivirus.clamd import Clamd
from medfiles.audit.chain import Sealer, derive_key
from medfiles.audit.checkpoint import open_anchor
from medfiles.database.session import check_writable
from medfiles.errors import MedfilesError
from medfiles.previews import renderer
from medfiles.previews.libreoffice import Converter
from medfiles.previews.renderer import Renderer
from medfiles.record_types.declared import RecordType, Registry
from medfiles.record_types.overrides import with_overrides
from medfiles.sandbox.pool import INSPECTION_LIMITS, ConcurrencyLimit, Sandbox
from medfiles.smart_links import story
from medfiles.smart_links.building import Builder
from medfiles.smart_links.crypto import Wrapping
from medfiles.storage import Storages, open_storages
from medfiles.texts import recognition
from medfiles.texts.reading import TASKS as READING
from medfiles.texts.reading import Reader
from medfiles.texts.recognition import Engine

T = TypeVar("T")


@dataclass
class Readiness:
    """Check that this process can store documents, using a write transaction and a small file in each storage.

    The check runs at most once every `every` seconds. Concurrent callers wait for one that is already running.
    """

    every: float = 10.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _tried: float = float("-inf")
    _error: MedfilesError | None = None

    def check(self, storages: Storages) -> None:
        """Raise the error from the last attempt, if it failed."""
        with self._lock:
            if time.monotonic() - self._tried >= self.every:
                self._error = self._attempt(storages)
                self._tried = time.monotonic()
        if self._error is not None:
            raise self._error

    def _attempt(self, storages: Storages) -> MedfilesError | None:
        try:
            check_writable()
            for storage in storages:
                storage.check()
        except MedfilesError as error:
            return error
        return None


@dataclass
class Tally:
    """A count of all documents. A large one takes seconds to make, so it is used again for `every` seconds."""

    every: float = 60.0
    large: int = 100_000  # documents
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _until: float = float("-inf")
    _counted: Any = None

    def get(self, count: Callable[[], tuple[T, int]]) -> T:
        """Return what `count` found, now or shortly before; it also returns how many documents there are."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._counted, number = count()
                self._until = time.monotonic() + self.every if number >= self.large else float("-inf")
            return self._counted  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Services:
    """The resources shared by all services, jobs and commands in this installation."""

    registry: Registry  # declared record types with the installation's limits
    storages: Storages  # storage backends by name
    sandbox: Sandbox  # workers that inspect uploads
    renderers: Sandbox  # workers that render previews
    converter: Converter  # LibreOffice, if installed
    engine: Engine | None  # recognizes text in pictures, if one is installed
    render_slots: ConcurrencyLimit  # limits how many requests can wait for a preview at once
    sealer: Sealer  # chains the audit log
    trash_days: int  # days until documents in the trash are deleted permanently
    verify_days: int  # days within which each document's checksum is verified
    reader_days: int  # names and addresses of readers of share links are kept this long
    quota: int  # bytes per patient owner; 0: no limit
    scanner: Clamd | None  # malware scanner, if configured
    idle: timedelta  # end a session after this time without requests
    longest: timedelta  # end a session after this time, even if active
    readiness: Readiness  # checks that documents can be stored
    tally: Tally  # the documents as the status page counts them
    wrapping: Wrapping  # protects the stored keys of SMART Health Links

    @property
    def renderer(self) -> Renderer:
        return Renderer(self.storages, self.renderers, self.converter, self.render_slots)

    @property
    def reader(self) -> Reader:
        return Reader(self.renderer, self.engine)

    @property
    def smart_link_builder(self) -> Builder:
        return Builder(self.storages, self.renderers, self.converter, self.wrapping)


def storages_of(settings: Mapping[str, Any]) -> Storages:
    return open_storages(
        settings["MEDFILES_STORAGE_URL"], settings["MEDFILES_INSTANCE"] / "staged", settings["MEDFILES_STORAGE_ALSO"]
    )


def build(settings: Mapping[str, Any], record_types: Iterable[RecordType]) -> Services:
    """Build the shared resources from the settings. Sandbox workers stop when the process exits."""
    confined = {"require_confinement": settings["MEDFILES_SANDBOX"] == "require"}
    instance, clamd = settings["MEDFILES_INSTANCE"], settings["MEDFILES_CLAMD"]
    sandbox = Sandbox(settings["MEDFILES_INSPECTORS"], limits=replace(INSPECTION_LIMITS, **confined))
    tasks = (*renderer.TASKS, *READING, *story.TASKS)
    renderers = Sandbox(settings["MEDFILES_RENDERERS"], tasks, replace(renderer.LIMITS, **confined))
    engine = recognition.engine_for(settings["MEDFILES_OCR"], renderers, **confined)
    if engine is not None:
        atexit.register(engine.close)
    atexit.register(sandbox.close)
    atexit.register(renderers.close)
    return Services(
        registry=with_overrides(record_types, settings["MEDFILES_ENTITIES"]),
        storages=storages_of(settings),
        sandbox=sandbox,
        renderers=renderers,
        converter=Converter(settings["MEDFILES_SOFFICE"]),
        engine=engine,
        sealer=Sealer(
            derive_key(settings["MEDFILES_AUDIT_KEY"] or config.secret_key(settings)),
            open_anchor(settings["MEDFILES_AUDIT_ANCHOR"], instance),
        ),
        render_slots=ConcurrencyLimit(max(1, settings["MEDFILES_THREADS"] - 2)),
        trash_days=settings["MEDFILES_TRASH_DAYS"],
        verify_days=settings["MEDFILES_VERIFY_DAYS"],
        reader_days=settings["MEDFILES_LINK_READER_DAYS"],
        quota=settings["MEDFILES_QUOTA"],
        scanner=Clamd(clamd, settings["MEDFILES_CLAMD_SECONDS"]) if clamd else None,
        idle=timedelta(minutes=settings["MEDFILES_IDLE_MINUTES"]),
        longest=timedelta(hours=settings["MEDFILES_SESSION_HOURS"]),
        readiness=Readiness(),
        tally=Tally(),
        wrapping=Wrapping.derive(config.secret_key(settings)),
    )
