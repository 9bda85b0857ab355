"""docs/api.md, typed line by line against a real server: each line succeeds with the status that stands behind it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from medfiles.api.openapi import openapi
from medfiles.sandbox.pool import Sandbox
from tests.docs import pages
from tests.support.factories import World, install
from tests.support.server import ROOT, environment, reserved_port, serve
from tests.support.tools import need

GUIDE = ROOT / "docs" / "api.md"
READER = "you@example.org"

LINE = re.compile(r"\bcurl\b.*#\s+(\d{3})$", re.MULTILINE)
MARK = "--- next block ---"
# Says of every request on standard error what it was and how it was answered, and is otherwise the curl of the machine.
WRAPPER = """#!/bin/sh
exec {curl} "$@" -w '%{{stderr}}\\n{mark} %{{http_code}} %{{method}} %{{url_effective}}\\n'
"""


@dataclass(frozen=True)
class Typed:
    """What came of typing the whole guide: for each block what it printed, for each request status, method and path."""

    printed: list[str]
    requests: list[tuple[int, str, str]]
    complaints: str


def blocks() -> list[tuple[str, str]]:
    return [(block.language, block.text) for block in pages.blocks(GUIDE) if block.language in ("sh", "json")]


@pytest.fixture(scope="module")
def installed(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[Path], str], sandbox: Sandbox
) -> Iterator[tuple[World, dict[str, str]]]:
    place = tmp_path_factory.mktemp("guide")
    settings = {"MEDFILES_INSTANCE": str(place), "MEDFILES_DATABASE_URL": new_database(place), "MEDFILES_WORKERS": "1"}
    with reserved_port() as port:
        settings["MEDFILES_PUBLIC_URL"] = f"http://127.0.0.1:{port}"  # for share links
        with install(settings, sandbox) as world:
            for email in (READER, "other@example.org"):
                world.user(email)
            yield world, settings


@pytest.fixture(scope="module")
def typed(installed: tuple[World, dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Typed:
    _, settings = installed
    desk, tools = tmp_path_factory.mktemp("desk"), tmp_path_factory.mktemp("tools")
    need("curl")
    (tools / "curl").write_text(WRAPPER.format(curl=shutil.which("curl"), mark="="))
    (tools / "curl").chmod(0o755)
    with serve(settings, urlsplit(settings["MEDFILES_PUBLIC_URL"]).port or 0) as address:
        lines = [f"cd {ROOT}", *as_typed(address, desk)]
        environ = environment(settings) | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
        command = ["bash", "-e", "-u", "-o", "pipefail", "-c", "\n".join(lines)]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return heard(done.stdout, done.stderr)


def as_typed(address: str, desk: Path) -> Iterator[str]:
    """The guide's lines for this server and this machine; after the token was made, in a folder of its own."""
    for kind, text in blocks():
        if kind == "sh":
            here = text.replace("http://localhost:8000", address)
            yield here.replace(".venv/bin/flask", f"{sys.executable} -m flask")
            yield f"cd {desk}"
        yield f"echo; echo '{MARK}'"


def heard(output: str, errors: str) -> Typed:
    asked = re.compile(r"^= (\d{3}) (\S+) (\S+)$", re.MULTILINE)
    requests = [(int(status), method, urlsplit(url).path) for status, method, url in asked.findall(errors)]
    return Typed(output.split(MARK), requests, asked.sub("", errors).strip())


def shape(value: Any) -> Any:
    """Names of fields, and what is in lists, without the values."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items() if not name.isdigit()}
    return [shape(value[0])] if isinstance(value, list) else None


def test_every_line_is_answered_as_the_guide_says(typed: Typed) -> None:
    shown = [int(status) for kind, text in blocks() if kind == "sh" for status in LINE.findall(text)]
    assert [status for status, *_ in typed.requests] == shown
    assert typed.complaints == ""


def test_every_curl_line_shows_a_status() -> None:
    lines = [line for kind, text in blocks() if kind == "sh" for line in text.splitlines() if "curl " in line]
    assert len(lines) > 30
    assert [line for line in lines if not LINE.search(line)] == []


def test_every_answer_that_is_shown_has_the_fields_of_a_real_one(typed: Typed) -> None:
    shown = [(number, json.loads(text)) for number, (kind, text) in enumerate(blocks()) if kind == "json"]
    assert len(shown) >= 5
    for number, answer in shown:
        real = json.loads(typed.printed[number - 1].strip().splitlines()[-1])
        assert shape(real) == shape(answer)


def test_every_operation_has_its_line(typed: Typed, installed: tuple[World, dict[str, str]]) -> None:
    app = installed[0].app
    with app.test_request_context():
        paths = openapi(app)["paths"]
        urls = app.url_map.bind("localhost")
        done = {urls.match(path, method)[0] for status, method, path in typed.requests if status < 400}
    operations = {f"api.{said['operationId']}" for methods in paths.values() for said in methods.values()}
    assert operations - done == set()
