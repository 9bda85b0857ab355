"""`flask medfiles backup` and `restore`."""

from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import click
from alembic.script import ScriptDirectory
from flask import current_app

from medfiles.accounts import service as accounts
from medfiles.audit import chain
from medfiles.audit.chain import Sealer
from medfiles.cli.output import summary, with_summary
from medfiles.cli.progress import Progress
from medfiles.http.current import services
from medfiles.operations import backup, integrity, restore
from medfiles.operations.restore import Target

FOLDER = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
SECOND_STEPS = "MEDFILES_SECRET_KEY differs from the key in the backup: two-step verification must be set up again."
TOKENS = (
    "API tokens suspended until their owners confirm them on the account page: {}.",
    "API tokens from an older version revoked: {}.",
)
CHANGED = (
    "Accounts that changed since this backup: {}. Their passwords, two-step verification, roles, tokens and shares are "
    "those of the backup: change them again."
)
MEND = "Run a backup with --mend to copy the damaged content again, if the installation still has it."
OUTDATED = (
    "The backup is from an older version. Run `flask db upgrade`, then `flask medfiles verify --deep` and "
    "`flask medfiles audit anchor`."
)


@click.command("backup")
@FOLDER
@click.option("--keep", type=click.IntRange(1), help="Keep only this many backups, the newest ones.")
@click.option("--mend", is_flag=True, help="Also read previously copied content, and copy damaged content again.")
@click.option(
    "--check", "only_check", is_flag=True, help="Check the newest backup against its checksums instead of making one."
)
@click.option("--name", help="With --check: check this backup instead of the newest.")
@with_summary
def back_up(folder: Path, keep: int | None, mend: bool, only_check: bool, name: str | None, as_json: bool) -> None:
    """Back up the database, all documents and the secret key to FOLDER while the server runs. Content that was copied
    before is not copied again. FOLDER gives access to every document: protect it like the installation itself."""
    if name and not only_check or only_check and (keep or mend):
        raise click.UsageError("--name requires --check. --keep and --mend cannot be used with --check.")
    if only_check:
        _check(folder, name or backup.newest(folder), as_json)
    else:
        _make(folder, keep, mend, as_json)


def _make(folder: Path, keep: int | None, mend: bool, as_json: bool) -> None:
    tell = Progress().step("Copying", backup.object_count(services().storages))
    saved = backup.back_up(services().storages, folder, current_app.config["SECRET_KEY"], tell, mend=mend)
    gone = backup.thin_out(folder, keep) if keep else 0
    lines = [*saved.problems, f"Backed up {saved.documents:,} documents as {saved.name} ({saved.copied:,} new)."]
    facts = {"documents": saved.documents, "bytes": saved.bytes, "copied": saved.copied, "removed": gone}
    found = {"problems": saved.problems, "purged": saved.purged}
    summary(as_json, "\n".join(lines), ok=not saved.problems, name=saved.name, **found, **facts)


def _check(folder: Path, name: str, as_json: bool) -> None:
    count = backup.manifest(folder, name)["documents"]
    problems = list(backup.check(folder, name, Progress().step("Reading", count)))
    findings = f"{len(problems):,} findings in {name}. {MEND}"
    last = findings if problems else f"{name} is complete and undamaged: {count:,} documents."
    summary(as_json, "\n".join([*problems, last]), ok=not problems, name=name, documents=count, problems=problems)


@click.command("restore")
@FOLDER
@click.option("--name", help="Restore this backup instead of the newest.")
@with_summary
def bring_back(folder: Path, name: str | None, as_json: bool) -> None:
    """Restore a backup into this empty installation. Stop the server first. The whole backup is checked before anything
    is changed, and every document is compared afterwards."""
    name = name or backup.newest(folder)
    tell = Progress().step("Restoring", backup.manifest(folder, name)["documents"])
    config, storages = current_app.config, services().storages
    known = [script.revision for script in ScriptDirectory(str(config["MIGRATIONS"])).walk_revisions()]
    target = Target(config["MEDFILES_INSTANCE"], config["SECRET_KEY"], bool(config["MEDFILES_SECRET_KEY"]), known)
    done = restore.restore(storages, target, folder, name, tell)
    changed = accounts.emails(services().sealer.anchor.changed_since(name))
    found: list[str] = []
    if not done.outdated:
        found = [one.text for one in (integrity.verify(storages) + integrity.verify_deep(storages)).findings]
        key = config["MEDFILES_AUDIT_KEY"] or config["MEDFILES_SECRET_KEY"] or done.secret  # the restored key
        chain.renew_anchor(Sealer(chain.derive_key(key), services().sealer.anchor))  # the old head is another chain's
    lines = [*found, f"Restored {done.documents:,} documents from {done.name}."]
    lines += [text.format(count) for text, count in zip(TOKENS, astuple(done.tokens), strict=True) if count]
    lines += [CHANGED.format(", ".join(sorted(changed.values())))] * bool(changed)
    lines += [SECOND_STEPS] * done.key_differs + [OUTDATED] * done.outdated
    facts: dict[str, Any] = {"documents": done.documents, "bytes": done.bytes, "outdated": done.outdated}
    facts |= {f"{state}_tokens": count for state, count in asdict(done.tokens).items()}
    facts |= {"changed_accounts": [{"id": number, "email": changed[number]} for number in sorted(changed)]}
    summary(as_json, "\n".join(lines), ok=not found, name=done.name, findings=found, **facts)


COMMANDS = (back_up, bring_back)
