"""Render images of every color mode: upright, in sRGB, on a white background."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, BinaryIO

import numpy
from PIL import ExifTags, Image, ImageCms, ImageFile, ImageOps, TiffImagePlugin

from medfiles.sandbox.inspect.signatures import BROKEN
from medfiles.sandbox.pillow import open_image
from medfiles.sandbox.render.base import NoSuchPage, PreviewData, check_size, encode_webp, fit
from medfiles.sandbox.render.spec import fit_size

MAX_FRAMES = 500
SIDE, UPPER = 384, 0.35  # of a photo: pixels, and how far down its middle is
DRAFT = (64, 64)  # the size at which a JPEG is decoded to see whether it is complete
DENSITIES = ("dpi", "resolution", "jfif_density")  # columns and rows per unit of length
SQUARE, MOST_OBLONG = 1.02, 5.0  # height of a pixel in multiples of its width: still square, no longer plausible
CUT = "Only the first {:,} of {:,} pages are shown. Download the document to see all of it."
TOO_SOON = "This photo ends too soon. Its missing part is gray."
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
SRGB = ImageCms.createProfile("sRGB")


def describe(file: BinaryIO, media_type: str) -> PreviewData:
    with open_image(file, media_type) as image:
        check_size(*image.size)
        is_upright = media_type == "image/tiff"  # Pillow already reports the upright size
        size = true_size(image)
        width, height = size if is_upright else oriented_size(size, orientation(image))
        frames = getattr(image, "n_frames", 1)
        if media_type == "image/tiff":
            cut = CUT.format(MAX_FRAMES, frames) if frames > MAX_FRAMES else None
            return PreviewData("pages", min(frames, MAX_FRAMES), width, height, note=cut)
        animated, note = media_type == "image/gif" and frames > 1, load_tolerantly(image, DRAFT)
        return PreviewData("image", 1, width, height, animated=animated, note=note)


def picture(
    file: BinaryIO, page: int, width: int, window: tuple[float, float] | None, *, media_type: str
) -> dict[str, Any]:
    return encode_webp(*upright(file, page, width, media_type))


def square(file: BinaryIO, media_type: str) -> dict[str, Any]:
    """Render the largest square in the middle; of a portrait, one nearer to the top, where the face is."""
    picture, _ = upright(file, 1, 4 * SIDE, media_type)
    return encode_webp(ImageOps.fit(picture, (SIDE, SIDE), Image.Resampling.LANCZOS, centering=(0.5, UPPER)))


def upright(file: BinaryIO, page: int, width: int, media_type: str) -> tuple[Image.Image, str | None]:
    """Return a page the right way up, at most `width` wide, and a note if part of it is missing."""
    with open_image(file, media_type) as image:
        advance(image, page, media_type)
        check_size(*image.size)
        exif_orientation = orientation(image)
        draft = oriented_size(fit_size(oriented_size(image.size, exif_orientation), width), exif_orientation)
        shape, note = true_size(image), load_tolerantly(image, draft)
        shaped = square_pixels(image, shape)
        turned = ImageOps.exif_transpose(shaped) if 1 < exif_orientation <= 8 else shaped
        return to_plain_rgb(turned, width), note


def load_tolerantly(image: Image.Image, draft: tuple[int, int]) -> str | None:
    """Decode the image; a JPEG at roughly this size, and as far as it goes. Return a note if it ends too soon."""
    image.draft(None, draft)
    if image.format != "JPEG":
        return None
    try:
        image.load()
    except OSError:
        with lenient():
            image.load()
        return TOO_SOON
    return None


@contextmanager
def lenient() -> Iterator[None]:
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def true_size(image: Image.Image) -> tuple[int, int]:
    """Return the size in square pixels. Faxes, for example, have half as many lines as columns per inch."""
    density = next((image.info[name] for name in DENSITIES if image.info.get(name)), (1, 1))
    try:
        tall = float(density[0]) / float(density[1])
    except (TypeError, ValueError, ArithmeticError, IndexError):
        return image.size
    if not (1 / MOST_OBLONG <= tall <= MOST_OBLONG) or 1 / SQUARE < tall < SQUARE:
        return image.size
    return (image.width, round(image.height * tall)) if tall > 1 else (round(image.width / tall), image.height)


def square_pixels(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Stretch the image to the proportions of `size`."""
    wanted = image.width, round(image.width * size[1] / size[0])
    if wanted[1] < image.height:
        wanted = round(image.height * size[0] / size[1]), image.height
    if abs(wanted[0] - image.width) <= 1 and abs(wanted[1] - image.height) <= 1:
        return image
    stretched = to_resizable_mode(image).resize(wanted)
    stretched.info, stretched.format = image.info, image.format
    return stretched


def oriented_size(size: tuple[int, int], exif_orientation: int) -> tuple[int, int]:
    return (size[1], size[0]) if exif_orientation in SIDEWAYS else size


def advance(image: Image.Image, page: int, media_type: str) -> None:
    if page > 1 and media_type != "image/tiff":
        raise NoSuchPage
    try:
        image.seek(page - 1)
    except EOFError as error:
        raise NoSuchPage from error


def orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except BROKEN:
        return 1  # damaged EXIF in an intact picture


def to_plain_rgb(image: Image.Image, width: int) -> Image.Image:
    """Convert to 8-bit RGB at the requested size."""
    profile = image.info.get("icc_profile")
    return to_srgb(flatten(fit(to_resizable_mode(image), width)), profile)


def to_resizable_mode(image: Image.Image) -> Image.Image:
    """Convert to a mode that can be resized: deep grayscale to 8 bits, and palettes to colors."""
    if image.mode.startswith("I;") or image.mode in ("I", "F"):
        grey, clear = to_eight_bits(image), image.info.get("transparency")
        if isinstance(clear, int):
            grey.paste(255, mask=Image.fromarray(numpy.asarray(image) == clear))
        return grey
    if image.mode in ("La", "RGBa"):  # premultiplied by the transparency
        return image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    if "transparency" in image.info and image.mode in ("1", "L", "RGB"):
        return image.convert("RGBA")
    return image.convert("L") if image.mode == "1" else image


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale to the full 8-bit range. Only a 16-bit PNG has a defined range; for others, use that of their values."""
    values = numpy.nan_to_num(numpy.asarray(image).astype(numpy.float32))
    least, most = (0.0, 65535.0) if image.format == "PNG" else (float(values.min()), float(values.max()))
    grey = ((values - least) * (255 / max(most - least, 1e-12))).round().clip(0, 255).astype(numpy.uint8)
    white_is_zero = getattr(image, "tag_v2", {}).get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
    return Image.fromarray(255 - grey if white_is_zero else grey)


def flatten(image: Image.Image) -> Image.Image:
    """Put transparent images on a white background."""
    if image.mode not in ("RGBA", "LA", "La", "RGBa"):
        return image
    layer = image.convert("RGBA")
    paper = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(paper, layer).convert("RGB")


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert to sRGB. Ignore a profile that does not match the image."""
    if image.mode == "LAB":
        return convert_profile(image, ImageCms.createProfile("LAB"))
    if profile and image.mode in ("RGB", "CMYK", "L"):
        try:
            return convert_profile(image, ImageCms.ImageCmsProfile(BytesIO(profile)))
        except (ImageCms.PyCMSError, *BROKEN):
            return image.convert("RGB")
    return image.convert("RGB")


def convert_profile(image: Image.Image, profile: Any) -> Image.Image:
    result = ImageCms.profileToProfile(image, profile, SRGB, outputMode="RGB")
    return result if result is not None else image.convert("RGB")
