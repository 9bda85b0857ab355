"""DICOM images: everything pydicom ships is shown or refused with a reason; greys, colours, frames and windows are
right where they are known; nobody's name comes out."""

import warnings
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy
import pydicom
import pydicom.data
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from tests.sandbox.render.conftest import Previewer
from tests.sandbox.render.pixels import alike, at
from tests.support import samples

DICOM = "application/dicom"
SHIPPED = Path(pydicom.data.__file__).parent
NO_PICTURE, BROKEN, PACKED = "contains no image", "too damaged", "compression is not supported"
# Of what pydicom ships with a preamble: what has pixel data and is yet not shown, and why
NOT_SHOWN = {
    "JPEG-lossy.dcm": PACKED,  # 12 bits of JPEG, which no decoder with a licence that suits takes
    "JPGExtended.dcm": PACKED,
    "JPEG2000-embedded-sequence-delimiter.dcm": PACKED,  # its stream ends too early
    "MR_truncated.dcm": BROKEN,
    "badVR.dcm": BROKEN,
    "meta_missing_tsyntax.dcm": BROKEN,
    "nested_priv_SQ.dcm": BROKEN,
}
WHO = (
    "PatientName", "PatientID", "ReferringPhysicianName", "OperatorsName", "PerformingPhysicianName", "PatientAddress",
)  # fmt: skip
BARS = (
    (255, 0, 0),
    (255, 128, 128),
    (0, 255, 0),
    (128, 255, 128),
    (0, 0, 255),
    (128, 128, 255),
    (0, 0, 0),
    (64, 64, 64),
)


def shipped() -> Iterator[Path]:
    for path in sorted(SHIPPED.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                if file.read(132)[128:] == b"DICM":
                    yield path


FILES = list(shipped())


@cache
def read(path: Path) -> Dataset:
    with warnings.catch_warnings(action="ignore"):
        return pydicom.dcmread(path)


def image(values: NDArray[Any], **elements: Any) -> bytes:
    """A file with these pixels, rows × columns or frames × rows × columns or … × 3, and what else is said of them."""
    data, meta = FileDataset("", {}, preamble=bytes(128)), FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data.file_meta, data.SOPClassUID, data.SOPInstanceUID = meta, CTImageStorage, meta.MediaStorageSOPInstanceUID
    colour = values.shape[-1] == 3
    data.Rows, data.Columns = values.shape[-3:-1] if colour else values.shape[-2:]
    data.SamplesPerPixel, data.PhotometricInterpretation = (3, "RGB") if colour else (1, "MONOCHROME2")
    data.BitsAllocated = data.BitsStored = 8 * values.dtype.itemsize
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(values.dtype.kind == "i")
    if colour:
        data.PlanarConfiguration = 0
    data.PixelData = values.tobytes()
    for name, value in elements.items():
        setattr(data, name, value)
    target = BytesIO()
    data.save_as(target, enforce_file_format=True)
    return target.getvalue()


def bands(*levels: int, kind: Any = numpy.int16) -> NDArray[Any]:
    """Stripes from left to right."""
    return numpy.repeat(numpy.array([levels], kind), 24, axis=1).repeat(48, axis=0)


def greys(picture: Image.Image, count: int) -> list[int]:
    return [at(picture, (place + 0.5) / count, 0.5)[0] for place in range(count)]


def group(name: str, **elements: Any) -> Dataset:
    inner, outer = Dataset(), Dataset()
    for element, value in elements.items():
        setattr(inner, element, value)
    setattr(outer, name, Sequence([inner]))
    return outer


def test_pydicom_still_ships_what_is_tested_here() -> None:
    assert len(FILES) > 150
    assert {path.name for path in FILES} >= NOT_SHOWN.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_shown_or_refused_with_a_reason_and_names_nobody(show: Previewer, path: Path) -> None:
    content, data = path.read_bytes(), read(path)
    facts = show.look(content, DICOM)
    if reason := NOT_SHOWN.get(path.name):
        assert (facts["kind"], reason in facts["reason"]) == ("none", True)
    elif "PixelData" not in data:
        assert (facts["kind"], NO_PICTURE in facts["reason"]) == ("none", True)
    else:
        assert (facts["kind"], facts["pages"]) == ("dicom", int(data.get("NumberOfFrames") or 1))
        picture = show.picture(content, DICOM, facts["pages"], 160)
        assert picture.width == min(160, facts["width"]) or picture.height == 400
    told = str(facts).lower()
    parts = [part for name in WHO for part in str(data.get(name) or "").lower().replace("^", " ").split()]
    assert not [part for part in parts if len(part) > 3 and part in told]


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name.startswith("SC_rgb_dcmtk")], ids=lambda path: path.name
)
def test_colour_bars_have_their_colours_however_they_are_packed(show: Previewer, path: Path) -> None:
    picture = show.picture(path.read_bytes(), DICOM)
    seen = [at(picture, 0.5, (place + 0.5) / 10) for place in range(8)]
    assert all(alike(*pair, 24) for pair in zip(seen, BARS, strict=True)), seen


