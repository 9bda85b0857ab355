"""Office documents: which compound files and ZIP packages are accepted, and which bounds they keep."""

import gzip
import io
import struct
import zipfile

import pytest

from medfiles.errors import ContentMismatch, Rejected
from tests.sandbox.test_inspect import Look, edited
from tests.support import samples
from tests.support.samples import WORD


def zipped(*members: tuple[zipfile.ZipInfo | str, bytes]) -> bytes:
    target = io.BytesIO(samples.docx())
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return target.getvalue()


def linked(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def test_the_older_stream_name_of_excel_is_known(look: Look) -> None:
    assert look(samples.compound("Book"), ".xls").media_type == "application/vnd.ms-excel"


def test_a_compound_file_of_another_program_is_refused(look: Look) -> None:
    with pytest.raises(ContentMismatch, match="a presentation"):
        look(samples.compound("PowerPoint Document"), ".doc")


def test_an_office_document_locked_with_a_password_is_accepted(look: Look) -> None:
    assert look(samples.compound("EncryptedPackage"), ".docx").media_type == WORD


def test_a_plain_zip_is_no_word_document(look: Look) -> None:
    with pytest.raises(ContentMismatch, match="a ZIP archive"):
        look(samples.package({"readme.txt": "hello"}), ".docx")


def test_a_main_part_declared_by_default_is_known(look: Look) -> None:
    parts = samples.docx_parts()
    parts["[Content_Types].xml"] = f'<Types><Default Extension="xml" ContentType="{WORD}.main+xml"/></Types>'
    assert look(samples.package(parts), ".docx").media_type == WORD


def test_a_document_with_a_chart_brings_its_workbook_along(look: Look) -> None:
    assert look(zipped(("word/embeddings/sheet1.xlsx", samples.xlsx())), ".docx").media_type == WORD


@pytest.mark.parametrize(
    "member",
    [
        ("word/embeddings/a.zip", samples.package({"a": "b"})),
        ("word/a.docx", zipped(("b.docx", zipped(("c.docx", zipped(("d.docx", samples.docx()))))))),
        ("word/a.gz", gzip.compress(b"x")),
    ],
    ids=["zip", "too deep", "gzip"],
)
def test_other_archives_inside_are_unsafe(look: Look, member: tuple[str, bytes]) -> None:
    with pytest.raises(Rejected, match="contains other archives"):
        look(zipped(member), ".docx")


def test_a_package_that_inflates_beyond_bounds_is_unsafe(look: Look) -> None:
    with pytest.raises(Rejected, match="unpacks to more than 200 MB"):
        look(zipped(*((f"word/{number}.bin", bytes(21 * 1024**2)) for number in range(10))), ".docx")


def test_a_package_embedded_in_another_shares_its_bounds(look: Look) -> None:
    inner = zipped(("word/big.bin", bytes(110 * 1024**2)))
    with pytest.raises(Rejected, match="unpacks to more than 200 MB"):
        look(zipped(("word/big.bin", bytes(95 * 1024**2)), ("word/embeddings/a.docx", inner)), ".docx")


def test_too_many_members_are_unsafe(look: Look) -> None:
    with pytest.raises(Rejected, match="more than 10,000 parts"):
        look(zipped(*((f"word/{number}", b"") for number in range(10_000))), ".docx")


@pytest.mark.parametrize(
    "name", ["../up.xml", "word/../../up.xml", "/etc/passwd", "C:/autoexec.bat", "word\\..\\..\\up.xml"]
)
def test_a_member_that_points_outside_is_unsafe(look: Look, name: str) -> None:
    with pytest.raises(Rejected, match="points outside"):
        look(zipped((name, b"x")), ".docx")


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o010666], ids=["link", "device", "pipe"])
def test_links_and_devices_are_unsafe(look: Look, mode: int) -> None:
    with pytest.raises(Rejected, match="links or devices"):
        look(zipped((linked("word/link", mode), b"/etc/passwd")), ".docx")


def test_an_encrypted_member_is_unsafe(look: Look) -> None:
    whole = samples.docx()
    with pytest.raises(Rejected, match="protected with a password"):
        look(edited(whole, whole.index(b"PK\1\2") + 8, "<H", 1), ".docx")


@pytest.mark.parametrize("field", [20, 24], ids=["packed", "unpacked"])
def test_a_member_that_lies_about_its_size_is_unsafe(look: Look, field: int) -> None:
    whole = samples.docx()
    with pytest.raises(Rejected, match="sizes of its parts are wrong"):
        look(edited(whole, whole.index(b"PK\1\2") + field, "<I", 7), ".docx")


def test_sizes_that_lie_in_both_headers_are_found_while_inflating(look: Look) -> None:
    whole = samples.docx()
    both = edited(edited(whole, whole.index(b"PK\1\2") + 24, "<I", 7), 22, "<I", 7)
    with pytest.raises(Rejected, match="sizes or checksums of its parts are wrong"):
        look(both, ".docx")


def test_two_entries_on_one_member_overlap(look: Look) -> None:
    whole = zipped(("word/one", b"x"), ("word/two", b"x"))
    directory = whole.index(b"PK\1\2")
    second = whole.rindex(b"PK\1\2", directory)
    first = whole.rindex(b"PK\1\2", directory, second)
    start = struct.unpack_from("<I", whole, first + 42)[0]
    with pytest.raises(Rejected, match="overlap"):
        look(edited(whole, second + 42, "<I", start), ".docx")


def test_two_members_of_one_name_are_unsafe(look: Look) -> None:
    whole = zipped(("word/one", b"x"), ("word/two", b"x")).replace(b"word/two", b"word/one")
    with pytest.raises(Rejected, match="same name"):
        look(whole, ".docx")


def test_a_program_before_a_package_is_named(look: Look) -> None:
    with pytest.raises(ContentMismatch, match="a Windows program"):
        look(b"MZ\x90\0" + samples.docx(), ".docx")


def test_a_package_with_entities_in_its_declaration_is_unsafe(look: Look) -> None:
    parts = samples.docx_parts()
    parts["[Content_Types].xml"] = '<!DOCTYPE T [<!ENTITY a "b">]><Types/>'
    with pytest.raises(Rejected, match="entities"):
        look(samples.package(parts), ".docx")
