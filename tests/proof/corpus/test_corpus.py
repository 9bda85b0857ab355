"""Whatever is sent: a right answer in time, nothing half stored, nothing unescaped."""

from collections.abc import Callable, Iterable, Mapping

import pytest

from tests.proof.corpus import bodies, contents, files, headers, names, notation, queries, words
from tests.proof.corpus.desk import Desk, Input, try_all
from tests.proof.corpus.sources import some

FAMILIES: Mapping[str, Callable[[], Iterable[Input]]] = {
    "names": names.names,
    "headers": headers.headers,
    "JSON": notation.bodies,
    "queries": queries.queries,
    "addresses": queries.addresses,
    "forms": queries.forms,
    "bodies": bodies.bodies,
    "types under all extensions": contents.matrix,
    "two things at once": contents.polyglots,
    "what grows": contents.growing,
    "damaged files": files.damaged,
    "collected files": files.collected,
}
BATCHES = 4


@pytest.mark.parametrize("batch", range(BATCHES))
@pytest.mark.parametrize("family", FAMILIES)
def test_hostile_input_is_handled(
    desk: Desk, family: str, batch: int, share: int, record_property: Callable[[str, object], None]
) -> None:
    inputs = some(family, list(FAMILIES[family]()), share)[batch::BATCHES]
    record_property("inputs", len(inputs))
    wrong = try_all(desk, inputs)
    desk.world.assert_settled()
    assert not wrong, f"{len(wrong)} of {len(inputs)}:\n" + "\n".join(wrong[:40])


@pytest.mark.parametrize("in_parts", [False, True], ids=["on pages", "in parts of pages"])
def test_text_is_escaped_wherever_it_is_shown(
    desk: Desk, in_parts: bool, share: int, record_property: Callable[[str, object], None]
) -> None:
    """Every other set of strings on whole pages, the others in the parts that scripts ask for."""
    sets = list(enumerate(words.filled(desk, share)))[in_parts::2]
    record_property("inputs", sum(len(text) for _, text in sets))
    right = words.harmless(desk, in_parts)
    wrong = [said for number, text in sets for said in words.wrong(desk, number, text, right, in_parts)]
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:40])
