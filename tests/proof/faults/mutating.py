"""Copies of the product with one mistake each, from the patches in mutants/: mistakes the design exists to exclude."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.proof.faults.forked import ROOT

PATCHES = Path(__file__).parent / "mutants"
BESIDE = ("migrations", "static", "templates", "tests")


def mutant(name: str, folder: Path) -> Path:
    """The folder, with the package in it as the patch leaves it; a patch that does not fit any more is an error."""
    shutil.copytree(ROOT / "medfiles", folder / "medfiles", symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for other in BESIDE:
        (folder / other).symlink_to(ROOT / other)
    alone = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    done = subprocess.run(
        ["git", "apply", str(PATCHES / f"{name}.patch")], cwd=folder, env=alone, stderr=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"mutants/{name}.patch no longer fits the product: {done.stderr}")
    return folder
