"""Previews as the product makes them: in a worker, from bytes and a media type."""

import base64
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from medfiles.previews.renderer import TASKS
from medfiles.sandbox.pool import Limits, Sandbox


@dataclass
class Previewer:
    sandbox: Sandbox
    path: Path

    def ask(self, task: str, data: bytes, media_type: str, **wanted: Any) -> dict[str, Any]:
        self.path.write_bytes(data)
        return self.sandbox.run(task, file=self.path, media_type=media_type, **wanted)

    def look(self, data: bytes, media_type: str) -> dict[str, Any]:
        return self.ask("look", data, media_type)

    def answer(self, data: bytes, media_type: str, page: int = 1, width: int = 480, **more: Any) -> dict[str, Any]:
        return self.ask("picture", data, media_type, page=page, width=width, **more)

    def webp(self, data: bytes, media_type: str, page: int = 1, width: int = 480, **more: Any) -> bytes:
        answer = self.answer(data, media_type, page, width, **more)
        assert "webp" in answer, answer
        return base64.b64decode(answer["webp"])

    def picture(self, data: bytes, media_type: str, page: int = 1, width: int = 480, **more: Any) -> Image.Image:
        image = Image.open(BytesIO(self.webp(data, media_type, page, width, **more)), formats=["WEBP"])
        image.load()
        return image


@pytest.fixture
def show(renderers: Sandbox, tmp_path: Path) -> Previewer:
    return Previewer(renderers, tmp_path / "document")


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Callable[..., Previewer]]:
    """One worker that gives up soon."""
    sandbox = Sandbox(1, TASKS, Limits(cpu=2, wall=20.0, memory=1024**3))
    with closing(sandbox):
        yield lambda: Previewer(sandbox, tmp_path / "document")
