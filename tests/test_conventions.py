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
        assert not any(part.startswith(("test_", "conftest")) for part in name.split(".")), f"{name}: to tests.support"


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_the_import_path_is_left_alone(path: Path) -> None:
    """pyproject.toml and tests.support.processes set it."""
    for tree in sources(path):
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.Attribute) and node.attr == "path" and ast.unparse(node.value) == "sys")
