"""Pillow, configured for untrusted files."""

from typing import BinaryIO

import pi_heif
from PIL import Image, ImageColor, MpoImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401  Pillow imports them late

from medfiles.sandbox.media_types import BY_NAME

Image.preinit()
Image.MAX_IMAGE_PIXELS = None  # check_size rejects instead of warning
pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


def open_image(file: BinaryIO, media_type: str) -> Image.Image:
    """Open an image with the decoder of this media type and no other."""
    return Image.open(file, formats=[BY_NAME[media_type].decoder])
