"""The inbox: documents that are still to be filed, and insurance of which only the insurer is known.

SQLite drops NOT NULL only by copying the table, after which it would reset the numbering of records.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPTIONAL: dict[str, sa.types.TypeEngine[Any]] = {
    'insurance_type': sa.String(length=50), 'member_name': sa.String(length=255), 'member_id': sa.String(length=100),
    'effective_date': sa.Date(),
}  # fmt: skip
DATED, DATED_BEFORE = ['patient_id', 'deleted_at', 'effective_date', 'created_at', 'id'], [
    'patient_id', 'deleted_at', 'effective_date', 'id'
]
IN_INBOX = ['to_file', 'deleted_at', 'patient_id', 'id']
TO_FILE, TO_FILE_ON_SQLITE = sa.text("to_file"), sa.text("to_file = 1")


def upgrade() -> None:
    op.add_column('entity_files', sa.Column('to_file', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column('entity_files', sa.Column('named_patient_id', ID, nullable=True))
    op.add_column('document_moves', sa.Column('from_inbox', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(name_of('entity_files', IN_INBOX), 'entity_files', IN_INBOX, sqlite_where=TO_FILE_ON_SQLITE,
                    postgresql_where=TO_FILE)
    op.drop_index(name_of('insurances', DATED_BEFORE), 'insurances')
    alter_insurances(nullable=True)
    op.create_index(name_of('insurances', DATED), 'insurances', DATED)


def downgrade() -> None:
    op.drop_index(name_of('insurances', DATED), 'insurances')
    op.execute("UPDATE insurances SET insurance_type = coalesce(insurance_type, ''), "
               "member_name = coalesce(member_name, ''), member_id = coalesce(member_id, ''), "
               "effective_date = coalesce(effective_date, date(created_at))")
    alter_insurances(nullable=False)
    op.create_index(name_of('insurances', DATED_BEFORE), 'insurances', DATED_BEFORE)
    op.drop_index(name_of('entity_files', IN_INBOX), 'entity_files')
    op.drop_column('document_moves', 'from_inbox')
    op.drop_column('entity_files', 'named_patient_id')
    op.drop_column('entity_files', 'to_file')


def alter_insurances(*, nullable: bool) -> None:
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    numbered = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'insurances'")
    highest = connection.scalar(numbered) if sqlite else None
    with op.batch_alter_table('insurances', table_kwargs={"sqlite_autoincrement": True}) as batch:
        for name, kind in OPTIONAL.items():
            batch.alter_column(name, existing_type=kind, nullable=nullable)
    if sqlite:
        connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'insurances'"))
        if highest is not None:
            start_after = sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('insurances', :highest)")
            connection.execute(start_after, {"highest": highest})


def name_of(table: str, columns: list[str]) -> str:
    return op.f("_".join(['ix', table, *columns]))
