"""The papers' networks as torch modules with seeded weights, ResNet-50, and a transformer block.

Networks take 1x3x224x224 and give 1000 classes.

The architectures are the standard ones: AlexNet, VGG-16 and SqueezeNet 1.1 as in torchvision (whose adaptive pooling
before the classifier does nothing at 224x224 and is left out), ResNet-18 of He et al. 2016 with projections where the
shape changes, MobileNet of Howard et al. 2017. ResNet's table in `raydgp.workloads.zoo` has a projection more, rb1-sc.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from raydgp.errors import InputError, nearest


def _conv_relu(ci: int, co: int, kernel: int, stride: int = 1, padding: int = 0) -> list[nn.Module]:
    return [nn.Conv2d(ci, co, kernel, stride, padding), nn.ReLU()]


def _conv_bn(ci: int, co: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution padded to keep the size at stride 1, and its batch norm."""
    return [nn.Conv2d(ci, co, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(co)]


def _classifier(*widths: int) -> list[nn.Module]:
    """Dense layers of these widths with ReLU and dropout before each but the first's input, as in AlexNet and VGG."""
    layers: list[nn.Module] = [nn.Flatten()]
    for ci, co in pairwise(widths):
        layers += [nn.Dropout(), nn.Linear(ci, co), nn.ReLU()]
    return layers[:-1]


def _alexnet() -> nn.Module:
    return nn.Sequential(
        *_conv_relu(3, 64, 11, 4, 2),
        nn.MaxPool2d(3, 2),
        *_conv_relu(64, 192, 5, padding=2),
        nn.MaxPool2d(3, 2),
        *_conv_relu(192, 384, 3, padding=1),
        *_conv_relu(384, 256, 3, padding=1),
        *_conv_relu(256, 256, 3, padding=1),
        nn.MaxPool2d(3, 2),
        *_classifier(256 * 6 * 6, 4096, 4096, 1000),
    )


def _vgg16() -> nn.Module:
    layers: list[nn.Module] = []
    ci = 3
    for co, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += _conv_relu(ci, co, 3, padding=1)
            ci = co
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, *_classifier(512 * 7 * 7, 4096, 4096, 1000))


