"""Damaged and edited files in thousands: python tests/benchmarks/fuzz.py [FILES OF EACH KIND]

The tests of tests/faults/test_fuzz.py with so many files of each kind (5000 by default, an hour or two); they fail on
the first that is neither read nor refused in one line, or that takes a gigabyte or a minute.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def main() -> None:
    tests = Path(__file__).parents[1] / "faults" / "test_fuzz.py"
    environment = {**os.environ, "RAYDGP_FUZZ": sys.argv[1] if len(sys.argv) > 1 else "5000"}
    command = [sys.executable, "-m", "pytest", str(tests), "--timeout=0"]
    sys.exit(subprocess.run(command, env=environment).returncode)


if __name__ == "__main__":
    main()
