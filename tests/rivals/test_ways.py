"""Other runtimes on models that are not the plain case: given by keyword, in half precision, written into."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from onnx.helper import make_node
from torch import Tensor, nn

from raydgp.errors import InputError
from raydgp.models.accuracy import largest_error
from raydgp.rivals.ways import make
from tests.support.onnx_models import onnx_model


class Tree(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor, scale: Tensor) -> Any:
        x.mul_(2)
        return {"y": torch.relu(self.norm(self.layer(x))) * scale, "nothing": None}


def error_of(way: str, source: Path) -> float:
    run, flat, expected = make(way, str(source), "llvm", 1)
    return largest_error(flat(run()), expected)


@pytest.mark.parametrize("way", ["onnxruntime", "torch eager", "torch frozen", "torch channels_last"])
def test_an_exported_program_is_compared_with(way: str, tmp_path: Path) -> None:
    """Exporters and compilers call `train`, which the module of a program refuses."""
    torch.manual_seed(0)
    given = (torch.randn(1, 3, 8, 8),), {"scale": torch.ones(1) / 2}
    with torch.no_grad():
        torch.export.save(torch.export.export(Tree().eval(), *given), tmp_path / "tree.pt2")
    try:
        assert error_of(way, tmp_path / "tree.pt2") < 1e-5
    finally:
        torch.set_grad_enabled(True)


def test_a_file_in_half_precision_gets_halves(tmp_path: Path) -> None:
    half = (TensorProto.FLOAT16, [2, 3])
    weights = {"w": np.array([2, 3, 4], np.float16)}
    model = onnx_model([make_node("Mul", ["x", "w"], ["y"])], {"x": half}, {"y": half}, weights)
    onnx.save(model, tmp_path / "half.onnx")
    assert error_of("onnxruntime", tmp_path / "half.onnx") < 2e-3


def test_what_torch_cannot_write_as_onnx_is_told_in_a_line(tmp_path: Path) -> None:
    module = nn.AdaptiveAvgPool2d((2, 3))  # of sizes that do not divide the input's
    torch.export.save(torch.export.export(module, (torch.randn(1, 3, 5, 7),)), tmp_path / "pool.pt2")
    with pytest.raises(InputError, match=r"pool.pt2: torch cannot write it as ONNX: .*adaptive_avg_pool2d"):
        make("onnxruntime", str(tmp_path / "pool.pt2"), "llvm", 1)
