from typing import Any

import pytest

from raydgp.errors import InputError
from raydgp.templates.spaces import config_space
from raydgp.workloads import Conv2d, DepthwiseConv2d, zoo

# Tables 2 to 5 of the deep-GP paper's appendix: name, "# of Space", the group within the table, and the layer as
# printed: input, kernel, stride and padding. Misprints are mended in `MENDED` (facts of the papers, section 5).
TABLES = {
    "alexnet": """
conv5        570240     1  256x13x13    256x256x13x13 1 1
conv4        1013760    1  384x13x13    256x384x3x3   1 1
conv3        2580480    1  192x13x13    384x192x3x3   1 1
conv2        22579200   2  64x27x27     192x64x5x5    1 2
conv1        1032192    3  3x224x224    64x3x11x11    4 2""",
    "resnet18": """
rb4-conv2    844800     1  512x7x7      512x512x3x3   1 1
rb4-conv1    760320     2  256x14x14    512x256x3x3   2 1
rb3-conv2    9123840    1  256x14x14    256x256x3x3   1 1
rb3-conv1    8110080    2  128x28x28    256x128x3x3   2 1
rb2-conv2    36864000   1  128x28x28    128x128x3x3   1 1
rb2-conv1    32256000   2  64x56x56     128x64x3x3    2 1
rb1-conv1    90316800   1  64x56x56     64x64x3x3     1 1
conv0        79027200   3  3x224x224    64x3x7x7      2 3
rb1-sc       22579200   4  64x56x56     64x64x1x1     1 1
rb2-sc       8064000    4  64x56x56     128x64x1x1    1 1
rb3-sc       2027520    4  128x28x28    256x128x1x1   1 1
rb4-sc       190080     4  256x14x14    512x256x1x1   1 1""",
    "vgg16": """
conv4-3      13516800   1  512x14x14    512x512x3x3   1 1
conv4-2      8448000    1  512x28x28    512x512x3x3   1 1
conv4-1      76032000   1  256x28x28    512x256x3x3   1 1
conv3-2      228096000  1  256x56x56    256x256x3x3   1 1
conv3-1      202752000  1  128x56x56    256x128x3x3   1 1
conv2-2      451584000  1  128x112x112  128x128x3x3   1 1
conv2-1      395136000  1  64x112x112   128x64x3x3    1 1
conv1-2      708083712  1  64x224x224   64x64x3x3     1 1
conv1-1      202309632  1  3x224x224    64x3x3x3      1 1""",
    "mobilenet_v1": """
sp-13-conv2  302016     1  1024x7x7     1024x1024x1x1 1 0
sp-13-dp1    27456      2  1024x7x7     1024x1x3x3    2 1
sp-12-conv2  274560     1  512x7x7      1024x512x1x1  1 0
sp-12-dp1    21120      2  512x14x14    512x1x3x3     2 1
sp-7-conv2   3379200    1  512x14x14    512x512x1x1   4 0
sp-7-dp1     337920     3  512x14x14    512x1x3x3     1 1
sp-6-conv2   3041280    1  256x14x14    512x256x1x1   1 0
sp-6-dp1     253440     2  256x28x28    256x1x3x3     2 1
sp-5-conv2   14256000   1  256x28x28    256x256x1x1   1 0
sp-5-dp1     1584000    3  256x28x28    256x1x3x3     1 1
sp-4-conv2   12672000   1  128x28x28    256x128x1x1   1 0
sp-4-dp1     1152000    2  128x56x56    128x1x3x3     2 1
sp-3-conv2   36864000   1  128x56x56    128x128x1x1   1 0
sp-3-dp1     4608000    3  128x56x56    128x1x3x3     1 1
sp-2-conv2   32256000   1  64x56x56     128x64x1x1    1 0
sp-2-dp1     3225600    2  64x112x112   64x1x3x3      2 1
sp-1-conv1   59270400   1  32x112x112   64x32x1x1     1 0
sp-1-dp1     6585600    3  32x112x112   32x1x3x3      1 1
conv1        52684800   4  3x224x224    32x3x3x3      2 1""",
}
MENDED: dict[tuple[str, str], dict[str, Any]] = {
    ("alexnet", "conv5"): {"kernel": "3x3"},
    ("resnet18", "rb1-sc"): {"padding": 0},
    ("resnet18", "rb2-sc"): {"stride": 2, "padding": 0},
    ("resnet18", "rb3-sc"): {"stride": 2, "padding": 0},
    ("resnet18", "rb4-sc"): {"stride": 2, "padding": 0},
    ("vgg16", "conv4-2"): {"size": 84_480_000},
    ("mobilenet_v1", "sp-13-dp1"): {"stride": 1},
    ("mobilenet_v1", "sp-7-conv2"): {"stride": 1},
}
ROWS = [
    (network, number, *line.split()) for network, t in TABLES.items() for number, line in enumerate(t.split("\n")[1:])
]


