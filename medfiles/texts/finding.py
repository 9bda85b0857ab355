"""Find words in a text regardless of case and accents, as searches do."""

from collections.abc import Iterator

from medfiles.text import fold

MOST = 1000  # hits in one text


def spans(text: str, words: str) -> list[tuple[int, int]]:
    """Return where the words are in the text, as start and end, without overlaps. Spaces and line breaks are alike."""
    wanted = " ".join(fold(words).split())
    if not wanted:
        return []
    folded, origin, after_space = [], [], False
    for place, letter in enumerate(text):
        form = " " if letter.isspace() else fold(letter)
        if form == " " and after_space:
            continue
        after_space = form == " "
        folded.append(form)
        origin += [place] * len(form)
    whole, found, start = "".join(folded), list[tuple[int, int]](), 0
    while len(found) < MOST and (start := whole.find(wanted, start)) >= 0:
        end = start + len(wanted)
        found.append((origin[start], origin[end - 1] + 1))
        start = end
    return found


def pieces(text: str, words: str) -> Iterator[tuple[str, bool]]:
    """Yield the text in pieces, each with whether it is one of the words."""
    place = 0
    for start, end in spans(text, words):
        if start > place:
            yield text[place:start], False
        yield text[start:end], True
        place = end
    if place < len(text):
        yield text[place:], False
