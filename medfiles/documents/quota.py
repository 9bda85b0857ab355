"""Limit the bytes that the documents of an owner's patients may use, including documents in the trash."""

from sqlalchemy import func, select

from medfiles.database.session import db
from medfiles.errors import OverQuota
from medfiles.i18n import N_, gettext
from medfiles.models import EntityFile, Patient, User
from medfiles.record_types.declared import MB

GB = 1024 * MB
NO_ROOM = N_(
    "%(used)s of %(quota)s used. There is not enough storage left. Permanently delete documents from the trash, or ask "
    "your administrator for more storage."
)


def used_bytes(owner_id: int) -> int:
    query = select(func.sum(EntityFile.file_size)).join(Patient, Patient.id == EntityFile.patient_id)
    return int(db.session.scalar(query.where(Patient.user_id == owner_id)) or 0)


def require_quota(patient_id: int, size: int, quota: int, *, lock: bool = False) -> None:
    """Raise OverQuota if the patient's owner has no room for `size` more bytes.

    With `lock`, block other uploads for this owner's patients until the commit. Use it in the transaction that adds the
    document.
    """
    if not quota:
        return
    owner = select(User.id).join(Patient, Patient.user_id == User.id).where(Patient.id == patient_id)
    owner_id = db.session.scalar(owner.with_for_update(of=User, key_share=True) if lock else owner)
    used = used_bytes(owner_id or 0)
    if used + size > quota:
        raise OverQuota(gettext(NO_ROOM, used=format_size(used), quota=format_size(quota)))


def format_size(size: int) -> str:
    number, unit = (size / GB, "GB") if size >= GB else (size / MB, "MB") if size >= MB else (size / 1024, "KB")
    return f"{number:.3g} {unit}"
