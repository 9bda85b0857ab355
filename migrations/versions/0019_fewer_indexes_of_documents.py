"""Fewer indexes to write when documents are moved to the trash.

SQLite can only drop constraints by copying the table, after which it would reset the numbering of documents.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

LIVE, TRASHED, LEGACY = "deleted_at IS NULL", "deleted_at IS NOT NULL", "legacy_id IS NOT NULL"
KEPT = {"sqlite_autoincrement": True}


def upgrade() -> None:
    for columns in (
        ['category'],
        ['uploaded_at'],
        ['deleted_at'],
        ['entity_type', 'entity_id', 'deleted_at', 'uploaded_at', 'id'],
        ['entity_type', 'entity_id', 'deleted_at', 'sort_name', 'id'],
    ):
        drop_index(columns)
    highest = highest_id()
    with op.batch_alter_table('entity_files', table_kwargs=KEPT) as batch:
        # upload_keys holds every key, also after the document is deleted permanently
        batch.drop_constraint(op.f('uq_entity_files_uploaded_by_idempotency_key'), type_='unique')
        batch.drop_constraint(op.f('uq_entity_files_legacy_id'), type_='unique')
        # checked for each row that is trashed, although accounts are never deleted
        batch.drop_constraint(op.f('fk_entity_files_deleted_by_users'), type_='foreignkey')
    keep_id(highest)
    create_index(['entity_type', 'entity_id', 'deleted_at', 'id'])
    create_index(['entity_type', 'entity_id', 'deleted_at', 'uploaded_at', 'id'], LIVE)
    create_index(['entity_type', 'entity_id', 'deleted_at', 'sort_name', 'id'], LIVE)
    create_index(['uploaded_at'], LIVE)
    create_index(['category'], LIVE)
    create_index(['deleted_at'], TRASHED)
    create_index(['legacy_id'], LEGACY, unique=True)


def downgrade() -> None:
    for columns in (
        ['legacy_id'],
        ['deleted_at'],
        ['category'],
        ['uploaded_at'],
        ['entity_type', 'entity_id', 'deleted_at', 'sort_name', 'id'],
        ['entity_type', 'entity_id', 'deleted_at', 'uploaded_at', 'id'],
        ['entity_type', 'entity_id', 'deleted_at', 'id'],
    ):
        drop_index(columns)
    highest = highest_id()
    with op.batch_alter_table('entity_files', table_kwargs=KEPT) as batch:
        batch.create_foreign_key(op.f('fk_entity_files_deleted_by_users'), 'users', ['deleted_by'], ['id'])
        batch.create_unique_constraint(op.f('uq_entity_files_legacy_id'), ['legacy_id'])
        key = ['uploaded_by', 'idempotency_key']
        batch.create_unique_constraint(op.f('uq_entity_files_uploaded_by_idempotency_key'), key)
    keep_id(highest)
    create_index(['entity_type', 'entity_id', 'deleted_at', 'sort_name', 'id'])
    create_index(['entity_type', 'entity_id', 'deleted_at', 'uploaded_at', 'id'])
    for name in ('deleted_at', 'uploaded_at', 'category'):
        create_index([name])


def create_index(columns: list[str], where: str | None = None, unique: bool = False) -> None:
    condition = None if where is None else sa.text(where)
    op.create_index(
        name_of(columns), 'entity_files', columns, unique=unique, sqlite_where=condition, postgresql_where=condition
    )


def drop_index(columns: list[str]) -> None:
    op.drop_index(name_of(columns), 'entity_files')


def name_of(columns: list[str]) -> str:
    return op.f("_".join(['ix', 'entity_files', *columns]))


def highest_id() -> int | None:
    """Return the highest id ever assigned, which SQLite forgets when a table is copied."""
    if op.get_bind().dialect.name != "sqlite":
        return None
    numbered = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'entity_files'")
    highest: int | None = op.get_bind().scalar(numbered)
    return highest


def keep_id(highest: int | None) -> None:
    if highest is None:
        return
    op.get_bind().execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'entity_files'"))
    start_after = sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('entity_files', :highest)")
    op.get_bind().execute(start_after, {"highest": highest})
