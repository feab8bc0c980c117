"""Blocked models: which calls make a layer, what stays blocked, and that the numbers stay torch's."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import tvm
from torch import nn
from tvm import relax

from raydgp.errors import InputError
from raydgp.models.importing.torch_source import from_torch
from raydgp.models.packing import pack
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm
from raydgp.templates.spaces import config_space
from raydgp.workloads import Conv2d, Dense, DepthwiseConv2d, Fused
from tests.support.networks import Everything, imported


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Everything().eval(), (torch.randn(2, 3, 32, 24),)


def outputs(packed, inputs):
    target = to_tvm(Target.here("llvm"))
    with target:
        module = relax.get_pipeline("zero")(packed.module)
    main = relax.VirtualMachine(tvm.compile(module, target=target), tvm.cpu())["main"]
    out = main(*(tvm.runtime.tensor(np.asarray(a)) for a in [*inputs, *packed.parameters]))
    return [out.numpy()] if isinstance(out, tvm.runtime.Tensor) else [array.numpy() for array in out]


def drawn(workload):
    space = config_space(workload, "llvm")
    return workload, space.decode(int(space.sample_valid(1, np.random.default_rng(3))[0]))


def by_winograd(workload):
    try:
        return drawn(replace(workload, algorithm="winograd"))
    except InputError:
        return drawn(workload)


@pytest.mark.parametrize("choose", [None, drawn, by_winograd], ids=["default", "drawn", "winograd"])
def test_the_numbers_are_torchs(model, choose):
    module, inputs = model
    packed = pack(imported(*model), Target.named("llvm"), choose)
    assert any(layer.algorithm == "winograd" for layer in packed.layers.values()) == (choose is by_winograd)
    with torch.no_grad():
        expected = [array.numpy() for array in module(*inputs)]
    for actual, wanted in zip(outputs(packed, inputs), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_layers_take_what_follows_them(model):
    layers = list(pack(imported(*model), Target.named("llvm")).layers.values())
    by_steps = {(layer.anchor.op, layer.epilogue) for layer in layers}
    assert ("conv2d", ("bias", "relu")) in by_steps
    assert ("conv2d", ("add", "relu")) in by_steps or ("conv2d", ("bias", "add", "relu")) in by_steps
    assert ("depthwise_conv2d", ("bias", "relu6")) in by_steps
    assert ("dense", ("bias", "relu")) in by_steps
    assert ("dense", ("bias", "add")) in by_steps
    assert sum(isinstance(layer.anchor, Conv2d) for layer in layers) == 7  # the grouped one has no template
    assert sum(isinstance(layer.anchor, DepthwiseConv2d) for layer in layers) == 1
    assert sum(isinstance(layer.anchor, Dense) for layer in layers) == 2


def test_activations_stay_blocked_between_layers():
    chain = nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.Conv2d(64, 32, 1)
    )
    packed = pack(imported(chain.eval(), (torch.zeros(1, 3, 16, 16),)), Target.named("llvm"))
    first, *rest = packed.layers.values()
    assert first.block_in == 1  # the first layer reads the image as it is
    assert all(layer.block_in == 32 == layer.block_out for layer in rest)
    assert packed.module["main"].script().count("permute_dims") == 1  # at the very end


@pytest.mark.parametrize("channels", [20, 184])
def test_channels_that_fill_no_blocks_are_stored_with_zeros_and_stay_blocked(channels):
    chain = nn.Sequential(
        nn.Conv2d(3, channels, 3),
        nn.Sigmoid(),  # not 0 where there is no channel
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
        nn.ReLU(),
        nn.Conv2d(channels, 16, 3, padding=1),
    )
    x = torch.randn(1, 3, 12, 11)
    packed = pack(imported(chain.eval(), (x,)), Target.named("llvm"))
    _, depthwise, last = packed.layers.values()
    assert depthwise.block_in == depthwise.block_out == last.block_in > 1
    assert packed.module["main"].script().count("permute_dims") == 1  # at the very end
    with torch.no_grad():
        wanted = chain(x).numpy()
    (actual,) = outputs(packed, [x.numpy()])
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_what_is_no_number_beside_the_channels_is_not_read():
    class Ratio(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(3, 20, 1, bias=False), nn.Conv2d(20, 8, 1)

        def forward(self, x):
            y = self.first(x)
            return self.last(torch.relu(y) / y)

    module, x = Ratio().eval(), torch.rand(1, 3, 4, 4) + 1
    packed = pack(imported(module, (x,)), Target.named("llvm"))
    with torch.no_grad():
        wanted = module(x).numpy()
    (actual,) = outputs(packed, [x.numpy()])
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


class Tails(nn.Module):
    """Activations of many kinds after layers, written as modules and as arithmetic."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 20, 3), *(nn.Conv2d(20, 20, 1) for _ in range(7))])
        self.slopes, self.dense = nn.PReLU(20), nn.Linear(20, 24)
        nn.init.uniform_(self.slopes.weight, -1, 1)

    def forward(self, x):
        silu, hardswish, leaky, prelu, product, clipped, hard, twice = self.layers
        x = nn.functional.hardswish(hardswish(nn.functional.silu(silu(x))))
        x = self.slopes(prelu(nn.functional.leaky_relu(leaky(x), 0.1)))
        y = product(x)
        x = nn.functional.hardsigmoid(hard(torch.clamp(clipped(y * torch.sigmoid(y)), -0.5, 1.5)))
        z = twice(x)
        x = torch.tanh(z) + z  # of which the layer's own output is read twice, and not as a product
        return nn.functional.gelu(self.dense(x.mean((2, 3))))


