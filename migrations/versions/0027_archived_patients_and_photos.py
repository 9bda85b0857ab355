"""When patients were archived, and their photos."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('patients', sa.Column('archived_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('patients', sa.Column('photo_key', sa.String(length=500), nullable=True))
    op.add_column('patients', sa.Column('photo_storage', sa.String(length=50), nullable=True))
    op.add_column('patients', sa.Column('photo_size', sa.BigInteger(), nullable=True))
    op.create_index(op.f('ix_patients_photo_key'), 'patients', ['photo_key'], unique=True)


def downgrade() -> None:
    # The objects would no longer be named by any row.
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM patients WHERE photo_key IS NOT NULL")):
        raise RuntimeError("There are photos of patients. Remove them first.")
    op.drop_index(op.f('ix_patients_photo_key'), 'patients')
    for name in ("photo_size", "photo_storage", "photo_key", "archived_at"):
        op.drop_column('patients', name)
