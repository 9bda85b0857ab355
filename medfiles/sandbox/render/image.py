"""Pictures: the right way up, in sRGB, on white, whatever way of writing colours they use."""

from io import BytesIO
from typing import Any, BinaryIO

import numpy
import pi_heif
from PIL import ExifTags, Image, ImageCms, ImageOps

from medfiles.sandbox.inspect.signatures import BROKEN
from medfiles.sandbox.media_types import BY_NAME
from medfiles.sandbox.render.base import Facts, NoSuchPage, encoded, judge_size, shrunk
from medfiles.sandbox.render.spec import boxed

MAX_FRAMES = 500
TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height
SRGB = ImageCms.createProfile("sRGB")

Image.preinit()
Image.MAX_IMAGE_PIXELS = None  # judge_size refuses instead of warning
pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


def look(file: BinaryIO, media_type: str) -> Facts:
    with Image.open(file, formats=[BY_NAME[media_type].decoder]) as image:
        judge_size(*image.size)
        is_upright = media_type == "image/tiff"  # Pillow tells the upright size of those
        width, height = image.size if is_upright else lying(image.size, orientation(image))
        frames = min(getattr(image, "n_frames", 1), MAX_FRAMES)
        if media_type == "image/tiff":
            return Facts("pages", frames, width, height)
        return Facts("image", 1, width, height, animated=media_type == "image/gif" and frames > 1)


def picture(
    file: BinaryIO, page: int, width: int, window: tuple[float, float] | None, *, media_type: str
) -> dict[str, Any]:
    with Image.open(file, formats=[BY_NAME[media_type].decoder]) as image:
        advance(image, page, media_type)
        judge_size(*image.size)
        turn = orientation(image)
        image.draft(None, lying(boxed(lying(image.size, turn), width), turn))  # a JPEG is read at about that size
        return encoded(plain(upright(image, turn), width))


def lying(size: tuple[int, int], turn: int) -> tuple[int, int]:
    return (size[1], size[0]) if turn in TURNED else size


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
        return 1  # a damaged note on a sound picture


def upright(image: Image.Image, turn: int) -> Image.Image:
    return ImageOps.exif_transpose(image) if 1 < turn <= 8 else image


def plain(image: Image.Image, width: int) -> Image.Image:
    """Eight bits of red, green and blue at the wanted size."""
    profile = image.info.get("icc_profile")
    return to_srgb(flat(shrunk(common(image), width)), profile)


def common(image: Image.Image) -> Image.Image:
    """In a mode that can be made smaller: deep greys at eight bits, palettes in their colours."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((numpy.asarray(image) >> 8).astype(numpy.uint8))
    if image.mode in ("I", "F"):
        return stretched(image)
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    if "transparency" in image.info and image.mode in ("1", "L", "RGB"):
        return image.convert("RGBA")
    return image.convert("L") if image.mode == "1" else image


def stretched(image: Image.Image) -> Image.Image:
    """Values without a stated range: from their least to their most. Those of a 16-bit PNG have one."""
    values = numpy.asarray(image).astype(numpy.float32)
    least, most = (0.0, 65535.0) if image.format == "PNG" else (float(values.min()), float(values.max()))
    return Image.fromarray(((values - least) * (255 / max(most - least, 1e-12))).clip(0, 255).astype(numpy.uint8))


def flat(image: Image.Image) -> Image.Image:
    """What is transparent stands on white."""
    if image.mode not in ("RGBA", "LA", "La", "RGBa"):
        return image
    layer = image.convert("RGBA")
    paper = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(paper, layer).convert("RGB")


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A profile that does not fit the picture is as good as none."""
    if image.mode == "LAB":
        return converted(image, ImageCms.createProfile("LAB"))
    if profile and image.mode in ("RGB", "CMYK", "L"):
        try:
            return converted(image, ImageCms.ImageCmsProfile(BytesIO(profile)))
        except (ImageCms.PyCMSError, *BROKEN):
            return image.convert("RGB")
    return image.convert("RGB")


def converted(image: Image.Image, profile: Any) -> Image.Image:
    made = ImageCms.profileToProfile(image, profile, SRGB, outputMode="RGB")
    return made if made is not None else image.convert("RGB")
