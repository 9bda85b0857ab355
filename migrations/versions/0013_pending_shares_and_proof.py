"""Pending shares, the token scope `share`, and fresh proof of sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
KEPT = {"sqlite_autoincrement": True}

shares = sa.table(
    "patient_shares",
    *(sa.column(name, ID) for name in ("id", "user_id")),
    *(sa.column(name, sa.String()) for name in ("address", "address_key")),
    *(sa.column(name, MOMENT) for name in ("created_at", "accepted_at")),
)
users = sa.table("users", sa.column("id", ID), sa.column("email", sa.String()))
tokens = sa.table("api_tokens", sa.column("scope", sa.String()))


def upgrade() -> None:
    op.add_column('sessions', sa.Column('proved_at', MOMENT, nullable=True))
    op.add_column('patient_shares', sa.Column('address', sa.String(length=255), nullable=True))
    op.add_column('patient_shares', sa.Column('address_key', sa.String(length=255), nullable=True))
    op.add_column('patient_shares', sa.Column('token_id', ID, nullable=True))
    op.add_column('patient_shares', sa.Column('accepted_at', MOMENT, nullable=True))
    connection = op.get_bind()
    known = sa.select(shares.c.id, shares.c.created_at, users.c.email).join(users, users.c.id == shares.c.user_id)
    for number, created_at, email in connection.execute(known).all():
        values = {"address": email, "address_key": email.lower(), "accepted_at": created_at}
        connection.execute(shares.update().where(shares.c.id == number).values(values))
    highest = _highest_ids()
    with op.batch_alter_table('patient_shares', table_kwargs=KEPT) as batch:
        batch.alter_column('user_id', existing_type=ID, nullable=True)
        batch.alter_column('address', existing_type=sa.String(length=255), nullable=False)
        batch.alter_column('address_key', existing_type=sa.String(length=255), nullable=False)
        batch.create_unique_constraint('uq_patient_shares_patient_id_address_key', ['patient_id', 'address_key'])
        batch.create_check_constraint(
            op.f('ck_patient_shares_accepted'), '(user_id IS NULL) = (accepted_at IS NULL)'
        )
    op.create_index('ix_patient_shares_address_key', 'patient_shares', ['address_key'])
    _allow_scopes("'read', 'write', 'share'")
    _keep_ids(highest)


def downgrade() -> None:
    connection = op.get_bind()
    connection.execute(shares.delete().where(shares.c.accepted_at.is_(None)))
    connection.execute(tokens.update().where(tokens.c.scope == "share").values(scope="write"))
    highest = _highest_ids()
    op.drop_index('ix_patient_shares_address_key', 'patient_shares')
    with op.batch_alter_table('patient_shares', table_kwargs=KEPT) as batch:
        batch.drop_constraint(op.f('ck_patient_shares_accepted'), type_='check')
        batch.drop_constraint('uq_patient_shares_patient_id_address_key', type_='unique')
        batch.alter_column('user_id', existing_type=ID, nullable=False)
        for name in ('address', 'address_key', 'token_id', 'accepted_at'):
            batch.drop_column(name)
    _allow_scopes("'read', 'write'")
    _keep_ids(highest)
    op.drop_column('sessions', 'proved_at')


def _allow_scopes(scopes: str) -> None:
    with op.batch_alter_table('api_tokens', table_kwargs=KEPT) as batch:
        batch.drop_constraint(op.f('ck_api_tokens_scope'), type_='check')
        batch.create_check_constraint(op.f('ck_api_tokens_scope'), f"scope IN ({scopes})")


def _highest_ids() -> dict[str, int]:
    """Return the highest ids ever assigned, which SQLite forgets when a table is copied."""
    if op.get_bind().dialect.name != "sqlite":
        return {}
    query = sa.text("SELECT name, seq FROM sqlite_sequence WHERE name IN ('patient_shares', 'api_tokens')")
    return {name: highest for name, highest in op.get_bind().execute(query)}


def _keep_ids(highest: dict[str, int]) -> None:
    for name, number in highest.items():
        op.get_bind().execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": name})
        keep = sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :highest)")
        op.get_bind().execute(keep, {"name": name, "highest": number})
