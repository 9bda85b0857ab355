"""The error tree. Each error carries a sentence a patient can read; no HTTP in it: the doors map codes to statuses."""

from typing import Self


class MedfilesError(Exception):
    """Base of everything this product raises on purpose: `code` for programs, `message` for people."""

    code = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class SignedOut(MedfilesError):
    """Nobody in particular asks, for something that is not for everybody."""

    code = "signed-out"

    def __init__(
        self, message: str = "You were signed out. Sign in again to continue. Everything you saved is kept."
    ) -> None:
        super().__init__(message)


class NotFound(MedfilesError):
    """Not there, or not the asker's to know about: nobody can tell which."""

    code = "not-found"

    def __init__(self, message: str = "This page or document does not exist, or you have no access to it.") -> None:
        super().__init__(message)


class Forbidden(MedfilesError):
    """The asker may see this but may not do that to it."""

    code = "forbidden"

    def __init__(self, message: str = "You can view this but not change it.") -> None:
        super().__init__(message)


class OutOfScope(Forbidden):
    """The token that is used does not reach as far, whatever its owner may do."""

    code = "scope"


class Conflict(MedfilesError):
    """What was asked does not fit the state things are in."""

    code = "conflict"


class BeingChecked(Conflict):
    code = "being-checked"

    def __init__(self, message: str = "The malware scan of this document is not done yet. Try again later.") -> None:
        super().__init__(message)


class Quarantined(Conflict):
    code = "quarantined"

    def __init__(
        self,
        message: str = "The malware scanner found malware in this document. It can be deleted but not opened.",
    ) -> None:
        super().__init__(message)


class Outdated(MedfilesError):
    """It is not any more what the asker has seen and wants to change."""

    code = "outdated"

    def __init__(self, message: str = "This has changed since you opened it. Reload it before you save.") -> None:
        super().__init__(message)


class TooMany(Conflict):
    code = "too-many"


class OverQuota(Conflict):
    """The owner of the patient has no room left."""

    code = "quota"


class Rejected(MedfilesError):
    """What was sent is refused, and nothing of it is kept."""

    code = "rejected"

    def __init__(self, message: str, fields: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields = fields or {}

    @classmethod
    def about(cls, field: str, message: str) -> Self:
        """One field, or one parameter of an address, is what is wrong."""
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
    """`signature` is what the scanner calls it."""

    code = "infected"

    def __init__(self, message: str, signature: str = "") -> None:
        super().__init__(message)
        self.signature = signature


class StorageError(MedfilesError):
    """Where the bytes are kept does not answer as it should."""

    code = "storage"

    def __init__(self, message: str = "The document store is unavailable. Please try again.") -> None:
        super().__init__(message)


class BlobMissing(StorageError):
    code = "blob-missing"


class KeyTaken(StorageError):
    code = "key-taken"


class BadKey(StorageError):
    code = "bad-key"


class IntegrityFailed(StorageError):
    code = "integrity"

    def __init__(self, message: str = "This document is damaged. Contact your administrator.") -> None:
        super().__init__(message)


class DatabaseUnavailable(StorageError):
    """The database did not answer; whether the last commit took effect is not known."""

    code = "database"

    def __init__(self, message: str = "The database is unavailable. Please try again.") -> None:
        super().__init__(message)
