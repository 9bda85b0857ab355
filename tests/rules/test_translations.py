"""Every string that people read is marked for translation, as docs/translate.md describes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

ROOT = Path(__file__).parents[2]
IN_ENGLISH = {"api", "legacy"}  # the API reference and the report of a command: for developers and operators
TEMPLATES = sorted(path for path in (ROOT / "templates").rglob("*.html") if path.parent.name not in IN_ENGLISH)
JINJA = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
READ_ATTRIBUTES = "title|aria-label|placeholder|alt|aria-valuetext"
TAG = re.compile(r"""<!?/?(?:"[^"]*"|'[^']*'|[^>"'])*>""")
ATTRIBUTE = re.compile(r"""[\w-]+=(?:"[^"]*"|'[^']*')""")
READ_ATTRIBUTE = re.compile(rf"""\s(?:{READ_ATTRIBUTES})=["']([^"']*[A-Za-z]{{2}}[^"']*)["']""")
NAMES = re.compile(r"&\w+;|\bmedfiles\b|\bmf-[\w-]+|\b(?:data|hx)-[\w-]+|\b(?:required|autofocus)\b|\?next=")
MARKING = {"_", "gettext", "ngettext"}
WORDS = re.compile(r"^[A-Z][a-z]+|[a-z],? [a-z]|[.’]$")
# Names, patterns and keys of programs, which happen to look like words.
NO_WORDS = re.compile(r"^(?:mf-[\w ~%-]+|[A-Z]\w+Field|flask medfiles .*)$")


def texts(source: str) -> Iterator[str]:
    """The text of a template outside its expressions and translated blocks: between tags, and in attributes."""
    pieces, inside, opening = [], False, False
    for _, kind, value in JINJA.lex(source):
        if opening and kind == "name":
            inside = {"trans": True, "endtrans": False}.get(value, inside)
        opening = kind in ("block_begin", "whitespace") and (opening or kind == "block_begin")
        if kind == "data" and not inside:
            pieces.append(value)
        elif kind in ("block_begin", "variable_begin"):
            pieces.append("\0")
    markup = "".join(pieces)
    yield from READ_ATTRIBUTE.findall(markup)
    for text in TAG.sub("\n", markup).split("\n"):
        if re.search("[A-Za-z]{2}", NAMES.sub("", ATTRIBUTE.sub("", text))):
            yield text.strip()


def literals(node: nodes.Node) -> Iterator[str]:
    """The words in expressions, except those that are translated, compared, or the name of something."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in MARKING:
        children: list[nodes.Node] = [*node.kwargs]
    elif isinstance(node, nodes.Compare | nodes.Getitem | nodes.Extends | nodes.Include | nodes.FromImport):
        children = []
    else:
        children = [*node.iter_child_nodes()]
    if isinstance(node, nodes.Const) and isinstance(node.value, str) and is_read(node.value):
        yield node.value
    for child in children:
        yield from literals(child)


def is_read(literal: str) -> bool:
    return WORDS.search(literal) is not None and NO_WORDS.match(literal) is None


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(ROOT / "templates").as_posix())
def test_template_has_no_unmarked_text(path: Path) -> None:
    source = path.read_text()
    assert [*texts(source), *literals(JINJA.parse(source))] == []


@pytest.mark.parametrize(
    "source",
    [
        "<p>Add a file</p>",
        "<p>{{ name }} was added.</p>",
        '<p title="Add a file"></p>',
        '{{ "Add" if new else name }}',
        '{{ field_row(form.email, "Email") }}',
        "{% trans %}Marked{% endtrans %} and not",
    ],
)
def test_unmarked_text_is_found(source: str) -> None:
    assert [*texts(source), *literals(JINJA.parse(source))] != []


@pytest.mark.parametrize(
    "source",
    [
        '<p class="mf-add">{{ _("Add a file") }}</p>',
        "{% trans name=file.name %}<b>{{ name }}</b> was added.{% endtrans %}",
        """<p title="{{ _('Add a file') }}">{{ name }}, {{ ngettext("%(num)s file", "%(num)s files", 2) }}</p>""",
    ],
)
def test_marked_text_is_accepted(source: str) -> None:
    assert [*texts(source), *literals(JINJA.parse(source))] == []
