"""Stand-ins for libcuda.so.1 and libnvidia-ml.so.1, so that what calls the real ones runs as it is (see cuda.cpp)."""

import os
import subprocess
from pathlib import Path

_HERE = Path(__file__).parent


def build(folder: Path) -> Path:
    """Compiles both into a folder."""
    for source, library in (("cuda.cpp", "libcuda.so.1"), ("nvml.cpp", "libnvidia-ml.so.1")):
        command = ["g++", "-O1", "-std=c++17", "-shared", "-fPIC", "-o", str(folder / library), str(_HERE / source)]
        subprocess.run([*command, "-ldl"], check=True)
    return folder


def variables(folder: Path, **settings: str) -> dict[str, str]:
    """Environment of a process that is to find the stand-ins of a folder; settings are those of cuda.cpp."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("LD_LIBRARY_PATH", "")]))
    return {"LD_LIBRARY_PATH": path, **settings}
