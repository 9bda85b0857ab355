"""The resources of one installation, built once at startup from its settings."""

import atexit
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from medfiles import config
from medfiles.antivirus.clamd import Clamd, open_scanner
from medfiles.audit.chain import Sealer, derive_key
from medfiles.audit.checkpoint import open_anchor
from medfiles.previews import renderer
from medfiles.previews.libreoffice import Converter
from medfiles.previews.renderer import Renderer
from medfiles.record_types.declared import RecordType, Registry
from medfiles.record_types.overrides import with_overrides
from medfiles.sandbox.pool import INSPECTION_LIMITS, ConcurrencyLimit, Sandbox
from medfiles.storage import Storages, open_storages


@dataclass(frozen=True)
class Services:
    """What every service, job and command of this installation works with.

    registry     declared record types with the installation's limits
    storages     storage backends by name
    sandbox      workers that inspect uploads
    renderers    workers that render previews
    converter    LibreOffice, where installed
    render_slots bounds how many requests may wait for a preview at once
    sealer       chains the audit log
    trash_days   days until documents in the trash are deleted permanently
    verify_days  days within which each document's checksum is verified
    quota        bytes per owner of patients, 0 for no limit
    scanner      malware scanner, None without one
    idle         end a session after this time without requests
    longest      end a session after this time in any case
    """

    registry: Registry
    storages: Storages
    sandbox: Sandbox
    renderers: Sandbox
    converter: Converter
    render_slots: ConcurrencyLimit
    sealer: Sealer
    trash_days: int
    verify_days: int
    quota: int
    scanner: Clamd | None
    idle: timedelta
    longest: timedelta

    @property
    def renderer(self) -> Renderer:
        return Renderer(self.storages, self.renderers, self.converter, self.render_slots)


def build(settings: Mapping[str, Any], record_types: Iterable[RecordType]) -> Services:
    """Open storages and create worker pools as the settings say. Workers stop when the process exits."""
    confined = {"require_confinement": settings["MEDFILES_SANDBOX"] == "require"}
    sandbox = Sandbox(settings["MEDFILES_INSPECTORS"], limits=replace(INSPECTION_LIMITS, **confined))
    renderers = Sandbox(settings["MEDFILES_RENDERERS"], renderer.TASKS, replace(renderer.LIMITS, **confined))
    atexit.register(sandbox.close)
    atexit.register(renderers.close)
    return Services(
        registry=with_overrides(record_types, settings["MEDFILES_ENTITIES"]),
        storages=open_storages(
            settings["MEDFILES_STORAGE_URL"],
            settings["MEDFILES_INSTANCE"] / "staged",
            settings["MEDFILES_STORAGE_ALSO"],
        ),
        sandbox=sandbox,
        renderers=renderers,
        converter=Converter(settings["MEDFILES_SOFFICE"]),
        sealer=Sealer(
            derive_key(settings["MEDFILES_AUDIT_KEY"] or config.secret_key(settings)),
            open_anchor(settings["MEDFILES_AUDIT_ANCHOR"], settings["MEDFILES_INSTANCE"]),
        ),
        render_slots=ConcurrencyLimit(max(1, settings["MEDFILES_THREADS"] - 2)),
        trash_days=settings["MEDFILES_TRASH_DAYS"],
        verify_days=settings["MEDFILES_VERIFY_DAYS"],
        quota=settings["MEDFILES_QUOTA"],
        scanner=open_scanner(settings["MEDFILES_CLAMD"], settings["MEDFILES_CLAMD_SECONDS"]),
        idle=timedelta(minutes=settings["MEDFILES_IDLE_MINUTES"]),
        longest=timedelta(hours=settings["MEDFILES_SESSION_HOURS"]),
    )
