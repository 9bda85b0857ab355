"""The errors of medfiles. http.errors maps their codes to HTTP statuses."""

from collections.abc import Mapping
from typing import Any, Self


class MedfilesError(Exception):
    """Base class: `code` is for programs, `message` or else `default` for people."""

    code = "error"
    default = ""

    def __init__(self, message: str = "") -> None:
        self.message = message or self.default
        super().__init__(self.message)


def error_code(error: Exception) -> str:
    """Return the code that names any error in the log."""
    return error.code if isinstance(error, MedfilesError) else type(error).__name__


class SignedOut(MedfilesError):
    """The request needs an account and has none."""

    code = "signed-out"
    default = "You were signed out. Sign in again to continue. Your saved changes are safe."


OTHER_HOST = "This server is not available under this name. Go to {} instead."


class WrongHost(MedfilesError):
    """The request names a host that is not the installation's public one."""

    code = "wrong-host"


class NotFound(MedfilesError):
    """Absent, or the account has no access: the two cannot be told apart."""

    code = "not-found"
    default = "This page or document does not exist, or you do not have access to it."


class Forbidden(MedfilesError):
    """The account may see this, but not do this to it."""

    code = "forbidden"
    default = "You can view this but not change it."


class OutOfScope(Forbidden):
    """The API token does not allow this, even if its owner may do it."""

    code = "scope"


class ProofNeeded(Forbidden):
    """A change of how one signs in needs fresh proof: password and, where set, a code."""

    def __init__(self, message: str = "Confirm your password, then try again.") -> None:
        super().__init__(message)


class Conflict(MedfilesError):
    """The request conflicts with the current state."""

    code = "conflict"


class BeingChecked(Conflict):
    code = "being-checked"
    default = "This document has not been scanned for malware yet. Try again later."


class Quarantined(Conflict):
    code = "quarantined"
    default = "Malware was found in this document. You can delete it but not open it."


class EditConflict(Conflict):
    """Two people changed the same fields to different values.

    `conflicts` maps the names of these fields to the value that was sent and the value that is stored.
    """

    def __init__(self, conflicts: Mapping[str, tuple[Any, Any]]) -> None:
        super().__init__("Someone else changed this after you opened it. Choose which values to save.")
        self.conflicts = conflicts


class Outdated(MedfilesError):
    """It was changed after the client read it."""

    code = "outdated"
    default = "This has changed since you opened it. Reload it before saving."


class TooMany(Conflict):
    code = "too-many"


class OverQuota(Conflict):
    """The patient's owner has no storage left."""

    code = "quota"


class TooManyUploads(MedfilesError):
    """The account has as many uploads under way as it may have at a time."""

    code = "too-many-uploads"
    default = "You are uploading too many files at once. Please try again in a moment."


class Rejected(MedfilesError):
    """Invalid input; nothing of it is stored.

    `fields` maps the names of invalid fields or parameters to messages.
    """

    code = "rejected"

    def __init__(self, message: str, fields: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields = fields or {}

    @classmethod
    def about(cls, field: str, message: str) -> Self:
        """Reject one field or query parameter."""
        return cls(message, {field: message})


class TooLarge(Rejected):
    code = "too-large"


class TypeNotAllowed(Rejected):
    code = "type-not-allowed"


class ContentMismatch(Rejected):
    code = "content-mismatch"


class BadName(Rejected):
    code = "bad-name"


class EmptyFile(Rejected):
    code = "empty-file"


class Truncated(Rejected):
    code = "truncated"


class Infected(Rejected):
    """`signature` is the scanner's name for the malware."""

    code = "infected"

    def __init__(self, message: str, signature: str = "") -> None:
        super().__init__(message)
        self.signature = signature


class StorageError(MedfilesError):
    """The storage does not answer as it should."""

    code = "storage"
    default = "The document store is unavailable. Please try again."


class BlobMissing(StorageError):
    code = "blob-missing"
    default = "The content of this document is missing. Contact your administrator."


class KeyTaken(StorageError):
    code = "key-taken"


class BadKey(StorageError):
    code = "bad-key"


class IntegrityFailed(StorageError):
    code = "integrity"
    default = "This document is damaged. Contact your administrator."


class DatabaseUnavailable(StorageError):
    """The database did not answer; the last commit may or may not have taken effect."""

    code = "database"
    default = "The database is unavailable. Please try again."
