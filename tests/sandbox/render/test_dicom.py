"""DICOM images: everything pydicom ships is shown or refused with a reason; greys, colours, frames and windows are
right where they are known; nobody's name comes out."""

import warnings
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from itertools import pairwise
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
    "meta_missing_tsyntax.dcm": BROKEN,
    "nested_priv_SQ.dcm": BROKEN,
}
# Of these, what is shown with a note
NOTED = {
    "MR_truncated.dcm": "ends too soon",
    "badVR.dcm": "number of frames",
    "rtdose_expb.dcm": "byte order",
    "rtdose_expb_1frame.dcm": "byte order",
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
        frames = 15 if path.name == "badVR.dcm" else int(data.get("NumberOfFrames") or 1)
        assert (facts["kind"], facts["pages"]) == ("dicom", frames)
        assert facts["note"] is None if path.name not in NOTED else NOTED[path.name] in facts["note"]
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


def ramp(low: int, high: int, kind: Any = numpy.uint16) -> NDArray[Any]:
    """A picture that becomes evenly brighter from left to right."""
    return numpy.tile(numpy.linspace(low, high, 256).round().astype(kind), (64, 1))


def levels(picture: Image.Image) -> list[int]:
    """Return the greys of the middle row."""
    row = numpy.asarray(picture.convert("L"))[picture.height // 2]
    return [int(level) for level in row]


def is_even(picture: Image.Image) -> bool:
    """Return whether the picture becomes evenly brighter, from black to white."""
    row = levels(picture)
    return row[0] < 3 and row[-1] > 252 and all(0 <= after - before <= 3 for before, after in pairwise(row))


def lut(first: int, bits: int, entries: NDArray[Any], label: str = "") -> Dataset:
    table = Dataset()
    table.LUTDescriptor, table.LUTExplanation = [len(entries) % 65536, first % 65536, bits], label
    table["LUTDescriptor"].VR = "US"
    table.add_new("LUTData", "OW", entries.tobytes().ljust(len(entries.tobytes()) + len(entries.tobytes()) % 2, b"\0"))
    return table


def without(data: bytes, *names: str, **elements: Any) -> bytes:
    """The same file without these elements, or with other values for them, whether they are valid or not."""
    dataset, target = pydicom.dcmread(BytesIO(data)), BytesIO()
    for name in names:
        delattr(dataset, name)
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.save_as(target)
    return target.getvalue()


@pytest.mark.parametrize(("stored", "high"), [(12, 15), (12, 13), (10, 15), (8, 15)])
@pytest.mark.parametrize("signed", [False, True])
def test_pixels_aligned_to_other_bits_are_shifted(show: Previewer, stored: int, high: int, signed: bool) -> None:
    low, top = (-(1 << stored - 1), (1 << stored - 1) - 1) if signed else (0, (1 << stored) - 1)
    values = ramp(low, top, numpy.int16 if signed else numpy.uint16) << (high - stored + 1)
    values |= (1 << (high - stored + 1)) - 1  # what is below does not count
    assert is_even(show.picture(image(values, BitsStored=stored, HighBit=high), DICOM))


def test_bits_above_the_stored_ones_do_not_count(show: Previewer) -> None:
    values = ramp(0, 4095) | 0xA000
    assert is_even(show.picture(image(values, BitsStored=12, HighBit=11), DICOM))


@pytest.mark.parametrize(
    ("bits", "entries"),
    [
        (16, numpy.linspace(0, 4095, 4096).astype("<u2")),
        (16, numpy.linspace(0, 255, 4096).astype("<u2")),
        (8, numpy.linspace(0, 255, 4096).astype("u1")),
        (12, numpy.linspace(0, 4095, 4096).astype("<u2")),
        (16, numpy.linspace(0, 65535, 4096).astype("<u2")),
    ],
    ids=["12 of 16 bits", "8 of 16 bits", "8 bits packed in words", "12 bits", "16 bits"],
)
def test_a_table_is_spread_over_all_greys(show: Previewer, bits: int, entries: NDArray[Any]) -> None:
    table = lut(0, bits, entries, "BONES")
    data = image(ramp(0, 4095), BitsStored=12, HighBit=11, VOILUTSequence=Sequence([table]))
    assert is_even(show.picture(data, DICOM))
    windows = show.look(data, DICOM)["windows"]
    assert [label for label, *_ in windows] == ["BONES", "Full range"]
    assert is_even(show.picture(data, DICOM, window=windows[0][1:]))


def test_the_full_range_is_shown_without_the_table(show: Previewer) -> None:
    dark = lut(0, 12, (numpy.arange(4096) > 4000).astype("<u2") * 4095)
    data = image(ramp(0, 4095), BitsStored=12, HighBit=11, VOILUTSequence=Sequence([dark]))
    assert sum(levels(show.picture(data, DICOM))) < 5000
    ((name, *_), (label, *full)) = show.look(data, DICOM)["windows"]
    assert (name, label) == ("Table 1", "Full range")
    assert is_even(show.picture(data, DICOM, window=full))


def test_the_full_range_is_even_whatever_the_curve(show: Previewer) -> None:
    data = image(ramp(0, 4095), WindowCenter=100, WindowWidth=50, VOILUTFunction="SIGMOID")
    full = next(window for label, *window in show.look(data, DICOM)["windows"] if label == "Full range")
    assert is_even(show.picture(data, DICOM, window=full))


def test_each_frame_has_its_own_table(show: Previewer) -> None:
    up, down = numpy.arange(4096).astype("<u2"), numpy.arange(4096)[::-1].astype("<u2")
    frames = [group("FrameVOILUTSequence", VOILUTSequence=Sequence([lut(0, 12, table)])) for table in (up, down)]
    data = image(
        numpy.stack([ramp(0, 4095)] * 2),
        BitsStored=12,
        HighBit=11,
        NumberOfFrames=2,
        PerFrameFunctionalGroupsSequence=Sequence(frames),
    )
    first, second = (show.picture(data, DICOM, page) for page in (1, 2))
    assert is_even(first)
    assert levels(second) == [255 - level for level in levels(first)]


def test_a_table_for_negative_values_starts_at_its_first(show: Previewer) -> None:
    table = lut(-2048, 12, numpy.arange(4096).astype("<u2"))
    data = image(ramp(-2048, 2047, numpy.int16), VOILUTSequence=Sequence([table]))
    assert is_even(show.picture(data, DICOM))


SHAPES = (
    {"PixelSpacing": [2, 1]},
    {"ImagerPixelSpacing": [0.5, 0.25]},
    {"NominalScannedPixelSpacing": [0.2, 0.1]},
    {"PixelAspectRatio": [2, 1]},
    {"PixelSpacing": [2, 1], "PixelAspectRatio": [1, 1]},
    {"SharedFunctionalGroupsSequence": Sequence([group("PixelMeasuresSequence", PixelSpacing=[2, 1])])},
)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: ", ".join(shape))
def test_pixels_have_their_true_shape_wherever_it_is_given(show: Previewer, shape: dict[str, Any]) -> None:
    data = image(numpy.zeros((128, 256), numpy.uint16), **shape)
    facts = show.look(data, DICOM)
    assert (facts["width"], facts["height"]) == (256, 256)
    assert show.picture(data, DICOM).size == (256, 256)


def test_flat_pixels_are_widened(show: Previewer) -> None:
    data = image(numpy.zeros((128, 128), numpy.uint16), PixelSpacing=[1, 2])
    assert show.picture(data, DICOM).size == (256, 128)
    assert show.picture(image(numpy.zeros((128, 128), numpy.uint16), PixelSpacing=[0, 2]), DICOM).size == (128, 128)


@pytest.mark.parametrize(
    ("values", "padding"),
    [
        (ramp(0, 1000, numpy.int16), {"PixelPaddingValue": -2000}),
        (ramp(0, 1000), {"PixelPaddingValue": 63536}),
        (ramp(0, 1000, numpy.int16), {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1990}),
    ],
    ids=["signed", "unsigned", "range"],
)
def test_padding_does_not_count(show: Previewer, values: NDArray[Any], padding: dict[str, int]) -> None:
    values = values.copy()
    values[:10] = numpy.array([padding["PixelPaddingValue"]]).astype(values.dtype)
    if "PixelPaddingRangeLimit" in padding:
        values[5:10] = -1995
    data = image(values, **padding)
    assert is_even(show.picture(data, DICOM))
    assert show.look(data, DICOM)["windows"][0] == ["Full range", 500.5, 1001]


def overlaid(layer: NDArray[Any], origin: tuple[int, int] = (1, 1), **elements: Any) -> bytes:
    dataset, target = pydicom.dcmread(BytesIO(image(numpy.zeros((64, 256), numpy.uint16)))), BytesIO()
    rows, columns = layer.shape
    for element, vr, value in (
        (0x10, "US", rows), (0x11, "US", columns), (0x40, "CS", "G"), (0x50, "SS", list(origin)),
        (0x100, "US", 1), (0x102, "US", 0), (0x3000, "OW", numpy.packbits(layer.ravel(), bitorder="little").tobytes()),
    ):  # fmt: skip
        dataset.add_new((0x6002, element), vr, value)
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.save_as(target)
    return target.getvalue()


def test_an_overlay_is_drawn(show: Previewer) -> None:
    data = overlaid(numpy.ones((32, 64), numpy.uint8), (17, 65))
    picture = show.picture(data, DICOM)
    inside, outside = ((0.3, 0.5), (0.45, 0.7)), ((0.2, 0.5), (0.55, 0.5), (0.3, 0.2), (0.3, 0.8))
    assert [at(picture, *place)[0] for place in (*inside, *outside)] == [255, 255, 0, 0, 0, 0]
    assert show.look(data, DICOM)["note"] is None


def test_an_overlay_beyond_the_edge_is_cut(show: Previewer) -> None:
    picture = show.picture(overlaid(numpy.ones((64, 256), numpy.uint8), (-31, -127)), DICOM)
    assert [at(picture, *place)[0] for place in ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75))] == [255, 0, 0]


