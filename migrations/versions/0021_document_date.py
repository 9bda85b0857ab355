"""The date on a document, and how an account writes dates.

`dated_on` is the document date, or else the day of the upload. SQLite can only require it by copying the table, after
which it would reset the numbering of documents.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0019"
branch_labels = None
depends_on = None

INDEXES = (['entity_type', 'entity_id', 'deleted_at', 'dated_on', 'id'], ['patient_id', 'deleted_at', 'dated_on', 'id'])
SUGGESTED = sa.text("document_date_suggested IS NOT NULL")
LIVE = sa.text("deleted_at IS NULL")


def upgrade() -> None:
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    numbered = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'entity_files'")
    highest = connection.scalar(numbered) if sqlite else None
    for name in ('document_date', 'document_date_suggested', 'dated_on'):
        op.add_column('entity_files', sa.Column(name, sa.Date(), nullable=True))
    op.add_column('users', sa.Column('date_order', sa.String(length=3), nullable=True))
    day = "date(uploaded_at)" if sqlite else "(uploaded_at AT TIME ZONE 'UTC')::date"
    op.execute(f"UPDATE entity_files SET dated_on = {day}")
    with op.batch_alter_table('entity_files', table_kwargs={"sqlite_autoincrement": True}) as batch:
        current = sa.text("CURRENT_DATE")
        batch.alter_column('dated_on', existing_type=sa.Date(), nullable=False, server_default=current)
    if sqlite:
        connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'entity_files'"))
        start_after = sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('entity_files', :highest)")
        connection.execute(start_after, {"highest": highest})
    for columns in INDEXES:
        op.create_index(name_of(columns), 'entity_files', columns, sqlite_where=LIVE, postgresql_where=LIVE)
    columns = ['document_date_suggested']
    op.create_index(name_of(columns), 'entity_files', columns, sqlite_where=SUGGESTED, postgresql_where=SUGGESTED)


def downgrade() -> None:
    for columns in (['document_date_suggested'], *INDEXES):
        op.drop_index(name_of(columns), 'entity_files')
    for name in ('dated_on', 'document_date_suggested', 'document_date'):
        op.drop_column('entity_files', name)
    op.drop_column('users', 'date_order')


def name_of(columns: list[str]) -> str:
    return op.f("_".join(['ix', 'entity_files', *columns]))
