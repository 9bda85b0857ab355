"""The record types that documents can be attached to. Declare new ones here."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from medfiles.errors import Forbidden, NotFound
from medfiles.models import Insurance, LabResult, Procedure, RecordMixin, Visit
from medfiles.record_types.additional import AdditionalDocuments
from medfiles.record_types.fields import Field
from medfiles.record_types.media_types import BY_EXTENSION

MB = 1024 * 1024
ALL_OPERATIONS = frozenset({"upload", "download", "delete", "preview"})
LABELS = {"eob": "Explanation of benefits", "test_order": "Test order", "card": "Insurance card"}


@dataclass(frozen=True)
class RecordType:
    """A record type: its table, limits and fields, and what its cards show."""

    name: str  # "visit": in URLs, CSS classes and events
    plural: str  # "visits": in a patient's URLs
    directory: str
    model: type[RecordMixin]
    title: str  # "Visit"
    titles: str  # "Visits": tabs and headings
    icon: str  # name of a file in static/icons
    accepts: tuple[str, ...]  # (".pdf", ".doc", ...)
    max_size: int  # bytes
    max_files: int
    categories: tuple[str, ...]
    fields: tuple[Field, ...]
    title_field: str
    date_fields: tuple[str, ...]  # the first one set is the record's date
    subtitle_fields: tuple[str, ...] = ()
    tag_fields: tuple[str, ...] = ()
    operations: frozenset[str] = field(default=ALL_OPERATIONS)

    @property
    def noun(self) -> str:
        """The title within a sentence: "lab result"."""
        return self.title.lower()

    @property
    def nouns(self) -> str:
        """The plural within a sentence: "lab results"."""
        return self.titles.lower()

    def title_of(self, record: RecordMixin) -> str:
        return str(getattr(record, self.title_field))

    def date_of(self, record: RecordMixin) -> date | None:
        return next(filter(None, (getattr(record, name) for name in self.date_fields)), None)

    def category_label(self, category: str) -> str:
        return LABELS.get(category, category.replace("_", " ").capitalize())

    @property
    def category_labels(self) -> Sequence[tuple[str, str]]:
        """Pairs of category and label for forms, such as ("summary", "Summary")."""
        return [(category, self.category_label(category)) for category in self.categories]

    def allow(self, operation: str) -> None:
        """Raise Forbidden unless documents of this type support the operation."""
        if operation not in self.operations:
            raise Forbidden(f"{self.title} documents do not support this.")

    @property
    def accepts_words(self) -> str:
        """The accepted formats in words: "PDF, Word, JPG, PNG or text"."""
        words = list(dict.fromkeys(BY_EXTENSION[extension].label for extension in self.accepts))
        return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


class Registry:
    """The record types of an installation, looked up by name or plural, and its additional documents."""

    def __init__(self, types: Iterable[RecordType]) -> None:
        self.additional = AdditionalDocuments()
        self._types = tuple(types)
        self._by_name = {name: kind for kind in self._types for name in (kind.name, kind.plural)}

    def __iter__(self) -> Iterator[RecordType]:
        return iter(self._types)

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories of all record types, each once."""
        return tuple(dict.fromkeys(category for record_type in self for category in record_type.categories))

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> RecordType:
        try:
            return self._by_name[name]
        except KeyError:
            raise NotFound() from None


NOTES = Field("notes", "Notes", "text")
STATUS_OF_TEST = ("Ordered", "In progress", "Completed", "Cancelled")
STATUS_OF_PROCEDURE = ("Planned", "Completed", "Cancelled")
LAB_RESULT_FILES = (
    ".pdf", ".jpg", ".jpeg", ".png", ".tiff", ".tif", ".bmp", ".gif",
    ".txt", ".csv", ".xml", ".json", ".doc", ".docx", ".xls", ".xlsx", ".heic",
)  # fmt: skip

LAB_RESULT = RecordType(
    name="lab-result",
    plural="lab-results",
    directory="lab-results",
    model=LabResult,
    title="Lab result",
    titles="Lab results",
    icon="flask-conical",
    accepts=LAB_RESULT_FILES,
    max_size=10 * MB,
    max_files=10,
    categories=("result", "report", "image", "document"),
    title_field="test_name",
    date_fields=("completed_date", "ordered_date"),
    subtitle_fields=("facility", "practitioner"),
    tag_fields=("status", "test_category"),
    fields=(
        Field("test_name", "Test name", required=True, hint="For example: Blood count", example="Blood count"),
        Field("labs_result", "Result", hint="For example: Normal, 5.4 mmol/L", example="Normal"),
        Field("status", "Status", limit=50, choices=STATUS_OF_TEST),
        Field("ordered_date", "Ordered on", "date"),
        Field("completed_date", "Completed on", "date", example="2026-05-12"),
        Field("facility", "Laboratory"),
        Field("practitioner", "Ordered by"),
        Field(
            "test_category", "Category", limit=100, choices=("Blood", "Urine", "Imaging", "Genetics", "Microbiology")
        ),
        Field("test_type", "Type of test", limit=100),
        Field("test_code", "Code", limit=50, hint="LOINC or the laboratory’s own code"),
        NOTES,
    ),
)  # fmt: skip

