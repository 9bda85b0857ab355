"""Housekeeping rounds, and the round in which each document and record went to the trash."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TRASHABLE = ("entity_files", "lab_results", "insurances", "visits", "procedures")


def upgrade() -> None:
    rounds = op.create_table('housekeeping_rounds',
    sa.Column('id', ID, nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_housekeeping_rounds')),
    sqlite_autoincrement=True
    )
    op.bulk_insert(rounds, [{"at": datetime.now(UTC)}])
    for name in TRASHABLE:
        op.add_column(name, sa.Column('deleted_round', ID, nullable=True))
        # What is in the trash already stays there as if it had gone there now.
        op.execute(f"UPDATE {name} SET deleted_round = 1 WHERE deleted_at IS NOT NULL")


def downgrade() -> None:
    for name in TRASHABLE:
        op.drop_column(name, 'deleted_round')
    op.drop_table('housekeeping_rounds')
