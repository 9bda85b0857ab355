"""When each document was last checked, findings of integrity checks, and last runs of recurring work."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table('fixity_findings',
    sa.Column('id', ID, nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('storage', sa.String(length=50), nullable=False),
    sa.Column('key', sa.String(length=500), nullable=False),
    sa.Column('file_id', ID, nullable=True),
    sa.Column('first_seen', MOMENT, nullable=False),
    sa.Column('last_seen', MOMENT, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_fixity_findings')),
    sa.UniqueConstraint('storage', 'key', 'kind', name=op.f('uq_fixity_findings_storage_key_kind')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_fixity_findings_file_id'), 'fixity_findings', ['file_id'])
    op.create_table('last_runs',
    sa.Column('name', sa.String(length=50), nullable=False),
    sa.Column('begun_at', MOMENT, nullable=True),
    sa.Column('ended_at', MOMENT, nullable=True),
    sa.Column('facts', sa.JSON(), nullable=True),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_last_runs'))
    )
    op.add_column('entity_files', sa.Column('last_checked_at', MOMENT, nullable=True))
    op.create_index(op.f('ix_entity_files_last_checked_at'), 'entity_files', ['last_checked_at'])


def downgrade() -> None:
    op.drop_index(op.f('ix_entity_files_last_checked_at'), table_name='entity_files')
    op.drop_column('entity_files', 'last_checked_at')
    op.drop_table('last_runs')
    op.drop_index(op.f('ix_fixity_findings_file_id'), table_name='fixity_findings')
    op.drop_table('fixity_findings')
