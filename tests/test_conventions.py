"""The rules of the tests, jobs and benchmarks themselves, read off their source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for folder in ("tests", "jobs", "benchmarks") for path in (ROOT / folder).rglob("*.py"))


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def modules(tree: ast.AST) -> set[str]:
    """Full names of what is imported."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
    return found


def private(tree: ast.AST) -> set[str]:
    """Names with one leading underscore that are defined: functions, classes, variables and attributes."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
    return {name for name in found if name.startswith("_") and name.strip("_") == name[1:]}


def used(tree: ast.AST) -> set[str]:
    """Names that a file takes from elsewhere: attributes of anything but `self` and `cls`, imports, what is patched."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls"):
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("setattr", "getattr", "patch.object")):
            texts = (argument.value for argument in node.args[:2] if isinstance(argument, ast.Constant))
            found |= {str(text).rpartition(".")[2] for text in texts}
    return found


PRIVATE = frozenset().union(*(private(ast.parse(path.read_text())) for path in (ROOT / "raydgp").rglob("*.py")))


def sources(path: Path) -> list[ast.AST]:
    """The file, and the scripts in its strings, which other processes run."""
    tree = ast.parse(path.read_text())
    found: list[ast.AST] = [tree]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "import" in node.value:
            try:
                found.append(ast.parse(node.value))
            except SyntaxError:
                continue  # words
    return found


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_no_test_imports_another(path: Path) -> None:
    for name in set().union(*map(modules, sources(path))):
        ours = name.startswith(("tests.", "test_", "conftest"))  # onnx has modules called test_case
        named = any(part.startswith(("test_", "conftest")) for part in name.split("."))
        assert not (ours and named), f"{name}: to tests.support"


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_the_import_path_is_left_alone(path: Path) -> None:
    """pyproject.toml and tests.support.processes set it."""
    for tree in sources(path):
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.Attribute) and node.attr == "path" and ast.unparse(node.value) == "sys")


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_private_names_of_raydgp_are_nobody_elses(path: Path) -> None:
    found = set().union(*map(used, sources(path))) & PRIVATE - private(ast.parse(path.read_text()))
    assert not found, f"{found}: test what can be seen, or give the code a public name"