def test_activations_are_part_of_their_layers():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module, x = Tails().eval(), torch.randn(1, 3, 9, 8)
    packed = pack(imported(module, (x,)), Target.named("llvm"))
    epilogues = {layer.epilogue for layer in packed.layers.values()}
    assert epilogues >= {
        ("bias", "gated sigmoid"),
        ("bias", "leaky_relu:0.1"),
        ("bias", "prelu"),
        ("bias", "clip:-0.5:1.5"),
        ("bias", "gelu"),
        ("bias",),
    }
    hardswish = ("gated plus:3.0 clip:0.0:inf clip:-inf:6.0", f"times:{1 / 6!r}")
    assert ("bias", *hardswish) in epilogues
    assert ("bias", "plus:3.0", "clip:0.0:inf", "clip:-inf:6.0", f"times:{1 / 6!r}") in epilogues
    with torch.no_grad():
        wanted = module(x).numpy()
    (actual,) = outputs(packed, [x.numpy()])
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_a_gate_for_each_channel_meets_blocked_arrays():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.gate, self.last = nn.Conv2d(3, 40, 3), nn.Conv2d(40, 40, 1), nn.Conv2d(40, 8, 1)

        def forward(self, x):
            y = torch.relu(self.first(x))
            return self.last(y * torch.sigmoid(self.gate(y.mean((2, 3), keepdim=True))))

    module, x = Gated().eval(), torch.randn(1, 3, 9, 8)
    packed = pack(imported(module, (x,)), Target.named("llvm"))
    assert packed.module["main"].script().count("permute_dims") == 1  # at the very end
    with torch.no_grad():
        wanted = module(x).numpy()
    (actual,) = outputs(packed, [x.numpy()])
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


class Raised(nn.Module):
    """What decoders do between layers: transposed convolutions, resizing, uneven padding, joining of unlike blocks."""

    def __init__(self):
        super().__init__()
        self.first, self.deep = nn.Conv2d(3, 48, 3, 1, 1), nn.Conv2d(48, 64, 3, 2, 1)
        self.up, self.side = nn.ConvTranspose2d(64, 16, 4, 2, 1), nn.Conv2d(64, 32, 1)
        self.norm, self.last = nn.BatchNorm2d(16, eps=0.1), nn.Conv2d(96, 16, 3)
        self.norm.running_mean = torch.rand(16)

    def forward(self, x):
        x = torch.relu(self.first(x))
        y = torch.relu(self.deep(x))
        up = torch.relu(self.norm(self.up(y)))
        side = nn.functional.interpolate(self.side(y), scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.last(nn.functional.pad(torch.cat([up, side, x], 1), (0, 1, 1, 0)))


def test_what_decoders_do_stays_blocked():
    module, x = Raised().eval(), torch.randn(1, 3, 10, 12)
    packed = pack(from_torch("raised", module, (x,), False).module, Target.named("llvm"))
    text = packed.module["main"].script()
    assert "conv2d_transpose" not in text
    assert text.count("axes=[0, 1, 4, 2, 3]") == 1  # at the very end
    assert text.count("axes=[0, 1, 3, 4, 2]") == 0
    with torch.no_grad():
        wanted = module(x).numpy()
    (actual,) = outputs(packed, [x.numpy()])
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_a_weight_that_layers_share_is_stored_once():
    layer = nn.Conv2d(16, 16, 1)
    packed = pack(
        imported(nn.Sequential(layer, nn.ReLU(), layer).eval(), (torch.zeros(1, 16, 4, 4),)), Target.named("llvm")
    )
    assert len(packed.parameters) == len(packed.module["main"].params) - 1 == 2


def test_equal_layers_are_one_function():
    twice = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU())
    packed = pack(imported(twice.eval(), (torch.zeros(1, 32, 8, 8),)), Target.named("llvm"))
    assert packed.module["main"].script().count("call_tir(conv3x3_32_32_8,") == 2
    assert packed.layers == {
        "conv3x3_32_32_8": Fused(
            anchor=Conv2d(n=1, ci=32, h=8, w=8, co=32, kh=3, kw=3, padding=(1, 1)),
            epilogue=("bias", "relu"),
            block_in=32,
            block_out=32,
        )
    }


def test_control_flow_is_refused():
    x = relax.Var("x", relax.TensorType((2, 2), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            first = builder.emit_output(relax.op.add(x, x))
        second = builder.emit(relax.op.print(first, format="{}"))
        with builder.dataflow():
            out = builder.emit_output(relax.op.add(first, x))
        builder.emit_func_output(out)
    assert second is not None
    with pytest.raises(InputError, match="control flow"):
        pack(builder.finalize(), Target.named("llvm"))
