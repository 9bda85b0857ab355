"""Keep the Idempotency-Key of an upload apart from its document, which may move or be deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table('upload_keys',
    sa.Column('id', ID, nullable=False),
    sa.Column('user_id', ID, nullable=False),
    sa.Column('idempotency_key', sa.String(length=255), nullable=False),
    sa.Column('entity_type', sa.String(length=50), nullable=False),
    sa.Column('entity_id', ID, nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=True),
    sa.Column('file_id', ID, nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_upload_keys_user_id_users')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_upload_keys')),
    sa.UniqueConstraint('user_id', 'idempotency_key', name=op.f('uq_upload_keys_user_id_idempotency_key')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_upload_keys_file_id'), 'upload_keys', ['file_id'])
    op.execute(
        "INSERT INTO upload_keys (user_id, idempotency_key, entity_type, entity_id, sha256, file_id)"
        " SELECT uploaded_by, idempotency_key, entity_type, entity_id, sha256, id FROM entity_files"
        " WHERE idempotency_key IS NOT NULL AND uploaded_by IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_table('upload_keys')
