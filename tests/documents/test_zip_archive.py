"""ZIP archives that are made while they are sent: complete, unaltered, and of the size they announced."""

import io
import tracemalloc
import unicodedata
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfiles.documents.zip_archive import NOTE, Archive, Member, archive, portable, unique_names
from medfiles.errors import BlobMissing, IntegrityFailed, StorageError

THEN = datetime(2026, 5, 12, 14, 30, 10, tzinfo=timezone(timedelta(hours=2)))
UTF8 = 1 << 11
FORBIDDEN = set('<>:"/\\|?*') | {chr(code) for code in range(32)}
HOSTILE = st.text(st.sampled_from('aAäß€漢. ()12/\\:*?"<>|\x00\n\u202e\u0308'), max_size=12) | st.text(max_size=300)
CONTENTS = st.binary(max_size=3000)


def member(name: str, content: bytes = b"paper", size: int | None = None, modified: datetime = THEN) -> Member:
    chunks = [content[at : at + 700] for at in range(0, len(content), 700)]
    return Member(name, len(content) if size is None else size, modified, lambda: iter(chunks))


def unpacked(made: Archive) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(made)))


def names_in(*names: str, missing: tuple[str, ...] = ()) -> list[str]:
    return unpacked(archive([member(name) for name in names], missing)).namelist()


def folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


@given(st.lists(st.tuples(HOSTILE, CONTENTS), max_size=6), st.lists(HOSTILE, max_size=2))
def test_every_document_is_read_back_in_its_place_and_the_size_was_right(
    documents: list[tuple[str, bytes]], missing: list[str]
) -> None:
    made = archive([member(name, content) for name, content in documents], missing)
    sent = b"".join(made)
    assert len(sent) == made.size
    with zipfile.ZipFile(io.BytesIO(sent)) as zipped:
        assert zipped.testzip() is None
        read = [zipped.read(info) for info in zipped.infolist()]
    assert read[: len(documents)] == [content for _, content in documents]
    assert len(read) == len(documents) + bool(missing)


@given(st.lists(HOSTILE, max_size=8))
def test_no_two_names_are_one_to_any_system_and_none_leads_out_of_the_folder(names: list[str]) -> None:
    packed = names_in(*names)
    assert len({folded(name) for name in packed}) == len(names)
    for name in packed:
        assert not set(name) & FORBIDDEN
        assert name == name.strip(" ").rstrip(".")
        assert 0 < len(name.encode()) <= 255


@given(
    st.lists(st.sampled_from(["Scan.pdf", "scan.PDF", "Scan (2).pdf", "Scan (3).pdf", "Übersicht.pdf"]), max_size=12)
)
def test_a_name_that_a_document_bears_itself_stays_with_it(names: list[str]) -> None:
    packed = names_in(*names)
    firsts = {folded(name): at for at, name in reversed(list(enumerate(names)))}
    assert [packed[at] for at in firsts.values()] == [names[at] for at in firsts.values()]


@pytest.mark.parametrize(
    ("names", "packed"),
    [
        (["Letter.pdf", "letter.PDF"], ["Letter.pdf", "letter (2).PDF"]),
        (["Caf\u00e9.txt", "Cafe\u0301.txt"], ["Caf\u00e9.txt", "Caf\u00e9 (2).txt"]),
        (["Straße.txt", "STRASSE.txt"], ["Straße.txt", "STRASSE (2).txt"]),
        (["Letter.pdf", "Letter.pdf", "Letter (2).pdf"], ["Letter.pdf", "Letter (3).pdf", "Letter (2).pdf"]),
        (["report", "report"], ["report", "report (2)"]),
    ],
)
def test_equal_names_get_numbers_that_are_not_used_yet(names: list[str], packed: list[str]) -> None:
    assert names_in(*names) == packed
    assert unique_names(["scan.jpg"] * 500)[-1] == "scan (500).jpg"


def test_a_name_leads_nowhere_and_can_be_written_everywhere() -> None:
    names = {
        "../../etc/passwd": "passwd", "C:\\Windows\\win.ini": "win.ini", "/abs.pdf": "abs.pdf", "..": "Document",
        "": "Document", "CON.pdf": "_CON.pdf", "Blood: 5.1? <low>.pdf": "Blood_ 5.1_ _low_.pdf", "a\x00b.pdf": "ab.pdf",
        "Brief von Dr. Größe.pdf": "Brief von Dr. Größe.pdf",
    }  # fmt: skip
    assert {name: portable(name) for name in names} == names


@pytest.mark.parametrize("name", ["Bärbel.pdf", "日本.pdf", "plain.pdf"])
def test_names_say_that_they_are_utf8(name: str) -> None:
    sent = b"".join(archive([member(name)]))
    [info] = zipfile.ZipFile(io.BytesIO(sent)).infolist()
    assert info.filename == name
    assert info.flag_bits & UTF8
    assert sent[6] | sent[7] << 8 == info.flag_bits  # the header before the bytes says the same
    assert sent.count(name.encode()) == 2


