"""The OpenAPI document is one, and tells the truth: whatever a client makes of it gets an answer that it describes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from medfiles.sandbox.pool import Sandbox
from tests.support.api_client import HOME, Script, script
from tests.support.extent import Extent
from tests.support.factories import World, install

EXPECTED = {
    schemathesis.GenerationMode.POSITIVE: {200, 201, 404, 409, 422},
    schemathesis.GenerationMode.NEGATIVE: {404, 422},
}
EXAMPLES = 8, 6  # for each operation: of all, and in the suite
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[Path], str], sandbox: Sandbox
) -> Iterator[tuple[World, Script]]:
    """An installation in which the first numbers of everything are somebody's own."""
    place = tmp_path_factory.mktemp("site")
    environ = {"MEDFILES_INSTANCE": str(place / "instance"), "MEDFILES_DATABASE_URL": new_database(place)}
    with install(environ, sandbox) as world:
        patient = world.patient()
        for record_type in world.parts.registry:
            for _ in range(3):
                world.store(world.record(record_type.name, patient), "letter.txt", "second.txt")
        yield world, script(world)


def known(case: Any, document_ids: list[int]) -> None:
    """Make numbers that a client would have learned from lists, so that more than 404 is seen."""
    for name, value in case.path_parameters.items():
        if isinstance(value, int) and value % 3:
            case.path_parameters[name] = document_ids[value % len(document_ids)] if name == "file_id" else value % 4 + 1


@pytest.mark.parametrize("mode", [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
def test_every_answer_is_one_that_the_document_describes(
    site: tuple[World, Script], mode: schemathesis.GenerationMode, extent: Extent
) -> None:
    """To what a client makes of it rightly, and wrongly."""
    world, by = site
    schema = schemathesis.openapi.from_wsgi(f"{HOME}/openapi.json", world.app)
    ids, seen = [file.id for file in world.files()], dict[str, set[int]]()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        ask(found.ok(), mode, by, ids, seen, extent.of(*EXAMPLES))
    assert seen.keys() == {f"{method.upper()} {path}" for path in schema.raw_schema["paths"] for method in schema[path]}
    assert {status for statuses in seen.values() for status in statuses} >= EXPECTED[mode]


def ask(operation: Any, mode: Any, by: Script, ids: list[int], seen: dict[str, set[int]], examples: int) -> None:
    @seed(20260512)
    @settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck), verbosity=Verbosity.quiet,
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def answered(case: Any) -> None:
        known(case, ids)
        answer = case.call(headers={**by.headers, "Accept-Encoding": "identity"})
        seen.setdefault(operation.label, set()).add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    answered()
