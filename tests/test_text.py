"""Text people type, and how pages say dates, sizes and ages."""

from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfiles.clock import now
from medfiles.errors import Rejected
from medfiles.text import SORT_KEY_LIMIT, UNWANTED, clean_text, fold, initials, sort_key, split_extension
from medfiles.web import filters
from tests.support.factories import World


@given(st.text())
def test_cleaned_text_is_left_alone_by_cleaning_again(text: str) -> None:
    once = clean_text(text, 10_000, "This")
    assert clean_text(once, 10_000, "This") == once


@given(st.text())
def test_cleaned_text_fits_every_database_and_page(text: str) -> None:
    clean = clean_text(text, 10_000, "This")
    assert clean is None or (clean == clean.strip() and not UNWANTED.search(clean) and clean.encode())


@given(st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1))
def test_plain_text_is_kept_as_it_was_written(text: str) -> None:
    assert clean_text(text, 10_000, "This") == (text.strip() or None)


@given(st.text(alphabet=".ab ä", min_size=1).filter(lambda name: name.strip(".")))
def test_a_name_is_split_into_stem_and_extension_as_paths_are(name: str) -> None:
    assert split_extension(name) == (PurePosixPath(name).stem, PurePosixPath(name).suffix)


@given(st.text())
def test_plain_letters_are_folded_as_all_others(text: str) -> None:
    assert fold(text + "A") == fold(text + "ä").removesuffix("a") + "a"


def test_lines_are_kept_and_their_ends_made_one_kind() -> None:
    assert clean_text("one\r\ntwo\rthree", 100, "This") == "one\ntwo\nthree"


def test_composed_and_decomposed_letters_become_one_form() -> None:
    assert clean_text("A\u0308rztin", 100, "This") == "Ärztin"


def test_text_over_the_limit_is_refused_with_the_limit() -> None:
    with pytest.raises(Rejected, match="The note is longer than 1,000 characters"):
        clean_text("x" * 1001, 1000, "The note")


@pytest.mark.parametrize(
    ("written", "searched"),
    [
        ("März", "marz"),
        ("ma\u0308rz", "MARZ"),
        ("Straße", "strasse"),
        ("ﬁle", "FILE"),
        ("İstanbul", "istanbul"),
        ("Ｓｃａｎ", "scan"),
        ("two\u00a0words", "two words"),
    ],
)
def test_a_search_compares_letters_without_accents_capitals_and_variants(written: str, searched: str) -> None:
    assert fold(written) == fold(searched)


@given(st.text(), st.text(), st.text())
def test_a_part_of_a_text_is_found_in_the_whole(before: str, part: str, after: str) -> None:
    assert fold(part) in fold(before + part + after)


@given(st.text())
def test_folded_text_is_left_alone_by_folding_again(text: str) -> None:
    assert fold(fold(text)) == fold(text)


counts = st.integers(0, 10**30)


@given(st.sampled_from(["", "Scan ", "März-"]), counts, counts, st.sampled_from(["", ".pdf", " of 3"]))
def test_numbers_in_names_sort_by_how_large_they_are(before: str, one: int, other: int, after: str) -> None:
    first, second = (sort_key(f"{before}{number}{after}") for number in (one, other))
    assert (first < second) == (one < other)


@pytest.mark.parametrize(
    "names",
    [["Scan", "scan 2", "Scan 10", "SCAN 10a"], ["1", "2.pdf", "a"], ["a-2", "a1", "ab"], ["Scan ٢", "scan 10"]],
)
def test_names_sort_as_people_sort_them(names: list[str]) -> None:
    backwards = names[::-1]
    assert sorted(backwards, key=sort_key) == names


def test_zeros_before_a_number_do_not_matter() -> None:
    assert sort_key("scan 007") == sort_key("Scan 7")


@given(st.text(alphabet=st.sampled_from("1a½\ufdfa🩻"), max_size=600))
def test_what_names_are_sorted_by_is_never_longer_than_its_column(name: str) -> None:
    assert len(sort_key(name)) <= SORT_KEY_LIMIT


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1,023 bytes"),
        (1024, "1 KB"),
        (212 * 1024, "212 KB"),
        (1_887_437, "1.8 MB"),
        (1500 * 1024**2, "1,500 MB"),
        (76 * 1024**3, "76 GB"),
        (12 * 1024**4, "12 TB"),
    ],
)
def test_sizes_are_said_in_the_unit_that_fits(world: World, size: int, said: str) -> None:
    assert filters.filesize(size) == said


@pytest.mark.parametrize(("days", "said"), [(0, "0 days"), (40, "40 days"), (100, "3 months"), (3 * 366, "3 years")])
def test_ages_are_said_as_people_say_them(world: World, days: int, said: str) -> None:
    assert filters.age(now().date() - timedelta(days=days)) == said


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Ella Sample", "ES"),
        ("anna maria de la Cruz", "AC"),
        ("Cher", "CH"),
        ("X", "X"),
        ("Jean-Luc", "JL"),
        ("Ólafur Ægisson", "ÓÆ"),
        ("ßen", "ßE"),
        ("Мария Иванова", "МИ"),
        ("山田 太郎", "山太"),
        ("김민준", "김민"),
        ("किरण शर्मा", "किश"),
        ("(Ella) “Sample”", "ES"),
        ("nora.sample@sample.example", "NS"),
        ("nora@sample.example", "NO"),
        ("–", "?"),
    ],
)
def test_two_letters_stand_for_a_name(name: str, letters: str) -> None:
    assert initials(name) == letters


@pytest.mark.parametrize(
    ("accepts", "day", "moment"),
    [
        (None, "3 Apr 2026", "3 Apr 2026, 14:05 UTC"),
        ("en-US,en;q=0.9", "Apr 3, 2026", "3 Apr 2026, 14:05 UTC"),
        ("de-DE,de", "3 Apr 2026", "3 Apr 2026, 14:05 UTC"),
    ],
)
def test_dates_are_written_as_the_reader_writes_them(world: World, accepts: str | None, day: str, moment: str) -> None:
    headers = {"Accept-Language": accepts} if accepts else {}
    with world.app.test_request_context(headers=headers):
        assert filters.day(date(2026, 4, 3)) == day
        assert filters.moment(datetime(2026, 4, 3, 14, 5, tzinfo=UTC)) == moment
