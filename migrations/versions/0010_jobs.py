"""Background jobs, with leases."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table('jobs',
    sa.Column('id', ID, nullable=False),
    sa.Column('kind', sa.String(length=50), nullable=False),
    sa.Column('subject', ID, nullable=False),
    sa.Column('due_at', MOMENT, nullable=True),
    sa.Column('lease_until', MOMENT, nullable=True),
    sa.Column('holder', sa.String(length=64), nullable=True),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('failure', sa.String(length=50), nullable=True),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_jobs')),
    sa.UniqueConstraint('kind', 'subject', name=op.f('uq_jobs_kind_subject')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_jobs_due_at'), 'jobs', ['due_at'])


def downgrade() -> None:
    op.drop_index(op.f('ix_jobs_due_at'), table_name='jobs')
    op.drop_table('jobs')
