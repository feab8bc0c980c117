"""What a bundle says of a whole model: a straight line of kernels over buffers, with what they read and must write.

Members of model m, named by its `ModelEntry`:

* `models/<m>/sequence.json.xz`: a `Sequence`.
* `models/<m>/arrays.xz`: the bytes of the arrays that come with the bundle, one behind the other, little-endian.
* `models/<m>/expected.xz`: float32, little-endian: of every step, in order, and of each of its outputs the values at
  `runner.sequence.positions` of its size. They are what the same functions give without a schedule, run by TVM here
  from the same arrays; that these functions are the model was seen by its own weights and its framework's answer.

Weights are random: a model's own would make the bundle as large as they are, and take no other time. An array of
floats beyond `LARGE_BYTES` whose bytes do not compress is made anew by the runner (`inputs.seeded`) with the mean and
the standard deviation of the model's own, so that activations keep their size. All others come with the bundle: biases,
norms, tables, masks, inputs that are indices.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from raydgp.build.launch import Launch
from raydgp.records import Resources

LARGE_BYTES = 1 << 16  # of an array that is made anew


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Value(_Part):
    """A contiguous array within a buffer.

    Attributes:
        buffer: its number.
        offset: bytes before it.
        shape, dtype: NumPy's.
    """

    buffer: int
    offset: int
    shape: tuple[int, ...]
    dtype: str


class Given(_Part):
    """A value that is there before the first step: an input or a weight. Its number in the list is its seed's.

    Attributes:
        value: its number.
        at: where its bytes begin among the arrays of the bundle; None where it is made anew.
        mean, std: of what is made anew.
    """

    value: int
    at: int | None = None
    mean: float = 0.0
    std: float = 0.0


class ModelKernel(_Part):
    """Machine code that steps run. One of a task is a kernel like any other, which is also measured alone.

    Attributes:
        name: of the model's function.
        task, place: of the kernel among the tasks; None where it is of none.
        code, launches, workspaces, resources: of one of no task, as of `raydgp.bundle.format.Kernel`.
    """

    name: str
    task: int | None = None
    place: int | None = None
    code: str = ""
    launches: tuple[Launch, ...] = ()
    workspaces: tuple[int, ...] = ()
    resources: tuple[Resources, ...] = ()


class Step(_Part):
    """A call.

    Attributes:
        kernel: its number.
        arguments: numbers of the values that the kernel takes.
        outputs: how many of the last arguments it writes; it reads the others.
    """

    kernel: int
    arguments: tuple[int, ...]
    outputs: int


class Sequence(_Part):
    """A model.

    Attributes:
        buffers: bytes of each; several values may have one in turn.
        values: all arrays.
        given: inputs and weights.
        kernels: each once.
        steps: in order.
        outputs: numbers of the values that the model gives.
    """

    buffers: tuple[int, ...]
    values: tuple[Value, ...]
    given: tuple[Given, ...]
    kernels: tuple[ModelKernel, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]


class ModelEntry(_Part):
    """A model as the header has it.

    Attributes:
        name: unique among the models.
        source: where it came from, as `raydgp tune` takes it.
        digest: of its architecture and its own weights.
        error: why it cannot be run, in one line; empty where it can.
        sequence, arrays, expected: its members; none are there where it cannot be run.
    """

    name: str
    source: str
    digest: str
    error: str = ""
    sequence: str = ""
    arrays: str = ""
    expected: str = ""
