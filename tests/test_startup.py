"""What is loaded before anything is to be done: the libraries that take seconds are not.

How long it takes is measured by tests/benchmarks/startup.py.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "raydgp"
HEAVY = {
    *("gpytorch", "mlflow", "onnx", "onnxruntime", "pandas", "pyarrow"),
    *("ray", "scipy", "sklearn", "torch", "tvm", "xgboost"),
}
ASKED = {
    "nothing": [],
    "help": ["--help"],
    "help of tune": ["tune", "--help"],
    "help of inspect": ["inspect", "--help"],
    "a misspelt model to inspect": ["inspect", "resnet17"],
    "a misspelt table": ["tune", "--model", "resnet17"],
    "a misspelt model": ["tune", "resnet17"],
    "a misspelt task": ["tune", "--model", "resnet18", "--tasks", "rb1-conv9"],
    "a misspelt strategy": ["tune", "--model", "resnet18", "--strategy", "autotwm"],
    "a misspelt strategy for a model": ["tune", "resnet18", "--strategy", "autotwm"],
    "a misspelt key": ["tune", "--config", "bad.yaml"],
    "a misspelt key of a plan": ["bundle", "make", "bad.yaml", "--out", "x.bundle"],
}
SCRIPT = """
import sys
from raydgp.cli import main
try:
    main()
except SystemExit as end:
    print("code", end.code)
print("loaded", *sorted({name.split(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize("case", ASKED)
def test_an_answer_that_needs_no_heavy_library_loads_none(case: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("modle: resnet18\n")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *ASKED[case]], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    *_, code, loaded = done.stdout.splitlines()
    assert code == ("code 2" if "misspelt" in case else "code 0")
    assert set(loaded.split()) & HEAVY == set()
    assert "numpy" not in loaded.split() or case not in ("nothing", "help")


STUBS = sorted(ROOT.rglob("__init__.pyi"))


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: str(stub.parent.relative_to(ROOT.parent)))
def test_what_a_stub_lists_is_there(stub: Path) -> None:
    room = importlib.import_module(".".join(stub.parent.relative_to(ROOT.parent).parts))
    assert room.__all__
    for name in room.__all__:
        assert getattr(room, name) is not None
