"""The few kinds of documents people tell apart, by the media type read from the bytes."""

MEDIA = ("pdf", "image", "word", "sheet", "text", "dicom")
KINDS = {
    "application/pdf": "pdf",
    "application/dicom": "dicom",
    "application/msword": "word",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "word",
    "application/vnd.ms-excel": "sheet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "sheet",
    "text/csv": "sheet",
}

OTHERS = {
    "image/jpeg", "image/png", "image/tiff", "image/bmp", "image/gif", "image/heic",
    "text/plain", "application/json", "application/xml",
}  # fmt: skip


DRAWN = ("pdf", "image", "dicom")  # of which pictures can be made


def media_of(file_type: str) -> str:
    return KINDS.get(file_type) or ("image" if file_type.startswith("image/") else "text")


def is_known(file_type: str) -> bool:
    """Whether documents of this media type are taken here; of any other nothing is believed."""
    return file_type in KINDS or file_type in OTHERS
