"""`python -m tests.proof.corpus`: all hostile inputs instead of the sample that the suite tries, one process for each
processor but at least two. Ends with how many there were, and fails when one of them was met as it must not be."""

import os
import sys

import pytest

PROCESSES = max(2, os.cpu_count() or 1)

if __name__ == "__main__":
    wanted = ["tests/proof/corpus", "--full", "-q", "-n", str(PROCESSES), "--dist", "worksteal", *sys.argv[1:]]
    sys.exit(pytest.main(wanted))
