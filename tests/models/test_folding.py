"""Folded batch norms: none is left, and the numbers stay."""

from collections import Counter

import numpy as np
import pytest
import torch
import tvm
from torch import Tensor, nn
from tvm import relax
from tvm.relax.frontend.torch import from_exported_program

from raydgp.errors import InputError
from raydgp.models.folding import fold_batch_norms


def imported(module: nn.Module, *inputs: Tensor) -> tvm.IRModule:
    program = torch.export.export(module, inputs)
    return from_exported_program(program, keep_params_as_input=False, unwrap_unit_return_tuple=True)


def operators(module: tvm.IRModule) -> Counter[str]:
    """How often a module's main function calls each operator."""
    calls: Counter[str] = Counter()

    def note(expr: relax.Expr) -> None:
        if isinstance(expr, relax.Call):
            calls[expr.op.name.removeprefix("relax.")] += 1

    relax.analysis.post_order_visit(module["main"], note)
    return calls


def run(module: tvm.IRModule, *inputs: np.ndarray) -> np.ndarray:
    machine = relax.VirtualMachine(tvm.compile(module, target="llvm"), tvm.cpu())
    return machine["main"](*map(tvm.runtime.tensor, inputs)).numpy()


def with_statistics(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module in eval mode with norms that do something."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_(0, 1, generator=generator)
            part.running_var.uniform_(0.2, 3, generator=generator)
            if part.affine:
                part.weight.data.uniform_(-2, 2, generator=generator)
                part.bias.data.normal_(0, 1, generator=generator)
    return module.eval()


class Shared(nn.Module):
    """A convolution that two read, a norm of the inputs, and a norm of a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.conv = nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding=1)
        self.norm, self.last = nn.BatchNorm2d(4), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(self.first(x))
        return self.last(torch.cat([y, self.norm(y)], 1))


LAYERS = {
    "conv": (nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)), {"nn.conv2d": 1, "add": 1}),
    "bias": (nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()), {"nn.conv2d": 1, "add": 1, "nn.relu": 1}),
    "depthwise": (nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.BatchNorm2d(6)), {"nn.conv2d": 1, "add": 1}),
    "twice": (nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.BatchNorm2d(8)), None),
    "affine-less": (nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, affine=False)), {"nn.conv2d": 1, "add": 1}),
    "transposed": (nn.Sequential(nn.ConvTranspose2d(3, 4, 3), nn.BatchNorm2d(4)), None),
    "dense": (
        nn.Sequential(nn.Flatten(), nn.Linear(3 * 9 * 9, 5), nn.BatchNorm1d(5)),
        {"reshape": 1, "matmul": 1, "add": 1},
    ),
    "shared": (Shared(), {"nn.conv2d": 1, "concat": 1, "multiply": 3, "add": 4}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_folding_leaves_no_norm_and_the_same_numbers(name: str) -> None:
    layers, wanted = LAYERS[name]
    module = with_statistics(layers)
    x = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    folded = fold_batch_norms(imported(module, x))
    calls = operators(folded)
    assert not calls.keys() & {"nn.batch_norm", "sqrt", "rsqrt", "divide", "subtract"}
    if wanted is not None:
        assert calls == wanted
    expected = module(x).detach().numpy()
    np.testing.assert_allclose(run(folded, x.numpy()), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_a_norm_in_training_mode_is_refused() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    with pytest.raises(InputError, match=r"call model\.eval\(\)"):
        fold_batch_norms(imported(module, torch.zeros(2, 3, 9, 9)))
