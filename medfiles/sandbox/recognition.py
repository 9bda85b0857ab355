"""The task `recognize`: find the words on the picture of a page with RapidOCR.

Importing this module loads the models, because a confined worker cannot open files.
"""

from typing import Any, BinaryIO

import cv2
import numpy
from PIL import Image, ImageDraw, ImageFont
from rapidocr import RapidOCR

from medfiles.sandbox.inspect.signatures import BROKEN
from medfiles.sandbox.render.base import CannotRender, NoSuchPage
from medfiles.sandbox.render.scan import page_image

ONE_THREAD = {  # the server and other jobs need the other processors
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}
LEAST_CONFIDENCE = 0.5
UPRIGHT = 0.75  # mean confidence below which a page may be upside down


def load() -> Any:
    """Return the engine, after it has read a picture with one word: it imports some of its modules on first use."""
    cv2.setNumThreads(1)
    usual = {"Global.log_level": "critical", "Global.text_score": LEAST_CONFIDENCE}
    # The classifier for upside-down lines turns long ones that are not. Whole pages are tried both ways instead.
    engine = RapidOCR(params={**usual, "Global.use_cls": False, **ONE_THREAD})
    sample = Image.new("RGB", (400, 100), "white")
    ImageDraw.Draw(sample).text((20, 20), "medfiles", "black", ImageFont.load_default(48))
    engine(numpy.asarray(sample), return_word_box=True)
    return engine


ENGINE = load()


def recognize(file: BinaryIO, media_type: str, page: int) -> dict[str, Any]:
    """Return {"lines": [[[word, confidence, left, top, width, height], …], …]}, or {"reason"}.

    Positions are fractions of the page.
    """
    try:
        picture = page_image(file, media_type, page)
    except (CannotRender, NoSuchPage, RecursionError, *BROKEN):
        return {"reason": "damaged"}
    lines = read(picture)
    if confidence(lines) < UPRIGHT:
        turned = read(picture.transpose(Image.Transpose.ROTATE_180))
        if confidence(turned) > confidence(lines):
            lines = [[turn_back(word) for word in line] for line in turned]
    return {"lines": lines}


def read(picture: Image.Image) -> list[list[list[Any]]]:
    found = ENGINE(numpy.asarray(picture)[:, :, ::-1], return_word_box=True)
    lines = (measured(words, picture.size) for words in lines_of(found))
    return [line for line in lines if line]


def confidence(lines: list[list[list[Any]]]) -> float:
    """Return the mean confidence of a page's words, long ones counting more."""
    words: list[tuple[int, float]] = [(len(text), sure) for line in lines for text, sure, *_ in line]
    return sum(length * sure for length, sure in words) / max(sum(length for length, _ in words), 1)


def turn_back(word: list[Any]) -> list[Any]:
    """Return a word of a page that was read upside down with its place on the page as it is."""
    text, sure, left, top, width, height = word
    return [text, sure, round(1 - left - width, 5), round(1 - top - height, 5), width, height]


def lines_of(found: Any) -> list[list[tuple[str, float, Any]]]:
    """Return the words of each line with their confidence and corners. A line without words is one word."""
    if found.txts is None:
        return []
    whole = list(zip(found.txts, found.scores, found.boxes, strict=True))
    words = list(found.word_results or ())
    if len(words) != len(whole):
        return [list(line) for line in words] or [[line] for line in whole]
    return [list(line) or [rest] for line, rest in zip(words, whole, strict=True)]


def measured(words: list[tuple[str, float, Any]], size: tuple[int, int]) -> list[list[Any]]:
    line = []
    for word, confidence, corners in words:
        if corners is None or not word.strip():
            continue
        places = numpy.asarray(corners, dtype=float).reshape(-1, 2) / size
        (left, top), (right, bottom) = places.min(axis=0), places.max(axis=0)
        box = (float(left), float(top), float(right - left), float(bottom - top))
        line.append([word.strip(), round(float(confidence), 3), *(round(value, 5) for value in box)])
    return line


TASKS = {"recognize": recognize}
