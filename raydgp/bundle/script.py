"""The runner as one script: its modules, and those of raydgp that they import, in a ZIP that Python runs."""

from __future__ import annotations

import ast
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import raydgp
from raydgp.errors import InputError

_ROOT = Path(raydgp.__file__).parents[1]
_ENTRIES = ("raydgp.bundle.runner.command", "raydgp.bundle.runner.child")
_MAIN = """import sys
if sys.version_info < (3, 11):
    sys.exit("raydgp bundle: needs Python 3.11 or newer, and this is %d.%d" % sys.version_info[:2])
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile
if find_spec("numpy") is None:
    sys.exit("raydgp bundle: this Python has no numpy: install it, or use another Python")
from raydgp.bundle.runner.command import main
here = Path(__file__).parent
with ZipFile(here) as script:
    own = here if "bundle.json" in script.namelist() else None
main(bundle=own)
"""


def members() -> dict[str, bytes]:
    """What makes a ZIP the runner's script: contents by name. Of a bundle, they make a script of it.

    Packages keep nothing in their `__init__` that the runner needs: there they are empty.
    """
    found = {"__main__.py": _MAIN.encode()}
    for module in sorted(modules()):
        name = module.replace(".", "/")
        found[f"{name}.py"] = (_ROOT / f"{name}.py").read_bytes()
        for depth in range(1, module.count(".") + 1):
            found["/".join([*module.split(".")[:depth], "__init__.py"])] = b""
    return found


def write_script(out: Path) -> None:
    """Writes the script, which `python OUT BUNDLE --out FILE --minutes M` runs.

    Raises:
        InputError: it cannot be written there.
    """
    content = io.BytesIO(b"#!/usr/bin/env python3\n")
    content.seek(0, os.SEEK_END)
    with zipfile.ZipFile(content, "a", zipfile.ZIP_DEFLATED) as script:
        for name, text in members().items():
            script.writestr(name, text)
    try:
        out.write_bytes(content.getvalue())
        out.chmod(0o755)
    except OSError as error:
        raise InputError(f"{out}: {error.strerror or error}; give a file in a folder that is there") from None


def modules() -> set[str]:
    """The runner's modules and all of raydgp's that they import, also within functions."""
    found: set[str] = set()
    left = list(_ENTRIES)
    while left:
        module = left.pop()
        if module not in found:
            found.add(module)
            left += [name for name in imported(module) if name.startswith("raydgp.")]
    return found


def imported(module: str) -> Iterator[str]:
    """Full names of the modules that a module of raydgp imports."""
    text = (_ROOT / f"{module.replace('.', '/')}.py").read_text()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (_module(f"{node.module}.{alias.name}") for alias in node.names)


def _module(name: str) -> str:
    """The module that a name is of: itself, or the one that it is an attribute of."""
    return name if (_ROOT / f"{name.replace('.', '/')}.py").exists() else name.rpartition(".")[0]
