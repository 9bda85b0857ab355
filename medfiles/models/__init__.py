"""The database tables. Importing this package registers all of them with the metadata."""

from medfiles.models.accounts import BCRYPT, ApiToken, Role, Session, User
from medfiles.models.audit import AuditEvent, AuditPrivate, AuditSeal
from medfiles.models.documents import (
    FIRST_FILE_ID,
    CancelledUpload,
    DocumentMove,
    EntityFile,
    PageText,
    Rendition,
    UploadKey,
)
from medfiles.models.jobs import HousekeepingRound, Job, LastRun
from medfiles.models.legacy import LabResultFile, LegacyId, LegacySource
from medfiles.models.links import ShareLink, ShareLinkDocument, SmartLink, SmartLinkDocument
from medfiles.models.records import (
    Insurance,
    LabResult,
    Patient,
    PatientPin,
    PatientShare,
    Procedure,
    RecordMixin,
    TrashMixin,
    Visit,
)
from medfiles.models.search import SearchEntry
from medfiles.models.storage import FixityFinding, StorageJournal
