"""A lowered model as data: its kernels' calls in order, over buffers that TVM has planned.

What its virtual machine does of such a model is nothing but these calls, so that whoever can launch kernels can run it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax, tirx

from raydgp.bundle.models import Step, Value
from raydgp.errors import InputError
from raydgp.models.lowering import Lowered
from raydgp.models.relax_reading import operator, shape_of

Array = NDArray[Any]

_PLAN = tvm.transform.Sequential(
    [
        relax.transform.RewriteDataflowReshape(),
        relax.transform.ToNonDataflow(),
        relax.transform.RemovePurityChecking(),
        relax.transform.CallTIRRewrite(),
        relax.transform.StaticPlanBlockMemory(),
    ]
)
_SAME_BYTES = ("reshape", "memory.ensure_zero_offset")


@dataclass(eq=False)
class StraightLine:
    """A model's calls.

    Attributes:
        module: its functions, by name.
        buffers: bytes of each.
        values: arrays within the buffers.
        inputs: numbers of the values that are the model's inputs.
        constants: its weights by the numbers of their values.
        functions: names of those that steps call, each once.
        steps: calls, whose kernels are numbers of `functions`.
        outputs: numbers of the values that the model gives, flat.
    """

    module: tvm.IRModule
    buffers: list[int] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    constants: dict[int, Array] = field(default_factory=dict)
    functions: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)


def straight_line(lowered: Lowered) -> StraightLine:
    """The calls of a lowered model, memory planned ahead.

    Raises:
        InputError: it is no straight line of kernels; names what else is in it.
    """
    module = _PLAN(lowered.module)
    return _Reader(StraightLine(module)).read(module["main"], lowered.parameters)


class _Reader:
    def __init__(self, line: StraightLine) -> None:
        self._line = line
        self._bound: dict[relax.Var, Any] = {}  # number of a value, or a tuple of such things
        self._storage: dict[relax.Var, int] = {}  # number of a buffer
        self._unwritten: set[int] = set()

    def read(self, main: relax.Function, parameters: list[Array]) -> StraightLine:
        line, first = self._line, len(main.params) - len(parameters)
        for place, var in enumerate(main.params):
            number = self._bound[var] = self._alone(var)
            if place < first:
                line.inputs.append(number)
            else:
                line.constants[number] = parameters[place - first]
        for block in main.body.blocks:
            for binding in block.bindings:
                self._bind(binding.var, binding.value)
        line.outputs = list(_flat(self._known(main.body.body)))
        if self._unwritten:
            raise InputError("it has an array that no kernel writes; no bundle can run it")
        return line

    def _bind(self, var: relax.Var, value: Any) -> None:
        name = operator(value)
        if name == "memory.alloc_storage":
            self._line.buffers.append(math.prod(int(extent) for extent in value.args[0]))
            self._storage[var] = len(self._line.buffers) - 1
        elif name == "memory.alloc_tensor":
            self._bound[var] = self._value(var, self._storage[value.args[0]], int(value.args[1]))
            self._unwritten.add(self._bound[var])
        elif name == "builtin.alloc_tensor":
            self._bound[var] = self._alone(var)
            self._unwritten.add(self._bound[var])
        elif name in _SAME_BYTES:
            before = self._line.values[self._known(value.args[0])]
            self._bound[var] = self._value(var, before.buffer, before.offset)
        elif isinstance(value, relax.Call) and isinstance(value.op, tvm.ir.GlobalVar):
            self._call(value)
        elif isinstance(value, relax.Call):
            raise InputError(f"it calls {_called(value)}, which is no kernel; a bundle holds kernels alone")
        elif isinstance(value, relax.If):
            raise InputError("it has control flow, which a bundle cannot hold; export it without")
        else:
            self._bound[var] = self._known(value)

    def _call(self, call: relax.Call) -> None:
        line, name = self._line, call.op.name_hint
        function = line.module[name]
        if not isinstance(function, tirx.PrimFunc):
            raise InputError(f"it calls its own function {name}, which is no kernel; a bundle holds kernels alone")
        arguments = [self._known(argument) for argument in call.args]
        if any(not isinstance(argument, int) for argument in arguments) or len(arguments) != len(function.params):
            raise InputError(f"its kernel {name} takes more than arrays; no bundle can run it")
        written = [argument for argument in arguments if argument in self._unwritten]
        if not written or arguments[-len(written) :] != written:
            raise InputError(f"its kernel {name} writes into what it reads; no bundle can run it")
        self._unwritten.difference_update(written)
        if name not in line.functions:
            line.functions.append(name)
        step = Step(kernel=line.functions.index(name), arguments=tuple(arguments), outputs=len(written))
        line.steps.append(step)

    def _known(self, value: Any) -> Any:
        """What is bound to a value that is used."""
        if isinstance(value, relax.Var):
            return self._bound[value]
        if isinstance(value, relax.Tuple):
            return tuple(self._known(part) for part in value.fields)
        if isinstance(value, relax.TupleGetItem):
            return self._known(value.tuple_value)[value.index]
        if isinstance(value, tvm.ir.GenericConst):
            array = value.value.numpy()
            number = self._alone(value)
            self._line.constants[number] = array
            return number
        return None  # no array

    def _alone(self, value: Any) -> int:
        """A new array with a buffer of its own."""
        self._line.buffers.append(0)
        number = self._value(value, len(self._line.buffers) - 1, 0)
        made = self._line.values[number]
        self._line.buffers[-1] = math.prod(made.shape) * np.dtype(made.dtype).itemsize
        return number

    def _value(self, value: Any, buffer: int, offset: int) -> int:
        shape, dtype = shape_of(value), str(value.ty.dtype)
        try:
            np.dtype(dtype)
        except TypeError:
            raise InputError(f"it has arrays of {dtype}, which numpy has not; no bundle can hold them") from None
        self._line.values.append(Value(buffer=buffer, offset=offset, shape=shape, dtype=dtype))
        return len(self._line.values) - 1


def _called(call: relax.Call) -> str:
    """What a call is of, for people."""
    name = operator(call)
    if name.startswith("call_") or isinstance(call.op, relax.ExternFunc):
        function = call.op if isinstance(call.op, relax.ExternFunc) else call.args[0]
        return str(getattr(function, "global_symbol", name))
    return name or str(call.op)


def _flat(value: Any) -> Iterator[int]:
    if isinstance(value, tuple):
        for part in value:
            yield from _flat(part)
    else:
        yield value
