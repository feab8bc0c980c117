"""Architectures of many families, from torch's file and ONNX's: imported right, most of them by TVM alone."""

from pathlib import Path

import pytest
import torch

from raydgp.models.importing import load
from raydgp.models.lowering import lower
from raydgp.targets import Target
from tests.support.architectures import ARCHITECTURES

SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("convnext", "lstm_tagger", "tcn")]


@pytest.mark.parametrize("name", ["shufflenet", *SLOW])
def test_both_files_import_right_and_lower(name: str, tmp_path: Path) -> None:
    module, inputs = ARCHITECTURES[name]()
    torch.export.save(torch.export.export(module, inputs), tmp_path / "model.pt2")
    torch.onnx.export(module, inputs, str(tmp_path / "model.onnx"), dynamo=False)
    for file in ("model.pt2", "model.onnx"):
        model = load(str(tmp_path / file))  # compared with torch and onnxruntime, or refused
        assert model.beside == {}
        assert len(lower(model.module, Target.here("llvm")).tasks) > 1
