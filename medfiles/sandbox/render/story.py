"""Tasks that make PDFs to share: `measure`, `draw` (a picture), `words` (of a text, table or letter) and `merge`.

Each returns {"size"}, for PDFs also {"pages"}; or {"reason"}, or {"needs": bytes} if the output file is too small.
"""

from collections.abc import Callable
from functools import wraps
from itertools import pairwise
from typing import Any, BinaryIO

import pypdfium2

from medfiles.sandbox.inspect.signatures import BROKEN
from medfiles.sandbox.render import paper, wording
from medfiles.sandbox.render.base import DAMAGED, CannotRender
from medfiles.sandbox.render.joining import append
from medfiles.sandbox.render.room import NoRoom, Room

Task = Callable[..., dict[str, Any]]


def refusing(task: Task) -> Task:
    """Answer in words instead of errors."""

    @wraps(task)
    def run(**arguments: Any) -> dict[str, Any]:
        try:
            return task(**arguments)
        except NoRoom as error:
            return {"needs": error.args[0]}
        except CannotRender as error:
            return {"reason": str(error)}
        except (RecursionError, pypdfium2.PdfiumError, *BROKEN):
            return {"reason": DAMAGED}

    return run


@refusing
def measure(file: BinaryIO) -> dict[str, Any]:
    """Return the pages of a PDF and the bytes they take, by merging it into nothing.

    Anything in it that would stop the merging of all documents is found here.
    """
    story = pypdfium2.PdfDocument.new()
    append(story, file.read())
    return {"pages": len(story), "size": Room().save(story)}


@refusing
def draw(file: BinaryIO, media_type: str, output: BinaryIO) -> dict[str, Any]:
    """Write a picture as a PDF."""
    document = paper.as_pdf(file, media_type)
    return {"pages": len(document), "size": Room(output).save(document)}


@refusing
def words(file: BinaryIO, media_type: str, output: BinaryIO) -> dict[str, Any]:
    """Write what a document says as JSON."""
    room = Room(output)
    room.write(wording.as_json(file, media_type))
    return {"size": room.finish()}


@refusing
def merge(file: BinaryIO, ends: list[int], output: BinaryIO) -> dict[str, Any]:
    """Join PDFs, which are one behind the other in the file; `ends` says where each ends.

    The first is no exception: PDFium crashes when it saves pages that were added to a document it has read.
    """
    story = pypdfium2.PdfDocument.new()
    for start, end in pairwise([0, *ends]):
        append(story, file.read(end - start))
    return {"pages": len(story), "size": Room(output).save(story)}


TASKS = {"measure": measure, "draw": draw, "words": words, "merge": merge}
