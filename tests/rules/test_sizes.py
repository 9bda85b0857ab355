"""Functions and modules stay small enough to read at a glance.

The size of a function is its lines from `def` to its end, without decorators and docstring. A handler is a function
that a route decorator of a blueprint makes a view; counted is its body alone.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "medfiles").rglob("*.py"))
ROUTES = ("get", "post", "put", "patch", "delete", "route")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(folder: str = "") -> Iterator[tuple[str, Function]]:
    for path in MODULES:
        place = path.relative_to(ROOT).as_posix()
        if place.startswith(f"medfiles/{folder}"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, Function):
                    yield f"{place}:{node.name}", node


def docstring_lines(node: Function) -> int:
    first = node.body[0]
    return (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(node, clean=False) is not None else 0


def size(node: Function) -> int:
    return (node.end_lineno or 0) - node.lineno + 1 - docstring_lines(node)


def body_size(node: Function) -> int:
    return (node.end_lineno or 0) - node.body[0].lineno + 1 - docstring_lines(node)


def is_handler(node: Function) -> bool:
    made = (decorator.func for decorator in node.decorator_list if isinstance(decorator, ast.Call))
    return any(
        isinstance(maker, ast.Attribute) and maker.attr in ROUTES and ast.unparse(maker.value) == "blueprint"
        for maker in made
    )


def test_half_of_the_functions_have_six_lines_or_fewer() -> None:
    assert median(size(node) for _, node in functions()) <= 6


def test_nineteen_of_twenty_functions_have_twenty_lines_or_fewer() -> None:
    assert quantiles((size(node) for _, node in functions()), n=20)[-1] <= 20


def test_no_function_has_more_than_forty_lines() -> None:
    assert {name: size(node) for name, node in functions() if size(node) > 40} == {}


def test_no_handler_of_a_door_has_more_than_eight_lines() -> None:
    doors = [*functions("web/"), *functions("api/")]
    handlers = {name: node for name, node in doors if is_handler(node)}
    assert len(handlers) > 50
    assert {name: body_size(node) for name, node in handlers.items() if body_size(node) > 8} == {}


def test_no_module_has_more_than_four_hundred_lines() -> None:
    lines = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: count for name, count in lines.items() if count > 400} == {}


def test_every_module_says_what_it_is_for() -> None:
    assert [str(path) for path in MODULES if not ast.get_docstring(ast.parse(path.read_text()))] == []
