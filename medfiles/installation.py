"""What one installation is made of: its kinds of records, its stores, its workers and its periods."""

from dataclasses import dataclass
from datetime import timedelta

from medfiles.clamd import Clamd
from medfiles.conversion import Converter
from medfiles.entities import Registry
from medfiles.rendering import Renderer
from medfiles.sandbox import Room, Sandbox
from medfiles.seal import Sealer
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
