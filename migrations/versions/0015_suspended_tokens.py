"""Suspend API tokens of a restored backup until their owners confirm them."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('api_tokens', sa.Column('suspended_at', sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.execute("DELETE FROM api_tokens WHERE suspended_at IS NOT NULL")
    op.drop_column('api_tokens', 'suspended_at')
