"""Models from every source: the numbers of their own framework, one digest, and clear refusals."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import tvm
from onnx import TensorProto, helper
from torch import Tensor, nn
from tvm import relax

from raydgp.errors import InputError
from raydgp.models import beside
from raydgp.models.importing import Imported, load, torch_models
from tests.support.processes import environment, python

ENTRY = '''
import torch
from torch import nn

class Small(nn.Module):
    """What the papers' networks are made of: norms, a residual, depthwise, a concatenation, pooling, dropout."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8))
        self.side = nn.Conv2d(8, 4, 1)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.head = nn.Sequential(nn.Dropout(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5))

    def forward(self, x):
        x = self.stem(x)
        y = torch.relu(self.depthwise(x) + x)
        return self.head(self.pool(torch.cat([y, self.side(x)], 1)))

def small():
    generator = torch.Generator().manual_seed(0)
    model = Small().requires_grad_(False)
    for name, values in model.state_dict().items():
        if values.is_floating_point():
            values.uniform_(0.5, 1.5, generator=generator) if "var" in name else values.normal_(generator=generator)
    return model, (torch.randn(1, 3, 18, 18, generator=generator),)

class Two(nn.Module):
    def forward(self, tokens, scale):
        return {"sum": tokens.float() + scale, "product": (tokens * scale, scale)}

def two():
    return Two(), (torch.arange(6).reshape(2, 3), torch.ones(2, 1) / 2)

class Bessel(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)

def unsupported():
    return Bessel(), (torch.ones(3),)

class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x

def branching():
    return Branching(), (torch.ones(3),)

def number():
    return 5

def bare_input():
    return nn.ReLU(), torch.ones(3)

