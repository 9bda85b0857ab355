"""Sources of older files, the state of their migration, and new ids by older ids."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table('legacy_sources',
    sa.Column('id', ID, nullable=False),
    sa.Column('place', sa.String(length=500), nullable=False),
    sa.Column('current', sa.Integer(), nullable=True),
    sa.Column('timezone', sa.String(length=64), nullable=False),
    sa.Column('begun_at', MOMENT, nullable=False),
    sa.Column('backup', sa.Text(), nullable=True),
    sa.Column('backed_up_at', MOMENT, nullable=True),
    sa.Column('verified_at', MOMENT, nullable=True),
    sa.Column('finishing_at', MOMENT, nullable=True),
    sa.Column('finished_at', MOMENT, nullable=True),
    sa.CheckConstraint('current = 1', name=op.f('ck_legacy_sources_current')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_legacy_sources')),
    sa.UniqueConstraint('current', name=op.f('uq_legacy_sources_current')),
    sa.UniqueConstraint('place', name=op.f('uq_legacy_sources_place')),
    sqlite_autoincrement=True
    )
    op.create_table('legacy_ids',
    sa.Column('source_id', ID, nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('old_id', ID, autoincrement=False, nullable=False),
    sa.Column('new_id', ID, nullable=True),
    sa.Column('brought', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['source_id'], ['legacy_sources.id'], name=op.f('fk_legacy_ids_source_id_legacy_sources')),
    sa.PrimaryKeyConstraint('source_id', 'kind', 'old_id', name=op.f('pk_legacy_ids'))
    )
    op.create_index(op.f('ix_legacy_ids_kind_new_id'), 'legacy_ids', ['kind', 'new_id'])


def downgrade() -> None:
    op.drop_index(op.f('ix_legacy_ids_kind_new_id'), table_name='legacy_ids')
    op.drop_table('legacy_ids')
    op.drop_table('legacy_sources')
