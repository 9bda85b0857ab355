"""Every string that people read is marked for translation, as docs/translate.md describes."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages import jslexer
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


# Python: what is raised, flashed, declared or returned as a sentence

# For operators: commands, their work and what they log. For developers: the API's own answers and its reference.
# Sandbox workers speak English, without the request's language.
FOR_OPERATORS = {"api", "cli", "database", "jobs", "legacy", "models", "operations", "sandbox", "storage"}
OPERATED = {
    "audit/chain.py",
    "audit/checkpoint.py",
    "config.py",
    "http/gunicorn_config.py",
    "record_types/overrides.py",
}
MODULES = sorted(
    path
    for path in (ROOT / "medfiles").rglob("*.py")
    if (name := path.relative_to(ROOT / "medfiles")).parts[0] not in FOR_OPERATORS and name.as_posix() not in OPERATED
)
PYTHON_MARKING = {"N_", "gettext", "ngettext", "ngettext_noop"}
SENTENCE = re.compile(r"^[A-Z“][\w’]*,? .*[.?…]$|^[A-Z]\w+’", re.DOTALL)
SAID = {"flash": 0, "say": 0, "NoteView": 0, "answer_change": 2, "about": 1}  # which argument is read by people
DECLARED = {"Field": 1, "DocumentField": 1, "StringField": 0, "EmailField": 0, "PasswordField": 0, "DateField": 0}
DECLARED |= {"RadioField": 0, "SelectField": 0, "InputRequired": 0, "SelectChoice": 1, "Sort": 1, "Mark": 0}
NOT_READ = {
    "compile",
    "ValueError",
    "RuntimeError",
    "TypeError",
    "TimeoutError",
    "AssertionError",
    "ErrorType",
    "debug",
    "warning",
}


def errors() -> set[str]:
    """The names of the error classes: those below MedfilesError."""
    bases = {
        node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for path in (ROOT / "medfiles").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    }
    found = {"MedfilesError"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found


READ = SAID | DECLARED | dict.fromkeys(errors(), 0)


def unmarked(node: ast.AST) -> Iterator[str]:
    """The strings that people read but that are not marked."""
    name = ""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func).rpartition(".")[2]
        place = READ.get(name)
        if place is not None and len(node.args) > place and is_literal(node.args[place]):
            yield ast.unparse(node.args[place])
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and SENTENCE.match(node.value):
        yield node.value
    if isinstance(node, ast.JoinedStr) and any(SENTENCE.match(str(part)) for part in joined(node)):
        yield ast.unparse(node)
    if name in PYTHON_MARKING | NOT_READ or isinstance(node, ast.JoinedStr):
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.keyword) and child.arg in ("example", "about"):  # for the API reference
            continue
        if not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):  # a docstring
            yield from unmarked(child)


def joined(node: ast.JoinedStr) -> Iterator[str]:
    yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)


def is_literal(node: ast.expr) -> bool:
    """Whether this is a string with words in it, or chooses one."""
    if isinstance(node, ast.IfExp):
        return is_literal(node.body) or is_literal(node.orelse)
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.Constant) and re.search("[A-Za-z]{2}", str(part.value)) for part in node.values)
    return (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search("[a-z]{2}", node.value) is not None
    )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT / "medfiles").as_posix())
def test_module_has_no_unmarked_text(path: Path) -> None:
    assert [*unmarked(ast.parse(path.read_text()))] == []


@pytest.mark.parametrize(
    "source",
    [
        'raise Rejected("This file is empty.")',
        'raise Conflict(f"This {noun} is full.")',
        'raise Rejected.about("email", "too long")',
        'flash("Saved.", "ok")',
        'BUSY = "The server is busy."',
        'email = EmailField("Email")',
        'words = f"This {noun} is full. Remove a file."',
    ],
)
def test_unmarked_python_is_found(source: str) -> None:
    assert [*unmarked(ast.parse(source))] != []


# Scripts

SCRIPTS = sorted((ROOT / "static" / "js").glob("*.js"))
PHRASE = re.compile(r"^x [a-z]{2}|^[A-Z“][\w’]*,? .*[a-z]|[a-z’]{2,} [a-z’]{2,}[^\[\]:#]*[.?…]$")
SHOWN = {"textContent", "announce", "confirm", "alert"}


def unmarked_in_script(source: str) -> Iterator[str]:
    """The strings outside calls of `_` and `ngettext` that are sentences, or that the page shows."""
    depth, marked, before = 0, [], ["", ""]
    for token in jslexer.tokenize(source):
        if token.type in ("linecomment", "multilinecomment"):
            continue
        if token.value == "(":
            depth += 1
            if before[-1] in ("_", "ngettext"):
                marked.append(depth)
        elif token.value == ")":
            if marked and marked[-1] == depth:
                marked.pop()
            depth -= 1
        elif token.type in ("string", "template_string") and not marked:
            text = re.sub(r"\$\{[^}]*\}", "x", token.value[1:-1])
            shown = (
                before[0].rpartition(".")[2] in SHOWN
                and before[1] in ("=", ":", "(")
                and re.search("[A-Za-z]{2}", text)
            )
            if shown or PHRASE.search(text):
                yield token.value
        before = [before[1], token.value]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script_has_no_unmarked_text(path: Path) -> None:
    assert [*unmarked_in_script(path.read_text())] == []


@pytest.mark.parametrize(
    "source",
    [
        'say("This file is empty.")',
        "say(`${count} files added.`)",
        'line.textContent = "Copied"',
        'announce("Copied.")',
    ],
)
def test_unmarked_script_is_found(source: str) -> None:
    assert [*unmarked_in_script(source)] != []
