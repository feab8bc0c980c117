"""Python in a process of its own, which finds this checkout's raydgp and `tests.support`."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def environment(**variables: str) -> dict[str, str]:
    """This process's, with the checkout ahead of everything else that Python finds."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, **variables, "PYTHONPATH": path}


def python(*arguments: str, check: bool = True, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Runs Python with these arguments and hands over what it wrote; options are those of `subprocess.run`."""
    options.setdefault("env", environment())
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=check, **options)


def start_python(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
    """Starts Python with these arguments, its output a pipe of text; options are those of `subprocess.Popen`."""
    options.setdefault("env", environment())
    return subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, **options)
