"""The tables. Importing this package makes every one of them known to the metadata."""

from medfiles.models.accounts import Role, Session, User, roles_users
from medfiles.models.api_tokens import ApiToken
from medfiles.models.audit import AuditEvent, AuditPrivate, AuditSeal
from medfiles.models.cancelled_uploads import CancelledUpload
from medfiles.models.documents import FIRST_FILE_ID, EntityFile
from medfiles.models.integrity import FixityFinding, LastRun
from medfiles.models.jobs import Job
from medfiles.models.journal import StorageJournal
from medfiles.models.legacy import LabResultFile, LegacyId, LegacySource
from medfiles.models.records import Insurance, LabResult, Patient, PatientShare, Procedure, RecordMixin, Visit
from medfiles.models.renditions import Rendition

__all__ = [
    "FIRST_FILE_ID",
    "ApiToken",
    "AuditEvent",
    "AuditPrivate",
    "AuditSeal",
    "CancelledUpload",
    "EntityFile",
    "FixityFinding",
    "Insurance",
    "Job",
    "LabResult",
    "LabResultFile",
    "LastRun",
    "LegacyId",
    "LegacySource",
    "Patient",
    "PatientShare",
    "Procedure",
    "RecordMixin",
    "Rendition",
    "Role",
    "Session",
    "StorageJournal",
    "User",
    "Visit",
    "roles_users",
]
