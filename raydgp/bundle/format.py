"""What a bundle is: one file of data, the machine code of many kernels with all that it takes to run and check them.

A ZIP whose members are stored as they are; those named `.xz` are compressed one by one. Nothing in it is pickled, and
unless it carries the runner (`raydgp.bundle.script`) nothing in it is Python. Its members:

* `bundle.json`: a `Header`. The SHA-256 of its bytes identifies the bundle.
* `tasks/<k>/kernels.jsonl.xz` (`Task.kernels`): a `Kernel` a line, in the order of measuring. A kernel's place is the
  number of its line, from 0; place 0 is the default, wherever that can be scheduled at all.
* `tasks/<k>/expected.xz` (`Task.expected`): n positions in the flat logical output, int64, then the n values of the
  reference there, float32, all little-endian. They are what the operator makes of `inputs.logical_inputs` as the kernel
  reads them, in numpy, at `POSITIONS` evenly spread positions, or at all of them.
* `codes.jsonl.xz`: {"code", "block", "offset", "size"} a line. Machine code of this SHA-256 is `size` bytes from
  `offset` on in what `blocks/<block>.xz` decompresses to. A code is there once, however many kernels share it, of
  whatever tasks. For `cuda` it is a cubin; for `llvm` an ELF shared library whose function `main` takes the arrays of
  the layouts, then the output.
* `models/<m>/...`: whole models, as `raydgp.bundle.models` describes them.
* `runtime/<file>.xz`: libraries of TVM that load an ELF library (`Header.runtime`); none for `cuda`.

The logical input of argument k of any task is `inputs.logical_input(k, shape)`. What the kernel takes as argument k is
that after the steps of `Task.layouts[Kernel.layouts[k]]`; its output, of `out_shape`, becomes the logical one by
`Task.layouts[Kernel.out]`. Steps and their meaning: `raydgp.templates.layouts.Layout`. The steps of `transpose`,
`reshape`, `pad` and `slice` have one argument, a list; `einsum` has three, and the array stands between its matrices.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from raydgp.build.launch import Launch
from raydgp.bundle.models import ModelEntry
from raydgp.records import Resources

POSITIONS = 16384  # of an output that are checked against the reference

Origin = Literal["default", "draw", "grid", "winner", "refused", "neighbour"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Kernel(_Part):
    """One configuration of a task.

    Attributes:
        index: in the task's space.
        knobs: of the configuration, as records have them.
        origin: why it is there: the space's default, a random valid draw, one of a thinned sub-space (`grid`), the best
            known of another device (`winner`), one that the register rule alone refuses, or the valid configuration
            nearest to such one (`neighbour`).
        status: `ok`, or `invalid`, `build_error`, `build_timeout`; then there is no code.
        error: one line; empty when ok.
        build_s: seconds it took to build.
        code: SHA-256 of its machine code; empty unless ok.
        layouts: number of the layout of each argument in `Task.layouts`.
        out: number of the layout from its output to the logical one.
        out_shape, out_dtype: of its output.
        launches: of a GPU, in order, on one stream: see `raydgp.build.launch.Launch`.
        workspaces: bytes of each buffer that only its launches share.
        resources: of each CUDA kernel.
    """

    index: int
    knobs: dict[str, Any]
    origin: Origin
    status: Literal["ok", "invalid", "build_error", "build_timeout"]
    error: str = ""
    build_s: float = 0.0
    code: str = ""
    layouts: tuple[int, ...] = ()
    out: int = 0
    out_shape: tuple[int, ...] = ()
    out_dtype: str = "float32"
    launches: tuple[Launch, ...] = ()
    workspaces: tuple[int, ...] = ()
    resources: tuple[Resources, ...] = ()


class Code(_Part):
    """Where machine code is: see the module's docstring."""

    code: str
    block: int
    offset: int
    size: int


class Task(_Part):
    """A layer whose kernels are measured.

    Attributes:
        name: `<network>/<task>`, with the algorithm behind it where that is not `direct`; of a model's kernel
            `<model>/<function>`.
        workload: as records have it.
        template, space_hash: of the space that the kernels' indices are of.
        flops: of one call.
        inputs, output: logical shapes, all float32.
        default: place of the default's kernel; None where it has no code.
        expected: member of the reference's values.
        layouts: distinct ones, each a list of steps.
        grid: options of each knob of the sub-space whose valid configurations are all there; empty where none is.
        kernels: member of the kernels.
        count: how many kernels there are, those without code among them.
    """

    name: str
    workload: dict[str, Any]
    template: str
    space_hash: str
    flops: int
    inputs: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]
    default: int | None
    expected: str
    layouts: tuple[tuple[tuple[Any, ...], ...], ...]
    kernels: str
    count: int
    grid: dict[str, tuple[Any, ...]] = {}


class Header(_Part):
    """What `bundle.json` says.

    Attributes:
        format: of `raydgp.bundle.runner.archive.FORMAT`.
        made_unix_s: when it was made.
        versions: of raydgp, TVM and what else shapes the kernels.
        target: TVM's attributes, as records have them.
        kind: of the target, `llvm` or `cuda`.
        threads: that a CPU kernel gets; None for all cores there, and for a GPU.
        measure: `raydgp.settings.MeasureSettings` by which it is measured.
        caches: how each kernel is timed: with its inputs `warm`, `rotated`, or both.
        tasks: in the order of the plan; then those of models' kernels.
        models: whole models, in the order of the plan.
        runtime: file name of a library -> its member.
    """

    format: int
    made_unix_s: float
    versions: dict[str, str]
    target: dict[str, Any]
    kind: str
    threads: int | None
    measure: dict[str, Any]
    caches: tuple[Literal["warm", "rotated"], ...]
    tasks: tuple[Task, ...]
    models: tuple[ModelEntry, ...] = ()
    runtime: dict[str, str] = {}
