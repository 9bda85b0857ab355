"""The record types that documents can be attached to. Declare new ones here."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from medfiles.errors import Forbidden, NotFound
from medfiles.i18n import N_, gettext, translated
from medfiles.models import Insurance, LabResult, Patient, Procedure, RecordMixin, Visit
from medfiles.record_types.additional import AdditionalDocuments
from medfiles.record_types.fields import PATIENT_FIELDS, Field
from medfiles.record_types.media_types import with_aliases, with_implied, words_for

MB = 1024 * 1024
ALL_OPERATIONS = frozenset({"upload", "download", "delete", "preview"})
LABELS = {  # of categories
    "card": N_("Insurance card"),
    "claim": N_("Claim"),
    "correspondence": N_("Correspondence"),
    "directive": N_("Advance directive"),
    "document": N_("Document"),
    "eob": N_("Explanation of benefits"),
    "id": N_("ID"),
    "image": N_("Image"),
    "medication": N_("Medication"),
    "other": N_("Other"),
    "policy": N_("Policy"),
    "prescription": N_("Prescription"),
    "referral": N_("Referral"),
    "report": N_("Report"),
    "result": N_("Result"),
    "summary": N_("Summary"),
    "test_order": N_("Test order"),
    "vaccination": N_("Vaccination"),
}


@translated("title", "titles", "noun", "nouns", "heading", "hint")
@dataclass(frozen=True)
class RecordType:
    """A record type: its table, limits and fields, and what its cards show.

    Its words are translated when they are read.
    """

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
    noun: str = ""  # the title within a sentence: "visit"
    nouns: str = ""  # "visits"
    heading: str = N_("Documents")  # of the list of documents
    hint: str = ""  # which documents belong in an empty list

    def __post_init__(self) -> None:
        object.__setattr__(self, "noun", self.noun or self.title.lower())
        object.__setattr__(self, "nouns", self.nouns or self.titles.lower())

    def title_of(self, record: RecordMixin) -> str:
        return str(getattr(record, self.title_field))

    def date_of(self, record: RecordMixin) -> date | None:
        return next(filter(None, (getattr(record, name) for name in self.date_fields)), None)

    def category_label(self, category: str) -> str:
        return gettext(LABELS.get(category, category.replace("_", " ").capitalize()))

    @property
    def category_labels(self) -> Sequence[tuple[str, str]]:
        """Pairs of category and label for forms, such as ("summary", "Summary")."""
        return [(category, self.category_label(category)) for category in self.categories]

    def allow(self, operation: str) -> None:
        """Raise Forbidden unless documents of this type support the operation."""
        if operation not in self.operations:
            raise Forbidden(gettext("%(title)s documents do not support this.", title=self.title))

    @property
    def takes(self) -> tuple[str, ...]:
        """The extensions under which documents are kept: `accepts`, and those that it implies."""
        return with_implied(self.accepts)

    @property
    def picked_by_extension(self) -> tuple[str, ...]:
        """The extensions that file pickers offer. None if images from CDs are accepted, which have no extension."""
        return () if ".dcm" in self.accepts else with_aliases(self.takes)

    @property
    def accepts_words(self) -> str:
        """The accepted formats in words: "PDF, Word, JPG, PNG or text"."""
        return words_for(self.accepts)


class Registry:
    """The record types of an installation, looked up by name or plural, and its additional documents.

    Iteration yields the types of records. `every` also contains `patient`, because documents that belong to no single
    record are attached to the patient.
    """

    def __init__(self, types: Iterable[RecordType], patient: RecordType | None = None) -> None:
        self.additional = AdditionalDocuments()
        self.patient = patient or PATIENT
        self._types = tuple(types)
        self.every = (*self._types, self.patient)
        self._by_name = {name: kind for kind in self.every for name in (kind.name, kind.plural)}

    def __iter__(self) -> Iterator[RecordType]:
        return iter(self._types)

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories of all documents, each once."""
        return tuple(dict.fromkeys(category for record_type in self.every for category in record_type.categories))

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> RecordType:
        try:
            return self._by_name[name]
        except KeyError:
            raise NotFound() from None


