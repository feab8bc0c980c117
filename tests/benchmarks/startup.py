"""How long the first answers take: `python tests/benchmarks/startup.py [RUNS]`.

Prints for each the least and the median seconds of several runs, the least of its processor time, and that over a bare
interpreter's: on a busy machine the processor's seconds say more than the wall's. What must not be loaded is a test:
tests/test_startup.py.
"""

from __future__ import annotations

import resource
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


def seconds(command: list[str], folder: str) -> tuple[float, float]:
    """What a command takes, of the wall's time and of the processor's."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, capture_output=True, check=False)
    taken_s, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return taken_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bad.yaml").write_text("modle: resnet18\n")
        times_s: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
        for _ in range(runs):  # in turns, so that a busy minute is shared by all
            for name, command in COMMANDS.items():
                times_s[name].append(seconds(command, folder))
    bare_s = min(cpu_s for _, cpu_s in times_s["bare interpreter"])
    print(f"{'':20} {'least s':>8} {'median s':>9} {'CPU s':>6} {'x bare':>7}")
    for name, taken in times_s.items():
        walls_s, least_cpu_s = [wall_s for wall_s, _ in taken], min(cpu_s for _, cpu_s in taken)
        figures = f"{min(walls_s):8.2f} {statistics.median(walls_s):9.2f} {least_cpu_s:6.2f}"
        print(f"{name:20} {figures} {least_cpu_s / bare_s:7.1f}")


if __name__ == "__main__":
    main()
