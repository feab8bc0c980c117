"""The recipes of the documentation, each run as its reader would: a script of its own, outside of the checkout."""

import ast
import re
import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.processes import python

RECIPES = sorted((Path(__file__).parents[1] / "docs" / "recipes").glob("*.py"))
MEASURING = ["operator_template", "target"]  # print the outcome of each configuration


@cache
def printed(path: Path) -> str:
    """What a recipe prints, run from a copy in an empty folder."""
    with TemporaryDirectory() as folder:
        copy = shutil.copy(path, folder)
        return python(copy, cwd=folder, timeout=300).stdout


def test_the_recipes_are_there() -> None:
    assert set(MEASURING) <= {path.stem for path in RECIPES}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_short_and_uses_public_names_only(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < 60
    assert ast.get_docstring(ast.parse(text))
    assert not re.findall(r"(?:\.|import )_[a-z]\w*", text)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs_outside_of_the_checkout(path: Path) -> None:
    assert printed(path).strip()


@pytest.mark.parametrize("path", [path for path in RECIPES if path.stem in MEASURING], ids=lambda path: path.stem)
def test_the_kernels_of_a_recipe_give_the_right_answer(path: Path) -> None:
    """A measurement is ok only where the kernel agrees with the operator's reference."""
    outcomes = ast.literal_eval(printed(path))
    assert len(outcomes) == 16
    assert all(re.fullmatch(r"ok \d+\.\d GFLOPS", outcome) for outcome in outcomes), outcomes
