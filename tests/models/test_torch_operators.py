"""Operators of torch that are translated by us: an import compares them with torch on several inputs."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raydgp.errors import InputError
from raydgp.models.importing.torch_source import from_torch

INDICES = torch.tensor([[1, -1], [0, 3]])


class Reading(nn.Module):
    """Indices from the end, of one axis and of several, side by side and apart."""

    def forward(self, x: Tensor, i: Tensor) -> Any:
        return x[:, i], x[i[0], :, i[1]], x[..., i[0], i], x[i, i[1]]


class Writing(nn.Module):
    def forward(self, x: Tensor, i: Tensor, v: Tensor) -> Any:
        first, second, third, fourth = x.clone(), x.clone(), x.clone(), x.clone()
        first[:, i] = v
        second[i[0], :, i[1]] += v[0, 0]
        third[:, :, i[1], :2] = 0.5
        fourth[x > 0.3] = -1.0
        return first, second, third, fourth, x.index_put((i[0] * 0, i[1]), v[0], accumulate=True)


class Reducing(nn.Module):
    """Messages of a graph's edges."""

    def forward(self, x: Tensor, i: Tensor) -> Any:
        ways = {"amax": 0, "amin": 1, "sum": 2, "prod": 3}
        places = i.reshape(4, 1).abs().expand(4, 6)
        return [torch.scatter_reduce(x[0, :4, :, 0], 0, places, x[way, :4, :, 1], kind) for kind, way in ways.items()]


class Largest(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return F.adaptive_max_pool2d(x, (4, 3)), F.adaptive_max_pool2d(x, 1), F.adaptive_max_pool1d(x[0], 4)


class Sorted(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return x.sort(-1, descending=True), x.round().argsort(stable=True, dim=1)


@pytest.mark.parametrize(
    ("module", "others"),
    [
        (Reading(), (INDICES,)),
        (Writing(), (INDICES, torch.randn(2, 2, 1, 6))),
        (Reducing(), (INDICES,)),
        (Largest(), ()),
        (Sorted(), ()),
    ],
)
def test_it_is_right(module: nn.Module, others: tuple[Tensor, ...]) -> None:
    torch.manual_seed(0)
    from_torch("m", module, (torch.randn(4, 5, 6, 6), *others), check=True)


def test_a_volume_is_made_larger() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.ConvTranspose3d(2, 4, 3, 2, 1, 1, groups=2), nn.ConvTranspose3d(4, 1, 2, 2, bias=False))
    imported = from_torch("m", layers, (torch.randn(1, 2, 3, 4, 5),), check=True)
    assert "conv3d_transpose" not in imported.module.script()


class Spectrum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.rfft(x).abs()


def test_what_tvm_lacks_is_named() -> None:
    with pytest.raises(InputError, match=r"m: .*TVM lacks _fft_r2c$"):
        from_torch("m", Spectrum(), (torch.randn(2, 8),), check=True)


class Chosen(nn.Module):
    def forward(self, x: Tensor, values: Tensor) -> Tensor:
        y = x.clone()
        y[x > 0] = values
        return y


def test_several_values_at_places_that_a_mask_says_are_refused() -> None:
    x = torch.tensor(np.array([1.0, -1.0, 2.0], "f"))
    with pytest.raises(InputError, match="m: it writes several values at places that a mask says"):
        from_torch("m", Chosen(), (x, torch.ones(2)), check=True)
