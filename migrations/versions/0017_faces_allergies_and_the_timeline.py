"""Colors and allergies of patients, and indexes of the timeline and of a patient's documents."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

HUES = 8
TIMELINES = {
    "lab_results": ("completed_date", "ordered_date", "created_at"),
    "insurances": ("effective_date",),
    "visits": ("date",),
    "procedures": ("date",),
}


def upgrade() -> None:
    op.add_column('patients', sa.Column('allergies', sa.String(length=500), nullable=True))
    # One statement, because on SQLite another constraint would need a new table, to which all records refer.
    op.execute(
        "ALTER TABLE patients ADD COLUMN hue SMALLINT DEFAULT 1 NOT NULL "
        f"CONSTRAINT ck_patients_hue CHECK (hue BETWEEN 1 AND {HUES})"
    )
    op.execute(
        "UPDATE patients SET hue = numbered.hue FROM (SELECT id, "
        f"(row_number() OVER (PARTITION BY user_id ORDER BY id) - 1) % {HUES} + 1 AS hue FROM patients) AS numbered "
        "WHERE numbered.id = patients.id"
    )
    for table, dated_by in TIMELINES.items():
        columns = ["patient_id", "deleted_at", *dated_by, "id"]
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns)
    op.create_index(
        op.f('ix_entity_files_patient_id_deleted_at_uploaded_at_id'),
        'entity_files',
        ['patient_id', 'deleted_at', 'uploaded_at', 'id'],
    )
    op.drop_index('ix_entity_files_patient_id_deleted_at', 'entity_files')


def downgrade() -> None:
    op.create_index('ix_entity_files_patient_id_deleted_at', 'entity_files', ['patient_id', 'deleted_at'])
    op.drop_index('ix_entity_files_patient_id_deleted_at_uploaded_at_id', 'entity_files')
    for table, dated_by in TIMELINES.items():
        op.drop_index(op.f(f"ix_{table}_{'_'.join(['patient_id', 'deleted_at', *dated_by, 'id'])}"), table)
    op.drop_column('patients', 'hue')
    op.drop_column('patients', 'allergies')