def test_one_slice_looks_the_same_in_every_packing(show: Previewer) -> None:
    names = ("MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_jp2klossless.dcm",
             "MR_small_jpeg_ls_lossless.dcm", "MR_small_implicit.dcm", "MR_small_expb.dcm")  # fmt: skip
    assert len({show.webp(samples.dicom(name), DICOM) for name in names}) == 1


def test_a_window_shows_what_lies_in_it(show: Previewer) -> None:
    data = image(bands(-200, -100, 0, 100, 200), RescaleSlope=2, RescaleIntercept=10, WindowCenter=10, WindowWidth=400)
    # real values -390, -190, 10, 210, 410; PS3.3 C.11.2.1.2: ((x - (c - 0.5)) / (w - 1) + 0.5) × 255
    assert alike(greys(show.picture(data, DICOM), 5), [0, 0, 128, 255, 255], 6)
    assert alike(greys(show.picture(data, DICOM, window=(10, 801)), 5), [0, 64, 128, 191, 255], 6)
    assert alike(greys(show.picture(data, DICOM, window=(210, 2)), 5), [0, 0, 0, 191, 255], 70)


def test_exact_and_curved_windows_follow_the_standard(show: Previewer) -> None:
    values = bands(0, 25, 50, 75, 100)
    exact = image(values, WindowCenter=50, WindowWidth=100, VOILUTFunction="LINEAR_EXACT")
    assert alike(greys(show.picture(exact, DICOM), 5), [0, 64, 128, 191, 255], 6)
    curved = image(values, WindowCenter=50, WindowWidth=100, VOILUTFunction="SIGMOID")
    expected = [round(255 / (1 + numpy.exp(-4 * (value - 50) / 100))) for value in (0, 25, 50, 75, 100)]
    assert alike(greys(show.picture(curved, DICOM), 5), expected, 6)


def test_without_a_window_all_greys_are_used_and_what_is_around_does_not_count(show: Previewer) -> None:
    assert alike(greys(show.picture(image(bands(1000, 1500, 2000)), DICOM), 3), [0, 128, 255], 6)
    padded = image(bands(-2000, 1000, 1500, 2000), PixelPaddingValue=-2000)
    assert alike(greys(show.picture(padded, DICOM), 4), [0, 0, 128, 255], 6)


def test_an_inverted_image_is_shown_bright_on_dark(show: Previewer) -> None:
    data = image(bands(0, 500, 1000), PhotometricInterpretation="MONOCHROME1")
    assert alike(greys(show.picture(data, DICOM), 3), [255, 128, 0], 6)


def test_a_table_of_greys_is_looked_up(show: Previewer) -> None:
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [4, 0, 8], numpy.array([255, 10, 128, 60], "<u2").tobytes()
    data = image(bands(0, 1, 2, 3, kind=numpy.uint16), VOILUTSequence=Sequence([table]))
    assert alike(greys(show.picture(data, DICOM), 4), [255, 10, 128, 60], 6)


def test_frames_are_pages_each_with_its_own_window(show: Previewer) -> None:
    values = numpy.stack([bands(0, 100), bands(0, 1000)])
    windows = [group("FrameVOILUTSequence", WindowCenter=level / 2, WindowWidth=level) for level in (100, 1000)]
    data = image(values, NumberOfFrames=2, PerFrameFunctionalGroupsSequence=Sequence(windows))
    assert show.look(data, DICOM)["pages"] == 2
    for frame in (1, 2):
        assert alike(greys(show.picture(data, DICOM, frame), 2), [0, 255], 6)
    assert alike(greys(show.picture(data, DICOM, 2, window=(5000, 10)), 2), [0, 0], 6)
    assert show.answer(data, DICOM, 3) == {"missing": True}


def test_the_scale_of_all_frames_holds_for_each(show: Previewer) -> None:
    shared = group("PixelValueTransformationSequence", RescaleSlope=10, RescaleIntercept=-50)
    data = image(bands(0, 5, 10), SharedFunctionalGroupsSequence=Sequence([shared]), WindowCenter=0, WindowWidth=100)
    assert alike(greys(show.picture(data, DICOM), 3), [0, 128, 255], 6)


