"""What the inbox shows: a row for each document, with the values of its fields and what can be chosen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from medfiles.documents.listing import ListQuery, Page
from medfiles.documents.service import RecordTotals
from medfiles.http import views
from medfiles.http.current import services
from medfiles.http.views import FileView, PanelView, PatientView
from medfiles.i18n import gettext
from medfiles.inbox.scoring import Candidate
from medfiles.inbox.service import Inbox, Item, sure_enough
from medfiles.inbox.suggesting import Suggestion
from medfiles.permissions import Action
from medfiles.record_types.declared import RecordType
from medfiles.web.inbox_form import Form, Place

MOST_RECORDS = 300  # to choose from


@dataclass(frozen=True)
class Group:
    """The records of one type in a list, each as value, title and date."""

    title: str
    records: Sequence[tuple[str, str, object]]


@dataclass(frozen=True)
class Row:
    """A document to be filed, as the page shows it."""

    file: FileView
    patient: PatientView
    other: PatientView | None  # whom it names instead
    suggestion: Suggestion
    record: str  # value of the chosen record; "" if there is none
    type: RecordType | None  # of the chosen record
    groups: Sequence[Group]
    category: str
    document_date: str
    file_name: str
    picked: bool

    @property
    def level(self) -> int:
        """Certainty as a number of bars, from 1 to 3."""
        return {"sure": 3, "likely": 2, "check": 1}[self.suggestion.confidence]

    @property
    def words(self) -> str:
        return [gettext("Please check"), gettext("Likely"), gettext("Sure")][self.level - 1]

    @property
    def why(self) -> str:
        return " ".join(self.suggestion.reasons.values())


def rows(found: Inbox, form: Form | None = None) -> list[Row]:
    files = views.file_views([item.file for item in found.items])
    return [_row(item, file, found, form) for item, file in zip(found.items, files, strict=True)]


def _row(item: Item, file: FileView, found: Inbox, form: Form | None) -> Row:
    patient = views.patient_view(item.patient, found.levels[item.patient.id])
    other = views.patient_view(item.other, found.levels[item.other.id]) if item.other else None
    made = item.suggestion
    is_known = made.record_type is not None and made.record_id is not None
    place = Place(patient.id, made.record_type.name, made.record_id) if is_known else None  # type: ignore[union-attr,arg-type]
    sent = form.by_id.get(file.id) if form else None
    day = made.document_date.isoformat() if made.document_date else ""
    row = Row(
        file, patient, other, made, str(place) if place else "", made.record_type,
        _groups(item.candidates, patient), made.category or "", day, made.file_name or file.file_name,
        picked=place is not None and sure_enough(made.confidence),
    )  # fmt: skip
    if sent is None:
        return row
    kept = (
        sent.category != sent.suggested_category and made.record_type and sent.category in made.record_type.categories
    )
    category = sent.category if kept else row.category
    return replace(
        row, category=category, document_date=sent.document_date, file_name=sent.file_name or row.file_name,
        picked=sent.picked,
    )  # fmt: skip


def _groups(candidates: Sequence[Candidate], patient: PatientView) -> list[Group]:
    registry = services().registry
    general = Group("", [(str(Place(patient.id, registry.patient.name, patient.id)), registry.patient.heading, None)])
    shown = sorted(candidates[:MOST_RECORDS], key=lambda one: [*registry].index(one.record_type))
    by_type = groupby(shown, key=lambda one: one.record_type)
    groups = [
        Group(kind.titles, [(str(Place(patient.id, kind.name, one.id)), one.title, one.day) for one in records])
        for kind, records in by_type
    ]
    return [*groups, general]


def all_groups(shown: Sequence[Row]) -> list[Group]:
    """Return the records of all people on the page, by person and type."""
    found: dict[int, list[Group]] = {}
    for row in shown:
        found.setdefault(row.patient.id, [
            Group(" · ".join(filter(None, (row.patient.name, group.title))), group.records) for group in row.groups
        ])  # fmt: skip
    return [group for groups in found.values() for group in groups]


def upload_panel(patient: PatientView) -> PanelView:
    """Return the widget through which files are added to a patient's inbox."""
    kind = services().registry.patient
    record = views.RecordView(
        id=patient.id, type=kind, patient=patient, title=patient.name, date=None, subtitle=None, tags=(),
        file_count=None, deleted_at=None, can_edit=patient.access != Action.VIEW.value,
    )  # fmt: skip
    return views.panel_view(kind, record, Page((), None, None), (), RecordTotals(0, 0), list_query=ListQuery())
