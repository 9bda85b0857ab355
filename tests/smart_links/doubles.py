"""A quick stand-in for the PDFs of a SMART Health Link, and a reader for what it encrypts."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from medfiles.database.session import db
from medfiles.models import SmartLink
from medfiles.smart_links import story
from medfiles.smart_links.story import Cover, Paper, Story
from tests.support.factories import Smart, World, unpadded

PDF = "application/pdf"


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[Cover]:
    """Instead of drawing pages, tell the names of the documents. Returns what was asked for."""
    covers: list[Cover] = []

    def build(papers: Sequence[Paper], cover: Cover, folder: Path, *_: Any) -> Story:
        covers.append(cover)
        pages = folder / "story.pdf"
        pages.write_bytes(b"%PDF-1.7 " + ", ".join(paper.name for paper in papers).encode())
        return Story(pages, [paper.original if paper.media_type == PDF else None for paper in papers])

    monkeypatch.setattr(story, "build", build)
    return covers


def decrypted(jwe: bytes, key: bytes) -> dict[str, Any]:
    """The Bundle in a compact JWE, read by another implementation than it was written with."""
    protected, no_key, iv, content, tag = jwe.split(b".")
    assert no_key == b""
    header = json.loads(unpadded(protected.decode()))
    assert header == {"alg": "dir", "enc": "A256GCM", "cty": "application/fhir+json"}
    sealed = unpadded(content.decode()) + unpadded(tag.decode())
    bundle: dict[str, Any] = json.loads(AESGCM(key).decrypt(unpadded(iv.decode()), sealed, protected))
    return bundle


def stored(world: World, smart: Smart) -> bytes:
    """The bytes of the encrypted copy."""
    row = row_of(smart)
    assert row.key
    assert row.storage
    return b"".join(world.parts.storages[row.storage].open(row.key))


def row_of(smart: Smart) -> SmartLink:
    db.session.rollback()
    return db.session.get_one(SmartLink, smart.id, populate_existing=True)


def pdfs(bundle: dict[str, Any]) -> dict[str, bytes]:
    """The PDFs in a Bundle by title."""
    found = {}
    for entry in bundle["entry"][1:]:
        attachment = entry["resource"]["content"][0]["attachment"]
        found[attachment["title"]] = base64.b64decode(attachment["data"])
    return found
