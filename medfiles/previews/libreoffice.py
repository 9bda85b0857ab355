"""Convert old Word documents to PDF with LibreOffice.

Each conversion runs in its own process, with resource limits, a temporary folder and an empty environment.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from medfiles.sandbox.pool import KILLED, Busy, NotChecked, TimedOut, WorkerUnavailable

OLD_WORD = "application/msword"
SECONDS, CPU, MEMORY, LARGEST = 60, 45, 4 * 1024**3, 100 * 1024**2
PATIENCE = 10.0
CACHE_SIZE = 4  # recent conversions to keep, because more of their pages may be requested
ONE_AT_A_TIME = threading.Semaphore(1)
CACHE: dict[str, bytes] = {}
LIMITED = f"""
import os, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({CPU}, {CPU}))
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
resource.setrlimit(resource.RLIMIT_FSIZE, ({LARGEST}, {LARGEST}))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
os.execv(sys.argv[1], sys.argv[1:])
"""


class ConversionFailed(NotChecked):
    """LibreOffice produced nothing."""


class ConversionTimedOut(ConversionFailed, TimedOut):
    """LibreOffice took too long."""


@dataclass(frozen=True)
class Converter:
    """A LibreOffice converter. `program` is the path to soffice, or "" if it is not installed."""

    program: str

    def supports(self, media_type: str) -> bool:
        return bool(self.program) and media_type == OLD_WORD

    def to_pdf(self, sha256: str, document: Path) -> bytes:
        """Return the document as a PDF. Raises `ConversionFailed`, or `Busy` if another conversion takes too long."""
        if not ONE_AT_A_TIME.acquire(timeout=PATIENCE):
            raise Busy()
        try:
            if sha256 not in CACHE:
                with TemporaryDirectory(prefix="medfiles-") as folder:
                    CACHE[sha256] = self._convert(Path(folder), document)
            if len(CACHE) > CACHE_SIZE:
                del CACHE[next(iter(CACHE))]
            return CACHE[sha256]
        finally:
            ONE_AT_A_TIME.release()

    def _convert(self, folder: Path, document: Path) -> bytes:
        shutil.copyfile(document, folder / "document.doc")
        profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
        options = ["--headless", "--norestore", "--convert-to", "pdf", "--outdir", str(folder)]
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", LIMITED, self.program, profile, *options, str(folder / "document.doc")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={"HOME": str(folder), "PATH": os.defpath},
            start_new_session=True,
        )
        try:
            process.wait(SECONDS)
            return (folder / "document.pdf").read_bytes()
        except subprocess.TimeoutExpired as error:
            raise ConversionTimedOut() from error
        except FileNotFoundError as error:
            raise (WorkerUnavailable if process.returncode in KILLED else ConversionFailed)() from error
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # the whole process group, because soffice is a wrapper script
            process.wait()
