"""Files made to hurt whoever opens them: each is answered with a picture or a reason, or costs one worker."""

import random
import zipfile
from collections.abc import Callable
from contextlib import suppress

import pytest

from medfiles.sandbox.pool import NotChecked
from tests.sandbox.render.bombs import (
    LAUGHING,
    TYPES,
    cut_off,
    endless_drawing,
    far_cell,
    growing,
    huge_headers,
    largest_png,
    laughing_docx,
    laughing_xlsx,
)
from tests.sandbox.render.conftest import Previewer
from tests.support import samples

PLACES = 50
SCRIPTS = (
    b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", b"push graphic-context\n",
)  # fmt: skip


def assert_answered(show: Previewer, data: bytes, media_type: str) -> None:
    facts, answer = show.look(data, media_type), show.answer(data, media_type, width=160)
    assert facts["kind"] != "none" or facts["reason"]
    assert answer.keys() & {"webp", "reason", "missing"}


def assert_costs_one_worker_at_most(show: Previewer, data: bytes, media_type: str) -> None:
    with suppress(NotChecked):  # the worker may die over it, and then the next job must have another one
        assert_answered(show, data, media_type)
    assert show.look(samples.png(), "image/png")["kind"] == "image"


@pytest.mark.parametrize("media_type", TYPES)
def test_truncated_file_is_answered(show: Previewer, media_type: str) -> None:
    for data in cut_off(media_type, PLACES):
        assert_answered(show, data, media_type)


@pytest.mark.parametrize("media_type", TYPES)
def test_file_with_a_flipped_bit_costs_one_worker_at_most(show: Previewer, media_type: str) -> None:
    whole, chance = TYPES[media_type](), random.Random(media_type)
    for _ in range(PLACES // 3):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        assert_costs_one_worker_at_most(show, bytes(data), media_type)


@pytest.mark.parametrize("media_type", TYPES)
def test_file_of_another_type_is_answered(show: Previewer, media_type: str) -> None:
    for other in ("application/pdf", "image/png", "application/dicom", samples.WORD, "text/plain"):
        if other != media_type:
            assert_answered(show, TYPES[other](), media_type)


@pytest.mark.parametrize("name", huge_headers())
def test_a_picture_that_claims_to_be_huge_is_refused_by_its_header(show: Previewer, name: str) -> None:
    data, media_type = huge_headers()[name]
    assert show.look(data, media_type)["kind"] == "none"
    assert "reason" in show.answer(data, media_type)


def test_a_picture_as_large_as_is_accepted_is_drawn(show: Previewer) -> None:
    assert show.answer(largest_png(), "image/png", width=160)["width"] == 160


def test_entities_that_multiply_are_not_followed(show: Previewer) -> None:
    assert show.look(LAUGHING, "application/xml")["text"] == LAUGHING.decode()
    assert show.look(laughing_docx(), samples.WORD)["kind"] == "none"
    assert show.look(laughing_xlsx(), samples.SHEET)["kind"] == "none"


@pytest.mark.parametrize("kind", [samples.WORD, samples.SHEET], ids=["docx", "xlsx"])
def test_zip_bomb_costs_at_most_one_worker(impatient: Callable[..., Previewer], kind: str) -> None:
    assert_costs_one_worker_at_most(impatient(), growing(kind), kind)


def test_sheet_with_one_cell_far_away_costs_at_most_one_worker(impatient: Callable[..., Previewer]) -> None:
    assert_costs_one_worker_at_most(impatient(), far_cell(), samples.SHEET)


def test_endless_drawing_costs_at_most_one_worker(impatient: Callable[..., Previewer]) -> None:
    show = impatient()
    with suppress(NotChecked):  # as above, at the largest width
        assert show.answer(endless_drawing(), "application/pdf", width=2400).keys() & {"webp", "reason"}
    assert show.look(samples.png(), "image/png")["kind"] == "image"


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "image/tiff", "image/heic", "application/pdf"])
def test_bytes_of_a_script_or_drawing_reach_no_decoder(show: Previewer, media_type: str) -> None:
    for data in SCRIPTS:
        assert show.look(data, media_type)["kind"] == "none"
        assert "reason" in show.answer(data, media_type)


def test_a_package_of_another_kind_is_no_document(show: Previewer) -> None:
    with zipfile.ZipFile(show.path, "w") as archive:
        archive.writestr("anything.txt", "words")
    assert show.look(show.path.read_bytes(), samples.WORD)["kind"] == "none"
    assert show.look(show.path.read_bytes(), samples.SHEET)["kind"] == "none"
