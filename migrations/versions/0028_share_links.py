"""Share links and the documents they name."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OF_LINK = sa.text("entity_type = 'share-link'")


def upgrade() -> None:
    op.create_table(
        'share_links',
        sa.Column('id', NUMBER, nullable=False),
        sa.Column('patient_id', NUMBER, nullable=False),
        sa.Column('created_by', NUMBER, nullable=False),
        sa.Column('token_id', NUMBER, nullable=True),
        sa.Column('token_hash', sa.String(length=64), nullable=False),
        sa.Column('creation_key', sa.String(length=64), nullable=True),
        sa.Column('passcode_hash', sa.String(length=255), nullable=True),
        sa.Column('wrong_passcodes', sa.Integer(), server_default="0", nullable=False),
        sa.Column('passcodes_in_check', sa.Integer(), server_default="0", nullable=False),
        sa.Column('label', sa.String(length=80), nullable=True),
        sa.Column('sender', sa.String(length=80), nullable=True),
        sa.Column('note', sa.Text(), nullable=True),
        sa.Column('allow_download', sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('paused_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("wrong_passcodes >= 0 AND passcodes_in_check >= 0", name=op.f('ck_share_links_passcodes')),
        sa.ForeignKeyConstraint(
            ['patient_id'], ['patients.id'], name=op.f('fk_share_links_patient_id_patients'), ondelete='CASCADE'
        ),
        sa.ForeignKeyConstraint(['created_by'], ['users.id'], name=op.f('fk_share_links_created_by_users')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_share_links')),
        sa.UniqueConstraint('token_hash', name=op.f('uq_share_links_token_hash')),
        sa.UniqueConstraint('creation_key', name=op.f('uq_share_links_creation_key')),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f('ix_share_links_created_by'), 'share_links', ['created_by'])
    op.create_index(op.f('ix_share_links_token_id'), 'share_links', ['token_id'])
    op.create_index(op.f('ix_share_links_patient_id_id'), 'share_links', ['patient_id', 'id'])
    op.create_table(
        'share_link_documents',
        sa.Column('link_id', NUMBER, nullable=False),
        sa.Column('file_id', NUMBER, nullable=False),
        sa.Column('position', sa.Integer(), nullable=False),
        sa.Column('removed_at', sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ['link_id'], ['share_links.id'], name=op.f('fk_share_link_documents_link_id_share_links'),
            ondelete='CASCADE',
        ),
        sa.ForeignKeyConstraint(
            ['file_id'], ['entity_files.id'], name=op.f('fk_share_link_documents_file_id_entity_files'),
            ondelete='CASCADE',
        ),
        sa.PrimaryKeyConstraint('link_id', 'file_id', name=op.f('pk_share_link_documents')),
    )
    op.create_index(op.f('ix_share_link_documents_file_id'), 'share_link_documents', ['file_id'])
    op.create_index(
        op.f('ix_audit_events_entity_id_id'), 'audit_events', ['entity_id', 'id'],
        sqlite_where=OF_LINK, postgresql_where=OF_LINK,
    )


def downgrade() -> None:
    op.drop_index(op.f('ix_audit_events_entity_id_id'), 'audit_events')
    op.drop_table('share_link_documents')
    op.drop_table('share_links')