def test_a_document_keeps_the_time_it_was_added() -> None:
    [info] = unpacked(archive([member("a.pdf")])).infolist()
    assert info.date_time == (2026, 5, 12, 12, 30, 10)
    assert int.from_bytes(info.extra[5:9], "little") == int(THEN.timestamp())


@pytest.mark.parametrize(("year", "told"), [(1850, 1980), (1980, 1980), (2200, 2038)])
def test_a_time_that_no_zip_can_tell_becomes_the_nearest(year: int, told: int) -> None:
    [info] = unpacked(archive([member("a.pdf", modified=datetime(year, 1, 1, tzinfo=UTC))])).infolist()
    assert info.date_time[0] == told


def test_what_is_missing_is_named_in_a_text() -> None:
    zipped = unpacked(archive([member("a.pdf")], ["Referral Größe.pdf", "X-ray.dcm"]))
    assert zipped.namelist() == ["a.pdf", NOTE]
    text = zipped.read(NOTE).decode()
    assert "could not be added to this archive:\n\n- Referral Größe.pdf\n- X-ray.dcm\n" in text

    assert names_in("a.pdf") == ["a.pdf"]
    assert names_in(NOTE.upper(), missing=("b.pdf",)) == [NOTE.upper(), "Missing documents (2).txt"]


@pytest.mark.parametrize("size", [0, 2999, 3001])
def test_bytes_that_are_more_or_fewer_than_announced_end_the_stream(size: int) -> None:
    made = archive([member("a.pdf", b"x" * 3000, size), member("b.pdf")])
    sent = bytearray()
    with pytest.raises(IntegrityFailed):
        for chunk in made:
            sent += chunk
    assert len(sent) < made.size
    assert not zipfile.is_zipfile(io.BytesIO(sent))


def test_a_document_that_is_gone_by_now_ends_the_stream() -> None:
    def gone() -> Iterator[bytes]:
        raise BlobMissing("gone")

    sent = bytearray()
    with pytest.raises(StorageError):
        for chunk in archive([member("a.pdf"), Member("b.pdf", 5, THEN, gone)]):
            sent += chunk
    assert not zipfile.is_zipfile(io.BytesIO(sent))


class Reading:
    """A document that knows whether somebody reads it."""

    def __init__(self) -> None:
        self.state = "untouched"
        self.chunks = self._chunks()  # held here, so that forgetting it does not close it

    def read(self) -> Iterator[bytes]:
        return self.chunks

    def _chunks(self) -> Iterator[bytes]:
        self.state = "open"
        try:
            yield b"ab"
            yield b"cd"
        finally:
            self.state = "closed"


def test_documents_are_opened_one_after_the_other_and_closed_when_nobody_reads_on() -> None:
    first, second, third = Reading(), Reading(), Reading()
    chunks = iter(archive([Member(f"{at}", 4, THEN, each.read) for at, each in enumerate((first, second, third))]))
    assert first.state == "untouched"
    for _ in range(3):
        next(chunks)
    assert (first.state, second.state, third.state) == ("closed", "open", "untouched")
    chunks.close()  # type: ignore[attr-defined]
    assert (first.state, second.state, third.state) == ("closed", "closed", "untouched")


def test_nothing_is_held_whole() -> None:
    chunk = b"x" * 256 * 1024
    made = archive([Member(f"{at}.dcm", 64 * len(chunk), THEN, lambda: iter([chunk] * 64)) for at in range(4)])
    tracemalloc.start()
    try:
        sent = sum(map(len, made))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent == made.size > 64 * 1024 * 1024
    assert peak < 4 * 1024 * 1024


def test_an_archive_of_nothing_is_one() -> None:
    made = archive([])
    assert unpacked(made).namelist() == []
    assert made.size == 22


@settings(max_examples=50)
@given(st.lists(CONTENTS, min_size=1, max_size=8), st.integers(1, 4000), st.integers(0, 8))
def test_the_size_is_right_too_where_the_large_format_begins(contents: list[bytes], limit: int, files: int) -> None:
    """With the limits of the small format lowered to what a test can pass."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zipfile, "ZIP64_LIMIT", limit)
        patch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", files)
        made = archive([member(f"{at}.pdf", content) for at, content in enumerate(contents)])
        sent = b"".join(made)
    assert len(sent) == made.size
    with zipfile.ZipFile(io.BytesIO(sent)) as zipped:
        assert [zipped.read(info) for info in zipped.infolist()] == contents


def test_a_document_over_two_gigabytes_uses_the_large_format(tmp_path: Path) -> None:
    chunk, count = bytes(8 * 1024 * 1024), 257
    size = len(chunk) * count
    made = archive([Member("scan.dcm", size, THEN, lambda: iter([chunk] * count)), member("after.pdf", b"after")])
    path = tmp_path / "large.zip"
    with path.open("wb") as file:
        for piece in made:
            zeros = len(chunk) if piece.endswith(chunk) else 0
            file.write(piece[: len(piece) - zeros])
            file.seek(zeros, io.SEEK_CUR)  # they take no place on the disk
    assert path.stat().st_size == made.size
    with zipfile.ZipFile(path) as zipped:
        large, after = zipped.infolist()
        assert (large.file_size, large.extract_version) == (size, 45)
        assert zipped.read(after) == b"after"
