"""Pictures of the demo family: insurance cards, a sheet of paper seen by a phone, a chart and an X-ray."""

import math
import random
from array import array
from collections.abc import Sequence
from datetime import date
from io import BytesIO

import pydicom
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from PIL.Image import Resampling
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from medfiles.demo.letters import NOTICE as DASHED_NOTICE

NOTICE = DASHED_NOTICE.replace("–", "-")  # neither Pillow's own font nor plain DICOM text has the dash
EXIF_ORIENTATION, EXIF_MAKE, EXIF_MODEL, EXIF_TIME = 0x0112, 0x010F, 0x0110, 0x0132
TURNED_RIGHT = 6  # stored lying on its side; the reader turns it upright
UID_ROOT = "1.2.826.0.1.3680043.8.498.2026."
XRAY_SIZE = 512
INK, FAINT, PAPER = "#27313c", "#7b8794", "#fbfaf6"


def font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def jpeg(picture: Image.Image, exif: Image.Exif | None = None) -> bytes:
    file = BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=82, exif=exif or Image.Exif())
    return file.getvalue()


def png(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def grain(size: tuple[int, int], seed: int, low: int, high: int) -> Image.Image:
    """Soft noise between two grey levels."""
    small = (size[0] // 4, size[1] // 4)
    noise = Image.frombytes("L", small, random.Random(seed).randbytes(small[0] * small[1]))
    return noise.point([low + (high - low) * level // 255 for level in range(256)]).resize(size, Resampling.BICUBIC)


def card_front(company: str, colour: str, facts: Sequence[tuple[str, str]]) -> bytes:
    card, pen = blank_card()
    pen.rounded_rectangle((0, 0, 1011, 150), 36, fill=colour)
    pen.rectangle((0, 100, 1011, 150), fill=colour)
    pen.text((52, 46), company, font=font(50), fill="white")
    for number, (label, value) in enumerate(facts):
        x, y = 52 + 500 * (number % 2), 196 + 128 * (number // 2)
        pen.text((x, y), label.upper(), font=font(21), fill=FAINT)
        pen.text((x, y + 32), value, font=font(37), fill=INK)
    return on_table(card)


def card_back(lines: Sequence[str]) -> bytes:
    card, pen = blank_card()
    pen.rectangle((0, 56, 1011, 156), fill="#20262d")
    for number, line in enumerate(lines):
        pen.text((52, 204 + 54 * number), line, font=font(29), fill=INK)
    return on_table(card)


def blank_card() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    card = Image.new("RGBA", (1012, 638), (0, 0, 0, 0))
    pen = ImageDraw.Draw(card)
    pen.rounded_rectangle((0, 0, 1011, 637), 36, fill="#fdfdfb")
    pen.text((52, 592), NOTICE, font=font(20), fill=FAINT)
    return card, pen


def on_table(card: Image.Image) -> bytes:
    """The card as someone photographed it, lying on a desk and not quite straight."""
    desk = Image.merge("RGB", [grain((1280, 900), 7 + n, low, low + 16) for n, low in enumerate((126, 104, 84))])
    turned = card.rotate(1.8, Resampling.BICUBIC, expand=True)
    place = ((desk.width - turned.width) // 2, (desk.height - turned.height) // 2)
    cast_shadow(desk, turned.getchannel("A"), place)
    desk.paste(turned, place, turned)
    return jpeg(desk)


def cast_shadow(ground: Image.Image, shape: Image.Image, place: tuple[int, int]) -> None:
    mask = Image.new("L", ground.size, 0)
    mask.paste(shape.point([level // 2 for level in range(256)]), (place[0] + 10, place[1] + 16))
    ground.paste("#16110c", (0, 0), mask.filter(ImageFilter.GaussianBlur(16)))


def sheet_photo(title: str, lines: Sequence[str], day: date) -> bytes:
    """A sheet as a phone sees it: a little crooked, unevenly lit, stored on its side with EXIF."""
    desk = Image.merge("RGB", [grain((1500, 2000), 3 + n, low, low + 20) for n, low in enumerate((88, 92, 98))])
    sheet = paper(title, lines).rotate(-2.6, Resampling.BICUBIC, expand=True)
    place = ((desk.width - sheet.width) // 2, (desk.height - sheet.height) // 2)
    cast_shadow(desk, sheet.getchannel("A"), place)
    desk.paste(sheet, place, sheet)
    light = Image.linear_gradient("L").resize(desk.size).point([255 - level // 4 for level in range(256)])
    lit = Image.composite(desk, Image.new("RGB", desk.size, "#2a2118"), light)
    return jpeg(lit.transpose(Image.Transpose.ROTATE_90), phone_exif(day))


def paper(title: str, lines: Sequence[str]) -> Image.Image:
    sheet = Image.new("RGBA", (1240, 1754), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((110, 120), title, font=font(54), fill=INK)
    pen.line((110, 206, 1130, 206), fill="#0a6b78", width=5)
    for number, line in enumerate(lines):
        pen.text((110, 260 + 62 * number), line, font=font(34), fill=INK)
    pen.text((110, 1668), NOTICE, font=font(22), fill=FAINT)
    return sheet


def phone_exif(day: date) -> Image.Exif:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = TURNED_RIGHT
    exif[EXIF_MAKE], exif[EXIF_MODEL] = "Sample", "Example Phone 1"
    exif[EXIF_TIME] = f"{day:%Y:%m:%d} 18:20:00"
    return exif


def growth_chart(title: str, values: Sequence[tuple[int, float]]) -> bytes:
    """`values` are (age in years, height in cm); grey bands show an invented usual range."""
    chart = Image.new("RGB", (1200, 800), "white")
    pen = ImageDraw.Draw(chart)
    pen.text((80, 34), title, font=font(36), fill=INK)
    for age in range(11):
        pen.line((*spot(age, 50), *spot(age, 150)), fill="#eceff3", width=2)
        pen.text((spot(age, 50)[0], 724), str(age), font=font(22), fill=FAINT, anchor="mt")
    for height in range(50, 151, 20):
        pen.line((*spot(0, height), *spot(10, height)), fill="#eceff3", width=2)
        pen.text((80, spot(0, height)[1]), str(height), font=font(22), fill=FAINT, anchor="rm")
    for shift in (-8, 0, 8):
        pen.line([spot(age, usual(age) + shift) for age in range(11)], fill="#c3ccd6", width=4, joint="curve")
    pen.line([spot(*value) for value in values], fill="#6b4fb8", width=6, joint="curve")
    for x, y in (spot(*value) for value in values):
        pen.ellipse((x - 9, y - 9, x + 9, y + 9), fill="#6b4fb8")
    pen.text((80, 764), f"Height in cm, age in years. {NOTICE}", font=font(20), fill=FAINT)
    return png(chart)


def spot(age: float, height: float) -> tuple[float, float]:
    return 90 + age * 105, 710 - (height - 50) * 6


def usual(age: float) -> float:
    return 52 + 24.5 * math.pow(age, 0.61)


def xray(patient: str, born: date, day: date, part: str, seed: int) -> bytes:
    """A DICOM file with a knee drawn from soft shapes: 512 × 512, 12 of 16 bits, MONOCHROME2."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = UID(f"{UID_ROOT}{seed}.1")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = UID(f"{UID_ROOT}{seed}.2"), UID(f"{UID_ROOT}{seed}.3")
    data.PatientName, data.PatientID = "^".join(reversed(patient.split())), f"SAMPLE-{seed}"
    data.PatientBirthDate, data.StudyDate = f"{born:%Y%m%d}", f"{day:%Y%m%d}"
    data.StudyTime, data.Modality, data.BodyPartExamined = "101500", "DX", part
    data.StudyDescription, data.InstitutionName = NOTICE, "Sampleton General Hospital"
    data.StudyID, data.SeriesNumber, data.InstanceNumber = str(seed), 1, 1
    describe_pixels(data)
    data.PixelData = xray_pixels(seed)
    file = BytesIO()
    pydicom.dcmwrite(file, data, enforce_file_format=True)
    return file.getvalue()


def describe_pixels(data: FileDataset) -> None:
    data.Rows = data.Columns = XRAY_SIZE
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelSpacing = [0.4, 0.4]
    data.WindowCenter, data.WindowWidth = 1900, 3400


def xray_pixels(seed: int) -> bytes:
    size = (XRAY_SIZE, XRAY_SIZE)
    soft = Image.composite(knee(), Image.new("L", size, 12), flesh()).tobytes()
    noise = random.Random(seed).randbytes(len(soft))
    return array("H", (min(4095, level * 15 + grain // 3) for level, grain in zip(soft, noise, strict=True))).tobytes()


def flesh() -> Image.Image:
    mask = Image.new("L", (XRAY_SIZE, XRAY_SIZE), 0)
    pen = ImageDraw.Draw(mask)
    pen.polygon([(118, 0), (398, 0), (372, 220), (378, 300), (360, 512), (152, 512), (134, 300), (142, 220)], fill=255)
    return mask.filter(ImageFilter.GaussianBlur(9))


def knee() -> Image.Image:
    bones = Image.new("L", (XRAY_SIZE, XRAY_SIZE), 64)
    for shape in (FEMUR, TIBIA, FIBULA):
        draw_bone(bones, shape)
    patella = Image.new("L", bones.size, 0)
    ImageDraw.Draw(patella).ellipse((212, 128, 300, 216), fill=90)
    return Image.composite(Image.new("L", bones.size, 236), bones, patella.filter(ImageFilter.GaussianBlur(4)))


def draw_bone(picture: Image.Image, outline: Sequence[tuple[int, int]]) -> None:
    """Dense at the rim, less inside, as a shadow of a tube is."""
    rim, core = (Image.new("L", picture.size, 0) for _ in range(2))
    ImageDraw.Draw(rim).polygon(outline, fill=255)
    rim = rim.filter(ImageFilter.GaussianBlur(7)).point([255 if level > 127 else 0 for level in range(256)])
    core = rim.filter(ImageFilter.MinFilter(15)).filter(ImageFilter.GaussianBlur(9))
    shade = Image.composite(Image.new("L", picture.size, 158), Image.new("L", picture.size, 214), core)
    texture = grain(picture.size, 11, 0, 26)
    picture.paste(Image.blend(shade, texture, 0.12), (0, 0), rim.filter(ImageFilter.GaussianBlur(1.6)))


FEMUR = ((208, -20), (304, -20), (306, 130), (362, 186), (366, 238), (320, 254), (276, 244), (256, 226),
         (238, 244), (194, 254), (148, 238), (152, 186), (206, 130))  # fmt: skip
TIBIA = ((150, 268), (236, 264), (256, 252), (276, 264), (364, 268), (360, 302), (312, 350), (300, 540),
         (218, 540), (206, 350), (156, 302))  # fmt: skip
FIBULA = ((336, 322), (368, 316), (374, 344), (352, 384), (350, 540), (330, 540), (328, 384))
