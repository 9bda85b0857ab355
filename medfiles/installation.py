"""What one installation is made of: its kinds of records, its stores, its workers and its periods."""

from dataclasses import dataclass
from datetime import timedelta

from medfiles.entities import Registry
from medfiles.sandbox import Sandbox
from medfiles.storage import Storages


@dataclass(frozen=True)
class Installation:
    """`sandbox` looks into uploads, `renderers` draw what was accepted. `idle` and `longest` bound a session;
    `trash_days` is how long the trash keeps what was deleted."""

    registry: Registry
    storages: Storages
    sandbox: Sandbox
    renderers: Sandbox
    trash_days: int
    idle: timedelta
    longest: timedelta
