"""Durable file writes outside storage backends: free-space checks, fsync, checksums."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from medfiles.errors import StorageError
from medfiles.storage.base import sync_folder

SPARE = 64 * 1024 * 1024  # bytes to leave free on every disk


def check_space(needed: Mapping[Path, int]) -> None:
    """Raise StorageError if a disk lacks space for the bytes to be written to these folders."""
    disks: dict[int, tuple[Path, int]] = {}
    for folder, size in needed.items():
        place = next(there for there in (folder, *folder.parents) if there.exists())
        disk = place.stat().st_dev
        disks[disk] = (place, disks.get(disk, (place, SPARE))[1] + size)
    for place, size in disks.values():
        if (free := shutil.disk_usage(place).free) < size:
            raise StorageError(
                f"{place} has {free:,} bytes free, but {size:,} are needed. Free some space, then try again."
            )


def written(chunks: Iterator[bytes], file: BinaryIO) -> Iterator[bytes]:
    """Write the chunks to the file, and yield each of them."""
    for chunk in chunks:
        file.write(chunk)
        yield chunk


def publish(part: Path, target: Path) -> None:
    """Durably rename a file that is complete."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)
    sync_folder(target.parent)


def write_private(path: Path, content: str) -> None:
    """Write a small file durably, accessible only to its owner."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    part.write_text(content)
    publish(part, path)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
