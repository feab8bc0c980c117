"""How long the first answers take: `python tests/benchmarks/startup.py [RUNS]`.

Prints for each the least and the median seconds of several runs, and the least over that of a bare interpreter, which
says how busy the machine was. What must not be loaded is a test: tests/test_startup.py.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RAYDGP = [sys.executable, "-m", "raydgp"]
COMMANDS = {
    "bare interpreter": [sys.executable, "-c", "pass"],
    "import numpy": [sys.executable, "-c", "import numpy"],
    "import raydgp": [sys.executable, "-c", "import raydgp"],
    "raydgp --help": [*RAYDGP, "--help"],
    "raydgp tune --help": [*RAYDGP, "tune", "--help"],
    "misspelt table": [*RAYDGP, "tune", "--model", "resnet17"],
    "misspelt model": [*RAYDGP, "tune", "resnet17"],
    "misspelt task": [*RAYDGP, "tune", "--model", "resnet18", "--tasks", "rb1-conv9"],
    "misspelt strategy": [*RAYDGP, "tune", "--model", "resnet18", "--strategy", "autotwm"],
    "misspelt key": [*RAYDGP, "tune", "--config", "bad.yaml"],
}


def seconds(command: list[str], folder: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, capture_output=True, check=False)
    return time.perf_counter() - began


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bad.yaml").write_text("modle: resnet18\n")
        times_s: dict[str, list[float]] = {name: [] for name in COMMANDS}
        for _ in range(runs):  # in turns, so that a busy minute is shared by all
            for name, command in COMMANDS.items():
                times_s[name].append(seconds(command, folder))
    bare_s = min(times_s["bare interpreter"])
    print(f"{'':20} {'least s':>8} {'median s':>9} {'x bare':>7}")
    for name, taken_s in times_s.items():
        least_s = min(taken_s)
        print(f"{name:20} {least_s:8.2f} {statistics.median(taken_s):9.2f} {least_s / bare_s:7.1f}")


if __name__ == "__main__":
    main()
