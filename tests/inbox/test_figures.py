"""How often suggestions are right, measured with 200 letters in four languages for 60 records of 4 patients."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from medfiles.inbox import people, suggesting
from medfiles.inbox.contents import Contents
from medfiles.inbox.scoring import candidate
from medfiles.record_types.declared import RECORD_TYPES, Registry
from medfiles.texts import dates
from tests.inbox import letters
from tests.inbox.letters import PEOPLE, TODAY, Letter

LETTERS, SWAPS = 200, 100
BIRTHS = {person.birth_date for person in PEOPLE}


def named(letter: Letter) -> dict[int, people.Evidence]:
    return dict(people.evidence([letter.text], letter.file.file_name, PEOPLE, TODAY))


def dated(letter: Letter) -> None:
    """As reading the text does."""
    found = dates.in_text([letter.text], None, TODAY, BIRTHS, letter.person.birth_date)
    found = found or dates.in_name(letter.file.file_name, None, TODAY)
    letter.file.document_date_suggested = found[0] if len(found) == 1 else None


@pytest.mark.parametrize("seed", [7, 26, 2026])
def test_letters_are_suggested_where_they_belong(
    seed: int, record_property: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    chance, registry = random.Random(seed), Registry(RECORD_TYPES)
    own = letters.records(chance)
    written: Sequence[Letter] = list(letters.letters(chance, own, LETTERS))
    found: Counter[str] = Counter()
    for letter in written:
        dated(letter)
        candidates = [candidate(*each) for each in own[letter.person.id]]
        contents = Contents(letter.file, [letter.text], None, TODAY)
        suggestion = suggesting.suggest(contents, letter.person.id, candidates, (), registry)
        found["date"] += letter.file.document_date_suggested == letter.day
        is_right = (suggestion.record_type, suggestion.record_id) == (letter.record_type, letter.record.id)
        found["record"] += is_right
        found["category"] += suggestion.category == letter.category
        found["sure but wrong"] += suggestion.confidence == suggesting.Confidence.SURE and not is_right
        found["sure"] += suggestion.confidence == suggesting.Confidence.SURE
        found["false alarm"] += people.better_match(named(letter), letter.person.id) is not None
    for letter, chosen in letters.swaps(chance, written, SWAPS):
        other = people.better_match(named(letter), chosen.id)
        found["unnoticed"] += other != letter.person.id
    with capsys.disabled():
        print(f"\n{LETTERS} letters, seed {seed}: {dict(found)}")
    assert found["record"] >= 0.85 * LETTERS
    assert found["category"] >= 0.85 * LETTERS
    assert found["date"] >= 0.95 * LETTERS
    assert found["false alarm"] <= LETTERS / 100
    assert found["unnoticed"] == 0
    assert found["sure but wrong"] <= LETTERS / 100
