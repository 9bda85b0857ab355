"""Account for rows that only become text elsewhere: practitioners, test components and records of other kinds."""

from medfiles.legacy.medikeep import schema
from medfiles.legacy.medikeep.bringing import Source
from medfiles.legacy.medikeep.ledger import BROUGHT, EARLIER, LEFT_OUT, MATCHED, Ledger
from medfiles.legacy.medikeep.mapping import Row

ALLERGIES = "allergies"
TABLES = (schema.PRACTITIONERS, schema.COMPONENTS, *schema.LABELS)
PARENTS = {  # the row whose text each row becomes part of: table, column with its id, name
    schema.COMPONENTS: ("lab_results", "lab_result_id", "lab result"),
    ALLERGIES: (schema.PATIENTS, "patient_id", "patient"),
}
UNNAMED = f"{LEFT_OUT}: no imported row names it"
FILES_ONLY, NO_FILES = "only its files", f"{LEFT_OUT}: it has no files to import"


def account(source: Source) -> None:
    """Note an outcome for each of these rows, which follows from those of all other rows."""
    for table in TABLES:
        for row in source.medikeep.rows(table):
            source.ledger.outcome(table, row["id"], _outcome(source.ledger, table, row))


def _outcome(ledger: Ledger, table: str, row: Row) -> str:
    if table == schema.PRACTITIONERS:
        query = "SELECT outcome FROM practitioners WHERE id = ?"
        return next((str(outcome) for (outcome,) in ledger.ask(query, row["id"])), UNNAMED)
    if table in PARENTS:
        return _with_parent(ledger, table, row)
    query = "SELECT 1 FROM files WHERE record_table = ? AND record = ? AND COALESCE(stays, ?) = ? LIMIT 1"
    return FILES_ONLY if ledger.ask(query, table, row["id"], EARLIER, EARLIER) else NO_FILES


def _with_parent(ledger: Ledger, table: str, row: Row) -> str:
    parent, column, name = PARENTS[table]
    found = ledger.outcome_of(parent, row.get(column))
    if found in (BROUGHT, LEFT_OUT):
        return found
    if found == EARLIER:
        return f"{EARLIER}, unless added since"
    if found == MATCHED:
        return f"{LEFT_OUT}: its {name} was here already"
    return f"{LEFT_OUT}: its {name} is missing or was not brought along"
