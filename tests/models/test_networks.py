"""The networks: parameters, convolutions as in the papers' tables, seeded and healthy weights."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from raydgp.errors import InputError
from raydgp.models.networks import NETWORKS, network, resnet50, transformer_block
from raydgp.workloads import zoo
from raydgp.workloads.ops import Conv2d, DepthwiseConv2d, Workload

PARAMETERS = {
    "alexnet": 61_100_840,
    "resnet18": 11_689_512,
    "vgg16": 138_357_544,
    "mobilenet_v1": 4_231_976,
    "squeezenet_v1_1": 1_235_496,
}


def workload(layer: nn.Conv2d, x: Tensor) -> Workload:
    n, ci, h, w = x.shape
    shape: dict[str, Any] = {"n": n, "ci": ci, "h": h, "w": w, "kh": layer.kernel_size[0], "kw": layer.kernel_size[1]}
    shape |= {"stride": layer.stride, "padding": layer.padding}
    return DepthwiseConv2d(**shape) if layer.groups == ci else Conv2d(**shape, co=layer.out_channels)


@pytest.fixture(scope="module", params=NETWORKS)
def seen(request: pytest.FixtureRequest) -> tuple[str, nn.Module, Counter[Workload], Tensor]:
    """A network, the convolutions that one call makes, and the call's output."""
    module, inputs = network(request.param)
    calls: Counter[Workload] = Counter()

    def note(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.Conv2d)
        calls[workload(layer, args[0])] += 1

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_pre_hook(note)
    return request.param, module, calls, module(*inputs)


def test_parameters_are_those_of_the_architecture(seen: tuple[str, nn.Module, Any, Any]) -> None:
    name, module, _, _ = seen
    assert sum(weights.numel() for weights in module.parameters()) == PARAMETERS[name]


def test_convolutions_are_the_table_s(seen: tuple[str, Any, Counter[Workload], Any]) -> None:
    name, _, calls, _ = seen
    # The standard ResNet-18 has no projection in its first block, which keeps the shape; the paper's table has one.
    assert calls == Counter({task.workload: task.count for task in zoo.tasks(name) if task.name != "rb1-sc"})


def test_activations_neither_die_nor_explode(seen: tuple[str, Any, Any, Tensor]) -> None:
    output = seen[3]
    assert output.shape == (1, 1000)
    assert 0.05 < output.std() < 50


def test_weights_depend_on_the_seed_alone() -> None:
    before = torch.random.get_rng_state()
    (one, (x,)), (same, (x_same,)), (other, _) = (network("squeezenet_v1_1", seed) for seed in (1, 1, 2))
    assert torch.equal(x, x_same)
    assert torch.equal(one(x), same(x))
    assert not torch.equal(one(x), other(x))
    assert torch.equal(before, torch.random.get_rng_state())


def test_batch_norms_are_not_trivial() -> None:
    module, _ = network("mobilenet_v1")
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 27
    for norm in norms:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
            assert values.std() > 0.05


def test_transformer_block_keeps_the_shape() -> None:
    module, (x,) = transformer_block()
    y = module(x)
    assert y.shape == x.shape == (1, 64, 256)
    assert 0.5 < y.std() < 5


def test_an_unknown_network_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'resnet18'"):
        network("resnet-18")


def test_resnet50_is_the_architecture() -> None:
    module, inputs = resnet50()
    assert sum(weights.numel() for weights in module.parameters()) == 25_557_032  # of torchvision's
    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 53
    assert [layer.stride for layer in convolutions].count(
        (2, 2)
    ) == 7  # the first; a 3x3 and a projection in three stages
    output = module(*inputs)
    assert output.shape == (1, 1000)
    assert 0.05 < output.std() < 50
