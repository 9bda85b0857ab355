"""Patients in the trash."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column('patients', sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('patients', sa.Column('deleted_by', ID, nullable=True))
    op.add_column('patients', sa.Column('deleted_round', ID, nullable=True))
    op.add_column('patients', sa.Column('purge_began_at', sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    # What is in the trash with its patient would be live again.
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM patients WHERE deleted_at IS NOT NULL")):
        raise RuntimeError("There are patients in the trash. Restore them or delete them permanently first.")
    for name in ("deleted_at", "deleted_by", "deleted_round", "purge_began_at"):
        op.drop_column('patients', name)