INSURANCE = RecordType(
    name="insurance",
    plural="insurances",
    directory="insurance",
    model=Insurance,
    title="Insurance",
    titles="Insurance",
    icon="shield-check",
    accepts=(".pdf", ".jpg", ".jpeg", ".png", ".doc", ".docx", ".heic"),
    max_size=5 * MB,
    max_files=5,
    categories=("card", "policy", "claim", "eob", "correspondence"),
    title_field="company_name",
    date_fields=("effective_date",),
    subtitle_fields=("plan_name", "insurance_type"),
    tag_fields=("status", "insurance_type"),
    fields=(
        Field(
            "insurance_type", "Type of insurance", required=True, limit=50,
            choices=("Medical", "Dental", "Vision", "Prescription"),
        ),
        Field("company_name", "Insurer", required=True, example="Sample Mutual"),
        Field("member_name", "Name on the card", required=True, example="Ella Sample"),
        Field("member_id", "Member ID", required=True, limit=100, example="SM-2018-0042"),
        Field("effective_date", "Effective date", "date", required=True),
        Field("expiration_date", "Expires", "date"),
        Field("status", "Status", limit=50, choices=("Active", "Inactive", "Expired", "Pending")),
        Field("is_primary", "Primary insurance", "boolean"),
        Field("plan_name", "Plan"),
        Field("group_number", "Group number", limit=100),
        Field("employer_group", "Employer or group"),
        Field("policy_holder_name", "Policyholder"),
        Field(
            "relationship_to_holder", "Relationship to policyholder", limit=100,
            choices=("Self", "Spouse", "Child", "Other"),
        ),
        Field(
            "contact_info", "Contact", "object",
            parts=(("phone", "Phone"), ("email", "Email"), ("website", "Website"), ("address", "Address")),
        ),
        NOTES,
    ),
)  # fmt: skip

VISIT = RecordType(
    name="visit",
    plural="visits",
    directory="visits",
    model=Visit,
    title="Visit",
    titles="Visits",
    icon="stethoscope",
    accepts=(".pdf", ".doc", ".docx", ".jpg", ".jpeg", ".png", ".txt", ".heic"),
    max_size=15 * MB,
    max_files=8,
    categories=("summary", "referral", "prescription", "test_order", "correspondence"),
    title_field="reason",
    date_fields=("date",),
    subtitle_fields=("location", "practitioner"),
    tag_fields=("visit_type",),
    fields=(
        Field(
            "reason", "Reason for the visit", required=True,
            hint="For example: Annual check-up", example="Annual check-up",
        ),
        Field("date", "Date", "date", required=True),
        Field(
            "visit_type", "Type of visit", limit=100,
            choices=("Primary care", "Specialist", "Emergency", "Telehealth", "Dental"),
        ),
        Field("location", "Location", example="Health center"),
        Field("practitioner", "Clinician"),
        Field("chief_complaint", "Chief complaint", "text"),
        Field("diagnosis", "Diagnosis", "text"),
        Field("treatment_plan", "Plan", "text"),
        Field("follow_up_instructions", "Follow-up", "text"),
        NOTES,
    ),
)  # fmt: skip

PROCEDURE = RecordType(
    name="procedure",
    plural="procedures",
    directory="procedures",
    model=Procedure,
    title="Procedure",
    titles="Procedures",
    icon="activity",
    accepts=(".pdf", ".doc", ".docx", ".jpg", ".jpeg", ".png", ".dcm", ".heic"),
    max_size=20 * MB,
    max_files=12,
    categories=("consent", "report", "image", "instructions", "billing"),
    title_field="procedure_name",
    date_fields=("date",),
    subtitle_fields=("facility", "practitioner"),
    tag_fields=("status", "procedure_type"),
    fields=(
        Field("procedure_name", "Procedure name", required=True, hint="For example: Knee X-ray", example="Knee X-ray"),
        Field("date", "Date", "date", required=True),
        Field(
            "procedure_type", "Type of procedure", limit=100,
            choices=("Imaging", "Surgery", "Endoscopy", "Dental", "Vaccination", "Therapy"),
        ),
        Field("status", "Status", limit=50, choices=STATUS_OF_PROCEDURE),
        Field("facility", "Location"),
        Field("practitioner", "Performed by"),
        Field("procedure_code", "Code", limit=50, hint="CPT or similar code"),
        Field("description", "Description", "text"),
        Field("outcome", "Outcome", "text", example="No fracture."),
        NOTES,
    ),
)  # fmt: skip

RECORD_TYPES = (LAB_RESULT, VISIT, PROCEDURE, INSURANCE)
