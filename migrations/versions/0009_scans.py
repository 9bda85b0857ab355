"""Results of malware scans."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('entity_files', sa.Column('scan', sa.String(length=20), nullable=True))
    op.add_column('entity_files', sa.Column('scan_words', sa.String(length=255), nullable=True))
    op.add_column('entity_files', sa.Column('scanned_at', sa.DateTime(timezone=True), nullable=True))
    op.create_index(op.f('ix_entity_files_scan'), 'entity_files', ['scan'])


def downgrade() -> None:
    op.drop_index(op.f('ix_entity_files_scan'), table_name='entity_files')
    op.drop_column('entity_files', 'scanned_at')
    op.drop_column('entity_files', 'scan_words')
    op.drop_column('entity_files', 'scan')