class _Residual(nn.Module):
    """ResNet's basic block; the shortcut is projected where the shape changes."""

    def __init__(self, ci: int, co: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_conv_bn(ci, co, 3, stride), nn.ReLU(), *_conv_bn(co, co, 3))
        self.shortcut = nn.Sequential(*(_conv_bn(ci, co, 1, stride) if ci != co else []))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def _resnet18() -> nn.Module:
    layers: list[nn.Module] = [*_conv_bn(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    for ci, co in ((64, 64), (64, 128), (128, 256), (256, 512)):
        layers += [_Residual(ci, co, co // ci), _Residual(co, co, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


class _Bottleneck(nn.Module):
    """ResNet's block of 1x1, 3x3 and 1x1 convolutions, which strides in the second one; else as `_Residual`."""

    def __init__(self, ci: int, width: int, stride: int) -> None:
        super().__init__()
        co = 4 * width
        first, second = _conv_bn(ci, width, 1), _conv_bn(width, width, 3, stride)
        self.body = nn.Sequential(*first, nn.ReLU(), *second, nn.ReLU(), *_conv_bn(width, co, 1))
        self.shortcut = nn.Sequential(*(_conv_bn(ci, co, 1, stride) if ci != co else []))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def _resnet50() -> nn.Module:
    layers: list[nn.Module] = [*_conv_bn(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    ci = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            layers.append(_Bottleneck(ci, width, 2 if block == 0 and width > 64 else 1))
            ci = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(ci, 1000))


def _mobilenet_v1() -> nn.Module:
    layers: list[nn.Module] = [*_conv_bn(3, 32, 3, 2), nn.ReLU()]
    widths = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    for ci, co in pairwise(widths):
        # The first block doubles the width at stride 1; after it, each wider block also halves the size.
        stride = 2 if co > ci > 32 else 1
        layers += [*_conv_bn(ci, ci, 3, stride, groups=ci), nn.ReLU(), *_conv_bn(ci, co, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000))


class _Fire(nn.Module):
    """SqueezeNet's block: a 1x1 squeeze, then 1x1 and 3x3 expansions side by side."""

    def __init__(self, ci: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(*_conv_relu(ci, squeezed, 1))
        self.expand1 = nn.Sequential(*_conv_relu(squeezed, expanded, 1))
        self.expand3 = nn.Sequential(*_conv_relu(squeezed, expanded, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        return torch.cat([self.expand1(x), self.expand3(x)], 1)


def _squeezenet_v1_1() -> nn.Module:
    layers: list[nn.Module] = _conv_relu(3, 64, 3, 2)
    ci = 64
    for squeezed, blocks in ((16, 2), (32, 2), (48, 2), (64, 2)):
        if squeezed != 64:
            layers.append(nn.MaxPool2d(3, 2))
        for _ in range(blocks):
            layers.append(_Fire(ci, squeezed, 4 * squeezed))
            ci = 8 * squeezed
    head = [nn.Dropout(), *_conv_relu(ci, 1000, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *head)


class _TransformerBlock(nn.Module):
    """An encoder block with layer norm before each half: attention over all positions, then an MLP with GELU."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def _attend(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        heads = self.qkv(x).reshape(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = heads.unbind(0)
        weights = torch.softmax(query @ key.transpose(-2, -1) * (width // self.heads) ** -0.5, dim=-1)
        return self.projection((weights @ value).transpose(1, 2).reshape(batch, length, width))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "alexnet": _alexnet,
    "resnet18": _resnet18,
    "vgg16": _vgg16,
    "mobilenet_v1": _mobilenet_v1,
    "squeezenet_v1_1": _squeezenet_v1_1,
}


def network(name: str, seed: int = 0) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A network in eval mode and an example input, float32[1, 3, 224, 224]; both the same for the same seed.

    Raises:
        InputError: the network is not one of `NETWORKS`.
    """
    if name not in NETWORKS:
        raise InputError(f"unknown model {name!r}{nearest(name, NETWORKS)}")
    return _seeded(NETWORKS[name], seed, (1, 3, 224, 224))


def resnet50(seed: int = 0) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """As `network`, of a network that the papers do not have: He et al. 2016, with strides as in torchvision."""
    module, inputs = _seeded(_resnet50, seed, (1, 3, 224, 224))
    for part in module.modules():
        if isinstance(part, _Bottleneck):
            last = cast(nn.BatchNorm2d, part.body[-1])
            last.weight.mul_(0.25)  # sixteen of them in a row; Goyal et al. 2017 begin at 0
    return module, inputs


def transformer_block(
    length: int = 64, width: int = 256, heads: int = 4, seed: int = 0
) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """An encoder block in eval mode and an example input, float32[1, length, width]; `heads` divides `width`."""
    return _seeded(lambda: _TransformerBlock(width, heads), seed, (1, length, width))


def _seeded(build: Callable[[], nn.Module], seed: int, shape: tuple[int, ...]) -> tuple[nn.Module, tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):  # no weights yet, so that torch's own, globally seeded initialisation draws nothing
        module = build()
    module.to_empty(device="cpu").eval().requires_grad_(False)
    for part in module.modules():
        _initialise(part, generator)
    return module, (torch.randn(shape, generator=generator),)


def _initialise(part: nn.Module, generator: torch.Generator) -> None:
    """He's weights, which keep activations in size; norms whose statistics and affine parts are far from 0 and 1."""
    if isinstance(part, nn.Conv2d | nn.Linear):
        part.weight.normal_(0, (2 / part.weight[0].numel()) ** 0.5, generator=generator)
        if part.bias is not None:
            part.bias.normal_(0, 0.1, generator=generator)
    elif isinstance(part, nn.BatchNorm2d | nn.LayerNorm):
        part.weight.uniform_(0.5, 1.5, generator=generator)
        part.bias.normal_(0, 0.1, generator=generator)
    if isinstance(part, nn.BatchNorm2d):
        assert part.running_mean is not None
        assert part.running_var is not None
        assert part.num_batches_tracked is not None
        part.running_mean.normal_(0, 0.1, generator=generator)
        part.running_var.uniform_(0.7, 1.7, generator=generator)  # on average a norm keeps its input's size
        part.num_batches_tracked.zero_()