def test_an_overlay_in_unused_bits_is_drawn(show: Previewer) -> None:
    values = numpy.zeros((64, 256), numpy.uint16)
    values[:32] = 0x8000
    dataset = pydicom.dcmread(BytesIO(image(values, BitsStored=12, HighBit=11)))
    for element, vr, value in ((0x10, "US", 64), (0x11, "US", 256), (0x50, "SS", [1, 1]), (0x102, "US", 15)):
        dataset.add_new((0x6000, element), vr, value)
    target = BytesIO()
    dataset.save_as(target)
    picture = show.picture(target.getvalue(), DICOM)
    assert [at(picture, 0.5, y)[0] for y in (0.2, 0.8)] == [255, 0]


def test_an_unreadable_overlay_is_named(show: Previewer) -> None:
    broken = pydicom.dcmread(BytesIO(overlaid(numpy.ones((8, 8), numpy.uint8))))
    broken[0x6002, 0x3000].value = b"\1\1"
    target = BytesIO()
    broken.save_as(target)
    assert "overlay" in show.look(target.getvalue(), DICOM)["note"]
    assert "overlay" in show.answer(target.getvalue(), DICOM)["note"]


GOOD = image(ramp(0, 4095), BitsStored=12, HighBit=11)
COLOURS = image(numpy.tile(numpy.array([[[200, 30, 30]]], numpy.uint8), (64, 64, 1)))
ODD = {
    "photometric interpretation": without(GOOD, "PhotometricInterpretation"),
    "samples": without(GOOD, "SamplesPerPixel"),
    "sign": without(GOOD, "PixelRepresentation"),
    "bits stored": without(GOOD, BitsStored=17),
    "high bit": without(GOOD, "HighBit"),
    "bits allocated": without(GOOD, "BitsAllocated"),
    "a colour model for one sample": without(GOOD, PhotometricInterpretation="RGB"),
    "an unknown colour model": without(GOOD, PhotometricInterpretation="GRAY"),
    "a palette without its tables": without(GOOD, PhotometricInterpretation="PALETTE COLOR"),
}


