"""Render images of every color mode: upright, in sRGB, on a white background."""

from io import BytesIO
from typing import Any, BinaryIO

import numpy
from PIL import ExifTags, Image, ImageCms, ImageOps

from medfiles.sandbox.inspect.signatures import BROKEN
from medfiles.sandbox.pillow import open_image
from medfiles.sandbox.render.base import NoSuchPage, PreviewData, check_size, encode_webp, fit
from medfiles.sandbox.render.spec import fit_size

MAX_FRAMES = 500
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
SRGB = ImageCms.createProfile("sRGB")


def describe(file: BinaryIO, media_type: str) -> PreviewData:
    with open_image(file, media_type) as image:
        check_size(*image.size)
        is_upright = media_type == "image/tiff"  # Pillow already reports the upright size
        width, height = image.size if is_upright else oriented_size(image.size, orientation(image))
        frames = min(getattr(image, "n_frames", 1), MAX_FRAMES)
        if media_type == "image/tiff":
            return PreviewData("pages", frames, width, height)
        return PreviewData("image", 1, width, height, animated=media_type == "image/gif" and frames > 1)


def picture(
    file: BinaryIO, page: int, width: int, window: tuple[float, float] | None, *, media_type: str
) -> dict[str, Any]:
    with open_image(file, media_type) as image:
        advance(image, page, media_type)
        check_size(*image.size)
        exif_orientation = orientation(image)
        image.draft(
            None, oriented_size(fit_size(oriented_size(image.size, exif_orientation), width), exif_orientation)
        )  # decode a JPEG at roughly that size
        return encode_webp(to_plain_rgb(ImageOps.exif_transpose(image) if 1 < exif_orientation <= 8 else image, width))


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
    if image.mode.startswith("I;16"):
        return Image.fromarray((numpy.asarray(image) >> 8).astype(numpy.uint8))
    if image.mode in ("I", "F"):
        return to_eight_bits(image)
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    if "transparency" in image.info and image.mode in ("1", "L", "RGB"):
        return image.convert("RGBA")
    return image.convert("L") if image.mode == "1" else image


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale to the full 8-bit range. Only a 16-bit PNG has a defined range; for others, use that of their values."""
    values = numpy.asarray(image).astype(numpy.float32)
    least, most = (0.0, 65535.0) if image.format == "PNG" else (float(values.min()), float(values.max()))
    return Image.fromarray(((values - least) * (255 / max(most - least, 1e-12))).clip(0, 255).astype(numpy.uint8))


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