NOTES = Field("notes", N_("Notes"), "text")
STATUS_OF_TEST = (N_("Ordered"), N_("In progress"), N_("Completed"), N_("Cancelled"))
STATUS_OF_PROCEDURE = (N_("Planned"), N_("Completed"), N_("Cancelled"))
LAB_RESULT_FILES = (
    ".pdf", ".jpg", ".jpeg", ".png", ".tiff", ".tif", ".bmp", ".gif",
    ".txt", ".csv", ".xml", ".json", ".doc", ".docx", ".xls", ".xlsx", ".heic",
)  # fmt: skip

LAB_RESULT = RecordType(
    name="lab-result",
    plural="lab-results",
    directory="lab-results",
    model=LabResult,
    title=N_("Lab result"),
    titles=N_("Lab results"),
    noun=N_("lab result"),
    nouns=N_("lab results"),
    icon="flask-conical",
    accepts=LAB_RESULT_FILES,
    max_size=25 * MB,
    max_files=200,
    categories=("result", "report", "image", "document"),
    title_field="test_name",
    date_fields=("completed_date", "ordered_date"),
    subtitle_fields=("facility", "practitioner"),
    tag_fields=("status", "test_category"),
    fields=(
        Field("test_name", N_("Test name"), required=True, hint=N_("For example: Blood count"), example="Blood count"),
        Field("labs_result", N_("Result"), hint=N_("For example: Normal, 5.4 mmol/L"), example="Normal"),
        Field("status", N_("Status"), limit=50, choices=STATUS_OF_TEST),
        Field("ordered_date", N_("Ordered on"), "date"),
        Field("completed_date", N_("Completed on"), "date", example="2026-05-12"),
        Field("facility", N_("Laboratory")),
        Field("practitioner", N_("Ordered by")),
        Field(
            "test_category", N_("Category"), limit=100,
            choices=(N_("Blood"), N_("Urine"), N_("Imaging"), N_("Genetics"), N_("Microbiology")),
        ),
        Field("test_type", N_("Type of test"), limit=100),
        Field("test_code", N_("Code"), limit=50, hint=N_("LOINC or the laboratory’s own code")),
        NOTES,
    ),
)  # fmt: skip

INSURANCE = RecordType(
    name="insurance",
    plural="insurances",
    directory="insurance",
    model=Insurance,
    title=N_("Insurance"),
    titles=N_("Insurance"),
    noun=N_("insurance"),
    nouns=N_("insurance"),
    icon="shield-check",
    accepts=(".pdf", ".jpg", ".jpeg", ".png", ".doc", ".docx", ".heic"),
    max_size=25 * MB,
    max_files=200,
    categories=("card", "policy", "claim", "eob", "correspondence"),
    title_field="company_name",
    date_fields=("effective_date",),
    subtitle_fields=("plan_name", "insurance_type"),
    tag_fields=("status", "insurance_type"),
    fields=(
        Field(
            "insurance_type", N_("Type of insurance"), limit=50,
            choices=(N_("Medical"), N_("Dental"), N_("Vision"), N_("Prescription")),
        ),
        Field("company_name", N_("Insurer"), required=True, example="Sample Mutual"),
        Field("member_name", N_("Name on the card"), example="Ella Sample"),
        Field("member_id", N_("Member ID"), limit=100, example="SM-2018-0042"),
        Field("effective_date", N_("Effective date"), "date"),
        Field("expiration_date", N_("Expires"), "date"),
        Field("status", N_("Status"), limit=50, choices=(N_("Active"), N_("Inactive"), N_("Expired"), N_("Pending"))),
        Field("is_primary", N_("Primary insurance"), "boolean"),
        Field("plan_name", N_("Plan")),
        Field("group_number", N_("Group number"), limit=100),
        Field("employer_group", N_("Employer or group")),
        Field("policy_holder_name", N_("Policyholder")),
        Field(
            "relationship_to_holder", N_("Relationship to policyholder"), limit=100,
            choices=(N_("Self"), N_("Spouse"), N_("Child"), N_("Other")),
        ),
        Field(
            "contact_info", N_("Contact"), "object",
            parts=(
                ("phone", N_("Phone")), ("email", N_("Email")), ("website", N_("Website")), ("address", N_("Address")),
            ),
        ),
        NOTES,
    ),
)  # fmt: skip