@pytest.mark.parametrize("odd", ODD)
def test_one_odd_element_does_not_take_the_image_away(show: Previewer, odd: str) -> None:
    assert "guessed" in show.look(ODD[odd], DICOM)["note"]
    assert "guessed" in show.answer(ODD[odd], DICOM)["note"]
    assert levels(show.picture(ODD[odd], DICOM))[::64] == levels(show.picture(GOOD, DICOM))[::64]


def test_colours_stored_in_another_way_than_announced_are_shown(show: Previewer) -> None:
    for data in (without(COLOURS, "PlanarConfiguration"), without(COLOURS, "SamplesPerPixel")):
        assert "guessed" in show.look(data, DICOM)["note"]
        assert alike(at(show.picture(data, DICOM), 0.5, 0.5), (200, 30, 30))
    whole = numpy.tile(numpy.array([[[81, 90, 240]]], numpy.uint8), (64, 64, 1))  # red
    data = image(whole, PhotometricInterpretation="YBR_FULL_422")
    assert "color" in show.look(data, DICOM)["note"]
    assert alike(at(show.picture(data, DICOM), 0.5, 0.5), (238, 14, 14), 3)


def test_video_levels_are_widened(show: Previewer) -> None:
    halved = numpy.tile(numpy.array([235, 235, 128, 128], numpy.uint8), (64, 32)).tobytes()
    data = without(COLOURS, PhotometricInterpretation="YBR_PARTIAL_422", PixelData=halved)
    assert alike(at(show.picture(data, DICOM), 0.5, 0.5), (255, 255, 255))


