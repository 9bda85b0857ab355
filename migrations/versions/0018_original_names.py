"""The sender's names of documents."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('entity_files', sa.Column('original_name', sa.String(length=255), nullable=True))
    op.add_column('entity_files', sa.Column('renamed_from', sa.String(length=255), nullable=True))


def downgrade() -> None:
    op.drop_column('entity_files', 'renamed_from')
    op.drop_column('entity_files', 'original_name')