def test_colours_out_of_a_palette_are_found(show: Previewer) -> None:
    palette = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, entries in (("Red", (0, 65535, 0)), ("Green", (0, 0, 32768)), ("Blue", (65535, 0, 0))):
        palette[f"{name}PaletteColorLookupTableDescriptor"] = [3, 0, 16]  # type: ignore[assignment]
        palette[f"{name}PaletteColorLookupTableData"] = numpy.array(entries, "<u2").tobytes()  # type: ignore[assignment]
    picture = show.picture(image(bands(0, 1, 2, kind=numpy.uint8), **palette), DICOM)
    seen = [at(picture, x, 0.5) for x in (0.15, 0.5, 0.85)]
    assert all(alike(*pair, 24) for pair in zip(seen, ((0, 0, 255), (255, 0, 0), (0, 128, 0)), strict=True)), seen


def test_deep_colours_keep_their_brightness(show: Previewer) -> None:
    values = numpy.zeros((48, 48, 3), numpy.uint16)
    values[:] = (4095, 2048, 0)
    data = image(values, BitsStored=12, HighBit=11)
    assert alike(at(show.picture(data, DICOM), 0.5, 0.5), (255, 128, 0))


def test_oblong_pixels_become_square(show: Previewer) -> None:
    data = image(bands(0, 100), PixelAspectRatio=[2, 1])
    facts = show.look(data, DICOM)
    assert (facts["width"], facts["height"]) == (48, 96)
    assert show.picture(data, DICOM).size == (48, 96)


def test_a_window_is_offered_once(show: Previewer) -> None:
    own = {"WindowCenter": [40, -600], "WindowWidth": [400, 1500]}
    told = {"WindowCenterWidthExplanation": ["WEICHTEIL", "LUNGE"]}
    windows = show.look(image(bands(-1000, 1000), Modality="CT", **own, **told), DICOM)["windows"]
    assert [label for label, *_ in windows] == ["WEICHTEIL", "LUNGE", "Full range", "Bone", "Brain"]


def test_windows_to_choose_from_come_from_the_file_and_the_kind_of_image(show: Previewer) -> None:
    own = {"WindowCenter": [40, 300], "WindowWidth": [350, 1500], "WindowCenterWidthExplanation": ["BELLY", "BONE"]}
    windows = show.look(image(bands(-1000, 1000), Modality="CT", **own), DICOM)["windows"]
    assert windows[:3] == [["BELLY", 40, 350], ["BONE", 300, 1500], ["Full range", 0.5, 2001]]
    assert [label for label, *_ in windows[3:]] == ["Soft tissue", "Lung", "Bone", "Brain"]
    assert show.look(image(bands(0, 100), Modality="MR"), DICOM)["windows"] == [["Full range", 50.5, 101]]
    assert show.look(samples.dicom("SC_rgb_rle.dcm"), DICOM)["windows"] == []


def test_what_is_told_of_an_image_is_how_it_was_taken(show: Previewer) -> None:
    said = {"Modality": "CT", "BodyPartExamined": "KNEE", "StudyDate": "20240503", "KVP": "120", "Laterality": "L"}
    who = {
        "PatientName": "Sample^Ella",
        "PatientID": "4711",
        "StudyDescription": "Ella's knee",
        "Manufacturer": "Maker",
    }
    tags = dict(show.look(image(bands(0, 100), **said, **who), DICOM)["tags"])
    assert tags == {
        "Image type": "CT", "Date": "2024-05-03", "Side": "left", "Body part": "KNEE", "Device": "Maker",
        "Tube voltage": "120 kV", "Size": "48 × 48 pixels", "Encoding": "Explicit VR Little Endian",
    }  # fmt: skip


@pytest.mark.parametrize("size", [(65535, 65535), (0, 100), (40000, 40000)])
def test_an_absurd_size_is_refused(show: Previewer, size: tuple[int, int]) -> None:
    facts = show.look(image(bands(0, 1), Rows=size[0], Columns=size[1]), DICOM)
    assert facts["kind"] == "none"
    assert facts["reason"]


def test_more_frames_than_there_are_bytes_are_refused(show: Previewer) -> None:
    data = image(bands(0, 1), NumberOfFrames=2_000_000_000)
    assert "reason" in show.answer(data, DICOM, 99_999) or show.look(data, DICOM)["kind"] == "none"
