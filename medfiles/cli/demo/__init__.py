"""`flask medfiles demo`: create a fictional family with real files, and the account that owns it."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from flask import current_app

from medfiles.accounts import service as accounts
from medfiles.cli.demo.family import DemoDocument, DemoPatient, family
from medfiles.cli.output import report_errors
from medfiles.clock import now
from medfiles.documents.rules import UploadMetadata
from medfiles.documents.service import DocumentService
from medfiles.http.current import services
from medfiles.permissions import Actor
from medfiles.record_types.declared import RecordType
from medfiles.records.service import RecordService

EMAIL = "anna@sample.example"
UNDATED = ("IMG_", "Scan_")  # names of documents whose dates are left to be suggested


@click.command()
@click.option("--once", is_flag=True, help="Print only the sign-in details if this installation is already in use.")
@report_errors
def demo(once: bool) -> None:
    """Create the demo family in an empty installation and print how to sign in."""
    if accounts.is_empty():
        _create()
    elif not once and not _account():
        raise click.ClickException("This installation is in use. The demo family can only be created in an empty one.")
    _print_sign_in()


def _create() -> None:
    password = secrets.token_urlsafe(12)
    accounts.create(EMAIL, password)
    _remember(password)
    actor = accounts.actor_for(accounts.find(EMAIL))
    papers = [paper for patient in family(now().date()) for paper in _add(actor, patient)]
    papers.sort(key=lambda paper: paper[2].date)
    with click.progressbar(papers, label="Creating the demo family", file=sys.stderr) as steps:
        for record_type, record_id, document in steps:
            _attach(actor, record_type, record_id, document)


def _add(actor: Actor, entry: DemoPatient) -> Iterator[tuple[RecordType, int, DemoDocument]]:
    """Create a patient with records, and yield the documents that are still to be attached."""
    registry = services().registry
    records = RecordService(actor, registry, services().storages)
    patient = records.create_patient(entry.fields)
    for item in entry.records:
        record_type = registry[item.record_type]
        record = records.create(patient.id, record_type, item.fields)
        yield from ((record_type, record.id, document) for document in item.documents)


def _attach(actor: Actor, record_type: RecordType, record_id: int, document: DemoDocument) -> None:
    documents = DocumentService(actor, services().registry, services().storages, sandbox=services().sandbox)
    permit = documents.authorize_upload(record_type, record_id, len(document.content), files=1)
    staged = documents.stage(permit)
    staged.write(document.content)
    dated = None if document.name.startswith(UNDATED) else document.date.isoformat()
    details = {"description": document.description, "category": document.category, "document_date": dated}
    documents.attach(permit, staged, UploadMetadata(document.name, details))


def _file() -> Path:
    return Path(current_app.config["MEDFILES_INSTANCE"], "demo-account.json")


def _remember(password: str) -> None:
    with os.fdopen(os.open(_file(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"email": EMAIL, "password": password}, file)


def _account() -> dict[str, str] | None:
    """Return the demo account if its initial password is still valid, or None."""
    if not _file().exists():
        return None
    known: dict[str, str] = json.loads(_file().read_text())
    return known if accounts.has_password(known["email"], known["password"]) else None


def _print_sign_in() -> None:
    account = _account()
    if account:
        click.echo(f"\n  sign in     {account['email']}\n  password    {account['password']}")


COMMANDS = (demo,)