def fails():
    raise KeyError("no weights here")
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small network as a module, a `.pt2` and a `.onnx` file."""
    path = tmp_path_factory.mktemp("models")
    (path / "user_models.py").write_text(ENTRY)
    module, inputs = entry(path, "small")
    torch.export.save(torch.export.export(module, inputs), path / "small.pt2")
    torch.onnx.export(module, inputs, str(path / "small.onnx"), dynamo=False)
    return path


def entry(folder: Path, function: str) -> Any:
    names: dict[str, Any] = {"__name__": "user_models_direct"}
    exec((folder / "user_models.py").read_text(), names)
    module, inputs = names[function]()
    return module.eval(), inputs


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delitem(sys.modules, "user_models", raising=False)


def outputs(model: Imported) -> list[np.ndarray]:
    machine = relax.VirtualMachine(tvm.compile(model.module, target="llvm"), tvm.cpu())
    result = machine["main"](*map(tvm.runtime.tensor, model.inputs))
    return [result.numpy()] if isinstance(result, tvm.runtime.Tensor) else [part.numpy() for part in flat(result)]


def flat(result: Any) -> list[Any]:
    return [result] if isinstance(result, tvm.runtime.Tensor) else [leaf for part in result for leaf in flat(part)]


def assert_same_numbers(model: Imported) -> None:
    actual = outputs(model)
    assert len(actual) == len(model.expected)
    for ours, theirs in zip(actual, model.expected, strict=True):
        assert np.abs(theirs).max() > 0
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("source", ["small.pt2", "small.onnx", "user_models:small", "user_models:two"])
def test_numbers_are_the_framework_s(source: str) -> None:
    model = load(source)
    assert model.name == ("two" if source.endswith("two") else "small")
    assert "batch_norm" not in model.module.script()
    assert_same_numbers(model)


def test_an_entry_and_its_export_are_the_same_model() -> None:
    ours, file = load("user_models:small"), load("small.pt2")
    assert ours.digest == file.digest
    np.testing.assert_array_equal(ours.inputs[0], file.inputs[0])
    np.testing.assert_allclose(ours.expected[0], file.expected[0], rtol=1e-5)


def test_transformer_block() -> None:
    model = load("transformer_block")
    assert "layer_norm" in model.module.script()  # one kernel, not a chain of small ones
    assert_same_numbers(model)


def test_a_network_of_the_papers(monkeypatch: pytest.MonkeyPatch) -> None:
    def small() -> tuple[nn.Module, tuple[Tensor, ...]]:
        module, (x,) = torch_models.network("squeezenet_v1_1")
        return module, (x[:, :, :64, :64],)

    monkeypatch.setitem(torch_models.MODELS, "squeezenet_v1_1", small)
    assert_same_numbers(load("squeezenet_v1_1"))


def test_digest_is_the_same_in_another_process_and_tells_weights_apart(folder: Path) -> None:
    script = "from raydgp.models.importing import load; print(load('small.onnx').digest, load('small.pt2').digest)"
    done = python("-c", script, env=environment(PYTHONHASHSEED="7"))
    digests = [load("small.onnx").digest, load("small.pt2").digest]
    assert done.stdout.split() == digests
    assert all(len(digest) == 16 and int(digest, 16) for digest in digests)
    module, inputs = entry(folder, "small")
    module.side.bias[2] += 1e-6
    torch.export.save(torch.export.export(module, inputs), "other.pt2")
    assert load("other.pt2").digest != digests[1]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("resnet-18", "unknown model 'resnet-18'.*did you mean 'resnet18'"),
        ("model.pth", r"unknown model 'model.pth': give a \.pt2 or \.onnx file"),
        ("absent.pt2", "absent.pt2: no such file"),
        ("absent.onnx", "absent.onnx: no such file"),
        ("absent_module:small", "cannot import 'absent_module'"),
        ("user_models:smal", "did you mean 'small'"),
        ("user_models:number", "must return an nn.Module and a tuple"),
        ("user_models:bare_input", "must be a tuple of tensors, not Tensor"),
        ("user_models:fails", "the function failed: KeyError: 'no weights here'"),
        ("user_models:unsupported", "TVM lacks .*bessel_j0"),
        ("user_models:branching", "torch.export cannot capture the model"),
        (":", "cannot import ''"),
    ],
)
def test_bad_sources_are_refused_in_one_line(source: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        load(source)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["broken.pt2", "broken.onnx"])
@pytest.mark.parametrize("kept", [0, 100, -200])
def test_broken_files_are_refused(name: str, kept: int) -> None:
    Path(name).write_bytes(Path(name.replace("broken", "small")).read_bytes()[:kept])
    with pytest.raises(InputError, match=f"^{name}: broken"):
        load(name)


def onnx_file(path: str, *nodes: onnx.NodeProto, shape: list[Any]) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    model = helper.make_model(helper.make_graph(nodes, "graph", ends[:1], ends[1:]), ir_version=8)
    onnx.save(model, path)


def test_an_onnx_operator_that_tvm_lacks_runs_beside_it() -> None:
    onnx_file("odd.onnx", helper.make_node("Det", ["x"], ["y"]), shape=[3, 3])
    model = load("odd.onnx")
    assert "onnxruntime runs one operator (Det) in one part beside TVM" in model.notes[0]
    beside.register(model.beside)
    assert_same_numbers(model)


def test_dynamic_dimensions_are_refused_with_the_remedy(folder: Path) -> None:
    onnx_file("dynamic.onnx", helper.make_node("Relu", ["x"], ["y"]), shape=["batch", "length"])
    with pytest.raises(InputError, match=r"\(batch at position 0, length at position 1\): fix them with --input x=1x1"):
        load("dynamic.onnx")
    assert load("dynamic.onnx", {"x": (2, 3)}).inputs[0].shape == (2, 3)
    module = nn.ReLU()
    dynamic = {"input": {0: torch.export.Dim("batch")}}
    torch.export.save(torch.export.export(module, (torch.ones(2, 3),), dynamic_shapes=dynamic), "dynamic.pt2")
    with pytest.raises(InputError, match=r"dynamic\.pt2: .*dynamic dimensions: export it with fixed shapes"):
        load("dynamic.pt2")


def test_an_open_batch_is_one_and_said() -> None:
    onnx_file("batch.onnx", helper.make_node("Relu", ["x"], ["y"]), shape=["batch", 3])
    model = load("batch.onnx")
    assert model.inputs[0].shape == (1, 3)
    assert model.notes == ("input x is float 1x3: batch 1; another is --input x=Nx3",)


def test_shapes_that_do_not_fit_are_refused() -> None:
    onnx_file("fixed.onnx", helper.make_node("Relu", ["x"], ["y"]), shape=["batch", 3])
    with pytest.raises(InputError, match="input 'x' is float batchx3, not 1x4"):
        load("fixed.onnx", {"x": (1, 4)})
    with pytest.raises(InputError, match="has no input 'z'; known are x"):
        load("fixed.onnx", {"z": (1, 4)})


def test_a_program_in_training_mode_is_refused() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    torch.export.save(torch.export.export(module, (torch.ones(2, 3, 4, 4),)), "training.pt2")
    with pytest.raises(InputError, match=r"call model\.eval\(\)"):
        load("training.pt2")
