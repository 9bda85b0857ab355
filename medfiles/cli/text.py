"""`flask medfiles text`: read the text of documents, and say how much is read."""

import sys

import click
from flask.cli import AppGroup

from medfiles.cli.output import summary, with_summary
from medfiles.http.current import services
from medfiles.operations import reading
from medfiles.texts import store

group = AppGroup("text", help="Read the text of documents, or show how much is read.")


@group.command()
@click.option("--all", "every", is_flag=True, help="Also documents that are read already, to suggest their date again.")
@click.option("--patient", "patient_id", type=int, help="Only this patient's documents.")
@click.option("--again", is_flag=True, help="Read every page again, for example with another engine. Implies --all.")
@with_summary
def read(every: bool, patient_id: int | None, again: bool, as_json: bool) -> None:
    """Read what is not read yet now, instead of waiting for the background jobs."""
    which = reading.which(services(), every=every or again, patient_id=patient_id)
    with click.progressbar(length=reading.count_documents(which), label="Reading documents", file=sys.stderr) as bar:
        done = reading.read_all(services(), which, again=again, report=lambda _: bar.update(1))
    sentence = f"Read {done.documents} documents. {done.failed} could not be opened."
    summary(as_json, sentence, ok=not done.failed, documents=done.documents, failed=done.failed)


@group.command()
@with_summary
def status(as_json: bool) -> None:
    """Show the engine, the pages read by source, the failures, and how many documents wait."""
    found, engine = store.status(), services().engine
    name = engine.name if engine else None
    pages = ", ".join(f"{number} {source}" for source, number in found.pages.items())
    failures = ", ".join(f"{number} {failure}" for failure, number in found.failures.items()) or "none"
    sentence = f"Engine: {name or 'none'}. Pages: {pages}. Failures: {failures}. Documents waiting: {found.waiting}."
    if found.given_up:
        sentence += f" Given up after five failures: {found.given_up} (flask medfiles worker --again)."
    summary(
        as_json, sentence, engine=name, pages=found.pages, failures=found.failures, waiting=found.waiting,
        given_up=found.given_up,
    )  # fmt: skip


COMMANDS = (group,)
