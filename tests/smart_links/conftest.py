"""Stories of generated documents, and what their pages show."""

import random
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from PIL import Image

from medfiles.sandbox.pool import Sandbox
from medfiles.smart_links.story import Cover, Paper, Story, build
from tests.support import samples

PDF, JPEG, PNG = "application/pdf", "image/jpeg", "image/png"
COVER = Cover(
    patient="Ella Larsen",
    birth_date=date(2019, 4, 3),
    sender="Nora",
    note="Please begin with the last page.",
    created=datetime(2026, 11, 29, 10, 42, tzinfo=UTC),
    expires=datetime(2026, 12, 6, 10, 42, tzinfo=UTC),
)


@dataclass
class Maker:
    """Makes stories. `renderers` are the workers that open the documents."""

    renderers: Sandbox
    folder: Path

    def paper(self, data: bytes, media_type: str, name: str = "", about: str = "", day: date | None = None) -> Paper:
        path = self.folder / f"original-{len(list(self.folder.iterdir()))}"
        path.write_bytes(data)
        return Paper(name or path.name, media_type, about, day, path)

    def story(self, *papers: Paper, **cover: Any) -> Story:
        folder = self.folder / f"story-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        return build(papers, replace(COVER, **cover), folder, self.renderers)

    def own(self, data: bytes, media_type: str) -> Path | None:
        """Return the document's own PDF."""
        [path] = self.all_own([(data, media_type)])
        return path

    def all_own(self, documents: Iterable[tuple[bytes, str]]) -> list[Path | None]:
        """Return the PDF of each document, made at once: most of the time is spent on the contents page."""
        return self.story(*(self.paper(data, media_type) for data, media_type in documents)).documents


@pytest.fixture
def make(renderers: Sandbox, tmp_path: Path) -> Maker:
    return Maker(renderers, tmp_path)


def photo(width: int = 3000, height: int = 4000, seed: int = 1, *, progressive: bool = False) -> bytes:
    """Noise as a JPEG of several megabytes."""
    noise = Image.frombytes("RGB", (width // 4, height // 4), random.Random(seed).randbytes(width * height // 16 * 3))
    return samples.encoded(noise.resize((width, height)), "JPEG", quality=88, progressive=progressive)


def pages(path: Path | None) -> list[str]:
    """Return the text of each page."""
    assert path
    with closing(pypdfium2.PdfDocument(path)) as document:
        return [page.get_textpage().get_text_range() for page in document]


def pictures(source: Path | bytes, scale: float = 1.0) -> list[Image.Image]:
    """Return the pages as a reader sees them, with what is filled into forms."""
    with closing(pypdfium2.PdfDocument(source)) as document:
        if document.get_formtype():
            document.init_forms()
        return [page.render(scale=scale).to_pil().convert("RGB") for page in document]


def embedded(path: Path | None) -> list[Image.Image]:
    """Return the pixels of the pictures in a PDF, as they are stored."""
    assert path
    with closing(pypdfium2.PdfDocument(path)) as document:
        return [
            shown.get_bitmap(render=False).to_pil().convert("RGB")
            for page in document
            for shown in page.get_objects()
            if isinstance(shown, pypdfium2.PdfImage)
        ]
