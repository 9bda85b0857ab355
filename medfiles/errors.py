"""Exceptions raised by medfiles. `http.errors` maps them to HTTP statuses."""

from collections.abc import Mapping
from typing import Any, Self

from medfiles.i18n import N_, gettext


class MedfilesError(Exception):
    """Base class for all medfiles errors.

    `code` is for programs, `message` for people, in their language. If no message is given, `default` is used.
    """

    code = "error"
    default = ""

    def __init__(self, message: str = "") -> None:
        self.message = gettext(message or self.default)
        super().__init__(self.message)


def error_code(error: Exception) -> str:
    """Return the code to log for an exception, even if it is not a MedfilesError."""
    return error.code if isinstance(error, MedfilesError) else type(error).__name__


class SignedOut(MedfilesError):
    """The request requires a signed-in account."""

    code = "signed-out"
    default = N_("You were signed out. Sign in again to continue. Your saved changes are safe.")


OTHER_HOST = N_("This server is not available under this name. Go to %(address)s instead.")


class WrongHost(MedfilesError):
    """The request's host name is not the installation's public host name."""

    code = "wrong-host"


class NotFound(MedfilesError):
    """The resource does not exist, or the account cannot access it; clients cannot tell which."""

    code = "not-found"
    default = N_("This page or document does not exist, or you do not have access to it.")


class Renumbered(MedfilesError):
    """The number is that of an imported record in the installation it came from. Here, the record has another one."""

    code = "renumbered"
    default = N_("This lab result has a new number since it was imported. See the Link header.")


class Forbidden(MedfilesError):
    """The account may view the resource but not perform the operation."""

    code = "forbidden"
    default = N_("You can view this but not change it.")


class OutOfScope(Forbidden):
    """The API token's scope does not allow the operation, even if the token's owner may perform it."""

    code = "scope"


class ProofNeeded(Forbidden):
    """Changing credentials requires fresh proof of identity: the password and, if set up, a two-step code."""

    def __init__(self, message: str = N_("Confirm your password, then try again.")) -> None:
        super().__init__(message)


class Conflict(MedfilesError):
    """The request conflicts with the current state."""

    code = "conflict"


class LinkPaused(Forbidden):
    """The share link was paused and may be resumed."""

    code = "paused"
    default = N_("This link is paused. Ask the person who sent it to you.")


class WrongPasscode(MedfilesError):
    """The passcode of a share link is wrong; `remaining` more can be tried, ever."""

    code = "wrong-passcode"
    default = N_("This passcode is wrong.")

    def __init__(self, message: str = "", *, remaining: int = 0) -> None:
        super().__init__(message)
        self.remaining = remaining


class PasscodeBusy(MedfilesError):
    """As many passcodes as may still be tried are being checked at this moment."""

    code = "passcode-busy"
    default = N_("Other passcodes for this link are being checked. Please try again in a moment.")


class Archived(Conflict):
    """The patient is archived, so nothing that belongs to the patient can be changed."""

    code = "archived"
    default = N_("This patient is archived and cannot be changed. Unarchive the patient first.")


class BeingChecked(Conflict):
    code = "being-checked"
    default = N_("This document has not been scanned for malware yet. Try again later.")


class Quarantined(Conflict):
    code = "quarantined"
    default = N_("Malware was found in this document. You can delete it but not open it.")


class BeingRead(Conflict):
    """A background job has not read the page's text yet."""

    code = "being-read"
    default = N_("The text of this document is still being read. Please try again in a minute.")


class EditConflict(Conflict):
    """Two people changed the same fields to different values.

    `conflicts` maps each of these fields to the submitted value and the stored value.
    """

    def __init__(self, conflicts: Mapping[str, tuple[Any, Any]]) -> None:
        super().__init__(gettext("Someone else changed this after you opened it. Choose which values to save."))
        self.conflicts = conflicts


class Outdated(MedfilesError):
    """The resource has changed since the client read it."""

    code = "outdated"
    default = N_("This has changed since you opened it. Reload it before saving.")


class TooMany(Conflict):
    code = "too-many"


class OverQuota(Conflict):
    """The operation would exceed the storage quota of the patient's owner."""

    code = "quota"


class TooManyUploads(MedfilesError):
    """The account has reached its limit on concurrent uploads."""

    code = "too-many-uploads"
    default = N_("You are uploading too many files at once. Please try again in a moment.")


class Rejected(MedfilesError):
    """The input is invalid; nothing was stored.

    `fields` maps the names of invalid fields or parameters to error messages.
    """

    code = "rejected"

    def __init__(self, message: str, fields: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields = fields or {}

    @classmethod
    def about(cls, field: str, message: str) -> Self:
        """Return an error about one invalid field or query parameter."""
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
    """The scanner found malware; `signature` is the scanner's name for it."""

    code = "infected"

    def __init__(self, message: str, signature: str = "") -> None:
        super().__init__(message)
        self.signature = signature


class StorageError(MedfilesError):
    """A storage backend failed or is unavailable."""

    code = "storage"
    default = N_("The document store is unavailable. Please try again.")


class BlobMissing(StorageError):
    code = "blob-missing"
    default = N_("The content of this document is missing. Contact your administrator.")


class KeyTaken(StorageError):
    code = "key-taken"


class BadKey(StorageError):
    code = "bad-key"


class IntegrityFailed(StorageError):
    code = "integrity"
    default = N_("This document is damaged. Contact your administrator.")


class DatabaseUnavailable(StorageError):
    """The database did not respond; the last commit may or may not have taken effect."""

    code = "database"
    default = N_("The database is unavailable. Please try again.")
