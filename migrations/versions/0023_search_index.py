"""The search index. A job fills it, because what a record is found by is declared in the code."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSERT = "INSERT INTO search_words (rowid, words, text) VALUES (new.id, new.words, new.text);"
DELETE = ("INSERT INTO search_words (search_words, rowid, words, text) "
          "VALUES ('delete', old.id, old.words, old.text);")
FILL = """
INSERT INTO jobs (kind, subject, due_at, tries, created_at)
SELECT 'search', 0, CURRENT_TIMESTAMP, 0, CURRENT_TIMESTAMP WHERE EXISTS (SELECT 1 FROM patients)
"""


def upgrade() -> None:
    op.create_table('search_entries',
    sa.Column('id', ID, nullable=False),
    sa.Column('patient_id', ID, nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('entity_type', sa.String(length=50), nullable=False),
    sa.Column('subject_id', ID, nullable=False),
    sa.Column('record_id', ID, nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('words', sa.Text(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    # cascades, because an earlier version that still runs during the upgrade does not know this table
    sa.ForeignKeyConstraint(['patient_id'], ['patients.id'], ondelete='CASCADE',
                            name=op.f('fk_search_entries_patient_id_patients')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_search_entries')),
    sa.UniqueConstraint('kind', 'subject_id', 'entity_type',
                        name=op.f('uq_search_entries_kind_subject_id_entity_type')),
    sqlite_autoincrement=True
    )
    for columns in (['patient_id'], ['entity_type', 'record_id']):
        op.create_index(op.f("_".join(['ix', 'search_entries', *columns])), 'search_entries', columns)
    if op.get_bind().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE search_words USING fts5(words, text, content='search_entries', "
                   "content_rowid='id', detail=none, columnsize=0, tokenize=\"ascii tokenchars '_=-./,'\")")
        op.execute(f"CREATE TRIGGER search_entries_insert AFTER INSERT ON search_entries BEGIN {INSERT} END")
        op.execute(f"CREATE TRIGGER search_entries_delete AFTER DELETE ON search_entries BEGIN {DELETE} END")
        op.execute("CREATE TRIGGER search_entries_update AFTER UPDATE OF words, text ON search_entries "
                   f"WHEN old.words <> new.words OR old.text <> new.text BEGIN {DELETE} {INSERT} END")
    else:
        op.execute("CREATE INDEX ix_search_entries_tokens ON search_entries "
                   "USING gin (((words || ' ' || text)::tsvector))")
    op.execute(FILL)


def downgrade() -> None:
    op.execute("DELETE FROM jobs WHERE kind = 'search'")
    op.drop_table('search_entries')
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE search_words")
