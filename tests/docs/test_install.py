"""docs/install.md: its shell lines, run in their order below a temporary folder with a faked system."""

import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs import fake_system
from tests.docs.pages import DOCS, blocks
from tests.support.server import reserved_port

GUIDE = DOCS / "install.md"
PORT = "8000"
UPGRADE = "Upgrade"
BARE_DEBIAN = {"ca-certificates", "git", "make", "python3", "python3-venv"}
FAKE = """#!/bin/sh
exec {python} {script} {root} {name} "$@"
"""
PASSWORD = "correct horse battery staple"
SECONDS = 600


@dataclass(frozen=True)
class Installed:
    """What following the guide left below `root`, printed and called."""

    root: Path
    printed: str
    calls: list[list[str]]
    upgraded: str


def lines(upgrade: bool) -> list[str]:
    """The guide's shell blocks for upgrading, or of the numbered steps."""
    found = [block for block in blocks(GUIDE) if block.language == "sh"]
    return [block.text for block in found if (block.heading == UPGRADE if upgrade else block.heading[0].isdigit())]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    root = tmp_path_factory.mktemp("debian")
    programs = root / "programs"
    for folder in (programs, root / "etc/systemd/system"):
        folder.mkdir(parents=True)
    for name in fake_system.FAKED:
        words = {"python": sys.executable, "script": fake_system.__file__, "root": root, "name": name}
        (programs / name).write_text(FAKE.format(**words))
        (programs / name).chmod(0o755)
    with reserved_port() as port:
        try:
            printed = run(root, lines(upgrade=False), port)
            upgraded = run(root, lines(upgrade=True), port)
            calls = [shlex.split(line) for line in (root / "calls").read_text().splitlines()]
            yield Installed(root, printed, calls, upgraded)
        finally:
            for number in root.glob("*.pid"):
                fake_system.stop(root, number.stem)


def run(root: Path, typed: list[str], port: int) -> str:
    """Type these blocks into one shell, as an administrator who answers each question with a password."""
    script = fake_system.below(root, "\n".join(typed)).replace(PORT, str(port))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MEDFILES_")}
    environ = clean | {"PATH": f"{root / 'programs'}{os.pathsep}{os.environ['PATH']}", "PIP_NO_INDEX": "1"}
    done = subprocess.run(
        ["bash", "-e", "-u", "-c", script],
        cwd=root,
        env=environ,
        input=f"{PASSWORD}\n{PASSWORD}\n",
        capture_output=True,
        text=True,
        timeout=SECONDS,
        start_new_session=True,  # without a terminal to ask on
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_packages_are_those_of_a_bare_debian(installed: Installed) -> None:
    [packages] = [words[2:] for words in installed.calls if words[:2] == ["apt-get", "install"]]
    assert {word for word in packages if not word.startswith("-")} == BARE_DEBIAN


def test_the_service_account_is_created_before_it_owns_three_folders(installed: Installed) -> None:
    names = [words[0] for words in installed.calls]
    folders = [words for words in installed.calls if words[:2] == ["install", "-d"]]
    owners = [(words[words.index("-o") + 1], words[-1].removeprefix(str(installed.root))) for words in folders]
    assert owners == [("medfiles", f"/{name}") for name in ("srv/medfiles", "var/lib/medfiles", "backup/medfiles")]
    assert names.index("useradd") < names.index("install")
    assert mode(installed.root / "var/lib/medfiles") == 0o700
    assert mode(installed.root / "backup/medfiles") == 0o700


def test_everything_in_the_checkout_runs_as_the_service_account(installed: Installed) -> None:
    as_account = [words for words in installed.calls if words[0] == "runuser"]
    assert {tuple(words[1:4]) for words in as_account} == {("-u", "medfiles", "--")}
    typed = "\n".join([*lines(upgrade=False), *lines(upgrade=True)])
    assert re.findall(r"^(?:git|make|\.venv/\S+) .*$", typed, re.MULTILINE) == []


def test_settings_are_readable_by_root_and_the_service_account_only(installed: Installed) -> None:
    assert mode(installed.root / "etc/medfiles.env") == 0o640


def test_the_account_is_created_and_the_server_is_ready(installed: Installed) -> None:
    assert "anna@example.org" in installed.printed
    assert "ready" in installed.printed.splitlines()


def test_the_units_use_the_folders_of_the_guide(installed: Installed) -> None:
    units = (installed.root / "etc/systemd/system").glob("*.service")
    named = {path for unit in units for path in re.findall(r"/(?:srv|var|backup|etc)/[\w./]+", unit.read_text())}
    folders = ("/srv/medfiles", "/var/lib/medfiles", "/backup/medfiles", "/etc/medfiles.env", "/etc/systemd/system/")
    assert named
    assert [path for path in named if not path.startswith(folders)] == []


def test_the_first_backup_is_made_and_checked(installed: Installed) -> None:
    [manifest] = (installed.root / "backup/medfiles").glob("*/manifest.json")
    assert manifest.parent.name in installed.printed


def test_an_upgrade_migrates_and_starts_the_server_again(installed: Installed) -> None:
    verbs = [words[1] for words in installed.calls if words[0] == "systemctl" and words[-1].startswith("medfiles@")]
    assert verbs[-2:] == ["stop", "start"]
    upgrade = [
        words[4:]
        for words in installed.calls[installed.calls.index(["runuser", "-u", "medfiles", "--", "git", "pull"]) :]
        if words[0] == "runuser"
    ]
    assert [words[-1] for words in upgrade] == ["pull", "setup", "upgrade", "requirements/server.txt"]
