"""What one installation is made of: its kinds of records, its stores, its workers and its periods."""

from dataclasses import dataclass
from datetime import timedelta

from medfiles.antivirus.clamd import Clamd
from medfiles.audit.chain import Sealer
from medfiles.previews.libreoffice import Converter
from medfiles.previews.renderer import Renderer
from medfiles.record_types.declared import Registry
from medfiles.sandbox.pool import Room, Sandbox
from medfiles.storage import Storages


@dataclass(frozen=True)
class Installation:
    """`sandbox` looks into uploads; `renderers` draw what was accepted, after the `converter` where one is needed, for
    those who have found `room`; `sealer` chains the trail; `scanner` looks for malware, where there is one. `idle` and
    `longest` bound a session; `trash_days` is how long the trash keeps what was deleted, `verify_days` within how many
    each document is read and compared. `quota`: bytes for each owner of patients, 0: no end."""

    registry: Registry
    storages: Storages
    sandbox: Sandbox
    renderers: Sandbox
    converter: Converter
    room: Room
    sealer: Sealer
    trash_days: int
    verify_days: int
    quota: int
    scanner: Clamd | None
    idle: timedelta
    longest: timedelta

    @property
    def renderer(self) -> Renderer:
        return Renderer(self.storages, self.renderers, self.converter, self.room)