@pytest.mark.parametrize(("network", "number", "name", "size", "group", "data", "weight", "stride", "padding"), ROWS)
def test_every_row_of_the_papers_tables(
    network: str, number: int, name: str, size: str, group: str, data: str, weight: str, stride: str, padding: str
) -> None:
    mended = MENDED.get((network, name), {})
    task = zoo.tasks(network)[number]
    workload = task.workload
    assert task.name == name
    assert config_space(workload, "cuda").size == mended.get("size", int(size))
    ci, h, w = map(int, data.split("x"))
    co, per_group, kh, kw = map(int, weight.split("x"))
    if "kernel" in mended:
        kh, kw = 3, 3
    both: dict[str, Any] = {"stride": int(stride), "padding": int(padding)} | mended
    expected: Conv2d | DepthwiseConv2d
    common: dict[str, Any] = {"n": 1, "ci": ci, "h": h, "w": w, "kh": kh, "kw": kw}
    pairs: dict[str, Any] = {key: (both[key], both[key]) for key in ("stride", "padding")}
    if per_group == 1:
        assert co == ci
        expected = DepthwiseConv2d(**common, **pairs)
    else:
        assert per_group == ci
        expected = Conv2d(**common, **pairs, co=co)
    assert workload == expected


@pytest.mark.parametrize("network", TABLES)
def test_groups_are_those_of_the_tables(network: str) -> None:
    """Two rows share a group with us exactly when they do in print, but for the rows whose stride is misprinted."""
    printed = {
        name: group for n, _, name, _, group, *_ in ROWS if n == network and (n, name) != ("mobilenet_v1", "sp-13-dp1")
    }
    ours = {name: workload.group for name, workload, _ in zoo.tasks(network) if name in printed}
    for a in printed:
        for b in printed:
            assert (printed[a] == printed[b]) == (ours[a] == ours[b]), (a, b)


@pytest.mark.parametrize(
    ("network", "layers", "depthwise"),
    [
        ("alexnet", 5, 0),
        ("resnet18", 21, 0),  # 17 convolutions and 4 shortcuts: the papers' ResNet has one in its first block too
        ("vgg16", 13, 0),
        ("mobilenet_v1", 27, 13),
        ("squeezenet_v1_1", 26, 0),
    ],
)
def test_multiplicities_sum_to_the_real_layer_counts(network: str, layers: int, depthwise: int) -> None:
    tasks = zoo.tasks(network)
    assert sum(task.count for task in tasks) == layers
    assert sum(task.count for task in tasks if isinstance(task.workload, DepthwiseConv2d)) == depthwise
    assert len({task.name for task in tasks}) == len({task.workload for task in tasks}) == len(tasks)


@pytest.mark.parametrize(
    ("network", "gflops"),
    [("alexnet", 1.31), ("vgg16", 30.69), ("mobilenet_v1", 1.14), ("squeezenet_v1_1", 0.70)],
)
def test_operations_of_the_convolutions_are_those_of_the_published_networks(network: str, gflops: float) -> None:
    """Two times the multiply-adds that torchvision and the papers give, without the fully connected layers."""
    total = sum(task.count * task.workload.flops for task in zoo.tasks(network))
    assert total / 1e9 == pytest.approx(gflops, rel=0.01)


def test_tasks_unpack_and_are_ordered() -> None:
    names = [name for name, _, _ in zoo.tasks("resnet18")]
    assert names[0] == "rb4-conv2"
    assert names[-1] == "rb4-sc"


def test_an_unknown_network_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="known are alexnet, resnet18, vgg16, mobilenet_v1, squeezenet_v1_1"):
        zoo.tasks("bert")