VISIT = RecordType(
    name="visit",
    plural="visits",
    directory="visits",
    model=Visit,
    title=N_("Visit"),
    titles=N_("Visits"),
    noun=N_("visit"),
    nouns=N_("visits"),
    icon="stethoscope",
    accepts=(".pdf", ".doc", ".docx", ".jpg", ".jpeg", ".png", ".txt", ".heic"),
    max_size=25 * MB,
    max_files=200,
    categories=("summary", "referral", "prescription", "test_order", "correspondence"),
    title_field="reason",
    date_fields=("date",),
    subtitle_fields=("location", "practitioner"),
    tag_fields=("visit_type",),
    fields=(
        Field(
            "reason", N_("Reason for the visit"), required=True,
            hint=N_("For example: Annual check-up"), example="Annual check-up",
        ),
        Field("date", N_("Date"), "date", required=True),
        Field(
            "visit_type", N_("Type of visit"), limit=100,
            choices=(N_("Primary care"), N_("Specialist"), N_("Emergency"), N_("Telehealth"), N_("Dental")),
        ),
        Field("location", N_("Location"), example="Health center"),
        Field("practitioner", N_("Clinician")),
        Field("chief_complaint", N_("Chief complaint"), "text"),
        Field("diagnosis", N_("Diagnosis"), "text"),
        Field("treatment_plan", N_("Plan"), "text"),
        Field("follow_up_instructions", N_("Follow-up"), "text"),
        NOTES,
    ),
)  # fmt: skip

PROCEDURE = RecordType(
    name="procedure",
    plural="procedures",
    directory="procedures",
    model=Procedure,
    title=N_("Procedure"),
    titles=N_("Procedures"),
    noun=N_("procedure"),
    nouns=N_("procedures"),
    icon="activity",
    accepts=(".pdf", ".doc", ".docx", ".jpg", ".jpeg", ".png", ".dcm", ".heic"),
    max_size=50 * MB,
    max_files=200,
    categories=("consent", "report", "image", "instructions", "billing"),
    title_field="procedure_name",
    date_fields=("date",),
    subtitle_fields=("facility", "practitioner"),
    tag_fields=("status", "procedure_type"),
    fields=(
        Field(
            "procedure_name", N_("Procedure name"), required=True, hint=N_("For example: Knee X-ray"),
            example="Knee X-ray",
        ),
        Field("date", N_("Date"), "date", required=True),
        Field(
            "procedure_type", N_("Type of procedure"), limit=100,
            choices=(N_("Imaging"), N_("Surgery"), N_("Endoscopy"), N_("Dental"), N_("Vaccination"), N_("Therapy")),
        ),
        Field("status", N_("Status"), limit=50, choices=STATUS_OF_PROCEDURE),
        Field("facility", N_("Location")),
        Field("practitioner", N_("Performed by")),
        Field("procedure_code", N_("Code"), limit=50, hint=N_("CPT or similar code")),
        Field("description", N_("Description"), "text"),
        Field("outcome", N_("Outcome"), "text", example="No fracture."),
        NOTES,
    ),
)  # fmt: skip

RECORD_TYPES = (LAB_RESULT, VISIT, PROCEDURE, INSURANCE)

PATIENT = RecordType(
    name="patient",
    plural="patients",
    directory="patients",
    model=Patient,  # not a record, but has the attributes that documents need
    title=N_("Patient"),
    titles=N_("Patients"),
    noun=N_("patient"),
    nouns=N_("patients"),
    heading=N_("General documents"),
    hint=N_("ID, vaccination record, medication plan: anything that belongs to no single visit or result."),
    icon="user",
    accepts=tuple(dict.fromkeys(extension for kind in RECORD_TYPES for extension in kind.accepts)),
    max_size=50 * MB,
    max_files=10_000,
    categories=("id", "vaccination", "medication", "directive", "correspondence", "other"),
    title_field="full_name",
    date_fields=(),
    fields=PATIENT_FIELDS,
)
