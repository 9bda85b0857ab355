"""The last two-step verification code used, so that no code works twice."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('tf_last_counter', sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column('users', 'tf_last_counter')
