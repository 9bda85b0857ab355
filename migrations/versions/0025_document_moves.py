"""Moves of documents, so that they can be undone."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INDEXES = (["file_id"], ["from_patient_id", "moved_at"], ["from_type", "from_id"], ["moved_at"])


def upgrade() -> None:
    op.create_table(
        'document_moves',
        sa.Column('id', ID, nullable=False),
        sa.Column('file_id', ID, nullable=True),
        sa.Column('from_patient_id', ID, nullable=False),
        sa.Column('from_type', sa.String(length=50), nullable=False),
        sa.Column('from_id', ID, nullable=False),
        sa.Column('from_category', sa.String(length=100), nullable=True),
        sa.Column('to_patient_id', ID, nullable=False),
        sa.Column('to_type', sa.String(length=50), nullable=False),
        sa.Column('to_id', ID, nullable=False),
        sa.Column('owner_id', ID, nullable=True),
        sa.Column('moved_by', ID, nullable=False),
        sa.Column('moved_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('moved_round', ID, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_document_moves')),
        sqlite_autoincrement=True,
    )
    for columns in INDEXES:
        op.create_index(op.f("_".join(["ix", "document_moves", *columns])), 'document_moves', columns)


def downgrade() -> None:
    op.drop_table('document_moves')
