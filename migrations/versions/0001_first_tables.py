"""Accounts, patients, records, documents, audit log and storage journal; the older feature's table."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
FIRST_FILE_ID = 1_000_000_001
TABLES = (
    "audit_events",
    "roles",
    "sessions",
    "storage_journal",
    "users",
    "patients",
    "roles_users",
    "entity_files",
    "insurances",
    "lab_results",
    "patient_shares",
    "procedures",
    "visits",
    "lab_result_files",
)


def upgrade() -> None:
    op.create_table('audit_events',
    sa.Column('id', ID, nullable=False),
    sa.Column('at', MOMENT, nullable=False),
    sa.Column('actor_id', ID, nullable=True),
    sa.Column('action', sa.String(length=50), nullable=False),
    sa.Column('outcome', sa.String(length=20), nullable=False),
    sa.Column('reason', sa.String(length=50), nullable=True),
    sa.Column('patient_id', ID, nullable=True),
    sa.Column('entity_type', sa.String(length=50), nullable=True),
    sa.Column('entity_id', ID, nullable=True),
    sa.Column('file_id', ID, nullable=True),
    sa.Column('request_id', sa.String(length=64), nullable=True),
    sa.Column('address', sa.String(length=64), nullable=True),
    sa.Column('details', sa.JSON(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_events')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_audit_events_file_id_action_at'), 'audit_events', ['file_id', 'action', 'at'])
    op.create_index(op.f('ix_audit_events_patient_id_id'), 'audit_events', ['patient_id', 'id'])

    op.create_table('roles',
    sa.Column('id', ID, nullable=False),
    sa.Column('name', sa.String(length=80), nullable=False),
    sa.Column('description', sa.String(length=255), nullable=True),
    sa.Column('permissions', sa.UnicodeText(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_roles')),
    sa.UniqueConstraint('name', name=op.f('uq_roles_name'))
    )
    op.create_table('sessions',
    sa.Column('id', ID, nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('owner', sa.String(length=64), nullable=True),
    sa.Column('data', sa.LargeBinary(), nullable=False),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.Column('seen_at', MOMENT, nullable=False),
    sa.Column('address', sa.String(length=64), nullable=True),
    sa.Column('agent', sa.String(length=255), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sessions')),
    sa.UniqueConstraint('digest', name=op.f('uq_sessions_digest'))
    )
    op.create_index(op.f('ix_sessions_owner'), 'sessions', ['owner'])
    op.create_index(op.f('ix_sessions_seen_at'), 'sessions', ['seen_at'])

    op.create_table('storage_journal',
    sa.Column('id', ID, nullable=False),
    sa.Column('key', sa.String(length=500), nullable=False),
    sa.Column('storage', sa.String(length=50), nullable=False),
    sa.Column('action', sa.String(length=10), nullable=False),
    sa.Column('lease_until', MOMENT, nullable=False),
    sa.CheckConstraint("action IN ('attach', 'remove')", name=op.f('ck_storage_journal_action')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_storage_journal')),
    sa.UniqueConstraint('key', name=op.f('uq_storage_journal_key')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_storage_journal_lease_until'), 'storage_journal', ['lease_until'])

    op.create_table('users',
    sa.Column('id', ID, nullable=False),
    sa.Column('email', sa.String(length=255), nullable=False),
    sa.Column('password', sa.String(length=255), nullable=True),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('fs_uniquifier', sa.String(length=64), nullable=False),
    sa.Column('tf_primary_method', sa.String(length=64), nullable=True),
    sa.Column('tf_totp_secret', sa.String(length=255), nullable=True),
    sa.Column('tf_phone_number', sa.String(length=128), nullable=True),
    sa.Column('create_datetime', MOMENT, nullable=False),
    sa.Column('update_datetime', MOMENT, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_users')),
    sa.UniqueConstraint('email', name=op.f('uq_users_email')),
    sa.UniqueConstraint('fs_uniquifier', name=op.f('uq_users_fs_uniquifier')),
    sqlite_autoincrement=True
    )
    op.create_table('patients',
    sa.Column('id', ID, nullable=False),
    sa.Column('user_id', ID, nullable=False),
    sa.Column('first_name', sa.String(length=100), nullable=False),
    sa.Column('last_name', sa.String(length=100), nullable=False),
    sa.Column('birth_date', sa.Date(), nullable=False),
    sa.Column('gender', sa.String(length=50), nullable=True),
    sa.Column('notes', sa.Text(), nullable=True),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.Column('updated_at', MOMENT, nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_patients_user_id_users')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_patients')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_patients_user_id'), 'patients', ['user_id'])

    op.create_table('roles_users',
    sa.Column('user_id', ID, nullable=False),
    sa.Column('role_id', ID, nullable=False),
    sa.ForeignKeyConstraint(['role_id'], ['roles.id'], name=op.f('fk_roles_users_role_id_roles'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_roles_users_user_id_users'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('user_id', 'role_id', name=op.f('pk_roles_users'))
    )
    op.create_table('entity_files',
    sa.Column('id', ID, sa.Identity(start=FIRST_FILE_ID), nullable=False),
    sa.Column('entity_type', sa.String(length=50), nullable=False),
    sa.Column('entity_id', ID, nullable=False),
    sa.Column('patient_id', ID, nullable=False),
    sa.Column('file_name', sa.String(length=255), nullable=False),
    sa.Column('file_path', sa.String(length=500), nullable=False),
    sa.Column('storage', sa.String(length=50), nullable=False),
    sa.Column('file_type', sa.String(length=100), nullable=False),
    sa.Column('file_size', sa.BigInteger(), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.Column('pages', sa.Integer(), nullable=True),
    sa.Column('description', sa.Text(), nullable=True),
    sa.Column('category', sa.String(length=100), nullable=True),
    sa.Column('uploaded_at', MOMENT, nullable=False),
    sa.Column('uploaded_by', ID, nullable=True),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.Column('updated_at', MOMENT, nullable=False),
    sa.Column('deleted_at', MOMENT, nullable=True),
    sa.Column('deleted_by', ID, nullable=True),
    sa.Column('idempotency_key', sa.String(length=255), nullable=True),
    sa.Column('legacy_id', ID, nullable=True),
    sa.Column('metadata', sa.JSON(), nullable=True),
    sa.ForeignKeyConstraint(['deleted_by'], ['users.id'], name=op.f('fk_entity_files_deleted_by_users')),
    sa.ForeignKeyConstraint(['patient_id'], ['patients.id'], name=op.f('fk_entity_files_patient_id_patients')),
    sa.ForeignKeyConstraint(['uploaded_by'], ['users.id'], name=op.f('fk_entity_files_uploaded_by_users')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_entity_files')),
    sa.UniqueConstraint('file_path', name=op.f('uq_entity_files_file_path')),
    sa.UniqueConstraint('legacy_id', name=op.f('uq_entity_files_legacy_id')),
    sa.UniqueConstraint('uploaded_by', 'idempotency_key', name=op.f('uq_entity_files_uploaded_by_idempotency_key')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_entity_files_category'), 'entity_files', ['category'])
    op.create_index(op.f('ix_entity_files_deleted_at'), 'entity_files', ['deleted_at'])
    op.create_index(op.f('ix_entity_files_entity_type_entity_id_deleted_at'), 'entity_files', ['entity_type', 'entity_id', 'deleted_at'])
    op.create_index(op.f('ix_entity_files_patient_id_deleted_at'), 'entity_files', ['patient_id', 'deleted_at'])
    op.create_index(op.f('ix_entity_files_sha256'), 'entity_files', ['sha256'])
    op.create_index(op.f('ix_entity_files_uploaded_at'), 'entity_files', ['uploaded_at'])

    op.create_table('insurances',
    sa.Column('insurance_type', sa.String(length=50), nullable=False),
    sa.Column('company_name', sa.String(length=255), nullable=False),
    sa.Column('member_name', sa.String(length=255), nullable=False),
    sa.Column('member_id', sa.String(length=100), nullable=False),
    sa.Column('effective_date', sa.Date(), nullable=False),
    sa.Column('employer_group', sa.String(length=255), nullable=True),
    sa.Column('group_number', sa.String(length=100), nullable=True),
    sa.Column('plan_name', sa.String(length=255), nullable=True),
    sa.Column('policy_holder_name', sa.String(length=255), nullable=True),
    sa.Column('relationship_to_holder', sa.String(length=100), nullable=True),
    sa.Column('expiration_date', sa.Date(), nullable=True),
    sa.Column('status', sa.String(length=50), nullable=True),
    sa.Column('is_primary', sa.Boolean(), nullable=False),
    sa.Column('contact_info', sa.JSON(), nullable=True),
    sa.Column('id', ID, nullable=False),
    sa.Column('notes', sa.Text(), nullable=True),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.Column('updated_at', MOMENT, nullable=False),
    sa.Column('deleted_at', MOMENT, nullable=True),
    sa.Column('deleted_by', ID, nullable=True),
    sa.Column('patient_id', ID, nullable=False),
    sa.ForeignKeyConstraint(['patient_id'], ['patients.id'], name=op.f('fk_insurances_patient_id_patients')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_insurances')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_insurances_patient_id'), 'insurances', ['patient_id'])

    op.create_table('lab_results',
    sa.Column('test_name', sa.String(length=255), nullable=False),
    sa.Column('test_code', sa.String(length=50), nullable=True),
    sa.Column('test_category', sa.String(length=100), nullable=True),
    sa.Column('test_type', sa.String(length=100), nullable=True),
    sa.Column('facility', sa.String(length=255), nullable=True),
    sa.Column('status', sa.String(length=50), nullable=True),
    sa.Column('labs_result', sa.String(length=255), nullable=True),
    sa.Column('ordered_date', sa.Date(), nullable=True),
    sa.Column('completed_date', sa.Date(), nullable=True),
    sa.Column('practitioner', sa.String(length=255), nullable=True),
    sa.Column('id', ID, nullable=False),
    sa.Column('notes', sa.Text(), nullable=True),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.Column('updated_at', MOMENT, nullable=False),
    sa.Column('deleted_at', MOMENT, nullable=True),
    sa.Column('deleted_by', ID, nullable=True),
    sa.Column('patient_id', ID, nullable=False),
    sa.ForeignKeyConstraint(['patient_id'], ['patients.id'], name=op.f('fk_lab_results_patient_id_patients')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_lab_results')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_lab_results_patient_id'), 'lab_results', ['patient_id'])

    op.create_table('patient_shares',
    sa.Column('id', ID, nullable=False),
    sa.Column('patient_id', ID, nullable=False),
    sa.Column('user_id', ID, nullable=False),
    sa.Column('level', sa.String(length=10), nullable=False),
    sa.Column('expires_at', MOMENT, nullable=True),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.CheckConstraint("level IN ('view', 'edit')", name=op.f('ck_patient_shares_level')),
    sa.ForeignKeyConstraint(['patient_id'], ['patients.id'], name=op.f('fk_patient_shares_patient_id_patients')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_patient_shares_user_id_users')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_patient_shares')),
    sa.UniqueConstraint('patient_id', 'user_id', name=op.f('uq_patient_shares_patient_id_user_id')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_patient_shares_user_id'), 'patient_shares', ['user_id'])

    op.create_table('procedures',
    sa.Column('procedure_name', sa.String(length=255), nullable=False),
    sa.Column('date', sa.Date(), nullable=False),
    sa.Column('procedure_type', sa.String(length=100), nullable=True),
    sa.Column('procedure_code', sa.String(length=50), nullable=True),
    sa.Column('description', sa.Text(), nullable=True),
    sa.Column('status', sa.String(length=50), nullable=True),
    sa.Column('outcome', sa.Text(), nullable=True),
    sa.Column('facility', sa.String(length=255), nullable=True),
    sa.Column('practitioner', sa.String(length=255), nullable=True),
    sa.Column('id', ID, nullable=False),
    sa.Column('notes', sa.Text(), nullable=True),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.Column('updated_at', MOMENT, nullable=False),
    sa.Column('deleted_at', MOMENT, nullable=True),
    sa.Column('deleted_by', ID, nullable=True),
    sa.Column('patient_id', ID, nullable=False),
    sa.ForeignKeyConstraint(['patient_id'], ['patients.id'], name=op.f('fk_procedures_patient_id_patients')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_procedures')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_procedures_patient_id'), 'procedures', ['patient_id'])

    op.create_table('visits',
    sa.Column('reason', sa.String(length=255), nullable=False),
    sa.Column('date', sa.Date(), nullable=False),
    sa.Column('visit_type', sa.String(length=100), nullable=True),
    sa.Column('chief_complaint', sa.Text(), nullable=True),
    sa.Column('diagnosis', sa.Text(), nullable=True),
    sa.Column('treatment_plan', sa.Text(), nullable=True),
    sa.Column('follow_up_instructions', sa.Text(), nullable=True),
    sa.Column('location', sa.String(length=255), nullable=True),
    sa.Column('practitioner', sa.String(length=255), nullable=True),
    sa.Column('id', ID, nullable=False),
    sa.Column('notes', sa.Text(), nullable=True),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.Column('updated_at', MOMENT, nullable=False),
    sa.Column('deleted_at', MOMENT, nullable=True),
    sa.Column('deleted_by', ID, nullable=True),
    sa.Column('patient_id', ID, nullable=False),
    sa.ForeignKeyConstraint(['patient_id'], ['patients.id'], name=op.f('fk_visits_patient_id_patients')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_visits')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_visits_patient_id'), 'visits', ['patient_id'])

    op.create_table('lab_result_files',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('lab_result_id', ID, nullable=False),
    sa.Column('file_name', sa.String(length=255), nullable=False),
    sa.Column('file_path', sa.String(length=500), nullable=False),
    sa.Column('file_type', sa.String(length=100), nullable=False),
    sa.Column('file_size', sa.Integer(), nullable=True),
    sa.Column('description', sa.Text(), nullable=True),
    sa.Column('uploaded_at', sa.DateTime(), nullable=True),
    sa.ForeignKeyConstraint(['lab_result_id'], ['lab_results.id'], name=op.f('fk_lab_result_files_lab_result_id_lab_results')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_lab_result_files'))
    )
    op.create_index(op.f('ix_lab_result_files_lab_result_id'), 'lab_result_files', ['lab_result_id'])

    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"INSERT INTO sqlite_sequence (name, seq) VALUES ('entity_files', {FIRST_FILE_ID - 1})")


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
