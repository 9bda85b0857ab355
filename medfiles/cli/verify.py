"""`flask medfiles verify`: compare storage and database."""

import click

from medfiles.cli.output import summary, with_summary
from medfiles.cli.progress import Progress
from medfiles.clock import now
from medfiles.config import amount
from medfiles.http.current import services
from medfiles.operations import integrity
from medfiles.search import checking


class Amount(click.ParamType[int]):
    name = "bytes"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            found = amount(value)
        except ValueError:
            found = 0
        return found or self.fail(f"{value!r} is not an amount such as 500KB, 20MB or 1GB.", param, ctx)


@click.command()
@click.option("--deep", is_flag=True, help="Read every document and verify its SHA-256, least recently checked first.")
@click.option("--rate", type=Amount(), help="With --deep: read at most this much per second, such as 20MB.")
@click.option("--most", type=click.IntRange(1), help="With --deep: stop after this many documents.")
@click.option("--quarantine", is_flag=True, help="Move unknown objects to lost+found in the store.")
@with_summary
def verify(deep: bool, rate: int | None, most: int | None, quarantine: bool, as_json: bool) -> None:
    """Compare the store with the database. Deletes nothing and is safe while the server runs."""
    if not deep and (rate or most):
        raise click.UsageError("--rate and --most require --deep.")
    storages, progress = services().storages, Progress()
    done = integrity.verify(storages, quarantine=quarantine, report=progress.step("Checking", integrity.total()))
    if deep:
        began = now()
        due = integrity.due_count(began) if most is None else min(most, integrity.due_count(began))
        report = progress.step("Reading", due)
        done += integrity.verify_deep(storages, before=began, limit=most, rate=rate, report=report)
    lines = [f"{one.kind}  {one.text}" for one in done.findings]
    lines.append(f"{done.objects:,} objects and {done.documents:,} documents compared, {done.read:,} of them read.")
    lines.append(f"{len(done.findings):,} findings." if done.findings else "No findings.")
    if done.set_aside:
        lines.append(f"{done.set_aside:,} objects moved to lost+found.")
    registry = services().registry
    report = Progress("entries").step("Comparing the search index", checking.total(registry))
    searched = checking.check(registry, report)
    lines += [f"search  {one.text}" for one in searched.problems]
    lines.append(f"{searched.entries:,} entries of the search index compared, {len(searched.problems):,} differ.")
    if searched.problems:
        lines.append("Rebuild the search index with `flask medfiles search rebuild`.")
    found = [{"kind": one.kind, "storage": one.storage, "key": one.key, "id": one.file_id} for one in done.findings]
    differ = [{"kind": one.kind, "subject": one.subject} for one in searched.problems]
    ok = not found and not differ
    summary(as_json, "\n".join(lines), ok=ok, **vars(done) | {"findings": found, "search": differ})


COMMANDS = (verify,)
