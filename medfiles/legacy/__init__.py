"""Migrate documents from the older lab-results feature, without losing any and with a way to roll back.

`install` lists the older feature's files among the documents until they are moved (`unmigrated`, `folder`, `ids`).
`migration` moves them step by step: analysis, backup, people, moving, verification. Each step can be interrupted at any
point and repeated. A migration ends with `finishing` or with `rollback`. Apart from the entry points' own `legacy`
modules, no other package imports this one.
"""

from pathlib import Path

from medfiles.legacy.folder import LegacyFolder
from medfiles.legacy.unmigrated import Unmigrated
from medfiles.services import Services


def install(services: Services, uploads: Path) -> None:
    """Include the older feature's files below `uploads` in lists, counts, backups and restores."""
    folder = LegacyFolder(uploads)
    services.storages.attach(folder)
    services.registry.additional = Unmigrated(folder)
