"""Run the program that typesets, in a process of its own."""

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from medfiles.i18n import N_
from medfiles.sandbox.pool import KILLED, PACKAGE, NotChecked, WorkerUnavailable

SECONDS = 90
FONTS = {
    "text": ("fontpkg_arimo", "files/Arimo[wght].ttf"),
    "wide": ("cvttf_NotoSansCJK_Regular", "NotoSansCJKtc-Regular.otf"),
}
PROGRAM = """
import sys
sys.path.insert(0, sys.argv.pop(1))
sys.modules["numpy"] = None  # optional for fpdf2, and a quarter of its start time
from medfiles.smart_links.typesetting import main
main()
"""


class StoryFailed(NotChecked):
    """The documents cannot be put together."""

    def __init__(
        self, message: str = N_("The documents could not be put together in one PDF. Share them with a link instead.")
    ) -> None:
        super().__init__(message)


def run(folder: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """Typeset the plan in the folder, and return the page counts. `typesetting` describes both.

    Raises `StoryFailed` if it fails, and `WorkerUnavailable` if it was killed from outside.
    """
    (folder / "plan.json").write_text(json.dumps({**plan, "fonts": font_files()}))
    command = [sys.executable, "-I", "-X", "utf8", "-W", "ignore", "-c", PROGRAM, str(PACKAGE.parent), str(folder)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={},
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StoryFailed() from error
    if done.returncode:
        raise WorkerUnavailable() if done.returncode in KILLED else StoryFailed()
    answer: dict[str, Any] = json.loads((folder / "typeset.json").read_text())
    return answer


def font_files() -> dict[str, str]:
    return {family: str(files(package) / name) for family, (package, name) in FONTS.items()}
