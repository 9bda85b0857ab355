"""The texts of pages."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'page_texts',
        sa.Column('sha256', sa.String(length=64), nullable=False),
        sa.Column('page', sa.Integer(), nullable=False),
        sa.Column('recipe', sa.Integer(), nullable=False),
        sa.Column('pages', sa.Integer(), nullable=False),
        sa.Column('source', sa.String(length=20), nullable=False),
        sa.Column('text', sa.Text(), nullable=False),
        sa.Column('words', sa.Text(), nullable=False),
        sa.Column('failure', sa.String(length=20), nullable=True),
        sa.Column('read_at', sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint('sha256', 'page', 'recipe', name=op.f('pk_page_texts')),
    )
    op.create_index(op.f('ix_page_texts_failure'), 'page_texts', ['failure'])


def downgrade() -> None:
    op.drop_table('page_texts')
