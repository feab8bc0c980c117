"""The wheel, built and installed beside the checkout, works in an empty folder: commands find what they name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import raydgp

ROOT = Path(__file__).parents[1]


def _done(command: list[str], cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that neither build nor its leftovers touch the checkout."""
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "raydgp", source / "raydgp", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    answer = _done([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"], source)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's files alone; its dependencies are this environment's."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder)]
    answer = _done([*pip, str(wheel)], folder)
    assert answer.returncode == 0, answer.stderr
    return folder


def test_the_wheel_holds_what_the_package_needs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    source = {str(path.relative_to(ROOT)) for path in (ROOT / "raydgp").rglob("*") if path.is_file()}
    assert {name for name in source if "__pycache__" not in name} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests", "jobs", "docs"))]


def test_commands_find_what_they_name_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    def answer(*arguments: str) -> subprocess.CompletedProcess[str]:
        return _done([str(installed / "bin" / "raydgp"), *arguments], tmp_path, PYTHONPATH=str(installed))

    where = _done([sys.executable, "-c", "import raydgp; print(raydgp.__file__)"], tmp_path, PYTHONPATH=str(installed))
    assert where.stdout.strip() == str(installed / "raydgp" / "__init__.py")
    assert answer("--version").stdout.strip().endswith(raydgp.__version__)

    refused = answer("tune", "--config", "quickstart", "--minutes", "0")
    assert refused.returncode == 2
    assert str(installed / "raydgp" / "data" / "configs" / "quickstart.yaml") in refused.stderr

    few = ["--strategies", "random,autotvm", "--seeds", "1", "--trials", "8", "--json"]
    compared = answer("compare", "znver4", "--config", "compare", *few)
    assert compared.returncode == 0, compared.stderr
    assert [row["strategy"] for row in json.loads(compared.stdout)] == ["random", "autotvm"]
