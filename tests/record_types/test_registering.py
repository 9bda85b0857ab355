"""An application around medfiles registers a record type by an argument of `create_app`."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

from sqlalchemy import ForeignKey, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from medfiles.database.session import NAMING, db
from medfiles.models import Patient, RecordMixin
from medfiles.record_types.declared import MB, RECORD_TYPES, RecordType
from medfiles.record_types.fields import Field
from medfiles.sandbox.pool import Sandbox
from tests.support.factories import at_work, make_app, token_of
from tests.support.shared_installation import environ_in


class Base(DeclarativeBase):
    """Metadata of its own: the tables of the product stay as the migrations have them."""

    metadata = MetaData(naming_convention=NAMING)


class Allergy(RecordMixin, Base):
    __tablename__ = "allergies"

    substance: Mapped[str] = mapped_column(String(255))
    noticed_on: Mapped[date]
    patient_id: Mapped[int] = mapped_column(ForeignKey(Patient.__table__.c.id), index=True)


ALLERGY = RecordType(
    name="allergy", plural="allergies", directory="allergies", model=Allergy,
    title="Allergy", titles="Allergies", icon="triangle-alert",
    accepts=(".pdf",), max_size=1 * MB, max_files=3, categories=("certificate",),
    title_field="substance", date_fields=("noticed_on",),
    fields=(
        Field("substance", "Substance", required=True),
        Field("noticed_on", "Noticed on", "date", required=True),
        Field("notes", "Notes", "text"),
    ),
)  # fmt: skip


def test_a_record_type_given_to_create_app_has_pages_and_documents(
    tmp_path: Path, new_database: Callable[[Path], str], sandbox: Sandbox, renderers: Sandbox
) -> None:
    app = make_app(environ_in(tmp_path, new_database(tmp_path)), sandbox, renderers, (*RECORD_TYPES, ALLERGY))
    with at_work(app) as world:
        Base.metadata.create_all(db.engine)
        client, listing = world.client(), f"/patients/{world.patient().id}/allergies"
        entered = {"substance": "Penicillin", "noticed_on": "2026-05-12"}
        created = client.post(f"{listing}/new", data=entered, headers={"X-CSRFToken": token_of(client)})
        assert created.status_code == 303
        db.session.rollback()  # end the read that began before the record was there
        record = db.session.get_one(Allergy, int(created.location.rpartition("/")[2]))
        file_id = world.attach(record, "letter.pdf").id
        assert "Penicillin" in client.get(listing).text
        assert "letter.pdf" in client.get(f"/documents/allergy/{record.id}").text
        assert client.get(f"/documents/files/{file_id}/download", buffered=True).status_code == 200
    assert "allergies" not in db.metadata.tables
