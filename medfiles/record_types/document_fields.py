"""The details of a document, such as its name, description and category.

To add a detail, add an entry to DOCUMENT_FIELDS, a column of the same name to `models.documents.EntityFile`, and a
migration. Forms, upload parameters, JSON, OpenAPI, editing, search, sort orders and filters are derived from the entry.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import event

from medfiles.i18n import N_
from medfiles.models import EntityFile
from medfiles.record_types.fields import Field
from medfiles.text import fold


@dataclass(frozen=True)
class DocumentField(Field):
    """A document detail. `kind` can also be file_name or category.

    about     description for the API documentation
    upload    whether it can be sent with an upload; the name comes from the file itself
    search    whether searches include it
    sort      whether lists can be sorted by it; text needs a `CodePoints` column
    sort_by   the column with its sort value, if not its own
    filter    whether lists can be filtered by one of its values, or by "none"
    """

    about: str = ""
    upload: bool = True
    search: bool = False
    sort: bool = False
    sort_by: str = ""
    filter: bool = False


DOCUMENT_FIELDS = (
    DocumentField(
        "file_name", N_("Name"), "file_name", required=True,
        about="1 to 255 characters; the extension cannot be changed",
        example="Referral.pdf", upload=False, search=True,
    ),
    DocumentField(
        "description", N_("Description"), "text", limit=1000, about="What it is", example="For the orthopedist",
        search=True,
    ),
    DocumentField(
        "category", N_("Category"), "category", limit=100, about="One of the record type's categories",
        example="referral", filter=True,
    ),
    DocumentField(
        "document_date", N_("Document date"), "date", about="The date on the document itself, if it has one",
        example="2026-05-12", sort=True, sort_by="dated_on",
    ),
)  # fmt: skip
UPLOAD_FIELDS = tuple(field for field in DOCUMENT_FIELDS if field.upload)
FILTER_FIELDS = tuple(field for field in DOCUMENT_FIELDS if field.filter)
FORM_FIELDS = tuple(sorted(DOCUMENT_FIELDS, key=lambda field: field.kind == "text"))  # long texts last
SEARCHED = tuple(field.name for field in DOCUMENT_FIELDS if field.search)


def _update_search_text(file: EntityFile, value: Any, _: Any, change: Any) -> None:
    texts = {name: getattr(file, name) for name in SEARCHED} | {change.key: value}
    file.search_text = fold("\n".join(str(text) for text in texts.values() if text))


for _name in SEARCHED:
    event.listen(getattr(EntityFile, _name), "set", _update_search_text)
