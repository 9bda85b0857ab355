"""Pictures of every kind come out the right way up, in the right colours, and with nothing but pixels in them."""

import struct
from collections.abc import Callable
from typing import Any

import numpy
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests.sandbox.render.conftest import Previewer
from tests.sandbox.render.pixels import Colour, alike, at, corners
from tests.support import samples

RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 200, 30), (30, 30, 220), (230, 220, 20)
QUARTERS = [RED, GREEN, BLUE, YELLOW]
ORIENTATION, GPS = 0x0112, 0x8825
# EXIF 3.0, 4.6.5.1: for each orientation, where the stored row and column end up: (x, y) of an upright picture
UPRIGHT: dict[int, Callable[[Any, Any, int, int], tuple[Any, Any]]] = {
    1: lambda row, column, wide, high: (column, row),
    2: lambda row, column, wide, high: (wide - 1 - column, row),
    3: lambda row, column, wide, high: (wide - 1 - column, high - 1 - row),
    4: lambda row, column, wide, high: (column, high - 1 - row),
    5: lambda row, column, wide, high: (row, column),
    6: lambda row, column, wide, high: (wide - 1 - row, column),
    7: lambda row, column, wide, high: (wide - 1 - row, high - 1 - column),
    8: lambda row, column, wide, high: (row, high - 1 - column),
}


