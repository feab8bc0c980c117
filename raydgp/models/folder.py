"""A deployed model: a folder that runs with TVM alone."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray

from raydgp.build.compile import link
from raydgp.errors import MALFORMED, InputError, first_line
from raydgp.models import beside
from raydgp.models.lowering import Lowered
from raydgp.models.machine import Machine, Step, arrays, device_of
from raydgp.records.manifest import write_atomically
from raydgp.targets import Target, kind_named

Array = NDArray[Any]

LIBRARY, PARAMETERS, SAMPLE, MANIFEST, EXAMPLE = (
    "model.so",
    "parameters.npz",
    "sample.npz",
    "manifest.json",
    "example.py",
)
_EXAMPLE = '''"""{purpose}"""
import os
from pathlib import Path

os.environ.setdefault("TVM_NUM_THREADS", "{threads}")  # TVM takes half of the processors by itself
import numpy as np
import tvm
from tvm import relax

device = tvm.device("{device}")
{load}
parameters, sample = np.load(here / "{parameters}"), np.load(here / "{sample}")
inputs = [sample[name] for name in sample.files if name.startswith("input")]
arrays = [*inputs, *(parameters[name] for name in parameters.files[:{count}])]
out = model["main"](*[tvm.runtime.tensor(a, device) for a in arrays])
out = [out] if isinstance(out, tvm.runtime.Tensor) else list(out)
for k, array in enumerate(out):
    ours, theirs = (a.astype("float64") for a in (array.numpy(), sample[f"output{{k}}"]))
    print(array.shape, "largest error:", np.abs(ours - theirs).max(initial=0))
'''
_BESIDE = """import json
import onnxruntime


def beside(path):
    session = onnxruntime.InferenceSession(str(path))
    names = [value.name for value in session.get_inputs()]

    def run(*arguments):
        feeds = {name: argument.numpy() for name, argument in zip(names, arguments)}
        outputs = [tvm.runtime.tensor(array, device) for array in session.run(None, feeds)]
        return outputs[0] if len(outputs) == 1 else outputs

    return run


for name, file in json.loads((Path(__file__).parent / "manifest.json").read_bytes())["beside"].items():
    tvm.register_global_func(name, beside(Path(__file__).parent / file))"""
_LOAD = """here = Path(__file__).parent
model = relax.VirtualMachine(tvm.runtime.load_module(str(here / "{library}")), device)"""


def write_example(path: Path, purpose: str, load: str, kind: str, threads: int, count: int) -> None:
    """Writes a script into a deployed model's folder that runs the model with TVM alone and prints how wrong it is.

    Args:
        purpose: one line.
        load: code that makes `here`, the folder, and `model`, a virtual machine on `device`; it has `tvm` and `relax`.
        kind: name of the kind of target.
        threads: of the host.
        count: of the parameters that `main` takes, the first ones.
    """
    files = {"parameters": PARAMETERS, "sample": SAMPLE, "device": kind_named(kind).tvm_device}
    write_atomically(path, _EXAMPLE.format(purpose=purpose, load=load, threads=threads, count=count, **files))


def write(
    folder: Path,
    executable: Any,
    lowered: Lowered,
    samples: Sequence[tuple[Sequence[Array], Sequence[Array]]],
    manifest: dict[str, Any],
    others: Mapping[str, bytes] | None = None,
) -> None:
    """Writes the library, its parameters, a sample with the right answer, the manifest and an example.

    Args:
        lowered: what was compiled.
        samples: inputs and the right outputs, for each of its sizes; the manifest is told the entries of several.
        others: ONNX models that the library calls, by the names of their functions; the manifest is told their files.
        manifest: JSON-able; its `target`, `versions` and `threads` go into the example.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if others:
        manifest["beside"] = {name: f"{name}.onnx" for name in others}
    for name, model in (others or {}).items():
        (folder / f"{name}.onnx").write_bytes(model)
    executable.export_library(str(folder / LIBRARY), fcompile=link)
    np.savez(folder / PARAMETERS, **{f"p{k}": array for k, array in enumerate(lowered.parameters)})  # type: ignore[arg-type]
    sample: dict[str, Array] = {}
    for size, (inputs, expected) in enumerate(samples):
        sample |= {f"{_at(size)}input{k}": a for k, a in enumerate(inputs)}
        sample |= {f"{_at(size)}output{k}": a for k, a in enumerate(expected)}
    np.savez(folder / SAMPLE, **sample)  # type: ignore[arg-type]
    if lowered.entries:
        manifest["entries"] = [asdict(entry) for entry in lowered.entries]
    requirements = f"apache-tvm=={manifest['versions']['tvm']} apache-tvm-ffi==0.1.14.post1 numpy"
    purpose = f"Runs the model of this folder with TVM alone: pip install {requirements}"
    load = _LOAD.format(library=LIBRARY)
    if others:
        purpose = f"Runs the model of this folder with TVM and onnxruntime: pip install {requirements} onnxruntime"
        load = f"{_BESIDE}\n{load}"
    kind, threads = Target.of(manifest["target"]).kind, manifest["threads"]
    write_example(folder / EXAMPLE, purpose, load, kind, threads, lowered.first)
    write_manifest(folder, manifest)


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    write_atomically(folder / MANIFEST, json.dumps(manifest, indent=1))


