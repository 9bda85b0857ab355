"""`flask medfiles demo`: an invented family with real files, and the account that looks after it."""

from __future__ import annotations

import json
import os
import secrets
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click
from flask import current_app
from flask.cli import AppGroup

from medfiles.accounts import service as accounts
from medfiles.cli.output import explained
from medfiles.documents.rules import UploadMetadata
from medfiles.documents.service import DocumentService
from medfiles.http.current import services
from medfiles.permissions import Actor
from medfiles.record_types.declared import RecordType
from medfiles.records.service import RecordService

if TYPE_CHECKING:
    from medfiles.demo import DemoDocument, DemoPatient, DemoRecord

EMAIL = "nora@sample.example"


def register(parent: AppGroup) -> None:
    parent.add_command(demo)


@click.command()
@click.option(
    "--once",
    is_flag=True,
    help="Only print the sign-in if this installation is already in use.",
)
@explained
def demo(once: bool) -> None:
    """Create the demo family in an empty installation and print its sign-in."""
    if accounts.is_empty():
        _make()
    elif not once and not _account():
        raise click.ClickException("This installation is in use. The demo family can only be created in an empty one.")
    _print_sign_in()


def _make() -> None:
    password = secrets.token_urlsafe(12)
    accounts.create(EMAIL, password)
    _remember(password)
    actor = accounts.actor_for(accounts.find(EMAIL))
    people: tuple[DemoPatient, ...] = import_module("medfiles.demo").family()  # servers need not load what draws it
    with click.progressbar(people, label="Creating the demo family", file=sys.stderr) as bar:
        for person in bar:
            _add(actor, person)


def _add(actor: Actor, person: DemoPatient) -> None:
    records = RecordService(actor, services().registry, services().storages)
    documents = DocumentService(actor, services().registry, services().storages, sandbox=services().sandbox)
    patient = records.create_patient(person.fields)
    for entry in person.records:
        _fill(records, documents, patient.id, entry)


def _fill(records: RecordService, documents: DocumentService, patient_id: int, entry: DemoRecord) -> None:
    record_type = services().registry[entry.type]
    record = records.create(patient_id, record_type, entry.fields)
    for document in entry.documents:
        _attach(documents, record_type, record.id, document)


def _attach(service: DocumentService, record_type: RecordType, record_id: int, document: DemoDocument) -> None:
    content = document.make()
    intake = service.receive(record_type, record_id, len(content), files=1)
    staged = service.stage(intake)
    staged.write(content)
    details = {"description": document.description, "category": document.category}
    service.attach(intake, staged, UploadMetadata(document.name, details))


def _file() -> Path:
    return Path(current_app.config["MEDFILES_INSTANCE"], "demo-account.json")


def _remember(password: str) -> None:
    with os.fdopen(os.open(_file(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"email": EMAIL, "password": password}, file)


def _account() -> dict[str, str] | None:
    """The demo account, as long as its first password still holds."""
    if not _file().exists():
        return None
    known: dict[str, str] = json.loads(_file().read_text())
    return known if accounts.has_password(known["email"], known["password"]) else None


def _print_sign_in() -> None:
    account = _account()
    if account:
        click.echo(f"\n  sign in     {account['email']}\n  password    {account['password']}")
