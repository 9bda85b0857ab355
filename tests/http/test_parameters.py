"""Parsing of query parameters and form fields."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from medfiles.errors import Rejected
from medfiles.http import parameters


@pytest.mark.parametrize("text", [None, "", "-1", "+1", "1.0", " 1", "1_0", "x", "٣", "1" * 19])
def test_read_id_of_anything_but_plain_digits_is_none(text: str | None) -> None:
    assert parameters.read_id(text) is None


def test_id_or_unknown_tells_absent_from_wrong() -> None:
    assert parameters.id_or_unknown("7") == 7
    assert parameters.id_or_unknown("") is parameters.id_or_unknown(None) is None
    assert parameters.id_or_unknown("seven") == parameters.LARGEST_ID


def test_read_ids_takes_one_id_from_each_text() -> None:
    assert parameters.read_ids(["1", "2"]) == [1, 2]
    assert parameters.read_ids([]) == []
    assert parameters.read_ids(["1", ""]) is None


def test_read_id_lists_takes_lists_and_repeated_fields() -> None:
    assert parameters.read_id_lists(["1,2", "3", ""]) == [1, 2, 3]
    assert parameters.read_id_lists(["1,two"]) is None


@pytest.mark.parametrize(("text", "page"), [("2", 2), ("0", 1), ("99", 5), ("-3", 1), ("x", 1), (None, 1)])
def test_nearest_stays_in_range(text: str | None, page: int) -> None:
    assert parameters.nearest(text, 1, 5) == page


@pytest.mark.parametrize(
    ("parse", "value", "found"),
    [
        (lambda query: parameters.number(query, "x", 50, 1, 200), "200", 200),
        (lambda query: parameters.one_of(query, "x", ("a", "b")), "b", "b"),
        (lambda query: parameters.flag(query, "x"), "1", True),
        (lambda query: parameters.day(query, "x"), "2026-05-12", date(2026, 5, 12)),
    ],
)
def test_a_right_value_is_parsed(parse: Callable[[dict[str, str]], Any], value: str, found: Any) -> None:
    assert parse({"x": value}) == found


@pytest.mark.parametrize(
    ("parse", "values"),
    [
        (lambda query: parameters.number(query, "x", 50, 1, 200), ["0", "201", "x", "-1", "", "1" * 19]),
        (lambda query: parameters.one_of(query, "x", ("a", "b")), ["c", "A"]),
        (lambda query: parameters.flag(query, "x"), ["2", "true", ""]),
        (lambda query: parameters.day(query, "x"), ["12.5.2026", "2026-13-01", "1066-01-01", "9999-01-01"]),
    ],
)
def test_a_wrong_value_is_rejected_with_its_name(parse: Callable[[dict[str, str]], Any], values: list[str]) -> None:
    for value in values:
        with pytest.raises(Rejected) as rejected:
            parse({"x": value})
        assert list(rejected.value.fields) == ["x"]