def install(draft: Path, folder: Path) -> None:
    """Moves the files of a folder into another one, each as a whole: what runs from there now goes on with the old."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in draft.iterdir():
        beside_it = folder / f".{path.name}"
        shutil.copyfile(path, beside_it)  # the draft may be on another disk
        beside_it.replace(folder / path.name)


@dataclass(frozen=True)
class Prepared:
    """What a call takes: the function for its inputs' sizes, and all of its arguments, on the device."""

    function: str
    arguments: list[Any]


class Library:
    """A model loaded from its folder; one for several sizes takes inputs of any of them.

    Attributes:
        samples: inputs and the right outputs, for each size.

    Raises:
        InputError: the folder is no deployed model, a part of it is missing or damaged, or there is no GPU for it.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self.manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
            with np.load(folder / PARAMETERS, allow_pickle=False) as file:
                parameters = [file[name] for name in file.files]
            with np.load(folder / SAMPLE, allow_pickle=False) as file:
                sample = {name: file[name] for name in file.files}
            kind = Target.of(self.manifest["target"]).kind
            device_of(kind)  # without a GPU, TVM has no loader for what is in the library
            parts = {name: (folder / file).read_bytes() for name, file in self.manifest.get("beside", {}).items()}
            if parts:
                beside.register(parts, int(self.manifest["threads"]))
            library = tvm.runtime.load_module(str((folder / LIBRARY).resolve()))
        except InputError:
            raise
        except (OSError, RuntimeError, zipfile.BadZipFile, *MALFORMED) as error:
            raise InputError(
                f"{folder} is no deployed model ({first_line(error)}); make it with `raydgp deploy RUN`"
            ) from None
        self._machine = Machine(library, kind)
        self._parameters = self._machine.tensors(parameters)
        whole = {"function": "main", "parameters": range(len(parameters))}
        entries = self.manifest.get("entries", [whole])
        self.samples: list[tuple[tuple[Array, ...], ...]] = []
        for size in range(len(entries)):
            kinds = (f"{_at(size)}{kind}" for kind in ("input", "output"))
            self.samples.append(tuple(tuple(sample[n] for n in sample if n.startswith(kind)) for kind in kinds))
        self._entries = {
            _kinds(inputs): (entry["function"], [self._parameters[k] for k in entry["parameters"]])
            for entry, (inputs, _) in zip(entries, self.samples, strict=True)
        }
        self.inputs, self.expected = self.samples[0]

    def prepare(self, inputs: Sequence[Array]) -> Prepared:
        """What `call` takes for some inputs.

        Raises:
            InputError: other inputs than the model takes.
        """
        if (found := self._entries.get(_kinds(inputs))) is None:
            wanted = " or ".join(", ".join(kinds) for kinds in self._entries)
            raise InputError(f"the model takes {wanted}, not {', '.join(_kinds(inputs)) or 'nothing'}")
        function, parameters = found
        return Prepared(function, [*self._machine.tensors(inputs), *parameters])

    def call(self, prepared: Prepared) -> Any:
        """Runs the model to its end on what `prepare` gave."""
        return self._machine.call(prepared.arguments, prepared.function)

    def timed(self, prepared: Prepared) -> list[Step]:
        """The calls within one call of the model."""
        return self._machine.timed(prepared.arguments, prepared.function)

    def __call__(self, *inputs: Any) -> tuple[Array, ...]:
        """The outputs, flat.

        Args:
            inputs: arrays or torch tensors of the shapes and types of `inputs`, or of another sample's.

        Raises:
            InputError: other inputs than the model takes.
        """
        given = [np.asarray(value.detach().cpu() if hasattr(value, "detach") else value) for value in inputs]
        return arrays(self.call(self.prepare(given)))


def _at(size: int) -> str:
    """What the names of a size's arrays begin with in the sample."""
    return f"size{size}_" if size else ""


def _kinds(arrays: Sequence[Array]) -> tuple[str, ...]:
    return tuple(f"{array.dtype}{list(array.shape)}" for array in arrays)
