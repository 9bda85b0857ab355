"""The wheel: holds everything the app reads, and serves outside of the checkout."""

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.server import ROOT, environment, started

DATA = ("migrations", "static", "templates")


def tracked(*places: str) -> list[str]:
    """Files of the checkout that git tracks, or is about to: not what builds leave behind."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *places]
    listed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).exists()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the checkout, since a build writes into its folder."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in tracked():
        copy = source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy, follow_symlinks=False)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(built)]
    subprocess.run([*command, str(source)], check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    return next(built.glob("medfiles-*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel, and the libraries of this one without its medfiles."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, str(wheel)], check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return python


@pytest.fixture
def address(python: Path, tmp_path: Path) -> Iterator[str]:
    """The installed package, migrated and served from a folder that holds nothing of the checkout."""
    settings = {"MEDFILES_INSTANCE": str(tmp_path / "instance"), "MEDFILES_WORKERS": "1"}
    upgrade = [str(python), "-m", "flask", "--app", "medfiles.app", "db", "upgrade"]
    subprocess.run(upgrade, cwd=tmp_path, env=environment(settings), check=True, stderr=subprocess.DEVNULL)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        bind = ["--bind", f"fd://{listener.fileno()}"]
        command = [str(python), "-m", "gunicorn", "-c", "python:medfiles.http.gunicorn_config", *bind]
        with started([*command, "medfiles.app:create_app()"], listener, settings, cwd=tmp_path) as address:
            yield address


def test_a_wheel_holds_every_file_the_package_needs(wheel: Path) -> None:
    held = {name for name in ZipFile(wheel).namelist() if name.startswith("medfiles/")}
    linked = {f"medfiles/{name}" for name in tracked(*DATA)}
    own = {name for name in tracked("medfiles") if not (ROOT / name).is_symlink()}
    assert held == own | linked


def test_an_installed_wheel_migrates_and_serves_pages_and_static_files(address: str) -> None:
    with urllib.request.urlopen(f"{address}/sign-in") as page:
        text = page.read().decode()
    assert "medfiles" in text
    with urllib.request.urlopen(f"{address}/static/medfiles.css") as style:
        assert style.read() == (ROOT / "static" / "medfiles.css").read_bytes()
