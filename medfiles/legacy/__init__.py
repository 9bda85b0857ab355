"""Import from the older lab-results feature: nothing is lost, and everything can be taken back.

`install` shows the older feature's files among the documents until they are moved (`unmigrated`, `folder`, `ids`).
`migration` moves them, step by step: analysis, backup, people, moving, verification. Each step can be killed anywhere
and repeated. `finishing` and `rollback` are the two ways a move ends. No other package but the entry points' own
`legacy` modules imports this one.
"""

from pathlib import Path

from medfiles.legacy.folder import LegacyFolder
from medfiles.legacy.unmigrated import Unmigrated
from medfiles.services import Services


def install(services: Services, uploads: Path) -> None:
    """Add the older feature's files below `uploads` to what this installation lists, counts, backs up and restores."""
    folder = LegacyFolder(uploads)
    services.storages.attach(folder)
    services.registry.additional = Unmigrated(folder)
