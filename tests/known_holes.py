"""`python -m tests.known_holes requirements.txt`: known holes in what is pinned, where the database of them answers.

pip-audit ends with 1 both when it found holes and when it reached nobody: the report it writes tells which.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

SECONDS = 120


def main(requirements: str) -> int:
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner=off"]
        command += ["--timeout=10", "--format=json", f"--output={report}", f"--requirement={requirements}"]
        try:
            said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS).stderr
        except subprocess.TimeoutExpired:
            said = "no answer in time"
        if not report.is_file():
            print(
                f"Known holes were not looked for: the database cannot be reached ({said.strip().splitlines()[-1:]})."
            )
            return 0
        found = [package for package in json.loads(report.read_text())["dependencies"] if package.get("vulns")]
    for package in found:
        print(f"{package['name']} {package['version']}: {', '.join(hole['id'] for hole in package['vulns'])}")
    print(f"{len(found)} packages with known holes.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
