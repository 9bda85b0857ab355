"""QR codes."""

from dataclasses import dataclass

import qrcode

QUIET_ZONE = 4  # modules around a QR code, which readers need


@dataclass(frozen=True)
class QrCode:
    """A QR code as the path of an SVG, a square of `size` units."""

    size: int
    path: str


def qr_code(text: str) -> QrCode:
    """Draw a QR code as one path, because the Content-Security-Policy forbids inline styles."""
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=QUIET_ZONE)
    code.add_data(text)
    rows = code.get_matrix()
    dark = ((x, y) for y, row in enumerate(rows) for x, is_dark in enumerate(row) if is_dark)
    return QrCode(len(rows), "".join(f"M{x} {y}h1v1h-1z" for x, y in dark))
