"""A line is an event, whatever somebody puts into a request, and it names nobody and nothing."""

import json
import re
from collections.abc import Iterator

import pytest

from medfiles.http import logging
from tests.support import samples
from tests.support.factories import World

HOSTILE = 'Zebra"}\\n{"event": "forged", "x": "\u2028\x1b[31m'
PATHS = ("/", "/documents/visit/1", "/no/such/Zebra", "/documents/visit/1/list?q=Zebra%0A%1b[31m&cursor=%00")


@pytest.fixture(params=["json", "text"])
def style(request: pytest.FixtureRequest) -> Iterator[str]:
    logging.configure(request.param)
    yield request.param
    logging.configure("json")


def test_whatever_a_request_holds_its_line_is_one_and_names_nothing(
    world: World, style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record, browser = world.record(reason="Zebra visit"), world.browser()
    logging.configure(style)  # on the stream that is captured now
    capsys.readouterr()
    agents = {"User-Agent": HOSTILE.replace("\x1b", ""), "X-Forwarded-For": "Zebra", "Referer": "http://Zebra/"}
    agents = {name: value.encode("latin-1", "replace").decode("latin-1") for name, value in agents.items()}
    for path in PATHS:
        browser.client.get(path, headers=agents)
    answer = browser.upload(f"/documents/visit/{record.id}/files", "Zebra\u2028\x1b[31m.pdf", samples.pdf())
    assert answer.status_code == 201
    [file] = world.files()
    browser.client.get(f"/documents/files/{file.id}/download", buffered=True)
    browser.client.post("/sign-in", data={"email": "Zebra\n@sample.example", "password": "Zebra"})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(PATHS) + 4  # one of them says that the last had no CSRF token
    assert not [line for line in lines if re.search(r"Zebra|nora@|files/visits/|forged", line)]
    if style == "json":
        assert {json.loads(line)["event"] for line in lines} == {"request", "The CSRF token is missing."}
