"""The rules of the house, read off the source: who imports whom, which room a heavy library has, how long a module is.

An import inside of a function counts like any other.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import python

ROOT = Path(__file__).parents[1] / "raydgp"
MODULES = sorted(ROOT.rglob("*.py"))
LADDER = """
errors registry data sandbox targets settings workloads space templates records build surrogates search run measure
bundle testing cluster reports tracking models rivals app cli
"""
ORDER = LADDER.split()
_TVM = {"targets", "templates", "build", "run", "models", "rivals"}
ROOMS = {
    "tvm": _TVM,
    "torch": {"surrogates", "models", "rivals"},
    "gpytorch": {"surrogates"},
    "xgboost": {"surrogates", "rivals"},
    "ray": {"cluster"},
    "mlflow": {"tracking"},
    "onnx": {"models"},
    "onnxruntime": {"models", "rivals"},
    "openvino": {"rivals"},
    "rich": {"cli"},
    "jinja2": {"reports"},
    "pytest": {"testing"},
    "hypothesis": {"testing"},
}
MAX_LINES = 300


def room(path: Path) -> str:
    """The package a module belongs to, its own name at the top; empty for raydgp itself."""
    first = path.relative_to(ROOT).parts[0].removesuffix(".py")
    return "" if first in ("__init__", "__main__") else first


def imported(path: Path) -> Iterator[str]:
    """Full names of what a module imports, relative imports resolved."""
    package = ["raydgp", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_room_has_its_place_in_the_order() -> None:
    assert {room(path) for path in MODULES} - {""} <= set(ORDER)


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_imports_go_down_only(path: Path) -> None:
    here = room(path)
    if not here:
        return  # raydgp/__init__.py shows the public names of all rooms
    for name in imported(path):
        if not name.startswith("raydgp."):
            continue  # `import raydgp` itself is for its version
        there = name.split(".")[1]
        assert there in ORDER, f"{name}: import from the room itself, not from raydgp"
        assert ORDER.index(there) <= ORDER.index(here), f"{here} is below {there}"


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_heavy_libraries_stay_in_their_rooms(path: Path) -> None:
    for name in imported(path):
        library = name.split(".")[0]
        assert room(path) in ROOMS.get(library, {room(path)}), f"{library} belongs into {ROOMS[library]}"


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_modules_are_short_and_say_what_they_are(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES
    assert ast.get_docstring(ast.parse(path.read_text())) or not path.read_text()


def test_importing_raydgp_loads_no_heavy_library() -> None:
    script = f"import sys, raydgp; print(*(set(sys.modules) & set({list(ROOMS)!r})))"
    done = python("-c", script)
    assert done.stdout.split() == []


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_what_a_caller_can_catch_is_in_one_place(path: Path) -> None:
    """Errors derive from those of raydgp.errors and are there; what derives from Exception alone is a signal within."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef) and room(path) != "errors":
            bases = {ast.unparse(base) for base in node.bases}
            assert not any(base.endswith("Error") for base in bases), f"{node.name} belongs into raydgp.errors"


def blocks(body: list[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """Imports that stand one after the other, at any depth."""
    found: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.append(node)
            continue
        if found:
            yield found
            found = []
        for part in [node, *getattr(node, "handlers", []), *getattr(node, "cases", [])]:
            for name in ("body", "orelse", "finalbody"):
                yield from blocks(getattr(part, name, []))
    if found:
        yield found


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_an_import_in_a_function_has_a_reason(path: Path) -> None:
    """In a comment beside it or above it. A child's entry module imports in `start`, by the rules of `serve`."""
    text = path.read_text()
    lines = text.splitlines()
    for function in ast.walk(ast.parse(text)):
        child = "import Handle" in text and getattr(function, "name", "") == "start"
        if not isinstance(function, ast.FunctionDef) or child:
            continue
        for block in blocks(function.body):
            said = lines[block[0].lineno - 2 : block[-1].end_lineno]
            reasons = [line.partition("#")[2].removeprefix(" noqa: ") for line in said[1:]]
            above = said[0].strip().startswith("#")
            assert above or any(" " in reason.strip() for reason in reasons), f"line {block[0].lineno}: why not above?"
