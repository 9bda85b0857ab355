"""Templates keep to what a strict Content-Security-Policy and more than one version of htmx can work with."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
BUTTON = re.compile(r"<button\b(?:\{\{.*?\}\}|[^>])*>", re.DOTALL)
LITERAL_BEFORE_SAFE = re.compile(r"[\"']\s*\|\s*safe\b")


def markup(path: Path) -> str:
    """The template with every Jinja expression taken out, so that tags can be told apart."""
    return re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", path.read_text(), flags=re.DOTALL)


def tags(path: Path) -> Iterator[str]:
    yield from re.findall(r"<[a-zA-Z](?:\"[^\"]*\"|'[^']*'|[^>\"'])*>", markup(path))


def controls(text: str) -> Iterator[tuple[str, str]]:
    """Return each button's tag, and the tag of the form around it or "" if there is none."""
    for form, inside in re.findall(r"(<form\b(?:\{\{.*?\}\}|[^>])*>)(.*?)</form>|", text, flags=re.DOTALL):
        yield from ((button, form) for button in BUTTON.findall(inside))
    outside = re.sub(r"<form\b.*?</form>", "", text, flags=re.DOTALL)
    yield from ((button, "") for button in BUTTON.findall(outside))


def offending(pattern: str) -> dict[str, list[str]]:
    found = {path.name: [tag for tag in tags(path) if re.search(pattern, tag)] for path in TEMPLATES}
    return {name: those for name, those in found.items() if those}


def test_templates_are_read_here() -> None:
    assert len(TEMPLATES) > 30
    assert sum("hx-post" in tag for path in TEMPLATES for tag in tags(path)) >= 5


def test_whatever_asks_by_htmx_says_where_the_answer_goes() -> None:
    asking = [(path.name, tag) for path in TEMPLATES for tag in tags(path) if re.search(r"\shx-(get|post)\b", tag)]
    assert [entry for entry in asking if "hx-target=" not in entry[1] or "hx-swap=" not in entry[1]] == []


def test_changes_are_posted() -> None:
    assert offending(r"\shx-(put|patch|delete)\b") == {}


def test_controls_that_delete_are_known_to_the_guard_of_the_first_second() -> None:
    deleting = re.compile(
        r"url_for\([\"'](documents\.(delete|purge)|patients\.(delete|purge|remove_photo)|tokens\.revoke)"
    )
    guard = (ROOT / "static" / "js" / "guard.js").read_text()
    classes = re.findall(r"\.(mf-[\w-]*danger[\w-]*)", guard)
    found, unknown = 0, []
    for path in TEMPLATES:
        for button, form in controls(path.read_text()):
            if 'type="submit"' in button and (deleting.search(button) or deleting.search(form)):
                found += 1
                if not any(re.search(rf"\b{name}(?![\w-])", button) for name in classes):
                    unknown.append((path.name, button))
    assert unknown == []
    assert found >= 8


def test_nothing_is_left_to_inheritance_or_script_in_attributes() -> None:
    assert offending(r"\s(hx-on|hx-inherit|hx-ext|hx-vars|hx-vals=['\"]js:)|:inherited") == {}


def test_no_template_holds_script_or_style_of_its_own() -> None:
    assert offending(r"^<style|^<script(?!.*\ssrc)|\sstyle\s*=|\son[a-z]+\s*=|javascript:") == {}


def test_nothing_comes_from_another_site() -> None:
    assert offending(r"\s(src|href|action)\s*=\s*[\"'](https?:)?//") == {}


def test_only_words_of_the_template_itself_are_declared_safe() -> None:
    texts = {path.name: path.read_text() for path in TEMPLATES}
    uses = {name: len(re.findall(r"\|\s*safe\b", text)) for name, text in texts.items()}
    assert uses == {name: len(LITERAL_BEFORE_SAFE.findall(text)) for name, text in texts.items()}


def test_escaping_is_turned_off_nowhere() -> None:
    turned_off = re.compile(r"autoescape\s+false|\{%-?\s*autoescape")
    assert [path.name for path in TEMPLATES if turned_off.search(path.read_text())] == []


def test_only_our_own_files_and_cleaned_letters_are_markup_from_the_program() -> None:
    modules = (ROOT / "medfiles").rglob("*.py")
    assert [path.name for path in modules if re.search(r"\bMarkup\(", path.read_text())] == ["filters.py"]
