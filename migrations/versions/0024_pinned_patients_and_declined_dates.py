"""Pinned patients, an index that finds namesakes, and documents for which no date is suggested."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
NAMESAKES = 'ix_patients_birth_date_last_name_first_name'


def upgrade() -> None:
    op.create_table(
        'patient_pins',
        sa.Column('user_id', ID, nullable=False),
        sa.Column('patient_id', ID, nullable=False),
        sa.ForeignKeyConstraint(
            ['patient_id'], ['patients.id'], name=op.f('fk_patient_pins_patient_id_patients'), ondelete='CASCADE'
        ),
        sa.ForeignKeyConstraint(
            ['user_id'], ['users.id'], name=op.f('fk_patient_pins_user_id_users'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('user_id', 'patient_id', name=op.f('pk_patient_pins')),
    )
    op.create_index(op.f('ix_patient_pins_patient_id'), 'patient_pins', ['patient_id'])
    op.add_column(
        'entity_files', sa.Column('date_declined', sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_index(op.f(NAMESAKES), 'patients', ['birth_date', 'last_name', 'first_name'])


def downgrade() -> None:
    op.drop_column('entity_files', 'date_declined')
    op.drop_index(op.f(NAMESAKES), 'patients')
    op.drop_table('patient_pins')
