"""The papers' networks as ordered tables of layer tasks with their multiplicities, batch 1.

AlexNet, ResNet-18, VGG-16 and MobileNet-v1 are tables 2 to 5 of the appendix of the deep-GP paper (ICCV 2021), in
their order, with the misprints mended: ResNet's rb1-sc has no padding and rb2-sc to rb4-sc have stride 2 and no
padding; AlexNet's conv5 has a 3x3 kernel; MobileNet's sp-13-dp1 and sp-7-conv2 have stride 1.
"""

from __future__ import annotations

from raydgp.errors import InputError, nearest
from raydgp.workloads.ops import Conv2d, DepthwiseConv2d
from raydgp.workloads.task import Task


def _conv(name: str, ci: int, size: int, co: int, kernel: int, stride: int, padding: int, count: int = 1) -> Task:
    workload = Conv2d(
        n=1, ci=ci, h=size, w=size, co=co, kh=kernel, kw=kernel, stride=(stride, stride), padding=(padding, padding)
    )
    return Task(name, workload, count)


def _depthwise(name: str, ci: int, size: int, stride: int, count: int = 1) -> Task:
    workload = DepthwiseConv2d(n=1, ci=ci, h=size, w=size, kh=3, kw=3, stride=(stride, stride), padding=(1, 1))
    return Task(name, workload, count)


def _alexnet() -> list[Task]:
    return [
        _conv("conv5", 256, 13, 256, 3, 1, 1),
        _conv("conv4", 384, 13, 256, 3, 1, 1),
        _conv("conv3", 192, 13, 384, 3, 1, 1),
        _conv("conv2", 64, 27, 192, 5, 1, 2),
        _conv("conv1", 3, 224, 64, 11, 4, 2),
    ]


def _resnet18() -> list[Task]:
    return [
        _conv("rb4-conv2", 512, 7, 512, 3, 1, 1, count=3),
        _conv("rb4-conv1", 256, 14, 512, 3, 2, 1),
        _conv("rb3-conv2", 256, 14, 256, 3, 1, 1, count=3),
        _conv("rb3-conv1", 128, 28, 256, 3, 2, 1),
        _conv("rb2-conv2", 128, 28, 128, 3, 1, 1, count=3),
        _conv("rb2-conv1", 64, 56, 128, 3, 2, 1),
        _conv("rb1-conv1", 64, 56, 64, 3, 1, 1, count=4),
        _conv("conv0", 3, 224, 64, 7, 2, 3),
        _conv("rb1-sc", 64, 56, 64, 1, 1, 0),
        _conv("rb2-sc", 64, 56, 128, 1, 2, 0),
        _conv("rb3-sc", 128, 28, 256, 1, 2, 0),
        _conv("rb4-sc", 256, 14, 512, 1, 2, 0),
    ]


def _vgg16() -> list[Task]:
    return [
        _conv("conv4-3", 512, 14, 512, 3, 1, 1, count=3),
        _conv("conv4-2", 512, 28, 512, 3, 1, 1, count=2),
        _conv("conv4-1", 256, 28, 512, 3, 1, 1),
        _conv("conv3-2", 256, 56, 256, 3, 1, 1, count=2),
        _conv("conv3-1", 128, 56, 256, 3, 1, 1),
        _conv("conv2-2", 128, 112, 128, 3, 1, 1),
        _conv("conv2-1", 64, 112, 128, 3, 1, 1),
        _conv("conv1-2", 64, 224, 64, 3, 1, 1),
        _conv("conv1-1", 3, 224, 64, 3, 1, 1),
    ]


def _mobilenet_v1() -> list[Task]:
    return [
        _conv("sp-13-conv2", 1024, 7, 1024, 1, 1, 0),
        _depthwise("sp-13-dp1", 1024, 7, 1),
        _conv("sp-12-conv2", 512, 7, 1024, 1, 1, 0),
        _depthwise("sp-12-dp1", 512, 14, 2),
        _conv("sp-7-conv2", 512, 14, 512, 1, 1, 0, count=5),
        _depthwise("sp-7-dp1", 512, 14, 1, count=5),
        _conv("sp-6-conv2", 256, 14, 512, 1, 1, 0),
        _depthwise("sp-6-dp1", 256, 28, 2),
        _conv("sp-5-conv2", 256, 28, 256, 1, 1, 0),
        _depthwise("sp-5-dp1", 256, 28, 1),
        _conv("sp-4-conv2", 128, 28, 256, 1, 1, 0),
        _depthwise("sp-4-dp1", 128, 56, 2),
        _conv("sp-3-conv2", 128, 56, 128, 1, 1, 0),
        _depthwise("sp-3-dp1", 128, 56, 1),
        _conv("sp-2-conv2", 64, 56, 128, 1, 1, 0),
        _depthwise("sp-2-dp1", 64, 112, 2),
        _conv("sp-1-conv1", 32, 112, 64, 1, 1, 0),
        _depthwise("sp-1-dp1", 32, 112, 1),
        _conv("conv1", 3, 224, 32, 3, 2, 1),
    ]


def _squeezenet_v1_1() -> list[Task]:
    # Iandola et al. 2016, v1.1 as in its authors' release: pooling before fire2, fire4 and fire6, 224x224 input.
    return [
        _conv("conv1", 3, 224, 64, 3, 2, 0),
        _conv("fire2-squeeze", 64, 55, 16, 1, 1, 0),
        _conv("fire2-expand1x1", 16, 55, 64, 1, 1, 0, count=2),
        _conv("fire2-expand3x3", 16, 55, 64, 3, 1, 1, count=2),
        _conv("fire3-squeeze", 128, 55, 16, 1, 1, 0),
        _conv("fire4-squeeze", 128, 27, 32, 1, 1, 0),
        _conv("fire4-expand1x1", 32, 27, 128, 1, 1, 0, count=2),
        _conv("fire4-expand3x3", 32, 27, 128, 3, 1, 1, count=2),
        _conv("fire5-squeeze", 256, 27, 32, 1, 1, 0),
        _conv("fire6-squeeze", 256, 13, 48, 1, 1, 0),
        _conv("fire6-expand1x1", 48, 13, 192, 1, 1, 0, count=2),
        _conv("fire6-expand3x3", 48, 13, 192, 3, 1, 1, count=2),
        _conv("fire7-squeeze", 384, 13, 48, 1, 1, 0),
        _conv("fire8-squeeze", 384, 13, 64, 1, 1, 0),
        _conv("fire8-expand1x1", 64, 13, 256, 1, 1, 0, count=2),
        _conv("fire8-expand3x3", 64, 13, 256, 3, 1, 1, count=2),
        _conv("fire9-squeeze", 512, 13, 64, 1, 1, 0),
        _conv("conv10", 512, 13, 1000, 1, 1, 0),
    ]


NETWORKS = {
    "alexnet": _alexnet,
    "resnet18": _resnet18,
    "vgg16": _vgg16,
    "mobilenet_v1": _mobilenet_v1,
    "squeezenet_v1_1": _squeezenet_v1_1,
}


def tasks(network: str) -> list[Task]:
    """The layer tasks of a network, in the order of its table.

    Raises:
        InputError: the network is not one of `NETWORKS`.
    """
    if network not in NETWORKS:
        raise InputError(f"unknown model {network!r}{nearest(network, NETWORKS)}")
    return NETWORKS[network]()
