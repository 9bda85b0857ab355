"""Pillow, configured for untrusted files."""

from typing import BinaryIO

import pi_heif
from PIL import (  # Pillow imports some of them late
    Image,
    ImageColor,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from medfiles.sandbox.media_types import BY_NAME

Image.preinit()
Image.MAX_IMAGE_PIXELS = None  # check_size rejects instead of warning
PngImagePlugin.MAX_TEXT_CHUNK = 16 * 1024**2  # metadata of photo editors
PngImagePlugin.MAX_TEXT_MEMORY = 64 * 1024**2
pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


def open_image(file: BinaryIO, media_type: str) -> Image.Image:
    """Open an image with the decoder of this media type and no other."""
    return Image.open(file, formats=[BY_NAME[media_type].decoder])