def test_a_colour_model_that_is_not_supported_is_named(show: Previewer) -> None:
    facts = show.look(without(COLOURS, PhotometricInterpretation="CMYK"), DICOM)
    assert (facts["kind"], "CMYK" in facts["reason"]) == ("none", True)


@pytest.mark.parametrize(("claimed", "held"), [(5, 3), (2_000_000_000, 2), (3, 1)])
def test_missing_frames_are_named_and_the_others_shown(show: Previewer, claimed: int, held: int) -> None:
    data = image(numpy.stack([ramp(0, 4095)] * held), NumberOfFrames=claimed)
    facts = show.look(data, DICOM)
    assert (facts["pages"], f"contains {held}." in facts["note"]) == (held, True)
    assert is_even(show.picture(data, DICOM, held))
    assert show.answer(data, DICOM, held + 1) == {"missing": True}


def test_more_frames_than_announced_are_named(show: Previewer) -> None:
    assert "more image data" in show.look(image(numpy.stack([ramp(0, 4095)] * 3), NumberOfFrames=1), DICOM)["note"]


def test_a_short_image_is_shown_as_far_as_it_goes(show: Previewer) -> None:
    whole = ramp(0, 4095)
    data = without(GOOD, PixelData=whole.tobytes()[: whole.nbytes // 2])
    assert "ends too soon" in show.look(data, DICOM)["note"]
    assert at(show.picture(data, DICOM), 0.9, 0.2)[0] > 200
    assert at(show.picture(data, DICOM), 0.9, 0.8)[0] == 0


def test_decimal_commas_are_read(show: Previewer) -> None:
    pointed = image(ramp(0, 4095), WindowCenter="1000.5", WindowWidth="800.5")
    data = pointed.replace(b"1000.5", b"1000,5").replace(b"800.5 ", b"800,5 ")
    assert data != pointed
    facts = show.look(data, DICOM)
    assert (facts["windows"][0], "decimal commas" in facts["note"]) == (["As recorded", 1000.5, 800.5], True)
    assert levels(show.picture(data, DICOM)) == levels(show.picture(pointed, DICOM))
