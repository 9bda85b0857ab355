"""`flask medfiles backup` and `restore`."""

import sys
from pathlib import Path

import click
from alembic.script import ScriptDirectory
from flask import current_app
from flask.cli import AppGroup

from medfiles.audit import chain
from medfiles.audit.chain import Sealer
from medfiles.cli.output import FINDINGS, json_option, report_errors, summary
from medfiles.cli.progress import Progress
from medfiles.http.current import services
from medfiles.operations import backup, integrity, restore
from medfiles.operations.restore import Target

FOLDER = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
SECOND_STEPS = "MEDFILES_SECRET_KEY is not the key of the backup: second steps of sign-in have to be set up anew."
MEND = "A backup with --mend copies anew what the installation still has."
OUTDATED = (
    "The backup is of an older version. Now type `flask db upgrade`, then `flask medfiles verify --deep` and "
    "`flask medfiles audit anchor`."
)


def register(parent: AppGroup) -> None:
    parent.add_command(back_up)
    parent.add_command(bring_back)


@click.command("backup")
@FOLDER
@click.option("--keep", type=click.IntRange(1), help="Afterwards keep only the newest so many.")
@click.option("--mend", is_flag=True, help="Also read the bytes that are there, and copy anew what is damaged.")
@click.option("--check", "only_check", is_flag=True, help="Make none: read the newest and compare every sum.")
@click.option("--name", help="With --check: which one, instead of the newest.")
@json_option
@report_errors
def back_up(folder: Path, keep: int | None, mend: bool, only_check: bool, name: str | None, as_json: bool) -> None:
    """Copy the database, all documents and the secret key to FOLDER, while people work. Bytes that are there already
    are not copied again. Whoever can read FOLDER can read every document: keep it as safe as the installation."""
    if name and not only_check or only_check and (keep or mend):
        raise click.UsageError("--name goes with --check, --keep and --mend without.")
    if only_check:
        _check(folder, name or backup.newest(folder), as_json)
    else:
        _make(folder, keep, mend, as_json)


def _make(folder: Path, keep: int | None, mend: bool, as_json: bool) -> None:
    tell = Progress().step("Copying", integrity.total())
    saved = backup.back_up(services().storages, folder, current_app.config["SECRET_KEY"], tell, mend=mend)
    gone = backup.thin_out(folder, keep) if keep else 0
    lines = [*saved.problems, f"Backed up {saved.documents:,} documents as {saved.name}, {saved.copied:,} of them new."]
    facts = {"documents": saved.documents, "bytes": saved.bytes, "copied": saved.copied, "removed": gone}
    summary(as_json, "\n".join(lines), name=saved.name, problems=saved.problems, purged=saved.purged, **facts)
    if saved.problems:
        sys.exit(FINDINGS)


def _check(folder: Path, name: str, as_json: bool) -> None:
    count = backup.manifest(folder, name)["documents"]
    problems = list(backup.check(folder, name, Progress().step("Reading", count)))
    last = f"{len(problems):,} findings in {name}. {MEND}" if problems else f"{name} is whole: {count:,} documents."
    summary(as_json, "\n".join([*problems, last]), name=name, documents=count, problems=problems)
    if problems:
        sys.exit(FINDINGS)


@click.command("restore")
@FOLDER
@click.option("--name", help="Which backup, instead of the newest.")
@json_option
@report_errors
def bring_back(folder: Path, name: str | None, as_json: bool) -> None:
    """Bring a backup back into this empty installation. It is read whole before anything is changed, and every document
    is compared afterwards. The server must not run."""
    name = name or backup.newest(folder)
    tell = Progress().step("Restoring", backup.manifest(folder, name)["documents"])
    done = restore.restore(services().storages, _target(), folder, name, tell)
    found = [] if done.outdated else [*_verified()]
    if not done.outdated:
        chain.renew_anchor(_sealer(done.secret))  # an old anchor belongs to another chain
    lines = [*found, f"Restored {done.documents:,} documents from {done.name}."]
    lines += [SECOND_STEPS] * done.key_differs + [OUTDATED] * done.outdated
    facts = {"documents": done.documents, "bytes": done.bytes, "outdated": done.outdated}
    summary(as_json, "\n".join(lines), name=done.name, findings=found, **facts)
    if found:
        sys.exit(FINDINGS)


def _verified() -> list[str]:
    storages = services().storages
    return [one.text for one in (integrity.verify(storages) + integrity.verify_deep(storages)).findings]


def _sealer(secret: str) -> Sealer:
    """Return a sealer with the restored key, which this process did not start with."""
    config = current_app.config
    own = config["MEDFILES_AUDIT_KEY"] or config["MEDFILES_SECRET_KEY"]
    return Sealer(chain.derive_key(own or secret), services().sealer.anchor)


def _target() -> Target:
    config = current_app.config
    known = [script.revision for script in ScriptDirectory(str(config["MIGRATIONS"])).walk_revisions()]
    return Target(config["MEDFILES_INSTANCE"], config["SECRET_KEY"], bool(config["MEDFILES_SECRET_KEY"]), known)
