"""Columns for sorting and searching lists, creation keys of records, and canceled uploads."""

import re
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
CODE_POINTS = sa.String(500).with_variant(sa.String(500, collation="C"), "postgresql")
RECORDS = ("insurances", "lab_results", "procedures", "visits")
BATCH = 1000
FILES = sa.table(
    "entity_files",
    sa.column("id", ID),
    sa.column("file_name", sa.String),
    sa.column("description", sa.Text),
    sa.column("sort_name", CODE_POINTS),
    sa.column("search_text", sa.Text),
)


def upgrade() -> None:
    op.create_table('cancelled_uploads',
    sa.Column('id', ID, nullable=False),
    sa.Column('user_id', ID, nullable=False),
    sa.Column('idempotency_key', sa.String(length=255), nullable=False),
    sa.Column('at', MOMENT, nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_cancelled_uploads_user_id_users')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_cancelled_uploads')),
    sa.UniqueConstraint('user_id', 'idempotency_key', name=op.f('uq_cancelled_uploads_user_id_idempotency_key')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_cancelled_uploads_at'), 'cancelled_uploads', ['at'])

    for table in RECORDS:
        op.add_column(table, sa.Column('creation_key', sa.String(length=64), nullable=True))
        op.create_index(op.f(f'ix_{table}_creation_key_patient_id'), table, ['creation_key', 'patient_id'], unique=True)

    op.add_column('entity_files', sa.Column('sort_name', CODE_POINTS, nullable=True))
    op.add_column('entity_files', sa.Column('search_text', sa.Text(), nullable=True))
    fill()
    op.drop_index(op.f('ix_entity_files_entity_type_entity_id_deleted_at'), 'entity_files')
    require()
    op.create_index(op.f('ix_entity_files_entity_type_entity_id_deleted_at_uploaded_at_id'), 'entity_files', ['entity_type', 'entity_id', 'deleted_at', 'uploaded_at', 'id'])
    op.create_index(op.f('ix_entity_files_entity_type_entity_id_deleted_at_sort_name_id'), 'entity_files', ['entity_type', 'entity_id', 'deleted_at', 'sort_name', 'id'])


def fill() -> None:
    connection = op.get_bind()
    some = sa.select(FILES.c.id, FILES.c.file_name, FILES.c.description).order_by(FILES.c.id).limit(BATCH)
    filled = (
        FILES.update()
        .where(FILES.c.id == sa.bindparam("of"))
        .values(sort_name=sa.bindparam("sorted_by"), search_text=sa.bindparam("searched_in"))
    )
    last = -1
    while rows := connection.execute(some.where(FILES.c.id > last)).all():
        connection.execute(filled, [forms(*row) for row in rows])
        last = rows[-1].id


def require() -> None:
    """Make the columns required.

    SQLite can only do this by copying the table, after which it would reset the numbering of documents.
    """
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    numbered = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'entity_files'")
    highest = connection.scalar(numbered) if sqlite else None
    with op.batch_alter_table('entity_files', table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.alter_column('sort_name', existing_type=CODE_POINTS, nullable=False)
        batch.alter_column('search_text', existing_type=sa.Text(), nullable=False)
    if sqlite:
        connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'entity_files'"))
        start_after = sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('entity_files', :highest)")
        connection.execute(start_after, {"highest": highest})


def forms(number: int, name: str, description: str | None) -> dict[str, int | str]:
    """Return the columns for sorting and searching, computed as when this migration was written."""
    searched = fold(f"{name}\n{description}" if description else name)
    sort_name = re.sub(r"\d+", comparable, fold(name)[:500])[:500]
    return {"of": number, "sorted_by": sort_name, "searched_in": searched}


def fold(text: str) -> str:
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(letter for letter in folded if not unicodedata.combining(letter))


def comparable(run: re.Match[str]) -> str:
    number = str(int(run[0]))
    count = len(number) - 1
    return f"{count}{number}" if count < 9 else f"9{count:03}{number}"


def downgrade() -> None:
    op.drop_index(op.f('ix_entity_files_entity_type_entity_id_deleted_at_sort_name_id'), 'entity_files')
    op.drop_index(op.f('ix_entity_files_entity_type_entity_id_deleted_at_uploaded_at_id'), 'entity_files')
    op.drop_column('entity_files', 'search_text')
    op.drop_column('entity_files', 'sort_name')
    op.create_index(op.f('ix_entity_files_entity_type_entity_id_deleted_at'), 'entity_files', ['entity_type', 'entity_id', 'deleted_at'])
    for table in RECORDS:
        op.drop_index(op.f(f'ix_{table}_creation_key_patient_id'), table)
        op.drop_column(table, 'creation_key')
    op.drop_table('cancelled_uploads')