def quarters(width: int = 96, height: int = 64) -> Image.Image:
    values = numpy.zeros((height, width, 3), numpy.uint8)
    for place, colour in enumerate(QUARTERS):
        rows = slice(0, height // 2) if place < 2 else slice(height // 2, height)
        columns = slice(0, width // 2) if place % 2 == 0 else slice(width // 2, width)
        values[rows, columns] = colour
    return Image.fromarray(values)


def lying(orientation: int, upright: Image.Image) -> Image.Image:
    """As a camera held that way stores it."""
    shown, (wide, high) = numpy.asarray(upright), upright.size
    rows, columns = (high, wide) if orientation < 5 else (wide, high)
    row, column = numpy.indices((rows, columns))
    x, y = UPRIGHT[orientation](row, column, wide, high)
    return Image.fromarray(shown[y, x])


def with_exif(image: Image.Image, form: str, orientation: int = 1, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[0x010F] = "Camera of Ella Sample"
    exif.get_ifd(GPS)[2] = (48.0, 12.0, 30.0)
    return samples.encoded(image, form, exif=exif, **options)


def chunks(webp: bytes) -> list[bytes]:
    """The kinds of parts a WebP file has."""
    found, place = [], 12
    while place < len(webp):
        name, size = struct.unpack_from("<4sI", webp, place)
        found.append(name)
        place += 8 + size + size % 2
    return found


def interlaced(image: Image.Image) -> bytes:
    """Adam7: seven passes, each of some of the columns of some of the lines."""
    values, lines = numpy.asarray(image), b""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    for x, y, across, down in passes:
        lines += b"".join(b"\0" + line.tobytes() for line in values[y::down, x::across])
    return samples.png_file(*image.size, 8, 2, lines, interlaced=True)


def deep_png(values: NDArray[Any]) -> bytes:
    kind = 2 if values.ndim == 3 else 0
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    return samples.png_file(values.shape[1], values.shape[0], 16, kind, lines)


def steps(*levels: int) -> NDArray[numpy.uint16]:
    """Bands of grey, from left to right."""
    return numpy.repeat(numpy.array([levels], numpy.uint16), 32, axis=1).repeat(32, axis=0)


def profile(**colorants: tuple[float, float, float]) -> bytes:
    """The sRGB profile with other primaries, as XYZ under D50."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    [count] = struct.unpack_from(">I", made, 128)
    places = {
        bytes(made[at : at + 4]): struct.unpack_from(">I", made, at + 4)[0] for at in range(132, 132 + 12 * count, 12)
    }
    for name, values in colorants.items():
        struct.pack_into(">3i", made, places[name.encode()] + 8, *(round(value * 65536) for value in values))
    return bytes(made)


SRGB = {"rXYZ": (0.4361, 0.2225, 0.0139), "gXYZ": (0.3851, 0.7169, 0.0971), "bXYZ": (0.1431, 0.0606, 0.7141)}
P3 = {"rXYZ": (0.5151, 0.2412, -0.0011), "gXYZ": (0.2920, 0.6922, 0.0419), "bXYZ": (0.1571, 0.0666, 0.7841)}


def in_srgb(colour: Colour, primaries: dict[str, tuple[float, float, float]]) -> list[int]:
    """Computed by matrices, without the library that the product uses."""
    linear = [(value / 255 / 12.92) if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in colour]
    there, here = (numpy.array(list(entry.values())).T for entry in (primaries, SRGB))
    mixed = numpy.clip(numpy.linalg.inv(here) @ there @ numpy.array(linear), 0, 1)
    return [round(255 * (12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055)) for v in mixed.tolist()]


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(("form", "media_type"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("TIFF", "image/tiff")])
def test_photo_is_upright_in_every_orientation(show: Previewer, form: str, media_type: str, orientation: int) -> None:
    data = with_exif(lying(orientation, quarters()), form, orientation)
    picture = show.picture(data, media_type)
    assert picture.size == (96, 64)
    assert all(alike(seen, drawn, 30) for seen, drawn in zip(corners(picture), QUARTERS, strict=True)), corners(picture)
    facts = show.look(data, media_type)
    assert (facts["width"], facts["height"]) == (96, 64)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_photo_is_made_smaller_and_never_a_small_one_larger(show: Previewer, orientation: int) -> None:
    data = with_exif(lying(orientation, quarters(900, 600)), "JPEG", orientation)
    assert show.picture(data, "image/jpeg", width=480).size == (480, 320)
    assert show.picture(data, "image/jpeg", width=2400).size == (900, 600)
    assert all(
        alike(*pair, 30) for pair in zip(corners(show.picture(data, "image/jpeg", width=160)), QUARTERS, strict=True)
    )


def test_a_picture_of_a_long_page_stays_sharp_enough_to_be_read(show: Previewer) -> None:
    assert show.picture(samples.png(1000, 9000), "image/png", width=2400).size == (1000, 9000)
    assert show.picture(samples.png(1000, 20_000), "image/png", width=2400).size == (800, 16_000)
    assert show.picture(samples.png(3000, 10_000), "image/png", width=2400).size == (2191, 7303)


def test_a_very_tall_picture_keeps_to_its_box(show: Previewer) -> None:
    assert show.picture(samples.png(40, 4000), "image/png", width=160).size == (4, 400)
    assert show.picture(samples.png(4000, 2), "image/png", width=160).size == (160, 1)


def test_nothing_but_pixels_comes_out(show: Previewer) -> None:
    packet = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>Ella Sample</x:xmpmeta>"
    options = {"icc_profile": profile(**P3), "xmp": packet, "comment": b"Ella Sample"}
    webp = show.webp(with_exif(quarters(), "JPEG", 6, **options), "image/jpeg")
    assert chunks(webp) == [b"VP8 "]
    assert b"Ella" not in webp


CYAN, MAGENTA = (0, 255, 255), (255, 0, 255)


@pytest.mark.parametrize(("form", "media_type"), [("JPEG", "image/jpeg"), ("TIFF", "image/tiff")])
def test_printing_colours_become_screen_colours(show: Previewer, form: str, media_type: str) -> None:
    image = Image.new("CMYK", (64, 32), (255, 0, 0, 0))
    image.paste((0, 255, 0, 0), (32, 0, 64, 32))
    picture = show.picture(samples.encoded(image, form), media_type)
    assert alike(at(picture, 0.2, 0.5), CYAN)
    assert alike(at(picture, 0.8, 0.5), MAGENTA)


def test_sixteen_bits_of_grey_keep_their_brightness(show: Previewer) -> None:
    values = steps(0, 32768, 65535)
    for data, media_type in (
        (deep_png(values), "image/png"),
        (samples.encoded(Image.fromarray(values), "TIFF"), "image/tiff"),
    ):
        picture = show.picture(data, media_type)
        assert [at(picture, x, 0.5)[0] // 8 for x in (0.1, 0.5, 0.9)] == [0, 16, 31], media_type


def test_sixteen_bits_of_colour_keep_theirs(show: Previewer) -> None:
    values = numpy.zeros((32, 32, 3), numpy.uint16)
    values[:] = [channel * 257 for channel in RED]
    assert alike(at(show.picture(deep_png(values), "image/png"), 0.5, 0.5), RED)


def test_measured_values_without_a_range_are_stretched_over_it(show: Previewer) -> None:
    values = numpy.repeat(numpy.linspace(-3.5, 9.25, 96, dtype=numpy.float32)[None], 32, axis=0)
    picture = show.picture(samples.encoded(Image.fromarray(values), "TIFF"), "image/tiff")
    assert at(picture, 0, 0.5)[0] < 12
    assert at(picture, 1, 0.5)[0] > 243


@pytest.mark.parametrize(("form", "media_type"), [("PNG", "image/png"), ("GIF", "image/gif"), ("BMP", "image/bmp")])
def test_colours_out_of_a_palette_are_found(show: Previewer, form: str, media_type: str) -> None:
    data = samples.encoded(quarters().quantize(8), form)
    assert all(alike(*pair, 30) for pair in zip(corners(show.picture(data, media_type)), QUARTERS, strict=True))


def test_interlaced_and_progressive_pictures_are_whole(show: Previewer) -> None:
    for data, media_type in (
        (interlaced(quarters()), "image/png"),
        (samples.encoded(quarters(), "JPEG", progressive=True), "image/jpeg"),
        (samples.encoded(quarters().quantize(8), "GIF", interlace=1), "image/gif"),
    ):
        picture = show.picture(data, media_type)
        assert all(alike(*pair, 30) for pair in zip(corners(picture), QUARTERS, strict=True)), media_type


def test_what_is_transparent_stands_on_white(show: Previewer) -> None:
    clear = quarters().convert("RGBA")
    clear.putalpha(Image.new("L", clear.size, 0))
    faded = clear.convert("RGBA").quantize(8)
    for image in (clear, faded, Image.new("LA", (32, 32), (0, 0))):
        assert alike(at(show.picture(samples.encoded(image, "PNG"), "image/png"), 0.5, 0.5), (255, 255, 255))


def test_a_fax_is_black_on_white(show: Previewer) -> None:
    fax = Image.new("1", (64, 64), 1)
    fax.paste(0, (0, 0, 32, 64))
    picture = show.picture(samples.encoded(fax, "TIFF", compression="group4"), "image/tiff")
    assert alike(at(picture, 0.2, 0.5), (0, 0, 0))
    assert alike(at(picture, 0.8, 0.5), (255, 255, 255))


@pytest.mark.parametrize(("form", "media_type"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("TIFF", "image/tiff")])
def test_a_wider_range_of_colours_is_brought_to_srgb(show: Previewer, form: str, media_type: str) -> None:
    colour = (200, 100, 100)
    image = Image.new("RGB", (64, 64), colour)
    picture = show.picture(samples.encoded(image, form, icc_profile=profile(**P3)), media_type)
    expected = in_srgb(colour, P3)
    assert not alike(expected, colour, 8)
    assert alike(at(picture, 0.5, 0.5), expected, 6), (at(picture, 0.5, 0.5), expected)


def test_a_profile_that_is_none_changes_nothing(show: Previewer) -> None:
    data = samples.encoded(Image.new("RGB", (64, 64), RED), "PNG", icc_profile=b"no profile at all" * 20)
    assert alike(at(show.picture(data, "image/png"), 0.5, 0.5), RED)


def test_lab_colours_are_understood(show: Previewer) -> None:
    lab = ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(quarters(), ImageCms.createProfile("sRGB"), lab, outputMode="LAB")
    assert image is not None
    picture = show.picture(samples.encoded(image, "TIFF"), "image/tiff")
    assert all(alike(*pair, 30) for pair in zip(corners(picture), QUARTERS, strict=True))


def test_every_page_of_a_scan_is_a_page(show: Previewer) -> None:
    pages = [Image.new("RGB", (64, 64 + 8 * number), colour) for number, colour in enumerate(QUARTERS)]
    data = samples.encoded(pages[0], "TIFF", pages[1:])
    facts = show.look(data, "image/tiff")
    assert (facts["kind"], facts["pages"], facts["width"], facts["height"]) == ("pages", 4, 64, 64)
    for number, colour in enumerate(QUARTERS, 1):
        picture = show.picture(data, "image/tiff", number)
        assert picture.size == (64, 56 + 8 * number)
        assert alike(at(picture, 0.5, 0.5), colour, 30)
    assert show.answer(data, "image/tiff", 5) == {"missing": True}


def test_of_an_animation_the_first_picture_is_shown_and_said_to_move(show: Previewer) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in QUARTERS]
    data = samples.encoded(frames[0], "GIF", frames[1:])
    facts = show.look(data, "image/gif")
    assert (facts["kind"], facts["pages"], facts["animated"]) == ("image", 1, True)
    assert alike(at(show.picture(data, "image/gif"), 0.5, 0.5), RED, 30)
    assert show.answer(data, "image/gif", 2) == {"missing": True}
    assert show.look(samples.gif(), "image/gif")["animated"] is False


def test_a_photo_of_an_iphone_is_shown(show: Previewer) -> None:
    facts = show.look(samples.heic(), "image/heic")
    assert (facts["kind"], facts["width"], facts["height"]) == ("image", 64, 48)
    drawn, picture = samples.picture(), show.picture(samples.heic(), "image/heic")
    assert picture.size == drawn.size
    assert all(alike(at(picture, *place), at(drawn, *place), 20) for place in ((0.1, 0.5), (0.5, 0.5), (0.9, 0.9)))


@pytest.mark.parametrize(("form", "media_type"), [("TIFF", "image/tiff"), ("PNG", "image/png"), ("JPEG", "image/jpeg")])
@pytest.mark.parametrize(("density", "size"), [((204, 98), (96, 133)), ((98, 204), (200, 64)), ((300, 300), (96, 64))])
def test_unequal_densities_are_shown_in_true_shape(
    show: Previewer, form: str, media_type: str, density: tuple[int, int], size: tuple[int, int]
) -> None:
    data = samples.encoded(quarters(), form, dpi=density)
    facts = show.look(data, media_type)
    assert (facts["width"], facts["height"]) == size
    picture = show.picture(data, media_type)
    assert picture.size == size
    assert all(alike(found, wanted, 12) for found, wanted in zip(corners(picture), QUARTERS, strict=True))


def test_a_fax_keeps_its_shape_when_it_is_made_smaller(show: Previewer) -> None:
    data = samples.encoded(Image.new("1", (1728, 1140), 1), "TIFF", compression="group4", dpi=(204, 98))
    picture = show.picture(data, "image/tiff")
    assert picture.width == 480
    assert abs(picture.height / picture.width - 1140 * 204 / 98 / 1728) < 0.01


@pytest.mark.parametrize("most", [4095, 65535, 1023])
def test_deep_greys_of_a_tiff_are_stretched(show: Previewer, most: int) -> None:
    image = Image.fromarray(steps(0, most // 2, most))
    picture = show.picture(samples.encoded(image, "TIFF"), "image/tiff")
    assert [at(picture, x, 0.5)[0] for x in (0.1, 0.5, 0.9)] == pytest.approx([0, 127, 255], abs=3)


def test_deep_greys_whose_white_is_zero_are_inverted(show: Previewer) -> None:
    image = Image.fromarray(steps(0, 65535))
    picture = show.picture(samples.encoded(image, "TIFF", tiffinfo={262: 0}), "image/tiff")
    assert [at(picture, x, 0.5)[0] for x in (0.1, 0.9)] == pytest.approx([255, 0], abs=3)


def test_colours_premultiplied_by_their_transparency_are_restored(show: Previewer) -> None:
    half = Image.new("RGBA", (96, 64), (255, 0, 0, 128))
    plain = samples.encoded(half, "TIFF")
    premultiplied = samples.encoded(Image.frombytes("RGBA", half.size, half.convert("RGBa").tobytes()), "TIFF")
    marked = premultiplied.replace(struct.pack("<HHLL", 338, 3, 1, 2), struct.pack("<HHLL", 338, 3, 1, 1))
    assert marked != premultiplied
    for data in (plain, marked):
        assert alike(at(show.picture(data, "image/tiff"), 0.5, 0.5), (255, 127, 127))


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_photo_that_ends_too_soon_is_shown_and_named(show: Previewer, share: float, progressive: bool) -> None:
    noise = numpy.random.default_rng(7).integers(0, 255, (200, 300, 3)).astype(numpy.uint8)
    whole = samples.encoded(Image.fromarray(noise), "JPEG", progressive=progressive)
    data = whole[: int(len(whole) * share)]
    assert "ends too soon" in show.look(data, "image/jpeg")["note"]
    assert "ends too soon" in show.answer(data, "image/jpeg")["note"]
    assert show.picture(data, "image/jpeg").size == (300, 200)
    assert (show.look(whole, "image/jpeg")["note"], show.answer(whole, "image/jpeg")["note"]) == (None, None)


def test_pages_beyond_the_limit_are_named(show: Previewer) -> None:
    dot = Image.new("1", (4, 4))
    facts = show.look(samples.encoded(dot, "TIFF", [dot] * 500), "image/tiff")
    assert (facts["pages"], "first 500 of 501 pages" in facts["note"]) == (500, True)


def test_deep_greys_that_are_transparent_stand_on_white(show: Previewer) -> None:
    data = samples.encoded(Image.fromarray(steps(0, 65535, 30000)), "PNG", transparency=0)
    picture = show.picture(data, "image/png")
    assert [at(picture, x, 0.5)[0] for x in (0.1, 0.5, 0.9)] == pytest.approx([255, 255, 117], abs=3)
