"""SMART Health Links and the documents they hold."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        'smart_links',
        sa.Column('id', NUMBER, nullable=False),
        sa.Column('link_id', NUMBER, nullable=False),
        sa.Column('token_hash', sa.String(length=64), nullable=False),
        sa.Column('kind', sa.String(length=20), nullable=False),
        sa.Column('flags', sa.String(length=2), nullable=False),
        sa.Column('each_document', sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('key_wrapped', sa.LargeBinary(), nullable=True),
        sa.Column('key', sa.String(length=500), nullable=True),
        sa.Column('storage', sa.String(length=50), nullable=True),
        sa.Column('size', sa.BigInteger(), nullable=True),
        sa.Column('fingerprint', sa.String(length=64), nullable=True),
        sa.Column('built_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('failure', sa.String(length=50), nullable=True),
        sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("flags IN ('', 'L', 'LP', 'P', 'U')", name=op.f('ck_smart_links_flags')),
        sa.CheckConstraint(
            "(key IS NULL) = (storage IS NULL) AND (key IS NULL) = (size IS NULL)",
            name=op.f('ck_smart_links_object'),
        ),
        sa.ForeignKeyConstraint(
            ['link_id'], ['share_links.id'], name=op.f('fk_smart_links_link_id_share_links'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_smart_links')),
        sa.UniqueConstraint('token_hash', name=op.f('uq_smart_links_token_hash')),
        sa.UniqueConstraint('key', name=op.f('uq_smart_links_key')),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f('ix_smart_links_link_id'), 'smart_links', ['link_id'])
    op.create_index(op.f('ix_smart_links_expires_at'), 'smart_links', ['expires_at'])
    op.create_table(
        'smart_link_documents',
        sa.Column('smart_link_id', NUMBER, nullable=False),
        sa.Column('file_id', NUMBER, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ['smart_link_id'], ['smart_links.id'], name=op.f('fk_smart_link_documents_smart_link_id_smart_links'),
            ondelete='CASCADE',
        ),
        sa.PrimaryKeyConstraint('smart_link_id', 'file_id', name=op.f('pk_smart_link_documents')),
    )
    op.create_index(op.f('ix_smart_link_documents_file_id'), 'smart_link_documents', ['file_id'])


def downgrade() -> None:
    op.drop_table('smart_link_documents')
    op.drop_table('smart_links')
