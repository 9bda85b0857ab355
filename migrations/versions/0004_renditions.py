"""Renditions of documents."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table('renditions',
    sa.Column('id', ID, nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.Column('recipe', sa.String(length=32), nullable=False),
    sa.Column('page', sa.Integer(), nullable=False),
    sa.Column('key', sa.String(length=500), nullable=True),
    sa.Column('storage', sa.String(length=50), nullable=True),
    sa.Column('size', sa.BigInteger(), nullable=True),
    sa.Column('facts', sa.JSON(), nullable=True),
    sa.Column('failure', sa.Text(), nullable=True),
    sa.Column('made_at', MOMENT, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_renditions')),
    sa.UniqueConstraint('key', name=op.f('uq_renditions_key')),
    sa.UniqueConstraint('sha256', 'recipe', 'page', name=op.f('uq_renditions_sha256_recipe_page')),
    sqlite_autoincrement=True
    )


def downgrade() -> None:
    op.drop_table('renditions')
