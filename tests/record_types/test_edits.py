"""The rule by which edits of one row are merged: nothing that anyone saved is lost without a word."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfiles.errors import EditConflict, Rejected
from medfiles.record_types.edits import Changes, changes_of, merge

VALUES = st.sampled_from([None, "a", "b", "c"])
ROWS = st.fixed_dictionaries({"title": VALUES, "notes": VALUES, "place": VALUES})
OBJECTS = st.none() | st.dictionaries(st.sampled_from(["phone", "email"]), st.sampled_from("abc"), min_size=1)


def edited(current: dict[str, Any], wanted: dict[str, Any], before: dict[str, Any]) -> Changes:
    return changes_of(SimpleNamespace(**current), wanted, before, lambda given: given)


@given(current=ROWS, before=ROWS)
def test_saving_what_the_form_was_filled_with_changes_nothing(current: Any, before: Any) -> None:
    assert edited(current, before, before) == {}


@given(current=ROWS, wanted=ROWS)
def test_without_a_form_to_start_from_all_that_is_sent_is_written(current: Any, wanted: Any) -> None:
    changes = edited(current, wanted, {})
    assert {**current, **{name: after for name, (_, after) in changes.items()}} == wanted


@given(before=ROWS, mine=ROWS, theirs=ROWS)
def test_each_change_of_either_side_is_kept_or_a_conflict_names_it(before: Any, mine: Any, theirs: Any) -> None:
    both = {name for name in before if len({before[name], mine[name], theirs[name]}) == 3}
    if both:
        with pytest.raises(EditConflict) as refused:
            edited(theirs, mine, before)
        assert refused.value.conflicts == {name: (mine[name], theirs[name]) for name in both}
        return
    changes = edited(theirs, mine, before)
    merged = {**theirs, **{name: after for name, (_, after) in changes.items()}}
    assert merged == {name: theirs[name] if mine[name] == before[name] else mine[name] for name in before}
    assert all(changes[name] == (theirs[name], mine[name]) for name in changes)


@given(before=OBJECTS, mine=OBJECTS, theirs=OBJECTS)
def test_an_object_is_merged_part_by_part(before: Any, mine: Any, theirs: Any) -> None:
    def part(whole: Any, name: str) -> Any:
        return (whole or {}).get(name)

    try:
        merged = merge(theirs, mine, before)
    except ValueError:
        assert any(len({part(whole, name) for whole in (before, mine, theirs)}) == 3 for name in ("phone", "email"))
        return
    for name in ("phone", "email"):
        alone = part(mine, name) == part(before, name)
        assert part(merged, name) == (part(theirs, name) if alone else part(mine, name))


@given(before=ROWS, mine=ROWS, theirs=ROWS)
def test_whose_save_comes_first_decides_nothing(before: Any, mine: Any, theirs: Any) -> None:
    def one_after_the_other(first: Any, second: Any) -> Any:
        try:
            changes = edited({**before, **{name: new for name, (_, new) in edited(before, first, before).items()}},
                             second, before)  # fmt: skip
        except EditConflict as conflict:
            return set(conflict.conflicts)
        return {**first, **{name: after for name, (_, after) in changes.items()}}

    assert one_after_the_other(mine, theirs) == one_after_the_other(theirs, mine)


def test_a_field_that_was_left_alone_is_not_checked_again() -> None:
    def check(given: Any) -> Any:
        if given.get("title") == "too long by now":
            raise Rejected("Too long.")
        return given

    row = SimpleNamespace(title="too long by now", notes=None)
    values, before = {"title": "too long by now", "notes": "a"}, {"title": "too long by now", "notes": None}
    assert changes_of(row, values, before, check) == {"notes": (None, "a")}
    with pytest.raises(Rejected):
        changes_of(row, values, {}, check)


def test_values_are_compared_as_they_are_stored() -> None:
    row = SimpleNamespace(notes="Two\nlines")
    check = lambda given: {name: value.replace("\r\n", "\n").strip() for name, value in given.items()}  # noqa: E731
    assert changes_of(row, {"notes": "Two\r\nlines "}, {"notes": "Two\r\nlines"}, check) == {}
