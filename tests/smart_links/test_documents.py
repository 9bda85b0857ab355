"""What each document becomes: the same pixels, the same words."""

from io import BytesIO
from itertools import product

import pytest
from PIL import ExifTags, Image, ImageChops, ImageOps

from tests.sandbox.render.pixels import alike, at
from tests.smart_links.conftest import JPEG, PNG, Maker, embedded, pages, photo, pictures
from tests.support import samples


def test_bytes_of_a_jpeg_are_unchanged_in_both_pdfs(make: Maker) -> None:
    data = photo(600, 400, progressive=True)
    made = make.story(make.paper(data, JPEG))
    assert made.documents[0]
    assert data in made.documents[0].read_bytes()
    assert data in made.story.read_bytes()


def turned_photo(orientation: int, form: str) -> bytes:
    image = Image.new("RGB", (80, 40), "white")
    image.paste((255, 0, 0), (0, 0, 40, 20))
    image.paste((0, 0, 255), (40, 20, 80, 40))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return samples.encoded(image, form, exif=exif.tobytes())


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_photo_is_the_right_way_up(make: Maker, form: str) -> None:
    photos = [turned_photo(orientation, form) for orientation in range(10)]
    for data, path in zip(photos, make.all_own((data, f"image/{form.lower()}") for data in photos), strict=True):
        assert path
        [shown] = pictures(path, 96 / 72)
        wanted = ImageOps.exif_transpose(Image.open(BytesIO(data))).convert("RGB")
        assert shown.size == wanted.size
        for x, y in product((0.25, 0.75), repeat=2):
            assert alike(at(shown, x, y), at(wanted, x, y), 30)


def test_pixels_of_other_pictures_are_unchanged(make: Maker) -> None:
    forms = ("PNG", "BMP", "TIFF", "GIF", "WEBP")
    files = [samples.encoded(samples.picture(301, 203), form, lossless=True) for form in forms]
    kinds = [f"image/{form.lower()}" for form in forms]
    for data, path in zip(files, make.all_own(zip(files, kinds, strict=True)), strict=True):
        [shown] = embedded(path)
        assert ImageChops.difference(shown, Image.open(BytesIO(data)).convert("RGB")).getbbox() is None


def test_shades_of_gray_are_unchanged(make: Maker) -> None:
    image = Image.linear_gradient("L")
    [shown] = embedded(make.own(samples.encoded(image, "PNG"), PNG))
    assert ImageChops.difference(shown, image.convert("RGB")).getbbox() is None


def test_what_is_transparent_is_white(make: Maker) -> None:
    path = make.own(samples.encoded(Image.new("RGBA", (40, 40), (255, 0, 0, 0)), "PNG"), PNG)
    assert path
    assert alike(at(pictures(path)[0], 0.5, 0.5), (255, 255, 255))


def test_a_photo_that_lost_detail_before_becomes_a_jpeg(make: Maker) -> None:
    for path in make.all_own([(samples.heic(), "image/heic"), (samples.webp(), "image/webp")]):
        assert path
        assert b"/DCTDecode" in path.read_bytes()


def test_jpegs_of_other_colors_are_not_inverted(make: Maker) -> None:
    images = [Image.new("RGB", (80, 60), (30, 120, 200)).convert(mode) for mode in ("CMYK", "L")]
    paths = make.all_own((samples.encoded(image, "JPEG", quality=95), JPEG) for image in images)
    for image, path in zip(images, paths, strict=True):
        assert path
        assert alike(at(pictures(path)[0], 0.5, 0.5), at(image.convert("RGB"), 0.5, 0.5), 60)


def test_a_jpeg_that_ends_too_soon_is_shown_as_far_as_it_goes(make: Maker) -> None:
    path = make.own(photo(400, 300)[:-9000], JPEG)
    assert path
    assert embedded(path)[0].size == (400, 300)


def test_each_page_of_a_tiff_is_a_page(make: Maker) -> None:
    assert len(pages(make.own(samples.tiff(3), "image/tiff"))) == 3


def test_a_picture_that_needs_more_room_than_its_file_is_drawn(make: Maker) -> None:
    gradient = samples.encoded(Image.radial_gradient("L").resize((1200, 1200)).convert("RGB"), "PNG", optimize=True)
    [shown] = embedded(make.own(gradient, PNG))
    assert shown.size == (1200, 1200)


def test_no_page_of_a_picture_is_larger_than_paper(make: Maker) -> None:
    sizes = ((4000, 100), (100, 4000), (1, 1), (3000, 4000))
    for path in make.all_own((samples.png(*size), PNG) for size in sizes):
        assert path
        [shown] = pictures(path)
        assert min(shown.size) >= 3
        assert max(shown.size) <= 842


def test_texts_tables_and_letters_become_pages(make: Maker) -> None:
    documents = [
        (samples.txt("Größe\t1,80\n\n  µg"), "text/plain", "Größe"),
        (samples.csv(), "text/csv", "HbA1c"),
        (samples.json(), "application/json", "HbA1c"),
        (samples.xml(), "application/xml", "mmol/l"),
        (samples.docx(), samples.WORD, "Visit summary"),
        (samples.xlsx(), samples.SHEET, "Results"),
    ]
    paths = make.all_own(document[:2] for document in documents)
    for (_, _, words), path in zip(documents, paths, strict=True):
        assert words in "".join(pages(path))


def test_a_text_for_which_no_font_is_at_hand_is_left_out(make: Maker) -> None:
    assert make.own(samples.txt("مرحبا بالعالم " * 20), "text/plain") is None


def test_an_old_word_document_is_left_out_without_a_converter(make: Maker) -> None:
    assert make.own(samples.doc(), "application/msword") is None


def test_a_long_text_says_that_it_is_cut(make: Maker) -> None:
    texts = pages(make.own(samples.txt("All values are in range.\n" * 8000), "text/plain"))
    assert len(texts) == 100
    assert "left out" in texts[-1]


def test_a_broad_table_keeps_all_its_columns(make: Maker) -> None:
    rows = [",".join(f"column {number} of the table" for number in range(45))] * 3
    shown = make.own("\n".join(rows).encode(), "text/csv")
    text = "".join(pages(shown)).replace("\r\n", " ")
    assert all(f"column {number} " in text for number in range(45))
