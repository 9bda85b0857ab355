"""The programs that tests start and pip cannot install: where they are, and how they get there.

`python -m tests.support.tools [NAME …]` installs the missing ones: as root with apt-get, otherwise what needs no root.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import distribution
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache"
UNPACKED = CACHE / "debian"
IS_ROOT = os.geteuid() == 0
# An ordinary user has package lists of its own: those of the system may be empty, and only root may fetch them.
OWN_LISTS = (
    f"-oDir::State={CACHE}/apt", "-oDir::State::status=/var/lib/dpkg/status", f"-oDir::Cache={CACHE}/apt",
)  # fmt: skip
NODE = Path(str(distribution("playwright").locate_file("playwright/driver/node")))
CHROMIUM = (sys.executable, "-m", "tests.browser.chromium")
APT = ("apt-get", "-q", *(() if IS_ROOT else OWN_LISTS))


class Missing(Exception):
    """A program that the tests need is not installed."""


def command(program: str) -> list[str]:
    """Return what starts it: the installed program, or else the one unpacked into .cache/debian."""
    if installed := shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin"):
        return [installed]
    libraries = ":".join(map(str, UNPACKED.glob("**/*-linux-gnu*")))
    return ["env", f"LD_LIBRARY_PATH={libraries}", str(UNPACKED / "usr" / "sbin" / program)]


def malware_samples() -> Path:
    """Return the folder of ClamAV's test files."""
    installed = Path("/usr/share/clamav-testfiles")
    return installed if installed.is_dir() else UNPACKED / "usr" / "share" / "clamav-testfiles"


def runs(*words: str | Path) -> bool:
    try:
        return subprocess.run(words, cwd=ROOT, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@dataclass(frozen=True)
class Tool:
    """`packages` are Debian's. `unpacked`: installing them starts a system service, so only their files are taken."""

    title: str
    tests: str
    packages: tuple[str, ...]
    starts: Callable[[], bool]
    unpacked: bool = False


TOOLS = {
    "node": Tool(
        "the library of Playwright's Node.js", "browser tests", ("libatomic1",), partial(runs, NODE, "--version")
    ),
    "chromium": Tool("Chromium", "browser tests", ("chromium-headless-shell",), partial(runs, *CHROMIUM)),
    "curl": Tool("curl", "tests of docs/api.md", ("curl",), partial(runs, "curl", "--version")),
    "strace": Tool("strace", "faults at system calls", ("strace",), partial(runs, "strace", "-o", "/dev/null", "true")),
    "fuse": Tool(
        "FUSE 3 with /dev/fuse",
        "power cuts",
        ("fuse3",),
        lambda: runs("fusermount3", "-V") and os.access("/dev/fuse", os.R_OK | os.W_OK),
    ),
    "clamd": Tool(
        "ClamAV",
        "malware scans",
        ("clamav-daemon", "clamav-testfiles"),
        lambda: runs(*command("clamd"), "--config-file=/dev/null", "--version") and malware_samples().is_dir(),
        unpacked=True,
    ),
    "dcmtk": Tool("DCMTK", "comparisons of DICOM images", ("dcmtk",), partial(runs, "dcm2pnm", "--version")),
    "poppler": Tool("Poppler", "comparisons of PDF", ("poppler-utils",), partial(runs, "pdftoppm", "-v")),
    "imagemagick": Tool(
        "ImageMagick", "comparisons of images", ("imagemagick",), partial(runs, "/usr/bin/convert", "-version")
    ),
    "nginx": Tool("nginx", "tests behind nginx", ("nginx",), lambda: runs(*command("nginx"), "-v"), unpacked=True),
}


@cache
def _starts(name: str) -> bool:
    return TOOLS[name].starts()


def need(*names: str) -> None:
    """Fail where a tool is missing; skip for an ordinary user, who may be unable to install it."""
    for name in names:
        if not _starts(name):
            sentence = f"{TOOLS[name].tests} need {TOOLS[name].title} (Debian: {' '.join(TOOLS[name].packages)})"
            if IS_ROOT:
                raise Missing(f"{sentence}: run `make tools`.")
            pytest.skip(sentence)  # installing it may need rights that this user lacks


def install(tools: Sequence[Tool]) -> None:
    possible = [tool for tool in tools if tool.unpacked or IS_ROOT]
    if possible and shutil.which("apt-get"):
        print(f"Installing {', '.join(tool.title for tool in possible)} …", flush=True)
        for folder in ("apt/lists/partial", "apt/archives/partial"):
            (CACHE / folder).mkdir(parents=True, exist_ok=True)
        _run(*APT, "update")
        for tool in possible:
            if tool.unpacked:
                _unpack(tool.packages)
            else:
                _run(*APT, "install", "-y", "--no-install-recommends", *tool.packages)
        shutil.rmtree(CACHE / "apt")
    if TOOLS["chromium"] in tools and TOOLS["node"].starts() and not TOOLS["chromium"].starts():
        _run(Path(sys.executable).with_name("playwright"), "install", "--only-shell", "chromium")


def _unpack(packages: Iterable[str]) -> None:
    """Unpack the files of these packages and of the libraries they need and this machine lacks."""
    planned = _run(*APT, "install", "--simulate", "--no-install-recommends", *packages)
    wanted = [
        name for name in re.findall(r"^Inst (\S+)", planned, re.MULTILINE) if name in packages or name.startswith("lib")
    ]
    with TemporaryDirectory() as folder:
        _run(*APT, "download", *wanted, cwd=folder)
        for package in Path(folder).glob("*.deb"):
            _run("dpkg-deb", "--extract", package, UNPACKED)


def _run(*words: str | Path, cwd: str | None = None) -> str:
    """Return what it says on standard output; pass on its complaints where it fails."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(words, cwd=cwd, env=quiet, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
    return done.stdout


def main(names: Sequence[str]) -> int:
    wanted = [TOOLS[name] for name in names or TOOLS]
    if missing := [tool for tool in wanted if not tool.starts()]:
        install(missing)
    still = [tool for tool in missing if not tool.starts()]
    if not still:
        return 0
    titles, packages = (
        ", ".join(tool.title for tool in still),
        " ".join(name for tool in still for name in tool.packages),
    )
    tests = ", ".join(dict.fromkeys(tool.tests for tool in still))
    outcome = "Nothing can be tested without them" if IS_ROOT else f"These tests are skipped: {tests}"
    print(f"Missing: {titles} (on Debian, as root: apt-get install --no-install-recommends {packages}). {outcome}.")
    return int(IS_ROOT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
