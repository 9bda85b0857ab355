#!/usr/bin/env python3
"""Ask a vulnerability database about every package that is pinned: `make lint` fails when it knows one of them. Where
none is reachable this says so in a line and is content."""

import json
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parents[1] / "requirements"
AWAY = "No vulnerability database is reachable from here: packages are not audited."
ASK = ("--disable-pip", "--require-hashes", "--progress-spinner=off", "--timeout=10", "--format=json")


def main() -> int:
    lists = [word for name in ("runtime.txt", "dev.txt") for word in ("-r", str(REQUIREMENTS / name))]
    asked = [sys.executable, "-m", "pip_audit", *ASK, *lists]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        print(AWAY)
        return 0
    known = [package for package in packages if "vulns" in package]
    bad = [package for package in known if package["vulns"]]
    for package in bad:
        names = ", ".join(
            f"{each['id']} (fixed in {' or '.join(each['fix_versions']) or 'none'})" for each in package["vulns"]
        )
        print(f"{package['name']} {package['version']}: {names}")
    if known:
        print(f"{len(known)} of {len(packages)} packages audited, {len(bad)} with a known vulnerability.")
    else:
        print(AWAY)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
