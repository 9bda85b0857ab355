"""Share links and SMART Health Links: documents of one patient that can be opened without an account."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, false, true
from sqlalchemy.orm import Mapped, mapped_column

from medfiles.clock import now
from medfiles.database.session import Id, UtcDateTime, db


class ShareLink(db.Model):  # type: ignore[name-defined,misc]
    """A share link. `token_hash` is the SHA-256 of the token in its address, which is not stored.

    `wrong_passcodes` includes the `passcodes_in_check`, so that parallel requests cannot check more than are allowed.
    """

    __tablename__ = "share_links"
    __table_args__ = (
        CheckConstraint("wrong_passcodes >= 0 AND passcodes_in_check >= 0", name="passcodes"),
        Index(None, "patient_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id", ondelete="CASCADE"))
    created_by: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    token_id: Mapped[int | None] = mapped_column(Id, index=True)  # the API token that created it
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    creation_key: Mapped[str | None] = mapped_column(String(64), unique=True)  # a form sent twice creates one link
    passcode_hash: Mapped[str | None] = mapped_column(String(255))
    wrong_passcodes: Mapped[int] = mapped_column(default=0, server_default="0")
    passcodes_in_check: Mapped[int] = mapped_column(default=0, server_default="0")
    label: Mapped[str | None] = mapped_column(String(80))  # whom it is for; readers do not see it
    sender: Mapped[str | None] = mapped_column(String(80))  # who shares, as readers see it
    note: Mapped[str | None] = mapped_column(Text)  # for readers
    allow_download: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ShareLinkDocument(db.Model):  # type: ignore[name-defined,misc]
    """A document that a share link names, until the document is moved to another patient: moving it back is not enough
    to share it again.
    """

    __tablename__ = "share_link_documents"

    link_id: Mapped[int] = mapped_column(ForeignKey("share_links.id", ondelete="CASCADE"), primary_key=True)
    file_id: Mapped[int] = mapped_column(
        ForeignKey("entity_files.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    position: Mapped[int]
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SmartLink(db.Model):  # type: ignore[name-defined,misc]
    """A SMART Health Link: documents of a share link, encrypted in one object that apps fetch.

    `token_hash` is as for share links. `key_wrapped` is the encryption key under a key that is not in the database. It
    is cleared once the object exists, or when the link ends if its content is kept up to date.
    """

    __tablename__ = "smart_links"
    __table_args__ = (
        CheckConstraint("flags IN ('', 'L', 'LP', 'P', 'U')", name="flags"),
        CheckConstraint("(key IS NULL) = (storage IS NULL) AND (key IS NULL) = (size IS NULL)", name="object"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    link_id: Mapped[int] = mapped_column(ForeignKey("share_links.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    flags: Mapped[str] = mapped_column(String(2))
    each_document: Mapped[bool] = mapped_column(default=True, server_default=true())  # also as a document of its own
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    key_wrapped: Mapped[bytes | None] = mapped_column(LargeBinary)
    key: Mapped[str | None] = mapped_column(String(500), unique=True)  # of the encrypted object
    storage: Mapped[str | None] = mapped_column(String(50))
    size: Mapped[int | None] = mapped_column(BigInteger)
    fingerprint: Mapped[str | None] = mapped_column(String(64))  # of what the object holds
    built_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failure: Mapped[str | None] = mapped_column(String(50))  # why the last attempt to build the object failed
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SmartLinkDocument(db.Model):  # type: ignore[name-defined,misc]
    """A document that a SMART Health Link holds. The row outlives the document, so that its absence is noticed."""

    __tablename__ = "smart_link_documents"

    smart_link_id: Mapped[int] = mapped_column(ForeignKey("smart_links.id", ondelete="CASCADE"), primary_key=True)
    file_id: Mapped[int] = mapped_column(Id, primary_key=True, index=True, autoincrement=False)
